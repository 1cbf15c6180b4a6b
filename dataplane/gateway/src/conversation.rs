//! The task of one client: login, dial, serve. The value that decides is in `session`; here bytes are moved.
//!
//! Invariants: the four half-flows (read and write, each side) are polled in every turn, so none waits for another;
//! a turn is bounded; every way out writes the session's last record.

use crate::access::{AccountWanted, Live, Question};
use crate::core::{Core, Handle, SealError, Signal};
use crate::driver::{self, Socket};
use crate::ending::{self, CORE_FAILED, CUT_LIMIT, NO_KEY, SHUTDOWN, killed};
use crate::exchange::{
    FLUSH_LIMIT, Filled, Stop, drain, drain_recorded, exchange, fill, finish, flush, handshake, last_words, recorder,
};
use crate::holds;
use crate::metrics::{Wait, add, subtract};
use crate::proof;
use crate::recorder::Recorder;
use crate::settings::{Credentials, RecordingMode};
use crate::spares::{self, Ticket, Upstream};
use crate::tls::{Stream, Tls};
use crate::upstream::{self, cancel, cancel_own, dial};
use audit::record::{Access, Actor, Record};
use audit::writer::Pressure;
use contract::{Fault, Greeting as _, Lane, Peer};
use futures_lite::FutureExt as _;
use futures_lite::future::poll_fn;
use postgres::{Greet, Serve, TlsOffer};
use session::{Admitted, Granted, Host as _, Login, LoginNext, Proven, Session, SessionInfo, Startup, Verdicts};
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

/// Turns of one poll, and bytes read in it, before other sessions get theirs: a bulk reader must not make them wait.
const TURNS_MAX: usize = 16;
const POLL_BYTES_MAX: usize = 256 << 10;
/// Why a session ends that the log cannot record.
const AUDIT_FAILED: &str = "audit_failed";
/// SQLSTATE of that.
const NOT_RECORDED_STATE: &str = "58030";
/// A statement may run on this long after its client is gone.
const GONE_LIMIT: Duration = Duration::from_secs(10);

/// Parameters of one Bind that are kept for its record, and of all Binds of a session that are not closed.
const PARAMETERS_BYTES_MAX: usize = 64 << 10;
const PARAMETERS_BYTES_IN_ALL: usize = 1 << 20;

/// Runs one client's conversation to its end.
pub(crate) async fn run(core: Rc<Core>, socket: Socket, peer: SocketAddr) {
    let Some(seat) = core.shared.sit(core.settings.limits.sessions) else {
        add(&core.metrics.counters.rejected, 1);
        let fault = Fault::downstream("sorry, too many clients already").with_state("53300");
        turn_away(&core, socket, &fault).await;
        return;
    };
    if core.audit.pressure() != Pressure::Normal {
        add(&core.metrics.counters.rejected, 1);
        core.audit.refused_session();
        let fault = Fault::downstream("the gateway takes no new sessions now: its audit log cannot take their records");
        turn_away(&core, socket, &fault.with_state("57P03")).await;
        return;
    }
    let Some(handle) = core.enter() else { return };
    add(&core.metrics.counters.sessions_open, 1);
    let talk = AssertUnwindSafe(talk(Rc::clone(&core), Rc::clone(&handle), socket, peer)).catch_unwind();
    if talk.await.is_err() {
        add(&core.metrics.counters.panics, 1);
        if let Some(knife) = handle.knife.take() {
            // What it was about to send may be half of something.
            knife.cut();
        }
        if let Some(recorder) = recorder(&handle) {
            recorder.close().await;
        }
        let detail = "a panic ended this session";
        drop(core.record(&Record::Alarm { session: handle.id, kind: "panic", detail }));
        let (statements, bytes) = (0, 0);
        drop(core.record(&Record::SessionClose { session: handle.id, reason: "panic", statements, bytes }));
    }
    subtract(&core.metrics.counters.sessions_open, 1);
    core.shared.live.leave(handle.id);
    if handle.asked.get() {
        core.ask(&handle, Question::Ended);
    }
    core.leave(&handle);
    drop(seat);
}

