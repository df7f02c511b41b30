//! The real binary under a service manager: what it is told, and what it gives.

#![allow(clippy::unwrap_used)] // a panic is a failed test

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::PermissionsExt;
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

//------------ What the manager gives -----------------------------------------

#[test]
fn sockets_that_the_manager_bound_are_served_by_a_server_that_binds_none() {
    let directory = tempfile::tempdir().unwrap();
    let port = free_port();
    let at = format!("127.0.0.1:{port}");
    let admin = TcpListener::bind("127.0.0.1:0").unwrap();
    let admin_at = admin.local_addr().unwrap();
    let config = config_at(&format!("[{at:?}]"), "[wip.\"shop.gslb.example.com\"]\n")
        .replace("listen = \"off\"", &format!("listen = \"{admin_at}\""));
    let (udp, tcp) = (UdpSocket::bind(&at).unwrap(), TcpListener::bind(&at).unwrap());
    // As the manager's are, which both would hold up.
    udp.set_nonblocking(true).unwrap();
    let sockets: [GivenSocket; 3] = [
        ("dns", udp.try_clone().unwrap().into()),
        ("dns", tcp.try_clone().unwrap().into()),
        ("admin", admin.try_clone().unwrap().into()),
    ];
    // Asked before there is a server: it waits in the socket.
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.set_read_timeout(Some(WITHIN)).unwrap();
    client.connect(&at).unwrap();
    client.send(QUERY).unwrap();
    let _server = Server::activate(directory.path(), &config, &sockets);
    let mut reply = [0; 512];
    let length = client.recv(&mut reply).unwrap();
    assert!(length > QUERY.len() && reply[..2] == QUERY[..2], "{:?}", &reply[..length]);

    let mut stream = TcpStream::connect(&at).unwrap();
    stream.set_read_timeout(Some(WITHIN)).unwrap();
    stream.write_all(&[&[0, QUERY.len() as u8], QUERY].concat()).unwrap();
    let mut over_tcp = vec![0; length + 2];
    stream.read_exact(&mut over_tcp).unwrap();
    assert_eq!(over_tcp[2..], reply[..length]);
    let mut http = TcpStream::connect(admin_at).unwrap();
    http.set_read_timeout(Some(WITHIN)).unwrap();
    http.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut page = String::new();
    http.read_to_string(&mut page).unwrap();
    assert!(page.starts_with("HTTP/1.1 200"), "{page}");
}

#[test]
fn a_socket_that_fits_nothing_is_refused_with_what_to_change() {
    let directory = tempfile::tempdir().unwrap();
    let at = format!("127.0.0.1:{}", free_port());
    let config = config_at(&format!("[{at:?}]"), "");
    let udp = |at: &str| OwnedFd::from(UdpSocket::bind(at).unwrap());
    let tcp = |at: &str| OwnedFd::from(TcpListener::bind(at).unwrap());
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let connected = TcpStream::connect(silent.local_addr().unwrap()).unwrap();
    let cases: [(&str, Vec<GivenSocket>, &str); 6] = [
        ("another address", vec![("dns", udp("127.0.0.1:0"))], "not in [server] listen"),
        ("one protocol", vec![("dns", udp(&at))], "add ListenStream=127.0.0.1"),
        ("the other", vec![("dns", tcp(&at))], "add ListenDatagram=127.0.0.1"),
        ("no listener", vec![("dns", connected.into())], "a TCP socket that listens"),
        ("a file", vec![("dns", fs::File::open("/dev/null").unwrap().into())], "is of no use"),
        ("an admin listener", vec![("admin", tcp("127.0.0.1:0"))], "[admin] listen"),
    ];
    for (case, sockets, words) in cases {
        let server = Server::activate(directory.path(), &config, &sockets);
        let log = || fs::read_to_string(directory.path().join("log")).unwrap();
        assert_eq!(server.ended(), Some(1), "{case}: {}", log());
        assert!(log().contains(words), "{case}: {}", log());
    }
    // Takes IPv4 too, whose clients would seem to be in IPv6.
    let Ok(both) = TcpListener::bind("[::]:0") else { return };
    let config = config_at(&format!("[\"[::]:{}\"]", both.local_addr().unwrap().port()), "");
    let server = Server::activate(directory.path(), &config, &[("dns", both.into())]);
    assert_eq!(server.ended(), Some(1));
    let log = fs::read_to_string(directory.path().join("log")).unwrap();
    assert!(log.contains("BindIPv6Only=ipv6-only"), "{log}");
}

//------------ Who it is ------------------------------------------------------

