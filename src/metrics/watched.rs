//! What watches the server, as it is counted: webhooks, the query log.

use super::families as family;
use super::text::{Page, Value};

/// Deliveries of one webhook.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct WebhookTotals {
    /// Its name.
    pub webhook: String,
    /// Each result there can be, and how often.
    pub deliveries: [(&'static str, u64); 4],
    /// Events that wait.
    pub queued: u64,
    /// Events that were lost.
    pub dropped: u64,
}

/// The query log.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct QueryLogTotals {
    /// Messages written.
    pub written: u64,
    /// Requests left out.
    pub dropped: u64,
}

pub(super) fn query_log(page: &mut Page<'_>, totals: Option<QueryLogTotals>) {
    if let Some(QueryLogTotals { written, dropped }) = totals {
        page.single(&family::QUERY_LOG_WRITTEN, Value::Whole(written));
        page.single(&family::QUERY_LOG_DROPPED, Value::Whole(dropped));
    }
}

pub(super) fn webhooks(page: &mut Page<'_>, webhooks: &[WebhookTotals]) {
    let mut samples = page.begin(&family::WEBHOOK_DELIVERIES);
    for totals in webhooks {
        for (result, count) in totals.deliveries {
            samples.sample(&[&totals.webhook, result], Value::Whole(count));
        }
    }
    let mut samples = page.begin(&family::WEBHOOK_QUEUE);
    for totals in webhooks {
        samples.sample(&[&totals.webhook], Value::Whole(totals.queued));
    }
    let mut samples = page.begin(&family::WEBHOOK_DROPPED);
    for totals in webhooks {
        samples.sample(&[&totals.webhook], Value::Whole(totals.dropped));
    }
}

/// What came of exchanges of zones with other servers.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ExchangeTotals {
    /// Transfers out: sent, current already, refused.
    pub out: [u64; 3],
    /// Transfers in: taken, current already, failed.
    pub in_: [u64; 3],
    /// NOTIFY sent: acknowledged, refused, given up.
    pub notify: [u64; 3],
    /// Secondary zones: current, waiting for their first transfer, expired.
    pub secondaries: [u64; 3],
}

pub(super) fn exchanges(page: &mut Page<'_>, totals: &ExchangeTotals) {
    let mut samples = page.begin(&family::ZONE_TRANSFERS);
    for (direction, results, counts) in [
        ("out", ["begun", "current", "refused"], totals.out),
        ("in", ["taken", "current", "failed"], totals.in_),
    ] {
        for (result, count) in results.into_iter().zip(counts) {
            samples.sample(&[direction, result], Value::Whole(count));
        }
    }
    let mut samples = page.begin(&family::NOTIFY_SENT);
    for (result, count) in ["acknowledged", "refused", "given_up"].into_iter().zip(totals.notify) {
        samples.sample(&[result], Value::Whole(count));
    }
    let mut samples = page.begin(&family::SECONDARY_ZONES);
    for (state, count) in ["current", "waiting", "expired"].into_iter().zip(totals.secondaries) {
        samples.sample(&[state], Value::Whole(count));
    }
}

/// The certificate of encrypted transports.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct OwnCertificate {
    /// When it expires, in unix seconds; none: it does not say.
    pub expires_s: Option<u64>,
    /// Changes of its files that were taken.
    pub renewed: u64,
    /// Changes that could not be.
    pub refused: u64,
}

pub(super) fn own_certificate(page: &mut Page<'_>, certificate: Option<OwnCertificate>) {
    let Some(OwnCertificate { expires_s, renewed, refused }) = certificate else { return };
    if let Some(expires_s) = expires_s {
        page.single(&family::TLS_CERTIFICATE_EXPIRY, Value::Whole(expires_s));
    }
    let mut samples = page.begin(&family::TLS_CERTIFICATE_CHANGES);
    for (result, count) in [("taken", renewed), ("refused", refused)] {
        samples.sample(&[result], Value::Whole(count));
    }
}
