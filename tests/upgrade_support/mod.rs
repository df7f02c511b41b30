//! A server whose processes follow one another, and clients that notice everything.

pub(crate) mod load;

use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// How long a test waits for what should come soon, on a machine that is busy.
const SOON: Duration = Duration::from_secs(60);

/// The program under test.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_windrose");

/// The server, whichever process it is now.
pub(crate) struct Server {
    pub(crate) directory: tempfile::TempDir,
    pub(crate) addresses: Vec<SocketAddr>,
    pub(crate) pid: u32,
    first: Child,
    generations: u32,
}

impl Server {
    /// On IPv4, another IPv4 and IPv6, with a unix socket for the admin listener.
    pub(crate) fn start(workers: u32) -> Server {
        let directory = tempfile::tempdir().unwrap();
        let port = free_port();
        let addresses = ["127.0.0.1", "127.0.0.2", "[::1]"]
            .map(|host| format!("{host}:{port}").parse().unwrap())
            .to_vec();
        symlink(BINARY, directory.path().join("windrose")).unwrap();
        fs::write(directory.path().join("workers"), workers.to_string()).unwrap();
        let log = fs::File::create(directory.path().join("log")).unwrap();
        let path = |name: &str| directory.path().join(name);
        fs::write(path("192.0.2.1"), "up").unwrap();
        fs::write(path("192.0.2.2"), "up").unwrap();
        let config = config(directory.path(), &addresses, workers, 0);
        fs::write(path("windrose.toml"), config).unwrap();
        let first = Command::new(path("windrose"))
            .args(["serve", "--config"])
            .arg(path("windrose.toml"))
            .stdin(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let (pid, generations) = (first.id(), 0);
        let server = Server { directory, addresses, pid, first, generations };
        server.until("it is ready", || server.command("status").status.success());
        server.until("first verdicts", || {
            String::from_utf8_lossy(&server.command("status").stdout)
                .contains("\"not_ready\": null")
        });
        server
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap()
    }

    /// Runs a command of the CLI against it.
    pub(crate) fn command(&self, name: &str) -> Output {
        self.run(&[name])
    }

    /// The same with arguments.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        let socket = format!("unix:{}", self.path("admin.sock").display());
        let to = ["--json", "--server", &socket];
        Command::new(BINARY).args(arguments).args(to).output().unwrap()
    }