/// Tells a client that there is no room, in the protocol's words.
async fn turn_away(core: &Rc<Core>, socket: Socket, fault: &Fault) {
    let mut stream = Stream::Plain(socket);
    let mut lane = Lane::new(core.settings.limits.conversation.buffer_bytes_max);
    Greet::new(TlsOffer::Absent, 0).deny(&mut lane, fault, None);
    // One write: a fresh socket's buffer has room, and a client that is turned away is not waited for.
    poll_fn(|cx| {
        let _ = drain(&mut lane, &mut stream, cx);
        Poll::Ready(())
    })
    .await;
}

async fn talk(core: Rc<Core>, handle: Rc<Handle>, socket: Socket, peer: SocketAddr) {
    // The login's and the dial's state live on the heap while they last: an idle session keeps only what it needs.
    // The session stays there too: moved in here it would be in this future as well, and the box is free at the end only.
    let Some(mut entered) = Box::pin(enter(&core, &handle, socket, peer)).await else { return };
    let mut ends = Ends::default();
    let reason = {
        let Entered { session, client, database, .. } = &mut *entered;
        poll_fn(|cx| turn(cx, &core, &handle, session, client, database, &mut ends)).await
    };
    Box::pin(part(&core, &handle, entered, reason)).await;
}

/// What is left to do when a session is over.
async fn part(core: &Rc<Core>, handle: &Rc<Handle>, entered: Box<Entered>, reason: &'static str) {
    let Entered { mut session, mut client, mut database, user: _user, kept } = *entered;
    // From here on it is another's, or closed.
    handle.knife.take();
    if ending::severs(reason) {
        // Before anything else: statements that wait in our memory or the kernel's are not run.
        database.cut();
        if session.is_busy() {
            cancel_own(core, handle);
        }
        drop(database);
        if ending::is_cut(reason) {
            core.record_cut(handle, &session.info().target_name, &session.info().account, reason);
        }
    } else {
        give_back(core, handle, &session, database, kept, reason);
    }
    if let Some(recorder) = recorder(handle) {
        // Its last words are recorded too, and the log speaks of the recording before it speaks of the end.
        session.marks().for_each(|mark| recorder.mark(mark));
        session.settle(&**core);
        holds::post(core, handle, &mut session);
        Box::pin(conclude(core, handle, &mut session, reason)).await;
        Box::pin(last_words(core, handle, &mut session.up, &mut client, reason)).await;
        recorder.close().await;
        session.end(&**core, reason);
        return;
    }
    session.end(&**core, reason);
    holds::post(core, handle, &mut session);
    Box::pin(conclude(core, handle, &mut session, reason)).await;
    Box::pin(last_words(core, handle, &mut session.up, &mut client, reason)).await;
}

/// What becomes of the connection to the database when its session is over: kept for another, if it is as it was.
fn give_back(
    core: &Rc<Core>,
    handle: &Handle,
    session: &Session<Serve<Verdicts>>,
    database: Stream,
    kept: Option<Box<Kept>>,
    reason: &'static str,
) {
    let Some((ticket, reported)) = kept.map(|kept| *kept) else { return };
    let idle = session.is_idle() && !session.down.has_output() && session.up.input().is_empty();
    // A parameter that was made stays, empty, also when all is discarded.
    let untouched = idle && ending::leaves_whole(reason) && !session.made_parameters();
    let cancel = handle.cancel.borrow_mut().take();
    let Some((_, cancel)) = cancel.filter(|_| untouched && !handle.struck.get() && !core.draining.get()) else {
        return driver::spawn(spares::say_goodbye(database));
    };
    let up = Lane::new(core.settings.limits.conversation.buffer_bytes_max);
    spares::keep(core, Upstream { stream: database, up, reported, cancel, ticket: Some(ticket) });
}

