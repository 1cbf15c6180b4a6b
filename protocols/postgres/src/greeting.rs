//! The client's login: encryption requests, startup packet, SCRAM (manual: Start-up, SSL Session Encryption, Protocol
//! Message Formats "StartupMessage", "NegotiateProtocolVersion").
//!
//! Invariants: bytes that follow an encryption request in the same flight are a fault (they would be plaintext inside TLS);
//! each kind of request is answered once; parameters that change how statements are read, or who reads them, never go
//! upstream; a user name never carries control characters further.
//!
//! A token (in the place of a password, or by OAUTHBEARER) is asked for inside TLS alone; a password in clear never.
//!
//! Deliberately absent: passwords in clear, md5, GSSAPI, replication, whether a token is good.

use crate::frame;
use crate::oauthbearer::{self, First};
use crate::scram::{Mechanism, Server, Verifier};
use crate::{faults, frame::text};
use contract::{
    Challenge, Discovery, Fault, Greeted, Greeting, Lane, LoginRequest, Peer, Reader, Refusal, Shows, Token,
};
use std::rc::Rc;
use zeroize::Zeroizing;

const SSL_REQUEST: u32 = 80_877_103;
const GSSENC_REQUEST: u32 = 80_877_104;
const CANCEL_REQUEST: u32 = 80_877_102;
const PROTOCOL_3_0: u32 = 3 << 16;
const PROTOCOL_3_2: u32 = PROTOCOL_3_0 | 2;
/// First byte of a TLS record that carries a handshake (RFC 8446 5.1).
const TLS_HANDSHAKE: u8 = 0x16;
/// Longest SASL message accepted in bytes.
const SASL_BYTES_MAX: usize = 4096;
/// The same where tokens are taken.
const TOKEN_MESSAGE_BYTES_MAX: usize = oauthbearer::MESSAGE_BYTES_MAX;
/// Start-up option by which a client says what it will show: `token` or `oauth`. It does not go upstream.
const SHOWS: &str = "tidegate.auth";
/// Bytes of a user, database or application name.
const NAME_BYTES_MAX: usize = 256;

/// Parameters a client may set at start-up, with the server's own meaning. `client_encoding` is checked apart.
const PARAMETERS: &[&str] = &[
    "application_name",
    "bytea_output",
    "datestyle",
    "default_transaction_deferrable",
    "default_transaction_isolation",
    "default_transaction_read_only",
    "effective_io_concurrency",
    "enable_hashjoin",
    "enable_mergejoin",
    "enable_nestloop",
    "enable_seqscan",
    "extra_float_digits",
    "geqo",
    "idle_in_transaction_session_timeout",
    "idle_session_timeout",
    "intervalstyle",
    "jit",
    "lc_messages",
    "lc_monetary",
    "lc_numeric",
    "lc_time",
    "lock_timeout",
    "max_parallel_workers_per_gather",
    "plan_cache_mode",
    "random_page_cost",
    "search_path",
    "statement_timeout",
    "synchronous_commit",
    "tcp_keepalives_idle",
    "timezone",
    "work_mem",
    "xmlbinary",
    "xmloption",
];

/// Whether TLS is offered to clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsOffer {
    /// Not configured.
    Absent,
    /// Offered.
    Offered,
    /// A login without it is refused.
    Required,
}

