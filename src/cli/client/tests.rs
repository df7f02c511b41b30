//! The client against the real listener.

use std::sync::Arc;

use super::*;
use crate::admin::types::{
    BrokenRule, DatacentersPage, EventKind, OverrideStatus, ReloadRefused, SimulateRequest,
    Simulation, Status, SupportBundle, Upgraded, WipStatus, WipsPage, WipsRequest,
};
use crate::admin::{self, ApiError, Desk, Journal};
use crate::config::model::AdminListen;
use crate::dns::Name;

/// A desk whose config is bad.
struct Pretend;

impl Desk for Pretend {
    fn metrics(&self, _: &mut String) {}
    fn ready(&self) -> Result<(), String> {
        Ok(())
    }
    fn status(&self) -> Status {
        Status { version: "1.2.3".to_owned(), ..Status::default() }
    }
    fn checks(&self, request: &ChecksRequest) -> Result<ChecksPage, ApiError> {
        Ok(ChecksPage { next: request.after, ..ChecksPage::default() })
    }
    fn wips(&self, request: &WipsRequest) -> Result<WipsPage, ApiError> {
        Ok(WipsPage { total: u64::from(request.limit), ..WipsPage::default() })
    }
    fn wip(&self, name: &Name) -> Result<WipStatus, ApiError> {
        Ok(WipStatus { name: name.to_string(), ..WipStatus::default() })
    }
    fn datacenters(&self) -> DatacentersPage {
        DatacentersPage { series_interval_s: 5, ..DatacentersPage::default() }
    }
    fn log(&self) -> Result<LogStatus, ApiError> {
        Err(ApiError::NotReady("no log".to_owned()))
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
    fn journal(&self) -> Arc<Journal> {
        let journal = Arc::new(Journal::new(100));
        for generation in 0..3 {
            let (cause, changes) = ("start".to_owned(), vec!["a\nb".to_owned()]);
            journal.push(7, EventKind::ConfigLoaded { generation, cause, changes });
        }
        journal
    }
    fn fail_back(&self, request: &FailbackRequest) -> Result<FailedBack, ApiError> {
        Ok(FailedBack { released: if request.wip.is_some() { 1 } else { 2 } })
    }
    fn simulate(&self, request: &SimulateRequest) -> Result<Simulation, ApiError> {
        match request.down.first() {
            None => Err(ApiError::Invalid("nothing to simulate".to_owned())),
            Some(down) => Ok(Simulation { measure: down.clone(), ..Simulation::default() }),
        }
    }

    fn release_limiter(&self) -> Result<LimiterReleased, ApiError> {
        Err(ApiError::Conflict("nothing is held".to_owned()))
    }
    fn explain(&self, request: &ExplainRequest) -> Result<serde_json::Value, ApiError> {
        match request.down.len() {
            0 => Err(ApiError::NotFound(format!("{} is outside every zone", request.name))),
            _ => Ok(serde_json::json!({ "down": request.down })),
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
        Ok(Upgraded { old_pid: 1, new_pid: 2, ..Upgraded::default() })
    }
    fn reload(&self) -> Result<ReloadReport, ReloadRefused> {
        Err(ReloadRefused { report: "error: unknown key\n".to_owned(), problems: Vec::new() })
    }
}

/// A listener that runs until the test ends, and the name of its server.
fn serve(listen: &AdminListen, token_file: Option<&Path>) -> String {
    let bound = admin::bind(listen, token_file).unwrap();
    let server = match bound.local_addr() {
        Some(address) => format!("http://{address}"),
        None => listen.to_string(),
    };
    tokio::spawn(admin::serve(bound, Arc::new(Pretend), std::future::pending()));
    server
}

fn loopback() -> AdminListen {
    AdminListen::Tcp("127.0.0.1:0".parse().unwrap())
}

fn request(down: &[&str]) -> ExplainRequest {
    ExplainRequest {
        name: Name::parse("shop.example").unwrap(),
        record_type: "A".to_owned(),
        client: None,
        ecs: Some("192.0.2.0/24".parse().unwrap()),
        down: down.iter().map(|name| (*name).to_owned()).collect(),
    }
}

#[tokio::test]
async fn events_are_read_from_where_one_was() {
    let client = Client::new(&serve(&loopback(), None), None).unwrap();
    let page = client.checks(&ChecksRequest { after: Some(5), ..Default::default() }).await;
    assert_eq!(page.unwrap().next, Some(5));
    let mut events = client.events(Some(100)).await.unwrap();
    for (id, number) in [(101, 1), (102, 2)] {
        let event = events.next().await.unwrap().unwrap();
        assert_eq!((event.id, event.at_us, events.last_id()), (id, 7, Some(id)));
        let EventKind::ConfigLoaded { generation, changes, .. } = event.what else {
            panic!("{event:?}");
        };
        assert_eq!((generation, changes), (number, vec!["a\nb".to_owned()]));
    }
    let refused = client.release_limiter().await.unwrap_err().to_string();
    assert!(refused.ends_with("There is nothing to do: nothing is held"), "{refused}");
    let one = FailbackRequest { wip: Some("shop.example".to_owned()), member: None };
    assert_eq!(client.fail_back(&one).await.unwrap().released, 1);
    // What was lost has no id of its own.
    let mut events = client.events(Some(5)).await.unwrap();
    let event = events.next().await.unwrap().unwrap();
    assert_eq!(event.what, EventKind::Lagged { missed: None });
}

#[tokio::test]
async fn it_reads_replies_over_tcp_and_unix_sockets() {
    let directory = tempfile::tempdir().unwrap();
    let socket = AdminListen::Unix(directory.path().join("admin.sock"));
    for server in [serve(&loopback(), None), serve(&socket, None)] {
        let client = Client::new(&server, None).unwrap();
        assert_eq!(client.status().await.unwrap().version, "1.2.3", "{server}");
        let explained = client.explain(&request(&["fra", "a b&c"])).await.unwrap();
        assert_eq!(explained["down"], serde_json::json!(["fra", "a b&c"]));
    }
}

#[tokio::test]
async fn a_refusal_is_told_in_the_servers_words() {
    let server = serve(&loopback(), None);
    let client = Client::new(&server, None).unwrap();
    let error = client.explain(&request(&[])).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("{server}: There is no such thing: shop.example is outside every zone")
    );
    let error = client.reload().await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "error: unknown key\n{server}: The config was refused: \
             The old one stays in force."
        )
    );
}

