//! The PROXY protocol's header, as the first bytes of a connection: who speaks to
//! whom. A server that expects one answers nothing without it.
//!
//! The addresses are the connection's own, with the command PROXY: a server that
//! trusts the prober's host sees a client it knows.
//!
//! Pure: addresses in, bytes out. <https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt>

use std::net::{IpAddr, SocketAddr};

use crate::health::check::ProxyHeader;

/// What every header of version 2 begins with (§2.2).
const SIGNATURE_V2: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// Version 2, command PROXY.
const VERSION_AND_COMMAND_V2: u8 = 0x21;
/// TCP over IPv4 and IPv6.
const TCP_OVER_IPV4: u8 = 0x11;
const TCP_OVER_IPV6: u8 = 0x21;

/// The header of a connection from `source` to `destination`, which are of one family.
pub(super) fn encode(version: ProxyHeader, source: SocketAddr, destination: SocketAddr) -> Vec<u8> {
    match version {
        ProxyHeader::V1 => {
            let family = if destination.is_ipv4() { "TCP4" } else { "TCP6" };
            let (from, to) = (source.ip(), destination.ip());
            let (from_port, to_port) = (source.port(), destination.port());
            format!("PROXY {family} {from} {to} {from_port} {to_port}\r\n").into_bytes()
        }
        ProxyHeader::V2 => encode_v2(source, destination),
    }
}

fn encode_v2(source: SocketAddr, destination: SocketAddr) -> Vec<u8> {
    let mut addresses = Vec::with_capacity(36);
    for address in [source.ip(), destination.ip()] {
        match address {
            IpAddr::V4(address) => addresses.extend_from_slice(&address.octets()),
            IpAddr::V6(address) => addresses.extend_from_slice(&address.octets()),
        }
    }
    for port in [source.port(), destination.port()] {
        addresses.extend_from_slice(&port.to_be_bytes());
    }
    let family = if destination.is_ipv4() { TCP_OVER_IPV4 } else { TCP_OVER_IPV6 };
    let mut header = SIGNATURE_V2.to_vec();
    header.extend_from_slice(&[VERSION_AND_COMMAND_V2, family]);
    header.extend_from_slice(&(addresses.len() as u16).to_be_bytes());
    header.extend_from_slice(&addresses);
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(version: ProxyHeader, source: &str, destination: &str) -> Vec<u8> {
        encode(version, source.parse().unwrap(), destination.parse().unwrap())
    }

    #[test]
    fn version_1_is_one_line_of_text() {
        assert_eq!(
            header(ProxyHeader::V1, "192.0.2.5:40000", "198.51.100.7:443"),
            b"PROXY TCP4 192.0.2.5 198.51.100.7 40000 443\r\n"
        );
        assert_eq!(
            header(ProxyHeader::V1, "[2001:db8::5]:1", "[2001:db8:0:1::7]:65535"),
            b"PROXY TCP6 2001:db8::5 2001:db8:0:1::7 1 65535\r\n"
        );
    }

    #[test]
    fn version_2_is_binary() {
        assert_eq!(
            header(ProxyHeader::V2, "192.0.2.5:40000", "198.51.100.7:443"),
            [
                0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54,
                0x0a, // signature
                0x21, 0x11, 0x00, 0x0c, // PROXY, TCP over IPv4, 12 bytes follow
                192, 0, 2, 5, 198, 51, 100, 7, // addresses
                0x9c, 0x40, 0x01, 0xbb, // ports
            ]
        );
        assert_eq!(
            header(ProxyHeader::V2, "[2001:db8::5]:1", "[2001:db8:0:1::7]:65535"),
            [
                0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54,
                0x0a, // signature
                0x21, 0x21, 0x00, 0x24, // PROXY, TCP over IPv6, 36 bytes follow
                0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5, //
                0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 7, //
                0x00, 0x01, 0xff, 0xff, // ports
            ]
        );
    }
}
