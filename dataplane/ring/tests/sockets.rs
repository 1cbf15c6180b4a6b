//! Sockets against peers of other kinds: every byte arrives, in order, whatever way it takes, and nothing is left behind.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use proptest::prelude::*;
use ring_driver::{Counts, Options, Socket, connect, counts, run, run_with, sleep, spawn};
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::task::Poll;
use std::time::{Duration, Instant};

/// Nothing but the executor's own bell is under way, and every buffer is the kernel's.
async fn all_returned(buffers: usize) -> Counts {
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        let now = counts();
        let clean = now.operations == 1 && now.buffers_offered == buffers && now.lingering == 0 && now.timers == 0;
        if clean || Instant::now() > until {
            assert!(clean, "{now:?}");
            return now;
        }
        sleep(Duration::from_millis(2)).await;
    }
}

async fn read(socket: &mut Socket, buffer: &mut [u8]) -> std::io::Result<usize> {
    poll_fn(|cx| socket.poll_read(cx, buffer)).await
}

async fn write_all(socket: &mut Socket, mut bytes: &[u8]) -> std::io::Result<()> {
    while !bytes.is_empty() {
        let n = poll_fn(|cx| socket.poll_write(cx, bytes)).await?;
        bytes = &bytes[n..];
    }
    Ok(())
}

async fn flush(socket: &mut Socket) -> std::io::Result<()> {
    poll_fn(|cx| socket.poll_flush(cx)).await
}

/// The kernel has brought what a peer sent; a busy one takes a moment. Nobody waits for the socket meanwhile.
async fn arrival(socket: &Socket) {
    let until = Instant::now() + Duration::from_secs(60);
    while !socket.has_arrived() {
        assert!(Instant::now() < until, "it does not arrive");
        sleep(Duration::from_millis(1)).await;
    }
}

/// The byte at a position of a stream.
fn byte(seed: u64, position: usize) -> u8 {
    let mut x = seed ^ (position as u64 / 8).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x ^= x >> 31;
    x = x.wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (x >> (position % 8 * 8)) as u8
}

fn stream(seed: u64, bytes: usize) -> Vec<u8> {
    (0..bytes).map(|position| byte(seed, position)).collect()
}

/// A socket of ours and one of the standard library, connected.
fn pair() -> (OwnedFd, TcpStream) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let theirs = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (listener.accept().unwrap().0.into(), theirs)
}

#[derive(Clone, Debug)]
struct Plan {
    seed: u64,
    /// Sizes of the peer's writes and of ours.
    theirs: Vec<usize>,
    ours: Vec<usize>,
    /// Sizes of our reads, over and over.
    reads: Vec<usize>,
    /// Sizes of theirs.
    peer_reads: Vec<usize>,
    /// We stop reading for a moment, this often.
    pauses: usize,
    small_buffers: bool,
}

fn sizes(most: usize) -> impl Strategy<Value = usize> {
    prop_oneof![4 => 1usize..300, 2 => 300..9000usize, 2 => 9000..70_000usize, 1 => 70_000..most]
}

fn plan() -> impl Strategy<Value = Plan> {
    let writes = || proptest::collection::vec(sizes(600_000), 0..24);
    let reads = || proptest::collection::vec(sizes(262_145), 1..6);
    (any::<u64>(), writes(), writes(), reads(), reads(), 0usize..4, any::<bool>()).prop_map(
        |(seed, theirs, ours, reads, peer_reads, pauses, small_buffers)| Plan {
            seed,
            theirs,
            ours,
            reads,
            peer_reads,
            pauses,
            small_buffers,
        },
    )
}

