//! ErrorResponse and NoticeResponse: writing our own, reading and making canonical the database's (manual: Error and
//! Notice Message Fields).
//!
//! Canonical means: SQLSTATE, severity and position are kept; the message is the one of the SQLSTATE's class; everything
//! that can quote data (DETAIL, HINT, WHERE, object names, internal query) is dropped.

use crate::frame;
use contract::{Fault, Reader, Refusal};

/// SQLSTATE of every refusal by policy: insufficient_privilege.
pub const REFUSED: &str = "42501";

/// Appends an ErrorResponse.
pub fn write_error(
    out: &mut Vec<u8>,
    severity: &str,
    state: &str,
    message: &str,
    detail: &str,
    hint: &str,
    position: u32,
) {
    write_message(out, b'E', severity, state, message, detail, hint, position);
}

#[allow(clippy::too_many_arguments, reason = "the fields of one message")]
fn write_message(
    out: &mut Vec<u8>,
    tag: u8,
    severity: &str,
    state: &str,
    message: &str,
    detail: &str,
    hint: &str,
    position: u32,
) {
    frame::write(out, tag, |b| {
        let mut field = |tag: u8, value: &str| {
            if !value.is_empty() {
                b.push(tag);
                frame::text(b, value.as_bytes());
            }
        };
        field(b'S', severity);
        field(b'V', severity);
        field(b'C', state);
        field(b'M', message);
        field(b'D', detail);
        field(b'H', hint);
        if position > 0 {
            field(b'P', &position.to_string());
        }
        b.push(0);
    });
}

/// SQLSTATE when a budget is used up: configuration_limit_exceeded. The same statement may be allowed later.
pub const USED_UP: &str = "53400";

/// SQLSTATE when a statement is cancelled while it waits: query_canceled.
pub const CANCELLED: &str = "57014";

/// SQLSTATE when the audit log cannot take a record: io_error.
pub const NOT_RECORDED: &str = "58030";

/// Appends the ErrorResponse of a refusal. `text` is the statement, to turn a byte offset into a character position.
pub fn write_refusal(out: &mut Vec<u8>, severity: &str, refusal: &Refusal, text: &[u8]) {
    let state = match refusal.code {
        "TG1004" => CANCELLED,
        "TG2016" => USED_UP,
        "TG5001" => NOT_RECORDED,
        _ => REFUSED,
    };
    write_refusal_as(out, severity, state, refusal, text);
}

/// Appends the NoticeResponse that says what was masked instead of refused.
pub fn write_warning(out: &mut Vec<u8>, refusal: &Refusal) {
    let message = format!("{} [{}]", refusal.message, refusal.code);
    let (code, rule) = (refusal.code, &refusal.rule);
    let detail = format!("Masked by the gateway, and refused once the role enforces: code {code}, rule \"{rule}\".");
    let hint = refusal.hint.as_deref().unwrap_or("");
    write_message(out, b'N', "WARNING", "01000", &message, &detail, hint, 0);
}

/// Appends a NoticeResponse of the gateway's own.
pub fn write_notice(out: &mut Vec<u8>, severity: &str, state: &str, message: &str) {
    write_message(out, b'N', severity, state, message, "", "", 0);
}

/// The same with another SQLSTATE, for logins.
pub fn write_refusal_as(out: &mut Vec<u8>, severity: &str, state: &str, refusal: &Refusal, text: &[u8]) {
    let position = refusal.position.map_or(0, |at| {
        let before = text.get(..at as usize).unwrap_or(text);
        let characters = String::from_utf8_lossy(before).chars().count();
        u32::try_from(characters + 1).unwrap_or(0)
    });
    let message = format!("{} [{}]", refusal.message, refusal.code);
    let detail = format!("Refused by the gateway: code {}, rule \"{}\".", refusal.code, refusal.rule);
    write_error(out, severity, state, &message, &detail, refusal.hint.as_deref().unwrap_or(""), position);
}

/// Appends the FATAL ErrorResponse of a fault.
pub fn write_fault(out: &mut Vec<u8>, fault: &Fault) {
    write_error(out, "FATAL", fault.state, fault.reason, "", "", 0);
}

