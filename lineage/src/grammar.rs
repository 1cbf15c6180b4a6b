//! Calls the grammar: text in, parse tree walked, facts out.
//!
//! Invariants: the depth of a tree never exceeds the stack it is decoded, walked and dropped on. The tokens of the text
//! bound the depth; short texts run on the caller's stack, others on a thread made for the purpose, and the grammar
//! itself refuses what exceeds its own stack budget. The grammar library redirects the process's standard error while it
//! runs, so calls are serialised. A panic inside the library is an ordinary [`NotUnderstood`].

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

use crate::facts::{Facts, NotUnderstood};
use crate::lex::{Lexer, Token};
use crate::walk;

/// Longest text understood. A tree takes about 60 times its text.
pub const TEXT_BYTES_MAX: usize = 8 << 20;
/// Tokens that can nest, up to which the caller's own stack is enough.
const NESTING_INLINE_MAX: usize = 400;
/// Stack of the thread for everything else. The grammar stops at 2 MiB of its own frames, which is about 20,000 levels;
/// memory is only taken for the depth that is reached.
const STACK_BYTES: usize = 512 << 20;
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
    std::thread::scope(|scope| {
        std::thread::Builder::new()
            .name("grammar".to_owned())
            .stack_size(STACK_BYTES)
            .spawn_scoped(scope, || guarded(text))
            .map_err(|_| refuse("no thread for a deeply nested statement"))?
            .join()
            .unwrap_or_else(|_| Err(refuse("the grammar failed")))
    })
}

fn refuse(message: &str) -> NotUnderstood {
    NotUnderstood { message: message.to_owned(), position: 0 }
}

fn guarded(text: &str) -> Result<Facts, NotUnderstood> {
    catch_unwind(AssertUnwindSafe(|| understand(text))).unwrap_or_else(|_| Err(refuse("the grammar failed")))
}

fn understand(text: &str) -> Result<Facts, NotUnderstood> {
    let tree = {
        let _alone = GRAMMAR.lock().unwrap_or_else(PoisonError::into_inner);
        pg_query::parse(text, 0)
    };
    let tree = tree.map_err(|error| match error {
        pg_query::Error::Parse(message) => NotUnderstood { message, position: 0 },
        _ => refuse("not a statement text"),
    })?;
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
    /// Tokens that can add a level: words, marks but commas, prefixed literals.
    nesting: usize,
    /// Most names in a parenthesised list that is followed by `=`.
    repeated: usize,
}

impl Shape {
    fn of(text: &[u8]) -> Self {
        let mut shape = Self { nesting: 0, repeated: 0 };
        let mut lists: Vec<usize> = Vec::new();
        let mut closed = None;
        for (token, _, _) in Lexer::new(text) {
            match token {
                Token::Space | Token::Comment => continue,
                Token::Word => shape.nesting += 1,
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
                    closed = lists.pop();
                    continue;
                }
                Token::Mark(mark) => {
                    if let (b'=', Some(names)) = (mark, closed) {
                        if names > 1 {
                            shape.repeated = shape.repeated.max(names);
                        }
                    }
                    shape.nesting += 1;
                }
                Token::Quoted | Token::Text | Token::OtherText | Token::Number | Token::Parameter => {}
            }
            closed = None;
        }
        shape
    }
}
