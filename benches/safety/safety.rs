//! Time to safety, end to end: from a back end's death to the last answer that names it.
//!
//! ```text
//!   back ends (127.x.y.z, two a WIP) ◄── probes ── windrose serve ── events ─► verdicts
//!      │ die, each at its own moment                    ▲ │
//!      └── refused, blackholed, 503          questions ─┘ └─► answers, each millisecond
//! ```
//!
//! benches/safety/run builds it and starts it in a network namespace of its own, for it
//! drops packets there. All times are of one clock. Every figure errs to our disadvantage:
//! a death counts from before it is made, an answer when it has been read.

#![allow(clippy::print_stdout, clippy::print_stderr)] // a command-line tool

mod backends;
mod poller;
mod report;
mod verdicts;

use std::fmt::Write as _;
use std::io::{Read, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use backends::BackEnds;
use poller::Asked;

/// What is measured, as in docs/BENCHMARKING.md.
const INTERVAL_MS: u64 = 5_000;
const TIMEOUT_MS: u64 = 2_000;
const CONFIRM_MS: u64 = 1_000;
const FALL: u64 = 3;

/// In a namespace of one's own all ports are free.
const DNS_PORT: u16 = 19_300;
const ADMIN_PORT: u16 = 19_301;
const HTTP_PORT: u16 = 19_302;

/// Longest wait for the server to be ready and every answer to be calm.
const START_WAIT: Duration = Duration::from_secs(30);
/// After the start, so that probes have found their phases.
const SETTLE: Duration = Duration::from_millis(INTERVAL_MS + 1_000);
/// What nobody has noticed so long after its bound is lost.
const GIVE_UP: Duration = Duration::from_secs(5);

//------------ Words ----------------------------------------------------------

/// How a back end dies.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    /// It closes its socket: the system refuses.
    Refused,
    /// Packets to it are dropped.
    Blackholed,
    /// It answers 503.
    Status,
}

impl Kind {
    pub(crate) const ALL: [Kind; 3] = [Kind::Refused, Kind::Blackholed, Kind::Status];

    pub(crate) fn word(self) -> &'static str {
        match self {
            Kind::Refused => "refused",
            Kind::Blackholed => "blackholed",
            Kind::Status => "503",
        }
    }

    /// 1.05 × interval + fall × timeout, where it is waited for,
    /// + (fall − 1) × 1.1 × confirm + 100 ms.
    pub(crate) fn bound_ms(self) -> f64 {
        let waited_ms = if self == Kind::Blackholed { TIMEOUT_MS } else { 0 };
        1.05 * INTERVAL_MS as f64
            + (FALL * waited_ms) as f64
            + (FALL - 1) as f64 * 1.1 * CONFIRM_MS as f64
            + 100.0
    }
}

/// One death. Times are unix microseconds; 0: not yet.
#[derive(Debug)]
pub(crate) struct Trial {
    pub(crate) kind: Kind,
    /// Its WIP's name, below the zone.
    pub(crate) wip: String,
    /// The member that dies, and the one that stays.
    pub(crate) dying: Ipv4Addr,
    pub(crate) other: Ipv4Addr,
    /// When it is to die, after the settled start.
    pub(crate) after: Duration,
    pub(crate) died_us: AtomicU64,
    pub(crate) verdict_us: AtomicU64,
    pub(crate) last_named_us: AtomicU64,
    pub(crate) first_changed_us: AtomicU64,
}

pub(crate) fn now_us() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros() as u64
}

struct Options {
    windrose: PathBuf,
    out: PathBuf,
    trials: u32,
    seed: u64,
    spread: Duration,
}

impl Options {
    fn parse() -> Result<Options, String> {
        let mut options = Options {
            windrose: "target/release/windrose".into(),
            out: "rows.jsonl".into(),
            trials: 300,
            seed: now_us(),
            spread: Duration::from_secs(3 * INTERVAL_MS / 1_000),
        };
        let mut arguments = std::env::args().skip(1);
        while let Some(key) = arguments.next() {
            let value = arguments.next().ok_or(format!("{key} wants a value"))?;
            let number = || value.parse::<u64>().map_err(|error| format!("{key}: {error}"));
            match key.as_str() {
                "--windrose" => options.windrose = value.into(),
                "--out" => options.out = value.into(),
                "--trials" => options.trials = number()?.clamp(1, 10_000) as u32,
                "--seed" => options.seed = number()?,
                "--spread-s" => options.spread = Duration::from_secs(number()?.max(1)),
                _ => return Err(format!("unknown option {key}")),
            }
        }
        Ok(options)
    }

    fn all_trials(&self) -> Vec<Arc<Trial>> {
        let mut random = self.seed;
        let mut trials = Vec::new();
        for number in 0..self.trials {
            for (index, kind) in Kind::ALL.into_iter().enumerate() {
                let host = [(number >> 8) as u8, number as u8];
                let address = |net: u8| Ipv4Addr::new(127, net, host[0], host[1]);
                let after = splitmix(&mut random) % self.spread.as_micros() as u64;
                trials.push(Arc::new(Trial {
                    kind,
                    wip: format!("{}{number}", kind.word()),
                    dying: address(10 + index as u8),
                    other: address(20 + index as u8),
                    after: Duration::from_micros(after),
                    died_us: AtomicU64::new(0),
                    verdict_us: AtomicU64::new(0),
                    last_named_us: AtomicU64::new(0),
                    first_changed_us: AtomicU64::new(0),
                }));
            }
        }
        trials.sort_by_key(|trial| trial.after);
        trials
    }
}