enum Phase {
    Start,
    Securing,
    Chosen,
    First(Box<Offer>),
    Final(Box<Server>),
    /// A password message with a token is awaited.
    Token,
    /// A token was shown, and the caller has not said yet whether it is good.
    Shown(Option<Rc<Discovery>>),
    /// The client is being told why its token is no good.
    Failing(&'static str),
    /// The token is no good, and the client needs no telling why.
    Over(&'static str),
    /// The token is good, or the connection is proof.
    Passed,
    Proved,
}

/// What was offered.
struct Offer {
    /// SCRAM, with or without channel binding.
    scram: Option<Server>,
    /// OAUTHBEARER.
    oauth: Option<Rc<Discovery>>,
}

/// The client's login as a value.
pub struct Greet {
    tls: TlsOffer,
    binding: Option<Vec<u8>>,
    asked_tls: bool,
    asked_gss: bool,
    phase: Phase,
    long_key: bool,
    last_words: Vec<u8>,
    matched: usize,
    bytes_max: usize,
}

impl Greet {
    /// Awaits the first packet.
    #[must_use]
    pub fn new(tls: TlsOffer, startup_bytes_max: usize) -> Self {
        Self {
            tls,
            binding: None,
            asked_tls: false,
            asked_gss: false,
            phase: Phase::Start,
            long_key: false,
            last_words: Vec::new(),
            matched: 0,
            bytes_max: startup_bytes_max,
        }
    }

    /// The client negotiated protocol 3.2: its cancel key is 32 bytes long.
    #[must_use]
    pub fn has_long_key(&self) -> bool {
        self.long_key
    }

    fn start(&mut self, down: &mut Lane, up: &mut Lane) -> Result<Greeted, Fault> {
        let input = down.input();
        if input.first() == Some(&TLS_HANDSHAKE) && self.binding.is_none() && !self.asked_tls {
            if self.tls == TlsOffer::Absent {
                return Err(Fault::downstream("TLS is not configured on this gateway"));
            }
            self.phase = Phase::Securing;
            self.asked_tls = true;
            return Ok(Greeted::DirectTls);
        }
        let mut r = Reader::new(input);
        let Some(len) = r.u32() else { return Ok(Greeted::NeedMore) };
        let len = len as usize;
        if len < 8 || len > self.bytes_max {
            return Err(Fault::downstream("invalid length of startup packet"));
        }
        let Some(code) = r.u32() else { return Ok(Greeted::NeedMore) };
        if input.len() < len {
            down.want(len);
            return Ok(Greeted::NeedMore);
        }
        match code {
            SSL_REQUEST => {
                if len != 8 || self.asked_tls || self.binding.is_some() {
                    return Err(Fault::downstream("unexpected SSLRequest"));
                }
                // Whatever the answer, who sends on without it is not waited for.
                if input.len() > len {
                    return Err(Fault::downstream("received unencrypted data after SSL request"));
                }
                self.asked_tls = true;
                down.skip(len);
                if self.tls == TlsOffer::Absent {
                    up.put(b"N");
                    return Ok(Greeted::NeedMore);
                }
                up.put(b"S");
                self.phase = Phase::Securing;
                Ok(Greeted::StartTls)
            }
            GSSENC_REQUEST => {
                if len != 8 || self.asked_gss {
                    return Err(Fault::downstream("unexpected GSSENCRequest"));
                }
                if input.len() > len {
                    return Err(Fault::downstream("received unencrypted data after GSSAPI encryption request"));
                }
                self.asked_gss = true;
                down.skip(len);
                up.put(b"N");
                Ok(Greeted::NeedMore)
            }
            CANCEL_REQUEST => {
                if !(16..=8 + 4 + 256).contains(&len) {
                    return Err(Fault::downstream("invalid CancelRequest"));
                }
                let key = input[8..len].to_vec();
                down.skip(len);
                Ok(Greeted::Cancel(key))
            }
            version if version >> 16 == 3 => {
                if self.tls == TlsOffer::Required && self.binding.is_none() {
                    return Err(Fault::downstream(
                        "this gateway requires TLS: connect with sslmode=require or stricter",
                    )
                    .with_state("28000"));
                }
                let (request, unknown) = startup(&input[8..len])?;
                down.skip(len);
                self.negotiate(version, &unknown, up);
                self.phase = Phase::Chosen;
                Ok(Greeted::Login(request))
            }
            _ => {
                Err(Fault::downstream("unsupported frontend protocol: this gateway speaks 3.0 and 3.2")
                    .with_state("0A000"))
            }
        }
    }

    fn negotiate(&mut self, version: u32, unknown: &[Vec<u8>], up: &mut Lane) {
        self.long_key = version >= PROTOCOL_3_2;
        let settled = if self.long_key { PROTOCOL_3_2 } else { PROTOCOL_3_0 };
        if version != settled || !unknown.is_empty() {
            up.put_with(|out| {
                frame::write(out, b'v', |b| {
                    b.extend_from_slice(&settled.to_be_bytes());
                    b.extend_from_slice(&u32::try_from(unknown.len()).unwrap_or(0).to_be_bytes());
                    unknown.iter().for_each(|name| text(b, name));
                });
            });
        }
    }

    /// One `p` frame: the body.
    fn reply<'a>(&self, down: &'a mut Lane, most: usize) -> Result<Option<(usize, &'a [u8])>, Fault> {
        let Some(header) = frame::header(down.input(), Peer::Downstream)? else { return Ok(None) };
        if header.tag != b'p' {
            return Err(Fault::downstream("expected a SASL response or a password"));
        }
        if header.len > most {
            return Err(Fault::downstream("SASL response or token too long"));
        }
        if down.input().len() < header.len {
            down.want(header.len);
            return Ok(None);
        }
        Ok(Some((header.len, &down.input()[frame::HEADER_BYTES..header.len])))
    }

    fn first(&mut self, down: &mut Lane, up: &mut Lane, offer: Box<Offer>) -> Result<Greeted, Fault> {
        const MALFORMED: Fault = Fault::downstream("malformed SASLInitialResponse");
        let most = if offer.oauth.is_some() { TOKEN_MESSAGE_BYTES_MAX } else { SASL_BYTES_MAX };
        let Some((len, body)) = self.reply(down, most)? else {
            self.phase = Phase::First(offer);
            return Ok(Greeted::NeedMore);
        };
        let mut r = Reader::new(body);
        let mechanism = r.text().ok_or(MALFORMED)?;
        let count = r.i32().ok_or(MALFORMED)?;
        let message = usize::try_from(count).ok().and_then(|n| r.take(n)).filter(|_| r.rest().is_empty());
        let message = message.ok_or(MALFORMED)?;
        let Offer { scram, oauth } = *offer;
        if let Some(discovery) = oauth
            && mechanism == oauthbearer::MECHANISM.as_bytes()
        {
            let said = oauthbearer::first(message);
            down.skip(len);
            return match said {
                Ok(First::Token(token)) => {
                    self.phase = Phase::Shown(Some(discovery));
                    Ok(Greeted::Shown(Shows::Oauth, token))
                }
                Ok(First::Discovery) => {
                    self.fail(up, &discovery, "oauth_discovery");
                    Ok(Greeted::NeedMore)
                }
                Err(reason) => Err(Fault { reason, ..Fault::downstream("") }),
            };
        }
        let Some(mut server) = scram else {
            down.skip(len);
            return Ok(Greeted::Denied("sasl_mechanism"));
        };
        let reply = server.client_first(mechanism, message);
        down.skip(len);
        match reply {
            Ok(reply) => {
                sasl(up, 11, &reply);
                self.phase = Phase::Final(Box::new(server));
                Ok(Greeted::NeedMore)
            }
            Err(_) => Ok(Greeted::Denied("scram_exchange")),
        }
    }

    /// A token in the place of the password.
    fn token(&mut self, down: &mut Lane) -> Result<Greeted, Fault> {
        let Some((len, body)) = self.reply(down, TOKEN_MESSAGE_BYTES_MAX)? else {
            self.phase = Phase::Token;
            return Ok(Greeted::NeedMore);
        };
        let token = body.split_last().filter(|(end, token)| **end == 0 && oauthbearer::is_token(token));
        let token = token.and_then(|(_, token)| String::from_utf8(token.to_vec()).ok());
        down.skip(len);
        let Some(token) = token else { return Ok(Greeted::Denied("token_form")) };
        self.phase = Phase::Shown(None);
        Ok(Greeted::Shown(Shows::Token, Token(Zeroizing::new(token))))
    }

    /// Tells the client where tokens come from; it says that it has read that, and only then the login ends.
    fn fail(&mut self, up: &mut Lane, discovery: &Discovery, reason: &'static str) {
        sasl(up, 11, &oauthbearer::failure(discovery));
        self.phase = Phase::Failing(reason);
    }

    fn failing(&mut self, down: &mut Lane, reason: &'static str) -> Result<Greeted, Fault> {
        let Some((len, body)) = self.reply(down, SASL_BYTES_MAX)? else {
            self.phase = Phase::Failing(reason);
            return Ok(Greeted::NeedMore);
        };
        let acknowledged = body == oauthbearer::ACKNOWLEDGED;
        down.skip(len);
        if acknowledged {
            Ok(Greeted::Denied(reason))
        } else {
            Err(Fault::downstream("expected the acknowledgement of a failure"))
        }
    }

    fn last(&mut self, down: &mut Lane, mut server: Box<Server>) -> Result<Greeted, Fault> {
        let Some((len, body)) = self.reply(down, SASL_BYTES_MAX)? else {
            self.phase = Phase::Final(server);
            return Ok(Greeted::NeedMore);
        };
        let reply = server.client_final(body);
        down.skip(len);
        match reply {
            Ok(reply) => {
                self.last_words = reply;
                self.matched = server.matched();
                self.phase = Phase::Proved;
                Ok(Greeted::Authenticated)
            }
            Err(_) => Ok(Greeted::Denied("wrong_password")),
        }
    }
}

impl Greeting for Greet {
    type Verifier = Verifier;