/// Waits for the records of what is queued for the client; what is not recorded in time is dropped.
async fn conclude(core: &Core, handle: &Handle, session: &mut Session<Serve<Verdicts>>, reason: &'static str) {
    handle.signal.set(None);
    session.release(core);
    if reason != AUDIT_FAILED
        && session.up.is_held()
        && let Some(last) = session.last_hold()
    {
        core.limit(handle, if ending::severs(reason) { CUT_LIMIT } else { FLUSH_LIMIT }, "flush");
        poll_fn(|cx| {
            handle.listen(cx.waker());
            if let Some(Signal::Kill(_)) = handle.signal.get() {
                return Poll::Ready(());
            }
            core.audit.poll_durable(cx, last).map(drop)
        })
        .await;
        session.release(core);
    }
    if session.up.is_held() {
        session.withhold();
    }
}

/// A session ready to serve.
struct Entered {
    session: Session<Serve<Verdicts>>,
    client: Stream,
    database: Stream,
    user: crate::UserSeat,
    /// What it takes to use the connection to the database again.
    kept: Option<Box<Kept>>,
}

/// Whose connection it can be, and what the database reported in it.
type Kept = (Ticket, Vec<(Vec<u8>, Vec<u8>)>);

async fn enter(core: &Rc<Core>, handle: &Rc<Handle>, socket: Socket, peer: SocketAddr) -> Option<Box<Entered>> {
    let limits = &core.settings.limits;
    core.limit(handle, limits.login_timeout, "login_timeout");
    let tls = core.tls();
    let offer = match &tls {
        None => TlsOffer::Absent,
        Some(tls) if tls.required => TlsOffer::Required,
        Some(_) => TlsOffer::Offered,
    };
    let greet = Greet::new(offer, limits.conversation.startup_bytes_max);
    let mut login = Login::new(greet, handle.id, peer.to_string(), limits.conversation.buffer_bytes_max);
    let mut client = Stream::Plain(socket);
    let admitted = loop {
        match login.advance(&**core) {
            LoginNext::Io => match exchange(core, handle, &mut login.down, &mut login.up, &mut client).await {
                Ok(()) => {}
                Err(Stop::Killed(reason)) => {
                    let late = Fault::downstream("login took too long").with_state("08006");
                    login.fail(&**core, &if reason == CORE_FAILED { killed(reason) } else { late }, reason);
                    finish(core, handle, &mut login.up, &mut client).await;
                    return None;
                }
                Err(Stop::Closed) => {
                    // A connection that never said a word is a port check, not a failed login.
                    if !login.request().user.is_empty() {
                        login.note(&**core, "client_closed");
                    }
                    return None;
                }
            },
            next @ (LoginNext::StartTls | LoginNext::DirectTls) => {
                let tls = tls.as_ref()?;
                let direct = matches!(next, LoginNext::DirectTls);
                if flush(handle, &mut login.up, &mut client).await.is_err() {
                    return None;
                }
                let early = login.down.input().to_vec();
                login.down.skip(early.len());
                let Stream::Plain(socket) = client else { return None };
                let mut secured = Tls::server(socket, &tls.config, &early).ok()?;
                if handshake(handle, &mut secured).await.is_err() {
                    login.note(&**core, "tls_handshake");
                    return None;
                }
                if direct && secured.connection().alpn_protocol() != Some(b"postgresql") {
                    login.note(&**core, "tls_alpn");
                    return None;
                }
                client = Stream::Tls(Box::new(secured));
                login.greeting.secured(&tls.end_point_hash);
            }
            LoginNext::Cancel(key) => {
                cancel(core, &key);
                return None;
            }
            LoginNext::Who(_) => proof::ask(core, &client, &mut login)?,
            LoginNext::Shown(shows, token) => {
                let verdict = proof::judge(core, handle, login.request(), &peer, shows, token).await;
                login.shown(verdict);
            }
            LoginNext::Proved if core.shared.unsigned_too_long.load(Ordering::Relaxed) => {
                let fault = Fault::downstream(
                    "the gateway admits no new sessions: checkpoints of its audit log have not been signed for too long",
                );
                login.fail(&**core, &fault.with_state("57P03"), "unsigned_too_long");
            }
            LoginNext::Proved => {
                let target = core.target(&login.request().database);
                if let Some(admitted) = login.admit(&**core, target) {
                    break admitted;
                }
            }
            LoginNext::End(_) => {
                finish(core, handle, &mut login.up, &mut client).await;
                return None;
            }
        }
    };
    open(core, handle, login, admitted, client, peer).await
}

