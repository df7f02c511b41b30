//! Back ends that answer 200 until they die.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::sync::Notify;

use crate::{Kind, Trial, stamp};

/// How `nft` names what it makes, in the namespace of its own.
const TABLE: &str = "inet windrose_safety";

/// All back ends, on threads of their own.
pub(crate) struct BackEnds {
    runtime: Runtime,
    fates: HashMap<Ipv4Addr, Arc<Fate>>,
}

/// What is to become of one.
#[derive(Debug, Default)]
struct Fate {
    sick: AtomicBool,
    close: Notify,
    closed: Notify,
}

impl BackEnds {
    pub(crate) fn start(trials: &[Arc<Trial>], port: u16) -> Result<BackEnds, String> {
        nft(&[
            &format!("add table {TABLE}"),
            &format!("add set {TABLE} dead {{ type ipv4_addr; }}"),
            &format!("add chain {TABLE} in {{ type filter hook input priority 0; }}"),
            &format!("add rule {TABLE} in ip daddr @dead drop"),
        ])?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .map_err(|error| error.to_string())?;
        let mut fates = HashMap::new();
        for trial in trials {
            for address in [trial.dying, trial.other] {
                let at = SocketAddr::from((address, port));
                let listener = TcpListener::bind(at).map_err(|error| format!("{at}: {error}"))?;
                listener.set_nonblocking(true).map_err(|error| error.to_string())?;
                let fate = Arc::new(Fate::default());
                fates.insert(address, Arc::clone(&fate));
                let trial = Arc::clone(trial);
                runtime.spawn(async move { serve(listener, &fate, &trial).await });
            }
        }
        Ok(BackEnds { runtime, fates })
    }

    /// Lets each die at its moment, in their order.
    pub(crate) fn kill_all(&self, trials: &[Arc<Trial>]) -> Result<(), String> {
        let started = Instant::now();
        for trial in trials {
            std::thread::sleep(trial.after.saturating_sub(started.elapsed()));
            let fate = &self.fates[&trial.dying];
            match trial.kind {
                Kind::Refused => {
                    fate.close.notify_one();
                    self.runtime.block_on(fate.closed.notified());
                }
                Kind::Blackholed => {
                    stamp(&trial.died_us);
                    nft(&[&format!("add element {TABLE} dead {{ {} }}", trial.dying)])?;
                }
                Kind::Status => {
                    stamp(&trial.died_us);
                    fate.sick.store(true, Ordering::Relaxed);
                }
            }
        }
        Ok(())
    }
}

async fn serve(listener: TcpListener, fate: &Arc<Fate>, trial: &Trial) {
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
    loop {
        tokio::select! {
            biased;
            () = fate.close.notified() => break,
            accepted = listener.accept() => {
                if let Ok((stream, _)) = accepted {
                    tokio::spawn(answer(stream, Arc::clone(fate)));
                }
            }
        }
    }
    stamp(&trial.died_us);
    drop(listener);
    fate.closed.notify_one();
}

async fn answer(mut stream: TcpStream, fate: Arc<Fate>) {
    let mut head = Vec::new();
    let mut bytes = [0; 1_024];
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut bytes).await {
            Ok(length @ 1..) => head.extend_from_slice(&bytes[..length]),
            _ => return,
        }
    }
    let status = if fate.sick.load(Ordering::Relaxed) { "503 Sick" } else { "200 OK" };
    let reply = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    let _ = stream.write_all(reply.as_bytes()).await;
}

fn nft(commands: &[&str]) -> Result<(), String> {
    let output = Command::new("nft").arg(commands.join("; ")).output();
    let output = output.map_err(|error| format!("nft: {error}"))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(format!("nft: {}", String::from_utf8_lossy(&output.stderr).trim())),
    }
}
