//! Follows the server's events: when each verdict fell.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use windrose::admin::types::{Event, EventKind};

use crate::Trial;

/// An open stream; it ends when dropped.
pub(crate) struct Verdicts(TcpStream);

impl Drop for Verdicts {
    fn drop(&mut self) {
        let _ = self.0.shutdown(std::net::Shutdown::Both);
    }
}

/// Notes from now on when a member that dies is out of the answers.
pub(crate) fn follow(port: u16, trials: &[Arc<Trial>]) -> Result<Verdicts, String> {
    let failed = |error: std::io::Error| format!("events: {error}");
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).map_err(failed)?;
    // Without chunks, for the reader's sake: HTTP/1.0 has none.
    let request = "GET /api/v1/events HTTP/1.0\r\nHost: localhost\r\n\r\n";
    stream.write_all(request.as_bytes()).map_err(failed)?;
    let mut lines = BufReader::new(stream.try_clone().map_err(failed)?).lines();
    let status = lines.next().and_then(Result::ok).unwrap_or_default();
    if !status.contains(" 200 ") {
        return Err(format!("events: {status}"));
    }
    let dying: HashMap<String, Arc<Trial>> =
        trials.iter().map(|trial| (trial.dying.to_string(), Arc::clone(trial))).collect();
    std::thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            let Some(data) = line.strip_prefix("data: ") else { continue };
            let Ok(event) = serde_json::from_str::<Event>(data) else { continue };
            match event.what {
                EventKind::Available { subject, available: false } => {
                    if let Some(trial) = dying.get(&subject.address) {
                        let first = &trial.verdict_us;
                        let (old, new) = (0, event.at_us);
                        let _ =
                            first.compare_exchange(old, new, Ordering::Relaxed, Ordering::Relaxed);
                    }
                }
                EventKind::Lagged { missed } => eprintln!("safety: events missed: {missed:?}"),
                EventKind::LimiterTripped { .. } => eprintln!("safety: the limiter tripped"),
                _ => {}
            }
        }
    });
    Ok(Verdicts(stream))
}
