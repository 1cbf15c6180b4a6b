//! Our login to the database: TLS request, startup, cleartext / MD5 / SCRAM-SHA-256(-PLUS) (manual: Start-up, SASL
//! Authentication).
//!
//! Invariants: the database is as little trusted as the client: iteration counts and lengths are bounded, a password in
//! clear goes only where the settings allow it, unknown requests are faults.

use crate::frame::{self, text};
use crate::md5::md5_password;
use crate::scram::{Client, ClientKeys, Offered};
use bytes::Bytes;
use contract::{Dialing, Dialled, Fault, Lane, Peer, Reader};
use std::cell::RefCell;
use std::rc::Rc;

/// Parameters the database may report before it is ready; more is a fault.
const PARAMETERS_MAX: usize = 128;
/// Frames before ReadyForQuery; more is a fault.
const FRAMES_MAX: usize = 1024;
/// Longest frame during login in bytes.
const FRAME_BYTES_MAX: usize = 64 << 10;

/// How to log in.
#[derive(Clone)]
pub struct DialSettings {
    /// Account.
    pub account: String,
    /// Database.
    pub database: String,
    /// Further startup parameters.
    pub parameters: Vec<(String, String)>,
    /// Ask for TLS; a database that has none is a fault.
    pub tls: bool,
    /// A password in clear may be sent without TLS (loopback).
    pub clear_allowed: bool,
    /// Password and what is derived from it, shared by the sessions of a core.
    pub keys: Option<Rc<RefCell<ClientKeys>>>,
    /// Client nonce.
    pub nonce: [u8; 18],
}

impl std::fmt::Debug for DialSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DialSettings")
            .field("account", &self.account)
            .field("database", &self.database)
            .finish_non_exhaustive()
    }
}

enum Phase {
    AwaitingTls,
    Authenticating,
    Sasl(Box<Client>),
    Ready,
}

/// Our login as a value.
pub struct Dial {
    settings: DialSettings,
    secured: bool,
    binding: Option<Vec<u8>>,
    phase: Phase,
    authenticated: bool,
    frames: usize,
    parameters: Vec<(Vec<u8>, Vec<u8>)>,
    key: Vec<u8>,
    complaint: Option<String>,
}

impl Dial {
    /// Has not spoken yet.
    #[must_use]
    pub fn new(settings: DialSettings) -> Self {
        Self {
            settings,
            secured: false,
            binding: None,
            phase: Phase::AwaitingTls,
            authenticated: false,
            frames: 0,
            parameters: Vec::new(),
            key: Vec::new(),
            complaint: None,
        }
    }

    /// What the database said when it refused the login, for the operator's log.
    #[must_use]
    pub fn complaint(&self) -> Option<&str> {
        self.complaint.as_deref()
    }

    fn startup(&mut self, down: &mut Lane) {
        self.phase = Phase::Authenticating;
        let s = &self.settings;
        down.put_with(|out| {
            frame::write_untagged(out, |b| {
                b.extend_from_slice(&(3u32 << 16).to_be_bytes());
                let fixed =
                    [("user", &s.account), ("database", &s.database), ("client_encoding", &String::from("UTF8"))];
                let all = fixed.into_iter().chain(s.parameters.iter().map(|(k, v)| (k.as_str(), v)));
                for (key, value) in all {
                    text(b, key.as_bytes());
                    text(b, value.as_bytes());
                }
                b.push(0);
            });
        });
    }

    fn reply(down: &mut Lane, body: &[u8]) {
        down.put_with(|out| frame::write(out, b'p', |b| b.extend_from_slice(body)));
    }

    fn authentication(&mut self, body: &[u8], down: &mut Lane) -> Result<(), Fault> {
        const MALFORMED: Fault = Fault::upstream("malformed authentication request from the database");
        const PASSWORD: Fault =
            Fault::upstream("the database asks for a password and none is configured for the target");
        const SCRAM: Fault = Fault::upstream("SCRAM exchange with the database failed");
        if self.authenticated {
            return Err(MALFORMED);
        }
        let mut r = Reader::new(body);
        match r.u32().ok_or(MALFORMED)? {
            0 => {
                if matches!(self.phase, Phase::Sasl(_)) {
                    return Err(Fault::upstream("the database skipped its proof in the SCRAM exchange"));
                }
                self.authenticated = true;
            }
            3 => {
                if !self.secured && !self.settings.clear_allowed {
                    return Err(Fault::upstream(
                        "the database asks for a password in clear over a connection without TLS",
                    ));
                }
                let keys = self.settings.keys.as_ref().ok_or(PASSWORD)?.borrow();
                let mut body = keys.password().to_vec();
                body.push(0);
                Self::reply(down, &body);
            }
            5 => {
                let salt: [u8; 4] = r.take(4).and_then(|s| s.try_into().ok()).ok_or(MALFORMED)?;
                let keys = self.settings.keys.as_ref().ok_or(PASSWORD)?.borrow();
                let mut body = md5_password(self.settings.account.as_bytes(), keys.password(), salt).to_vec();
                body.push(0);
                Self::reply(down, &body);
            }
            10 => {
                self.settings.keys.as_ref().ok_or(PASSWORD)?;
                let offered = Offered::parse(r.rest()).map_err(|_| SCRAM)?;
                let mut client = Box::new(Client::new(self.settings.nonce, self.binding.clone()));
                let (mechanism, first) = client.client_first(offered).map_err(|_| SCRAM)?;
                let mut body = Vec::new();
                text(&mut body, mechanism.name().as_bytes());
                body.extend_from_slice(&u32::try_from(first.len()).unwrap_or(0).to_be_bytes());
                body.extend_from_slice(&first);
                Self::reply(down, &body);
                self.phase = Phase::Sasl(client);
            }
            11 => {
                let Phase::Sasl(client) = &mut self.phase else { return Err(MALFORMED) };
                let mut keys = self.settings.keys.as_ref().ok_or(PASSWORD)?.borrow_mut();
                let reply = client.server_first(r.rest(), &mut keys).map_err(|_| SCRAM)?;
                Self::reply(down, &reply);
            }
            12 => {
                let Phase::Sasl(client) = &mut self.phase else { return Err(MALFORMED) };
                client.server_final(r.rest()).map_err(|_| {
                    Fault::upstream("the database could not prove that it knows the account's password")
                })?;
                self.phase = Phase::Authenticating;
            }
            _ => {
                return Err(Fault::upstream(
                    "the database asks for an authentication method the gateway does not have",
                ));
            }
        }
        Ok(())
    }

