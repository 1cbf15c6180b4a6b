//! What a receiver without acknowledgements was sent and may not have read.
//!
//! Invariant: behind the positions that [`Window::sent`] gives there are at least as many bytes as count as not
//! acknowledged, or everything. Batches are put together until they have [`PART_BYTES`], so that however small they are,
//! few positions are kept.

use std::collections::VecDeque;

use crate::cursor::Positions;

/// Bytes of batches that are acknowledged together.
const PART_BYTES: u64 = 64 << 10;

/// The last of what was sent.
#[derive(Debug, Default)]
pub(crate) struct Window {
    parts: VecDeque<Part>,
    /// Bytes handed over so far.
    taken: u64,
}

#[derive(Debug)]
struct Part {
    /// Positions before it.
    before: Positions,
    bytes: u64,
    /// Bytes handed over with it and before it.
    end: u64,
}

impl Window {
    /// A batch was handed over that begins at `before`; with it `taken` bytes were, of which the last `unacknowledged`
    /// count as not acknowledged. The positions up to which everything is; `None` if all of it is.
    pub(crate) fn sent(&mut self, before: &Positions, taken: u64, unacknowledged: u64) -> Option<Positions> {
        let bytes = taken - std::mem::replace(&mut self.taken, taken);
        match self.parts.back_mut() {
            Some(part) if part.bytes < PART_BYTES => (part.bytes, part.end) = (part.bytes + bytes, taken),
            _ => self.parts.push_back(Part { before: before.clone(), bytes, end: taken }),
        }
        while self.parts.front().is_some_and(|part| taken - part.end >= unacknowledged) {
            self.parts.pop_front();
        }
        self.parts.front().map(|part| part.before.clone())
    }

    /// All of it goes again.
    pub(crate) fn lost(&mut self) {
        self.parts.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cursor::Position;

    fn at(sequence: u64) -> Positions {
        Positions::from([(0, Position { sequence, block: 0 })])
    }

    #[test]
    fn what_counts_as_not_acknowledged_is_behind_the_cursor_and_not_much_more() {
        const MOST: u64 = 1 << 20;
        for bytes in [1, 700, 70_000, 3 << 20] {
            let (mut window, mut taken) = (Window::default(), 0);
            for batch in 0..5_000 {
                taken += bytes;
                let cursor = window.sent(&at(batch), taken, MOST).unwrap();
                let behind = taken - cursor[&0].sequence * bytes;
                assert!(behind >= MOST.min(taken), "{batch} of {bytes}: {behind}");
                assert!(behind < MOST + 2 * bytes.max(PART_BYTES), "{batch} of {bytes}: {behind}");
                assert!(window.parts.len() as u64 <= MOST / PART_BYTES + 2);
            }
        }
    }

    #[test]
    fn what_goes_again_counts_from_its_beginning() {
        let mut window = Window::default();
        assert_eq!(window.sent(&at(0), 5 << 20, 1 << 20), Some(at(0)));
        window.lost();
        for batch in 1..=10 {
            assert_eq!(window.sent(&at(batch), (5 << 20) + batch * 100, 1 << 20), Some(at(1)));
        }
        assert_eq!(window.parts.len(), 1, "batches are put together as before");
    }

    #[test]
    fn what_is_acknowledged_at_once_is_not_kept() {
        let mut window = Window::default();
        assert!((0..10).all(|batch| window.sent(&at(batch), 0, 0).is_none()));
    }
}
