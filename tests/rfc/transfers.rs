//! A primary without sockets, asked for transfers and signed questions: shared by the
//! modules of RFC 1995, 1996, 2136, 5936 and 8945.

use std::net::IpAddr;
use std::sync::Arc;

use windrose::answer::transfer::{Transfer, is_asked};
use windrose::answer::{Peer, Scratch};
use windrose::dns::Name;
use windrose::dns::encode::Section;
use windrose::dns::message::Message;
use windrose::dns::tsig::{Algorithm, Key, Session, sign_request};
use windrose::geo::BaseTable;
use windrose::listen::Transport;
use windrose::snapshot::Serving;
use windrose::zone::Record;

use crate::config_support::MemoryFiles;
use crate::dns_support::serving;

pub(crate) const NOW_S: u32 = 1_800_000_000;
const SECRET: &str = "3sDh4GGJhlUNnV0tGKlgXDPjyDEqBrMRGDfsKYTn7yM=";

pub(crate) const CONFIG: &str = r#"
[server]
state_dir = "state"

[tsig.transfer]
secret = "3sDh4GGJhlUNnV0tGKlgXDPjyDEqBrMRGDfsKYTn7yM="

[zone."example.com"]
nameservers = ["ns1.example.net"]
hostmaster = "hostmaster@example.net"
serial = 7
records = ["www A 192.0.2.80", "deep.er TXT \"x\"", "sub NS ns.sub", "ns.sub A 192.0.2.9"]
allow_transfer = ["192.0.2.1", "key:transfer", { address = "198.51.100.0/24", key = "transfer" }]

[zone."closed.example"]
nameservers = ["ns1.example.net"]
hostmaster = "hostmaster@example.net"

[zone."corp.example"]
primaries = ["192.0.2.53", { address = "192.0.2.54", key = "transfer" }]
allow_transfer = "192.0.2.1"

[datacenter.fra]
vip = ["203.0.113.10", "2001:db8::10"]
location = { country = "DE" }
wildcard = "fra.example.com"

[datacenter.iad]
vip = "198.51.100.10"
location = { country = "US" }

[wip."shop.example.com"]
policy = "failover"
members = ["iad", "fra"]

[wip."*.any.example.com"]
policy = "round-robin"
members = ["fra", "iad"]
"#;

pub(crate) struct Primary {
    pub(crate) serving: Arc<Serving>,
    scratch: Scratch,
}

impl Primary {
    pub(crate) fn new(config: &str) -> Primary {
        let mut files = MemoryFiles::default();
        files.insert("windrose.toml", config);
        let serving =
            serving::load("windrose.toml", &files, BaseTable::from_networks(&[])).unwrap();
        let mut scratch = Scratch::default();
        scratch.set_time(NOW_S);
        Primary { serving: Arc::new(serving), scratch }
    }

    /// The reply to one message over UDP; none: silence.
    pub(crate) fn udp(&mut self, message: &[u8], from: &str) -> Option<Vec<u8>> {
        let peer = peer(from, Transport::Udp);
        serving::ask(&self.serving, &mut self.scratch, message, peer)
    }

    /// All messages of a transfer over TCP.
    pub(crate) fn transfer(&self, message: &[u8], from: &str) -> Vec<Vec<u8>> {
        assert!(is_asked(message));
        let peer = peer(from, Transport::Tcp);
        let begun = Transfer::begin(Arc::clone(&self.serving), message, peer, NOW_S);
        let mut transfer = begun.expect("a well-formed request");
        let mut out = vec![0; 65_535];
        let mut messages = Vec::new();
        loop {
            match transfer.next(&mut out, NOW_S) {
                0 => return messages,
                length => messages.push(out[..length].to_vec()),
            }
        }
    }
}

fn peer(from: &str, transport: Transport) -> Peer {
    Peer { address: from.parse::<IpAddr>().unwrap(), transport }
}

/// A question.
pub(crate) fn question(opcode: u8, name: &str, qtype: u16) -> Vec<u8> {
    let mut message = vec![0xab, 0xcd, opcode << 3, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    message.extend(Name::parse(name).unwrap().wire());
    message.extend(qtype.to_be_bytes());
    message.extend([0, 1]);
    message
}

/// IXFR from a serial.
pub(crate) fn ixfr(name: &str, serial: u32) -> Vec<u8> {
    let mut message = question(0, name, 251);
    message[9] = 1;
    message.extend([0xc0, 0x0c, 0, 6, 0, 1, 0, 0, 0, 0, 0, 22, 0, 0]);
    message.extend(serial.to_be_bytes());
    message.extend([0; 16]);
    message
}

pub(crate) fn key(name: &str) -> Arc<Key> {
    let secret = domain::utils::base64::decode::<Vec<u8>>(SECRET).unwrap();
    Arc::new(Key::new(&Name::parse(name).unwrap(), Algorithm::Sha256, &secret))
}

/// A message signed with a key of this name, and what checks the replies.
pub(crate) fn signed(message: &[u8], key_name: &str, at_s: u64) -> (Vec<u8>, Session) {
    let mut message = message.to_vec();
    let session = sign_request(&key(key_name), &mut message, at_s);
    (message, session)
}

/// Records of the answer sections, in order.
pub(crate) fn answers(messages: &[Vec<u8>]) -> Vec<Record> {
    let mut records = Vec::new();
    for message in messages {
        for entry in Message::parse(message).unwrap().entries() {
            let entry = entry.unwrap();
            if entry.section == Section::Answer {
                records.push(Record {
                    owner: entry.owner().unwrap(),
                    rtype: entry.rtype,
                    ttl_s: entry.ttl_s,
                    rdata: entry.rdata().unwrap(),
                });
            }
        }
    }
    records
}

pub(crate) fn rcode(message: &[u8]) -> u16 {
    Message::parse(message).unwrap().rcode()
}

/// "www.example.com A 4 bytes …": owner, type and data in short.
pub(crate) fn shown(records: &[Record]) -> Vec<String> {
    let data = |record: &Record| match record.rtype {
        1 => record.rdata.iter().map(u8::to_string).collect::<Vec<_>>().join("."),
        28 => "v6".to_owned(),
        _ => String::new(),
    };
    let mut lines: Vec<String> = records
        .iter()
        .map(|r| format!("{} {} {}", r.owner, r.rtype, data(r)).trim_end().to_owned())
        .collect();
    lines.sort();
    lines
}
