//! RFC 8945: TSIG.

use windrose::dns::tsig::{ReplyError, error, find};

use crate::transfers::{CONFIG, NOW_S, Primary, answers, question, rcode, signed};

const NOW: u64 = NOW_S as u64;
const NOTAUTH: u16 = 9;

/// Point 21, section 5.3: a signed query gets a signed answer.
#[test]
fn a_signed_query_gets_a_signed_answer() {
    let mut primary = Primary::new(CONFIG);
    let (message, mut session) = signed(&question(0, "www.example.com", 1), "transfer", NOW);
    let reply = primary.udp(&message, "192.0.2.99").unwrap();
    let plain = session.check(&reply, NOW).unwrap();
    assert_eq!((rcode(&plain), answers(&[plain]).len()), (0, 1));
    assert!(reply.len() <= 512);
}

/// Point 21, sections 5.2.1 and 5.3.2: NOTAUTH and BADKEY, not signed.
#[test]
fn an_unknown_key_is_badkey_unsigned() {
    let mut primary = Primary::new(CONFIG);
    let (message, mut session) = signed(&question(0, "www.example.com", 1), "other", NOW);
    let reply = primary.udp(&message, "192.0.2.99").unwrap();
    let tsig = find(&reply).unwrap().unwrap();
    assert_eq!((rcode(&reply), tsig.error), (NOTAUTH, error::BADKEY));
    assert_eq!(session.check(&reply, NOW).unwrap_err(), ReplyError::Refused(error::BADKEY));
    assert!(answers(&[reply]).is_empty());
}

/// Point 21, section 5.2.2: NOTAUTH and BADSIG, not signed.
#[test]
fn a_wrong_signature_is_badsig_unsigned() {
    let mut primary = Primary::new(CONFIG);
    let (mut message, mut session) = signed(&question(0, "www.example.com", 1), "transfer", NOW);
    message[13] = b'x';
    let reply = primary.udp(&message, "192.0.2.99").unwrap();
    assert_eq!(rcode(&reply), NOTAUTH);
    assert_eq!(session.check(&reply, NOW).unwrap_err(), ReplyError::Refused(error::BADSIG));
}

/// Point 21, section 5.2.3: NOTAUTH and BADTIME, signed.
#[test]
fn a_wrong_time_is_badtime_under_a_signature() {
    let mut primary = Primary::new(CONFIG);
    let then = NOW - 1_000;
    let (message, mut session) = signed(&question(0, "www.example.com", 1), "transfer", then);
    let reply = primary.udp(&message, "192.0.2.99").unwrap();
    assert_eq!(rcode(&reply), NOTAUTH);
    // Checked by its MAC before its error is believed.
    assert_eq!(session.check(&reply, then).unwrap_err(), ReplyError::Refused(error::BADTIME));
}

/// Point 21, section 5.2: FORMERR where it is not last, or twice.
#[test]
fn a_signature_that_is_not_last_or_stands_twice_is_a_format_error() {
    let mut primary = Primary::new(CONFIG);
    let (message, _) = signed(&question(0, "www.example.com", 1), "transfer", NOW);
    let start = find(&message).unwrap().unwrap().start;
    let mut twice = [&message[..], &message[start..]].concat();
    twice[11] = 2;
    let mut not_last = [&message[..], b"\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x00"].concat();
    not_last[11] = 2;
    for spoilt in [twice, not_last] {
        let reply = primary.udp(&spoilt, "192.0.2.99").unwrap();
        assert_eq!((rcode(&reply), answers(&[reply]).len()), (1, 0));
    }
}

/// Point 21, section 5.3.1: every message of a transfer is signed, in a chain.
#[test]
fn every_message_of_a_transfer_is_signed() {
    let primary = Primary::new(CONFIG);
    let (message, mut session) = signed(&question(0, "example.com", 252), "transfer", NOW);
    for reply in primary.transfer(&message, "192.0.2.99") {
        session.check(&reply, NOW).unwrap();
        assert!(session.is_closed());
    }
    let (message, mut session) = signed(&question(0, "example.com", 252), "nobody", NOW);
    let replies = primary.transfer(&message, "192.0.2.1");
    assert_eq!((replies.len(), rcode(&replies[0])), (1, NOTAUTH));
    assert_eq!(session.check(&replies[0], NOW).unwrap_err(), ReplyError::Refused(error::BADKEY));
}
