//! Whatever a client does, it is bounded, and others are served.

use std::time::Instant;

use super::super::listener::CONNECTIONS_MAX;
use super::*;

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_whether_announced_or_not() {
    let running = start(Pretend::default(), false).await;
    let announced = ask(&running, "POST /api/v1/reload", &["Content-Length: 1000000000"]).await;
    assert_eq!(problem_of(&announced).status, 413);

    let chunk = format!("20000\r\n{}\r\n", "x".repeat(0x20000));
    let request = format!(
        "POST /api/v1/reload HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\
         Transfer-Encoding: chunked\r\n\r\n{chunk}1\r\nx\r\n0\r\n\r\n",
        running.address
    );
    assert_eq!(problem_of(&raw(running.address, &request).await).status, 413);
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let running = start(Pretend::default(), false).await;
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    let request = format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(20_000));
    // The server may close before all of it is written.
    let _ = stream.write_all(request.as_bytes()).await;
    let mut start = [0; 12];
    stream.read_exact(&mut start).await.unwrap();
    assert_eq!(&start, b"HTTP/1.1 431");
}

#[tokio::test]
async fn a_client_that_sends_nothing_or_half_a_head_is_let_go() {
    let running =
        start_within(Pretend::default(), false, Limits { life: LONG.life, ..SHORT }).await;
    let idle_after_one = format!("GET /healthz HTTP/1.1\r\nHost: {}\r\n\r\n", running.address);
    for half in ["", "GET /met", &idle_after_one] {
        let started = Instant::now();
        let reply = raw(running.address, half).await;
        assert!(reply.is_empty() || matches!(status_of(&reply), 408 | 200), "{reply}");
        assert!(started.elapsed() < Duration::from_secs(5), "{half:?} was held");
    }
}

#[tokio::test]
async fn a_body_that_never_comes_is_given_up() {
    let running = start_within(Pretend::default(), false, SHORT).await;
    let request = format!(
        "POST /api/v1/reload HTTP/1.1\r\nHost: {}\r\nContent-Length: 5\r\n\r\nx",
        running.address
    );
    let reply = raw(running.address, &request).await;
    assert_eq!(status_of(&reply), 408, "{reply}");
}

#[tokio::test]
async fn a_client_that_never_reads_is_cut_off_at_the_end_of_its_connections_life() {
    let desk = Pretend { metrics_length: 32 << 20, ..Pretend::default() };
    let running = start_within(desk, false, SHORT).await;
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    let request = format!("GET /metrics HTTP/1.1\r\nHost: {}\r\n\r\n", running.address);
    stream.write_all(request.as_bytes()).await.unwrap();
    tokio::time::sleep(SHORT.life + SHORT.grace + Duration::from_millis(500)).await;
    let mut rest = Vec::new();
    let outcome = stream.read_to_end(&mut rest).await;
    assert!(outcome.is_err() || rest.len() < 32 << 20, "the whole page was still sent");
}

#[tokio::test]
async fn a_desk_that_hangs_is_answered_for_and_holds_up_neither_scrapes_nor_health() {
    let desk = Pretend { slow: AtomicBool::new(true), ..Pretend::default() };
    let running = start_within(desk, false, SHORT).await;
    let asks = (0..6).map(|_| async {
        problem_of(&ask(&running, "GET /api/v1/explain?name=slow.example", &[]).await).kind
    });
    let started = Instant::now();
    let (mut late, asks) = (0, asks.collect::<Vec<_>>());
    for answer in asks {
        late += u32::from(answer.await == "urn:windrose:problem:late");
        assert_eq!(status_of(&ask(&running, "GET /metrics", &[]).await), 200);
        assert_eq!(status_of(&ask(&running, "GET /healthz", &[]).await), 200);
    }
    assert_eq!(late, 6);
    assert!(started.elapsed() < Duration::from_secs(5));
    running.desk.slow.store(false, Ordering::Relaxed);
}

#[tokio::test]
async fn slow_clients_that_take_every_connection_shut_nobody_out() {
    let desk = Pretend { metrics_length: 8 << 20, ..Pretend::default() };
    let running = start(desk, false).await;
    let mut slow = Vec::new();
    for number in 0..CONNECTIONS_MAX * 2 {
        let mut stream = TcpStream::connect(running.address).await.unwrap();
        // Half of them never finish asking, half never read the answer.
        let request = match number % 2 {
            0 => "GET /healthz HTTP/1.1\r\n".to_owned(),
            _ => format!("GET /metrics HTTP/1.1\r\nHost: {}\r\n\r\n", running.address),
        };
        stream.write_all(request.as_bytes()).await.unwrap();
        slow.push(stream);
    }
    let started = Instant::now();
    for _ in 0..10 {
        assert_eq!(status_of(&ask(&running, "GET /healthz", &[]).await), 200);
        assert_eq!(status_of(&ask(&running, "GET /api/v1/status", &[]).await), 200);
    }
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    drop(slow);
}

#[tokio::test]
async fn a_stop_ends_the_server_though_a_client_holds_on() {
    let running = start(Pretend::default(), false).await;
    let mut idle = TcpStream::connect(running.address).await.unwrap();
    idle.write_all(b"GET /healthz HTTP/1.1\r\n").await.unwrap();
    let asked = ask(&running, "GET /healthz", &[]).await;
    assert_eq!(status_of(&asked), 200);
    let started = Instant::now();
    running.stop.send(()).unwrap();
    running.task.await.unwrap().unwrap();
    assert!(started.elapsed() < Duration::from_secs(5));
    assert!(TcpStream::connect(running.address).await.is_err());
}