#[tokio::test]
async fn the_token_is_sent_and_its_lack_is_explained() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("token");
    std::fs::write(&file, "correct-horse-battery\n").unwrap();
    let server = serve(&loopback(), Some(&file));
    let with = Client::new(&server, Some(&file)).unwrap();
    assert_eq!(with.status().await.unwrap().version, "1.2.3");
    assert!(!format!("{with:?}").contains("correct-horse"), "{with:?}");
    let without = Client::new(&server, None).unwrap().status().await.unwrap_err();
    assert!(matches!(without, ClientError::Unauthorized { .. }), "{without}");
    assert!(without.to_string().contains("--token-file or WINDROSE_TOKEN_FILE"), "{without}");
    let missing = Client::new(&server, Some(Path::new("/nowhere"))).unwrap_err().to_string();
    assert!(missing.starts_with("cannot use the token file /nowhere: No such"), "{missing}");
}

#[tokio::test]
async fn nobody_there_says_what_to_do() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let server = format!("http://{}", free.local_addr().unwrap());
    drop(free);
    for server in [server.as_str(), "unix:/nowhere/admin.sock"] {
        let client = Client::new(server, None).unwrap();
        let error = client.status().await.unwrap_err().to_string();
        assert!(error.starts_with(&format!("no server at {server}: ")), "{error}");
        assert!(error.contains("--server or WINDROSE_SERVER"), "{error}");
    }
}

#[tokio::test]
async fn something_else_there_is_told_apart() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    for (reply, reason) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n<html", "its reply: expected value"),
        ("HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n", "it answered 302"),
        ("SSH-2.0-OpenSSH_9.2\r\n", "invalid HTTP version parsed"),
    ] {
        let other = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = format!("http://{}", other.local_addr().unwrap());
        tokio::spawn(async move {
            let (mut stream, _) = other.accept().await.unwrap();
            let _ = stream.read(&mut [0; 4_096]).await;
            stream.write_all(reply.as_bytes()).await.unwrap();
        });
        let error = Client::new(&server, None).unwrap().status().await.unwrap_err();
        assert!(error.to_string().contains(reason), "{error}");
        assert!(matches!(error, ClientError::Strange { .. }), "{error}");
    }
}

#[test]
fn what_is_not_a_server_is_refused_with_the_reason() {
    for (server, reason) in [
        ("127.0.0.1:8053", "it begins with neither http://, https:// nor unix:/"),
        ("http://", "empty host"),
        ("gtm1:8053", "it begins with neither http://, https:// nor unix:/"),
        ("ftp://gtm1", "it begins with neither http://, https:// nor unix:/"),
        ("unix:admin.sock", "the path of a unix socket begins with /"),
    ] {
        let error = Client::new(server, None).unwrap_err().to_string();
        assert_eq!(error, format!("\"{server}\" is not a server to speak to: {reason}"));
    }
}

#[test]
fn proxies_are_left_out_on_this_host_alone() {
    for (server, here) in [
        ("http://127.0.0.1:1", true),
        ("http://[::1]:1", true),
        ("http://localhost:1", true),
        ("http://192.0.2.1:1", false),
        ("https://gtm1.example.net", false),
    ] {
        assert_eq!(is_here(&Url::parse(server).unwrap()), here, "{server}");
    }
}
