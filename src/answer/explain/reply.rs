//! Building the query and reading the reply back, for people to see.

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{Reply, Request};
use crate::dns::name;
use crate::dns::types::{Rcode, rtype};
use crate::dns::{ecs, query::HEADER_LENGTH};

/// The client subnet option's data for a network.
pub(super) fn subnet_option((address, length): (IpAddr, u8)) -> Vec<u8> {
    let (family, octets): (u8, Vec<u8>) = match address {
        IpAddr::V4(v4) => (1, v4.octets().into()),
        IpAddr::V6(v6) => (2, v6.octets().into()),
    };
    let length = length.min(octets.len() as u8 * 8);
    let mut data = vec![0, family, length, 0];
    let kept = usize::from(length).div_ceil(8);
    data.extend(&octets[..kept]);
    if length % 8 != 0
        && let Some(last) = data.last_mut()
    {
        *last &= 0xff << (8 - length % 8);
    }
    data
}

/// The query as a client would send it, with EDNS.
pub(super) fn query_message(request: &Request<'_>) -> Vec<u8> {
    let mut message = vec![0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1];
    message.extend(request.name.wire());
    message.extend(request.rtype.to_be_bytes());
    message.extend([0, 1]);
    message.extend([0, 0, rtype::OPT as u8, 4, 208, 0, 0, 0, 0]);
    let option = request.subnet.map(|subnet| {
        let data = subnet_option(subnet);
        let mut option = ecs::OPTION_CODE.to_be_bytes().to_vec();
        option.extend((data.len() as u16).to_be_bytes());
        option.extend(data);
        option
    });
    let option = option.unwrap_or_default();
    message.extend((option.len() as u16).to_be_bytes());
    message.extend(option);
    message
}

/// Reads a reply of our own back.
pub(super) fn read(message: &[u8], rcode: Rcode) -> Reply {
    let mut reply = Reply { rcode: rcode.mnemonic().to_owned(), ..Reply::default() };
    if message[2] & 0x04 != 0 {
        reply.flags.push("aa".to_owned());
    }
    if message[2] & 0x02 != 0 {
        reply.flags.push("tc".to_owned());
    }
    let count = |at: usize| u16::from_be_bytes([message[at], message[at + 1]]);
    let mut reader = Reader { message, at: HEADER_LENGTH };
    if count(4) == 1 {
        reader.name();
        reader.at += 4;
    }
    for section in 0..3 {
        for _ in 0..count(6 + 2 * section) {
            let Some(record) = reader.record() else { return reply };
            if record.rtype == rtype::OPT {
                reply.ecs_scope = scope_of(record.rdata);
                continue;
            }
            let text = reader.text(&record);
            match section {
                0 => reply.answer.push(text),
                1 => reply.authority.push(text),
                _ => reply.additional.push(text),
            }
        }
    }
    reply
}

fn scope_of(options: &[u8]) -> Option<u8> {
    let mut rest = options;
    while let Some((header, next)) = rest.split_at_checked(4) {
        let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
        let (data, next) = next.split_at_checked(length)?;
        if u16::from_be_bytes([header[0], header[1]]) == ecs::OPTION_CODE {
            return data.get(3).copied();
        }
        rest = next;
    }
    None
}

struct Reader<'a> {
    message: &'a [u8],
    at: usize,
}

struct Record<'a> {
    owner: String,
    rtype: u16,
    ttl_s: u32,
    rdata: &'a [u8],
    rdata_at: usize,
}

impl<'a> Reader<'a> {
    fn record(&mut self) -> Option<Record<'a>> {
        let owner = self.name();
        let fixed = self.message.get(self.at..self.at + 10)?;
        let length = usize::from(u16::from_be_bytes([fixed[8], fixed[9]]));
        let rdata_at = self.at + 10;
        let rdata = self.message.get(rdata_at..rdata_at + length)?;
        self.at = rdata_at + length;
        Some(Record {
            owner,
            rtype: u16::from_be_bytes([fixed[0], fixed[1]]),
            ttl_s: u32::from_be_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]),
            rdata,
            rdata_at,
        })
    }

    /// Reads a name, moves past it, and gives it in presentation form.
    fn name(&mut self) -> String {
        let mut wire = Vec::new();
        let mut at = self.at;
        let mut jumped = false;
        // Our own messages hold no loop; the bound is for whoever changes that.
        for _ in 0..name::NAME_LENGTH_MAX {
            let Some(&length) = self.message.get(at) else { break };
            if length >= 0xc0 {
                let low = self.message.get(at + 1).copied().unwrap_or(0);
                if !jumped {
                    self.at = at + 2;
                }
                jumped = true;
                at = usize::from(length & 0x3f) << 8 | usize::from(low);
                continue;
            }
            let end = at + 1 + usize::from(length);
            wire.extend(self.message.get(at..end).unwrap_or_default());
            at = end;
            if length == 0 {
                break;
            }
        }
        if !jumped {
            self.at = at;
        }
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = name::write_presentation(&wire, &mut text);
        text
    }

    fn text(&self, record: &Record<'_>) -> String {
        let mut text =
            format!("{} {} IN {} ", record.owner, record.ttl_s, rtype::text(record.rtype));
        self.write_rdata(record, &mut text);
        text
    }

    fn write_rdata(&self, record: &Record<'_>, text: &mut String) {
        let rdata = record.rdata;
        let mut names = Reader { message: self.message, at: record.rdata_at };
        match record.rtype {
            rtype::A if rdata.len() == 4 => {
                let octets = [rdata[0], rdata[1], rdata[2], rdata[3]];
                text.push_str(&Ipv4Addr::from(octets).to_string());
            }
            rtype::AAAA if rdata.len() == 16 => {
                let octets: [u8; 16] = rdata.try_into().unwrap_or_default();
                text.push_str(&Ipv6Addr::from(octets).to_string());
            }
            rtype::NS | rtype::CNAME | rtype::PTR | rtype::DNAME => text.push_str(&names.name()),
            rtype::MX if rdata.len() > 2 => {
                names.at += 2;
                let preference = u16::from_be_bytes([rdata[0], rdata[1]]);
                let _ = write!(text, "{preference} {}", names.name());
            }
            rtype::SOA => {
                let (primary, contact) = (names.name(), names.name());
                let _ = write!(text, "{primary} {contact}");
                for chunk in self.message[names.at..].chunks_exact(4).take(5) {
                    let number = u32::from_be_bytes([chunk[0], chunk[1], chunk[2], chunk[3]]);
                    let _ = write!(text, " {number}");
                }
            }
            rtype::TXT | rtype::HINFO => {
                let mut rest = rdata;
                while let Some((&length, next)) = rest.split_first() {
                    let (string, next) = next.split_at(usize::from(length).min(next.len()));
                    let _ = write!(text, "\"{}\" ", string.escape_ascii());
                    rest = next;
                }
                text.truncate(text.trim_end().len());
            }
            // RFC 3597 5
            _ => {
                let _ = write!(text, "\\# {} ", rdata.len());
                rdata.iter().for_each(|byte| {
                    let _ = write!(text, "{byte:02x}");
                });
            }
        }
    }
}
