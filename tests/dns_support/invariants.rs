//! What holds for every reply to whatever request.

use std::collections::HashMap;

use hickory_proto::op::Message as HickoryMessage;
use windrose::answer::Peer;
use windrose::dns::query::{Query, Unanswerable};
use windrose::metrics::Transport;

use super::message::{self, Message, Record};

/// Panics unless `reply` is one that `request` may get.
pub(crate) fn check(request: &[u8], reply: Option<&[u8]>, peer: Peer) {
    let is_silent = request.len() < 12 || request[2] & 0x80 != 0;
    let Some(reply) = reply else {
        assert!(is_silent, "silence to a request that deserves a reply");
        return;
    };
    assert!(!is_silent, "a reply to what must be met with silence");
    let message = message::read(reply).expect("a reply can be read");
    let parsed = Query::parse(request);
    header(request, reply, &message);
    size(reply, &message, parsed.as_ref().ok(), peer);
    sections(&message);
    let rcode = message.rcode();
    match parsed {
        Ok(query) => {
            assert_eq!(message.question, query.question, "the question is echoed");
            assert_eq!(message.opt().is_some(), query.edns.is_some(), "OPT in, OPT out");
        }
        Err(Unanswerable::CookieOnly { .. }) => {
            assert!([0, 1, 23].contains(&rcode), "rcode {rcode} to a request for a cookie");
        }
        // NOTIFY and UPDATE have refusals of their own (RFC 1996 3.10, RFC 2136 3.1).
        Err(_) if [4, 5].contains(&(request[2] >> 3 & 15)) => {
            assert!([0, 1, 2, 4, 5, 9].contains(&rcode), "rcode {rcode} to NOTIFY or UPDATE");
        }
        Err(_) => assert!([1, 4, 16].contains(&rcode), "rcode {rcode} to a bad request"),
    }
    if rcode == 0 || rcode == 3 {
        // It refuses the echo of a subnet of family 0, which `dig +subnet=0` sends, and
        // records without data, which RFC 3597 5 provides for.
        let subnet_0 = [0, 8, 0, 4, 0, 0, 0, 0];
        let is_subnet_0 = |opt: &Record| opt.raw.windows(8).any(|bytes| bytes == subnet_0);
        let is_empty = |record: &Record| record.rtype != 41 && record.raw.is_empty();
        if !message.opt().is_some_and(is_subnet_0) && !message.records.iter().any(is_empty) {
            HickoryMessage::from_vec(reply).expect("another reader takes it too");
        }
    } else if rcode != 6 && rcode != 2 && rcode != 5 {
        assert!(
            message.records.iter().all(|record| record.rtype == 41),
            "rcode {rcode} comes alone"
        );
    }
}

fn header(request: &[u8], reply: &[u8], message: &Message) {
    assert_eq!(message.id, request[..2], "the ID is echoed");
    // QR set; opcode and RD echoed; AA and TC free.
    assert_eq!(reply[2] & !0x06, 0x80 | request[2] & 0x79, "opcode and RD are echoed");
    assert_eq!(reply[3] & 0xf0, 0, "RA, Z, AD and CD are clear");
    let echoed = request[12..].starts_with(&message.question);
    assert!(message.question.is_empty() || echoed, "the question is echoed byte for byte");
}

fn size(reply: &[u8], message: &Message, query: Option<&Query<'_>>, peer: Peer) {
    let truncated = message.flags[0] & 2 != 0;
    let limit = match peer.transport {
        Transport::Udp => {
            let asked = query.and_then(|query| query.edns).map_or(512, |edns| edns.udp_size);
            usize::from(asked.clamp(512, 1232))
        }
        _ => 65_535,
    };
    assert!(reply.len() <= limit, "{} bytes, at most {limit}", reply.len());
    if !matches!(peer.transport, Transport::Udp) {
        // The only larger answer there is comes over a stream whole or not at all.
        assert!(!truncated || reply.len() < limit, "TC over a stream");
    }
}

/// RRsets: one TTL each, no record twice, owners of answers in the chain.
fn sections(message: &Message) {
    let mut ttls = HashMap::new();
    let mut seen = HashMap::new();
    for record in &message.records {
        if record.rtype == 41 {
            assert_eq!(record.section, 2, "OPT is additional data");
            assert_eq!(record.owner, ".", "OPT is the root's");
            continue;
        }
        let owner = record.owner.to_ascii_lowercase();
        let of_set = (record.section, owner.clone(), record.rtype);
        assert_eq!(
            *ttls.entry(of_set).or_insert(record.ttl),
            record.ttl,
            "one TTL for the RRset of {owner}"
        );
        let whole = (owner, record.rtype, record.rdata.to_ascii_lowercase());
        let before = seen.insert(whole.clone(), record.section);
        assert!(before.is_none(), "twice: {whole:?}");
    }
}
