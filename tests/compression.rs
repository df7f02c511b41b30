//! Replies with compressed names say the same as without (RFC 1035 4.1.4, RFC
//! 3597 4): random RRsets, written by the server's writer, read by hickory-proto.

#![allow(clippy::unwrap_used)] // a panic here is a failed test

use hickory_proto::op::Message;
use hickory_proto::rr::Record;
use hickory_proto::serialize::binary::{BinEncodable, BinEncoder, NameEncoding};
use proptest::prelude::*;
use windrose::dns::encode::{Opt, Section, Status, Writer};
use windrose::dns::query::Header;
use windrose::dns::types::Rcode;

/// Records of one owner, type and TTL.
#[derive(Clone, Debug)]
struct Rrset {
    section: usize,
    owner: Vec<u8>,
    rtype: u16,
    ttl_s: u32,
    rdatas: Vec<Vec<u8>>,
}

/// Names that share suffixes, in any case, the root and long ones among them.
fn any_name() -> impl Strategy<Value = Vec<u8>> {
    let label = prop_oneof![
        8 => prop::sample::select(vec!["a", "A", "www", "example", "EXAMPLE", "Com", "com", "b"])
            .prop_map(|label| label.as_bytes().to_vec()),
        1 => prop::collection::vec(1u8..=255, 1..=60),
    ];
    prop::collection::vec(label, 0..5).prop_map(|labels| {
        let mut wire = Vec::new();
        for label in labels.iter().filter(|label| !label.is_empty()) {
            if wire.len() + label.len() + 2 <= 255 {
                wire.push(label.len() as u8);
                wire.extend(label);
            }
        }
        wire.push(0);
        wire
    })
}

/// Type, and RDATA in uncompressed wire form.
fn any_rdata(rtype: u16) -> BoxedStrategy<Vec<u8>> {
    let bytes = |length: usize| prop::collection::vec(any::<u8>(), length);
    match rtype {
        1 => bytes(4).boxed(),
        2 | 5 | 12 | 39 => any_name().boxed(),
        15 => (bytes(2), any_name()).prop_map(|(head, name)| [head, name].concat()).boxed(),
        33 => (bytes(6), any_name()).prop_map(|(head, name)| [head, name].concat()).boxed(),
        6 => (any_name(), any_name(), bytes(20))
            .prop_map(|(mname, rname, tail)| [mname, rname, tail].concat())
            .boxed(),
        _ => prop::collection::vec(any::<u8>(), 0..40)
            .prop_map(|text| [vec![text.len() as u8], text].concat())
            .boxed(),
    }
}

fn any_rrset() -> impl Strategy<Value = Rrset> {
    prop::sample::select(vec![1u16, 2, 5, 6, 12, 15, 16, 33, 39]).prop_flat_map(|rtype| {
        let rdatas = prop::collection::vec(any_rdata(rtype), 1..4);
        (0..3usize, any_name(), 0..=i32::MAX as u32, rdatas).prop_map(
            move |(section, owner, ttl_s, rdatas)| Rrset { section, owner, rtype, ttl_s, rdatas },
        )
    })
}

/// Where the names of RDATA begin, and how many there are. DNAME's is left out:
/// it is never compressed (RFC 6672 2.5), and hickory-proto takes it as bytes.
fn names_in(rtype: u16) -> Option<(usize, usize)> {
    match rtype {
        2 | 5 | 12 => Some((0, 1)),
        15 => Some((2, 1)),
        33 => Some((6, 1)),
        6 => Some((0, 2)),
        _ => None,
    }
}

/// RDATA with its names in lower case, the rest as it is.
fn lowercase(rtype: u16, rdata: &[u8]) -> Vec<u8> {
    let mut out = rdata.to_vec();
    let Some((mut at, names)) = names_in(rtype) else { return out };
    for _ in 0..names {
        let mut end = at;
        while out[end] != 0 {
            end += 1 + usize::from(out[end]);
        }
        out[at..end].make_ascii_lowercase();
        at = end + 1;
    }
    out
}

/// The record in canonical form: names whole and in lower case.
fn canonical(record: &Record) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = BinEncoder::new(&mut bytes);
    encoder.set_canonical_form(true);
    encoder.set_name_encoding(NameEncoding::UncompressedLowercase);
    record.emit(&mut encoder).unwrap();
    bytes
}

fn expected(rrset: &Rrset, rdata: &[u8]) -> Vec<u8> {
    let rdata = lowercase(rrset.rtype, rdata);
    let mut record = rrset.owner.to_ascii_lowercase();
    record.extend(rrset.rtype.to_be_bytes());
    record.extend([0, 1]);
    record.extend(rrset.ttl_s.to_be_bytes());
    record.extend((rdata.len() as u16).to_be_bytes());
    record.extend(rdata);
    record
}

proptest! {
    #[test]
    fn what_is_written_is_read_back_whole_or_not_at_all(
        qname in any_name(),
        mut rrsets in prop::collection::vec(any_rrset(), 0..60),
        limit in 300..5_000usize,
    ) {
        rrsets.sort_by_key(|rrset| rrset.section);
        let question = [&qname[..], &[0, 1, 0, 1]].concat();
        let mut out = vec![0; 65_535];
        let mut writer = Writer::new(&mut out, limit, Header::default(), &question);
        let sections = [Section::Answer, Section::Authority, Section::Additional];
        let mut kept: [Vec<Vec<u8>>; 3] = Default::default();
        let mut uncompressed = 12 + question.len();
        for rrset in &rrsets {
            let before = writer.len();
            let rdatas = rrset.rdatas.iter().map(Vec::as_slice);
            let section = sections[rrset.section];
            if writer.put_rrset(section, &rrset.owner, rrset.rtype, rrset.ttl_s, rdatas).is_ok() {
                let records = rrset.rdatas.iter().map(|rdata| expected(rrset, rdata));
                kept[rrset.section].extend(records);
                uncompressed = kept.iter().flatten().map(Vec::len).sum::<usize>()
                    + 12 + question.len();
            } else {
                prop_assert_eq!(writer.len(), before, "a part of an RRset stayed");
            }
        }
        let status = Status { rcode: Rcode::NOERROR, authoritative: true, truncated: false };
        let length = writer.finish(status, &Opt::default());
        prop_assert!(length <= limit && length <= uncompressed);
        let message = Message::from_vec(&out[..length]).unwrap();
        let read = [&message.answers, &message.authorities, &message.additionals];
        for (read, kept) in read.into_iter().zip(kept) {
            let read: Vec<Vec<u8>> = read.iter().map(canonical).collect();
            prop_assert_eq!(read, kept);
        }
    }
}
