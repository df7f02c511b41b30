//! The steps of a probe, and whose fault it is when time runs out at one.

use crate::health::FailureKind;

/// How far an attempt got, to say what was missing at the deadline.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum Phase {
    #[default]
    Connect,
    Resolve,
    Answer,
    Echo,
    Turn,
    Start,
    Exit,
    Read,
    Handshake,
    Response,
    Body,
    Send,
    Expect,
}

impl Phase {
    pub(super) fn missing(self) -> &'static str {
        match self {
            Phase::Connect => "no connection",
            Phase::Resolve => "no address",
            Phase::Answer => "no answer",
            Phase::Echo => "no echo reply",
            Phase::Turn => "no turn for its command",
            Phase::Start => "no start of the command",
            Phase::Exit => "no exit of the command",
            Phase::Read => "file not read",
            Phase::Handshake => "no TLS handshake",
            Phase::Response => "no response",
            Phase::Body => "expected text not in the body",
            Phase::Send => "not all sent",
            Phase::Expect => "expected text not received",
        }
    }

    /// Whose fault it is when time runs out here.
    pub(super) fn kind(self) -> FailureKind {
        match self {
            Phase::Resolve => FailureKind::Resolve,
            Phase::Turn | Phase::Start | Phase::Read => FailureKind::Internal,
            _ => FailureKind::Timeout,
        }
    }
}
