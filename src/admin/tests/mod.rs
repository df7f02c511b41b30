//! The listener over real sockets, with a desk of one's own.

mod bounds;
mod contract;
mod events;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::listener::{Limits, serve_within};
use super::types::{
    BrokenRule, CheckStatus, ChecksPage, ChecksRequest, ClearRequest, ConfigProblem,
    DatacentersPage, ExplainRequest, FailbackRequest, FailedBack, LimiterReleased, LogRequest,
    LogStatus, OverrideDone, OverrideRequest, OverrideStatus, OverridesPage, ReloadRefused,
    ReloadReport, SimulateRequest, Simulation, Status, SupportBundle, Upgraded, WebhookTested,
    WebhooksPage, WipStatus, WipsPage, WipsRequest,
};
use super::*;
use crate::config::model::AdminListen;
use crate::dns::Name;

const TOKEN: &str = "correct-horse-battery";

/// A desk that says what it is told to.
#[derive(Default)]
struct Pretend {
    ready: AtomicBool,
    bad_config: AtomicBool,
    slow: AtomicBool,
    metrics_length: usize,
    journal: Option<Arc<Journal>>,
}

impl Desk for Pretend {
    fn metrics(&self, out: &mut String) {
        out.push_str("# HELP up Up.\n# TYPE up gauge\nup 1\n");
        out.extend(std::iter::repeat_n('#', self.metrics_length));
    }

    fn ready(&self) -> Result<(), String> {
        match self.ready.load(Ordering::Relaxed) {
            true => Ok(()),
            false => Err("waiting for first verdicts".to_owned()),
        }
    }

    fn status(&self) -> Status {
        Status { version: "1.2.3".to_owned(), ..Status::default() }
    }

    fn log(&self) -> Result<LogStatus, ApiError> {
        Ok(LogStatus { level: "info".to_owned(), ..LogStatus::default() })
    }

    fn set_log(&self, request: &LogRequest) -> Result<LogStatus, ApiError> {
        Ok(LogStatus { level: request.level.clone(), ..LogStatus::default() })
    }

    fn support_bundle(&self) -> SupportBundle {
        SupportBundle::default()
    }
    fn webhooks(&self) -> WebhooksPage {
        WebhooksPage::default()
    }

    fn test_webhook(&self, name: &str) -> Result<WebhookTested, ApiError> {
        match name {
            "oncall" => Ok(WebhookTested { taken: true, ..WebhookTested::default() }),
            _ => Err(ApiError::NotFound(format!("there is no webhook \"{name}\""))),
        }
    }

    fn checks(&self, request: &ChecksRequest) -> Result<ChecksPage, ApiError> {
        if request.member.as_deref() == Some("stuck") {
            return Err(ApiError::NotReady("the prober did not answer".to_owned()));
        }
        let check = CheckStatus { check: "ready".to_owned(), ..CheckStatus::default() };
        Ok(ChecksPage { checks: vec![check], next: request.after, ..ChecksPage::default() })
    }

    fn wips(&self, request: &WipsRequest) -> Result<WipsPage, ApiError> {
        Ok(WipsPage { total: u64::from(request.limit), ..WipsPage::default() })
    }

    fn wip(&self, name: &Name) -> Result<WipStatus, ApiError> {
        match name.to_string().as_str() {
            "missing.example" => Err(ApiError::NotFound("there is no such WIP".to_owned())),
            name => Ok(WipStatus { name: name.to_owned(), ..WipStatus::default() }),
        }
    }

    fn datacenters(&self) -> DatacentersPage {
        DatacentersPage { series_interval_s: 5, ..DatacentersPage::default() }
    }

    fn journal(&self) -> Arc<Journal> {
        Arc::clone(self.journal.as_ref().expect("the test has one"))
    }

    fn fail_back(&self, request: &FailbackRequest) -> Result<FailedBack, ApiError> {
        match request.member.as_deref() {
            Some("fra") => Ok(FailedBack { released: 2 }),
            _ => Err(ApiError::Conflict("nothing is held".to_owned())),
        }
    }

    fn simulate(&self, request: &SimulateRequest) -> Result<Simulation, ApiError> {
        match request.down.first() {
            None => Err(ApiError::Invalid("nothing to simulate".to_owned())),
            Some(down) => Ok(Simulation { measure: down.clone(), ..Simulation::default() }),
        }
    }

