//! Bytes of one side: read into a lane, written from one, waited for.
//!
//! Invariants: every wait ends when its session is to end; nothing is written that the session's recording has no room for.
//! Deliberately absent: what the bytes mean.

use crate::core::{Core, Handle, Signal};
use crate::ending::{self, CUT_LIMIT};
use crate::recorder::Recorder;
use crate::tls::{Stream, Tls};
use contract::{Chunk, Lane};
use futures_lite::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

/// What is queued for a client is given this long when a session ends.
pub(crate) const FLUSH_LIMIT: Duration = Duration::from_secs(5);

/// The session's recording.
pub(crate) fn recorder(handle: &Handle) -> Option<Rc<Recorder>> {
    handle.recorder.borrow().clone()
}

/// Why a wait ended without bytes.
pub(crate) enum Stop {
    Killed(&'static str),
    Closed,
}

/// Writes what is queued and waits for bytes.
pub(crate) async fn exchange(
    core: &Core,
    handle: &Handle,
    input: &mut Lane,
    output: &mut Lane,
    stream: &mut Stream,
) -> Result<(), Stop> {
    poll_fn(|cx| {
        handle.listen(cx.waker());
        if let Some(Signal::Kill(reason)) = handle.signal.get() {
            return Poll::Ready(Err(Stop::Killed(reason)));
        }
        if drain(output, stream, cx).is_err() {
            return Poll::Ready(Err(Stop::Closed));
        }
        match fill(core, input, stream, cx) {
            Ok(Filled::Bytes(_)) => Poll::Ready(Ok(())),
            Ok(Filled::Eof) | Err(_) => Poll::Ready(Err(Stop::Closed)),
            Ok(Filled::Nothing) => Poll::Pending,
        }
    })
    .await
}

/// Writes everything that is queued.
pub(crate) async fn flush(handle: &Handle, output: &mut Lane, stream: &mut Stream) -> io::Result<()> {
    poll_fn(|cx| {
        handle.listen(cx.waker());
        if let Some(Signal::Kill(_)) = handle.signal.get() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        match drain_recorded(output, stream, recorder(handle).as_ref(), cx) {
            Err(e) => Poll::Ready(Err(e)),
            Ok(_) if output.has_output() => Poll::Pending,
            Ok(_) => stream.poll_flush(cx),
        }
    })
    .await
}

/// Writes the last words within a limit, and closes.
pub(crate) async fn finish(core: &Core, handle: &Handle, output: &mut Lane, stream: &mut Stream) {
    last_words(core, handle, output, stream, "").await;
}

/// The same; who has no access any more is not waited for long.
pub(crate) async fn last_words(core: &Core, handle: &Handle, output: &mut Lane, stream: &mut Stream, reason: &str) {
    handle.signal.set(None);
    core.limit(handle, if ending::severs(reason) { CUT_LIMIT } else { FLUSH_LIMIT }, "flush");
    let _ = flush(handle, output, stream).await;
    // The end of TLS leaves by itself: a socket that is dropped still sends what it was given.
    poll_fn(|cx| {
        stream.close(cx);
        Poll::Ready(())
    })
    .await;
}

pub(crate) async fn handshake(handle: &Handle, tls: &mut Tls) -> io::Result<()> {
    poll_fn(|cx| {
        handle.listen(cx.waker());
        if let Some(Signal::Kill(_)) = handle.signal.get() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        tls.poll_handshake(cx)
    })
    .await
}

/// What a read brought.
pub(crate) enum Filled {
    Nothing,
    Bytes(usize),
    Eof,
}

/// Reads once into a lane.
pub(crate) fn fill(core: &Core, lane: &mut Lane, stream: &mut Stream, cx: &mut Context<'_>) -> io::Result<Filled> {
    if stream.poll_readable(cx).is_pending() {
        return Ok(Filled::Nothing);
    }
    let slot = lane.slot(&mut core.buffers.borrow_mut());
    if slot.is_empty() {
        return Ok(Filled::Nothing);
    }
    match stream.poll_read(cx, slot) {
        Poll::Pending => Ok(Filled::Nothing),
        Poll::Ready(Ok(0)) => Ok(Filled::Eof),
        Poll::Ready(Ok(n)) => {
            lane.received(n);
            Ok(Filled::Bytes(n))
        }
        Poll::Ready(Err(e)) => Err(e),
    }
}

/// Writes as much as the socket takes; bytes written.
pub(crate) fn drain(lane: &mut Lane, stream: &mut Stream, cx: &mut Context<'_>) -> io::Result<usize> {
    drain_recorded(lane, stream, None, cx)
}

/// The same; what the socket takes is recorded, and only as much is written as the recording has room for.
pub(crate) fn drain_recorded(
    lane: &mut Lane,
    stream: &mut Stream,
    recorder: Option<&Rc<Recorder>>,
    cx: &mut Context<'_>,
) -> io::Result<usize> {
    let mut total = 0;
    while let Chunk::Bytes(bytes) = lane.chunk() {
        if recorder.is_some_and(|recorder| !recorder.has_room(cx)) {
            return Ok(total);
        }
        match stream.poll_write(cx, bytes) {
            Poll::Pending => return Ok(total),
            Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
            Poll::Ready(Ok(n)) => {
                if let Some(recorder) = recorder {
                    recorder.sent(&bytes[..n]);
                }
                lane.written(n);
                total += n;
            }
            Poll::Ready(Err(e)) => return Err(e),
        }
    }
    if let Poll::Ready(Err(e)) = stream.poll_push(cx) {
        return Err(e);
    }
    Ok(total)
}