    fn step(&mut self, down: &mut Lane, up: &mut Lane) -> Result<Greeted, Fault> {
        match std::mem::replace(&mut self.phase, Phase::Start) {
            Phase::Start => self.start(down, up),
            Phase::First(offer) => self.first(down, up, offer),
            Phase::Final(server) => self.last(down, server),
            Phase::Token => self.token(down),
            Phase::Failing(reason) => self.failing(down, reason),
            Phase::Over(reason) => Ok(Greeted::Denied(reason)),
            Phase::Passed => {
                self.phase = Phase::Proved;
                Ok(Greeted::Authenticated)
            }
            waiting @ (Phase::Securing | Phase::Chosen | Phase::Shown(_) | Phase::Proved) => {
                self.phase = waiting;
                Ok(Greeted::NeedMore)
            }
        }
    }

    fn secured(&mut self, binding: &[u8]) {
        self.binding = Some(binding.to_vec());
        self.phase = Phase::Start;
    }

    fn challenge(&mut self, up: &mut Lane, challenge: Challenge<Verifier>) -> Result<(), Fault> {
        const CLEAR: Fault = Fault {
            state: "28000",
            ..Fault::downstream("tokens are taken inside TLS only: connect with sslmode=verify-full")
        };
        let secured = self.binding.is_some();
        let (scram, oauth) = match challenge {
            Challenge::Nothing => {
                self.phase = Phase::Passed;
                return Ok(());
            }
            Challenge::Token | Challenge::Oauth(_) if !secured => return Err(CLEAR),
            Challenge::Token => {
                up.put_with(|out| frame::write(out, b'R', |b| b.extend_from_slice(&3u32.to_be_bytes())));
                self.phase = Phase::Token;
                return Ok(());
            }
            Challenge::Oauth(discovery) => (None, Some(discovery)),
            Challenge::Secret { verifier, nonce, oauth } => {
                let binding = self.binding.as_deref().filter(|b| !b.is_empty());
                (Some((Server::new(verifier, nonce, binding), binding.is_some())), oauth.filter(|_| secured))
            }
        };
        up.put_with(|out| {
            frame::write(out, b'R', |b| {
                b.extend_from_slice(&10u32.to_be_bytes());
                if let Some((_, bound)) = &scram {
                    if *bound {
                        text(b, Mechanism::Plus.name().as_bytes());
                    }
                    text(b, Mechanism::Plain.name().as_bytes());
                }
                if oauth.is_some() {
                    text(b, oauthbearer::MECHANISM.as_bytes());
                }
                b.push(0);
            });
        });
        self.phase = Phase::First(Box::new(Offer { scram: scram.map(|(server, _)| server), oauth }));
        Ok(())
    }