    fn release_limiter(&self) -> Result<LimiterReleased, ApiError> {
        match self.ready.load(Ordering::Relaxed) {
            true => Ok(LimiterReleased { held: 3 }),
            false => Err(ApiError::Conflict("nothing is held".to_owned())),
        }
    }

    fn explain(&self, request: &ExplainRequest) -> Result<serde_json::Value, ApiError> {
        match request.name.to_string().as_str() {
            "missing.example" => Err(ApiError::NotFound("outside every zone".to_owned())),
            "slow.example" => {
                while self.slow.load(Ordering::Relaxed) {
                    std::thread::sleep(Duration::from_millis(5));
                }
                Ok(serde_json::Value::Null)
            }
            "panic.example" => panic!("asked to"),
            name => Ok(serde_json::json!({ "name": name, "down": request.down })),
        }
    }

    fn overrides(&self) -> OverridesPage {
        OverridesPage { now_s: 100, revision: 7, ..OverridesPage::default() }
    }

    fn say_override(
        &self,
        request: &OverrideRequest,
        peer: &str,
    ) -> Result<OverrideDone, ApiError> {
        if request.reason == "unsafe" {
            let rule = "min_members".to_owned();
            let broken = vec![BrokenRule { rule, wips_total: 3, ..BrokenRule::default() }];
            return Err(ApiError::Unsafe { detail: "3 WIPs".to_owned(), broken });
        }
        let actor = format!("{} ({peer})", request.actor.as_deref().unwrap_or_default());
        let added = OverrideStatus { kind: request.kind, actor, ..OverrideStatus::default() };
        Ok(OverrideDone { revision: 8, added: Some(added), ..OverrideDone::default() })
    }

    fn clear_overrides(&self, request: &ClearRequest, _: &str) -> Result<OverrideDone, ApiError> {
        match request.expected_revision {
            Some(_) => Err(ApiError::ChangedMeanwhile("it is 7".to_owned())),
            None => Err(ApiError::NotSaved("the disk is full".to_owned())),
        }
    }
    fn upgrade(&self) -> Result<Upgraded, ApiError> {
        if self.bad_config.load(Ordering::Relaxed) {
            return Err(ApiError::UpgradeFailed("the new process refuses: line 1".to_owned()));
        }
        Ok(Upgraded { old_pid: 1, new_pid: 2, ..Upgraded::default() })
    }

    fn reload(&self) -> Result<ReloadReport, ReloadRefused> {
        if self.bad_config.load(Ordering::Relaxed) {
            let problem = ConfigProblem { code: "unknown-key".to_owned(), ..Default::default() };
            return Err(ReloadRefused { report: "line 1".to_owned(), problems: vec![problem] });
        }
        Ok(ReloadReport { generation: 2, ..ReloadReport::default() })
    }
}

/// A server on loopback for as long as it lives.
struct Running {
    address: SocketAddr,
    desk: Arc<Pretend>,
    stop: tokio::sync::oneshot::Sender<()>,
    task: tokio::task::JoinHandle<std::io::Result<()>>,
    _token: tempfile::TempDir,
    token_path: std::path::PathBuf,
}

/// Short enough for a test to wait for.
const SHORT: Limits = Limits {
    head: Duration::from_millis(200),
    body: Duration::from_millis(200),
    desk: Duration::from_millis(200),
    life: Duration::from_millis(600),
    grace: Duration::from_millis(200),
    stop: Duration::from_millis(200),
    stall: Duration::from_millis(500),
    heartbeat: Duration::from_millis(50),
};

/// Longer than a test may take, so that a bound that fails is seen.
const LONG: Limits = Limits {
    head: Duration::from_secs(100),
    body: Duration::from_secs(100),
    desk: Duration::from_secs(100),
    life: Duration::from_secs(100),
    grace: Duration::from_secs(100),
    stop: Duration::from_millis(500),
    stall: Duration::from_secs(100),
    heartbeat: Duration::from_secs(100),
};

async fn start(desk: Pretend, with_token: bool) -> Running {
    start_within(desk, with_token, LONG).await
}

async fn start_within(desk: Pretend, with_token: bool, limits: Limits) -> Running {
    let directory = tempfile::tempdir().unwrap();
    let token_path = directory.path().join("token");
    std::fs::write(&token_path, format!("{TOKEN}\n")).unwrap();
    let listen = AdminListen::Tcp("127.0.0.1:0".parse().unwrap());
    let bound = bind(&listen, with_token.then_some(token_path.as_path())).unwrap();
    let address = bound.local_addr().unwrap();
    let desk = Arc::new(desk);
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let until = async {
        let _ = stopped.await;
    };
    let serving = serve_within(bound, Arc::clone(&desk) as Arc<dyn Desk>, until, limits);
    let task = tokio::spawn(serving);
    Running { address, desk, stop, task, _token: directory, token_path }
}