/// SplitMix64: good enough to spread deaths, and the same everywhere.
fn splitmix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

//------------ Server ---------------------------------------------------------

/// `windrose serve`, killed when dropped.
struct Server(Child);

impl Server {
    fn start(windrose: &Path, directory: &Path, trials: &[Arc<Trial>]) -> Result<Server, String> {
        let path = directory.join("windrose.toml");
        std::fs::write(&path, config(trials)).map_err(|error| error.to_string())?;
        let log = std::fs::File::create(directory.join("windrose.log"));
        let child = Command::new(windrose)
            .args(["serve", "--config"])
            .arg(&path)
            .stdin(Stdio::null())
            .stderr(log.map_err(|error| error.to_string())?)
            .spawn();
        child.map(Server).map_err(|error| format!("{}: {error}", windrose.display()))
    }

    fn is_ready() -> bool {
        let ask = || {
            let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, ADMIN_PORT)).ok()?;
            let request = "GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
            stream.write_all(request.as_bytes()).ok()?;
            let mut reply = String::new();
            stream.read_to_string(&mut reply).ok()?;
            Some(reply.starts_with("HTTP/1.1 200"))
        };
        ask().unwrap_or(false)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Two datacenters, of which one loses everything: the limiter must not mind.
fn config(trials: &[Arc<Trial>]) -> String {
    let mut text = format!(
        "[server]\nlisten = [\"127.0.0.1:{DNS_PORT}\"]\n[admin]\nlisten = \"127.0.0.1:{ADMIN_PORT}\"\n\
         [zone.\"safety.example\"]\nnameservers = [\"ns1.example\"]\nhostmaster = \"h@example\"\n\
         [datacenter.dying]\nvip = \"127.10.0.0\"\n[datacenter.other]\nvip = \"127.20.0.0\"\n\
         [health_check.http]\ntype = \"http\"\nport = {HTTP_PORT}\ninterval = \"{INTERVAL_MS}ms\"\n\
         timeout = \"{TIMEOUT_MS}ms\"\nconfirm_interval = \"{CONFIRM_MS}ms\"\nfall = {FALL}\n\
         [wip_defaults]\npolicy = \"failover\"\nhealth_check = \"http\"\nttl = \"30s\"\n\
         ttl_min = \"1s\"\n"
    );
    for Trial { wip, dying, other, .. } in trials.iter().map(|trial| &**trial) {
        let _ = writeln!(
            text,
            "[wip.\"{wip}.safety.example\"]\nmembers = [{{ datacenter = \"dying\", address = \
             \"{dying}\" }}, {{ datacenter = \"other\", address = \"{other}\" }}]"
        );
    }
    text
}

//------------ main -----------------------------------------------------------

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(problem) => {
            eprintln!("safety: {problem}");
            ExitCode::from(2)
        }
    }
}

/// Whether every bound held.
fn run() -> Result<bool, String> {
    let options = Options::parse()?;
    let directory = std::env::temp_dir().join(format!("windrose-safety-{}", std::process::id()));
    std::fs::create_dir_all(&directory).map_err(|error| error.to_string())?;
    let kept = Scratch(directory.clone());
    println!("{} trials of each kind, seed {}", options.trials, options.seed);
    let trials = options.all_trials();
    let back_ends = BackEnds::start(&trials, HTTP_PORT)?;
    let server = Server::start(&options.windrose, &directory, &trials)?;
    wait("the server to be ready", Server::is_ready)?;
    let verdicts = verdicts::follow(ADMIN_PORT, &trials)?;
    let asked = Asked::start(DNS_PORT, &trials)?;
    wait("every answer to be calm", || asked.all_calm())?;
    std::thread::sleep(SETTLE);
    if !asked.all_calm() {
        return Err("an answer changed before anything died".to_owned());
    }
    back_ends.kill_all(&trials)?;
    let longest = Kind::ALL.iter().map(|kind| kind.bound_ms()).fold(0.0, f64::max);
    let until = Instant::now() + Duration::from_millis(longest as u64) + GIVE_UP;
    while Instant::now() < until && !asked.all_changed() {
        std::thread::sleep(Duration::from_millis(50));
    }
    // What is still on its way.
    std::thread::sleep(Duration::from_millis(500));
    drop((asked, verdicts, server));
    let holds = report::write(&trials, &options.out)?;
    drop(kept);
    Ok(holds)
}

/// Config and log, removed at the end.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn wait(what: &str, mut is_so: impl FnMut() -> bool) -> Result<(), String> {
    let started = Instant::now();
    while !is_so() {
        if started.elapsed() > START_WAIT {
            return Err(format!("waited {} s for {what}", START_WAIT.as_secs()));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// Sets `time` to now, if it is not set.
pub(crate) fn stamp(time: &AtomicU64) {
    let _ = time.compare_exchange(0, now_us(), Ordering::Relaxed, Ordering::Relaxed);
}
