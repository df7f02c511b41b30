//! EDNS(0): the OPT record of a query (RFC 6891) and its options.

use super::cookie::Cookie;
use super::ecs::{self, ClientSubnet};

/// Largest UDP answer, and the size advertised (RFC 9715 3.2).
pub const UDP_SIZE_MAX: u16 = 1232;
/// UDP answers without EDNS, and the least that a client's size counts as (RFC 6891 6.2.3).
pub const UDP_SIZE_MIN: u16 = 512;
/// EDNS option code of the name server identifier (RFC 5001).
pub const OPTION_NSID: u16 = 3;
/// EDNS option code of cookies (RFC 7873).
pub const OPTION_COOKIE: u16 = 10;
/// EDNS option code of the keepalive of TCP connections (RFC 7828).
pub const OPTION_KEEPALIVE: u16 = 11;
/// EDNS option code of padding (RFC 7830).
pub const OPTION_PADDING: u16 = 12;
/// EDNS option code of the extended error (RFC 8914).
pub const OPTION_EXTENDED_ERROR: u16 = 15;

/// EDNS option code of the agent that resolvers tell of errors (RFC 9567). Queries do not
/// ask for it.
pub const OPTION_REPORT_CHANNEL: u16 = 18;

/// What a query's OPT record says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Edns<'a> {
    /// Largest UDP answer the client takes, as sent.
    pub udp_size: u16,
    /// EDNS version; only 0 is spoken.
    pub version: u8,
    /// The DO bit (RFC 3225).
    pub dnssec_ok: bool,
    /// Options that are answered with something.
    pub asked: Asked,
    /// The client subnet.
    pub subnet: Option<ClientSubnet<'a>>,
    /// The first cookie option; the rest are ignored (RFC 7873 5.2).
    pub cookie: Option<Cookie<'a>>,
}

/// Options of a query as a set, so that those without any rare one are told by one look.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Asked(u8);

impl Asked {
    /// The server's identifier (RFC 5001).
    pub const NSID: Asked = Asked(1);
    /// A cookie, well-formed (RFC 7873).
    pub const COOKIE: Asked = Asked(2);
    /// Padding (RFC 7830).
    pub const PADDING: Asked = Asked(4);
    /// How long a connection may idle (RFC 7828).
    pub const KEEPALIVE: Asked = Asked(8);
    /// A keepalive with data: malformed where the option means anything (RFC 7828 3.2.1),
    /// which is not over UDP, where it is ignored.
    pub const KEEPALIVE_WITH_DATA: Asked = Asked(16);
    /// A cookie that is malformed (RFC 7873 5.2.2); where cookies are off it means nothing.
    pub const COOKIE_MALFORMED: Asked = Asked(32);

    const ANY_COOKIE: Asked = Asked(Asked::COOKIE.0 | Asked::COOKIE_MALFORMED.0);

    /// Whether any of `others` is in it.
    #[inline]
    pub fn has(self, others: Asked) -> bool {
        self.0 & others.0 != 0
    }

    /// Whether any but the server's identifier is in it.
    #[inline]
    pub fn has_rare(self) -> bool {
        self.0 & !Asked::NSID.0 != 0
    }

    fn insert(&mut self, other: Asked) {
        self.0 |= other.0;
    }
}

impl<'a> Edns<'a> {
    /// Reads an OPT record from its class, TTL and RDATA. On a bad option it
    /// gives back what the fixed part and the good options say, so that the FORMERR
    /// can carry OPT.
    pub fn parse(class: u16, ttl: [u8; 4], rdata: &'a [u8]) -> Result<Edns<'a>, Edns<'a>> {
        let mut edns = Edns {
            udp_size: class,
            version: ttl[1],
            dnssec_ok: ttl[2] & 0x80 != 0,
            asked: Asked::default(),
            subnet: None,
            cookie: None,
        };
        // Options of a version that is not spoken are not read: BADVERS comes first.
        if edns.version != 0 {
            return Ok(edns);
        }
        let (mut rest, mut is_good) = (rdata, true);
        while !rest.is_empty() {
            let Some((code, data, next)) = split_option(rest) else { return Err(edns) };
            match code {
                OPTION_NSID => edns.asked.insert(Asked::NSID),
                ecs::OPTION_CODE => match (ClientSubnet::parse(data), edns.subnet) {
                    (Some(subnet), None) => edns.subnet = Some(subnet),
                    _ => is_good = false,
                },
                OPTION_COOKIE..=OPTION_PADDING => edns.take_rare(code, data),
                _ => {}
            }
            rest = next;
        }
        if is_good {
            return Ok(edns);
        }
        edns.subnet = None;
        Err(edns)
    }

