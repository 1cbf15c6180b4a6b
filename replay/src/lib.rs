//! Reading back what the gateway recorded: sessions from the log, their recordings as a client saw them, and what another
//! bundle would have decided.
//!
//! Invariants: nothing of a client's or server's reaches a terminal as it came; what the log does not commit to is named
//! as such; memory does not grow with the length of a recording or of the log.
//!
//! Deliberately absent: asking who may look (file permissions and private keys decide that), and recording that somebody
//! looked: the program does that at the desk, before the first byte.

pub mod against;
mod frames;
mod keyring;
mod log;
mod play;
mod recording;
mod values;

pub use frames::{Column, Frames, Message, Notice};
pub use keyring::{KeyError, KeyRing};
pub use log::{Segment, SessionLog, Statement, Text, Wanted, sessions};
pub use play::{Pace, PlayError, Player, Stage};
pub use recording::{Damage, Piece, Recording, RecordingError};
pub use values::cell;
