//! PROXY protocol, version 2: who the client is, told by a proxy in front of its message
//! or connection. <https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt>
//!
//! ```text
//! signature (12) │ version, command │ family, protocol │ length (2) │ addresses │ TLVs
//! ```
//! Whoever may say so can say to be anybody: only listed sources are listened to, and of
//! them a header is asked. TLVs are skipped.
//!
//! Pure: bytes in, addresses out. Must not know sockets.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ipnet::IpNet;

/// What every header begins with (§2.2).
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";

/// Bytes before the addresses; they tell how many follow.
pub const PREFIX: usize = 16;

/// Longest header that is read, TLVs included: what proxies in the field send has some
/// hundred bytes.
pub const LENGTH_MAX: usize = 4096;

/// What a header says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Header {
    /// Bytes of it; the message follows.
    pub length: usize,
    /// Who speaks, and to which address; none: the proxy itself, or whom it cannot name.
    pub addresses: Option<(SocketAddr, SocketAddr)>,
}

/// Why there is no header.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ProxyError {
    /// It does not begin as one.
    #[error("no PROXY header of version 2")]
    Signature,
    /// A command, family or protocol that nobody has defined.
    #[error("a PROXY header of an unknown kind")]
    Kind,
    /// It ends before its addresses do, or the message before it.
    #[error("a PROXY header that is cut short")]
    Short,
    /// Longer than [`LENGTH_MAX`].
    #[error("a PROXY header that is too long")]
    Long,
}

/// How long the header is that begins with `prefix`, in bytes with it.
///
/// # Errors
/// It is none.
pub fn length(prefix: &[u8; PREFIX]) -> Result<usize, ProxyError> {
    if prefix[..SIGNATURE.len()] != SIGNATURE {
        return Err(ProxyError::Signature);
    }
    let length = PREFIX + usize::from(u16::from_be_bytes([prefix[14], prefix[15]]));
    if length > LENGTH_MAX { Err(ProxyError::Long) } else { Ok(length) }
}

/// Reads the header that `bytes` begin with.
///
/// # Errors
/// They do not begin with one that is whole.
pub fn parse(bytes: &[u8]) -> Result<Header, ProxyError> {
    let (prefix, _) = bytes.split_first_chunk::<PREFIX>().ok_or(ProxyError::Signature)?;
    let length = length(prefix)?;
    let rest = bytes.get(PREFIX..length).ok_or(ProxyError::Short)?;
    let (version_and_command, family_and_protocol) = (prefix[12], prefix[13]);
    let (family, protocol) = (family_and_protocol >> 4, family_and_protocol & 0x0f);
    if family > 3 || protocol > 2 {
        return Err(ProxyError::Kind);
    }
    let addresses = match (version_and_command, family, protocol) {
        // LOCAL: the proxy's own, such as its health checks. What follows does not count.
        (0x20, ..) => None,
        (0x21, 1, 1 | 2) => Some(of_family::<4>(rest)?),
        (0x21, 2, 1 | 2) => Some(of_family::<16>(rest)?),
        // Unknown to the proxy, or of a unix socket.
        (0x21, ..) => None,
        _ => return Err(ProxyError::Kind),
    };
    Ok(Header { length, addresses })
}

/// Source and destination: two addresses of `SIZE` bytes, two ports.
fn of_family<const SIZE: usize>(bytes: &[u8]) -> Result<(SocketAddr, SocketAddr), ProxyError> {
    let short = ProxyError::Short;
    let (source, rest) = bytes.split_first_chunk::<SIZE>().ok_or(short)?;
    let (destination, rest) = rest.split_first_chunk::<SIZE>().ok_or(short)?;
    let (source_port, rest) = rest.split_first_chunk::<2>().ok_or(short)?;
    let (destination_port, _) = rest.split_first_chunk::<2>().ok_or(short)?;
    let at = |address: &[u8], port: &[u8; 2]| {
        let port = u16::from_be_bytes(*port);
        match (<[u8; 4]>::try_from(address), <[u8; 16]>::try_from(address)) {
            (Ok(v4), _) => SocketAddr::new(Ipv4Addr::from(v4).into(), port),
            (_, Ok(v6)) => SocketAddr::new(Ipv6Addr::from(v6).to_canonical(), port),
            _ => SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port),
        }
    };
    Ok((at(source, source_port), at(destination, destination_port)))
}

/// Sources whose headers are believed, and asked for.
#[derive(Clone, Debug)]
pub struct Proxies {
    networks: Vec<IpNet>,
}

impl Proxies {
    /// Those in `networks`; none: no header is looked for.
    pub fn new(networks: &[IpNet]) -> Option<Proxies> {
        (!networks.is_empty()).then(|| Proxies { networks: networks.to_vec() })
    }