/// The fields of an error or notice that are looked at.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fields<'a> {
    /// Not localised severity.
    pub severity: &'a [u8],
    /// SQLSTATE; zeros when the database sent none.
    pub state: [u8; 5],
    /// Character position in the statement.
    pub position: Option<&'a [u8]>,
    /// Message.
    pub message: &'a [u8],
}

impl<'a> Fields<'a> {
    /// Reads the body of an `E` or `N` frame. A hostile or truncated body gives what was readable.
    #[must_use]
    pub fn read(body: &'a [u8]) -> Self {
        let mut r = Reader::new(body);
        let mut fields = Self { state: *b"00000", ..Self::default() };
        while let Some(tag) = r.u8() {
            if tag == 0 {
                break;
            }
            let Some(value) = r.text() else { break };
            match tag {
                b'V' => fields.severity = value,
                b'S' if fields.severity.is_empty() => fields.severity = value,
                b'C' => {
                    if let Ok(state) = <[u8; 5]>::try_from(value)
                        && state.iter().all(u8::is_ascii_alphanumeric)
                    {
                        fields.state = state;
                    }
                }
                b'P' => fields.position = Some(value),
                b'M' => fields.message = value,
                _ => {}
            }
        }
        fields
    }

    /// Severity as one of the protocol's words.
    fn word(&self) -> &'static str {
        match self.severity {
            b"FATAL" => "FATAL",
            b"PANIC" => "PANIC",
            b"WARNING" => "WARNING",
            b"NOTICE" => "NOTICE",
            b"INFO" => "INFO",
            b"LOG" => "LOG",
            b"DEBUG" => "DEBUG",
            _ => "ERROR",
        }
    }

    /// The message may be shown as it is: its class names objects and syntax of the client's own text, never data.
    fn message_is_harmless(&self) -> bool {
        matches!(
            &self.state[..2],
            b"42" | b"08" | b"25" | b"26" | b"34" | b"53" | b"54" | b"55" | b"57" | b"40" | b"0A" | b"3D" | b"3F"
        )
    }

    /// Appends the canonical form, with the tag of the original.
    pub fn write_canonical(&self, out: &mut Vec<u8>, tag: u8) {
        let word = self.word();
        let position = self.position.filter(|p| p.len() <= 10 && p.iter().all(u8::is_ascii_digit));
        frame::write(out, tag, |b| {
            for (field, value) in [(b'S', word.as_bytes()), (b'V', word.as_bytes()), (b'C', &self.state[..])] {
                b.push(field);
                frame::text(b, value);
            }
            b.push(b'M');
            frame::text(
                b,
                if self.message_is_harmless() { self.message } else { class_message(self.state).as_bytes() },
            );
            if let Some(position) = position {
                b.push(b'P');
                frame::text(b, position);
            }
            b.push(0);
        });
    }

    /// A notice worth showing for a guarded statement.
    #[must_use]
    pub fn is_warning(&self) -> bool {
        matches!(self.word(), "WARNING" | "ERROR" | "FATAL" | "PANIC")
    }
}

/// A message that says what happened without quoting data (SQLSTATE classes and codes: manual, Appendix A).
fn class_message(state: [u8; 5]) -> &'static str {
    match &state {
        b"22001" => "value too long for the column's type",
        b"22003" => "numeric value out of range",
        b"22007" | b"22008" => "invalid date or time value",
        b"22012" => "division by zero",
        b"22021" => "invalid byte sequence for the encoding",
        b"22P02" | b"22P03" => "invalid input syntax for the type",
        b"23502" => "null value violates a not-null constraint",
        b"23503" => "a foreign key constraint is violated",
        b"23505" => "duplicate key value violates a unique constraint",
        b"23514" => "a check constraint is violated",
        b"23P01" => "an exclusion constraint is violated",
        b"P0001" => "an exception was raised by a function",
        _ => match &state[..2] {
            b"01" => "warning (text withheld: the statement touches protected data)",
            b"22" => "data exception",
            b"23" => "integrity constraint violation",
            b"44" => "view check option violated",
            _ => "the statement failed (text withheld: it touches protected data)",
        },
    }
}
