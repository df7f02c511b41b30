//! A request and its replies: signed in a chain, and checked.

use std::sync::Arc;

use aws_lc_rs::hmac;

use super::{
    FUDGE_S, Key, Mac, UNSIGNED_MAX, Variables, error, feed_message, find, is_mac, put_record,
    stripped, variables,
};

/// A request and its replies, which are signed in a chain.
pub struct Session {
    pub(super) key: Arc<Key>,
    pub(super) prior: Mac,
    pub(super) request_time_s: u64,
    /// The next reply is the first.
    pub(super) is_first: bool,
    /// Replies that came unsigned since the last signed one, on the side that checks.
    pub(super) pending: Option<hmac::Context>,
    pub(super) unsigned: u32,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("key", &self.key).finish_non_exhaustive()
    }
}

impl Session {
    /// The key.
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// Bytes that signing adds to a reply.
    pub fn length(&self) -> usize {
        self.key.record_length(0)
    }

    /// Signs the reply in the first `length` bytes of `out`, and says how long it is then;
    /// none where there is no room.
    pub fn sign(&mut self, out: &mut [u8], length: usize, now_s: u64) -> Option<usize> {
        let variables = Variables { time_s: now_s, fudge_s: FUDGE_S, error: 0, other: &[] };
        self.sign_with(out, length, &variables)
    }

    /// The same with an error. For BADTIME the time is the client's, and ours stands in the
    /// other data (RFC 8945 5.2.3).
    pub fn sign_error(
        &mut self,
        out: &mut [u8],
        length: usize,
        error: u16,
        now_s: u64,
    ) -> Option<usize> {
        let ours = now_s.to_be_bytes();
        let (time_s, other) = match error {
            error::BADTIME => (self.request_time_s, &ours[2..]),
            _ => (now_s, &[][..]),
        };
        self.sign_with(out, length, &Variables { time_s, fudge_s: FUDGE_S, error, other })
    }

    fn sign_with(
        &mut self,
        out: &mut [u8],
        length: usize,
        variables: &Variables<'_>,
    ) -> Option<usize> {
        let mut context = hmac::Context::with_key(&self.key.hmac);
        self.prior.feed(&mut context);
        context.update(out.get(..length)?);
        if self.is_first {
            variables.feed(&mut context, &self.key);
        } else {
            variables.feed_timers(&mut context);
        }
        self.prior = Mac::of(context.sign().as_ref());
        self.is_first = false;
        put_record(
            out,
            length,
            &self.key.name,
            self.key.algorithm.wire(),
            variables,
            self.prior.as_slice(),
        )
    }

    /// Checks a reply to a request of ours at `now_s` and gives it without its record. A
    /// message between two that are signed may come without.
    pub fn check(&mut self, message: &[u8], now_s: u64) -> Result<Vec<u8>, ReplyError> {
        let tsig = find(message).map_err(|_| ReplyError::Malformed)?;
        let mut context = self.pending.take().unwrap_or_else(|| {
            let mut context = hmac::Context::with_key(&self.key.hmac);
            self.prior.feed(&mut context);
            context
        });
        let Some(tsig) = tsig else {
            self.unsigned += 1;
            if self.is_first || self.unsigned > UNSIGNED_MAX {
                return Err(ReplyError::Unsigned);
            }
            context.update(message);
            self.pending = Some(context);
            return Ok(message.to_vec());
        };
        if tsig.key != self.key.name
            || !tsig.algorithm.wire().eq_ignore_ascii_case(self.key.algorithm.wire())
        {
            return Err(ReplyError::OtherKey);
        }
        if tsig.mac.is_empty() && tsig.error != 0 {
            return Err(ReplyError::Refused(tsig.error));
        }
        feed_message(&mut context, message, &tsig);
        if self.is_first {
            variables(&tsig).feed(&mut context, &self.key);
        } else {
            variables(&tsig).feed_timers(&mut context);
        }
        if tsig.mac.len() != self.key.algorithm.length() || !is_mac(&context.sign(), tsig.mac) {
            return Err(ReplyError::BadMac);
        }
        if tsig.error != 0 {
            return Err(ReplyError::Refused(tsig.error));
        }
        if now_s.abs_diff(tsig.time_s) > u64::from(tsig.fudge_s) {
            return Err(ReplyError::BadTime);
        }
        (self.prior, self.is_first, self.unsigned) = (Mac::of(tsig.mac), false, 0);
        Ok(stripped(message, &tsig))
    }

    /// Whether the last message that was checked was signed: a stream may end there.
    pub fn is_closed(&self) -> bool {
        self.unsigned == 0 && !self.is_first
    }
}

/// Why a reply to a signed request is not taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ReplyError {
    /// It cannot be read.
    #[error("the reply is malformed")]
    Malformed,
    /// It has no signature.
    #[error("the reply is not signed")]
    Unsigned,
    /// It is signed with another key or algorithm.
    #[error("the reply is signed with another key")]
    OtherKey,
    /// The signature is wrong.
    #[error("the reply's signature is wrong")]
    BadMac,
    /// The clocks differ too much.
    #[error("the reply was signed at another time: do the clocks agree?")]
    BadTime,
    /// The other side does not take our signature.
    #[error("our signature was refused: {}", error_text(*.0))]
    Refused(u16),
}

fn error_text(error: u16) -> &'static str {
    match error {
        error::BADSIG => "BADSIG (another secret?)",
        error::BADKEY => "BADKEY (no such key there, or another algorithm)",
        error::BADTIME => "BADTIME (do the clocks agree?)",
        error::BADTRUNC => "BADTRUNC",
        _ => "for a reason not known here",
    }
}

/// Signs a request of ours.
pub fn sign_request(key: &Arc<Key>, message: &mut Vec<u8>, now_s: u64) -> Session {
    let variables = Variables { time_s: now_s, fudge_s: FUDGE_S, error: 0, other: &[] };
    let mut context = hmac::Context::with_key(&key.hmac);
    context.update(message);
    variables.feed(&mut context, key);
    let mac = Mac::of(context.sign().as_ref());
    let length = message.len();
    message.resize(length + key.record_length(0), 0);
    let _ =
        put_record(message, length, &key.name, key.algorithm.wire(), &variables, mac.as_slice());
    Session {
        key: Arc::clone(key),
        prior: mac,
        request_time_s: now_s,
        is_first: true,
        pending: None,
        unsigned: 0,
    }
}
