//! Posts deliveries to one address, and says what became of each attempt.

use std::path::Path;
use std::time::{Duration, Instant};

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Certificate, StatusCode, redirect};

use super::delivery::Delivery;
use super::sign::Key;
use crate::clock;
use crate::config::model::Webhook;

/// Of a reply's body so much is read, that its connection may be used again.
const BODY_READ_MAX: usize = 16 << 10;
/// Longest wait for it.
const BODY_WAIT: Duration = Duration::from_secs(1);
/// Longest `Retry-After` that is heeded.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3_600);

/// What became of an attempt.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Attempt {
    /// A 2xx.
    Taken(Answer),
    /// It will never be taken.
    Refused(Answer),
    /// It may be taken later; after so long, if the receiver says.
    Failed(Answer, Option<Duration>),
}

/// What a receiver said, or why it said nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    /// Whether it took the delivery.
    pub taken: bool,
    /// Its HTTP status; none: there was no reply.
    pub status: Option<u16>,
    /// In words; nothing of it is secret.
    pub detail: String,
    /// How long it took.
    pub took_ms: u64,
}

/// Posts to one webhook.
#[derive(Clone, Debug)]
pub(super) struct Sender {
    http: Result<reqwest::Client, String>,
    webhook: Webhook,
}

impl Sender {
    /// Reads the files of certificates: blocks. What is wrong with them shows at each attempt.
    pub(super) fn new(webhook: &Webhook) -> Sender {
        Sender { http: client(webhook), webhook: webhook.clone() }
    }

    /// Posts it once.
    pub(super) async fn attempt(&self, delivery: &Delivery) -> Attempt {
        let begun = Instant::now();
        let mut attempt = match self.post(delivery).await {
            Ok(response) => judge(response).await,
            Err(detail) => Attempt::Failed(Answer { detail, ..Answer::default() }, None),
        };
        let (Attempt::Taken(answer) | Attempt::Refused(answer) | Attempt::Failed(answer, _)) =
            &mut attempt;
        answer.took_ms = begun.elapsed().as_millis() as u64;
        attempt
    }

    async fn post(&self, delivery: &Delivery) -> Result<reqwest::Response, String> {
        let http = self.http.as_ref().map_err(Clone::clone)?;
        let mut headers = HeaderMap::new();
        for (name, value) in &self.webhook.headers {
            let name: HeaderName = name.parse().map_err(|_| format!("no header: {name}"))?;
            let mut value = HeaderValue::from_bytes(value.as_bytes())
                .map_err(|_| format!("the header {name} cannot be sent"))?;
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        let timestamp_s = u64::from(clock::unix_s());
        // They win over the config's.
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert("webhook-id", text(&delivery.id)?);
        headers.insert("webhook-timestamp", text(&timestamp_s.to_string())?);
        if let Some(file) = &self.webhook.secret_file {
            let key = read_key(file.clone()).await?;
            let signature = key.sign(&delivery.id, timestamp_s, &delivery.body);
            headers.insert("webhook-signature", text(&signature)?);
        }
        let request = http.post(&self.webhook.url).headers(headers).body(delivery.body.clone());
        request.send().await.map_err(|error| words(error, self.webhook.timeout_ms))
    }
}

fn client(webhook: &Webhook) -> Result<reqwest::Client, String> {
    let mut builder = reqwest::Client::builder()
        .timeout(Duration::from_millis(u64::from(webhook.timeout_ms)))
        // It could lead a signed delivery anywhere.
        .redirect(redirect::Policy::none())
        .no_proxy()
        .user_agent(concat!("windrose/", env!("CARGO_PKG_VERSION")));
    if let Some(file) = &webhook.ca_file {
        let unusable = |reason: String| format!("cannot use {}: {reason}", file.display());
        let pem = std::fs::read(file).map_err(|error| unusable(error.to_string()))?;
        let certificates = Certificate::from_pem_bundle(&pem)
            .ok()
            .filter(|certificates| !certificates.is_empty())
            .ok_or_else(|| unusable("it holds no certificate in PEM".to_owned()))?;
        builder = builder.tls_certs_only(certificates);
    } else if webhook.url.starts_with("http://") {
        // Without TLS no roots are loaded: a host without any works too.
        builder = builder.tls_certs_only([]);
    }
    builder.build().map_err(|error| chain(&error.without_url()))
}

async fn read_key(file: std::path::PathBuf) -> Result<Key, String> {
    let read = move || {
        let unusable = |file: &Path, reason: &str| {
            format!("the secret file {} cannot be used: {reason}", file.display())
        };
        let secret = std::fs::read_to_string(&file)
            .map_err(|error| unusable(&file, &error.kind().to_string()))?;
        Key::new(&secret).map_err(|reason| unusable(&file, reason))
    };
    tokio::task::spawn_blocking(read).await.map_err(|error| error.to_string())?
}

fn text(value: &str) -> Result<HeaderValue, String> {
    HeaderValue::from_str(value).map_err(|error| error.to_string())
}

/// What a status means, and how long to wait where it says.
async fn judge(mut response: reqwest::Response) -> Attempt {
    let status = response.status();
    let after = response.headers().get(RETRY_AFTER);
    let after = after.and_then(|value| value.to_str().ok()?.trim().parse().ok());
    let after = after.map(|after_s| Duration::from_secs(after_s).min(RETRY_AFTER_MAX));
    let detail = match status.canonical_reason() {
        Some(reason) => format!("{} {reason}", status.as_u16()),
        None => status.as_u16().to_string(),
    };
    let answer =
        Answer { taken: status.is_success(), status: Some(status.as_u16()), detail, took_ms: 0 };
    // The status decides; the rest is read only so that the connection may be kept.
    let rest = async {
        let mut length = 0;
        while let Ok(Some(chunk)) = response.chunk().await {
            length += chunk.len();
            if length > BODY_READ_MAX {
                break;
            }
        }
    };
    let _ = tokio::time::timeout(BODY_WAIT, rest).await;
    match status {
        _ if answer.taken => Attempt::Taken(answer),
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => {
            Attempt::Failed(answer, after)
        }
        _ if status.is_server_error() => Attempt::Failed(answer, after),
        _ if status.is_redirection() => {
            let detail = format!("{}: redirects are not followed", answer.detail);
            Attempt::Refused(Answer { detail, ..answer })
        }
        _ => Attempt::Refused(answer),
    }
}

/// An error without the address, which may hold secrets.
fn words(error: reqwest::Error, timeout_ms: u32) -> String {
    if error.is_timeout() {
        return format!("no reply within {timeout_ms} ms");
    }
    chain(&error.without_url())
}

/// The last cause of an error: what the system or TLS said.
fn chain(error: &dyn std::error::Error) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}
