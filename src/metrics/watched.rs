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
