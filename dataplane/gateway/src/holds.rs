//! Statements that wait for approval, between a session and the control side.
//!
//! Invariant: what a session asks is posted in the turn in which it asks, and what is answered is handed to it before it
//! goes on. Deliberately absent: waiting, which is the session's, and deciding.

use crate::access::{Answer, Question};
use crate::core::{Core, Handle, Signal};
use postgres::Serve;
use session::{HoldQuestion, Session, Verdicts};

/// Hands a session what was answered, and what its client did about what waits.
pub(crate) fn deliver(handle: &Handle, session: &mut Session<Serve<Verdicts>>, client_gone: bool) {
    for answer in handle.answers.borrow_mut().drain(..) {
        match answer {
            Answer::Hold { asked, answer } => session.answer(&asked, answer),
            // Asked for at login, which is over.
            Answer::Proven(_) | Answer::Account(_) => {}
        }
    }
    if handle.given_back.replace(false) {
        session.give_back("cancelled");
    }
    if client_gone {
        session.give_back("disconnected");
    }
    if handle.signal.get() == Some(Signal::Drain) {
        session.give_back("drain");
    }
}

/// Posts what a session asks.
pub(crate) fn post(core: &Core, handle: &Handle, session: &mut Session<Serve<Verdicts>>) {
    for question in session.questions() {
        let question = match question {
            HoldQuestion::Ask(asked) => Question::Hold(asked),
            HoldQuestion::Withdraw { asked, reason } => Question::Withdraw { asked, reason },
        };
        core.ask(handle, question);
    }
    handle.parked.set(session.is_parked());
}
