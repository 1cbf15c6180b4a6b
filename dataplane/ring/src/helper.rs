//! Work that would hold up the core, on one thread beside it.

use crate::reactor::current;
use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, Waker};
use std::thread::JoinHandle;

type Job = Box<dyn FnOnce() + Send>;

/// The thread; it begins with the first work, and ends with the core when its work is done.
#[derive(Default)]
pub(crate) struct Helper {
    thread: RefCell<Option<(Sender<Job>, JoinHandle<()>)>>,
}

impl Helper {
    fn post(&self, job: Job) -> io::Result<()> {
        let mut thread = self.thread.borrow_mut();
        if thread.is_none() {
            let (sender, jobs) = channel::<Job>();
            let name = format!("{}-help", std::thread::current().name().unwrap_or("core"));
            let work = move || jobs.into_iter().for_each(|job| job());
            *thread = Some((sender, std::thread::Builder::new().name(name).spawn(work)?));
        }
        let (sender, _) = thread.as_ref().ok_or(io::ErrorKind::BrokenPipe)?;
        sender.send(job).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        if let Some((sender, thread)) = self.thread.take() {
            drop(sender);
            // Panics of work were caught.
            let _ = thread.join();
        }
    }
}

enum Answer<R> {
    Waiting(Option<Waker>),
    Here(io::Result<R>),
}

/// Runs work on the core's helper thread, behind what was given to it before. Work that was begun, or is queued, is done even
/// if nobody waits for it any more.
///
/// # Errors
/// Those of the work; a panic is one. There is no thread.
pub fn blocking<R: Send + 'static>(
    work: impl FnOnce() -> io::Result<R> + Send + 'static,
) -> impl Future<Output = io::Result<R>> {
    let answer = Arc::new(Mutex::new(Answer::<R>::Waiting(None)));
    let tell = Arc::clone(&answer);
    let posted = current().helper.post(Box::new(move || {
        let result = catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err(io::Error::other("work panicked")));
        let before = {
            // Nothing panics while it is held.
            let mut answer = tell.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *answer, Answer::Here(result))
        };
        if let Answer::Waiting(Some(waker)) = before {
            waker.wake();
        }
    }));
    let mut posted = Some(posted);
    poll_fn(move |cx| {
        if let Some(Err(error)) = posted.take() {
            return Poll::Ready(Err(error));
        }
        let mut answer = answer.lock().unwrap_or_else(PoisonError::into_inner);
        match std::mem::replace(&mut *answer, Answer::Waiting(Some(cx.waker().clone()))) {
            Answer::Here(result) => Poll::Ready(result),
            Answer::Waiting(_) => Poll::Pending,
        }
    })
}
