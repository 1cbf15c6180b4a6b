//! One conversation as a value, from the first byte to the last record; generic over the protocol.
//!
//! ```text
//!   Login ──(who)──▶ policy::admit ──(Grant)──▶ dial ──▶ Session
//!                                                       held statement ─▶ facts ─▶ decide ─▶ record ─▶ forward | refuse
//!                                                       held shape     ─▶ plan
//!                                                       ended          ─▶ record
//! ```
//!
//! Invariants: nothing is forwarded without a [`policy::Grant`] and an [`audit::record::Recorded`]; under strict audit not
//! before that record is durable; what cannot be parsed, decided or recorded is refused or ends the session.
//!
//! Deliberately absent: sockets, clocks, files, logging; they are the [`Host`]'s.

mod approval;
mod durability;
mod few;
mod held;
mod host;
mod info;
mod judged;
mod judging;
mod login;
mod names;
mod refused;
mod release;
mod sealed;
mod serve;
mod settings;
mod shelf;

pub use approval::{HoldAnswer, HoldAsked, HoldQuestion, Sent};
pub use durability::Durability;
pub use host::{Granted, Host, Proven, Stage, Unrecorded, User};
pub use info::SessionInfo;
pub use judged::{Judged, Masking, Verdicts, copy_behind_moved_names, word};
pub use login::{Admitted, Login, LoginNext, WHOEVER};
pub use names::{Names, NamesOfText, changes as changes_names, moves_path};
pub use sealed::{Mark, Moment};
pub use serve::{Progress, Session};
pub use settings::Startup;
pub use shelf::{Shelf, Shelves};
