//! Where notices may go: an address is looked at after its name was resolved, and the connection goes to that very address,
//! so a name cannot mean one thing when it is checked and another when it is used.
//!
//! Without a list, only addresses of the public internet; with one, only what is in it.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

/// A network: address and length of its prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network(IpAddr, u8);

impl Network {
    /// `10.1.0.0/16`, `127.0.0.1`, `fd00::/8`.
    ///
    /// # Errors
    /// It is not one.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not a network such as 10.1.0.0/16 or fd00::/8");
        let (address, prefix) = text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.map_or(Ok(most), str::parse).map_err(|_| wrong())?;
        if prefix > most { Err(wrong()) } else { Ok(Self(address, prefix)) }
    }

    fn holds(self, address: IpAddr) -> bool {
        let bits = |address: IpAddr| match address {
            IpAddr::V4(v4) => (u128::from(v4.to_bits()) << 96, true),
            IpAddr::V6(v6) => (v6.to_bits(), false),
        };
        let ((net, a), (of, b)) = (bits(self.0), bits(address));
        let mask = if self.1 == 0 { 0 } else { u128::MAX << (128 - u32::from(self.1)) };
        a == b && net & mask == of & mask
    }
}

/// Networks that are not the public internet (IANA's special-purpose registries), IPv4.
const SPECIAL_V4: &[(Ipv4Addr, u8)] = &[
    (Ipv4Addr::new(0, 0, 0, 0), 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    (Ipv4Addr::new(224, 0, 0, 0), 3),
];

/// Is it of the public internet?
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            !SPECIAL_V4.iter().any(|(net, prefix)| Network(IpAddr::V4(*net), *prefix).holds(IpAddr::V4(v4)))
        }
        // What is public is in 2000::/3, and not in what maps or tunnels other addresses, or is for documents.
        IpAddr::V6(v6) => {
            let [a, b, ..] = v6.segments();
            (0x2000..0x4000).contains(&a)
                && !(a == 0x2001 && (b < 0x0200 || b == 0x0db8))
                && a != 0x2002
                && !(a == 0x3fff && b < 0x1000)
        }
    }
}

/// What may be connected to.
#[derive(Clone, Debug, Default)]
pub struct Egress(Vec<Network>);

impl Egress {
    /// Only these networks; the public internet if there are none.
    #[must_use]
    pub const fn new(networks: Vec<Network>) -> Self {
        Self(networks)
    }

    fn allows(&self, address: IpAddr) -> bool {
        // An address of IPv4 in the clothes of one of IPv6 is what it is.
        let address = match address {
            IpAddr::V6(v6) => v6.to_ipv4_mapped().or_else(|| nat64(v6)).map_or(IpAddr::V6(v6), IpAddr::V4),
            v4 => v4,
        };
        if self.0.is_empty() { is_public(address) } else { self.0.iter().any(|net| net.holds(address)) }
    }
}

/// The address behind 64:ff9b::/96 (RFC 6052).
fn nat64(v6: Ipv6Addr) -> Option<Ipv4Addr> {
    let bits = v6.to_bits();
    (bits >> 32 == 0x0064_ff9b_u128 << 64).then(|| {
        let [.., a, b, c, d] = v6.octets();
        Ipv4Addr::new(a, b, c, d)
    })
}

/// Resolves names, and leaves what may not be connected to.
pub(super) struct Guarded<R>(pub(super) Egress, pub(super) R);

impl<R> fmt::Debug for Guarded<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Guarded").field(&self.0).finish()
    }
}

impl Guarded<DefaultResolver> {
    pub(super) fn new(egress: Egress) -> Self {
        Self(egress, DefaultResolver::default())
    }
}

impl<R: Resolver> Resolver for Guarded<R> {
    fn resolve(&self, uri: &Uri, config: &Config, timeout: NextTimeout) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let found = self.1.resolve(uri, config, timeout)?;
        let mut kept = self.empty();
        found
            .iter()
            .filter(|address: &&SocketAddr| self.0.allows(address.ip()))
            .for_each(|address| kept.push(*address));
        if kept.is_empty() { Err(ureq::Error::HostNotFound) } else { Ok(kept) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_public_internet_is_reached_unless_networks_are_named() {
        let all = Egress::default();
        for public in ["1.1.1.1", "172.32.0.1", "2606:4700::1111", "100.128.0.1"] {
            assert!(all.allows(public.parse().unwrap()), "{public}");
        }
        for inside in [
            "127.0.0.1",
            "10.0.0.1",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.100.100.200",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "::1",
            "::",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "fe80::1",
            "fd00:ec2::254",
            "ff02::1",
            "2002:7f00:1::",
            "2001:db8::1",
            "64:ff9b::7f00:1",
            "::7f00:1",
            "2001::1",
        ] {
            assert!(!all.allows(inside.parse().unwrap()), "{inside}");
        }
        let own = Egress::new(vec![Network::parse("10.1.0.0/16").unwrap(), Network::parse("fd00::/8").unwrap()]);
        assert!(own.allows("10.1.2.3".parse().unwrap()) && own.allows("::ffff:10.1.2.3".parse().unwrap()));
        assert!(own.allows("fd12::1".parse().unwrap()));
        assert!(!own.allows("10.2.0.1".parse().unwrap()) && !own.allows("1.1.1.1".parse().unwrap()));
        for wrong in ["10.0.0.0/33", "x", "", "::/129", "1.2.3.4/", "localhost"] {
            assert!(Network::parse(wrong).is_err(), "{wrong}");
        }
        assert!(Network::parse("0.0.0.0/0").unwrap().holds("9.9.9.9".parse().unwrap()));
    }

    /// A name server that answers something else each time.
    #[derive(Debug)]
    struct Rebinding(std::sync::Mutex<Vec<&'static str>>);

    impl Resolver for Rebinding {
        fn resolve(&self, _: &Uri, _: &Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, ureq::Error> {
            let mut found = self.empty();
            let next = self.0.lock().unwrap().remove(0);
            next.split(' ').for_each(|address| found.push(address.parse().unwrap()));
            Ok(found)
        }
    }

    #[test]
    fn a_name_that_changes_its_mind_leads_nowhere_inside() {
        let answers = vec!["127.0.0.1:9 1.1.1.1:443", "127.0.0.1:9", "[::1]:9 169.254.169.254:80"];
        let guarded = Guarded(Egress::default(), Rebinding(std::sync::Mutex::new(answers)));
        let agent = ureq::Agent::new_with_defaults();
        let uri: Uri = "https://hook.example/".parse().unwrap();
        let timeout = NextTimeout::default;
        let first = guarded.resolve(&uri, agent.config(), timeout()).unwrap();
        assert_eq!(first.iter().map(ToString::to_string).collect::<Vec<_>>(), ["1.1.1.1:443"]);
        assert!(guarded.resolve(&uri, agent.config(), timeout()).is_err());
        assert!(guarded.resolve(&uri, agent.config(), timeout()).is_err());
    }
}