    fn frame(&mut self, tag: u8, body: &[u8], down: &mut Lane) -> Result<Dialled, Fault> {
        match tag {
            b'R' => self.authentication(body, down)?,
            b'E' => {
                let fields = crate::faults::Fields::read(body);
                self.complaint = Some(format!(
                    "{}: {}",
                    String::from_utf8_lossy(&fields.state),
                    String::from_utf8_lossy(&fields.message[..fields.message.len().min(400)])
                        .replace(char::is_control, " ")
                ));
                return Err(Fault::upstream("the database refused the gateway's login").with_state("08004"));
            }
            b'N' => {}
            b'S' if self.authenticated => {
                let mut r = Reader::new(body);
                let (Some(name), Some(value)) = (r.text(), r.text()) else {
                    return Err(Fault::upstream("malformed ParameterStatus from the database"));
                };
                crate::serving::check_parameter(name, value)?;
                if self.parameters.len() >= PARAMETERS_MAX {
                    return Err(Fault::upstream("too many parameters from the database"));
                }
                self.parameters.push((name.to_vec(), value.to_vec()));
            }
            b'K' if self.authenticated => self.key = body.to_vec(),
            b'Z' if self.authenticated => {
                self.phase = Phase::Ready;
                return Ok(Dialled::Ready);
            }
            _ => return Err(Fault::upstream("unexpected frame from the database during login")),
        }
        Ok(Dialled::NeedMore)
    }
}

impl Dialing for Dial {
    fn begin(&mut self, down: &mut Lane) {
        if self.settings.tls {
            down.put_with(|out| frame::write_untagged(out, |b| b.extend_from_slice(&80_877_103u32.to_be_bytes())));
        } else {
            self.startup(down);
        }
    }

    fn secured(&mut self, down: &mut Lane, binding: Option<&[u8]>) {
        self.secured = true;
        self.binding = binding.map(<[u8]>::to_vec);
        self.startup(down);
    }

    fn step(&mut self, up: &mut Lane, down: &mut Lane) -> Result<Dialled, Fault> {
        if matches!(self.phase, Phase::AwaitingTls) {
            return match up.input() {
                [] => Ok(Dialled::NeedMore),
                [b'S'] => {
                    up.skip(1);
                    Ok(Dialled::StartTls)
                }
                [b'S', ..] => Err(Fault::upstream("received unencrypted data after the database accepted TLS")),
                _ => Err(Fault::upstream("the database does not offer TLS, which the target's rules demand")),
            };
        }
        loop {
            let Some(header) = frame::header(up.input(), Peer::Upstream)? else { return Ok(Dialled::NeedMore) };
            if header.len > FRAME_BYTES_MAX {
                return Err(Fault::upstream("frame too long from the database during login"));
            }
            if up.input().len() < header.len {
                up.want(header.len);
                return Ok(Dialled::NeedMore);
            }
            self.frames += 1;
            if self.frames > FRAMES_MAX {
                return Err(Fault::upstream("the database does not finish the login"));
            }
            let body = up.input()[frame::HEADER_BYTES..header.len].to_vec();
            up.skip(header.len);
            if self.frame(header.tag, &body, down)? == Dialled::Ready {
                return Ok(Dialled::Ready);
            }
        }
    }

    fn parameters(&self) -> &[(Vec<u8>, Vec<u8>)] {
        &self.parameters
    }

    fn cancel_frame(&self) -> Bytes {
        let mut out = Vec::new();
        frame::write_untagged(&mut out, |b| {
            b.extend_from_slice(&80_877_102u32.to_be_bytes());
            b.extend_from_slice(&self.key);
        });
        out.into()
    }
}