/// Dials the target and opens the session.
async fn open(
    core: &Rc<Core>,
    handle: &Rc<Handle>,
    mut login: Login<Greet>,
    admitted: Admitted,
    mut client: Stream,
    peer: SocketAddr,
) -> Option<Box<Entered>> {
    let limits = &core.settings.limits;
    let until_ns = admitted.until_ns();
    let Admitted { grant, request, target, proven, granted } = admitted;
    let name = request.user.clone();
    let Some(user) = core.shared.seat(&name, limits.sessions_per_user) else {
        login.restore(request);
        let fault = Fault::downstream("too many sessions of this user").with_state("53300");
        login.fail(&**core, &fault, "sessions_per_user");
        finish(core, handle, &mut login.up, &mut client).await;
        return None;
    };
    core.limit(handle, limits.dial_timeout, "dial_timeout");
    let own = match core.settings.targets[target].credentials {
        Credentials::PerSession => {
            let policy::Identity { issuer, subject, .. } = proven.identity.clone();
            let role = grant.role().to_owned();
            let wanted = AccountWanted { target, issuer, subject, role, until_ns };
            upstream::account(core, handle, wanted).await.map(Some)
        }
        Credentials::Plain | Credentials::Tagged => Ok(None),
    };
    let account = own.as_ref().ok().and_then(|own| own.as_ref().map(|own| own.name.clone()));
    let dialling_ns = core.now_ns();
    let dialled = match own {
        Err(fault) => Err(fault),
        Ok(own) => match core.settings.targets[target].credentials {
            Credentials::Plain => upstream::reach(core, handle, target, &request.parameters, None).await,
            Credentials::Tagged => upstream::reach(core, handle, target, &request.parameters, Some(&name)).await,
            Credentials::PerSession => {
                let parameters = upstream::tagged(&request.parameters, handle.id, &name);
                dial(core, handle, target, own, &parameters).await
            }
        },
    };
    let Upstream { stream: database, mut up, reported, cancel: cancel_frame, ticket } = match dialled {
        Ok(dialled) => dialled,
        Err(fault) => {
            login.restore(request);
            login.fail(&**core, &fault, "dial");
            finish(core, handle, &mut login.up, &mut client).await;
            return None;
        }
    };
    core.metrics.waited(Wait::Dial, core.now_ns().saturating_sub(dialling_ns));
    handle.limit(0, "");
    if flush(handle, &mut login.up, &mut client).await.is_err() {
        return None;
    }
    let settings = &core.settings.targets[target];
    let channels = {
        let roles = &grant.epoch().bundle().model().roles;
        let patterns = match grant.mode() {
            policy::model::Mode::Observe => vec!["*".to_owned()],
            _ => roles.iter().find(|r| r.name == grant.role()).map(|r| r.channels.clone()).unwrap_or_default(),
        };
        Rc::new(move |channel: &[u8]| {
            std::str::from_utf8(channel).is_ok_and(|c| patterns.iter().any(|p| policy::glob::matches(p, c)))
        })
    };
    let mut policy = settings.recordings.of(grant.role());
    if granted.as_ref().is_some_and(|granted| granted.emergency) {
        policy = policy.forced(!core.settings.recipients.is_empty());
    }
    let sealed = core.session_key(handle.id).and_then(|key| {
        let recorder = match policy.mode {
            RecordingMode::None => None,
            _ => Some(Recorder::new(Rc::clone(&core.studio), handle, policy, key.as_deref()).map_err(|_| SealError)?),
        };
        Ok((key, recorder))
    });
    let Ok((key, recorder)) = sealed else {
        login.restore(request);
        login.fail(&**core, &NO_KEY, "session_key");
        finish(core, handle, &mut login.up, &mut client).await;
        return None;
    };
    let info = SessionInfo {
        id: handle.id,
        source: peer.to_string(),
        tls: client.describe(),
        issuer: proven.identity.issuer.clone(),
        subject: proven.identity.subject.clone(),
        user: name,
        application: request.application,
        target,
        target_name: settings.name.clone(),
        database: settings.database.clone(),
        account: account.unwrap_or_else(|| settings.account.clone()),
        mode: core.mode(target),
        wait_max_ns: u64::try_from(core.settings.audit_wait_max.as_nanos()).unwrap_or(u64::MAX),
        startup: Startup::of(&request.parameters),
        purpose: purpose(&proven, granted.as_ref()),
        hold_max_ns: u64::try_from(limits.hold_max.as_nanos()).unwrap_or(u64::MAX),
        hold_notice_ns: u64::try_from(limits.hold_notice.as_nanos()).unwrap_or(u64::MAX),
        key,
        recording: policy.mode.word(),
    };
    let mut serving = Serve::new(limits.conversation, channels);
    if info.key.is_some() {
        serving = serving.keeping_parameters(PARAMETERS_BYTES_MAX, PARAMETERS_BYTES_IN_ALL);
    }
    if ticket.is_some() {
        serving = serving.keeping_connection();
    }
    login.greeting.accept(&mut up, &reported, core.process(handle), &handle.secret);
    *handle.cancel.borrow_mut() = Some((target, cancel_frame));
    handle.knife.set(database.knife());
    let Login { down, greeting, .. } = login;
    match Session::open(serving, grant, info, down, up, &**core) {
        Ok(mut session) => {
            add(&core.metrics.counters.sessions, 1);
            core.metrics.waited(Wait::Login, core.now_ns().saturating_sub(handle.began_ns));
            let live = live(core, &session, &proven, granted.as_ref(), until_ns);
            if live.until_ns > 0 || !live.purpose.is_empty() || !live.credential.is_empty() {
                // A log that does not take it ends the session with its first statement.
                drop(core.record(&bound(&live, &proven.how)));
            }
            // What was taken back while the login was under way is no more than what is taken back later.
            if let Some(reason) = core.shared.live.enter(live, handle.began_ns) {
                handle.signal.set(Some(Signal::Kill(reason)));
            }
            core.expire(handle, until_ns);
            handle.banner.set(granted.as_ref().is_some_and(|granted| granted.emergency));
            if recorder.is_some() {
                session.keep_marks();
                *handle.recorder.borrow_mut() = recorder;
            }
            Some(Box::new(Entered {
                session,
                client,
                database,
                user,
                kept: ticket.map(|ticket| Box::new((ticket, reported))),
            }))
        }
        Err(fault) => {
            let mut last = Lane::new(limits.conversation.buffer_bytes_max);
            greeting.deny(&mut last, &fault, None);
            finish(core, handle, &mut last, &mut client).await;
            None
        }
    }
}

