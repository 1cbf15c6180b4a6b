//! Ports for servers that are told theirs before they listen.
//!
//! A port that the system chooses for nobody in particular can be the next one it chooses for a connection of some client, which
//! then has it when the server wants it. So these are below those that the system chooses from, each is given away once per
//! process, and processes that run tests at the same time take turns by blocks: whoever listens on the first port of a block
//! has the rest of it. Only the standard library is used, so that tests of other crates can include this file.

use std::{
    fs,
    net::TcpListener,
    sync::{Mutex, PoisonError},
};

/// Ports of a block, with the one that stands for it.
const BLOCK: u16 = 100;
/// The first port of the first block.
const FIRST: u16 = 10_000;

/// What this process has: the rest of its last block, and the listeners that keep all of its blocks for it.
#[derive(Debug)]
struct Ports {
    next: u16,
    end: u16,
    kept: Vec<TcpListener>,
}

static PORTS: Mutex<Ports> = Mutex::new(Ports { next: 0, end: 0, kept: Vec::new() });

/// A port that nobody listens on, that no client is given by the system, and that is given away once.
///
/// # Panics
/// Other processes have all of them.
pub fn free_port() -> u16 {
    let mut ports = PORTS.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        if ports.next == ports.end {
            ports.another_block();
        }
        let port = ports.next;
        ports.next += 1;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

impl Ports {
    fn another_block(&mut self) {
        let blocks = (end() - FIRST) / BLOCK;
        let start = (std::process::id() % u32::from(blocks)) as u16;
        for number in (0..blocks).map(|n| (start + n) % blocks) {
            let first = FIRST + number * BLOCK;
            if let Ok(kept) = TcpListener::bind(("127.0.0.1", first)) {
                self.kept.push(kept);
                (self.next, self.end) = (first + 1, first + BLOCK);
                return;
            }
        }
        panic!("other processes have every block of ports from {FIRST} to {}", end());
    }
}

/// Where those begin that the system chooses from (ip(7), `ip_local_port_range`); its usual choice where it does not say, or
/// leaves no room below.
fn end() -> u16 {
    let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let first = range.split_whitespace().next().and_then(|first| first.parse().ok());
    first.filter(|first| *first >= FIRST + 50 * BLOCK).unwrap_or(32_768)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_port_is_given_twice_or_chosen_by_the_system() {
        let mut given: Vec<u16> = (0..350).map(|_| free_port()).collect();
        assert!(given.iter().all(|port| (FIRST..end()).contains(port)), "{given:?}");
        given.sort_unstable();
        given.dedup();
        assert_eq!(given.len(), 350);
    }
}
