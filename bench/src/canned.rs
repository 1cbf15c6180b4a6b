//! A server that answers from memory, so that a measurement is of the proxy in front of it and not of a database.
//!
//! Answers are not made up: each statement it was told of is run once on a real PostgreSQL, and what came back, row
//! descriptions with the real table's numbers included, is sent from then on. Everything it was not told of (the catalog
//! queries of a gateway, for instance) goes to the real server on a connection of its own, and whoever asked waits in
//! line: that is for the time before measuring. One thread, epoll. Deliberately absent: TLS, COPY to the server,
//! parameters that matter (the first answer is every answer).

mod answers;
mod conversation;

use std::{
    collections::VecDeque,
    io::{self, ErrorKind, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    rc::Rc,
};

pub use answers::{Answers, BLOCK_ROWS};
use conversation::Conversation;
use postgres::scram::{ITERATIONS_DEFAULT, Verifier};

use crate::{
    failure::{Doing, Result},
    poller::{Interest, Poller},
    wire::Login,
};

const READ_BYTES: usize = 64 << 10;
/// Most bytes written to one client before others have their turn.
const TURN_BYTES: usize = 1 << 20;
const LISTENER: u64 = u64::MAX;

/// What is to be sent, in order.
#[derive(Debug, Default)]
pub(crate) struct Output(VecDeque<Piece>);

#[derive(Debug)]
enum Piece {
    Bytes {
        bytes: Vec<u8>,
        at: usize,
    },
    /// The same rows so many times.
    Rows {
        rows: Rc<[u8]>,
        at: usize,
        times: u64,
    },
}

impl Output {
    /// Where to append small things.
    pub(crate) fn bytes(&mut self) -> &mut Vec<u8> {
        if !matches!(self.0.back(), Some(Piece::Bytes { .. })) {
            self.0.push_back(Piece::Bytes { bytes: Vec::new(), at: 0 });
        }
        match self.0.back_mut() {
            Some(Piece::Bytes { bytes, .. }) => bytes,
            _ => unreachable!("a piece of bytes was put there"),
        }
    }

    /// Appends rows; few are copied.
    pub(crate) fn rows(&mut self, rows: &Rc<[u8]>, times: u64) {
        if times == 1 && rows.len() < 16 << 10 {
            self.bytes().extend_from_slice(rows);
        } else if times > 0 && !rows.is_empty() {
            self.0.push_back(Piece::Rows { rows: Rc::clone(rows), at: 0, times });
        }
    }

    /// Nothing is left.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Writes until the socket is full, a turn is over, or nothing is left.
    fn write(&mut self, socket: &mut TcpStream) -> io::Result<()> {
        let mut turn = 0;
        while let Some(piece) = self.0.front_mut() {
            let (slice, at) = match piece {
                Piece::Bytes { bytes, at } => (&bytes[..], at),
                Piece::Rows { rows, at, .. } => (&rows[..], at),
            };
            if turn >= TURN_BYTES {
                return Ok(());
            }
            if *at < slice.len() {
                match socket.write(&slice[*at..]) {
                    Ok(n) => {
                        *at += n;
                        turn += n;
                    }
                    Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                    Err(error) => return Err(error),
                }
            }
            if *at == slice.len() {
                match piece {
                    Piece::Rows { at, times, .. } if *times > 1 => {
                        *at = 0;
                        *times -= 1;
                    }
                    _ => drop(self.0.pop_front()),
                }
            }
        }
        Ok(())
    }
}

struct Session {
    socket: TcpStream,
    conversation: Conversation,
    interest: Interest,
}

/// Serves until the process ends.
///
/// # Errors
/// The listening socket's. A connection's errors end that connection alone, and are said on standard error.
pub fn serve(listener: &TcpListener, mut answers: Answers) -> Result<()> {
    listener.set_nonblocking(true).doing("make a socket non-blocking")?;
    let mut poller = Poller::new()?;
    poller.add(listener, LISTENER, Interest::READ)?;
    let mut sessions: Vec<Option<Session>> = Vec::new();
    let mut free: Vec<usize> = Vec::new();
    let mut buffer = vec![0; READ_BYTES];
    let mut ready = Vec::new();
    loop {
        poller.wait(None, &mut ready)?;
        let mut closed = Vec::new();
        for event in ready.drain(..) {
            if event.token == LISTENER {
                accept(listener, &poller, &mut sessions, &mut free)?;
                continue;
            }
            let index = event.token as usize;
            let Some(session) = sessions.get_mut(index).and_then(Option::as_mut) else { continue };
            match turn(session, event.read, &mut answers, &mut buffer) {
                Ok(true) => {
                    let interest = Interest { read: true, write: !session.conversation.out.is_empty() };
                    if interest != session.interest {
                        session.interest = interest;
                        poller.change(&session.socket, event.token, interest)?;
                    }
                }
                end => {
                    if let Err(error) = end {
                        eprintln!("{error}");
                    }
                    sessions[index] = None;
                    closed.push(index);
                }
            }
        }
        // Not before: an event of the same turn may still name a session that is gone.
        free.append(&mut closed);
    }
}

fn accept(
    listener: &TcpListener,
    poller: &Poller,
    sessions: &mut Vec<Option<Session>>,
    free: &mut Vec<usize>,
) -> Result<()> {
    loop {
        let socket = match listener.accept() {
            Ok((socket, _)) => socket,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) if error.kind() == ErrorKind::ConnectionAborted => continue,
            Err(error) => return Err(error).doing("accept a connection"),
        };
        socket.set_nodelay(true).doing("set TCP_NODELAY")?;
        socket.set_nonblocking(true).doing("make a socket non-blocking")?;
        let index = free.pop().unwrap_or_else(|| {
            sessions.push(None);
            sessions.len() - 1
        });
        poller.add(&socket, index as u64, Interest::READ)?;
        let conversation = Conversation::new(u32::try_from(index).unwrap_or(0));
        sessions[index] = Some(Session { socket, conversation, interest: Interest::READ });
    }
}

/// Reads, answers, writes. False: the client is gone.
fn turn(session: &mut Session, read: bool, answers: &mut Answers, buffer: &mut [u8]) -> Result<bool> {
    if read {
        match session.socket.read(buffer) {
            Ok(0) => return Ok(false),
            Ok(n) => {
                if !session.conversation.input(&buffer[..n], answers)? {
                    return Ok(false);
                }
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => return Ok(false),
        }
    }
    Ok(session.conversation.out.write(&mut session.socket).is_ok())
}

/// What the program that serves is told.
#[derive(Debug)]
pub struct Serve<'a> {
    /// Where to listen.
    pub listen: SocketAddr,
    /// The real server.
    pub upstream: Login,
    /// Statements that are answered.
    pub statements: &'a [String],
    /// Rows of long answers.
    pub rows: u64,
    /// Clients must know the real server's password.
    pub scram: bool,
}

/// Serves until the process ends.
///
/// # Errors
/// The real server cannot be reached, or the listening socket fails.
pub fn run(told: Serve<'_>) -> Result<()> {
    let password = told.upstream.password.as_bytes();
    let verifier = told.scram.then(|| Verifier::derive(password, b"any salt will do", ITERATIONS_DEFAULT));
    let answers = Answers::new(told.upstream, told.statements, told.rows, verifier)?;
    let listener = TcpListener::bind(told.listen).doing(format!("listen on {}", told.listen))?;
    serve(&listener, answers)
}