/// What a session is for: what its grant was given for, or what was said at sign-in.
fn purpose(proven: &Proven, granted: Option<&Granted>) -> String {
    let of_grant = granted.map(|granted| granted.purpose.clone()).filter(|purpose| !purpose.is_empty());
    of_grant.unwrap_or_else(|| proven.purpose.clone())
}

/// A session, as people see it.
fn live(
    core: &Core,
    session: &Session<Serve<Verdicts>>,
    proven: &Proven,
    granted: Option<&Granted>,
    until_ns: u64,
) -> Live {
    let info = session.info();
    Live {
        session: info.id,
        core: core.index,
        issuer: info.issuer.clone(),
        subject: info.subject.clone(),
        user: info.user.clone(),
        role: session.role().to_owned(),
        target: info.target_name.clone(),
        source: info.source.clone(),
        application: info.application.clone(),
        grant: granted.map(|granted| granted.id.clone()).unwrap_or_default(),
        credential: proven.credential.clone(),
        purpose: info.purpose.clone(),
        since_ns: core.unix_ns(),
        until_ns,
    }
}

/// The record of what a session is bound to.
fn bound<'a>(live: &'a Live, how: &'a str) -> Record<'a> {
    let actor = Actor { issuer: &live.issuer, subject: &live.subject, role: &live.role };
    Record::Access(Access {
        kind: "bind",
        session: live.session,
        actor,
        user: &live.user,
        id: if live.grant.is_empty() { &live.credential } else { &live.grant },
        reason: &live.purpose,
        detail: how,
        until_ns: live.until_ns,
        ..Access::default()
    })
}

