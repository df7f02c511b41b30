//! EDNS(0): the OPT record of a query (RFC 6891) and its options.

use super::ecs::{self, ClientSubnet};

/// Largest UDP answer, and the size advertised (RFC 9715 3.2).
pub const UDP_SIZE_MAX: u16 = 1232;
/// UDP answers without EDNS, and the least that a client's size counts as (RFC 6891 6.2.3).
pub const UDP_SIZE_MIN: u16 = 512;
/// EDNS option code of the name server identifier (RFC 5001).
pub const OPTION_NSID: u16 = 3;
/// EDNS option code of the extended error (RFC 8914).
pub const OPTION_EXTENDED_ERROR: u16 = 15;

/// What a query's OPT record says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Edns<'a> {
    /// Largest UDP answer the client takes, as sent.
    pub udp_size: u16,
    /// EDNS version; only 0 is spoken.
    pub version: u8,
    /// The DO bit (RFC 3225).
    pub dnssec_ok: bool,
    /// Whether the server's identifier is asked for.
    pub nsid: bool,
    /// The client subnet.
    pub subnet: Option<ClientSubnet<'a>>,
}

impl<'a> Edns<'a> {
    /// Reads an OPT record from its class, TTL and RDATA. On a bad option it
    /// gives back what the fixed part says, so that the FORMERR can carry OPT.
    pub fn parse(class: u16, ttl: [u8; 4], rdata: &'a [u8]) -> Result<Edns<'a>, Edns<'a>> {
        let mut edns = Edns {
            udp_size: class,
            version: ttl[1],
            dnssec_ok: ttl[2] & 0x80 != 0,
            nsid: false,
            subnet: None,
        };
        // Options of a version that is not spoken are not read: BADVERS comes first.
        if edns.version != 0 {
            return Ok(edns);
        }
        let mut rest = rdata;
        while !rest.is_empty() {
            let Some((code, data, next)) = split_option(rest) else { return Err(edns) };
            match code {
                OPTION_NSID => edns.nsid = true,
                ecs::OPTION_CODE => match (ClientSubnet::parse(data), edns.subnet) {
                    (Some(subnet), None) => edns.subnet = Some(subnet),
                    _ => {
                        edns.subnet = None;
                        return Err(edns);
                    }
                },
                _ => {}
            }
            rest = next;
        }
        Ok(edns)
    }

    /// Largest UDP answer this client gets.
    pub fn udp_limit(&self) -> usize {
        usize::from(self.udp_size.clamp(UDP_SIZE_MIN, UDP_SIZE_MAX))
    }
}

fn split_option(bytes: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let (header, rest) = bytes.split_at_checked(4)?;
    let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
    let (data, rest) = rest.split_at_checked(length)?;
    Some((u16::from_be_bytes([header[0], header[1]]), data, rest))
}
