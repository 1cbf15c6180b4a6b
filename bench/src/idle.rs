//! Memory of sessions that do nothing.
//!
//! A proxy of its own is started for it, so that nothing it did before is counted: a few sessions come and go first, then
//! the proxy's memory is read before and after the many, each of which has run one statement. Logins go over several
//! threads, because each costs thousands of rounds of hashing.

use std::{
    thread,
    time::{Duration, Instant},
};

use crate::{
    failure::{Failure, Result, Stop},
    machine,
    target::{Ground, Target, Way},
    wire::{Client, Format, Login},
    work::Figures,
};

const THREADS: usize = 4;
const WARM_SESSIONS: usize = 20;
/// For what the proxy does after the last statement.
const SETTLE: Duration = Duration::from_secs(1);

/// One round.
///
/// # Errors
/// A login failed.
pub fn round(way: Way, ground: &Ground, sessions: usize, stop: &Stop) -> Result<Figures> {
    if way == Way::Direct {
        return Ok(Figures::default());
    }
    ground.postgres.wait_alone(stop)?;
    let target = Target::start(ground, way, &format!("{}-idle", way.name()), stop)?;
    let pid = target.proxy().ok_or("there is no proxy to look at")?;
    drop(open(target.login(true), WARM_SESSIONS, stop)?);
    thread::sleep(SETTLE);
    let before = machine::memory(pid)?;
    let cpu = machine::cpu_seconds(pid)?;
    let start = Instant::now();
    let clients = open(target.login(true), sessions, stop)?;
    let seconds = start.elapsed().as_secs_f64();
    let cpu = machine::cpu_seconds(pid)? - cpu;
    thread::sleep(SETTLE);
    let after = machine::memory(pid)?;
    let count = clients.len();
    drop(clients);
    drop(target);
    ground.postgres.wait_alone(stop)?;
    Ok(Figures {
        count: count as u64,
        seconds,
        rate: count as f64 / seconds,
        cpu_s: Some(cpu),
        resident_kib: Some((after.resident_kib - before.resident_kib) / count as f64),
        proportional_kib: Some((after.proportional_kib - before.proportional_kib) / count as f64),
        ..Figures::default()
    })
}

fn open(login: &Login, sessions: usize, stop: &Stop) -> Result<Vec<Client>> {
    let parts = thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|i| {
                let mine = sessions / THREADS + usize::from(i < sessions % THREADS);
                scope.spawn(move || {
                    (0..mine)
                        .map(|_| {
                            stop.check()?;
                            let mut client = Client::login(login)?;
                            client.run("select 1", Format::Text)?;
                            Ok(client)
                        })
                        .collect::<Result<Vec<_>>>()
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|_| Err(Failure::from("a client's thread panicked"))))
            .collect::<Result<Vec<_>>>()
    })?;
    Ok(parts.into_iter().flatten().collect())
}
