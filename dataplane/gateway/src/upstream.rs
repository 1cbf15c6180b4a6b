//! Towards the target: an account, a connection, and cancel requests.
//!
//! Invariants: a session with an account of its own asks the control side for it and waits, while other sessions go on; the
//! password of such an account is held only while the connection is made; nothing of what the database says about a login
//! reaches the client. Deliberately absent: how accounts are made (the control side's), the greeting of clients.

use crate::access::{Account, AccountWanted, Answer, Question};
use crate::core::{Core, Handle, Message, Signal};
use crate::driver;
use crate::exchange::{exchange, handshake};
use crate::metrics::add;
use crate::spares::{self, Ticket, Upstream};
use crate::tls::{Stream, Tls};
use audit::record::SessionId;
use contract::{Dialing as _, Dialled, Fault, Lane};
use futures_lite::future::poll_fn;
use postgres::{Cleaning, Dial, DialSettings};
use session::Host as _;
use std::cell::RefCell;
use std::fmt::Write as _;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::Poll;

/// Longest name of an application that PostgreSQL keeps, bytes (NAMEDATALEN - 1).
const APPLICATION_BYTES_MAX: usize = 63;
/// Name of connections that are used again, before they say whose session has them.
const SHARED_NAME: &str = "tidegate";
const NO_ACCOUNT: Fault =
    Fault::upstream("the gateway cannot get an account on the target's database for this session now")
        .with_state("08004");

/// An account for this session alone: asked for, and waited for until the session's limit.
///
/// # Errors
/// There is none in time, or none is given.
pub(crate) async fn account(core: &Rc<Core>, handle: &Rc<Handle>, wanted: AccountWanted) -> Result<Account, Fault> {
    core.ask(handle, Question::Account(wanted));
    poll_fn(|cx| {
        handle.listen(cx.waker());
        if let Some(Signal::Kill(_)) = handle.signal.get() {
            return Poll::Ready(Err(NO_ACCOUNT));
        }
        // Nothing else is asked before the session is open.
        while let Some(answer) = handle.answers.borrow_mut().pop_front() {
            if let Answer::Account(answer) = answer {
                return Poll::Ready(answer.map_err(|_| NO_ACCOUNT));
            }
        }
        Poll::Pending
    })
    .await
}

/// The startup parameters with the session's id and its user as application name, by which the server's own log can be
/// laid beside the audit log.
pub(crate) fn tagged(parameters: &[(String, String)], session: SessionId, user: &str) -> Vec<(String, String)> {
    named(parameters, tag(session, user))
}

/// The parameters with another application name.
fn named(parameters: &[(String, String)], name: String) -> Vec<(String, String)> {
    let others = parameters.iter().filter(|(name, _)| name != "application_name").cloned();
    others.chain([("application_name".to_owned(), name)]).collect()
}

/// Session and user as an application name.
fn tag(session: SessionId, user: &str) -> String {
    let mut tag = "tidegate/".to_owned();
    for byte in session.0 {
        // Writing to a string cannot fail.
        let _ = write!(tag, "{byte:02x}");
    }
    tag.push('/');
    // The server shows what is not ASCII as question marks.
    let room = APPLICATION_BYTES_MAX.saturating_sub(tag.len());
    tag.extend(user.chars().map(|c| if c.is_ascii_graphic() { c } else { '?' }).take(room));
    tag
}

