//! What a protocol implements, and what it says to the session.
//!
//! A conversation has three parts, each a type: [`Greeting`] (the client's login), [`Dialing`] (ours to the database) and
//! [`Serving`] (everything after). Calls that find something to be judged return it and *hold* the frame; the session
//! answers with `resolve` or `plan`, and only then is the frame settled.

use crate::{CopyOut, Fault, Lane, Values};
use bytes::Bytes;
use std::rc::Rc;
use zeroize::Zeroizing;

/// Text or binary representation of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Text.
    Text,
    /// Binary.
    Binary,
}

/// What a redaction did to a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Redacted {
    /// Nothing.
    Keep,
    /// The value becomes NULL.
    Null,
    /// The value becomes the bytes in the scratch buffer.
    Scratch,
}

/// Changes values of planned columns; policy decides bytes, the protocol fixes the framing.
pub trait Redactor {
    /// Columns of the result shape this plan was made for.
    fn width(&self) -> usize;
    /// Planned column indices, ascending.
    fn planned(&self) -> &[u16];
    /// New bytes for a non-NULL value of `planned()[i]`, into `scratch` (cleared first by the callee).
    fn redact(&self, i: usize, format: Format, value: &[u8], scratch: &mut Vec<u8>) -> Redacted;
    /// The same for the values of planned column `i` in a batch of rows. It must come to what [`Redactor::redact`] says of
    /// each.
    fn redact_batch(&self, i: usize, format: Format, values: &mut Values<'_>) {
        values.each(|value, scratch| self.redact(i, format, value, scratch));
    }
    /// A replacement can be longer than the value it replaces.
    fn grows(&self) -> bool;
    /// The columns that it was made for, if it keeps them: those of [`Serving::columns`] when it was planned.
    fn columns(&self) -> Option<Rc<[Column]>> {
        None
    }
    /// What the client is warned of when the result ends.
    fn warnings(&self) -> &[Refusal] {
        &[]
    }
}

/// The types a session attaches to statements and result shapes.
pub trait Judge {
    /// Attached to a statement when it is forwarded.
    type Token: Clone;
    /// Attached to a result shape.
    type Plan: Redactor + Clone;
    /// Errors and notices of this statement must be made canonical.
    fn guarded(token: &Self::Token) -> bool;
    /// The shape of its result must be known before rows pass.
    fn needs_shape(token: &Self::Token) -> bool;
    /// It can read COPY data from the client.
    fn copies_in(token: &Self::Token) -> bool;
    /// Its statements that send rows in bulk, which pass only under a plan for the columns of their shape.
    fn copies_out(_token: &Self::Token) -> Option<Rc<[CopyOut]>> {
        None
    }
    /// It can change which relations the names in other statements mean.
    fn moves_names(token: &Self::Token) -> bool;
    /// It can rename or drop prepared statements of the session when it ends.
    fn changes_names(token: &Self::Token) -> bool;
    /// Its rows count against a budget: [`Judge::admit`] is asked before they pass, and nothing is forwarded behind it
    /// until it has ended, so that it can be cut and cancelled.
    fn metered(_token: &Self::Token) -> bool {
        false
    }
    /// How many of the next rows of statement `part` of its text may pass, given their sizes in bytes.
    fn admit(_token: &Self::Token, _part: usize, sizes: &mut dyn Iterator<Item = u64>) -> Admitted {
        sizes.fold(Admitted::default(), |all, bytes| Admitted {
            rows: all.rows + 1,
            bytes: all.bytes + bytes,
            cut: None,
        })
    }
}

/// Rows that may pass.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Admitted {
    /// How many.
    pub rows: u64,
    /// Bytes of their frames.
    pub bytes: u64,
    /// Why the next one may not: the result ends with this refusal.
    pub cut: Option<Refusal>,
}

/// One column of a result shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Name.
    pub name: Vec<u8>,
    /// Identity of the table, 0 if computed.
    pub table: u32,
    /// Number of the column in that table, 0 if computed.
    pub attribute: i16,
    /// Type.
    pub type_oid: u32,
}

/// A policy refusal in neutral words; the protocol frames it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Stable code.
    pub code: &'static str,
    /// Rule name.
    pub rule: String,
    /// What is refused and why; never data.
    pub message: String,
    /// What would be allowed.
    pub hint: Option<String>,
    /// Byte offset in the statement text.
    pub position: Option<u32>,
}

/// How a statement came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    /// A text to be run at once.
    Simple,
    /// A text to be prepared.
    Prepare,
    /// A run of something prepared before.
    Execute,
}

