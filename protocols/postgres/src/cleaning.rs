//! A connection between two sessions: what the first left in it is discarded before the second gets it (manual: DISCARD).
//!
//! Invariants: a connection is clean when what was sent has succeeded and the database says that it is
//! idle; whatever else it says makes it worth nothing. Deliberately absent: which connections are kept, and for whom.

use crate::frame::{self, text};
use contract::{Fault, Lane, Peer, Reader};

/// Frames before ReadyForQuery; more is a fault.
const FRAMES_MAX: usize = 1024;
/// Longest frame in bytes.
const FRAME_BYTES_MAX: usize = 64 << 10;
/// Seeds `random()` with 64 bits that the database draws, so that no log of statements has them. The text is always the same:
/// `pg_stat_statements` has one entry of it.
const SEED: &str = "DO $$ BEGIN PERFORM pg_catalog.setseed(pg_catalog.hashtextextended(pg_catalog.gen_random_uuid()\
                    ::pg_catalog.text, 0) OPERATOR(pg_catalog./) 9223372036854775808.0); END $$";
const NOT_CLEAN: Fault = Fault::upstream("the database did not clean a connection that is to be used again");

/// Statements of our own, one query, on a connection that no session has.
#[derive(Debug, Default)]
pub struct Cleaning {
    /// What the database says as it does them, in order.
    tags: &'static [&'static [u8]],
    frames: usize,
    /// How many of them are done.
    completed: usize,
}

impl Cleaning {
    /// Forgets everything a session can leave: transactions are not among it, the connection must be idle.
    #[must_use]
    pub fn discard(down: &mut Lane) -> Self {
        Self::query(down, "DISCARD ALL", &[b"DISCARD ALL\0"])
    }

    /// Gives the connection a name that the server's log and `pg_stat_activity` show.
    #[must_use]
    pub fn name(down: &mut Lane, application: &str) -> Self {
        Self::query(down, &named(application), &[b"SET\0"])
    }

    /// The same on one that another session has left. `DISCARD ALL` leaves the generator of `random()` as it is: whoever
    /// seeded it would know what the next session draws.
    #[must_use]
    pub fn rename(down: &mut Lane, application: &str) -> Self {
        Self::query(down, &format!("{}; {SEED}", named(application)), &[b"SET\0", b"DO\0"])
    }

    /// Asks one that another session has left whether anybody is there; its name goes back to what the connection began
    /// with, and `random()` is seeded anew.
    #[must_use]
    pub fn probe(down: &mut Lane) -> Self {
        Self::query(down, &format!("RESET application_name; {SEED}"), &[b"RESET\0", b"DO\0"])
    }

    fn query(down: &mut Lane, statements: &str, tags: &'static [&'static [u8]]) -> Self {
        down.put_with(|out| frame::write(out, b'Q', |body| text(body, statements.as_bytes())));
        Self { tags, ..Self::default() }
    }

    /// The last word to a connection that is not needed any more (manual: Terminate).
    pub fn terminate(down: &mut Lane) {
        down.put_with(|out| frame::write(out, b'X', |_| {}));
    }

    /// Takes what has arrived; true when the connection is clean. Parameters that the database reports are brought up to
    /// date.
    ///
    /// # Errors
    /// It is not, and will not be.
    pub fn step(&mut self, up: &mut Lane, parameters: &mut [(Vec<u8>, Vec<u8>)]) -> Result<bool, Fault> {
        while let Some(header) = frame::header(up.input(), Peer::Upstream)? {
            if header.len > FRAME_BYTES_MAX {
                return Err(NOT_CLEAN);
            }
            if up.input().len() < header.len {
                up.want(header.len);
                return Ok(false);
            }
            self.frames += 1;
            if self.frames > FRAMES_MAX {
                return Err(NOT_CLEAN);
            }
            let body = up.input()[frame::HEADER_BYTES..header.len].to_vec();
            up.skip(header.len);
            match header.tag {
                // Another's answer is a late one, and ours follows it.
                b'C' if self.tags.get(self.completed).is_some_and(|tag| body == *tag) => self.completed += 1,
                b'N' | b'A' => {}
                b'S' => {
                    let mut reader = Reader::new(&body);
                    let (Some(name), Some(value)) = (reader.text(), reader.text()) else { return Err(NOT_CLEAN) };
                    crate::serving::check_parameter(name, value)?;
                    let known = parameters.iter_mut().find(|(known, _)| known == name).ok_or(NOT_CLEAN)?;
                    known.1 = value.to_vec();
                }
                b'Z' if self.completed == self.tags.len() && body == b"I" && up.input().is_empty() => return Ok(true),
                _ => return Err(NOT_CLEAN),
            }
        }
        Ok(false)
    }
}

