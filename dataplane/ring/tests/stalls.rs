//! Readers that stall, sockets that are cut off, and a process without descriptors: what it costs the others. Alone in its
//! program, because it lowers a limit of the process.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use ring_driver::{Listener, Options, Socket, connect, counts, run, run_with, sleep, spawn};
use std::cell::Cell;
use std::future::poll_fn;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};

/// Tests of this program run one after the other: one of them takes all descriptors.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn pair() -> (OwnedFd, TcpStream) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let theirs = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    theirs.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    (listener.accept().unwrap().0.into(), theirs)
}

async fn read(socket: &mut Socket, buffer: &mut [u8]) -> std::io::Result<usize> {
    poll_fn(|cx| socket.poll_read(cx, buffer)).await
}

async fn until(what: &str, mut done: impl FnMut() -> bool) {
    let limit = Instant::now() + Duration::from_secs(60);
    while !done() {
        assert!(Instant::now() < limit, "{what}: {:?}", counts());
        sleep(Duration::from_millis(2)).await;
    }
}

/// What a peer still reads, and how that ends. The executor goes on meanwhile, which may have something to do for it.
async fn rest(mut peer: impl Read + Send + 'static) -> (Vec<u8>, Option<ErrorKind>) {
    let reader = std::thread::spawn(move || {
        let mut got = Vec::new();
        let end = peer.read_to_end(&mut got);
        (got, end.err().map(|error| error.kind()))
    });
    while !reader.is_finished() {
        sleep(Duration::from_millis(2)).await;
    }
    reader.join().unwrap()
}

/// Answers what it is sent, so many times of one byte.
async fn echo(mut socket: Socket, rounds: usize) {
    let mut byte = [0];
    for _ in 0..rounds {
        assert_eq!(read(&mut socket, &mut byte).await.unwrap(), 1);
        assert_eq!(poll_fn(|cx| socket.poll_write(cx, &byte)).await.unwrap(), 1);
    }
    poll_fn(|cx| socket.poll_flush(cx)).await.unwrap();
}

#[test]
fn readers_that_stall_leave_buffers_to_the_others() {
    const ROUNDS: usize = 200;
    let _alone = alone();
    for stalled in [3, 40] {
        let stalls: Vec<_> = (0..stalled).map(|_| pair()).collect();
        let (ours, mut theirs) = pair();
        run_with(Options { buffers: 16, buffer_bytes: 1024 }, async move {
            let mut kept = Vec::new();
            let mut peers = Vec::new();
            for (n, (mine, mut peer)) in stalls.into_iter().enumerate() {
                let mut socket = Socket::from(mine);
                // Each asks for a byte and reads no more.
                peer.write_all(&[n as u8]).unwrap();
                assert_eq!(read(&mut socket, &mut [0; 1]).await.unwrap(), 1);
                poll_fn(|cx| {
                    assert!(socket.poll_readable(cx).is_pending());
                    Poll::Ready(())
                })
                .await;
                kept.push(socket);
                peers.push(peer);
            }
            // They all send little by little, as much as they like.
            for piece in 0..10u8 {
                for peer in &mut peers {
                    peer.write_all(&[piece; 700]).unwrap();
                }
                sleep(Duration::from_millis(5)).await;
            }
            assert!(counts().buffers_offered >= 8, "half of them is nobody's: {:?}", counts());
            let before = counts().starved;
            let peer = std::thread::spawn(move || {
                for round in 0..ROUNDS {
                    theirs.write_all(&[round as u8]).unwrap();
                    let mut byte = [0];
                    theirs.read_exact(&mut byte).unwrap();
                    assert_eq!(byte[0], round as u8);
                }
            });
            echo(Socket::from(ours), ROUNDS).await;
            peer.join().unwrap();
            assert_eq!(counts().starved, before, "a session found no buffer beside {stalled} that do not read");
            // And what they had been sent is all there, in order.
            for socket in &mut kept {
                let mut got = Vec::new();
                while got.len() < 7000 {
                    let mut buffer = [0; 999];
                    let n = read(socket, &mut buffer).await.unwrap();
                    got.extend_from_slice(&buffer[..n]);
                }
                assert!(got.iter().enumerate().all(|(at, &byte)| usize::from(byte) == at / 700));
            }
            drop(kept);
            until("every buffer is the kernel's", || counts().buffers_offered == 16).await;
        })
        .unwrap();
    }
}

/// Fills a connection whose peer does not read, until nothing more is taken; how much was.
async fn fill(socket: &mut Socket) -> usize {
    let mut written = 0;
    let mut quiet = 0;
    while quiet < 20 {
        let piece = [7; 4000];
        let step = poll_fn(|cx| match socket.poll_write(cx, &piece) {
            Poll::Ready(n) => Poll::Ready(n.unwrap()),
            Poll::Pending => Poll::Ready(0),
        })
        .await;
        written += step;
        quiet = if step == 0 { quiet + 1 } else { 0 };
        if step == 0 {
            sleep(Duration::from_millis(2)).await;
        }
    }
    written
}

