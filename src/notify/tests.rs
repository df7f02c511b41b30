//! Against pretend receivers, over real connections.

use std::sync::Mutex;
use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::queue::{BATCH_MAX, QUEUE_MAX};
use super::*;
use crate::admin::types::EventKind;
use crate::config::model::EventClass;

const WITHIN: Duration = Duration::from_secs(20);

/// One request as a receiver saw it: head and body.
#[derive(Clone, Debug)]
struct Seen {
    head: String,
    body: serde_json::Value,
}

impl Seen {
    fn header(&self, name: &str) -> Option<&str> {
        let line = self.head.lines().find(|line| {
            line.split_once(':').is_some_and(|(key, _)| key.eq_ignore_ascii_case(name))
        })?;
        Some(line.split_once(':')?.1.trim())
    }

    /// The generations of the configs that it tells of.
    fn generations(&self) -> Vec<u64> {
        let events = self.body["events"].as_array().unwrap();
        events.iter().map(|event| event["generation"].as_u64().unwrap()).collect()
    }
}

/// What a receiver does with the request of that number, from 0.
type Behaviour = fn(usize) -> &'static [u8];

struct Receiver {
    url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

const TAKEN: &[u8] = b"HTTP/1.1 204 No Content\r\n\r\n";
/// Says nothing, and keeps the connection.
const HANGS: &[u8] = b"";

impl Receiver {
    async fn start(behaviour: Behaviour) -> Receiver {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook?key=hunter2", listener.local_addr().unwrap());
        let seen = Arc::<Mutex<Vec<Seen>>>::default();
        let all = Arc::clone(&seen);
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let all = Arc::clone(&all);
                tokio::spawn(async move {
                    while let Some(one) = read(&mut stream).await {
                        let number = {
                            let mut all = all.lock().unwrap();
                            all.push(one);
                            all.len() - 1
                        };
                        let _ = stream.write_all(behaviour(number)).await;
                    }
                });
            }
        });
        Receiver { url, seen }
    }

    fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

async fn read(stream: &mut tokio::net::TcpStream) -> Option<Seen> {
    let (mut bytes, mut buffer) = (Vec::new(), [0; 4_096]);
    let end = loop {
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        let length = stream.read(&mut buffer).await.ok().filter(|&length| length > 0)?;
        bytes.extend_from_slice(&buffer[..length]);
    };
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let seen = Seen { head, body: serde_json::Value::Null };
    let length: usize = seen.header("content-length").unwrap().parse().unwrap();
    while bytes.len() < end + length {
        let more = stream.read(&mut buffer).await.ok().filter(|&more| more > 0)?;
        bytes.extend_from_slice(&buffer[..more]);
    }
    Some(Seen { body: serde_json::from_slice(&bytes[end..end + length]).unwrap(), ..seen })
}

fn webhook(url: &str) -> Webhook {
    Webhook {
        name: "oncall".to_owned(),
        url: url.to_owned(),
        events: vec![EventClass::Config],
        secret_file: None,
        headers: vec![("X-Key".to_owned(), "opens".to_owned())],
        ca_file: None,
        timeout_ms: 500,
        retry_for_ms: 60_000,
    }
}

/// A notifier that is quick, and the journal that it follows.
fn notifier(webhook: &Webhook) -> (Arc<Notifier>, Arc<Journal>) {
    let journal = Arc::new(Journal::new(1));
    let pace = Pace {
        gather: Duration::from_millis(5),
        first: Duration::from_millis(10),
        longest: Duration::from_millis(40),
    };
    let notifier = Notifier::paced(Arc::clone(&journal), Handle::current(), pace);
    notifier.apply(std::slice::from_ref(webhook), Some("gtm1"), 0);
    (Arc::new(notifier), journal)
}

fn tell(journal: &Journal, generation: u64) {
    let (cause, changes) = ("API".to_owned(), Vec::new());
    journal.push(7, EventKind::ConfigLoaded { generation, cause, changes });
}

async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < WITHIN, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn status(notifier: &Notifier) -> HookStatus {
    notifier.status().remove(0)
}

