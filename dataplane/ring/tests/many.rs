//! Many sockets and few buffers. Alone in its program, because it counts descriptors.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use ring_driver::{Counts, Listener, Options, Socket, counts, run_with, sleep, spawn};
use std::cell::Cell;
use std::future::poll_fn;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
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

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
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

/// An echo server of ours; `clients` of the standard library.
#[test]
fn a_thousand_sockets_share_few_buffers_and_leave_no_descriptor() {
    const CLIENTS: usize = 1000;
    const ROUNDS: usize = 3;
    const EINVAL: i32 = 22;
    let before = descriptors();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let written = Arc::new(AtomicBool::new(false));
    let first = Arc::clone(&written);
    let clients = std::thread::spawn(move || {
        let mut sockets: Vec<_> = (0..CLIENTS).map(|_| TcpStream::connect(address).unwrap()).collect();
        for round in 0..ROUNDS {
            for (n, socket) in sockets.iter_mut().enumerate() {
                socket.write_all(&stream((n * ROUNDS + round) as u64, 1 + n * 7 % 3000)).unwrap();
            }
            first.store(true, Ordering::Release);
            for (n, socket) in sockets.iter_mut().enumerate() {
                let expected = stream((n * ROUNDS + round) as u64, 1 + n * 7 % 3000);
                let mut got = vec![0; expected.len()];
                socket.read_exact(&mut got).unwrap();
                assert!(got == expected, "{n} in round {round}");
            }
        }
    });
    let starved = run_with(Options { buffers: 8, buffer_bytes: 512 }, async move {
        let stop = listener.try_clone().unwrap();
        let listener = Listener::new(listener);
        let open = Rc::new(Cell::new(0));
        let mut sockets = Vec::new();
        for _ in 0..CLIENTS {
            let (socket, peer) = listener.accept().await.unwrap();
            assert!(peer.ip().is_loopback());
            sockets.push(socket);
        }
        // Something is there for all of them when the first is read: there are not enough buffers.
        while !written.load(Ordering::Acquire) {
            sleep(Duration::from_millis(1)).await;
        }
        for mut socket in sockets {
            open.set(open.get() + 1);
            let open = Rc::clone(&open);
            spawn(async move {
                let mut buffer = vec![0; 4096];
                loop {
                    match read(&mut socket, &mut buffer).await {
                        Ok(0) | Err(_) => break,
                        Ok(n) => write_all(&mut socket, &buffer[..n]).await.unwrap(),
                    }
                }
                open.set(open.get() - 1);
            });
        }
        let until = Instant::now() + Duration::from_secs(300);
        while open.get() > 0 && Instant::now() < until {
            sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(open.get(), 0);
        socket2::SockRef::from(&stop).shutdown(Shutdown::Both).unwrap();
        assert_eq!(listener.accept().await.unwrap_err().raw_os_error(), Some(EINVAL));
        drop(listener);
        all_returned(8).await.starved
    })
    .unwrap();
    clients.join().unwrap();
    assert!(starved > 0, "there were enough buffers: the test shows nothing");
    assert!(descriptors() <= before, "{} descriptors, {before} before", descriptors());
}
