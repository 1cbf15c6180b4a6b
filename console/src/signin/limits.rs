//! How often one address may try: so many at once, and then one after the other.
//!
//! The table is bounded. An address without an entry of its own when the table is full shares one with all such.

use super::Problem;
use axum::http::StatusCode;
use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Tries at once.
const BURST: u32 = 30;
/// Time until one more.
const INTERVAL: Duration = Duration::from_secs(2);
/// Most addresses remembered.
const ADDRESSES_MAX: usize = 10_000;

/// Address that a request came from. The server puts it into every request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source(pub IpAddr);

#[derive(Debug, Default)]
pub(super) struct Limits(Mutex<HashMap<IpAddr, (u32, Instant)>>);

impl Limits {
    /// One try from this address.
    pub(super) fn spend(&self, source: Source) -> Result<(), Problem> {
        self.spend_at(source, Instant::now())
    }

    fn spend_at(&self, source: Source, now: Instant) -> Result<(), Problem> {
        let mut tries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut key = network(source.0);
        if tries.len() >= ADDRESSES_MAX && !tries.contains_key(&key) {
            tries.retain(|_, (_, since)| now.duration_since(*since) < INTERVAL * BURST);
            if tries.len() >= ADDRESSES_MAX {
                key = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
            }
        }
        let (left, since) = tries.entry(key).or_insert((BURST, now));
        let earned = u32::try_from(now.duration_since(*since).as_millis() / INTERVAL.as_millis()).unwrap_or(BURST);
        if earned > 0 {
            *left = left.saturating_add(earned).min(BURST);
            *since = now;
        }
        *left = left.checked_sub(1).ok_or_else(|| {
            Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many", "too many tries from this address; wait a minute")
        })?;
        Ok(())
    }
}

/// Whoever has one address of IPv6 has a network of them.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => IpAddr::V4(v4),
            None => IpAddr::V6(Ipv6Addr::from(u128::from(v6) >> 64 << 64)),
        },
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_burst_and_then_one_after_the_other() {
        let limits = Limits::default();
        let now = Instant::now();
        let one = Source("192.0.2.1".parse().unwrap());
        for _ in 0..BURST {
            assert!(limits.spend_at(one, now).is_ok());
        }
        assert_eq!(limits.spend_at(one, now).unwrap_err().status, StatusCode::TOO_MANY_REQUESTS);
        assert!(limits.spend_at(Source("192.0.2.2".parse().unwrap()), now).is_ok());
        assert!(limits.spend_at(one, now + INTERVAL).is_ok());
        assert!(limits.spend_at(one, now + INTERVAL).is_err());
    }

    #[test]
    fn a_network_of_addresses_counts_as_one_and_the_table_is_bounded() {
        let limits = Limits::default();
        let now = Instant::now();
        let of = |n: u128| Source(IpAddr::V6(Ipv6Addr::from(n)));
        for n in 0..u128::from(BURST) {
            assert!(limits.spend_at(of((7 << 64) | n), now).is_ok());
        }
        assert!(limits.spend_at(of((7 << 64) | 99), now).is_err());
        for n in 0..2 * ADDRESSES_MAX as u128 {
            let _spent = limits.spend_at(of((n + 10) << 64), now);
        }
        assert!(limits.0.lock().unwrap().len() <= ADDRESSES_MAX + 1);
    }
}
