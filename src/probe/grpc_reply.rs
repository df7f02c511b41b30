//! What a gRPC health check asks, and what an answer to it means.
//!
//! Pure: bytes in, judgement out. One message of one field each way is no work for
//! a code generator.

use crate::health::{Failure, FailureKind};

/// `HealthCheckRequest { service }` behind the prefix of a gRPC message: not
/// compressed, so long.
pub fn message(service: &str) -> Vec<u8> {
    let mut message = Vec::new();
    if !service.is_empty() {
        message.push(0x0a); // field 1, of bytes
        let mut length = service.len();
        while length >= 0x80 {
            message.push(length as u8 | 0x80);
            length >>= 7;
        }
        message.push(length as u8);
        message.extend_from_slice(service.as_bytes());
    }
    let mut framed = vec![0];
    framed.extend_from_slice(&(message.len() as u32).to_be_bytes());
    framed.extend_from_slice(&message);
    framed
}

/// Words of the codes that health checks meet.
const CODES: [(&str, &str); 9] = [
    ("1", "CANCELLED"),
    ("2", "UNKNOWN"),
    ("4", "DEADLINE_EXCEEDED"),
    ("5", "NOT_FOUND: the server does not know the service"),
    ("7", "PERMISSION_DENIED"),
    ("12", "UNIMPLEMENTED: the server has no health service"),
    ("13", "INTERNAL"),
    ("14", "UNAVAILABLE"),
    ("16", "UNAUTHENTICATED"),
];

/// `grpc-status`, and `grpc-message` where there is one.
pub fn judge_status(code: &[u8], message: Option<&[u8]>) -> Result<(), Failure> {
    if code == b"0" {
        return Ok(());
    }
    let code = String::from_utf8_lossy(code);
    let word = CODES.iter().find(|(known, _)| *known == code).map(|(_, word)| format!(" ({word})"));
    let mut detail = format!("grpc-status {code}{}", word.unwrap_or_default());
    if let Some(message) = message.filter(|message| !message.is_empty()) {
        detail = format!("{detail}: {}", decoded(message));
    }
    Err(Failure::new(FailureKind::Status, detail))
}

/// `%C3%A9` and the like; what is not that stands for itself.
fn decoded(text: &[u8]) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, more @ ..] = rest {
        rest = more;
        let escaped = match (first, more) {
            (b'%', [high, low, ..]) => hex(*high).zip(hex(*low)),
            _ => None,
        };
        match escaped {
            Some((high, low)) => {
                bytes.push(high << 4 | low);
                rest = &more[2..];
            }
            None => bytes.push(*first),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

/// `HealthCheckResponse { status }`.
pub fn judge_message(framed: &[u8]) -> Result<(), Failure> {
    let broken = || Failure::new(FailureKind::Protocol, "the answer's message is broken");
    let (prefix, message) = framed.split_at_checked(5).ok_or_else(broken)?;
    let length = prefix[1..].iter().fold(0_usize, |length, byte| length << 8 | usize::from(*byte));
    if prefix[0] != 0 || length != message.len() {
        return Err(broken());
    }
    let status = match status(message).ok_or_else(broken)? {
        1 => return Ok(()),
        0 => "UNKNOWN".to_owned(),
        2 => "NOT_SERVING".to_owned(),
        3 => "SERVICE_UNKNOWN".to_owned(),
        other => other.to_string(),
    };
    Err(Failure::new(FailureKind::Status, format!("the service is {status}")))
}

/// Field 1 of a message, 0 where it does not say so. Other fields are skipped.
fn status(mut message: &[u8]) -> Option<u64> {
    let mut status = 0;
    while !message.is_empty() {
        let tag = varint(&mut message)?;
        match tag & 7 {
            0 => {
                let value = varint(&mut message)?;
                if tag >> 3 == 1 {
                    status = value;
                }
            }
            1 => message = message.get(8..)?,
            2 => {
                let length = usize::try_from(varint(&mut message)?).ok()?;
                message = message.get(length..)?;
            }
            5 => message = message.get(4..)?,
            _ => return None,
        }
    }
    Some(status)
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn judged(message: &[u8]) -> String {
        judge_message(message).map_or_else(|failure| failure.to_string(), |()| "ok".to_owned())
    }

    #[test]
    fn messages_are_those_of_the_protocol() {
        assert_eq!(&message("")[..], [0, 0, 0, 0, 0]);
        assert_eq!(&message("cart")[..], b"\0\0\0\0\x06\x0a\x04cart");
        let long = message(&"s".repeat(300));
        assert_eq!(long[..8], [0, 0, 0, 1, 47, 0x0a, 0xac, 0x02]);
        assert_eq!(judged(b"\0\0\0\0\x02\x08\x01"), "ok");
        // A later field and a later version of the same one.
        assert_eq!(judged(b"\0\0\0\0\x07\x12\x01x\x08\x02\x08\x01"), "ok");
        assert_eq!(judged(b"\0\0\0\0\x02\x08\x02"), "status: the service is NOT_SERVING");
        assert_eq!(judged(b"\0\0\0\0\0"), "status: the service is UNKNOWN");
        for broken in
            [&b""[..], b"\0\0\0\0\x03\x08\x01", b"\x01\0\0\0\x02\x08\x01", b"\0\0\0\0\x01\x08"]
        {
            assert_eq!(judged(broken), "protocol: the answer's message is broken");
        }
    }

    #[test]
    fn statuses_come_with_their_words() {
        let judged = |code: &str, message: Option<&str>| {
            judge_status(code.as_bytes(), message.map(str::as_bytes)).map_err(|it| it.to_string())
        };
        assert_eq!(judged("0", Some("whatever")), Ok(()));
        for (code, message, expected) in [
            ("14", None, "status: grpc-status 14 (UNAVAILABLE)"),
            ("14", Some(""), "status: grpc-status 14 (UNAVAILABLE)"),
            ("9", Some("too%20soon"), "status: grpc-status 9: too soon"),
            ("9", Some("%C3%A9t%c3%A9%0A%1b"), "status: grpc-status 9: \u{e9}t\u{e9}  "),
            ("9", Some("100%, %zz %4"), "status: grpc-status 9: 100%, %zz %4"),
            ("", None, "status: grpc-status "),
            ("00", None, "status: grpc-status 00"),
        ] {
            assert_eq!(judged(code, message), Err(expected.to_owned()));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_judged(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let _ = judge_message(&bytes);
            let _ = judge_status(&bytes, Some(&bytes));
        }
    }
}
