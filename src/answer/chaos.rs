//! The server's own names in class CHAOS (RFC 4892): off unless configured.

use super::{Context, Outcome, finish};
use crate::dns::encode::{Section, Status};
use crate::dns::types::{Rcode, class, rtype};
use crate::metrics::Refusal;

/// Longest text of one character string (RFC 1035 3.3).
const TEXT_MAX: usize = 255;

/// Answers a query of another class than IN.
pub(super) fn respond(context: &Context<'_>, out: &mut [u8]) -> Outcome {
    let query = context.query;
    let asked = matches!(query.qtype, rtype::TXT | rtype::ANY) && query.qclass == class::CH;
    let Some(text) = text_of(context, query.qname).filter(|_| asked) else {
        let is_chaos = query.qclass == class::CH;
        let reason = if is_chaos { Refusal::Chaos } else { Refusal::Class };
        return context.refuse(Rcode::REFUSED, reason, out);
    };
    let opt = context.opt();
    let mut writer = context.writer(out, &opt);
    let text = &text[..text.len().min(TEXT_MAX)];
    // Owner (pointer to the question), TXT, CH, TTL 0, RDLENGTH, one string.
    let mut record = [0; 13 + TEXT_MAX];
    record[..2].copy_from_slice(&crate::dns::encode::QUESTION_POINTER);
    record[3] = rtype::TXT as u8;
    record[5] = class::CH as u8;
    record[10..12].copy_from_slice(&(text.len() as u16 + 1).to_be_bytes());
    record[12] = text.len() as u8;
    record[13..13 + text.len()].copy_from_slice(text);
    let truncated = writer.copy_record(Section::Answer, &record[..13 + text.len()]).is_err();
    finish(writer, Status { rcode: Rcode::NOERROR, authoritative: true, truncated }, &opt)
}

fn text_of<'a>(context: &Context<'a>, qname: &[u8]) -> Option<&'a [u8]> {
    let snapshot = &context.serving.snapshot;
    let is = |name: &[u8]| qname.eq_ignore_ascii_case(name);
    if is(b"\x02id\x06server\0") || is(b"\x08hostname\x04bind\0") {
        return snapshot.identity();
    }
    if is(b"\x07version\x06server\0") || is(b"\x07version\x04bind\0") {
        return snapshot.config.server.chaos_version.as_deref().map(str::as_bytes);
    }
    None
}