/// Which ends are closed.
#[derive(Debug, Default)]
struct Ends {
    client: bool,
    database: bool,
}

/// One poll of a serving session; ready with the reason when it is over.
fn turn(
    cx: &mut Context<'_>,
    core: &Rc<Core>,
    handle: &Rc<Handle>,
    session: &mut Session<Serve<Verdicts>>,
    client: &mut Stream,
    database: &mut Stream,
    ends: &mut Ends,
) -> Poll<&'static str> {
    handle.listen(cx.waker());
    let counters = &core.metrics.counters;
    let recorder = recorder(handle);
    let recorder = recorder.as_ref();
    let (mut wrote, mut read) = (0, 0);
    for turn in 0.. {
        match handle.signal.get() {
            Some(Signal::Kill(reason)) => {
                session.farewell(&killed(reason));
                return Poll::Ready(reason);
            }
            Some(Signal::Drain) if session.is_idle() && !session.up.has_output() => {
                session.farewell(&SHUTDOWN);
                return Poll::Ready("drain");
            }
            Some(Signal::Drain) | None => {}
        }
        if handle.renew.replace(false)
            && let Err(fault) = session.renew(&**core)
        {
            session.farewell(&fault);
            return Poll::Ready("not_admitted");
        }
        if handle.cancelled.replace(false) {
            session.cancelled();
        }
        ending::warn(core, handle, session);
        let mut moved = false;
        let stalled = core.audit.pressure() == Pressure::Stalled;
        if stalled {
            core.audit.poll_relief(cx);
        }
        if !ends.client && !stalled {
            match fill(core, &mut session.down, client, cx) {
                Ok(Filled::Nothing) => {}
                Ok(Filled::Bytes(n)) => {
                    add(&counters.bytes_in, n as u64);
                    read += n;
                    moved = true;
                }
                Ok(Filled::Eof) => {
                    ends.client = true;
                    core.limit(handle, GONE_LIMIT, "client_closed");
                    moved = true;
                }
                Err(_) => return Poll::Ready("client_closed"),
            }
        }
        if !ends.database {
            match fill(core, &mut session.up, database, cx) {
                Ok(Filled::Nothing) => {}
                Ok(Filled::Bytes(n)) => {
                    read += n;
                    moved = true;
                }
                Ok(Filled::Eof) | Err(_) => {
                    ends.database = true;
                    moved = true;
                }
            }
        }
        holds::deliver(handle, session, ends.client);
        let progress = match session.advance(&**core) {
            Ok(progress) => progress,
            Err(fault) if fault.state == NOT_RECORDED_STATE => {
                add(&counters.audit_given_up, 1);
                core.audit.refused_statement();
                session.farewell(&fault);
                return Poll::Ready(AUDIT_FAILED);
            }
            Err(fault) => {
                add(&counters.faults, 1);
                tracing::warn!(%fault, user = %session.info().user, "conversation ended by a fault");
                session.farewell(&fault);
                return Poll::Ready(if fault.side == Peer::Downstream { "client_fault" } else { "upstream_fault" });
            }
        };
        moved |= progress.moved;
        holds::post(core, handle, session);
        if let Some(recorder) = recorder {
            session.marks().for_each(|mark| recorder.mark(mark));
        }
        if progress.cancel {
            cancel_own(core, handle);
        }
        let mut whole = !progress.blocked;
        match drain(&mut session.down, database, cx) {
            Ok(n) => moved |= n > 0,
            Err(_) => {
                // What it said before it went is still read.
                session.down.discard();
                moved |= !ends.database && progress.moved;
                whole = false;
            }
        }
        match drain_recorded(&mut session.up, client, recorder, cx) {
            Ok(n) => {
                add(&counters.bytes_out, n as u64);
                wrote += n;
                moved |= n > 0;
            }
            Err(_) => return Poll::Ready("client_closed"),
        }
        if session.said_goodbye() && !session.down.has_output() {
            return Poll::Ready("client_terminated");
        }
        if moved && whole && !progress.again && !ends.client && !ends.database && !handle.is_called() {
            // What came is dealt with. Where nothing more has come, another turn would only find that out.
            moved = database.poll_readable(cx).is_ready() || stalled || client.poll_readable(cx).is_ready();
        }
        if !moved && !progress.again {
            let mut durable = false;
            for sequence in [progress.waits_for, progress.holds_for].into_iter().flatten() {
                match core.audit.poll_durable(cx, sequence) {
                    Poll::Ready(Ok(())) => durable = true,
                    Poll::Ready(Err(_)) => {
                        session
                            .farewell(&Fault::upstream("the audit log cannot record this session").with_state("58030"));
                        return Poll::Ready(AUDIT_FAILED);
                    }
                    Poll::Pending => {}
                }
            }
            if durable {
                continue;
            }
            handle.wake_ns.set(progress.wait_ends_ns.unwrap_or(0));
            if progress.waits_for.is_some() {
                break;
            }
            if ends.database && !session.up.has_output() {
                if let Some(fault) = session.closed(Peer::Upstream) {
                    session.farewell(&fault);
                }
                return Poll::Ready("upstream_closed");
            }
            if ends.client && !session.is_busy() {
                return Poll::Ready("client_closed");
            }
            break;
        }
        if turn >= TURNS_MAX || read >= POLL_BYTES_MAX {
            cx.waker().wake_by_ref();
            break;
        }
    }
    let mut buffers = core.buffers.borrow_mut();
    session.down.rest(&mut buffers);
    session.up.rest(&mut buffers);
    drop(buffers);
    waits(core, handle, &session.up);
    deadline(core, handle, session, ends, wrote);
    Poll::Pending
}

