//! A tour on loopback: the real server, three pretend sites with real HTTP back
//! ends, and a watcher that asks over UDP and prints every answer that moves.
//!
//! Nothing is faked but the sites: the config is a file that may be edited while
//! the demo runs, and `dig` and `windrose explain` work beside it.

mod sites;
mod watcher;

use std::fs;
use std::io::{self, BufRead, IsTerminal, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::daemon::{Daemon, StartError};
use sites::{SITES, Sites};
use watcher::Watcher;

/// How long the tour looks at each scene.
const SCENE: Duration = Duration::from_secs(5);
/// Ports tried when the wanted one is taken.
const PORTS_TRIED: u16 = 50;

/// Where the demo listens, and whether it plays by itself.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Port for DNS on 127.0.0.1; the next free one is taken.
    pub port: u16,
    /// Port of the admin listener; likewise.
    pub admin_port: u16,
    /// Stop and start sites by itself, then end.
    pub tour: bool,
}

/// Why there is no demo.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// Files or sockets.
    #[error("the demo cannot start: {0}")]
    System(#[from] io::Error),
    /// The server.
    #[error("the demo's server does not start: {0}")]
    Server(#[from] StartError),
    /// An answer that the tour shows did not come.
    #[error("the tour expected {expected} and saw {seen}: is this machine very busy?")]
    Tour {
        /// What should have been answered.
        expected: String,
        /// What was.
        seen: String,
    },
}

/// Runs the demo until it is told to end.
pub fn run(options: Options) -> Result<(), DemoError> {
    let directory = Directory::new()?;
    let site_port = free_port(18_080, sites::can_bind)?;
    let port = free_port(options.port, |port| {
        let address = (Ipv4Addr::LOCALHOST, port);
        UdpSocket::bind(address).is_ok() && TcpListener::bind(address).is_ok()
    })?;
    let admin_port = free_port(options.admin_port, |port| {
        TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
    })?;
    let config = directory.0.join("windrose.toml");
    fs::write(&config, config_text(port, admin_port, site_port))?;
    let sites = Arc::new(Sites::start(site_port)?);
    let daemon = Daemon::start(&config)?;
    let server = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    say(&welcome(&config, port, admin_port))?;
    let watcher = Arc::new(Watcher::start(server));
    let (done, ended) = oneshot::channel();
    let watched = Arc::clone(&watcher);
    // On a thread of its own, for an interrupt must end the demo in good order
    // while it waits for a line.
    std::thread::Builder::new().name("demo".to_owned()).spawn(move || {
        let result = if options.tour { tour(&sites, &watched) } else { converse(&sites) };
        // Nobody listens any more after an interrupt.
        let _ = done.send(result);
    })?;
    let result = daemon.run_until(ended)?;
    watcher.stop();
    daemon.stop();
    result.and_then(Result::ok).unwrap_or(Ok(()))
}

//------------ Conversation ---------------------------------------------------

/// Takes commands from standard input until "quit". Without a terminal the end
/// of input is no command: the demo goes on until it is interrupted.
fn converse(sites: &Sites) -> Result<(), DemoError> {
    let interactive = io::stdin().is_terminal();
    for line in io::stdin().lock().lines() {
        match sites.command(&line?) {
            sites::Reply::Said(text) => say(&text)?,
            sites::Reply::Quit => return Ok(()),
        }
    }
    if interactive {
        return Ok(());
    }
    loop {
        std::thread::park();
    }
}

/// Plays a failure and a return, and checks that the answers followed.
fn tour(sites: &Sites, watcher: &Watcher) -> Result<(), DemoError> {
    let expect = |site: &str| {
        let address = SITES.iter().find(|known| known.name == site).map(|known| known.address);
        watcher.wait_for("ledger", address.as_slice(), SCENE * 4).map_err(|seen| {
            let expected = format!("ledger.gslb.example at {site}");
            DemoError::Tour { expected, seen }
        })
    };
    expect("fra")?;
    for (command, site) in
        [("stop fra", "iad"), ("stop iad", "sin"), ("start fra", "fra"), ("start iad", "fra")]
    {
        say(&format!("\n> {command}"))?;
        if let sites::Reply::Said(text) = sites.command(command) {
            say(&text)?;
        }
        expect(site)?;
        std::thread::sleep(Duration::from_secs(2));
    }
    say("\nThat was the tour. Without --tour you stop and start the sites yourself.")?;
    Ok(())
}

fn say(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}")?;
    out.flush()
}