#[test]
fn of_a_socket_that_is_cut_off_nothing_leaves_that_was_not_sent() {
    let _alone = alone();
    let (ours, theirs) = pair();
    socket2::SockRef::from(&theirs).set_recv_buffer_size(16 << 10).unwrap();
    socket2::SockRef::from(&ours).set_send_buffer_size(64 << 10).unwrap();
    run(async move {
        let mut socket = Socket::from(ours);
        let knife = socket.knife();
        let written = fill(&mut socket).await;
        // What is at the peer already.
        let there = theirs.peek(&mut vec![0; 1 << 20]).unwrap();
        assert!(there < written, "{there} of {written} bytes have arrived: the test shows nothing");
        knife.cut();
        knife.cut();
        let error = poll_fn(|cx| socket.poll_write(cx, b"more")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionAborted);
        let error = read(&mut socket, &mut [0; 10]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionAborted);
        let (got, end) = rest(theirs).await;
        assert_eq!(end, Some(ErrorKind::ConnectionReset));
        assert!(got.len() <= there, "{} bytes arrived, {there} had before", got.len());
        drop(socket);
        knife.cut();
        until("nothing is under way", || counts().operations == 1 && counts().lingering == 0).await;
    })
    .unwrap();
}

/// What was taken in the turn of the cut is still in memory then.
#[test]
fn what_was_written_and_not_submitted_is_gone_with_a_cut() {
    let _alone = alone();
    for dropped in [false, true] {
        let (ours, theirs) = pair();
        run(async move {
            let mut socket = Socket::from(ours);
            let knife = socket.knife();
            poll_fn(|cx| {
                assert!(matches!(socket.poll_write(cx, b"insert into t values (1)"), Poll::Ready(Ok(24))));
                Poll::Ready(())
            })
            .await;
            let socket = if dropped {
                // It would linger with these bytes.
                drop(socket);
                None
            } else {
                Some(socket)
            };
            knife.cut();
            assert_eq!(rest(theirs).await, (Vec::new(), Some(ErrorKind::ConnectionReset)));
            drop(socket);
            until("nothing is under way", || counts().operations == 1 && counts().lingering == 0).await;
        })
        .unwrap();
    }
}

#[test]
fn a_wire_of_this_machine_can_be_cut_off_too() {
    let _alone = alone();
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    run(async move {
        let mut socket = Socket::from(OwnedFd::from(ours));
        poll_fn(|cx| {
            assert!(socket.poll_write(cx, b"never").is_ready());
            Poll::Ready(())
        })
        .await;
        socket.knife().cut();
        assert_eq!(rest(theirs).await, (Vec::new(), None));
    })
    .unwrap();
}

/// Clients that come and go at once, in every way, leave nothing.
#[test]
fn ten_thousand_connections_that_come_and_go_leave_nothing() {
    const CLIENTS: usize = 10_000;
    let _alone = alone();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let clients = std::thread::spawn(move || {
        for n in 0..CLIENTS {
            let mut socket = TcpStream::connect(address).unwrap();
            if n % 4 > 0 {
                socket.write_all(&[1; 100]).unwrap();
            }
            if n % 4 > 1 {
                socket2::SockRef::from(&socket).set_linger(Some(Duration::ZERO)).unwrap();
            }
            if n % 4 == 3 {
                socket.shutdown(std::net::Shutdown::Write).unwrap();
            }
        }
    });
    let before = std::fs::read_dir("/proc/self/fd").unwrap().count();
    run(async move {
        let listener = Listener::new(listener);
        let ended = Rc::new(Cell::new(0));
        let counted = Rc::clone(&ended);
        spawn(async move {
            loop {
                let (mut socket, _) = listener.accept().await.unwrap();
                let ended = Rc::clone(&counted);
                spawn(async move {
                    let mut buffer = [0; 64];
                    while let Ok(1..) = read(&mut socket, &mut buffer).await {
                        // Into a connection that is being reset, mostly.
                        let _ = poll_fn(|cx| socket.poll_write(cx, &[2; 20_000])).await;
                    }
                    ended.set(ended.get() + 1);
                });
            }
        });
        // Some are reset before they are accepted: those are seen to have no address.
        while !clients.is_finished() {
            sleep(Duration::from_millis(2)).await;
        }
        until("all of them are over", || counts().tasks == 2 && counts().lingering == 0).await;
        assert!(ended.get() > CLIENTS / 4, "{} were seen", ended.get());
        until("nothing is under way", || counts().operations == 2 && counts().buffers_offered == 256).await;
        // The kernel closes what a task of its own let go of a little later.
        until("no descriptor is left", || std::fs::read_dir("/proc/self/fd").unwrap().count() <= before + 8).await;
        assert_eq!(counts().panics, 0);
    })
    .unwrap();
}

#[test]
fn without_descriptors_accepting_says_so_each_time_it_is_asked_and_goes_on_when_there_are_some() {
    const EMFILE: i32 = 24;
    let _alone = alone();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let before = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    run(async move {
        // The client has its descriptor already; the listener's side gets none.
        let client = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        let none = rustix::process::Rlimit { current: Some(3), maximum: before.maximum };
        rustix::process::setrlimit(rustix::process::Resource::Nofile, none).unwrap();
        let listener = Listener::new(listener);
        client.connect(&address.into()).unwrap();
        let turns = counts().turns;
        for _ in 0..3 {
            assert_eq!(listener.accept().await.unwrap_err().raw_os_error(), Some(EMFILE));
            sleep(Duration::from_millis(20)).await;
        }
        assert!(counts().turns - turns < 60, "{} turns for three tries", counts().turns - turns);
        let error = connect(address, Duration::from_secs(60)).await.unwrap_err();
        assert_eq!(error.raw_os_error(), Some(EMFILE));
        rustix::process::setrlimit(rustix::process::Resource::Nofile, before).unwrap();
        let (mut late, peer) = listener.accept().await.unwrap();
        assert_eq!(Some(peer), client.local_addr().unwrap().as_socket());
        (&client).write_all(b"x").unwrap();
        assert_eq!(read(&mut late, &mut [0; 2]).await.unwrap(), 1);
    })
    .unwrap();
}