/// Measures how long output waits for its record, and for the client. The clock is read when a wait begins or ends.
fn waits(core: &Core, handle: &Handle, up: &Lane) {
    let both = [(up.is_held(), &handle.held_ns, Wait::Held), (up.can_write(), &handle.blocked_ns, Wait::Write)];
    for (waits, since_ns, wait) in both {
        match (waits, since_ns.get()) {
            (true, 0) => since_ns.set(core.now_ns()),
            (false, since) if since > 0 => {
                core.metrics.waited(wait, core.now_ns().saturating_sub(since));
                since_ns.set(0);
            }
            _ => {}
        }
    }
}

/// Sets what this session may wait for, and how long.
fn deadline(core: &Core, handle: &Handle, session: &Session<Serve<Verdicts>>, ends: &Ends, wrote: usize) {
    const NOT_READING: &str = "client_not_reading";
    let limits = &core.settings.limits;
    if ends.client {
        return;
    }
    if session.up.can_write() {
        if wrote > 0 || handle.deadline_ns.get() == 0 || handle.deadline_reason.get() != NOT_READING {
            core.limit(handle, limits.idle_write_timeout, NOT_READING);
        }
    } else if !session.up.has_output() && !limits.idle_timeout.is_zero() && session.is_idle() {
        core.limit(handle, limits.idle_timeout, "idle_timeout");
    } else {
        handle.limit(0, "");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes of what an async function of three arguments returns.
    fn bytes<A, B, C, F: Future>(_: fn(A, B, C) -> F) -> usize {
        size_of::<F>()
    }

    /// Each idle session costs all of these: what is rare belongs into a box of its own.
    #[test]
    fn an_idle_session_is_small() {
        let sizes =
            [("task", bytes(run), 700), ("session", size_of::<Entered>(), 2500), ("handle", size_of::<Handle>(), 304)];
        println!(
            "of the session: value {}, each stream {}",
            size_of::<Session<Serve<Verdicts>>>(),
            size_of::<Stream>()
        );
        for (what, bytes, limit) in sizes {
            println!("{what}: {bytes} bytes");
            assert!(bytes <= limit, "{what}: {bytes} bytes, and {limit} are allowed");
        }
    }
}
