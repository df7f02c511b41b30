//! Transfers asked for where there is one message alone, and zones that are not ready.

use super::{
    Context, EXTENDED_ERROR_NOT_READY, EXTENDED_ERROR_NOT_SUPPORTED, EXTENDED_ERROR_PROHIBITED,
    Outcome, is_granted, put_soa,
};
use crate::answer::finish;
use crate::answer::refusal::refused;
use crate::dns::Name;
use crate::dns::encode::{Opt, Status};
use crate::dns::types::{Rcode, rtype};
use crate::metrics::{Refusal, Transport};

/// A transfer that is asked for where there is one message alone: over UDP, and over HTTP
/// and QUIC. IXFR is answered with the SOA, from which a client that is behind sees that
/// it has to come over TCP (RFC 1995 2); AXFR is not defined there (RFC 5936 4.2).
#[cold]
pub(in crate::answer) fn alone(
    context: &Context<'_>,
    key: Option<&Name>,
    out: &mut [u8],
) -> Outcome {
    let query = context.query;
    let is_stream = matches!(context.peer.transport, Transport::Tcp | Transport::Dot);
    if query.qtype == rtype::AXFR && !is_stream {
        let error = (EXTENDED_ERROR_NOT_SUPPORTED, "AXFR is over TCP alone");
        return context.refuse_with(Rcode::NOTIMP, Refusal::Transfer, Some(error), out);
    }
    let snapshot = &context.serving.snapshot;
    let Some(zone) = snapshot.zones.origin(query.qname) else {
        return context.refuse_with(Rcode::NOTAUTH, Refusal::Transfer, None, out);
    };
    if !is_granted(context.serving, zone, context.peer.address, key) {
        let error = Some((EXTENDED_ERROR_PROHIBITED, ""));
        return context.refuse_with(Rcode::REFUSED, Refusal::Transfer, error, out);
    }
    if snapshot.secondaries.is_down(zone.id().0) {
        return context.not_ready(out);
    }
    if query.qtype == rtype::AXFR {
        // Over a stream it is begun before a query is answered; this one was not.
        return context.rcode_with(Rcode::SERVFAIL, None, out);
    }
    let opt = context.opt();
    let mut writer = context.writer(out, &opt);
    let truncated = put_soa(&mut writer, zone).is_err();
    finish(writer, Status { rcode: Rcode::NOERROR, authoritative: true, truncated }, &opt)
}

impl Context<'_> {
    /// A zone that is ours, and whose data is not here or too old.
    #[cold]
    pub(in crate::answer) fn not_ready(&self, out: &mut [u8]) -> Outcome {
        let error = Some((EXTENDED_ERROR_NOT_READY, "no valid copy of the zone"));
        self.rcode_with(Rcode::SERVFAIL, error, out)
    }

    fn rcode_with(
        &self,
        rcode: Rcode,
        extended_error: Option<(u16, &'static str)>,
        out: &mut [u8],
    ) -> Outcome {
        let opt = Opt { extended_error, ..self.opt() };
        let writer = self.writer(out, &opt);
        finish(writer, self.failure(rcode), &opt)
    }

    fn refuse_with(
        &self,
        rcode: Rcode,
        reason: Refusal,
        extended_error: Option<(u16, &'static str)>,
        out: &mut [u8],
    ) -> Outcome {
        refused(self.rcode_with(rcode, extended_error, out), reason)
    }
}
