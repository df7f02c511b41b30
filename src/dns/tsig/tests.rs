use super::*;

fn key(algorithm: Algorithm) -> Arc<Key> {
    let name = Name::parse("Axfr.Key").unwrap();
    Arc::new(Key::new(&name, algorithm, b"a secret of some thirty-two bytes"))
}

/// A query for `example` SOA.
fn query() -> Vec<u8> {
    b"\x12\x34\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x07example\x00\x00\x06\x00\x01".to_vec()
}

fn checked(keys: &Keys, message: &[u8], now_s: u64) -> Result<Session, Refused> {
    verify(keys, message, &find(message).unwrap().unwrap(), now_s)
}

#[test]
fn what_is_signed_is_taken_with_every_algorithm_and_nothing_else_is() {
    for (name, algorithm) in Algorithm::ALL {
        let key = key(algorithm);
        let keys = Keys::new(vec![Arc::clone(&key)]);
        let mut message = query();
        sign_request(&key, &mut message, 1_000);
        let session = checked(&keys, &message, 1_000).unwrap();
        assert_eq!(session.key().name().to_string(), "axfr.key");
        let tsig = find(&message).unwrap().unwrap();
        assert_eq!(stripped(&message, &tsig), query(), "{name}");
        // The ID may be changed on the way (RFC 8945 4.2): the original one was signed.
        for at in 2..tsig.start {
            let mut changed = message.clone();
            changed[at] ^= 1;
            let refused =
                find(&changed).ok().flatten().map(|tsig| verify(&keys, &changed, &tsig, 1_000));
            assert!(!matches!(refused, Some(Ok(_))), "{name}: byte {at}");
        }
    }
}

#[test]
fn a_mac_is_that_of_the_rfc_and_not_of_ourselves_alone() {
    // HMAC-SHA256 over the message and the variables, put together by hand
    // (RFC 8945 4.3.3).
    let key = key(Algorithm::Sha256);
    let mut message = query();
    sign_request(&key, &mut message, 0x0102_0304_0506);
    let mut digested = query();
    digested.extend(b"\x04axfr\x03key\x00\x00\xff\x00\x00\x00\x00\x0bhmac-sha256\x00");
    digested.extend([1, 2, 3, 4, 5, 6, 0x01, 0x2c, 0, 0, 0, 0]);
    let plain = hmac::Key::new(hmac::HMAC_SHA256, b"a secret of some thirty-two bytes");
    let mac = hmac::sign(&plain, &digested);
    assert_eq!(find(&message).unwrap().unwrap().mac, mac.as_ref());
}

#[test]
fn errors_come_in_the_order_of_the_rfc() {
    let key = key(Algorithm::Sha256);
    let keys = Keys::new(vec![Arc::clone(&key)]);
    let mut message = query();
    sign_request(&key, &mut message, 1_000);
    for (late_s, is_taken) in [(300, true), (301, false)] {
        for now_s in [1_000 + late_s, 1_000 - late_s] {
            match checked(&keys, &message, now_s) {
                Ok(_) => assert!(is_taken, "{now_s}"),
                Err(Refused::Signed(error::BADTIME, _)) => assert!(!is_taken, "{now_s}"),
                other => panic!("{other:?}"),
            }
        }
    }
    // A wrong MAC is said before a wrong time.
    let tsig = find(&message).unwrap().unwrap();
    let mac_at = tsig.start + key.name.wire().len() + 10 + key.algorithm.wire().len() + 10;
    let mut wrong = message.clone();
    wrong[mac_at] ^= 1;
    assert!(matches!(checked(&keys, &wrong, 9_999), Err(Refused::Unsigned(error::BADSIG))));
    assert!(matches!(
        checked(&Keys::default(), &message, 1_000),
        Err(Refused::Unsigned(error::BADKEY))
    ));
    // The same name with another algorithm is another key.
    let other = Keys::new(vec![Arc::new(Key::new(&key.name, Algorithm::Sha512, b"x"))]);
    assert!(matches!(checked(&other, &message, 1_000), Err(Refused::Unsigned(error::BADKEY))));
}

/// `message` with its MAC cut to `length` bytes.
fn cut(key: &Key, message: &[u8], length: usize) -> Vec<u8> {
    let tsig = find(message).unwrap().unwrap();
    let data_at = tsig.start + key.name.wire().len() + 8;
    let mac_at = data_at + 2 + key.algorithm.wire().len() + 10;
    let mut short = message.to_vec();
    short.drain(mac_at + length..mac_at + tsig.mac.len());
    short[mac_at - 2..mac_at].copy_from_slice(&(length as u16).to_be_bytes());
    let data_length = (key.algorithm.wire().len() + 16 + length) as u16;
    short[data_at..data_at + 2].copy_from_slice(&data_length.to_be_bytes());
    short
}

