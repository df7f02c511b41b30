//! Any bytes as what a gRPC server answers: only SERVING passes, and only status 0.

use windrose::probe::grpc_reply::{judge_message, judge_status};

pub(crate) fn run(bytes: &[u8]) {
    match judge_message(bytes) {
        // A varint of 1 stands for it, in one byte or, needlessly, in more.
        Ok(()) => {
            assert!(bytes.len() >= 7 && bytes[0] == 0 && bytes.contains(&1) | bytes.contains(&0x81))
        }
        Err(failure) => {
            assert!(failure.kind.judges() && !failure.detail.contains(char::is_control))
        }
    }
    let (code, message) = bytes.split_at(bytes.len().min(2));
    match judge_status(code, Some(message)) {
        Ok(()) => assert_eq!(code, b"0"),
        Err(failure) => {
            assert!(failure.kind.judges() && !failure.detail.contains(char::is_control))
        }
    }
}