    fn shown(&mut self, up: &mut Lane, verdict: Result<(), &'static str>) {
        let Phase::Shown(discovery) = std::mem::replace(&mut self.phase, Phase::Over("order")) else { return };
        match (verdict, discovery) {
            (Ok(()), _) => self.phase = Phase::Passed,
            (Err(reason), Some(discovery)) => self.fail(up, &discovery, reason),
            (Err(reason), None) => self.phase = Phase::Over(reason),
        }
    }

    fn matched(&self) -> usize {
        self.matched
    }

    fn deny(&self, up: &mut Lane, fault: &Fault, detail: Option<&Refusal>) {
        up.put_with(|out| match detail {
            Some(refusal) => faults::write_refusal_as(out, "FATAL", fault.state, refusal, b""),
            None => faults::write_fault(out, fault),
        });
    }

    fn accept(&self, up: &mut Lane, parameters: &[(Vec<u8>, Vec<u8>)], process: u32, secret: &[u8; 32]) {
        up.put_with(|out| {
            if !self.last_words.is_empty() {
                frame::write(out, b'R', |b| {
                    b.extend_from_slice(&12u32.to_be_bytes());
                    b.extend_from_slice(&self.last_words);
                });
            }
            frame::write(out, b'R', |b| b.extend_from_slice(&0u32.to_be_bytes()));
            for (name, value) in parameters {
                frame::write(out, b'S', |b| {
                    text(b, name);
                    text(b, value);
                });
            }
            frame::write(out, b'K', |b| {
                b.extend_from_slice(&process.to_be_bytes());
                b.extend_from_slice(if self.long_key { secret } else { &secret[..4] });
            });
            frame::write(out, b'Z', |b| b.push(b'I'));
        });
    }
}

/// A message of SASL to the client: 11 goes on.
fn sasl(up: &mut Lane, code: u32, message: &[u8]) {
    up.put_with(|out| {
        frame::write(out, b'R', |b| {
            b.extend_from_slice(&code.to_be_bytes());
            b.extend_from_slice(message);
        });
    });
}

fn name(value: &[u8], what: &'static str) -> Result<String, Fault> {
    let value = std::str::from_utf8(value).map_err(|_| Fault::downstream(what))?;
    if value.len() > NAME_BYTES_MAX || value.chars().any(char::is_control) {
        return Err(Fault::downstream(what));
    }
    Ok(value.to_owned())
}

/// Reads the parameters of a startup packet: the request, and the protocol extensions this gateway does not know.
fn startup(body: &[u8]) -> Result<(LoginRequest, Vec<Vec<u8>>), Fault> {
    const MALFORMED: Fault = Fault::downstream("invalid startup packet layout: expected terminator as last byte");
    let mut request = LoginRequest::default();
    let mut unknown = Vec::new();
    let mut r = Reader::new(body);
    loop {
        let key = r.text().ok_or(MALFORMED)?;
        if key.is_empty() {
            break;
        }
        let value = r.text().ok_or(MALFORMED)?;
        match key {
            b"user" => request.user = name(value, "invalid user name")?,
            b"database" => request.database = name(value, "invalid database name")?,
            b"replication" => {
                let off: [&[u8]; 5] = [b"false", b"off", b"no", b"0", b"f"];
                if !off.contains(&value) {
                    return Err(
                        Fault::downstream("replication connections are refused by this gateway").with_state("42501")
                    );
                }
            }
            b"options" => options(value, &mut request)?,
            _ if key.starts_with(b"_pq_.") => unknown.push(key.to_vec()),
            _ => parameter(key, value, &mut request)?,
        }
    }
    if !r.rest().is_empty() {
        return Err(MALFORMED);
    }
    if request.user.is_empty() {
        return Err(Fault::downstream("no user name specified in startup packet").with_state("28000"));
    }
    if request.database.is_empty() {
        request.database.clone_from(&request.user);
    }
    Ok((request, unknown))
}

fn parameter(key: &[u8], value: &[u8], request: &mut LoginRequest) -> Result<(), Fault> {
    let key = std::str::from_utf8(key).map_err(|_| Fault::downstream("invalid parameter name"))?.to_ascii_lowercase();
    let value = name(value, "invalid parameter value")?;
    if key == "client_encoding" {
        let plain: String = value.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_uppercase();
        return match plain.as_str() {
            "UTF8" | "UNICODE" | "AUTO" => Ok(()),
            _ => Err(Fault::downstream("client_encoding must be UTF8 on this gateway").with_state("22023")),
        };
    }
    if key == SHOWS {
        request.shows = match value.as_str() {
            "token" => Some(Shows::Token),
            "oauth" => Some(Shows::Oauth),
            _ => return Err(Fault::downstream("tidegate.auth is token or oauth").with_state("22023")),
        };
        return Ok(());
    }
    if !PARAMETERS.contains(&key.as_str()) {
        return Err(Fault::downstream(
            "a startup parameter is not allowed through this gateway (see the manual: Startup parameters)",
        )
        .with_state("42501"));
    }
    if key == "search_path" {
        let path = value.to_ascii_lowercase();
        if path.contains("pg_temp") {
            return Err(Fault::downstream("search_path must not name pg_temp").with_state("42501"));
        }
        // Behind another schema its functions could be hidden by others of the same name.
        if path.split(',').skip(1).any(|schema| schema.contains("pg_catalog")) {
            return Err(
                Fault::downstream("in search_path, pg_catalog must come first or not be named").with_state("42501")
            );
        }
    }
    if key == "application_name" {
        request.application.clone_from(&value);
    }
    // The last of a name counts, here as there: each goes upstream once.
    request.parameters.retain(|(known, _)| *known != key);
    request.parameters.push((key, value));
    Ok(())
}

/// `options`: `-c name=value` and `--name=value`, with backslash escapes (manual: libpq connection parameter "options").
fn options(value: &[u8], request: &mut LoginRequest) -> Result<(), Fault> {
    const REFUSED: Fault =
        Fault::downstream("only -c name=value is understood in the options of a startup packet").with_state("42501");
    let value = std::str::from_utf8(value).map_err(|_| REFUSED)?;
    let mut words: Vec<String> = Vec::new();
    let mut word = String::new();
    let mut escaped = false;
    for c in value.chars() {
        match c {
            _ if escaped => {
                word.push(c);
                escaped = false;
            }
            '\\' => escaped = true,
            _ if c.is_ascii_whitespace() => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
            }
            _ => word.push(c),
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        let setting = if word == "-c" {
            words.next().ok_or(REFUSED)?
        } else if let Some(rest) = word.strip_prefix("--").or_else(|| word.strip_prefix("-c")) {
            rest.to_owned()
        } else {
            return Err(REFUSED);
        };
        let (key, value) = setting.split_once('=').ok_or(REFUSED)?;
        parameter(key.replace('-', "_").as_bytes(), value.as_bytes(), request)?;
    }
    Ok(())
}