#[tokio::test]
async fn events_of_the_classes_asked_for_come_in_order_with_who_says_so() {
    let receiver = Receiver::start(|_| TAKEN).await;
    let (notifier, journal) = notifier(&webhook(&receiver.url));
    for generation in 0..250 {
        tell(&journal, generation);
        journal.push(7, EventKind::ProberStalled);
    }
    let all = || receiver.seen().iter().flat_map(Seen::generations).collect::<Vec<_>>();
    until("all came", || all().len() >= 250).await;
    assert_eq!(all(), (0..250).collect::<Vec<_>>());
    let seen = receiver.seen();
    assert!(seen.iter().all(|one| one.generations().len() <= BATCH_MAX));
    let first = &seen[0];
    assert!(first.head.starts_with("POST /hook?key=hunter2 HTTP/1.1"), "{}", first.head);
    assert_eq!(first.header("content-type"), Some("application/json"));
    assert_eq!(first.header("x-key"), Some("opens"));
    assert_eq!(first.header("webhook-id"), first.body["id"].as_str());
    assert_eq!(first.header("webhook-signature"), None);
    assert_eq!(
        (&first.body["identity"], &first.body["webhook"]),
        (&"gtm1".into(), &"oncall".into())
    );
    assert_eq!(first.body["events"][0]["event"], "config_loaded");
    until("it is counted", || status(&notifier).delivered == seen.len() as u64).await;
    assert_eq!((status(&notifier).queued, status(&notifier).dropped), (0, 0));
}

#[tokio::test]
async fn a_receiver_that_fails_gets_the_same_delivery_again_and_none_is_passed_over() {
    let receiver = Receiver::start(|number| match number {
        0 => b"HTTP/1.1 500 Oh\r\ncontent-length: 0\r\n\r\n",
        1 => b"HTTP/1.1 429 Slow down\r\nretry-after: 0\r\ncontent-length: 0\r\n\r\n",
        2 => HANGS,
        3 => b"not http at all\r\n\r\n",
        _ => TAKEN,
    })
    .await;
    let (notifier, journal) = notifier(&webhook(&receiver.url));
    tell(&journal, 1);
    until("the first came", || !receiver.seen().is_empty()).await;
    tell(&journal, 2);
    until("all are taken", || status(&notifier).delivered == 2).await;
    let seen = receiver.seen();
    assert_eq!(
        seen.iter().map(Seen::generations).collect::<Vec<_>>(),
        [[1], [1], [1], [1], [1], [2]]
    );
    assert!(seen[..5].iter().all(|one| one.header("webhook-id") == seen[0].header("webhook-id")));
    assert_ne!(seen[5].header("webhook-id"), seen[0].header("webhook-id"));
    let status = status(&notifier);
    assert_eq!((status.failed, status.refused, status.dropped), (4, 0, 0), "{status:?}");
}

#[tokio::test]
async fn what_is_refused_for_good_is_not_tried_again_and_the_next_delivery_says_so() {
    let receiver = Receiver::start(|number| match number {
        0 => b"HTTP/1.1 410 Gone\r\ncontent-length: 0\r\n\r\n",
        1 => {
            b"HTTP/1.1 307 Elsewhere\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n"
        }
        _ => TAKEN,
    })
    .await;
    let (notifier, journal) = notifier(&webhook(&receiver.url));
    for generation in 1..4 {
        tell(&journal, generation);
        until("it is done with", || {
            let HookStatus { delivered, refused, .. } = status(&notifier);
            delivered + refused == generation
        })
        .await;
    }
    let seen = receiver.seen();
    assert_eq!(seen.iter().map(Seen::generations).collect::<Vec<_>>(), [[1], [2], [3]]);
    assert_eq!(seen[2].body["missed"], 2);
    let status = status(&notifier);
    assert_eq!((status.refused, status.dropped, status.failed), (2, 2, 0));
    assert_eq!(status.last.unwrap().1, "204 No Content");
    assert!(!status.place.contains("hunter2"));
}

#[tokio::test]
async fn a_storm_before_a_receiver_that_hangs_is_bounded_and_the_newest_stay() {
    let receiver = Receiver::start(|number| if number < 3 { HANGS } else { TAKEN }).await;
    let (notifier, journal) = notifier(&webhook(&receiver.url));
    let storm = QUEUE_MAX as u64 + 3_000;
    for generation in 0..storm {
        tell(&journal, generation);
        // The journal itself keeps 1,024: the task is to have its turn.
        if generation % 500 == 0 {
            until("it is taken in", || {
                let HookStatus { queued, dropped, .. } = status(&notifier);
                queued + dropped > generation
            })
            .await;
        }
    }
    let last = || receiver.seen().last().map(Seen::generations).unwrap_or_default();
    until("the newest came", || last().last() == Some(&(storm - 1))).await;
    let counts = status(&notifier);
    let delivered: usize = receiver.seen()[3..].iter().map(|one| one.generations().len()).sum();
    assert_eq!(delivered as u64 + counts.dropped, storm, "{counts:?}");
    assert!(counts.dropped >= 2_800, "{counts:?}");
    let missed: u64 = receiver.seen()[3..].iter().map(|s| s.body["missed"].as_u64().unwrap()).sum();
    assert_eq!(missed, counts.dropped);
}

