//! The floor: a proxy that copies bytes and knows nothing. One thread, epoll, one 256 KiB buffer for all connections.
//!
//! What a proxy of any kind must spend is what this one spends: a read and a write for each wake-up. Bytes that the other
//! side does not take at once stay in their buffer, which is the connection's until they are gone; meanwhile it is not read. So
//! no byte is copied but by the kernel, and an idle connection has no buffer. Deliberately absent: TLS, limits, time-outs, anything that a proxy in service needs.

use std::{
    io::{ErrorKind, Read, Write},
    mem,
    net::{SocketAddr, TcpListener, TcpStream},
    ops::Range,
};

use crate::{
    failure::{Doing, Result},
    poller::{Interest, Poller},
};

const BUFFER_BYTES: usize = 256 << 10;
const LISTENER: u64 = u64::MAX;

#[derive(Debug)]
struct Pair {
    ends: [End; 2],
}

#[derive(Debug)]
struct End {
    socket: TcpStream,
    interest: Interest,
    /// Bytes from the other end that this one has not taken: a buffer, and where in it they are.
    waiting: Option<(Vec<u8>, Range<usize>)>,
}

/// Buffers that no connection has.
#[derive(Debug, Default)]
struct Spare(Vec<Vec<u8>>);

impl Spare {
    fn take(&mut self) -> Vec<u8> {
        self.0.pop().unwrap_or_else(|| vec![0; BUFFER_BYTES])
    }
}

impl End {
    fn new(socket: TcpStream) -> Result<Self> {
        socket.set_nodelay(true).doing("set TCP_NODELAY")?;
        socket.set_nonblocking(true).doing("make a socket non-blocking")?;
        Ok(Self { socket, interest: Interest::READ, waiting: None })
    }

    fn want(&mut self, poller: &Poller, token: u64, interest: Interest) -> Result<()> {
        if self.interest != interest {
            self.interest = interest;
            poller.change(&self.socket, token, interest)?;
        }
        Ok(())
    }
}

/// Serves until the process ends.
///
/// # Errors
/// The listening socket's. A connection's errors end that connection alone.
pub fn serve(listener: &TcpListener, upstream: SocketAddr) -> Result<()> {
    listener.set_nonblocking(true).doing("make a socket non-blocking")?;
    let mut poller = Poller::new()?;
    poller.add(listener, LISTENER, Interest::READ)?;
    let mut pairs: Vec<Option<Pair>> = Vec::new();
    let mut free: Vec<usize> = Vec::new();
    let mut spare = Spare::default();
    let mut buffer = spare.take();
    let mut ready = Vec::new();
    loop {
        poller.wait(None, &mut ready)?;
        let mut closed = Vec::new();
        for event in ready.drain(..) {
            if event.token == LISTENER {
                accept(listener, upstream, &poller, &mut pairs, &mut free)?;
                continue;
            }
            let (index, side) = ((event.token / 2) as usize, (event.token % 2) as usize);
            let Some(pair) = pairs.get_mut(index).and_then(Option::as_mut) else { continue };
            let mut open = true;
            if event.write {
                open = drain(pair, index, side, &poller, &mut spare)?;
            }
            if open && event.read {
                open = forward(pair, index, side, &poller, (&mut buffer, &mut spare))?;
            }
            if !open {
                pairs[index] = None;
                closed.push(index);
            }
        }
        // Not before: an event of the same turn may still name a connection that is gone.
        free.append(&mut closed);
    }
}

fn accept(
    listener: &TcpListener,
    upstream: SocketAddr,
    poller: &Poller,
    pairs: &mut Vec<Option<Pair>>,
    free: &mut Vec<usize>,
) -> Result<()> {
    loop {
        let client = match listener.accept() {
            Ok((client, _)) => client,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) if error.kind() == ErrorKind::ConnectionAborted => continue,
            Err(error) => return Err(error).doing("accept a connection"),
        };
        let Ok(server) = TcpStream::connect(upstream) else { continue };
        let index = free.pop().unwrap_or_else(|| {
            pairs.push(None);
            pairs.len() - 1
        });
        let ends = [End::new(client)?, End::new(server)?];
        for (side, end) in ends.iter().enumerate() {
            poller.add(&end.socket, token(index, side), Interest::READ)?;
        }
        pairs[index] = Some(Pair { ends });
    }
}

const fn token(index: usize, side: usize) -> u64 {
    (index * 2 + side) as u64
}

/// Reads from one side and writes to the other. Says whether the pair goes on.
fn forward(
    pair: &mut Pair,
    index: usize,
    side: usize,
    poller: &Poller,
    (buffer, spare): (&mut Vec<u8>, &mut Spare),
) -> Result<bool> {
    let [first, second] = &mut pair.ends;
    let (from, to) = if side == 0 { (first, second) } else { (second, first) };
    if to.waiting.is_some() {
        return Ok(true);
    }
    let n = match from.socket.read(buffer) {
        Ok(0) => return Ok(false),
        Ok(n) => n,
        Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(true),
        Err(_) => return Ok(false),
    };
    let written = match to.socket.write(&buffer[..n]) {
        Ok(written) => written,
        Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
        Err(_) => return Ok(false),
    };
    if written < n {
        to.waiting = Some((mem::replace(buffer, spare.take()), written..n));
        to.want(poller, token(index, 1 - side), Interest { write: true, ..to.interest })?;
        from.want(poller, token(index, side), Interest { read: false, ..from.interest })?;
    }
    Ok(true)
}

/// Writes what one side has not taken, and lets the other be read again when that is gone.
fn drain(pair: &mut Pair, index: usize, side: usize, poller: &Poller, spare: &mut Spare) -> Result<bool> {
    let [first, second] = &mut pair.ends;
    let (to, from) = if side == 0 { (first, second) } else { (second, first) };
    let Some((bytes, rest)) = &mut to.waiting else { return Ok(true) };
    match to.socket.write(&bytes[rest.clone()]) {
        Ok(n) => rest.start += n,
        Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(true),
        Err(_) => return Ok(false),
    }
    if rest.start == rest.end {
        spare.0.extend(to.waiting.take().map(|(bytes, _)| bytes));
        to.want(poller, token(index, side), Interest { write: false, ..to.interest })?;
        from.want(poller, token(index, 1 - side), Interest { read: true, ..from.interest })?;
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn what_is_sent_arrives_however_slowly_it_is_taken() {
        let upstream = TcpListener::bind("127.0.0.1:0").unwrap();
        let behind = upstream.local_addr().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || serve(&listener, behind));
        let sent: Vec<u8> = (0..8_000_000_u32).map(|n| (n % 251) as u8).collect();
        let body = sent.clone();
        let server = thread::spawn(move || {
            let (mut socket, _) = upstream.accept().unwrap();
            let mut question = [0; 4];
            socket.read_exact(&mut question).unwrap();
            assert_eq!(&question, b"more");
            socket.write_all(&body).unwrap();
            // Held open until the client has it all: the proxy closes both ends when one closes.
            assert_eq!(socket.read(&mut question).unwrap(), 0);
        });
        let mut client = TcpStream::connect(address).unwrap();
        client.write_all(b"more").unwrap();
        thread::sleep(std::time::Duration::from_millis(200));
        let mut got = vec![0; sent.len()];
        client.read_exact(&mut got).unwrap();
        assert!(got == sent);
        drop(client);
        server.join().unwrap();
    }
}
