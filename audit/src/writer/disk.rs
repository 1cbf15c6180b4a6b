//! Where blocks go: the segment that is written, those made ready for later, and the spare directory.
//!
//! Invariants: a segment in which anything failed is never written again; two segments are kept ready, so that a full
//! disk shows itself while there is still room for what is under way; a segment is looked for in the first directory that
//! did not just fail.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::path::PathBuf;
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::Duration;

use super::device::{Device, KeyPlace};
use super::{FaultPoint, RETRY, WriterOptions};
use crate::recover::CoreStart;
use crate::segment::{HEADER_PAGE_BYTES, SegmentHeader};

/// Segments kept ready.
const READY: usize = 2;
/// A directory that failed is left alone for this long, if there is another.
const SHUN: Duration = Duration::from_secs(10);

/// A directory for this core's segments.
struct Home {
    folder: PathBuf,
    failed_at_ns: Option<u64>,
}

struct Current<F> {
    file: F,
    position: u64,
    bytes: u64,
    home: usize,
}

/// Segments made ready in the background.
#[derive(Default)]
struct Ahead {
    ready: VecDeque<PathBuf>,
    /// Directory they are in.
    home: usize,
    under_way: bool,
    /// The last attempt failed.
    failing: Option<io::ErrorKind>,
    /// Numbers the files.
    next: u32,
    closing: bool,
    waker: Option<Waker>,
}

pub(super) struct Disk<D: Device> {
    device: Rc<D>,
    start: CoreStart,
    options: WriterOptions,
    homes: Vec<Home>,
    current: Option<Current<D::File>>,
    ahead: Rc<RefCell<Ahead>>,
    space: Rc<Cell<Space>>,
}

/// How much room there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Space {
    /// No segment can be made ready, and why.
    pub(super) failing: Option<io::ErrorKind>,
    /// What is left is kept for the ends of what was let begin.
    pub(super) reserve: bool,
    /// The spare directory is written.
    pub(super) spare: bool,
}

impl<D: Device> Disk<D> {
    pub(super) fn new(device: Rc<D>, start: CoreStart, options: WriterOptions, space: Rc<Cell<Space>>) -> Self {
        let folders = std::iter::once(start.directory.clone()).chain(start.spare.clone());
        let homes = folders.map(|folder| Home { folder, failed_at_ns: None }).collect();
        Self { device, start, options, homes, current: None, ahead: Rc::default(), space }
    }

    pub(super) fn homes(&self) -> usize {
        self.homes.len()
    }

    fn note_space(&self) {
        let ahead = self.ahead.borrow();
        let left = self.current.as_ref().map_or(0, |current| current.bytes - current.position);
        self.space.set(Space {
            failing: ahead.failing,
            reserve: ahead.failing.is_some() && ahead.ready.is_empty() && left < self.usual_bytes() / 2,
            spare: self.current.as_ref().is_some_and(|current| current.home > 0),
        });
    }

    fn fault(&self, point: FaultPoint) -> io::Result<()> {
        match self.options.faults.as_ref().and_then(|faults| faults(point)) {
            Some(kind) => Err(kind.into()),
            None => Ok(()),
        }
    }

    /// Writes a block behind the last one and syncs it; before that, the wrapped keys of sessions that begin in it,
    /// which are taken once they are on disk.
    pub(super) async fn commit(&mut self, block: &[u8], keys: &mut Vec<u8>, block_seq: u64) -> io::Result<()> {
        let done = self.try_commit(block, keys, block_seq).await;
        if done.is_err() {
            let home = self.current.as_ref().map(|current| current.home);
            if let Some(home) = home.and_then(|home| self.homes.get_mut(home)) {
                home.failed_at_ns = Some(self.device.now().mono_ns);
            }
        }
        self.note_space();
        done
    }

    async fn try_commit(&mut self, block: &[u8], keys: &mut Vec<u8>, block_seq: u64) -> io::Result<()> {
        let length = block.len() as u64;
        if self.current.as_ref().is_none_or(|current| current.position + length > current.bytes) {
            self.next_segment(block_seq, length).await?;
        }
        let (write, sync) = (self.fault(FaultPoint::Write(block_seq)), self.fault(FaultPoint::Sync(block_seq)));
        let keys_fault = if keys.is_empty() { Ok(()) } else { self.fault(FaultPoint::Keys(block_seq)) };
        let Some(current) = self.current.as_mut() else { return Err(io::ErrorKind::NotFound.into()) };
        if !keys.is_empty() {
            keys_fault?;
            let Some(home) = self.homes.get(current.home) else { return Err(io::ErrorKind::NotFound.into()) };
            let CoreStart { node, core, epoch, .. } = self.start;
            let place = KeyPlace { node, core, epoch, slot_bytes: self.options.slot_bytes };
            self.device.write_keys(&home.folder, place, keys).await?;
            keys.clear();
        }
        write?;
        self.device.write(&current.file, block, current.position).await?;
        sync?;
        self.device.sync(&current.file).await?;
        current.position += length;
        Ok(())
    }

    /// After an error nothing more is written to the segment: what the kernel did with it is unknown.
    pub(super) async fn abandon(&mut self) {
        if let Some(current) = self.current.take() {
            self.device.close(current.file).await;
        }
    }

    async fn next_segment(&mut self, block_seq: u64, length: u64) -> io::Result<()> {
        self.abandon().await;
        let now = self.device.now().mono_ns;
        let shunned =
            |home: &Home| home.failed_at_ns.is_some_and(|at| u128::from(now.saturating_sub(at)) < SHUN.as_nanos());
        let mut order: Vec<usize> = (0..self.homes.len()).collect();
        order.sort_by_key(|home| self.homes.get(*home).is_none_or(shunned));
        let mut last = io::Error::from(io::ErrorKind::NotFound);
        for home in order {
            match self.segment_in(home, block_seq, length).await {
                Ok(()) => return Ok(()),
                Err(error) => {
                    last = error;
                    if let Some(home) = self.homes.get_mut(home) {
                        home.failed_at_ns = Some(self.device.now().mono_ns);
                    }
                }
            }
        }
        Err(last)
    }

