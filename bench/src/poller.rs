//! epoll(7), level-triggered, for the single-threaded programs of the harness.
//!
//! A token is whatever number its user wants back. Nothing is removed by hand: a closed descriptor leaves by itself.

use std::{
    fmt,
    os::fd::{AsFd, OwnedFd},
    time::Duration,
};

use rustix::{
    buffer::spare_capacity,
    event::{
        Timespec,
        epoll::{self, CreateFlags, Event, EventData, EventFlags},
    },
    io::Errno,
};

use crate::failure::{Doing, Result};

const EVENTS: usize = 256;

/// What to wait for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Interest {
    /// Bytes to read.
    pub read: bool,
    /// Room to write.
    pub write: bool,
}

impl Interest {
    /// Only bytes to read.
    pub const READ: Self = Self { read: true, write: false };

    fn flags(self) -> EventFlags {
        let mut flags = EventFlags::empty();
        flags.set(EventFlags::IN, self.read);
        flags.set(EventFlags::OUT, self.write);
        flags
    }
}

/// What happened. An error or a hang-up counts as both: the call that follows finds out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ready {
    /// The token given.
    pub token: u64,
    /// Something to read.
    pub read: bool,
    /// Room to write.
    pub write: bool,
}

/// One epoll instance.
pub struct Poller {
    epoll: OwnedFd,
    events: Vec<Event>,
}

impl fmt::Debug for Poller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Poller").field("epoll", &self.epoll).finish_non_exhaustive()
    }
}

impl Poller {
    /// # Errors
    /// The kernel has no more descriptors.
    pub fn new() -> Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC).doing("create an epoll instance")?;
        Ok(Self { epoll, events: Vec::with_capacity(EVENTS) })
    }

    /// Begins to watch.
    ///
    /// # Errors
    /// epoll_ctl(2)'s.
    pub fn add(&self, what: impl AsFd, token: u64, interest: Interest) -> Result<()> {
        epoll::add(&self.epoll, what, EventData::new_u64(token), interest.flags()).doing("watch a socket")
    }

    /// Watches for something else.
    ///
    /// # Errors
    /// epoll_ctl(2)'s.
    pub fn change(&self, what: impl AsFd, token: u64, interest: Interest) -> Result<()> {
        epoll::modify(&self.epoll, what, EventData::new_u64(token), interest.flags()).doing("watch a socket")
    }

    /// Waits until something happens, or for `limit`; adds what happened to `ready`.
    ///
    /// # Errors
    /// epoll_wait(2)'s; an interruption by a signal is none, and adds nothing.
    pub fn wait(&mut self, limit: Option<Duration>, ready: &mut Vec<Ready>) -> Result<()> {
        self.events.clear();
        let limit = limit.map(|limit| Timespec {
            tv_sec: i64::try_from(limit.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(limit.subsec_nanos()),
        });
        match epoll::wait(&self.epoll, spare_capacity(&mut self.events), limit.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error).doing("wait for sockets"),
        }
        for event in self.events.drain(..) {
            let (flags, data) = (event.flags, event.data);
            let both = flags.intersects(EventFlags::ERR | EventFlags::HUP);
            ready.push(Ready {
                token: data.u64(),
                read: both || flags.contains(EventFlags::IN),
                write: both || flags.contains(EventFlags::OUT),
            });
        }
        Ok(())
    }
}
