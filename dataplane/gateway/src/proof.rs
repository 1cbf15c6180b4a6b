//! What a client is asked to show, and who is asked whether it is good.
//!
//! Invariants: a certificate is looked at only after rustls has checked it against the gateway's own authority, and counts
//! only while the directory knows its serial number; a token is asked for and sent on only inside TLS, and only from a client
//! that offers one; no token and no certificate logs in under the name of a user of the rules. Deliberately absent: whether a token is
//! good, which the control side says.

use crate::access::{Answer, Proof, Question};
use crate::core::{Core, Handle, Signal};
use crate::tls::Stream;
use contract::{LoginRequest, Shows, Token};
use futures_lite::future::poll_fn;
use postgres::Greet;
use session::{Login, Proven, WHOEVER};
use std::net::SocketAddr;
use std::task::Poll;

/// Asks the client for what fits to what it said; `None` if there is no randomness.
pub(crate) fn ask(core: &Core, client: &Stream, login: &mut Login<Greet>) -> Option<()> {
    let tokens = &core.settings.tokens;
    let LoginRequest { user, shows, .. } = login.request();
    let user = user.clone();
    let of_rules = core.users().has(&user);
    let shows = shows.or(match user.as_str() {
        "token" if !of_rules => Some(Shows::Token),
        "oauth" if !of_rules => Some(Shows::Oauth),
        _ => None,
    });
    // The same for every name, so that what is offered does not tell who is in the users file.
    let discovery = core.oauth.clone();
    if let Some(certificate) = client.peer_certificate().filter(|_| !of_rules) {
        let serial = serial(certificate);
        login.certified(core, serial.and_then(|serial| core.settings.directory.certificate(&serial)));
        return Some(());
    }
    match (shows, discovery) {
        (Some(Shows::Token), _) if tokens.password => login.token(core, None),
        (Some(Shows::Oauth), Some(discovery)) => login.token(core, Some(discovery)),
        (_, discovery) => {
            let mut nonce = [0; 18];
            getrandom::fill(&mut nonce).ok()?;
            login.user(core, core.find_user(&user), nonce, discovery);
        }
    }
    Some(())
}

/// Asks the control side whose token this is.
pub(crate) async fn judge(
    core: &Core,
    handle: &Handle,
    request: &LoginRequest,
    peer: &SocketAddr,
    shows: Shows,
    Token(token): Token,
) -> Result<Proven, &'static str> {
    // Said only after the token was judged: how long a refusal takes does not tell who is in the users file.
    let of_rules = |proven: &Proven| core.users().has(&request.user) || core.users().has(&proven.user);
    let user = if WHOEVER.contains(&request.user.as_str()) { String::new() } else { request.user.clone() };
    let proof = Proof { user, target: request.database.clone(), source: peer.to_string(), how: shows.word(), token };
    core.ask(handle, Question::Proof(proof));
    let answer = poll_fn(|cx| {
        handle.listen(cx.waker());
        match handle.answers.borrow_mut().pop_front() {
            Some(answer) => Poll::Ready(Some(answer)),
            None if matches!(handle.signal.get(), Some(Signal::Kill(_))) => Poll::Ready(None),
            None => Poll::Pending,
        }
    })
    .await;
    match answer {
        Some(Answer::Proven(Ok(proven))) if of_rules(&proven) => Err("user_of_rules"),
        Some(Answer::Proven(verdict)) => verdict.map(|proven| *proven),
        Some(_) | None => Err("token_not_judged"),
    }
}

/// Serial number of a certificate (RFC 5280 4.1.2.2) in lower-case hexadecimal, without leading zero bytes.
fn serial(certificate: &[u8]) -> Option<String> {
    let (certificate, _) = value(certificate, 0x30)?;
    let (body, _) = value(certificate, 0x30)?;
    // The version stands before it, tagged, in every version but the first.
    let rest = value(body, 0xa0).map_or(body, |(_, rest)| rest);
    let (serial, _) = value(rest, 0x02)?;
    let start = serial.iter().position(|b| *b != 0)?;
    Some(serial[start..].iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}")))
}

/// One DER value of this tag: its contents, and what follows.
fn value(input: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&[found, first], rest) = input.split_first_chunk::<2>()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81 => (usize::from(*rest.first()?), &rest[1..]),
        0x82 => (usize::from(u16::from_be_bytes(*rest.first_chunk::<2>()?)), &rest[2..]),
        _ => return None,
    };
    rest.split_at_checked(length).filter(|_| found == tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_serial_number_is_found() {
        let mut parameters = rcgen::CertificateParams::new(vec!["x".to_owned()]).unwrap();
        parameters.serial_number = Some(rcgen::SerialNumber::from_slice(&[0, 0xa1, 2, 3]));
        let key = rcgen::KeyPair::generate().unwrap();
        let made = parameters.self_signed(&key).unwrap();
        assert_eq!(serial(made.der()).as_deref(), Some("a10203"));
        for cut in 0..made.der().len().min(40) {
            let _ = serial(&made.der()[..cut]);
        }
        assert_eq!(serial(&[]), None);
        assert_eq!(serial(&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff]), None);
    }
}