/// What the session is asked. The text is [`Serving::text`].
#[derive(Clone, Debug)]
pub enum Ask<J: Judge> {
    /// May this text be run or prepared?
    Text(Via),
    /// The text is longer than the limit and was not kept.
    TextTooLong(Via),
    /// May this prepared statement run, now?
    Execute {
        /// Its token.
        token: J::Token,
        /// Row limit, 0 for none.
        row_limit: u32,
        /// It was run before and goes on where its row limit ended it.
        resumed: bool,
        /// SHA-256 over its parameters as they came, if it has any.
        parameters: Option<[u8; 32]>,
        /// The parameters as they came, if the protocol was told to keep them and they are not too long.
        values: Option<Rc<[u8]>>,
    },
}

/// The session's answer.
#[derive(Debug)]
pub enum Verdict<J: Judge> {
    /// Goes upstream.
    Forward {
        /// Attached to it.
        token: J::Token,
        /// Number of the statement in the session, 0 for a preparation.
        number: u64,
        /// Now, for the duration.
        now_ns: u64,
    },
    /// Ends here.
    Refuse(Refusal),
    /// Not in our grammar, so it is not run; the database is asked to parse it, so that the client gets the server's own
    /// error. If the database can parse it, the client gets the refusal.
    Explain(Refusal),
}

/// How a statement ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Completed.
    Ok,
    /// A portal reached its row limit.
    Suspended,
    /// The database reported an error.
    Error([u8; 5]),
    /// Not run, because an earlier statement of the pipeline failed.
    Skipped,
    /// Rows withheld by policy after the shape was known.
    Withheld,
    /// A budget was used up in the middle of the rows.
    Cut,
}

/// A statement, or one statement of a text with several, ended.
#[derive(Clone, Debug)]
pub struct Done<J: Judge> {
    /// Its token.
    pub token: J::Token,
    /// Its number.
    pub number: u64,
    /// `Some(i)`: statement i of the text ended and others may follow; `None`: all of it ended.
    pub part: Option<usize>,
    /// How.
    pub outcome: Outcome,
    /// Rows passed downstream.
    pub rows: u64,
    /// Bytes of result frames from the database.
    pub bytes: u64,
    /// When it was forwarded.
    pub started_ns: u64,
    /// What its results were planned with; nothing where only a part ended.
    pub plans: Plans<J>,
}

/// The plans of one run, in order. The first takes no memory of its own.
pub struct Plans<J: Judge> {
    first: Option<J::Plan>,
    more: Vec<J::Plan>,
}

impl<J: Judge> Clone for Plans<J> {
    fn clone(&self) -> Self {
        Self { first: self.first.clone(), more: self.more.clone() }
    }
}

impl<J: Judge> Default for Plans<J> {
    fn default() -> Self {
        Self { first: None, more: Vec::new() }
    }
}

impl<J: Judge> std::fmt::Debug for Plans<J> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plans").field("count", &self.iter().count()).finish()
    }
}

impl<J: Judge> Plans<J> {
    /// Adds one.
    pub fn push(&mut self, plan: J::Plan) {
        match self.first {
            None => self.first = Some(plan),
            Some(_) => self.more.push(plan),
        }
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &J::Plan> {
        self.first.iter().chain(&self.more)
    }
}

/// What a held run of something prepared is given, beside its text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Given {
    /// Types of parameters as prepared, 0 where the database decides.
    pub types: Vec<u32>,
    /// Formats of parameters as bound: none is text, one is for all.
    pub formats: Vec<Format>,
    /// SHA-256 over the values as they came, if there are any.
    pub digest: Option<[u8; 32]>,
    /// The values, each with its length before it, if they were kept.
    pub values: Option<Rc<[u8]>>,
}

/// What one step found.
#[derive(Debug)]
pub enum Step<J: Judge> {
    /// A few frames, or a part of one, are settled; there may be more.
    Settled,
    /// More bytes are needed from this peer.
    NeedMore,
    /// Something must be sent, or come from the other peer, first.
    Blocked,
    /// The frame is held until [`Serving::resolve`].
    Ask(Ask<J>),
    /// The result shape is held until [`Serving::plan`]; the columns are [`Serving::columns`].
    Columns {
        /// The statement.
        token: J::Token,
        /// Which statement of its text.
        part: usize,
    },
    /// A statement ended.
    Done(Done<J>),
    /// The peer said goodbye.
    Goodbye,
}

/// Judges a prepared statement again: its token and, if known, the columns of its result; the new token and, for known
/// columns, the new plan.
pub type Rejudge<'a, J> =
    dyn FnMut(&<J as Judge>::Token, Option<&[Column]>) -> Result<(<J as Judge>::Token, Replanned<J>), Refusal> + 'a;

/// The new plan of a known result shape.
pub type Replanned<J> = Option<Result<<J as Judge>::Plan, Refusal>>;

/// How far the answer to a statement has come. Counts are from its beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flow {
    /// Number of the statement in the session.
    pub number: u64,
    /// Rows passed downstream.
    pub rows: u64,
    /// Bytes of result frames from the database.
    pub bytes: u64,
}