/// Sends raw bytes, reads until the server closes.
async fn raw(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut reply = Vec::new();
    stream.read_to_end(&mut reply).await.unwrap();
    String::from_utf8(reply).unwrap()
}

/// A request with `Connection: close` and further header lines.
async fn ask(running: &Running, line: &str, headers: &[&str]) -> String {
    let host = format!("Host: {}", running.address);
    let host = if headers.iter().any(|h| h.starts_with("Host:")) { "X: y" } else { &host };
    let headers = headers.join("\r\n");
    let gap = if headers.is_empty() { "" } else { "\r\n" };
    let request = format!("{line} HTTP/1.1\r\n{host}\r\nConnection: close{gap}{headers}\r\n\r\n");
    raw(running.address, &request).await
}

fn status_of(reply: &str) -> u16 {
    reply.split(' ').nth(1).unwrap_or_else(|| panic!("no reply: {reply:?}")).parse().unwrap()
}

fn body_of(reply: &str) -> &str {
    reply.split_once("\r\n\r\n").unwrap().1
}

/// The problem document of an error, checked to be one.
fn problem_of(reply: &str) -> problem::Problem {
    assert!(reply.contains("content-type: application/problem+json\r\n"), "{reply}");
    let problem: problem::Problem = serde_json::from_str(body_of(reply)).unwrap();
    assert_eq!(problem.status, status_of(reply));
    assert!(problem.kind.starts_with("urn:windrose:problem:"), "{problem:?}");
    assert!(!problem.title.is_empty() && !problem.detail.is_empty(), "{problem:?}");
    problem
}

//------------ What is served -------------------------------------------------