fn welcome(config: &std::path::Path, port: u16, admin_port: u16) -> String {
    let program = std::env::current_exe();
    let program = program.map_or("windrose".to_owned(), |path| path.display().to_string());
    let sites: Vec<String> = SITES
        .iter()
        .map(|site| format!("  {}  {:<12} VIP {}", site.name, site.place, site.address))
        .collect();
    format!(
        "\
Windrose is answering for gslb.example on 127.0.0.1 port {port} (UDP and TCP).
Three pretend sites, each with a real HTTP back end that is checked every second:
{sites}

Try, in another terminal:
  dig @127.0.0.1 -p {port} shop.gslb.example                         nearest site, from your address
  dig @127.0.0.1 -p {port} shop.gslb.example +subnet=91.0.0.0/24     as a client in Germany
  dig @127.0.0.1 -p {port} shop.gslb.example +subnet=126.0.0.0/24    as a client in Japan
  dig @127.0.0.1 -p {port} ledger.gslb.example                       failover: fra, then iad, then sin
  dig @127.0.0.1 -p {port} news.gslb.example                         round-robin
  dig @127.0.0.1 -p {port} video.gslb.example                        weighted: fra one share, sin three
  dig @127.0.0.1 -p {port} anything.apps.fra.gslb.example            a site's own names
Why a client gets its answer (no dig needed):
  {program} explain shop.gslb.example --server http://127.0.0.1:{admin_port} --ecs 91.0.0.0/24
  {program} explain shop.gslb.example --server http://127.0.0.1:{admin_port} --ecs 91.0.0.0/24 --down fra
  {program} status --server http://127.0.0.1:{admin_port}
Status page, live, with drains: http://127.0.0.1:{admin_port}/
Metrics: http://127.0.0.1:{admin_port}/metrics
Edit the config while it runs, it is loaded at once: {config}

Type here:  stop fra   start fra   stop all   start all   quit
Answers that move are printed below.
",
        sites = sites.join("\n"),
        config = config.display(),
    )
}

//------------ Set-up ---------------------------------------------------------

/// A directory of its own, removed at the end.
struct Directory(PathBuf);

impl Directory {
    fn new() -> io::Result<Directory> {
        let path = std::env::temp_dir().join(format!("windrose-demo-{}", std::process::id()));
        fs::create_dir_all(&path)?;
        Ok(Directory(path))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn free_port(wanted: u16, is_free: impl Fn(u16) -> bool) -> io::Result<u16> {
    (0..PORTS_TRIED)
        .filter_map(|step| wanted.checked_add(step))
        .find(|&port| is_free(port))
        .ok_or_else(|| {
            let text =
                format!("ports {wanted} to {} are all taken", wanted.saturating_add(PORTS_TRIED));
            io::Error::new(io::ErrorKind::AddrInUse, text)
        })
}

fn config_text(port: u16, admin_port: u16, site_port: u16) -> String {
    let datacenters: Vec<String> = SITES
        .iter()
        .map(|site| {
            format!(
                "[datacenter.{}]\nvip      = [\"{}\"]\nlocation = {{ country = \"{}\" }}\nwildcard = \"apps.{}.gslb.example\"\n",
                site.name, site.address, site.country, site.name
            )
        })
        .collect();
    format!(
        r#"# The demo's config. Change it and save: it is loaded at once, or refused whole.
[server]
listen   = ["127.0.0.1:{port}"]
identity = "demo"

[admin]
listen = "127.0.0.1:{admin_port}"

[log]
level = "warn"

[zone."gslb.example"]
nameservers  = ["ns1.gslb.example"]
hostmaster   = "hostmaster@gslb.example"
negative_ttl = "5s"
records      = ["ns1 A 127.0.0.1"]

{datacenters}
[health_check.back-end]
type     = "http"
port     = {site_port}
path     = "/healthz"
interval = "1s"
timeout  = "500ms"
confirm_interval = "300ms"
fall     = 2
rise     = 2

[wip_defaults]
members      = ["fra", "iad", "sin"]
policy       = "geo"
health_check = "back-end"
ttl          = "5s"
ttl_min      = "1s"

[wip."shop.gslb.example"]

[wip."ledger.gslb.example"]
policy = "failover"

[wip."news.gslb.example"]
policy = "round-robin"

[wip."login.gslb.example"]
policy = "hash"

[pool.west]
members = ["iad"]

[pool.east]
policy  = "weighted"
members = ["fra", {{ datacenter = "sin", weight = 3 }}]

[wip."video.gslb.example"]
policy = "failover"
pools  = ["east", "west"]
"#,
        datacenters = datacenters.join("\n"),
    )
}
