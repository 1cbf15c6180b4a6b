//! An executor of one core on io_uring: tasks, timers, stream sockets and files whose operations leave together, in one
//! system call per turn.
//!
//! Invariants: everything of a core stays on its thread; a turn runs what is ready, bounded, then submits what all of it
//! wants and waits; an idle socket holds no buffer; what the kernel may still touch is owned by the ring until it does not
//! (`raw`, the only file with unsafe code). Deliberately absent: work stealing, channels, names, anything a session knows.

mod executor;
mod file;
mod helper;
mod net;
mod raw;
mod reactor;
mod refused;
mod socket;
mod table;
mod tasks;

pub use executor::{Options, on_panic, pin, run, run_with, spawn};
pub use file::DirectFile;
pub use helper::blocking;
pub use net::{Listener, connect};
pub use raw::AlignedBuffer;
pub use reactor::{Counts, counts, sleep, supported};
pub use refused::RingError;
pub use socket::{Knife, Socket};
