//! Checks whose address is a host name.

use std::sync::mpsc as blocking;

use super::*;
use crate::probe::resolve::Resolver;

/// "ok" or "kind: detail" of a probe of "back-end.example.com", found by `lookup`.
async fn probe_named(
    timeout_ms: u32,
    port: u16,
    lookup: impl Fn() -> Vec<std::net::IpAddr> + Send + Sync + 'static,
) -> String {
    let mut target = target(ProbeKind::Http(HttpProbe { host: None, ..http_probe(port) }));
    target.identity.address = ProbeAddress::Host("back-end.example.com".to_owned());
    target.timeout_ms = timeout_ms;
    let resolver = Resolver::with(Arc::new(move |_: &str| Ok(lookup())));
    let commons = Commons { resolver, ..Commons::default() };
    let mut progress = Progress::default();
    match attempt(&target, &Tools::default(), &commons, Clock::start(), &mut progress).await {
        Ok(()) => "ok".to_owned(),
        Err(failure) => failure.to_string(),
    }
}

#[tokio::test]
async fn a_name_is_probed_at_its_address() {
    let site = scripted("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let found = move || vec![site.ip()];
    assert_eq!(probe_named(5_000, site.port(), found).await, "ok");
    let seen = probe_named(5_000, site.port(), Vec::new).await;
    assert_eq!(seen, "resolve: back-end.example.com: no address");
}

#[tokio::test]
async fn time_that_went_to_the_resolver_is_not_the_targets() {
    let (open, gate) = blocking::channel::<()>();
    let gate = Mutex::new(gate);
    let hanging = move || {
        // Ends with the test.
        let _ = gate.lock().unwrap().recv();
        vec![]
    };
    let seen = probe_named(400, 80, hanging).await;
    assert_eq!(seen, "resolve: no address within 400 ms");
    drop(open);
    // It takes connections and says nothing.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = listener.local_addr().unwrap();
    let slow = move || {
        thread::sleep(Duration::from_millis(600));
        vec![silent.ip()]
    };
    let seen = probe_named(1_000, silent.port(), slow).await;
    assert!(seen.starts_with("resolve: no response within 1000 ms, "), "{seen}");
    assert!(seen.ends_with(" ms of them with no address"), "{seen}");
    let seen = probe_named(1_000, silent.port(), move || vec![silent.ip()]).await;
    assert_eq!(seen, "timeout: no response within 1000 ms");
    drop(listener);
}
