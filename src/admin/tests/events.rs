//! Streams of events: they last, they are bounded, and they end.

use std::time::Instant;

use tokio::time::timeout;

use super::super::api::STREAMS_MAX;
use super::super::listener::CONNECTIONS_MAX;
use super::*;
use crate::admin::types::EventKind;

/// Longest wait for what is to come.
const WITHIN: Duration = Duration::from_secs(20);

fn with_journal() -> Pretend {
    Pretend { journal: Some(Arc::new(Journal::new(100))), ..Pretend::default() }
}

fn push(running: &Running, change: &str) {
    let what = EventKind::ConfigLoaded {
        generation: 1,
        cause: "API".to_owned(),
        changes: vec![change.to_owned()],
    };
    running.desk.journal.as_ref().unwrap().push(5, what);
}

async fn follow(running: &Running, path: &str, header: &str) -> TcpStream {
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    let host = running.address;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{header}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

/// Reads until `text` has come; gives all that came.
async fn until(stream: &mut TcpStream, text: &str) -> String {
    let mut seen = String::new();
    let reading = async {
        while !seen.contains(text) {
            let mut bytes = [0; 4_096];
            let length = stream.read(&mut bytes).await.unwrap();
            assert!(length > 0, "the stream ended: {seen}");
            seen.push_str(std::str::from_utf8(&bytes[..length]).unwrap());
        }
    };
    let in_time = timeout(WITHIN, reading).await.is_ok();
    assert!(in_time, "\"{text}\" did not come: {seen}");
    seen
}

#[tokio::test]
async fn a_stream_says_where_it_is_and_gives_what_comes() {
    let running = start(with_journal(), false).await;
    push(&running, "before");
    let mut stream = follow(&running, "/api/v1/events", "").await;
    let hello = until(&mut stream, "id: 100\n\n").await;
    assert!(hello.starts_with("HTTP/1.1 200 OK\r\n"), "{hello}");
    assert!(hello.contains("content-type: text/event-stream\r\n"), "{hello}");
    push(&running, "one");
    let event = until(&mut stream, "\n\n").await;
    let json = r#"{"id":101,"at_us":5,"event":"config_loaded","generation":1,"cause":"API","changes":["one"]}"#;
    assert!(event.contains(&format!("id: 101\nevent: config_loaded\ndata: {json}\n\n")), "{event}");
}

#[tokio::test]
async fn a_client_that_comes_back_gets_what_it_missed() {
    let running = start(with_journal(), false).await;
    for change in ["one", "two", "three"] {
        push(&running, change);
    }
    for (path, header, absent) in [
        ("/api/v1/events", "Last-Event-ID: 100\r\n", "\"one\""),
        ("/api/v1/events?after=100", "", "\"one\""),
        ("/api/v1/events?after=0", "", "lagged"),
    ] {
        let mut stream = follow(&running, path, header).await;
        let seen = until(&mut stream, "\"three\"").await;
        assert!(seen.contains("\"two\"") && !seen.contains(absent), "{path} {header}: {seen}");
    }
    let mut stream = follow(&running, "/api/v1/events", "Last-Event-ID: 9\r\n").await;
    let seen = until(&mut stream, "\"three\"").await;
    assert!(
        seen.contains("event: lagged\ndata: {\"id\":0,\"at_us\":0,\"event\":\"lagged\""),
        "{seen}"
    );
    let refused = ask(&running, "GET /api/v1/events?after=x", &[]).await;
    assert_eq!(problem_of(&refused).status, 400);
}

#[tokio::test]
async fn a_stream_that_is_taken_outlives_other_connections() {
    let running = start_within(with_journal(), false, SHORT).await;
    let mut stream = follow(&running, "/api/v1/events", "").await;
    let started = Instant::now();
    while started.elapsed() < (SHORT.life + SHORT.grace) * 3 {
        until(&mut stream, ": \n\n").await;
    }
    push(&running, "late");
    until(&mut stream, "late").await;
}

#[tokio::test]
async fn a_stream_that_nobody_takes_is_cut() {
    let running = start_within(with_journal(), false, SHORT).await;
    let mut stream = follow(&running, "/api/v1/events", "").await;
    until(&mut stream, "id: ").await;
    // More than the sockets between them hold.
    let large = "x".repeat(256 << 10);
    for _ in 0..64 {
        push(&running, &large);
    }
    tokio::time::sleep(SHORT.life + SHORT.stall + SHORT.grace * 2 + Duration::from_secs(2)).await;
    let mut rest = Vec::new();
    let outcome = timeout(WITHIN, stream.read_to_end(&mut rest)).await.unwrap();
    assert!(outcome.is_err() || rest.len() < 64 * large.len(), "all of it was still sent");
}

#[tokio::test]
async fn streams_are_few_and_one_that_ends_leaves_its_place() {
    let running = start_within(with_journal(), false, SHORT).await;
    let mut streams = Vec::new();
    for _ in 0..STREAMS_MAX {
        let mut stream = follow(&running, "/api/v1/events", "").await;
        until(&mut stream, "id: ").await;
        streams.push(stream);
    }
    let refused = ask(&running, "GET /api/v1/events", &[]).await;
    assert_eq!(problem_of(&refused).kind, "urn:windrose:problem:too-many-streams");
    streams.pop();
    let started = Instant::now();
    loop {
        let mut stream = follow(&running, "/api/v1/events", "").await;
        if until(&mut stream, "\r\n").await.starts_with("HTTP/1.1 200") {
            break;
        }
        assert!(started.elapsed() < WITHIN, "the place stays taken");
    }
}

#[tokio::test]
async fn a_flood_of_connections_leaves_streams_alone() {
    let running = start(with_journal(), false).await;
    let mut stream = follow(&running, "/api/v1/events", "").await;
    until(&mut stream, "id: ").await;
    let mut others = Vec::new();
    for _ in 0..CONNECTIONS_MAX * 2 {
        others.push(TcpStream::connect(running.address).await.unwrap());
    }
    assert_eq!(status_of(&ask(&running, "GET /healthz", &[]).await), 200);
    push(&running, "still here");
    until(&mut stream, "still here").await;
}

#[tokio::test]
async fn a_stop_ends_streams_whole() {
    let running = start(with_journal(), false).await;
    let mut stream = follow(&running, "/api/v1/events", "").await;
    until(&mut stream, "id: ").await;
    running.stop.send(()).unwrap();
    let mut rest = String::new();
    timeout(WITHIN, stream.read_to_string(&mut rest)).await.unwrap().unwrap();
    // The last chunk of a body that was not cut (RFC 9112 7.1).
    assert!(rest.ends_with("0\r\n\r\n"), "{rest:?}");
    timeout(WITHIN, running.task).await.unwrap().unwrap().unwrap();
}