    async fn segment_in(&mut self, home: usize, block_seq: u64, length: u64) -> io::Result<()> {
        let bytes = self.options.segment_bytes.max(HEADER_PAGE_BYTES + length).next_multiple_of(HEADER_PAGE_BYTES);
        let usual = bytes == self.usual_bytes();
        let ready = if usual { self.take_ahead(home).await } else { None };
        let prepared = match ready {
            Some(path) => path,
            None => {
                self.fault(FaultPoint::Prepare)?;
                let Some(of) = self.homes.get(home) else { return Err(io::ErrorKind::NotFound.into()) };
                self.device.prepare(&of.folder, "now", &self.header(bytes)).await?
            }
        };
        let path = self.device.publish(&prepared, block_seq).await?;
        let file = self.device.open(&path).await?;
        self.current = Some(Current { file, position: HEADER_PAGE_BYTES, bytes, home });
        self.prepare_ahead(home);
        Ok(())
    }

    fn usual_bytes(&self) -> u64 {
        self.options.segment_bytes.max(2 * HEADER_PAGE_BYTES).next_multiple_of(HEADER_PAGE_BYTES)
    }

    fn header(&self, segment_bytes: u64) -> SegmentHeader {
        let CoreStart { node, core, cores, epoch, epoch_nonce, .. } = self.start;
        SegmentHeader { node, core, cores, epoch, epoch_nonce, segment_bytes }
    }

    /// Keeps segments ready while this one fills. On failure it goes on trying, so that it is known when there is room.
    fn prepare_ahead(&mut self, home: usize) {
        let mut state = self.ahead.borrow_mut();
        if state.home != home {
            let unused: Vec<PathBuf> = state.ready.drain(..).collect();
            for path in unused {
                self.device.spawn(self.device.remove(&path));
            }
            state.home = home;
        }
        if state.under_way || state.ready.len() >= READY {
            return;
        }
        state.under_way = true;
        drop(state);
        let folders: Vec<PathBuf> = self.homes.iter().map(|home| home.folder.clone()).collect();
        let header = self.header(self.usual_bytes());
        let (device, ahead) = (Rc::clone(&self.device), Rc::clone(&self.ahead));
        let (faults, space) = (self.options.faults.clone(), Rc::clone(&self.space));
        self.device.spawn(async move {
            loop {
                let (home, name) = {
                    let mut ahead = ahead.borrow_mut();
                    if ahead.closing || ahead.ready.len() >= READY {
                        ahead.under_way = false;
                        break;
                    }
                    ahead.next += 1;
                    (ahead.home, format!("next-{}", ahead.next))
                };
                let fault = faults.as_ref().and_then(|faults| faults(FaultPoint::Prepare));
                let made = match (fault, folders.get(home)) {
                    (Some(kind), _) => Err(kind.into()),
                    (None, Some(folder)) => device.prepare(folder, &name, &header).await,
                    (None, None) => Err(io::ErrorKind::NotFound.into()),
                };
                let (waker, failed, stale) = {
                    let mut ahead = ahead.borrow_mut();
                    let (mut failed, mut stale) = (false, None);
                    match made {
                        Ok(path) if ahead.home == home => {
                            ahead.failing = None;
                            ahead.ready.push_back(path);
                        }
                        Ok(path) => stale = Some(path),
                        Err(error) => {
                            ahead.failing = Some(error.kind());
                            failed = true;
                        }
                    }
                    let now = space.get();
                    let reserve = now.reserve && ahead.failing.is_some();
                    space.set(Space { failing: ahead.failing, reserve, ..now });
                    (ahead.waker.take(), failed, stale)
                };
                waker.into_iter().for_each(Waker::wake);
                if let Some(path) = stale {
                    device.remove(&path).await;
                }
                if failed {
                    device.sleep(RETRY).await;
                }
            }
            let waker = ahead.borrow_mut().waker.take();
            waker.into_iter().for_each(Waker::wake);
        });
    }

    /// A segment that was made ready in this directory, after waiting for it if the first is under way.
    async fn take_ahead(&self, home: usize) -> Option<PathBuf> {
        poll_fn(|cx| {
            let mut ahead = self.ahead.borrow_mut();
            if ahead.home != home {
                return Poll::Ready(None);
            }
            if let Some(path) = ahead.ready.pop_front() {
                return Poll::Ready(Some(path));
            }
            if ahead.under_way && ahead.failing.is_none() {
                ahead.waker = Some(cx.waker().clone());
                return Poll::Pending;
            }
            Poll::Ready(None)
        })
        .await
    }

    /// Closes the segment and removes those that were made ready and are not needed.
    pub(super) async fn finish(&mut self) {
        self.abandon().await;
        self.ahead.borrow_mut().closing = true;
        loop {
            let next = poll_fn(|cx| {
                let mut ahead = self.ahead.borrow_mut();
                match ahead.ready.pop_front() {
                    None if ahead.under_way && ahead.failing.is_none() => {
                        ahead.waker = Some(cx.waker().clone());
                        Poll::Pending
                    }
                    next => Poll::Ready(next),
                }
            })
            .await;
            // Left-over space is taken over by the next epoch; removing it is a courtesy.
            match next {
                Some(path) => self.device.remove(&path).await,
                None => break,
            }
        }
    }
}