/// A connection for a session with the target's own account: one that another session has left, or a new one.
///
/// # Errors
/// The target cannot be reached, or does not let the account in.
pub(crate) async fn reach(
    core: &Rc<Core>,
    handle: &Rc<Handle>,
    target: usize,
    parameters: &[(String, String)],
    user: Option<&str>,
) -> Result<Upstream, Fault> {
    let tag = |user: &str| tag(handle.id, user);
    let Some(reuse) = core.settings.targets[target].reuse else {
        let tagged = user.map(|user| named(parameters, tag(user)));
        return dial(core, handle, target, None, tagged.as_deref().unwrap_or(parameters)).await;
    };
    // Where the name says whose session it is, it is given afterwards: what a client resets it to names nobody.
    let parameters = match user {
        Some(_) => named(parameters, SHARED_NAME.to_owned()),
        None => parameters.to_vec(),
    };
    let epoch = core.epoch(target);
    let path = epoch.search_path();
    loop {
        let kept = core.spares.take(target, &parameters, path).await;
        let fresh = kept.is_none();
        let since_ns = core.now_ns();
        let mut upstream = match kept {
            Some(upstream) => upstream,
            None => dial(core, handle, target, None, &parameters).await?,
        };
        if fresh {
            upstream.ticket =
                Some(Ticket { target, parameters: parameters.clone(), path: path.to_vec(), reuse, since_ns });
        }
        if fresh {
            if let Some(user) = user {
                spares::clean(core, handle, &mut upstream, |down| Cleaning::name(down, &tag(user))).await?;
            }
            return Ok(upstream);
        }
        let greet = |down: &mut Lane| match user {
            Some(user) => Cleaning::rename(down, &tag(user)),
            None => Cleaning::probe(down),
        };
        if spares::stands(core, &mut upstream, greet).await {
            add(&core.metrics.counters.connections_reused, 1);
            return Ok(upstream);
        }
        // What became of one may have become of all of them: a firewall forgot them, say.
        core.spares.close_target(target);
    }
}

/// Connects and logs in to a target.
pub(crate) async fn dial(
    core: &Rc<Core>,
    handle: &Rc<Handle>,
    target: usize,
    account: Option<Account>,
    parameters: &[(String, String)],
) -> Result<Upstream, Fault> {
    const UNREACHABLE: Fault = Fault::upstream("the target's database cannot be reached").with_state("08001");
    let limits = &core.settings.limits;
    let settings = &core.settings.targets[target];
    let mut nonce = [0; 18];
    getrandom::fill(&mut nonce).map_err(|_| UNREACHABLE)?;
    let mut found = None;
    for address in core.addresses(target) {
        match driver::connect(*address, limits.dial_timeout).await {
            Ok(socket) => {
                found = Some((socket, *address));
                break;
            }
            Err(error) => tracing::warn!(target = %settings.name, %address, %error, "cannot connect to the target"),
        }
    }
    let (socket, address) = found.ok_or(UNREACHABLE)?;
    let (account, keys) = match account {
        Some(own) => (own.name, Some(Rc::new(RefCell::new(own.keys)))),
        None => (settings.account.clone(), core.keys(target)),
    };
    let mut dial = Dial::new(DialSettings {
        account,
        database: settings.database.clone(),
        parameters: parameters.to_vec(),
        tls: settings.tls.is_some(),
        clear_allowed: address.ip().is_loopback(),
        keys,
        nonce,
    });
    let mut stream = Stream::Plain(socket);
    let bytes_max = limits.conversation.buffer_bytes_max;
    let (mut down, mut up) = (Lane::new(bytes_max), Lane::new(bytes_max));
    dial.begin(&mut down);
    loop {
        let step = dial.step(&mut up, &mut down).inspect_err(|fault| {
            let said = dial.complaint().unwrap_or("");
            tracing::warn!(target = %settings.name, %fault, said, "login to the target failed");
        })?;
        match step {
            Dialled::NeedMore => {
                exchange(core, handle, &mut up, &mut down, &mut stream).await.map_err(|_| UNREACHABLE)?;
            }
            Dialled::StartTls => {
                let (Stream::Plain(socket), Some(tls)) = (stream, &settings.tls) else { return Err(UNREACHABLE) };
                let mut secured = Tls::client(socket, &tls.config, &tls.server_name).map_err(|_| UNREACHABLE)?;
                handshake(handle, &mut secured).await.map_err(|error| {
                    tracing::warn!(target = %settings.name, %error, "TLS with the target failed");
                    Fault::upstream("TLS with the target's database failed").with_state("08001")
                })?;
                let certificate = secured.connection().peer_certificates().and_then(|c| c.first());
                let binding = certificate.and_then(|c| postgres::scram::end_point_hash(c));
                dial.secured(&mut down, binding.as_deref());
                stream = Stream::Tls(Box::new(secured));
            }
            Dialled::Ready => {
                let (reported, cancel) = (dial.parameters().to_vec(), dial.cancel_frame());
                return Ok(Upstream { stream, up, reported, cancel, ticket: None });
            }
        }
    }
}

