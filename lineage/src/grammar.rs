//! Calls the grammar: text in, parse tree walked, facts out.
//!
//! Invariants: a tree is decoded, walked and dropped on a stack that holds its depth. The tokens of a text bound the depth
//! of its tree: short texts run on the caller's stack, which must have 1 MiB to spare; others on one lasting thread with
//! room for the deepest tree the grammar library hands out. The library redirects the process's standard error while it
//! runs, so calls are serialised. A panic inside the library is an ordinary [`NotUnderstood`].

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::facts::{Facts, NotUnderstood};
use crate::lex::{Lexer, Token};
use crate::walk;

/// Longest text understood. A tree takes about 60 times its text.
pub const TEXT_BYTES_MAX: usize = 8 << 20;
/// Tokens that can nest, up to which the caller's own stack is enough: the worst, `(SELECT (SELECT …`, was measured to take
/// 4 KiB for each, and 47 KiB in builds with little optimisation.
const NESTING_INLINE_MAX: usize = if cfg!(debug_assertions) { 20 } else { 150 };
/// Stack of the thread for everything else: the library encodes at most 10,000 nested messages, and decoding one takes up
/// to 16 KiB without optimisation. Memory is only taken for the depth that is reached.
const STACK_BYTES: usize = 256 << 20;
/// `SET (a, b, …) = source` repeats `source` in the tree once for each name; names times text length stays below this.
const REPEATED_BYTES_MAX: usize = 16 << 20;

static GRAMMAR: Mutex<()> = Mutex::new(());

/// The facts of every statement in `text`.
///
/// # Errors
/// The text is not in the grammar, too long or nested too deeply.
pub fn analyse(text: &str) -> Result<Facts, NotUnderstood> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(refuse("statement text too long"));
    }
    let shape = Shape::of(text.as_bytes());
    if shape.repeated.saturating_mul(text.len()) > REPEATED_BYTES_MAX {
        return Err(refuse("assignment list too long"));
    }
    if shape.nesting <= NESTING_INLINE_MAX {
        return guarded(text);
    }
    on_deep_stack(text)
}

struct Job {
    text: String,
    reply: SyncSender<Result<Facts, NotUnderstood>>,
}

/// One thread for the life of the process: the library keeps something for every thread that ever called it.
static DEEP: OnceLock<Option<Mutex<Sender<Job>>>> = OnceLock::new();

fn on_deep_stack(text: &str) -> Result<Facts, NotUnderstood> {
    let jobs = DEEP.get_or_init(|| {
        let (jobs, inbox) = channel::<Job>();
        std::thread::Builder::new()
            .name("grammar".to_owned())
            .stack_size(STACK_BYTES)
            .spawn(move || {
                for job in inbox {
                    // Whoever asked may be gone.
                    let _ = job.reply.send(guarded(&job.text));
                }
            })
            .ok()
            .map(|_| Mutex::new(jobs))
    });
    let Some(jobs) = jobs else { return Err(refuse("no thread for a long statement")) };
    let (reply, answer) = sync_channel(1);
    let sent = jobs.lock().unwrap_or_else(PoisonError::into_inner).send(Job { text: text.to_owned(), reply });
    match sent {
        Ok(()) => answer.recv().unwrap_or_else(|_| Err(refuse("the grammar failed"))),
        Err(_) => Err(refuse("the grammar failed")),
    }
}

fn refuse(message: &str) -> NotUnderstood {
    NotUnderstood { message: message.to_owned(), position: 0 }
}

fn guarded(text: &str) -> Result<Facts, NotUnderstood> {
    catch_unwind(AssertUnwindSafe(|| understand(text))).unwrap_or_else(|_| Err(refuse("the grammar failed")))
}

/// The parse tree of a text, or of a part of one that is being walked: the stack holds its depth.
pub(crate) fn tree(text: &str) -> Result<pg_query::ParseResult, NotUnderstood> {
    let tree = {
        let _alone = GRAMMAR.lock().unwrap_or_else(PoisonError::into_inner);
        pg_query::parse(text, 0)
    };
    tree.map_err(|error| match error {
        pg_query::Error::Parse(message) => NotUnderstood { message, position: 0 },
        _ => refuse("not a statement text"),
    })
}

fn understand(text: &str) -> Result<Facts, NotUnderstood> {
    let tree = tree(text)?;
    let mut statements = Vec::with_capacity(tree.protobuf.stmts.len());
    for raw in &tree.protobuf.stmts {
        if let Some(statement) = walk::statement(text, raw)? {
            statements.push(Arc::new(statement));
        }
    }
    Ok(Facts { statements })
}

/// What the tokens say about the tree before there is one.
struct Shape {
    /// Tokens that can add a level: words and marks, but for commas and the dots of qualified names with the words beside
    /// them. The parts of a name are a list in the tree, however many they are, and no rule of the grammar lets a key word
    /// that nests stand beside a dot.
    nesting: usize,
    /// Most names in a parenthesised list that is followed by `=`.
    repeated: usize,
}

/// The token before, as far as nesting goes.
enum Before {
    /// A word that was counted.
    Word,
    Dot,
    Other,
}

impl Shape {
    fn of(text: &[u8]) -> Self {
        let mut shape = Self { nesting: 0, repeated: 0 };
        let mut lists: Vec<usize> = Vec::new();
        let mut closed = None;
        let mut before = Before::Other;
        for (token, _, _) in Lexer::new(text) {
            match token {
                Token::Space | Token::Comment => continue,
                Token::Word => {
                    let part = matches!(before, Before::Dot);
                    shape.nesting += usize::from(!part);
                    (before, closed) = (if part { Before::Other } else { Before::Word }, None);
                    continue;
                }
                Token::Mark(b'.') => {
                    shape.nesting -= usize::from(matches!(before, Before::Word));
                    (before, closed) = (Before::Dot, None);
                    continue;
                }
                Token::Mark(b',') => {
                    if let Some(names) = lists.last_mut() {
                        *names += 1;
                    }
                }
                Token::Mark(b'(') => {
                    shape.nesting += 1;
                    lists.push(1);
                }
                Token::Mark(b')') => {
                    (before, closed) = (Before::Other, lists.pop());
                    continue;
                }
                Token::Mark(mark) => {
                    if let (b'=', Some(names @ 2..)) = (mark, closed) {
                        shape.repeated = shape.repeated.max(names);
                    }
                    shape.nesting += 1;
                }
                Token::Quoted | Token::Text | Token::OtherText | Token::Number | Token::Parameter => {}
            }
            (before, closed) = (Before::Other, None);
        }
        shape
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_a_name_add_no_level() {
        for (text, nesting) in [
            ("SELECT a FROM t", 4),
            ("SELECT x.a FROM s.t", 2),
            ("SELECT x . a . b, \"q\".c, (x).y.z FROM db.s.t", 4),
            ("SELECT x./* here */a FROM s. t", 2),
            ("NOT NOT NOT 1.5", 3),
            ("SELECT .5, 1.e2, a..b", 1),
            ("((((", 4),
        ] {
            assert_eq!(Shape::of(text.as_bytes()).nesting, nesting, "{text}");
        }
    }
}
