//! Direct files and work on the helper thread.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use ring_driver::{DirectFile, blocking, counts, run, sleep, spawn};
use std::cell::Cell;
use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const PAGE: usize = 4096;

/// A file of zeros that goes away with the test, on a file system that has direct writes.
struct Zeros(PathBuf);

impl Zeros {
    fn new(name: &str, pages: usize) -> Self {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        std::fs::write(&path, vec![0; pages * PAGE]).unwrap();
        Self(path)
    }
}

impl Drop for Zeros {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// The file, if this machine's file system has direct writes.
async fn open(zeros: &Zeros) -> Option<DirectFile> {
    match DirectFile::open(&zeros.0).await {
        Ok(file) => Some(file),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            None
        }
    }
}

#[test]
fn what_is_written_is_there() {
    let zeros = Zeros::new("written", 64);
    let path = zeros.0.clone();
    let written = run(async move {
        let file = open(&zeros).await.map(Rc::new)?;
        let left = Rc::new(Cell::new(0));
        for n in 0..16usize {
            let (file, left) = (Rc::clone(&file), Rc::clone(&left));
            left.set(left.get() + 1);
            spawn(async move {
                let mut buffer = file.buffer(PAGE * (1 + n % 4));
                buffer.fill(n as u8 + 1);
                file.write(buffer, (n * 4 * PAGE) as u64, n % 2 == 0).await.unwrap();
                left.set(left.get() - 1);
            });
        }
        while left.get() > 0 {
            sleep(Duration::from_millis(1)).await;
        }
        file.sync().await.unwrap();
        // Durable writes need no sync, and a second sync has nothing to do.
        file.sync().await.unwrap();
        let error = file.write(file.buffer(100), 3, false).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "a position and a length that no device takes");
        drop(file);
        let until = Instant::now() + Duration::from_secs(60);
        while counts().operations > 1 && Instant::now() < until {
            sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(counts().operations, 1);
        Some((std::fs::read(&path).unwrap(), zeros))
    });
    let Some((content, _zeros)) = written.unwrap() else { return };
    for (n, part) in content.chunks(4 * PAGE).enumerate() {
        let (with, without) = part.split_at(PAGE * (1 + n % 4));
        assert!(with.iter().all(|&b| b == n as u8 + 1) && without.iter().all(|&b| b == 0), "part {n}");
    }
}

#[test]
fn a_write_that_nobody_waits_for_keeps_its_memory() {
    let zeros = Zeros::new("dropped", 256);
    let path = zeros.0.clone();
    let done = run(async move {
        let file = open(&zeros).await?;
        for n in 0..64u64 {
            let mut buffer = file.buffer(4 * PAGE);
            buffer.fill(9);
            let mut write = Box::pin(file.write(buffer, n * 4 * PAGE as u64, false));
            // Begun, and dropped with the ring still holding it.
            std::future::poll_fn(|cx| {
                assert!(write.as_mut().poll(cx).is_pending());
                std::task::Poll::Ready(())
            })
            .await;
            drop(write);
            let mut other = file.buffer(4 * PAGE);
            other.fill(7);
        }
        Some(zeros)
    });
    // The ring has ended, and everything with it.
    let Some(_zeros) = done.unwrap() else { return };
    let content = std::fs::read(path).unwrap();
    assert!(content.iter().all(|&b| b == 0 || b == 9), "memory that was used for something else meanwhile was written");
}

#[test]
fn work_beside_the_core_keeps_its_order_and_tells_how_it_ended() {
    run(async {
        let order = Arc::new(Mutex::new(Vec::new()));
        let left = Rc::new(Cell::new(20));
        for n in 0..20 {
            let (order, left) = (Arc::clone(&order), Rc::clone(&left));
            spawn(async move {
                let here = std::thread::current().id();
                let work = move || {
                    assert_ne!(std::thread::current().id(), here);
                    order.lock().unwrap().push(n);
                    Ok(n * 2)
                };
                assert_eq!(blocking(work).await.unwrap(), n * 2);
                left.set(left.get() - 1);
            });
        }
        while left.get() > 0 {
            sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(*order.lock().unwrap(), (0..20).collect::<Vec<_>>());
        let error = blocking(|| io::Result::<()>::Err(ErrorKind::StorageFull.into())).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::StorageFull);
        let error = blocking(|| -> io::Result<()> { panic!("expected by a test") }).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Other);
        assert_eq!(blocking(|| Ok(5)).await.unwrap(), 5, "the thread goes on");
    })
    .unwrap();
}

#[test]
fn work_that_was_queued_is_done_before_the_executor_ends() {
    let done = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&done);
    run(async move {
        for _ in 0..5 {
            let counted = Arc::clone(&counted);
            drop(blocking(move || {
                std::thread::sleep(Duration::from_millis(5));
                *counted.lock().unwrap() += 1;
                Ok(())
            }));
        }
    })
    .unwrap();
    assert_eq!(*done.lock().unwrap(), 5);
}
