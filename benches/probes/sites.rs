//! The back ends of `benches/probes/run`: one process that is every address of
//! 127.0.0.0/8 at once, accepts, answers and counts.
//!
//! It keeps, per address, when it was last probed, and so tells first probes, probes
//! soon after another (confirmation) and all others apart, in tenths of a second.
//! Commands come as lines on the standard input: `fail` (every second address answers
//! 503), `heal`, `count` (prints what was counted since the last time, as JSON).
#![allow(clippy::print_stdout, clippy::print_stderr)] // a command-line tool

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::rc::Rc;
use std::time::{Duration, Instant};

use clap::Parser;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::mpsc;
use tokio::task::{LocalSet, spawn_local};
use windrose::listen::udp_batch::{give_way, pin_to};

/// Accepts every probe of a benchmark and counts them.
#[derive(Parser)]
#[command(name = "probes-sites")]
struct Arguments {
    /// Port of a server that reads a request and answers 200 or 503.
    #[arg(long)]
    http: u16,
    /// A probe that comes so soon after the last one to its address confirms it.
    #[arg(long, default_value_t = 1_500)]
    confirm_ms: u64,
    /// Processor to run on.
    #[arg(long)]
    cpu: Option<usize>,
}

/// Connections that wait to be accepted.
const BACKLOG: u32 = 4_096;
/// What is counted together.
const SLOT_MS: u64 = 100;
/// Longest request head.
const HEAD_MAX: usize = 8 * 1024;
/// Added to the niceness: the loader of DNS queries, on the same processor, goes first.
const NICENESS: i32 = 10;
const SLICE: Duration = Duration::from_micros(100);

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("probes-sites: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> io::Result<()> {
    if let Some(cpu) = arguments.cpu {
        pin_to(cpu)?;
    }
    give_way(NICENESS, SLICE)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    LocalSet::new().block_on(&runtime, async {
        let counts = Rc::new(RefCell::new(Counts::new(arguments.confirm_ms)));
        spawn_local(accept(listener(arguments.http)?, Rc::clone(&counts)));
        println!("ready");
        let mut lines = lines();
        while let Some(line) = lines.recv().await {
            match line.as_str() {
                "fail" => counts.borrow_mut().failing = true,
                "heal" => counts.borrow_mut().failing = false,
                "count" => println!("{}", counts.borrow_mut().take()),
                other => return Err(io::Error::other(format!("no such command: {other}"))),
            }
        }
        Ok(())
    })
}

/// Lines of the standard input, read by a thread of its own; none once it is closed.
fn lines() -> mpsc::UnboundedReceiver<String> {
    let (sender, lines) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in io::stdin().lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    lines
}

fn listener(port: u16) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)))?;
    socket.listen(BACKLOG)
}

async fn accept(listener: TcpListener, counts: Rc<RefCell<Counts>>) {
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Reset before it was accepted, or no descriptor: the next one.
                eprintln!("probes-sites: accept: {error}");
                tokio::task::yield_now().await;
                continue;
            }
        };
        let Ok(SocketAddr::V4(local)) = stream.local_addr() else { continue };
        counts.borrow_mut().add(*local.ip());
        let fails = counts.borrow().failing && local.ip().octets()[3] % 2 == 0;
        spawn_local(answer(stream, fails));
    }
}

/// Reads one request and answers it; whatever goes wrong is the prober's to notice.
async fn answer(mut stream: TcpStream, fails: bool) {
    let mut head = [0; HEAD_MAX];
    let mut length = 0;
    while !head[..length].ends_with(b"\r\n\r\n") {
        match stream.read(&mut head[length..]).await {
            Ok(count) if count > 0 => length += count,
            _ => return,
        }
    }
    let text: &[u8] = if fails {
        b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    } else {
        b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    };
    let _ = stream.write_all(text).await;
}

//------------ Counts ---------------------------------------------------------

/// Probes by kind, one of each for every tenth of a second.
struct Counts {
    failing: bool,
    confirm_ms: u64,
    begun: Instant,
    /// When each address was last probed, since `begun`.
    last_ms: HashMap<Ipv4Addr, u64>,
    /// First of their address, confirming, other.
    slots: Vec<[u32; 3]>,
    /// Slots already told.
    told: usize,
}

impl Counts {
    fn new(confirm_ms: u64) -> Counts {
        let (last_ms, slots) = (HashMap::new(), Vec::new());
        Counts { failing: false, confirm_ms, begun: Instant::now(), last_ms, slots, told: 0 }
    }

    fn add(&mut self, address: Ipv4Addr) {
        let now_ms = self.begun.elapsed().as_millis() as u64;
        self.add_at(address, now_ms);
    }

    fn add_at(&mut self, address: Ipv4Addr, now_ms: u64) {
        let kind = match self.last_ms.insert(address, now_ms) {
            None => 0,
            Some(last_ms) if now_ms - last_ms <= self.confirm_ms => 1,
            Some(_) => 2,
        };
        let slot = (now_ms / SLOT_MS) as usize;
        if self.slots.len() <= slot {
            self.slots.resize(slot + 1, [0; 3]);
        }
        self.slots[slot][kind] += 1;
    }

    /// The slots since the last time, but for the one that is still being filled.
    fn take(&mut self) -> String {
        let whole = self.slots.len().saturating_sub(1).max(self.told);
        let slots = self.slots.get(self.told..whole).unwrap_or_default();
        let text = serde_json::json!({ "slot_ms": SLOT_MS, "first_confirm_other": slots });
        self.told = whole;
        text.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probes_are_told_apart_by_what_came_before() {
        let mut counts = Counts::new(1_500);
        let address = Ipv4Addr::new(127, 0, 0, 1);
        for at_ms in [10, 1_400, 5_000] {
            counts.add_at(address, at_ms);
        }
        counts.add_at(Ipv4Addr::new(127, 0, 0, 2), 5_100);
        let seen: serde_json::Value = serde_json::from_str(&counts.take()).unwrap();
        let slots = seen["first_confirm_other"].as_array().unwrap();
        assert_eq!(slots.len(), 51, "the last is still being filled");
        assert_eq!(slots[0], serde_json::json!([1, 0, 0]));
        assert_eq!(slots[14], serde_json::json!([0, 1, 0]));
        assert_eq!(slots[50], serde_json::json!([0, 0, 1]));
        counts.add_at(address, 5_200);
        let seen: serde_json::Value = serde_json::from_str(&counts.take()).unwrap();
        assert_eq!(seen["first_confirm_other"], serde_json::json!([[1, 0, 0]]));
    }
}
