//! Host names to addresses, by the system's resolver.

use std::{
    io,
    net::{SocketAddr, ToSocketAddrs as _},
};

/// Most addresses kept of one name.
pub const ADDRESSES_MAX: usize = 16;

/// The addresses of a host, each once, in the resolver's order. Blocks; for use before the cores start.
///
/// # Errors
/// The resolver's, or the name has no address.
pub fn resolve(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let mut addresses = Vec::new();
    for address in (host, port).to_socket_addrs()? {
        if !addresses.contains(&address) && addresses.len() < ADDRESSES_MAX {
            addresses.push(address);
        }
    }
    if addresses.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
    }
    Ok(addresses)
}

#[cfg(test)]
mod tests {
    use super::resolve;

    #[test]
    fn literals_and_localhost_resolve() {
        assert_eq!(resolve("127.0.0.1", 5432).unwrap(), ["127.0.0.1:5432".parse().unwrap()]);
        assert_eq!(resolve("::1", 5432).unwrap(), ["[::1]:5432".parse().unwrap()]);
        let local = resolve("localhost", 1).unwrap();
        assert!(local.iter().all(|a| a.ip().is_loopback()), "{local:?}");
        assert!(resolve("no.such.host.invalid", 1).is_err());
    }
}