    pub(crate) fn until(&self, what: &str, mut is_so: impl FnMut() -> bool) {
        let begun = Instant::now();
        while !is_so() {
            let waits = begun.elapsed() < SOON && is_alive(self.pid);
            assert!(waits, "not within {SOON:?}: {what}\n{}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Replaces it, and waits for the end of the process before.
    pub(crate) fn upgrade(&mut self) {
        let output = self.command("upgrade");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{output:?}\n{}", self.log());
        let done: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(done["old_pid"], self.pid, "{text}");
        let new = u32::try_from(done["new_pid"].as_u64().unwrap()).unwrap();
        assert_ne!(new, self.pid);
        let old = std::mem::replace(&mut self.pid, new);
        self.until("the process before has ended", || !is_alive(old));
        if old == self.first.id() {
            assert!(self.first.wait().unwrap().success());
        }
    }

    /// Tries to replace it, which fails; what is said of it.
    pub(crate) fn upgrade_fails(&self) -> String {
        let output = self.command("upgrade");
        assert_eq!(output.status.code(), Some(1), "{output:?}\n{}", self.log());
        assert!(is_alive(self.pid));
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    /// Stops the process that was started first, which is still the server.
    pub(crate) fn terminate(&mut self) -> ExitStatus {
        assert_eq!(self.pid, self.first.id());
        self.signal(Signal::TERM);
        self.first.wait().unwrap()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.pid).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Loads a config with one WIP that is new.
    pub(crate) fn reload(&mut self) {
        self.generations += 1;
        let workers = fs::read_to_string(self.path("workers")).unwrap().parse().unwrap();
        let config = config(self.directory.path(), &self.addresses, workers, self.generations);
        self.write("windrose.toml", &config);
        let output = self.command("reload");
        assert!(output.status.success(), "{output:?}\n{}", self.log());
        let name = format!("new{}.g.example", self.generations);
        assert_eq!(self.ask(&name), Some(1), "{name}");
    }

    /// Puts a file in another's place.
    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path("aside"), text).unwrap();
        fs::rename(self.path("aside"), self.path(name)).unwrap();
    }

    /// Puts a shell script where the server was started from.
    pub(crate) fn replace_binary(&self, script: &str) {
        fs::write(self.path("script"), format!("#!/bin/sh\n{script}\n")).unwrap();
        let mode = fs::Permissions::from_mode(0o755);
        fs::set_permissions(self.path("script"), mode).unwrap();
        fs::rename(self.path("script"), self.path("windrose")).unwrap();
    }

    pub(crate) fn restore_binary(&self) {
        symlink(BINARY, self.path("link")).unwrap();
        fs::rename(self.path("link"), self.path("windrose")).unwrap();
    }

    /// Makes the member that comes first up or down, and waits until answers say so.
    pub(crate) fn flip(&self, up: bool) -> u8 {
        self.write("192.0.2.1", if up { "up" } else { "down" });
        let expected = if up { 1 } else { 2 };
        self.until("answers follow health", || self.ask("flip.g.example") == Some(expected));
        expected
    }

    /// The last byte of the address of a name.
    pub(crate) fn ask(&self, name: &str) -> Option<u8> {
        self.ask_from(&self.client(), name)
    }

    pub(crate) fn client(&self) -> UdpSocket {
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        client.connect(self.addresses[0]).unwrap();
        client
    }

    pub(crate) fn ask_from(&self, client: &UdpSocket, name: &str) -> Option<u8> {
        let query = load::query(4_711, name, 1);
        client.send(&query).unwrap();
        let mut reply = [0; 1_500];
        let length = client.recv(&mut reply).unwrap();
        load::member(&query, &reply[..length]).unwrap().1
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw) {
            // It may have ended already, which the test will have said.
            let _ = kill_process(pid, Signal::TERM);
        }
        if self.first.id() != self.pid {
            let _ = self.first.kill();
        }
        let _ = self.first.wait();
        // Its directory goes next, and it writes there.
        let begun = Instant::now();
        while is_alive(self.pid) && begun.elapsed() < SOON {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// One that has ended and that nobody waited for is not.
pub(crate) fn is_alive(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

fn config(
    directory: &std::path::Path,
    addresses: &[SocketAddr],
    workers: u32,
    generations: u32,
) -> String {
    let listen: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    let directory = directory.display();
    let mut text = format!(
        "[server]\nlisten = {listen:?}\nworkers = {workers}\nstate_dir = \"{directory}/state\"\n\
         [admin]\nlisten = \"unix:{directory}/admin.sock\"\n\
         [zone.\"g.example\"]\nnameservers = [\"ns1.example.net\"]\nhostmaster = \"h@example.net\"\n\
         [datacenter.a]\nvip = \"192.0.2.1\"\n[datacenter.b]\nvip = \"192.0.2.2\"\n\
         [datacenter.c]\nvip = \"192.0.2.3\"\n\
         [health_check.always]\ntype = \"always\"\n\
         [health_check.note]\ntype = \"file\"\nfile = \"{directory}/{{address}}\"\n\
         interval = \"1s\"\ntimeout = \"500ms\"\nfall = 1\nrise = 1\n\
         [wip_defaults]\nmembers = [\"a\", \"b\", \"c\"]\npolicy = \"failover\"\n\
         health_check = \"always\"\n\
         [wip.\"first.g.example\"]\n\
         [wip.\"turns.g.example\"]\npolicy = \"round-robin\"\n\
         [wip.\"flip.g.example\"]\nmembers = [\"a\", \"b\"]\nhealth_check = \"note\"\n"
    );
    for generation in 1..=generations {
        text += &format!("[wip.\"new{generation}.g.example\"]\n");
    }
    text
}

/// Free for both protocols on every address, as far as can be told.
fn free_port() -> u16 {
    loop {
        let socket = UdpSocket::bind("[::1]:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        let is_free = ["127.0.0.1", "127.0.0.2"].iter().all(|host| {
            UdpSocket::bind((*host, port)).is_ok()
                && std::net::TcpListener::bind((*host, port)).is_ok()
        });
        if is_free && std::net::TcpListener::bind(("::1", port)).is_ok() {
            return port;
        }
    }
}