fn follow(plan: Plan) {
    let (ours, theirs) = pair();
    let (sent_to_us, sent_by_us): (usize, usize) = (plan.theirs.iter().sum(), plan.ours.iter().sum());
    let peer = plan.clone();
    let mut reading = theirs.try_clone().unwrap();
    let writer = std::thread::spawn(move || {
        let mut at = 0;
        let content = stream(peer.seed, sent_to_us);
        for size in peer.theirs {
            (&theirs).write_all(&content[at..at + size]).unwrap();
            at += size;
        }
        theirs.shutdown(Shutdown::Write).unwrap();
    });
    let peer = plan.clone();
    let reader = std::thread::spawn(move || {
        let mut got = Vec::new();
        let mut sizes = peer.peer_reads.iter().cycle();
        loop {
            let mut buffer = vec![0; *sizes.next().unwrap()];
            match reading.read(&mut buffer).unwrap() {
                0 => break got,
                n => got.extend_from_slice(&buffer[..n]),
            }
        }
    });
    let options = if plan.small_buffers { Options { buffers: 4, buffer_bytes: 1024 } } else { Options::default() };
    let buffers = usize::from(options.buffers);
    let expected = stream(plan.seed.wrapping_add(1), sent_by_us);
    run_with(options, async move {
        let mut socket = Socket::from(ours);
        let content = stream(plan.seed.wrapping_add(1), sent_by_us);
        let (mut got, mut written, mut ended) = (Vec::new(), 0, false);
        let mut chunks = plan.ours.iter().copied();
        let mut chunk = chunks.next().unwrap_or(0);
        let mut sizes = plan.reads.iter().cycle();
        let mut pauses = plan.pauses;
        // Both directions in one task, as a session does it.
        while !ended || written < sent_by_us {
            poll_fn(|cx| {
                let mut moved = false;
                if !ended {
                    let mut buffer = vec![0; *sizes.next().unwrap()];
                    match socket.poll_read(cx, &mut buffer) {
                        Poll::Ready(n) => {
                            let n = n.unwrap();
                            ended = n == 0;
                            got.extend_from_slice(&buffer[..n]);
                            moved = true;
                        }
                        Poll::Pending => {}
                    }
                }
                while written < sent_by_us {
                    let Poll::Ready(n) = socket.poll_write(cx, &content[written..written + chunk]) else { break };
                    let n = n.unwrap();
                    assert!(n > 0 && n <= chunk);
                    written += n;
                    chunk -= n;
                    if chunk == 0 {
                        chunk = chunks.next().unwrap_or(0);
                    }
                    moved = true;
                }
                if moved { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
            if pauses > 0 && got.len() > sent_to_us / 2 {
                pauses -= 1;
                sleep(Duration::from_millis(3)).await;
            }
        }
        flush(&mut socket).await.unwrap();
        assert!(got == stream(plan.seed, sent_to_us), "what we were sent");
        drop(socket);
        all_returned(buffers).await;
    })
    .unwrap();
    writer.join().unwrap();
    assert!(reader.join().unwrap() == expected, "what we sent");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn every_byte_arrives_in_order_both_ways(plan in plan()) {
        follow(plan);
    }
}

/// What a hostile or unlucky peer does.
#[derive(Clone, Copy, Debug)]
enum Fate {
    /// Resets the connection after so many bytes.
    Reset(usize),
    /// Closes it.
    Close(usize),
    /// Never reads; we give up.
    Silent,
    /// We drop the socket after so many bytes.
    Dropped(usize),
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        (0usize..200_000).prop_map(Fate::Reset),
        (0usize..200_000).prop_map(Fate::Close),
        Just(Fate::Silent),
        (0usize..400_000).prop_map(Fate::Dropped),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn nothing_is_left_of_sockets_that_end_badly(fates in proptest::collection::vec(fate(), 1..12), seed in any::<u64>()) {
        let mut peers = Vec::new();
        let mut ours = Vec::new();
        for (n, fate) in fates.iter().copied().enumerate() {
            let (mine, theirs) = pair();
            ours.push((mine, fate));
            peers.push(std::thread::spawn(move || {
                theirs.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
                let content = stream(seed.wrapping_add(n as u64), 400_000);
                match fate {
                    Fate::Reset(bytes) | Fate::Close(bytes) => {
                        let _ = (&theirs).write_all(&content[..bytes]);
                        if let Fate::Reset(_) = fate {
                            socket2::SockRef::from(&theirs).set_linger(Some(Duration::ZERO)).unwrap();
                        }
                    }
                    // Both end when we are gone.
                    Fate::Silent => drop((&theirs).write_all(&content)),
                    Fate::Dropped(_) => {
                        let _ = (&theirs).write_all(&content);
                        let _ = (&theirs).read_to_end(&mut Vec::new());
                    }
                }
            }));
        }
        run(async move {
            for (n, (mine, fate)) in ours.into_iter().enumerate() {
                spawn(async move {
                    let mut socket = Socket::from(mine);
                    let content = stream(seed.wrapping_add(n as u64), 400_000);
                    let (mut got, mut written) = (0, 0);
                    let most = match fate {
                        Fate::Reset(bytes) | Fate::Close(bytes) | Fate::Dropped(bytes) => bytes,
                        Fate::Silent => 1000,
                    };
                    let until = Instant::now() + Duration::from_millis(200);
                    loop {
                        let mut buffer = [0; 5000];
                        let step = poll_fn(|cx| {
                            while written < content.len()
                                && let Poll::Ready(Ok(n)) = socket.poll_write(cx, &content[written..])
                            {
                                written += n;
                            }
                            socket.poll_read(cx, &mut buffer)
                        });
                        match step.await {
                            Ok(0) | Err(_) => break,
                            Ok(n) => {
                                assert!(buffer[..n] == content[got..got + n]);
                                got += n;
                            }
                        }
                        if got >= most && (!matches!(fate, Fate::Reset(_) | Fate::Close(_)) || Instant::now() > until) {
                            break;
                        }
                    }
                    assert!(got <= most || !matches!(fate, Fate::Reset(_) | Fate::Close(_)));
                });
            }
            let until = Instant::now() + Duration::from_secs(60);
            while counts().tasks > 1 {
                assert!(Instant::now() < until, "tasks that do not end");
                sleep(Duration::from_millis(2)).await;
            }
            assert_eq!(all_returned(256).await.panics, 0);
        })
        .unwrap();
        peers.into_iter().for_each(|peer| peer.join().unwrap());
    }
}

#[test]
fn what_a_dropped_socket_was_given_still_arrives() {
    let (ours, mut theirs) = pair();
    let content = stream(3, 30_000);
    let expected = content.clone();
    run(async move {
        let mut socket = Socket::from(ours);
        write_all(&mut socket, &content[..10_000]).await.unwrap();
        write_all(&mut socket, &content[10_000..]).await.unwrap();
        drop(socket);
    })
    .unwrap();
    let mut got = Vec::new();
    theirs.read_to_end(&mut got).unwrap();
    assert!(got == expected);
}

#[test]
fn a_reader_that_stalls_costs_bounded_memory() {
    let (ours, theirs) = pair();
    let writer = std::thread::spawn(move || {
        let content = stream(9, 3_000_000);
        let _ = (&theirs).write_all(&content);
    });
    run(async move {
        let mut socket = Socket::from(ours);
        let mut buffer = vec![0; 100];
        let mut got = read(&mut socket, &mut buffer).await.unwrap();
        assert!(buffer[..got] == stream(9, got));
        // Everything that comes meanwhile is left to the kernel but for a few buffers.
        sleep(Duration::from_millis(100)).await;
        let held = 256 - counts().buffers_offered;
        assert!(held <= 64, "{held} buffers of one socket");
        let mut buffer = vec![0; 10_000];
        loop {
            let n = read(&mut socket, &mut buffer).await.unwrap();
            if n == 0 {
                break;
            }
            assert!((0..n).all(|i| buffer[i] == byte(9, got + i)));
            got += n;
        }
        assert_eq!(got, 3_000_000);
    })
    .unwrap();
    writer.join().unwrap();
}

#[test]
fn connecting_tells_what_is_wrong() {
    // A port that is taken, so that nobody else gets it, and on which nobody listens.
    let taken = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    taken.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
    let closed = taken.local_addr().unwrap().as_socket().unwrap();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let open = listener.local_addr().unwrap();
    // A listener whose queue is full answers no more.
    let full = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    full.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
    full.listen(0).unwrap();
    let silent = full.local_addr().unwrap().as_socket().unwrap();
    let _in_queue: Vec<_> = (0..2)
        .map(|_| {
            let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
            socket.set_nonblocking(true).unwrap();
            let _ = socket.connect(&silent.into());
            socket
        })
        .collect();
    run(async move {
        let refused = connect(closed, Duration::from_secs(60)).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        let late = connect(silent, Duration::from_millis(50)).await.unwrap_err();
        assert_eq!(late.kind(), ErrorKind::TimedOut);
        let mut socket = connect(open, Duration::from_secs(60)).await.unwrap();
        write_all(&mut socket, b"hello").await.unwrap();
        flush(&mut socket).await.unwrap();
        let mut got = [0; 5];
        listener.accept().unwrap().0.read_exact(&mut got).unwrap();
        assert_eq!(&got, b"hello");
        drop(socket);
        all_returned(256).await;
    })
    .unwrap();
}

#[test]
fn silence_is_asked_of_the_kernel() {
    let (ours, mut theirs) = pair();
    run(async move {
        let mut socket = Socket::from(ours);
        assert!(!socket.has_arrived());
        theirs.write_all(b"ab").unwrap();
        // Nobody has waited for it, so nobody was told.
        arrival(&socket).await;
        let mut byte = [0];
        assert_eq!((read(&mut socket, &mut byte).await.unwrap(), byte[0]), (1, b'a'));
        assert!(socket.has_arrived(), "the other byte was taken over and not read");
        assert_eq!((read(&mut socket, &mut byte).await.unwrap(), byte[0]), (1, b'b'));
        assert!(!socket.has_arrived());
        theirs.shutdown(Shutdown::Write).unwrap();
        arrival(&socket).await; // An end is not silence.
    })
    .unwrap();
}

#[test]
fn timers_fire_in_order_and_dropped_ones_do_not() {
    run(async {
        {
            let mut dropped = std::pin::pin!(sleep(Duration::from_secs(1000)));
            poll_fn(|cx| {
                assert!(dropped.as_mut().poll(cx).is_pending());
                Poll::Ready(())
            })
            .await;
            assert_eq!(counts().timers, 1);
        }
        loop {
            let order = Rc::new(RefCell::new(Vec::new()));
            let began = Instant::now();
            let last = Rc::new(Cell::new(began));
            for ms in [30, 5, 20, 10] {
                let (order, last) = (Rc::clone(&order), Rc::clone(&last));
                spawn(async move {
                    let timer = sleep(Duration::from_millis(ms));
                    last.set(Instant::now());
                    timer.await;
                    order.borrow_mut().push(ms);
                });
            }
            while counts().tasks > 1 {
                sleep(Duration::from_millis(1)).await;
            }
            assert!(began.elapsed() >= Duration::from_millis(29));
            // A machine that stood still while they began has given them another order.
            if last.get() - began < Duration::from_millis(4) {
                assert_eq!(*order.borrow(), [5, 10, 20, 30]);
                break;
            }
        }
        assert_eq!(all_returned(256).await.timers, 0);
    })
    .unwrap();
}

#[test]
fn a_panicking_task_ends_alone_and_its_socket_is_closed() {
    let (ours, mut theirs) = pair();
    run(async move {
        let told = Rc::new(RefCell::new(0));
        let tell = Rc::clone(&told);
        ring_driver::on_panic(move || *tell.borrow_mut() += 1);
        spawn(async move {
            let mut socket = Socket::from(ours);
            let mut buffer = [0; 10];
            let _ = read(&mut socket, &mut buffer).await;
            panic!("expected by a test");
        });
        sleep(Duration::from_millis(5)).await;
        theirs.write_all(b"now").unwrap();
        let until = Instant::now() + Duration::from_secs(60);
        while counts().tasks > 1 && Instant::now() < until {
            sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(all_returned(256).await.panics, 1);
        assert_eq!(*told.borrow(), 1);
        assert_eq!(theirs.read(&mut [0; 10]).unwrap(), 0);
    })
    .unwrap();
}

#[test]
#[should_panic(expected = "of the main task")]
fn a_panic_of_the_main_task_is_the_executors() {
    let _ = run(async { panic!("of the main task") });
}

/// An executor that ends in the middle of everything leaves no descriptor.
#[test]
fn an_executor_that_ends_early_closes_everything() {
    let (ours, mut theirs) = pair();
    let (idle, mut silent) = pair();
    run(async move {
        spawn(async move {
            let mut socket = Socket::from(ours);
            let content = stream(1, 100_000);
            loop {
                if write_all(&mut socket, &content).await.is_err() {
                    return;
                }
            }
        });
        spawn(async move {
            let mut socket = Socket::from(idle);
            let _ = read(&mut socket, &mut [0; 10]).await;
        });
        sleep(Duration::from_millis(20)).await;
    })
    .unwrap();
    assert_eq!(silent.read(&mut [0; 10]).unwrap_or(0), 0);
    let mut rest = Vec::new();
    theirs.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    match theirs.read_to_end(&mut rest) {
        Ok(_) => {}
        Err(e) => assert_eq!(e.kind(), ErrorKind::ConnectionReset),
    }
    let expected = stream(1, 100_000);
    assert!(rest.chunks(100_000).all(|chunk| *chunk == expected[..chunk.len()]));
}

#[test]
fn what_has_arrived_is_known_though_nobody_reads() {
    run(async {
        let (ours, theirs) = pair();
        let mut socket = Socket::from(ours);
        let mut buffer = vec![0; 64 << 10];
        // Much, then little: nothing is under way in the kernel afterwards.
        let content = stream(7, 1 << 20);
        let thread = std::thread::spawn(move || {
            (&theirs).write_all(&content).unwrap();
            theirs
        });
        let mut got = 0;
        while got < 1 << 20 {
            got += read(&mut socket, &mut buffer).await.unwrap();
        }
        let theirs = thread.join().unwrap();
        let mut waits = 0;
        while waits < 3 {
            waits += 1;
            (&theirs).write_all(b"end").unwrap();
            assert_eq!(read(&mut socket, &mut buffer).await.unwrap(), 3);
        }
        assert!(!socket.has_arrived());
        (&theirs).write_all(b"late").unwrap();
        arrival(&socket).await;
        assert!(socket.has_arrived());
        assert_eq!(read(&mut socket, &mut buffer).await.unwrap(), 4);
        assert!(!socket.has_arrived());
        drop(theirs);
        arrival(&socket).await;
        assert_eq!(read(&mut socket, &mut buffer).await.unwrap(), 0);
        assert!(socket.has_arrived());
        drop(socket);
        all_returned(256).await;
    })
    .unwrap();
}