fn named(application: &str) -> String {
    format!("SET application_name = '{}'", application.replace(['\'', '\\', '\0'], "?"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::{Buffers, Chunk};

    type Reported = Vec<(Vec<u8>, Vec<u8>)>;

    fn told(bytes: &[u8]) -> (Result<bool, Fault>, Reported) {
        let mut parameters = vec![(b"TimeZone".to_vec(), b"UTC".to_vec())];
        let (mut down, mut up) = (Lane::new(1 << 20), Lane::new(1 << 20));
        let mut cleaning = Cleaning::discard(&mut down);
        let mut clean = Ok(false);
        // Byte by byte: frames arrive as they like.
        for byte in bytes {
            up.slot(&mut Buffers::default())[0] = *byte;
            up.received(1);
            clean = cleaning.step(&mut up, &mut parameters);
            if clean.is_err() {
                break;
            }
        }
        (clean, parameters)
    }

    fn frame(tag: u8, body: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        frame::write(&mut out, tag, |b| b.extend_from_slice(body));
        out
    }

    #[test]
    fn one_statement_is_asked_and_names_are_quoted() {
        let mut down = Lane::new(1 << 20);
        let _ = Cleaning::name(&mut down, "a'; DROP\\\0");
        let Chunk::Bytes(bytes) = down.chunk() else { panic!("nothing is asked") };
        assert_eq!(&bytes[5..], b"SET application_name = 'a?; DROP??'\0");
        assert_eq!(bytes[0], b'Q');
        let mut down = Lane::new(1 << 20);
        let _ = Cleaning::probe(&mut down);
        let Chunk::Bytes(bytes) = down.chunk() else { panic!("nothing is asked") };
        assert!(bytes[5..].starts_with(b"RESET application_name; DO $$ BEGIN PERFORM pg_catalog.setseed("));
        let mut down = Lane::new(1 << 20);
        let _ = Cleaning::rename(&mut down, "b");
        let Chunk::Bytes(bytes) = down.chunk() else { panic!("nothing is asked") };
        assert_eq!(&bytes[5..], [b"SET application_name = 'b'; ", SEED.as_bytes(), b"\0"].concat());
    }

    #[test]
    fn two_statements_answer_twice_in_order() {
        let (seeded, reset, idle) = (frame(b'C', b"DO\0"), frame(b'C', b"RESET\0"), frame(b'Z', b"I"));
        for (said, clean) in [
            ([&reset[..], &seeded, &idle].concat(), true),
            ([&seeded[..], &reset, &idle].concat(), false),
            ([&reset[..], &idle].concat(), false),
            ([&reset[..], &seeded, &seeded, &idle].concat(), false),
        ] {
            let mut up = Lane::new(1 << 20);
            up.slot(&mut Buffers::default())[..said.len()].copy_from_slice(&said);
            up.received(said.len());
            let mut cleaning = Cleaning::probe(&mut Lane::new(1 << 20));
            assert_eq!(cleaning.step(&mut up, &mut []).is_ok_and(|done| done), clean, "{said:?}");
        }
    }

    #[test]
    fn clean_is_only_what_succeeded_and_is_idle() {
        let done = frame(b'C', b"DISCARD ALL\0");
        let clean = [frame(b'S', b"TimeZone\0Europe/Rome\0"), done.clone(), frame(b'Z', b"I")].concat();
        let (said, parameters) = told(&clean);
        assert!(said.unwrap());
        assert_eq!(parameters[0].1, b"Europe/Rome");
        for dirty in [
            frame(b'Z', b"I"),
            [frame(b'C', b"SELECT 1\0"), frame(b'Z', b"I")].concat(),
            [done.clone(), done.clone(), frame(b'Z', b"I")].concat(),
            [done.clone(), frame(b'Z', b"T")].concat(),
            [frame(b'E', b"SERROR\0C25001\0Mno\0\0"), frame(b'Z', b"I")].concat(),
            frame(b'D', b"\0\0"),
            frame(b'S', b"unheard of\0x\0"),
            frame(b'S', b"no end"),
            vec![b'C', 0, 0, 0, 1],
        ] {
            assert!(told(&dirty).0.is_err(), "{dirty:?}");
        }
        assert!(!told(&done).0.unwrap());
    }

    #[test]
    fn nothing_may_follow() {
        let mut up = Lane::new(1 << 20);
        let bytes = [frame(b'C', b"SET\0"), frame(b'Z', b"I"), frame(b'Z', b"I")].concat();
        up.slot(&mut Buffers::default())[..bytes.len()].copy_from_slice(&bytes);
        up.received(bytes.len());
        let mut cleaning = Cleaning::name(&mut Lane::new(1 << 20), "x");
        assert!(cleaning.step(&mut up, &mut []).is_err());
    }
}
