use proptest::prelude::*;

use super::*;
use crate::dns::encode::{Opt, Status, Writer};
use crate::dns::query::Header;
use crate::dns::types::Rcode;
use crate::zone::master;

const ID: [u8; 2] = [0xab, 0xcd];

fn origin() -> Name {
    Name::parse("example.com").unwrap()
}

fn records(text: &str) -> Vec<Record> {
    master::parse(text.as_bytes(), &origin(), 300).unwrap()
}

fn soa(serial: u32) -> Record {
    records(&format!("@ SOA ns1 host {serial} 60 30 600 30\n")).remove(0)
}

fn zone(serial: u32, rest: &str) -> Vec<Record> {
    let mut zone = vec![soa(serial)];
    zone.extend(records(&format!("@ NS ns1\nns1 A 192.0.2.1\n{rest}")));
    zone
}

/// A message of these records.
fn message(records: &[Record]) -> Vec<u8> {
    let mut out = vec![0; 65_535];
    let question = [origin().wire(), &[0, 252, 0, 1]].concat();
    let header = Header { id: ID, ..Header::default() };
    let mut writer = Writer::new(&mut out, 65_535, header, &question);
    for record in records {
        let rdata = [&record.rdata[..]].into_iter();
        let owner = record.owner.wire();
        writer.put_rrset(Section::Answer, owner, record.rtype, record.ttl_s, rdata).unwrap();
    }
    let status = Status { rcode: Rcode::NOERROR, authoritative: true, truncated: false };
    let length = writer.finish(status, &Opt::default());
    out.truncate(length);
    out
}

/// What comes of `records`, so many in each message.
fn received(
    held: Option<u32>,
    records: &[Record],
    each: usize,
) -> Result<Option<Received>, TransferError> {
    let mut incoming = Incoming::new(&origin(), ID, held, Bounds::default());
    let mut last = Ok(None);
    for part in records.chunks(each) {
        last = incoming.take(&message(part));
        if !matches!(last, Ok(None)) {
            break;
        }
    }
    last
}

#[test]
fn a_whole_zone_is_the_same_however_it_is_cut_into_messages() {
    let zone = zone(5, "www A 192.0.2.80\nwww A 192.0.2.81\nmail MX 10 ns1\n");
    let mut sent = zone.clone();
    sent.push(soa(5));
    for held in [None, Some(4)] {
        for each in 1..=sent.len() {
            assert_eq!(received(held, &sent, each), Ok(Some(Received::Whole(zone.clone()))));
            // Without the last SOA there is no end.
            assert_eq!(received(held, &zone, each), Ok(None));
        }
    }
}

#[test]
fn changes_are_taken_one_after_another_and_applied() {
    let gone = records("www A 192.0.2.80\n");
    let come = records("www A 192.0.2.90\n");
    let more = records("new TXT \"x\"\n");
    let sent: Vec<Record> = [
        vec![soa(7), soa(5)],
        gone.clone(),
        vec![soa(6)],
        come.clone(),
        vec![soa(6), soa(7)],
        more.clone(),
        vec![soa(7)],
    ]
    .concat();
    for each in 1..=sent.len() {
        let Ok(Some(Received::Changes(changes))) = received(Some(5), &sent, each) else {
            panic!("{each}")
        };
        assert_eq!(changes.len(), 2);
        let after = apply(zone(5, "www A 192.0.2.80\n"), &changes).unwrap();
        let mut expected = zone(7, "www A 192.0.2.90\nnew TXT \"x\"\n");
        let mut sorted = after.clone();
        let by = |record: &Record| (record.owner.to_string(), record.rtype, record.rdata.clone());
        expected.sort_by_key(by);
        sorted.sort_by_key(by);
        assert_eq!(sorted, expected);
        assert_eq!(serial_of(&after[0]), 7);
        // They fit that zone alone.
        assert!(matches!(apply(zone(5, ""), &changes), Err(TransferError::DoesNotFit(_))));
        assert!(matches!(apply(zone(4, ""), &changes), Err(TransferError::DoesNotFit(_))));
    }
}

#[test]
fn who_is_current_is_told_by_one_soa_and_a_serial_never_goes_back() {
    assert_eq!(received(Some(5), &[soa(5)], 1), Ok(Some(Received::Current)));
    let back = Err(TransferError::GoesBack { held: 5, offered: 4 });
    assert_eq!(received(Some(5), &[soa(4)], 1), back);
    assert_eq!(received(Some(5), &[soa(4), soa(4)], 2), back);
    // A newer one alone: more must follow.
    assert_eq!(received(Some(5), &[soa(6)], 1), Ok(None));
    assert_eq!(received(None, &[soa(6)], 1), Ok(None));
}