/// Steady state of a conversation.
pub trait Serving<J: Judge> {
    /// Handles what the client sent: `down` is its lane, `up` takes replies of our own.
    fn downstream(&mut self, down: &mut Lane, up: &mut Lane) -> Result<Step<J>, Fault>;
    /// Handles what the database sent.
    fn upstream(&mut self, up: &mut Lane, down: &mut Lane) -> Result<Step<J>, Fault>;
    /// Text of the held statement.
    fn text<'a>(&self, down: &'a Lane) -> &'a [u8];
    /// Answers [`Step::Ask`].
    fn resolve(&mut self, down: &mut Lane, up: &mut Lane, verdict: Verdict<J>) -> Result<(), Fault>;
    /// The held result shape as it came; of two that are equal, the columns are equal. Empty where that cannot be said.
    fn description<'a>(&self, _up: &'a Lane) -> &'a [u8] {
        &[]
    }
    /// Columns of the held result shape.
    fn columns(&mut self, up: &Lane) -> Result<Vec<Column>, Fault>;
    /// Answers [`Step::Columns`].
    fn plan(&mut self, up: &mut Lane, down: &mut Lane, plan: Result<J::Plan, Refusal>) -> Result<(), Fault>;
    /// Statements in flight that will not be answered any more, oldest first: for the record when a session ends.
    fn unanswered(&mut self) -> Vec<Done<J>>;
    /// The statement whose answer arrives now.
    fn flow(&self) -> Option<Flow>;
    /// A statement has ended and was not said to be [`Step::Done`] yet.
    fn has_ended(&self) -> bool;
    /// What is queued for the client ends between two frames.
    fn is_whole(&self) -> bool;
    /// The database still owes an answer.
    fn is_busy(&self) -> bool;
    /// Nothing is owed and no transaction is open: a good moment to end a session.
    fn is_idle(&self) -> bool;
    /// Rules or catalog changed: every prepared statement is judged again.
    fn renewed(&mut self, judge: &mut Rejudge<'_, J>);
    /// The session has a prepared statement of this name, or one that is being prepared.
    fn has_prepared(&self, name: &[u8]) -> bool;
    /// The session has a portal of this name.
    fn has_portal(&self, name: &[u8]) -> bool;
    /// A prepared statement (`None`: all of them) was dropped or replaced by a statement of the client's.
    fn forget_prepared(&mut self, name: Option<&[u8]>);
    /// A portal (`None`: all) may have been closed or replaced by a statement of the client's.
    fn forget_portal(&mut self, name: Option<&[u8]>);
    /// A result was cut and what runs is to be cancelled; said once. Until [`Serving::cancelled`] nothing is forwarded, so
    /// that the cancellation cannot hit anything else.
    fn wants_cancel(&mut self) -> bool;
    /// The cancellation has been delivered, or cannot be.
    fn cancelled(&mut self);
    /// Everything before the held statement has been answered. If not, the database is asked to say what it has.
    fn is_settled(&mut self, down: &mut Lane) -> bool;
    /// The held statement is not wanted any more: one before it failed, and what follows is skipped. Any verdict will do.
    fn is_skipping(&self) -> bool;
    /// The database keeps locks of what ran before the held statement until something that comes behind it.
    fn in_transaction(&self) -> bool;
    /// Something that ran before, or the end of what it ran in, is not answered yet: what has become of it is not known.
    fn is_behind(&self) -> bool;
    /// Nothing that could change what literals and names mean was sent since the held statement was prepared.
    fn is_read_anew(&self) -> bool;
    /// Errors of the database so far. What was done since its transaction began was taken back by one.
    fn failures(&self) -> u64;
    /// The token that the held run of something prepared has by now, or why it must not run. `None`: a text is held.
    fn held_token(&self) -> Option<Result<J::Token, Refusal>>;
    /// What the held run of something prepared is given. `None` if its parameters were not kept.
    fn given(&self) -> Option<Given>;
    /// From now on parameters of each Bind are kept for [`Serving::given`]: at most so many bytes of one, and of all.
    fn keep_parameters(&mut self, each_max: usize, all_max: usize);
    /// The client said goodbye behind the held statement.
    fn is_left(&self, down: &Lane) -> bool;
    /// Tells the client something beside the answers to its statements, unless a frame is half sent; true if it was told.
    /// `severity` and `state` are the protocol's words.
    fn notice(&self, up: &mut Lane, severity: &'static str, state: &'static str, message: &str) -> bool;
    /// Writes the protocol's last word to the client, unless a frame is half sent.
    fn farewell(&self, up: &mut Lane, fault: &Fault);
    /// The same where the caller has cut the client's output between two frames.
    fn last_word(&self, up: &mut Lane, fault: &Fault);
}

