//! Pretend sites: HTTP back ends on loopback that can be stopped and started.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// One pretend site.
#[derive(Clone, Copy, Debug)]
pub(super) struct Site {
    pub(super) name: &'static str,
    pub(super) place: &'static str,
    pub(super) country: &'static str,
    pub(super) address: Ipv4Addr,
}

/// The demo's sites.
pub(super) const SITES: [Site; 3] = [
    Site { name: "fra", place: "Frankfurt", country: "DE", address: Ipv4Addr::new(127, 0, 0, 11) },
    Site { name: "iad", place: "Washington", country: "US", address: Ipv4Addr::new(127, 0, 0, 12) },
    Site { name: "sin", place: "Singapore", country: "SG", address: Ipv4Addr::new(127, 0, 0, 13) },
];

/// A pause of the accepting thread, and so the delay of a stop.
const PAUSE: Duration = Duration::from_millis(20);
/// Longest wait for a request.
const REQUEST_WAIT: Duration = Duration::from_millis(500);

/// What a command came to.
pub(super) enum Reply {
    /// Text for the person.
    Said(String),
    /// The demo ends.
    Quit,
}

/// All sites, each running or stopped.
pub(super) struct Sites {
    port: u16,
    running: Mutex<Vec<Option<BackEnd>>>,
}

struct BackEnd {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Sites {
    /// Starts every site's back end.
    pub(super) fn start(port: u16) -> io::Result<Sites> {
        let running: io::Result<Vec<_>> =
            SITES.iter().map(|site| BackEnd::start(*site, port).map(Some)).collect();
        Ok(Sites { port, running: Mutex::new(running?) })
    }

    /// Does what a line says.
    pub(super) fn command(&self, line: &str) -> Reply {
        let mut words = line.split_whitespace();
        let (verb, name) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        match verb {
            "" => return Reply::Said(self.states()),
            "quit" | "q" | "exit" => return Reply::Quit,
            "stop" | "start" => {}
            _ => return Reply::Said(format!("\"{line}\": type stop SITE, start SITE or quit")),
        }
        let named: Vec<usize> =
            (0..SITES.len()).filter(|&at| name == "all" || SITES[at].name == name).collect();
        if named.is_empty() {
            let names: Vec<&str> = SITES.iter().map(|site| site.name).collect();
            return Reply::Said(format!(
                "there is no site \"{name}\": {} or all",
                names.join(", ")
            ));
        }
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        for at in named {
            match verb {
                "stop" => running[at] = None,
                _ if running[at].is_none() => match BackEnd::start(SITES[at], self.port) {
                    Ok(back_end) => running[at] = Some(back_end),
                    Err(error) => return Reply::Said(format!("{}: {error}", SITES[at].name)),
                },
                _ => {}
            }
        }
        drop(running);
        Reply::Said(self.states())
    }

    fn states(&self) -> String {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let states: Vec<String> = SITES
            .iter()
            .zip(running.iter())
            .map(|(site, back_end)| {
                let state = if back_end.is_some() { "running" } else { "stopped" };
                format!("{} {state}", site.name)
            })
            .collect();
        format!("back ends: {}", states.join(", "))
    }
}

/// Whether every site's back end could listen on `port`.
pub(super) fn can_bind(port: u16) -> bool {
    SITES.iter().all(|site| TcpListener::bind((site.address, port)).is_ok())
}

impl BackEnd {
    fn start(site: Site, port: u16) -> io::Result<BackEnd> {
        let listener = TcpListener::bind((site.address, port))?;
        listener.set_nonblocking(true)?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopping = Arc::clone(&stop);
        let thread =
            std::thread::Builder::new().name(format!("site-{}", site.name)).spawn(move || {
                while !stopping.load(Ordering::Relaxed) {
                    match listener.accept() {
                        Ok((stream, _)) => drop(answer(stream, site)),
                        Err(_) => std::thread::sleep(PAUSE),
                    }
                }
            })?;
        Ok(BackEnd { stop, thread: Some(thread) })
    }
}

impl Drop for BackEnd {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// One request, one response, closed.
fn answer(mut stream: TcpStream, site: Site) -> io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(REQUEST_WAIT))?;
    let mut request = [0; 2_048];
    let _ = stream.read(&mut request)?;
    let body = format!("hello from {} ({})\n", site.name, site.place);
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}