    /// Whether `source` is one.
    pub fn contains(&self, source: IpAddr) -> bool {
        let source = source.to_canonical();
        self.networks.iter().any(|network| network.contains(&source))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn header(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [&SIGNATURE[..], &[command, family], &length, rest].concat()
    }

    fn addresses(from: SocketAddr, to: SocketAddr) -> Vec<u8> {
        let octets = |ip: IpAddr| match ip {
            IpAddr::V4(v4) => v4.octets().to_vec(),
            IpAddr::V6(v6) => v6.octets().to_vec(),
        };
        let ports = [from.port().to_be_bytes(), to.port().to_be_bytes()].concat();
        [octets(from.ip()), octets(to.ip()), ports].concat()
    }

    #[test]
    fn the_client_is_the_one_that_the_header_names() {
        for (family, from, to) in [
            (0x11, "192.0.2.7:4321", "198.51.100.1:53"),
            (0x12, "192.0.2.7:4321", "198.51.100.1:53"),
            (0x21, "[2001:db8::7]:4321", "[2001:db8::1]:53"),
            (0x22, "[2001:db8::7]:4321", "[2001:db8::1]:53"),
        ] {
            let (from, to) = (from.parse().unwrap(), to.parse().unwrap());
            let tlv = [0x04, 0, 3, 1, 2, 3];
            let mut bytes = header(0x21, family, &[&addresses(from, to)[..], &tlv].concat());
            let length = bytes.len();
            bytes.extend_from_slice(b"message");
            assert_eq!(parse(&bytes), Ok(Header { length, addresses: Some((from, to)) }));
        }
    }

    #[test]
    fn whom_the_proxy_does_not_name_is_itself() {
        let v4 = addresses("192.0.2.7:1".parse().unwrap(), "192.0.2.8:2".parse().unwrap());
        // LOCAL whatever follows; PROXY of no family, of a unix socket, of no protocol
        for (command, family) in
            [(0x20, 0x00), (0x20, 0x11), (0x21, 0x00), (0x21, 0x31), (0x21, 0x10)]
        {
            let bytes = header(command, family, &v4);
            let own = Header { length: bytes.len(), addresses: None };
            assert_eq!(parse(&bytes), Ok(own), "{command:02x} {family:02x}");
        }
    }

    #[test]
    fn what_is_no_header_is_told_apart() {
        let v4 = addresses("192.0.2.7:1".parse().unwrap(), "192.0.2.8:2".parse().unwrap());
        let good = header(0x21, 0x11, &v4);
        for length in 0..good.len() {
            let expected = if length < PREFIX { ProxyError::Signature } else { ProxyError::Short };
            assert_eq!(parse(&good[..length]), Err(expected), "{length} bytes");
        }
        assert_eq!(parse(b"PROXY TCP4 192.0.2.7 192.0.2.8 1 2\r\n"), Err(ProxyError::Signature));
        assert_eq!(parse(&header(0x11, 0x11, &v4)), Err(ProxyError::Kind), "version 1");
        assert_eq!(parse(&header(0x22, 0x11, &v4)), Err(ProxyError::Kind), "command 2");
        assert_eq!(parse(&header(0x21, 0x41, &v4)), Err(ProxyError::Kind), "family 4");
        assert_eq!(parse(&header(0x21, 0x13, &v4)), Err(ProxyError::Kind), "protocol 3");
        assert_eq!(parse(&header(0x21, 0x21, &v4)), Err(ProxyError::Short), "IPv6 of 12 bytes");
        assert_eq!(parse(&header(0x21, 0x11, &[0; LENGTH_MAX])), Err(ProxyError::Long));
    }

    #[test]
    fn listed_networks_alone_are_proxies() {
        let networks = ["192.0.2.0/28".parse().unwrap(), "2001:db8::/64".parse().unwrap()];
        let proxies = Proxies::new(&networks).unwrap();
        let is_one = |text: &str| proxies.contains(text.parse().unwrap());
        assert!(is_one("192.0.2.15") && is_one("::ffff:192.0.2.1") && is_one("2001:db8::9"));
        assert!(!is_one("192.0.2.16") && !is_one("2001:db8:0:1::9") && !is_one("::1"));
        assert!(Proxies::new(&[]).is_none());
    }

    proptest! {
        #[test]
        fn any_bytes_end_with_a_header_within_them_or_none(
            bytes in prop::collection::vec(any::<u8>(), 0..64),
            signed in any::<bool>(),
        ) {
            let bytes = if signed { [&SIGNATURE[..], &bytes].concat() } else { bytes };
            if let Ok(header) = parse(&bytes) {
                prop_assert!((PREFIX..=bytes.len()).contains(&header.length));
                let prefix = bytes.first_chunk().unwrap();
                prop_assert_eq!(length(prefix), Ok(header.length));
            }
        }
    }
}