/// What a client asks for at login.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoginRequest {
    /// User name, valid UTF-8 without control characters.
    pub user: String,
    /// Database asked for.
    pub database: String,
    /// Name the client program gives itself.
    pub application: String,
    /// Session parameters that go upstream (allow-listed names).
    pub parameters: Vec<(String, String)>,
    /// How the client says it will prove who it is, if it says so.
    pub shows: Option<Shows>,
}

/// What a client shows instead of a proof by password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shows {
    /// A token in the place of the password, in clear inside TLS.
    Token,
    /// A token by the protocol's own mechanism for them, with the discovery that belongs to it.
    Oauth,
}

impl Shows {
    /// Stable word for records: `token` or `oauthbearer`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Oauth => "oauthbearer",
        }
    }
}

/// A token as the client sent it. Its debug form is its length alone; its memory is cleared.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(pub Zeroizing<String>);

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Token({} bytes)", self.0.len())
    }
}

/// What the client is asked for.
#[derive(Clone, Debug)]
pub enum Challenge<V> {
    /// A proof that it knows the secret of this verifier; with `oauth`, a token by the protocol's mechanism is as good.
    Secret {
        /// What the proof is checked with.
        verifier: V,
        /// Fresh randomness.
        nonce: [u8; 18],
        /// Where tokens come from, if they are taken.
        oauth: Option<Rc<Discovery>>,
    },
    /// A token in the place of the password.
    Token,
    /// A token by the protocol's own mechanism, and nothing else.
    Oauth(Rc<Discovery>),
    /// Nothing: the connection itself has proved it.
    Nothing,
}

/// Where a client finds out how to get a token (RFC 7628 3.2.2).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Discovery {
    /// URL of the issuer's `openid-configuration`.
    pub configuration: String,
    /// Scope to ask for, words separated by spaces.
    pub scope: String,
}

/// What a step of the login found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Greeted {
    /// More bytes are needed.
    NeedMore,
    /// TLS starts as soon as what is queued has been sent.
    StartTls,
    /// The client began with a TLS record; the bytes are still in the lane.
    DirectTls,
    /// A cancel request with this key; the connection ends.
    Cancel(Vec<u8>),
    /// Who the client says it is; answer with `challenge`.
    Login(LoginRequest),
    /// The client proved it.
    Authenticated,
    /// The client showed a token; answer with `shown`.
    Shown(Shows, Token),
    /// The proof is wrong; nothing has been said to the client yet.
    Denied(&'static str),
}

/// The client's login.
pub trait Greeting {
    /// What a user's secret is checked with.
    type Verifier: Clone;
    /// Handles what the client sent; replies go to `up`.
    fn step(&mut self, down: &mut Lane, up: &mut Lane) -> Result<Greeted, Fault>;
    /// TLS is established; `binding` is the end-point hash for channel binding.
    fn secured(&mut self, binding: &[u8]);
    /// Begins the proof of identity. A token is never asked for outside of TLS: the login is then a fault.
    ///
    /// # Errors
    /// What is asked for may not be sent over this connection.
    fn challenge(&mut self, up: &mut Lane, challenge: Challenge<Self::Verifier>) -> Result<(), Fault>;
    /// Answers [`Greeted::Shown`]: the token is good, or why not (a word for the record). The next step says what follows.
    fn shown(&mut self, up: &mut Lane, verdict: Result<(), &'static str>);
    /// After [`Greeted::Authenticated`]: which of several secrets of the user was shown, 0 for the first.
    fn matched(&self) -> usize {
        0
    }
    /// Says no, in the protocol's words.
    fn deny(&self, up: &mut Lane, fault: &Fault, detail: Option<&Refusal>);
    /// Says yes: `parameters` are the database's, `key` is the cancel key minted here.
    fn accept(&self, up: &mut Lane, parameters: &[(Vec<u8>, Vec<u8>)], process: u32, secret: &[u8; 32]);
}

/// What a step of dialing found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dialled {
    /// More bytes are needed.
    NeedMore,
    /// TLS starts now.
    StartTls,
    /// Logged in.
    Ready,
}

/// Our login to the database.
pub trait Dialing {
    /// Queues the first frame.
    fn begin(&mut self, down: &mut Lane);
    /// TLS is established; `binding` is the server certificate's end-point hash.
    fn secured(&mut self, down: &mut Lane, binding: Option<&[u8]>);
    /// Handles what the database sent.
    fn step(&mut self, up: &mut Lane, down: &mut Lane) -> Result<Dialled, Fault>;
    /// Parameters the database reported.
    fn parameters(&self) -> &[(Vec<u8>, Vec<u8>)];
    /// The frame that cancels what runs on this connection, to be sent on another one.
    fn cancel_frame(&self) -> Bytes;
}