/// Sends a cancel request to where it belongs.
pub(crate) fn cancel(core: &Rc<Core>, key: &[u8]) {
    let Some((process, secret)) = key.split_first_chunk::<4>() else { return };
    let Some((index, slot)) = Core::locate(u32::from_be_bytes(*process)) else { return };
    if index == core.index {
        cancel_here(core, slot, secret);
    } else if let Some(mailbox) = core.shared.mailboxes.get(index) {
        mailbox.post(Message::Cancel { slot, secret: secret.to_vec() });
    }
}

/// Cancels what a session of this core runs, if the secret is its own.
pub(crate) fn cancel_here(core: &Rc<Core>, slot: u32, secret: &[u8]) {
    let Some((target, frame)) = core.cancelled(slot, secret) else { return };
    add(&core.metrics.counters.cancels, 1);
    let core = Rc::clone(core);
    driver::spawn(async move { deliver(&core, target, &frame).await });
}

/// Cancels what a session runs because its result was cut; the session is told when that is done.
pub(crate) fn cancel_own(core: &Rc<Core>, handle: &Rc<Handle>) {
    handle.struck.set(true);
    let cancel = handle.cancel.borrow().clone();
    let (core, handle) = (Rc::clone(core), Rc::clone(handle));
    driver::spawn(async move {
        if let Some((target, frame)) = cancel {
            deliver(&core, target, &frame).await;
        }
        handle.cancelled.set(true);
        handle.wake();
    });
}

/// Delivers a cancel request to a target; the server has acted on it when this ends.
async fn deliver(core: &Rc<Core>, target: usize, frame: &[u8]) {
    let settings = &core.settings.targets[target];
    let Some(address) = core.addresses(target).first() else { return };
    let Some(handle) = core.enter() else { return };
    core.limit(&handle, core.settings.limits.dial_timeout, "cancel_timeout");
    let sent = send_cancel(core, &handle, *address, settings, frame).await;
    if let Err(error) = sent {
        tracing::warn!(target = %settings.name, %error, "cancel request not delivered");
    }
    core.leave(&handle);
}

async fn send_cancel(
    core: &Rc<Core>,
    handle: &Rc<Handle>,
    address: SocketAddr,
    settings: &crate::settings::TargetSettings,
    frame: &[u8],
) -> io::Result<()> {
    let socket = driver::connect(address, core.settings.limits.dial_timeout).await?;
    let bytes_max = core.settings.limits.conversation.buffer_bytes_max;
    let (mut out, mut back) = (Lane::new(bytes_max), Lane::new(bytes_max));
    let mut stream = Stream::Plain(socket);
    if let Some(tls) = &settings.tls {
        // The request travels under the same protection as the session it cancels.
        out.put(&[0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f]);
        exchange(core, handle, &mut back, &mut out, &mut stream).await.map_err(|_| io::ErrorKind::ConnectionAborted)?;
        let Stream::Plain(socket) = stream else { return Err(io::ErrorKind::InvalidData.into()) };
        if back.input() != b"S" {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        back.discard();
        let mut secured = Tls::client(socket, &tls.config, &tls.server_name)?;
        handshake(handle, &mut secured).await?;
        stream = Stream::Tls(Box::new(secured));
    }
    out.put(frame);
    // The server closes the connection when it has acted.
    let _ = exchange(core, handle, &mut back, &mut out, &mut stream).await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tag_replaces_the_clients_name_and_fits() {
        let given = vec![("application_name".to_owned(), "psql".to_owned()), ("TimeZone".to_owned(), "UTC".to_owned())];
        let tagged = tagged(&given, SessionId([0xab; 16]), &format!("zo\u{eb}{}", "x".repeat(40)));
        assert_eq!(tagged[0].0, "TimeZone");
        assert_eq!(tagged.len(), 2);
        let tag = &tagged[1].1;
        assert!(tag.starts_with(&format!("tidegate/{}/zo?x", "ab".repeat(16))), "{tag}");
        assert_eq!(tag.len(), 63);
    }
}
