//! How often an address may try something.
//!
//! A bucket per address (IPv6 by /64): so many attempts at once, then one each so many seconds. Memory is bounded; when the
//! table is full and nothing in it is old, strangers share one bucket.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Addresses remembered.
const ADDRESSES_MAX: usize = 10_000;

/// Where a request came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer(pub SocketAddr);

impl std::fmt::Display for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0.ip().to_canonical())
    }
}

/// Buckets.
#[derive(Debug)]
pub struct Attempts {
    burst: f64,
    every: Duration,
    buckets: Mutex<HashMap<IpAddr, (f64, Instant)>>,
}

impl Attempts {
    /// `burst` at once, then one each `every`.
    #[must_use]
    pub fn new(burst: u32, every: Duration) -> Self {
        Self { burst: f64::from(burst), every, buckets: Mutex::default() }
    }

    /// Takes an attempt; false if there are none left.
    pub fn take(&self, peer: Peer) -> bool {
        self.take_at(key(peer.0.ip()), Instant::now())
    }

    fn take_at(&self, mut address: IpAddr, now: Instant) -> bool {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let refill = |since: Instant| now.saturating_duration_since(since).as_secs_f64() / self.every.as_secs_f64();
        if !buckets.contains_key(&address) && buckets.len() >= ADDRESSES_MAX {
            buckets.retain(|_, (left, since)| *left + refill(*since) < self.burst);
            if buckets.len() >= ADDRESSES_MAX {
                address = IpAddr::from([0, 0, 0, 0]);
            }
        }
        let (left, since) = buckets.entry(address).or_insert((self.burst, now));
        *left = (*left + refill(*since)).min(self.burst);
        *since = now;
        if *left < 1.0 {
            return false;
        }
        *left -= 1.0;
        true
    }
}

fn key(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::from([a, b, c, d, 0, 0, 0, 0])
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_tries_too_often_waits_and_others_do_not() {
        let attempts = Attempts::new(3, Duration::from_secs(10));
        let (now, a, b) = (Instant::now(), IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        assert!((0..3).all(|_| attempts.take_at(a, now)));
        assert!(!attempts.take_at(a, now));
        assert!(attempts.take_at(b, now));
        assert!(!attempts.take_at(a, now + Duration::from_secs(9)));
        assert!(attempts.take_at(a, now + Duration::from_secs(19)));
    }

    #[test]
    fn addresses_without_end_do_not_fill_the_memory() {
        let attempts = Attempts::new(1, Duration::from_secs(1000));
        let now = Instant::now();
        for i in 0..20_000_u32 {
            attempts.take_at(IpAddr::from(i.to_be_bytes()), now);
        }
        assert!(attempts.buckets.lock().unwrap().len() <= ADDRESSES_MAX + 1);
    }

    #[test]
    fn neighbours_of_one_ipv6_network_share() {
        assert_eq!(key("2001:db8::1".parse().unwrap()), key("2001:db8::ffff".parse().unwrap()));
        assert_ne!(key("2001:db8:0:1::1".parse().unwrap()), key("2001:db8::1".parse().unwrap()));
    }
}
