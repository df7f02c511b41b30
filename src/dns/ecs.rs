//! The EDNS client subnet option (RFC 7871).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::encode::copy_short;

/// EDNS option code (RFC 7871 6).
pub const OPTION_CODE: u16 = 8;

/// A client subnet as a query sent it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ClientSubnet<'a> {
    /// The option's header and address bytes as sent, checked, to be echoed.
    raw: &'a [u8],
}

impl<'a> ClientSubnet<'a> {
    /// Reads the option's data. `None`: malformed, to be answered FORMERR
    /// (RFC 7871 7.1.2): an unknown family, a prefix longer than the family's
    /// addresses, a scope that is not zero, address bytes that do not fit the
    /// prefix, or bits set beyond it. Family 0 is taken with prefix length 0,
    /// as `dig +subnet=0` sends it.
    pub fn parse(raw: &'a [u8]) -> Option<ClientSubnet<'a>> {
        let (header, bytes) = raw.split_at_checked(4)?;
        let family = u16::from_be_bytes([header[0], header[1]]);
        let (source, scope) = (header[2], header[3]);
        let longest = match family {
            0 => 0,
            1 => 32,
            2 => 128,
            _ => return None,
        };
        if scope != 0 || source > longest || bytes.len() != usize::from(source).div_ceil(8) {
            return None;
        }
        if let Some(&last) = bytes.last()
            && source % 8 != 0
            && last & (0xff >> (source % 8)) != 0
        {
            return None;
        }
        Some(ClientSubnet { raw })
    }

    /// The network's first address; none for source prefix length 0, by which
    /// the client asks that no subnet be used.
    #[inline]
    pub fn address(&self) -> Option<IpAddr> {
        let (header, bytes) = self.raw.split_at_checked(4)?;
        match (header[1], header[2]) {
            (_, 0) => None,
            (1, _) => {
                let bits = bytes.iter().fold(0, |bits, &byte| bits << 8 | u32::from(byte));
                Some(Ipv4Addr::from(bits << (32 - 8 * bytes.len())).into())
            }
            _ => {
                let bits = bytes.iter().fold(0, |bits, &byte| bits << 8 | u128::from(byte));
                Some(Ipv6Addr::from(bits << (128 - 8 * bytes.len())).into())
            }
        }
    }

    /// Source prefix length in bits.
    pub fn source_length(&self) -> u8 {
        self.raw[2]
    }

    /// Length of the option's data.
    pub fn data_length(&self) -> usize {
        self.raw.len()
    }

    /// Writes the option's data with `scope` into `out`, which has exactly
    /// [`data_length`](Self::data_length) bytes.
    pub fn write(&self, scope: u8, out: &mut [u8]) {
        copy_short(out, self.raw);
        out[3] = scope;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn well_formed_subnets_are_read() {
        let v4 = [0, 1, 24, 0, 192, 0, 2];
        let subnet = ClientSubnet::parse(&v4).unwrap();
        assert_eq!(subnet.address(), Some("192.0.2.0".parse().unwrap()));
        assert_eq!(subnet.source_length(), 24);
        let v6 = [0, 2, 33, 0, 0x20, 1, 0xd, 0xb8, 0x80];
        assert_eq!(
            ClientSubnet::parse(&v6).unwrap().address(),
            Some("2001:db8:8000::".parse().unwrap())
        );
        for opt_out in [[0, 1, 0, 0], [0, 2, 0, 0], [0, 0, 0, 0]] {
            assert_eq!(ClientSubnet::parse(&opt_out).unwrap().address(), None);
        }
    }

    #[test]
    fn malformed_subnets_are_refused() {
        for (bytes, why) in [
            (&[0u8, 1, 24][..], "short header"),
            (&[0, 3, 24, 0, 1, 2, 3], "unknown family"),
            (&[0, 0, 8, 0, 1], "family 0 with an address"),
            (&[0, 1, 33, 0, 1, 2, 3, 4, 5], "IPv4 prefix over 32"),
            (&[0, 1, 24, 24, 1, 2, 3], "scope in a query"),
            (&[0, 1, 24, 0, 1, 2], "address too short"),
            (&[0, 1, 24, 0, 1, 2, 3, 0], "address too long"),
            (&[0, 1, 20, 0, 1, 2, 3], "bits beyond the prefix"),
            (&[0, 1, 0, 0, 1], "address with prefix 0"),
        ] {
            assert_eq!(ClientSubnet::parse(bytes), None, "{why}");
        }
    }

    #[test]
    fn the_echo_differs_in_the_scope_alone() {
        let raw = [0, 1, 20, 0, 192, 0, 0x20];
        let mut out = [0; 7];
        ClientSubnet::parse(&raw).unwrap().write(17, &mut out);
        assert_eq!(out, [0, 1, 20, 17, 192, 0, 0x20]);
    }
}
