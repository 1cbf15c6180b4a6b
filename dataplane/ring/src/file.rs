//! Files that are written past the page cache, and operations with one answer.

use crate::helper::blocking;
use crate::raw::{AlignedBuffer, Operation, Outcome};
use crate::reactor::{Reactor, Target, current};
use crate::table::Key;
use std::cell::{Cell, RefCell};
use std::fs::File;
use std::future::poll_fn;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

#[derive(Default)]
struct Answer {
    done: Option<(i32, Outcome)>,
    waker: Option<Waker>,
}

/// The answer to an operation that completes once.
#[derive(Default)]
pub(crate) struct Finished(RefCell<Answer>);

impl Finished {
    /// Queues the operation.
    pub(crate) fn begin(reactor: &Rc<Reactor>, operation: Operation) -> Pending {
        let finished = Rc::new(Self::default());
        let key = reactor.push(operation, Target::Finished(Rc::clone(&finished)));
        Pending { reactor: Rc::clone(reactor), finished, key, over: false }
    }

    pub(crate) fn finish(&self, result: i32, outcome: Outcome) {
        let mut answer = self.0.borrow_mut();
        answer.done = Some((result, outcome));
        let waker = answer.waker.take();
        drop(answer);
        waker.into_iter().for_each(Waker::wake);
    }
}

/// An operation that completes once. Dropped before that, it is cancelled.
pub(crate) struct Pending {
    reactor: Rc<Reactor>,
    finished: Rc<Finished>,
    key: Key,
    over: bool,
}

impl Pending {
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<(i32, Outcome)> {
        let mut answer = self.finished.0.borrow_mut();
        match answer.done.take() {
            Some(done) => {
                self.over = true;
                Poll::Ready(done)
            }
            None => {
                answer.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if !self.over {
            self.reactor.cancel(self.key);
        }
    }
}

/// A file that exists and is written past the page cache (O_DIRECT), at positions and in lengths that the device allows.
pub struct DirectFile {
    reactor: Rc<Reactor>,
    fd: Rc<OwnedFd>,
    /// Beginnings and ends of writes that are not durable by themselves,
    loose: Cell<u64>,
    /// and how many of them a sync that succeeded came after.
    synced: Cell<u64>,
}

impl std::fmt::Debug for DirectFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DirectFile").field("fd", &self.fd).finish_non_exhaustive()
    }
}

impl DirectFile {
    /// Opens a file for writing.
    ///
    /// # Errors
    /// The kernel's; `InvalidInput` where the file system has no direct writes.
    pub async fn open(path: &Path) -> io::Result<Self> {
        let path = path.to_owned();
        let opened = blocking(move || File::options().write(true).custom_flags(libc::O_DIRECT).open(path)).await?;
        Ok(Self { reactor: current(), fd: Rc::new(opened.into()), loose: Cell::new(0), synced: Cell::new(0) })
    }

    /// Memory for a write; what is in it is left over from before.
    #[must_use]
    pub fn buffer(&self, bytes: usize) -> AlignedBuffer {
        self.reactor.aligned(bytes)
    }

    /// Writes all of the buffer; with `durable` it is on the disk when this ends, without a sync of its own (RWF_DSYNC).
    ///
    /// # Errors
    /// The kernel's; `WriteZero` when it took less.
    pub async fn write(&self, buffer: AlignedBuffer, position: u64, durable: bool) -> io::Result<()> {
        let bytes = buffer.len();
        if !durable {
            self.loose.set(self.loose.get() + 1);
        }
        let operation = Operation::Write(Rc::clone(&self.fd), buffer, position, durable);
        let mut pending = Finished::begin(&self.reactor, operation);
        let (result, outcome) = poll_fn(|cx| pending.poll(cx)).await;
        if !durable {
            self.loose.set(self.loose.get() + 1);
        }
        if let Outcome::Written(buffer) = outcome {
            self.reactor.keep_aligned(buffer);
        }
        match usize::try_from(result) {
            Ok(written) if written == bytes => Ok(()),
            Ok(_) => Err(io::ErrorKind::WriteZero.into()),
            Err(_) => Err(io::Error::from_raw_os_error(-result)),
        }
    }

    /// Makes durable what was written and is not (fdatasync).
    ///
    /// # Errors
    /// The kernel's; afterwards nothing is known of what was written.
    pub async fn sync(&self) -> io::Result<()> {
        let before = self.loose.get();
        if self.synced.get() >= before {
            return Ok(());
        }
        let mut pending = Finished::begin(&self.reactor, Operation::Sync(Rc::clone(&self.fd)));
        let (result, _) = poll_fn(|cx| pending.poll(cx)).await;
        if result < 0 {
            return Err(io::Error::from_raw_os_error(-result));
        }
        self.synced.set(self.synced.get().max(before));
        Ok(())
    }
}