#[tokio::test]
async fn every_path_answers_as_documented() {
    let running = start(Pretend::default(), false).await;
    let page = ask(&running, "GET /", &[]).await;
    assert!(body_of(&page).contains("href=\"/metrics\""), "{page}");
    assert!(page.contains("content-security-policy: default-src 'none'"), "{page}");
    assert_eq!(body_of(&ask(&running, "GET /healthz", &[]).await), "ok\n");
    let metrics = ask(&running, "GET /metrics", &[]).await;
    assert!(metrics.contains("content-type: text/plain; version=0.0.4; charset=utf-8\r\n"));
    assert!(body_of(&metrics).ends_with("up 1\n"));
    let status = ask(&running, "GET /api/v1/status", &[]).await;
    let status: Status = serde_json::from_str(body_of(&status)).unwrap();
    assert_eq!(status.version, "1.2.3");
    let checks = ask(&running, "GET /api/v1/checks?member=fra&after=7", &[]).await;
    let checks: ChecksPage = serde_json::from_str(body_of(&checks)).unwrap();
    assert_eq!((checks.checks[0].check.as_str(), checks.next), ("ready", Some(7)));
    let wips = ask(&running, "GET /api/v1/wips?limit=7&troubled=true&q=a", &[]).await;
    assert_eq!(body_of(&wips), r#"{"total":7,"wips":[],"next":null}"#);
    let wip = ask(&running, "GET /api/v1/wips/%2A.A.example", &[]).await;
    let wip: WipStatus = serde_json::from_str(body_of(&wip)).unwrap();
    assert_eq!(wip.name, "*.a.example");
    let datacenters = ask(&running, "GET /api/v1/datacenters", &[]).await;
    assert_eq!(body_of(&datacenters), r#"{"datacenters":[],"series_interval_s":5}"#);
    let explained =
        ask(&running, "GET /api/v1/explain?name=a.example&down=fra&down=iad", &[]).await;
    assert_eq!(body_of(&explained), r#"{"down":["fra","iad"],"name":"a.example"}"#);
}

#[tokio::test]
async fn readiness_says_why_not() {
    let running = start(Pretend::default(), false).await;
    let reply = ask(&running, "GET /readyz", &[]).await;
    assert_eq!((status_of(&reply), body_of(&reply)), (503, "waiting for first verdicts\n"));
    running.desk.ready.store(true, Ordering::Relaxed);
    assert_eq!(status_of(&ask(&running, "GET /readyz", &[]).await), 200);
}

#[tokio::test]
async fn a_reload_is_reported_taken_or_refused_with_all_problems() {
    let running = start(Pretend::default(), false).await;
    let taken = ask(&running, "POST /api/v1/reload", &["Content-Length: 0"]).await;
    let report: ReloadReport = serde_json::from_str(body_of(&taken)).unwrap();
    assert_eq!(report.generation, 2);
    running.desk.bad_config.store(true, Ordering::Relaxed);
    let refused = ask(&running, "POST /api/v1/reload", &["Content-Length: 0"]).await;
    assert_eq!(status_of(&refused), 422);
    let refused = problem_of(&refused).refused.unwrap();
    assert_eq!(refused.report, "line 1");
    assert_eq!(refused.problems[0].code, "unknown-key");
}

#[tokio::test]
async fn a_failback_names_whom_it_means_in_json() {
    let running = start(Pretend::default(), false).await;
    let post = async |body: &str| {
        let request = format!(
            "POST /api/v1/failback HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            running.address,
            body.len()
        );
        raw(running.address, &request).await
    };
    let done: FailedBack =
        serde_json::from_str(body_of(&post(r#"{"member":"fra"}"#).await)).unwrap();
    assert_eq!(done.released, 2);
    for (body, status) in
        [(r#"{"member":"iad"}"#, 409), (r#"{"members":"fra"}"#, 400), ("fra", 400)]
    {
        assert_eq!(problem_of(&post(body).await).status, status, "{body}");
    }
}

#[tokio::test]
async fn errors_are_problem_documents() {
    let running = start(Pretend::default(), false).await;
    for (line, status, kind) in [
        ("GET /nowhere", 404, "no-such-path"),
        ("GET /api/v1/reload", 405, "wrong-method"),
        ("DELETE /metrics", 405, "wrong-method"),
        ("GET /api/v1/limiter/release", 405, "wrong-method"),
        ("POST /api/v1/limiter/release", 409, "nothing-to-do"),
        ("POST /api/v1/failback", 409, "nothing-to-do"),
        ("GET /api/v1/explain", 400, "invalid-request"),
        ("GET /api/v1/checks?state=sick", 400, "invalid-request"),
        ("GET /api/v1/checks?member=stuck", 503, "not-ready"),
        ("GET /api/v1/wips?limit=0", 400, "invalid-request"),
        ("GET /api/v1/wips/a..b", 404, "not-found"),
        ("GET /api/v1/wips/%ff", 404, "not-found"),
        ("GET /api/v1/wips/missing.example", 404, "not-found"),
        ("GET /api/v1/explain?name=a..b", 400, "invalid-request"),
        ("GET /api/v1/explain?name=missing.example", 404, "not-found"),
        ("GET /api/v1/explain?name=panic.example", 500, "internal"),
    ] {
        let reply = ask(&running, line, &[]).await;
        let problem = problem_of(&reply);
        assert_eq!(
            (problem.status, problem.kind.as_str()),
            (status, &*format!("urn:windrose:problem:{kind}")),
            "{line}"
        );
        assert!(problem.refused.is_none());
        assert_eq!(reply.contains("\r\nallow: "), status == 405, "{reply}");
    }
    // A call that panicked has given its permit back.
    for _ in 0..8 {
        ask(&running, "GET /api/v1/explain?name=panic.example", &[]).await;
    }
    assert_eq!(status_of(&ask(&running, "GET /api/v1/status", &[]).await), 200);
}

//------------ Who may ask ----------------------------------------------------

#[tokio::test]
async fn the_api_wants_the_token_and_the_rest_does_not() {
    let running = start(Pretend::default(), true).await;
    for path in ["/healthz", "/metrics", "/"] {
        assert_eq!(status_of(&ask(&running, &format!("GET {path}"), &[]).await), 200, "{path}");
    }
    let good = format!("Authorization: bearer {TOKEN}");
    for (header, status) in [
        ("X: y", 401),
        ("Authorization: Bearer correct-horse-battery-staple", 401),
        ("Authorization: Basic correct-horse-battery", 401),
        ("Authorization: Bearer", 401),
        (good.as_str(), 200),
    ] {
        let reply = ask(&running, "GET /api/v1/status", &[header]).await;
        assert_eq!(status_of(&reply), status, "{header}");
        if status == 401 {
            assert!(reply.contains("\r\nwww-authenticate: Bearer\r\n"), "{reply}");
            assert!(!problem_of(&reply).detail.contains(TOKEN));
        }
    }
    // Not even which paths there are.
    assert_eq!(status_of(&ask(&running, "GET /api/v1/nowhere", &[]).await), 401);
}

#[tokio::test]
async fn a_changed_token_counts_at_once_and_a_lost_one_closes_the_api() {
    let running = start(Pretend::default(), true).await;
    let old = format!("Authorization: Bearer {TOKEN}");
    std::fs::write(&running.token_path, "another-token-0123456789").unwrap();
    assert_eq!(status_of(&ask(&running, "GET /api/v1/status", &[&old]).await), 401);
    let new = "Authorization: Bearer another-token-0123456789";
    assert_eq!(status_of(&ask(&running, "GET /api/v1/status", &[new]).await), 200);
    std::fs::remove_file(&running.token_path).unwrap();
    for header in [old.as_str(), new, "Authorization: Bearer "] {
        let reply = ask(&running, "GET /api/v1/status", &[header]).await;
        assert_eq!(problem_of(&reply).kind, "urn:windrose:problem:token-unusable");
    }
}

#[tokio::test]
async fn without_a_token_a_browser_led_here_by_another_site_is_refused() {
    let running = start(Pretend::default(), false).await;
    let own = format!("Origin: http://{}", running.address);
    for (line, headers, status) in [
        ("GET /api/v1/status", vec!["Host: evil.example:8053"], 403),
        ("GET /metrics", vec!["Host: evil.example"], 403),
        ("GET /healthz", vec!["Host: evil.example"], 200),
        ("GET /api/v1/status", vec!["Host: localhost:8053"], 200),
        ("POST /api/v1/reload", vec!["Content-Length: 0", "Origin: http://evil.example"], 403),
        ("POST /api/v1/reload", vec!["Content-Length: 0", "Origin: null"], 403),
        ("POST /api/v1/reload", vec!["Content-Length: 0", &own], 200),
    ] {
        let reply = ask(&running, line, &headers).await;
        assert_eq!(status_of(&reply), status, "{line} {headers:?}");
        if status == 403 {
            problem_of(&reply);
        }
    }
}

//------------ Binding --------------------------------------------------------

#[test]
fn an_address_others_reach_is_bound_only_with_a_token() {
    for (address, required) in [
        ("0.0.0.0:0", true),
        ("[::]:0", true),
        ("192.0.2.1:0", true),
        ("127.0.0.1:0", false),
        ("127.1.2.3:0", false),
        ("[::1]:0", false),
        ("[::ffff:127.0.0.1]:0", false),
    ] {
        let listen = AdminListen::Tcp(address.parse().unwrap());
        assert_eq!(listen.requires_token(), required, "{address}");
        if required {
            let error = bind(&listen, None).unwrap_err();
            assert!(matches!(error, BindError::TokenMissing { .. }), "{error}");
        }
    }
}

#[test]
fn a_taken_address_and_a_bad_token_file_are_one_clear_line_each() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let error = bind(&AdminListen::Tcp(address), None).unwrap_err().to_string();
    assert!(
        error.starts_with(&format!("admin listener: cannot listen on {address}: Address")),
        "{error}"
    );
    let listen = AdminListen::Tcp("127.0.0.1:0".parse().unwrap());
    let error = bind(&listen, Some("/nowhere/token".as_ref())).unwrap_err().to_string();
    assert!(
        error.starts_with("admin listener: token file /nowhere/token cannot be read: No such"),
        "{error}"
    );
}

#[tokio::test]
async fn a_unix_socket_serves_and_leaves_no_file_behind() {
    use std::os::unix::fs::PermissionsExt;

    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("admin.sock");
    // What a killed process leaves: a socket nobody listens on.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let listen = AdminListen::Unix(path.clone());
    let bound = bind(&listen, None).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);
    let second = bind(&listen, None).unwrap_err();
    assert!(matches!(second, BindError::Socket { .. }), "a live socket was replaced");

    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let task = tokio::spawn(serve(bound, Arc::new(Pretend::default()), async {
        let _ = stopped.await;
    }));
    let mut stream = tokio::net::UnixStream::connect(&path).await.unwrap();
    let request = b"GET /api/v1/status HTTP/1.1\r\nHost: windrose\r\nConnection: close\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).await.unwrap();
    assert_eq!(status_of(&reply), 200);
    stop.send(()).unwrap();
    task.await.unwrap().unwrap();
    assert!(!path.exists());
}