#[tokio::test]
async fn a_delivery_is_given_up_after_its_time() {
    let (notifier, journal) =
        notifier(&Webhook { retry_for_ms: 100, ..webhook("http://127.0.0.1:1/") });
    tell(&journal, 1);
    until("it is given up", || status(&notifier).expired == 1).await;
    let status = status(&notifier);
    assert_eq!((status.delivered, status.dropped), (0, 1));
    assert!(status.last.unwrap().1.to_lowercase().contains("refused"));
}

#[tokio::test]
async fn a_secret_that_cannot_be_read_sends_nothing_unsigned() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("secret");
    let receiver = Receiver::start(|_| TAKEN).await;
    let hook = Webhook { secret_file: Some(file.clone()), ..webhook(&receiver.url) };
    let (notifier, journal) = notifier(&hook);
    tell(&journal, 1);
    until("it fails", || status(&notifier).failed >= 1).await;
    std::fs::write(&file, "hunter2").unwrap();
    until("it is too short", || {
        status(&notifier).last.is_some_and(|(_, how)| how.contains("fewer than 16"))
    })
    .await;
    assert!(receiver.seen().is_empty());
    std::fs::write(&file, "hunter2 hunter2 hunter2\n").unwrap();
    until("it is delivered", || status(&notifier).delivered == 1).await;
    let seen = &receiver.seen()[0];
    assert!(seen.header("webhook-signature").unwrap().starts_with("v1,"));
}

#[tokio::test]
async fn a_reply_without_end_is_taken_by_its_status() {
    let receiver = Receiver::start(|_| {
        static ENDLESS: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
        ENDLESS.get_or_init(|| {
            let mut reply = b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n".to_vec();
            reply.resize(1 << 20, b'x');
            reply
        })
    })
    .await;
    let (notifier, journal) = notifier(&webhook(&receiver.url));
    for generation in 1..3 {
        tell(&journal, generation);
        until("it is taken", || status(&notifier).delivered == generation).await;
    }
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_is_refused_and_said() {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}/", listener.local_addr().unwrap().port());
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let _ = stream.read(&mut [0; 4_096]).await;
            let _ = stream.write_all(TAKEN).await;
        }
    });
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("ca.pem");
    let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(&file, other.cert.pem()).unwrap();
    let hook = Webhook { ca_file: Some(file.clone()), ..webhook(&url) };
    let (notifier, _journal) = notifier(&hook);
    let answer = notifier.test("oncall", 5).await.unwrap();
    assert!(!answer.taken && answer.detail.contains("certificate"), "{answer:?}");
    std::fs::write(&file, made.cert.pem()).unwrap();
    let answer = notifier.test("oncall", 6).await.unwrap();
    assert_eq!((answer.taken, answer.status), (true, Some(204)), "{answer:?}");
    assert_eq!(notifier.test("nobody", 7).await, None);
}

#[tokio::test]
async fn a_changed_address_gets_what_the_one_before_did_not_take() {
    let gone = Receiver::start(|_| b"HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n").await;
    let (notifier, journal) = notifier(&webhook(&gone.url));
    tell(&journal, 1);
    until("it fails", || status(&notifier).failed >= 1).await;
    let receiver = Receiver::start(|_| TAKEN).await;
    notifier.apply(&[webhook(&receiver.url)], None, 0);
    until("it is delivered", || status(&notifier).delivered == 1).await;
    assert_eq!(receiver.seen()[0].generations(), [1]);
    notifier.apply(&[], None, 0);
    assert!(notifier.status().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_sends_what_waits_and_does_not_wait_for_long() {
    let receiver = Receiver::start(|_| TAKEN).await;
    let slow = Receiver::start(|_| HANGS).await;
    let (notifier, journal) = notifier(&webhook(&receiver.url));
    notifier.apply(
        &[
            webhook(&receiver.url),
            Webhook { name: "slow".to_owned(), timeout_ms: 20_000, ..webhook(&slow.url) },
        ],
        None,
        0,
    );
    for generation in 0..10 {
        tell(&journal, generation);
    }
    until("all wait", || {
        let told = |status: &HookStatus| status.queued + 10 * status.delivered;
        notifier.status().iter().all(|status| told(status) >= 10)
    })
    .await;
    let begun = Instant::now();
    tokio::task::spawn_blocking(move || notifier.stop()).await.unwrap();
    assert!(begun.elapsed() >= FLUSH_WITHIN, "the slow one had its time");
    assert!(begun.elapsed() < WITHIN / 2, "{:?}", begun.elapsed());
    let all: Vec<u64> = receiver.seen().iter().flat_map(Seen::generations).collect();
    assert_eq!(all, (0..10).collect::<Vec<_>>());
}