#[test]
fn started_as_root_it_becomes_the_user_and_keeps_one_right() {
    let directory = tempfile::tempdir().unwrap();
    let port = free_port();
    let config = |user: &str| {
        config_at(&format!("[\"127.0.0.1:{port}\"]"), "").replace(
            "workers = 2",
            &format!(
                "workers = 2\nuser = {user:?}\nstate_dir = {:?}",
                directory.path().join("state")
            ),
        )
    };
    let refused = |user: &str| {
        let server = Server::activate(directory.path(), &config(user), &[]);
        assert_eq!(server.ended(), Some(1));
        fs::read_to_string(directory.path().join("log")).unwrap()
    };
    assert!(refused("no such user").contains("there is no user \"no such user\""));
    assert!(refused("root").contains("\"root\" is root"));
    if !rustix::process::geteuid().is_root() {
        assert!(refused("65532:65532").contains("not root; start it as root"));
        return;
    }
    // A directory that it may pass through, and a program's that it may run.
    fs::set_permissions(directory.path(), PermissionsExt::from_mode(0o777)).unwrap();
    let caps = directory.path().join("caps");
    let check = format!(
        "[health_check.ready]\ntype = \"exec\"\ncommand = [\"/bin/sh\", \"-c\", \
         \"grep ^Cap /proc/self/status > {0}.new && mv {0}.new {0}\"]\n\
         [wip.\"shop.gslb.example.com\"]\nhealth_check = \"ready\"\n",
        caps.display()
    );
    let manager = Manager::at_path(&directory.path().join("notify"));
    fs::set_permissions(directory.path().join("notify"), PermissionsExt::from_mode(0o666)).unwrap();
    let server =
        Server::start(directory.path(), &(config("65532:65533") + &check), &manager, "9000000");
    manager.hear("READY=1");
    let process = server.0.as_ref().unwrap().id();
    let threads: Vec<_> = fs::read_dir(format!("/proc/{process}/task")).unwrap().collect();
    assert!(threads.len() > 5, "{threads:?}");
    // Capability 10 is CAP_NET_BIND_SERVICE.
    let (one, none) = ("0000000000000400", "0000000000000000");
    for thread in threads {
        let status = fs::read_to_string(thread.unwrap().path().join("status")).unwrap();
        let is = |key: &str| {
            let line =
                |line: &str| Some(line.strip_prefix(key)?.strip_prefix(':')?.trim().to_owned());
            status.lines().find_map(line).unwrap_or_else(|| panic!("{key} in {status}"))
        };
        assert_eq!(is("Uid"), ["65532"; 4].join("\t"), "{status}");
        assert_eq!(is("Gid"), ["65533"; 4].join("\t"), "{status}");
        assert_eq!(is("Groups"), "65533", "{status}");
        assert_eq!((is("CapPrm"), is("CapEff")), (one.to_owned(), one.to_owned()), "{status}");
        assert_eq!((is("CapBnd"), is("CapAmb")), (one.to_owned(), none.to_owned()), "{status}");
        assert_eq!(is("NoNewPrivs"), "1", "{status}");
    }
    let owner = |name: &str| {
        let metadata = fs::metadata(directory.path().join(name)).unwrap();
        std::os::unix::fs::MetadataExt::uid(&metadata)
    };
    assert_eq!((owner("state"), owner("state/lock")), (65_532, 65_532));
    // A command that a check runs has not even that right.
    let begun = Instant::now();
    while !caps.exists() {
        assert!(begun.elapsed() < WITHIN, "the check has not run");
        std::thread::sleep(Duration::from_millis(20));
    }
    let of_command = fs::read_to_string(&caps).unwrap();
    for key in ["CapPrm", "CapEff", "CapAmb"] {
        assert!(of_command.contains(&format!("{key}:\t{none}")), "{of_command}");
    }
    drop(server);

    // What another run has left there as root is in the way, and said.
    fs::write(directory.path().join("state/health"), "").unwrap();
    let log = refused("65532:65533");
    assert!(log.contains("state/health belongs to user 0"), "{log}");
}

/// shop.gslb.example.com A.
const QUERY: &[u8] =
    b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x04shop\x04gslb\x07example\x03com\x00\x00\x01\x00\x01";

//------------ Tools ----------------------------------------------------------

/// What its unit calls it, and the socket.
type GivenSocket = (&'static str, OwnedFd);

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

    /// With sockets at descriptors 3 and on, as a manager gives them: a shell puts them
    /// there, from the copies that it inherits.
    fn activate(directory: &Path, config: &str, sockets: &[GivenSocket]) -> Server {
        let path = directory.join("windrose.toml");
        fs::write(&path, config).unwrap();
        // Copies above those that are put in order, and open in the child.
        let high: Vec<OwnedFd> = sockets
            .iter()
            .map(|(_, socket)| rustix::io::fcntl_dupfd_cloexec(socket, 100).unwrap())
            .collect();
        let mut script = String::new();
        for (index, high) in high.iter().enumerate() {
            rustix::io::fcntl_setfd(high, rustix::io::FdFlags::empty()).unwrap();
            let number = high.as_raw_fd();
            script += &format!("exec {}<&{number} {number}<&-; ", index + 3);
        }
        let names: Vec<&str> = sockets.iter().map(|(name, _)| *name).collect();
        script += &format!(
            "export LISTEN_FDS={} LISTEN_FDNAMES={} LISTEN_PID=$$; exec \"$0\" \"$@\"",
            sockets.len(),
            names.join(":")
        );
        let mut command = Command::new("bash");
        command.args(["-c", &script, env!("CARGO_BIN_EXE_windrose"), "serve", "--config"]);
        let log = fs::File::create(directory.join("log")).unwrap();
        Server(Some(command.arg(&path).stderr(Stdio::from(log)).spawn().unwrap()))
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