#[test]
fn cut_macs_are_badtrunc_and_cut_too_short_malformed() {
    let key = key(Algorithm::Sha256);
    let keys = Keys::new(vec![Arc::clone(&key)]);
    let mut message = query();
    sign_request(&key, &mut message, 1_000);
    for length in 0..32 {
        match checked(&keys, &cut(&key, &message, length), 1_000) {
            Err(Refused::Malformed) => assert!(length < 16),
            Err(Refused::Signed(error::BADTRUNC, _)) => assert!(length >= 16),
            other => panic!("{length}: {other:?}"),
        }
    }
}

#[test]
fn a_stream_is_a_chain_and_may_have_unsigned_links() {
    let key = key(Algorithm::Sha384);
    let keys = Keys::new(vec![Arc::clone(&key)]);
    let mut message = query();
    let mut asked = sign_request(&key, &mut message, 1_000);
    let mut answering = checked(&keys, &message, 1_000).unwrap();
    let mut replies = Vec::new();
    for number in 0..4u8 {
        let mut out = [0; 512];
        let length = query().len();
        out[..length].copy_from_slice(&query());
        out[3] = number;
        let signed = answering.sign(&mut out, length, 1_000 + u64::from(number)).unwrap();
        replies.push(out[..signed].to_vec());
    }
    for (number, reply) in replies.iter().enumerate() {
        let plain = asked.check(reply, 1_001).unwrap();
        assert_eq!(plain[3], number as u8);
        assert!(asked.is_closed());
    }
    // Out of order, or one left out, the chain breaks.
    let mut asked = sign_request(&key, &mut query(), 1_000);
    assert_eq!(asked.check(&replies[1], 1_001).unwrap_err(), ReplyError::BadMac);
    assert_eq!(asked.check(&query(), 1_001).unwrap_err(), ReplyError::Unsigned);
    let mut asked = sign_request(&key, &mut query(), 1_000);
    asked.check(&replies[0], 1_001).unwrap();
    for _ in 0..UNSIGNED_MAX {
        asked.check(&query(), 1_001).unwrap();
        assert!(!asked.is_closed());
    }
    assert_eq!(asked.check(&query(), 1_001).unwrap_err(), ReplyError::Unsigned);
}

#[test]
fn a_clock_that_is_wrong_is_told_so_under_a_signature() {
    let key = key(Algorithm::Sha256);
    let keys = Keys::new(vec![Arc::clone(&key)]);
    let mut message = query();
    let mut asked = sign_request(&key, &mut message, 1_000);
    let Err(Refused::Signed(error, mut session)) = checked(&keys, &message, 50_000) else {
        panic!()
    };
    let mut out = [0; 512];
    let length = query().len();
    out[..length].copy_from_slice(&query());
    let signed = session.sign_error(&mut out, length, error, 50_000).unwrap();
    let tsig = find(&out[..signed]).unwrap().unwrap();
    assert_eq!((tsig.time_s, tsig.other), (1_000, &[0, 0, 0, 0, 0xc3, 0x50][..]));
    assert_eq!(
        asked.check(&out[..signed], 1_000).unwrap_err(),
        ReplyError::Refused(error::BADTIME)
    );
}

#[test]
fn a_record_that_is_not_last_or_stands_twice_is_malformed() {
    let key = key(Algorithm::Sha256);
    let mut message = query();
    sign_request(&key, &mut message, 1_000);
    let tsig = find(&message).unwrap().unwrap().start;
    let mut twice = message.clone();
    twice.extend_from_slice(&message[tsig..]);
    twice[11] = 2;
    assert_eq!(find(&twice).unwrap_err(), Malformed);
    let mut not_last = message.clone();
    not_last.extend(b"\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x00");
    not_last[11] = 2;
    assert_eq!(find(&not_last).unwrap_err(), Malformed);
    let mut in_answer = message.clone();
    (in_answer[7], in_answer[11]) = (1, 0);
    assert_eq!(find(&in_answer).unwrap_err(), Malformed);
    assert!(find(&query()).unwrap().is_none());
}

#[test]
fn no_bytes_make_it_panic() {
    let key = key(Algorithm::Sha256);
    let keys = Keys::new(vec![Arc::clone(&key)]);
    let mut message = query();
    sign_request(&key, &mut message, 1_000);
    for at in 0..message.len() {
        for bit in 0..8 {
            let mut changed = message.clone();
            changed[at] ^= 1 << bit;
            if let Ok(Some(tsig)) = find(&changed) {
                let _ = verify(&keys, &changed, &tsig, 1_000);
            }
            let _ = find(&changed[..at]);
        }
    }
}