    /// Takes an option that few queries have.
    #[cold]
    fn take_rare(&mut self, code: u16, data: &'a [u8]) {
        self.asked.insert(match code {
            OPTION_PADDING => Asked::PADDING,
            OPTION_KEEPALIVE if data.is_empty() => Asked::KEEPALIVE,
            OPTION_KEEPALIVE => Asked::KEEPALIVE_WITH_DATA,
            // The first alone counts.
            _ if self.asked.has(Asked::ANY_COOKIE) => return,
            _ => {
                self.cookie = Cookie::parse(data);
                if self.cookie.is_some() { Asked::COOKIE } else { Asked::COOKIE_MALFORMED }
            }
        });
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

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(rdata: &[u8]) -> Result<Edns<'_>, Edns<'_>> {
        Edns::parse(1_232, [0; 4], rdata)
    }

    fn option(code: u16, data: &[u8]) -> Vec<u8> {
        let length = data.len() as u16;
        [&code.to_be_bytes()[..], &length.to_be_bytes(), data].concat()
    }

    #[test]
    fn a_cookie_has_eight_bytes_or_sixteen_to_forty() {
        for length in 0..64 {
            let rdata = option(OPTION_COOKIE, &vec![7; length]);
            let is_good = length == 8 || (16..=40).contains(&length);
            let edns = parse(&rdata).unwrap();
            assert_eq!(edns.cookie.is_some(), is_good, "{length} bytes");
            assert_eq!(edns.asked.has(Asked::COOKIE_MALFORMED), !is_good, "{length} bytes");
        }
    }

    #[test]
    fn the_first_cookie_counts_alone() {
        let rdata = [option(OPTION_COOKIE, &[1; 8]), option(OPTION_COOKIE, &[2; 3])].concat();
        let edns = parse(&rdata).unwrap();
        assert_eq!(edns.cookie.unwrap().client(), [1; 8]);
        let rdata = [option(OPTION_COOKIE, &[1; 3]), option(OPTION_COOKIE, &[2; 8])].concat();
        assert!(parse(&rdata).unwrap().cookie.is_none());
    }

    #[test]
    fn a_cookie_behind_a_bad_option_is_read_too() {
        let rdata = [option(ecs::OPTION_CODE, &[9]), option(OPTION_COOKIE, &[1; 8])].concat();
        let edns = parse(&rdata).unwrap_err();
        assert!(edns.cookie.is_some() && edns.subnet.is_none());
    }

    #[test]
    fn what_is_asked_for_is_told_apart() {
        let edns = parse(&option(OPTION_KEEPALIVE, &[])).map(|edns| edns.asked).unwrap();
        assert!(edns.has(Asked::KEEPALIVE) && !edns.has(Asked::KEEPALIVE_WITH_DATA));
        let rdata = option(OPTION_KEEPALIVE, &[0, 1]);
        assert!(parse(&rdata).unwrap().asked.has(Asked::KEEPALIVE_WITH_DATA));
        let rdata = option(OPTION_PADDING, &[0; 200]);
        assert!(parse(&rdata).unwrap().asked.has(Asked::PADDING));
        let rdata = option(OPTION_NSID, &[]);
        let nsid = parse(&rdata).unwrap().asked;
        assert!(nsid.has(Asked::NSID) && !nsid.has_rare());
        // Unknown ones, DAU, and the report channel that only servers send.
        let rdata = [option(65_001, &[1, 2]), option(5, &[8]), option(18, &[0])].concat();
        assert_eq!(parse(&rdata).unwrap().asked, Asked::default());
    }
}
