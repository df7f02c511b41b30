//! The real binary under a service manager: what it is told, and what it gives.

#![allow(clippy::unwrap_used)] // a panic is a failed test

use std::fs;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Longest wait for anything that is to happen.
const WITHIN: Duration = Duration::from_secs(20);

//------------ What the manager is told ---------------------------------------

#[test]
fn it_is_ready_once_there_are_first_verdicts_and_says_reloads_and_its_end() {
    let back_end = TcpListener::bind("127.0.11.1:0").unwrap();
    let directory = tempfile::tempdir().unwrap();
    let manager = Manager::at_path(&directory.path().join("notify"));
    let config = config(&check(back_end.local_addr().unwrap().port(), "60s"));
    let server = Server::start(directory.path(), &config, &manager, "10000000");
    let ready = manager.hear("READY=1");
    assert!(ready.contains("STATUS=config 1: 1 WIPs, 1 zones; probes: 1 up"), "{ready}");

    server.signal("HUP");
    let reloading = manager.hear("RELOADING=1");
    let us: u64 = value(&reloading, "MONOTONIC_USEC").parse().unwrap();
    assert!(us > 0);
    assert!(manager.hear("READY=1").contains("STATUS=config 2: "));

    // A refused config ends the reload as well, and is shown.
    fs::write(directory.path().join("windrose.toml"), "nonsense = 1\n").unwrap();
    manager.hear("RELOADING=1");
    assert!(manager.hear("READY=1").contains("the last reload was refused"));

    server.signal("TERM");
    manager.hear("STOPPING=1");
    assert_eq!(server.ended(), Some(0));
}

#[test]
fn without_verdicts_it_is_ready_when_start_hold_is_over_and_asks_for_time_until_then() {
    let silent = TcpListener::bind("127.0.11.2:0").unwrap();
    let directory = tempfile::tempdir().unwrap();
    // Abstract: a name and no file.
    let manager = Manager::abstract_socket(&format!("windrose-ready-{}", std::process::id()));
    let verdict_never = "[health_check.ready]\ntype = \"exec\"\ncommand = [\"/bin/sleep\", \"60\"]\n\
         interval = \"60s\"\ntimeout = \"50s\"\n[wip.\"shop.gslb.example.com\"]\n\
         health_check = \"ready\"\n[health]\nstart_hold = \"3s\"\n";
    let begun = Instant::now();
    let _server = Server::start(directory.path(), &config(verdict_never), &manager, "1000000");
    let first = manager.next();
    assert!(first.starts_with("EXTEND_TIMEOUT_USEC="), "{first}");
    manager.hear("READY=1");
    assert!(begun.elapsed() >= Duration::from_secs(3), "{:?}", begun.elapsed());
    drop(silent);
}

#[test]
fn signs_of_life_come_at_half_of_the_time_asked_for() {
    let directory = tempfile::tempdir().unwrap();
    let manager = Manager::at_path(&directory.path().join("notify"));
    let none = "[wip.\"shop.gslb.example.com\"]\n";
    let _server = Server::start(directory.path(), &config(none), &manager, "4000000");
    manager.hear("WATCHDOG=1");
    let begun = Instant::now();
    for _ in 0..4 {
        manager.hear("WATCHDOG=1");
    }
    // 2 s apart, less the time between two looks; a busy host may delay them.
    let took = begun.elapsed();
    assert!(took >= Duration::from_secs(3), "{took:?}");
    assert!(took <= Duration::from_secs(14), "{took:?}");
}

//------------ Tools ----------------------------------------------------------

/// A service manager's socket.
struct Manager {
    socket: UnixDatagram,
    address: String,
}

impl Manager {
    fn at_path(path: &Path) -> Manager {
        let address = path.to_str().unwrap().to_owned();
        Manager::new(UnixDatagram::bind(path).unwrap(), address)
    }

    fn abstract_socket(name: &str) -> Manager {
        let address = SocketAddr::from_abstract_name(name).unwrap();
        Manager::new(UnixDatagram::bind_addr(&address).unwrap(), format!("@{name}"))
    }

    fn new(socket: UnixDatagram, address: String) -> Manager {
        socket.set_read_timeout(Some(WITHIN)).unwrap();
        Manager { socket, address }
    }

    fn next(&self) -> String {
        let mut bytes = [0; 4_096];
        let length = self.socket.recv(&mut bytes).expect("a message in time");
        String::from_utf8(bytes[..length].to_vec()).unwrap()
    }

    /// Waits for a message that begins so; others are passed over.
    fn hear(&self, begin: &str) -> String {
        let begun = Instant::now();
        while begun.elapsed() < WITHIN {
            let message = self.next();
            if message.starts_with(begin) {
                return message;
            }
        }
        panic!("no {begin}");
    }
}

fn value<'a>(message: &'a str, key: &str) -> &'a str {
    let value = |line: &'a str| line.strip_prefix(key)?.strip_prefix('=');
    message.lines().find_map(value).unwrap_or_else(|| panic!("no {key} in {message}"))
}

struct Server(Option<Child>);

impl Server {
    fn start(directory: &Path, config: &str, manager: &Manager, watchdog_us: &str) -> Server {
        let path = directory.join("windrose.toml");
        fs::write(&path, config).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_windrose"));
        command.args(["serve", "--config"]).arg(&path);
        command.env("NOTIFY_SOCKET", &manager.address).env("WATCHDOG_USEC", watchdog_us);
        let log = fs::File::create(directory.join("log")).unwrap();
        Server(Some(command.stderr(Stdio::from(log)).spawn().unwrap()))
    }

    fn signal(&self, name: &str) {
        let process = self.0.as_ref().unwrap().id();
        let command = format!("kill -{name} {process}");
        assert!(Command::new("sh").args(["-c", &command]).status().unwrap().success());
    }

    fn ended(mut self) -> Option<i32> {
        self.0.take().unwrap().wait().unwrap().code()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn check(port: u16, start_hold: &str) -> String {
    format!(
        "[health_check.ready]\ntype = \"tcp\"\nport = {port}\ninterval = \"1s\"\n\
         timeout = \"500ms\"\n[wip.\"shop.gslb.example.com\"]\nhealth_check = \"ready\"\n\
         [health]\nstart_hold = \"{start_hold}\"\n"
    )
}

/// One zone, one site, no admin listener, and what a test adds.
fn config(more: &str) -> String {
    config_at(&format!("[\"127.0.0.1:{}\"]", free_port()), more)
}

fn config_at(listen: &str, more: &str) -> String {
    format!(
        "[server]\nlisten = {listen}\nworkers = 2\n[admin]\nlisten = \"off\"\n\
         [zone.\"gslb.example.com\"]\nnameservers = [\"ns1.example.com\"]\n\
         hostmaster = \"hostmaster@example.com\"\n[datacenter.fra]\nvip = \"127.0.11.1\"\n\
         [wip_defaults]\nmembers = [\"fra\"]\n{more}"
    )
}

fn free_port() -> u16 {
    let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = udp.local_addr().unwrap().port();
    match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
        Ok(_) => port,
        Err(_) => free_port(),
    }
}