#[test]
fn what_does_not_belong_is_refused() {
    let outside = master::parse(b"www.example.net. A 192.0.2.1\n", &Name::root(), 300).unwrap();
    let other_soa = records("sub SOA ns1 host 5 60 30 600 30\n");
    let ns = records("@ NS ns1\n");
    for (sent, error) in [
        (vec![soa(5), outside[0].clone()], "a record of www.example.net is not of this zone"),
        (vec![ns[0].clone()], "the SOA records are not where they belong"),
        (vec![soa(5), ns[0].clone(), soa(6)], "the SOA records are not where they belong"),
        (vec![soa(5), other_soa[0].clone()], "the SOA records are not where they belong"),
        (vec![soa(5), soa(4)], "the SOA records are not where they belong"),
        (vec![soa(5), soa(5), ns[0].clone()], "the SOA records are not where they belong"),
    ] {
        let count = sent.len();
        assert_eq!(received(None, &sent, count).unwrap_err().to_string(), error);
    }
    let mut refused = message(&[]);
    refused[3] = 5;
    let mut incoming = Incoming::new(&origin(), ID, None, Bounds::default());
    assert_eq!(incoming.take(&refused), Err(TransferError::Rcode(5)));
    let mut incoming = Incoming::new(&origin(), [0, 0], None, Bounds::default());
    assert_eq!(incoming.take(&message(&[soa(5)])), Err(TransferError::NotAsked));
    let mut incoming = Incoming::new(&origin(), ID, None, Bounds { records: 2, bytes: 1 << 20 });
    let three = message(&[soa(5), ns[0].clone(), ns[0].clone()]);
    assert_eq!(incoming.take(&three), Err(TransferError::TooLarge("records")));
    let mut incoming = Incoming::new(&origin(), ID, None, Bounds { records: 9, bytes: 20 });
    assert_eq!(incoming.take(&three), Err(TransferError::TooLarge("bytes")));
}

#[test]
fn records_that_cannot_stand_together_are_no_zone() {
    assert_eq!(check(&origin(), &zone(1, "")), Ok(()));
    let both = zone(1, "www CNAME ns1\nwww A 192.0.2.1\n");
    assert!(matches!(check(&origin(), &both), Err(TransferError::Unservable(_))));
    assert!(matches!(check(&origin(), &[soa(1)]), Err(TransferError::Unservable(_))));
}

#[test]
fn what_is_written_is_read_back() {
    let zone = zone(
        3,
        "a\\.b TXT \"x;y\" \"\\000\\255\"\n*.w A 192.0.2.1\n_s._tcp SRV 1 2 3 ns1\n\
         h HTTPS 1 . alpn=h2\nx TYPE65280 \\# 3 010203\n@ CAA 0 issue \"ca.example\"\n",
    );
    assert_eq!(records(&master::write(&zone)), zone);
}

proptest! {
    #[test]
    fn no_stream_makes_it_panic(
        picks in proptest::collection::vec((0..8_usize, 0..4_u32), 0..24),
        each in 1..8_usize,
        held in proptest::option::of(0..4_u32),
        broken in proptest::option::of((0..400_usize, any::<u8>())),
    ) {
        let pool = records("@ NS ns1\nns1 A 192.0.2.1\nwww A 192.0.2.80\na CNAME www\n");
        let sent: Vec<Record> = picks
            .iter()
            .map(|&(pick, serial)| pool.get(pick).cloned().unwrap_or_else(|| soa(serial)))
            .collect();
        let mut incoming = Incoming::new(&origin(), ID, held, Bounds::default());
        for part in sent.chunks(each) {
            let mut bytes = message(part);
            if let Some((at, byte)) = broken && at < bytes.len() {
                bytes[at] = byte;
            }
            match incoming.take(&bytes) {
                Ok(None) => {}
                Ok(Some(Received::Changes(changes))) => {
                    prop_assert!(!changes.is_empty());
                    let _ = apply(zone(held.unwrap_or(0), ""), &changes);
                    break;
                }
                Ok(Some(Received::Whole(whole))) => {
                    prop_assert_eq!(whole[0].rtype, rtype::SOA);
                    prop_assert_eq!(whole.iter().filter(|r| r.rtype == rtype::SOA).count(), 1);
                    break;
                }
                Ok(Some(Received::Current)) | Err(_) => break,
            }
        }
    }
}
