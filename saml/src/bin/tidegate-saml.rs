//! `tidegate-saml`: checks one SAML response and ends. See `saml::helper`; started by the gateway, of no use by hand.
//!
//! Exit status: 0 with a verdict on standard output; anything else is a refusal.

use std::io::{Read, Write};
use std::process::ExitCode;

fn main() -> ExitCode {
    if saml::confine().is_err() {
        return ExitCode::from(2);
    }
    let mut request = Vec::new();
    let most = saml::helper::REQUEST_BYTES_MAX as u64;
    if std::io::stdin().lock().take(most).read_to_end(&mut request).is_err() {
        return ExitCode::from(3);
    }
    let mut out = std::io::stdout().lock();
    match out.write_all(saml::helper::answer(&request).as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::from(4),
    }
}
