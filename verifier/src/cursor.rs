//! The headers of a core's log, one after the other, without a look at the records.
//!
//! For the tree, which holds one leaf for each header. Damage is stepped over here: it is found and named where whole
//! blocks are read. Memory is one header and, on damage, one window.

use std::io;
use std::path::PathBuf;

use crate::block::{Header, PAGE};
use crate::merkle::{self, Hash};
use crate::segment::{BlockBytes, FIRST, Place, Segment};

/// A header and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) header: Header,
    pub(crate) leaf: Hash,
    pub(crate) position: u64,
}

/// A place among the headers of a core.
pub(crate) struct Cursor<'a> {
    pub(crate) core: u16,
    segments: &'a [(u64, PathBuf)],
    index: usize,
    open: Option<Segment>,
    position: u64,
    /// Number that comes next; what has a smaller one was there already.
    expected: u64,
    current: Option<Found>,
    checked: bool,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(core: u16, segments: &'a [(u64, PathBuf)]) -> io::Result<Self> {
        let mut cursor =
            Self { core, segments, index: 0, open: None, position: FIRST, expected: 0, current: None, checked: false };
        cursor.seek()?;
        Ok(cursor)
    }

    /// The header at the cursor.
    pub(crate) fn current(&self) -> Option<&Found> {
        self.current.as_ref()
    }

    /// The number behind the last header that was passed.
    pub(crate) fn expected(&self) -> u64 {
        self.expected
    }

    /// Goes to the next header.
    pub(crate) fn advance(&mut self) -> io::Result<()> {
        if let Some(found) = self.current.take() {
            self.expected = found.header.number.saturating_add(1);
            self.position = found.position + found.header.size() as u64;
        }
        self.seek()
    }

    /// Makes sure that the whole block of the current header is good; goes on to one that is. True if that moved.
    pub(crate) fn settle(&mut self) -> io::Result<bool> {
        let mut moved = false;
        while let (false, Some(found)) = (self.checked, &self.current) {
            let position = found.position;
            let good = match &mut self.open {
                Some(segment) => matches!(segment.place(position)?, Place::Block(_)),
                None => false,
            };
            if good {
                self.checked = true;
            } else {
                moved = true;
                self.current = None;
                self.position = position;
                self.skip()?;
                self.seek()?;
            }
        }
        Ok(moved)
    }

    /// The current block, once [`Cursor::settle`] found it good.
    pub(crate) fn block(&mut self) -> io::Result<Option<BlockBytes<'_>>> {
        match (&mut self.open, &self.current, self.checked) {
            (Some(segment), Some(found), true) => segment.block(found.position, &found.header).map(Some),
            _ => Ok(None),
        }
    }

    /// Behind a place that is no good block: to the next that is, in this segment or the next one.
    fn skip(&mut self) -> io::Result<()> {
        let next = match &mut self.open {
            Some(segment) => segment.next_block(self.position + PAGE as u64)?,
            None => None,
        };
        match next {
            Some(position) => self.position = position,
            None => self.leave(),
        }
        Ok(())
    }

    fn leave(&mut self) {
        (self.open, self.position) = (None, FIRST);
        self.index += 1;
    }

    fn seek(&mut self) -> io::Result<()> {
        self.checked = false;
        while let Some((_, path)) = self.segments.get(self.index) {
            let segment = match &mut self.open {
                Some(segment) => segment,
                None => self.open.insert(Segment::open(path)?),
            };
            match segment.header(self.position)? {
                Some((header, bytes)) if header.core == self.core => {
                    // A block that was written again after a disk error has one leaf.
                    if header.number < self.expected {
                        self.position += header.size() as u64;
                        continue;
                    }
                    let leaf = merkle::leaf(&bytes);
                    self.current = Some(Found { header, leaf, position: self.position });
                    return Ok(());
                }
                Some((header, _)) => self.position += header.size() as u64,
                None => self.skip()?,
            }
        }
        Ok(())
    }
}
