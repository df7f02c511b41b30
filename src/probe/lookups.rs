//! Lookups of host names at a load: many at once, and none waited for long.
//!
//! The system's resolver blocks for half a minute where nobody answers it. A load
//! must not: lookups run on a few threads of their own, and those that are not done
//! in time are left to themselves. They end when the resolver gives up.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use super::resolve::plain;

/// Lookups at once.
const THREADS_MAX: usize = 8;

/// What came of a lookup in time.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Lookup {
    /// It has an address.
    Found,
    /// The resolver is sure: no such name, or no address of it.
    NoSuchHost,
    /// The resolver does not know, for now.
    Failed(String),
}

/// Looks all names up, for at most `wait`; those without a result by then are left out.
pub(super) fn lookups(
    names: Vec<String>,
    wait: Duration,
    lookup: fn(&str) -> io::Result<Vec<IpAddr>>,
) -> HashMap<String, Lookup> {
    let (count, deadline) = (names.len(), Instant::now() + wait);
    let queue = Arc::new(Mutex::new(VecDeque::from(names)));
    let (done, results) = mpsc::channel();
    for _ in 0..count.min(THREADS_MAX) {
        let (queue, done) = (Arc::clone(&queue), done.clone());
        let work = move || {
            // Nobody panics while they hold it.
            let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            while let Some(name) = next() {
                let found = judge(lookup(&name));
                // Nobody waits any more: further names need not be asked for.
                if done.send((name, found)).is_err() {
                    return;
                }
            }
        };
        // Without threads there are no results, which is what happened.
        if thread::Builder::new().name("lookup".to_owned()).spawn(work).is_err() {
            break;
        }
    }
    drop(done);
    let mut found = HashMap::new();
    while found.len() < count {
        let left = deadline.saturating_duration_since(Instant::now());
        let Ok((name, lookup)) = results.recv_timeout(left) else { break };
        found.insert(name, lookup);
    }
    found
}

fn judge(result: io::Result<Vec<IpAddr>>) -> Lookup {
    match result {
        Ok(addresses) if addresses.is_empty() => Lookup::NoSuchHost,
        Ok(_) => Lookup::Found,
        Err(error) if is_definite(&error) => Lookup::NoSuchHost,
        Err(error) => Lookup::Failed(plain(&error)),
    }
}

/// The system's words for EAI_NONAME and EAI_NODATA; its number is not given. They
/// are never translated, as no locale is set. Other words are taken as doubt.
fn is_definite(error: &io::Error) -> bool {
    const DEFINITE: [&str; 4] = [
        "name or service not known",
        "no address associated with hostname",
        "name does not resolve",
        "name has no usable address",
    ];
    DEFINITE.contains(&plain(error).as_str())
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn answer(host: &str) -> io::Result<Vec<IpAddr>> {
        let words = |words: &str| {
            Err(io::Error::other(format!("failed to lookup address information: {words}")))
        };
        match host {
            "good.example" => Ok(vec![IpAddr::V4(Ipv4Addr::LOCALHOST)]),
            "empty.example" => Ok(Vec::new()),
            "gone.example" => words("Name or service not known"),
            "bare.example" => words("No address associated with hostname"),
            "busy.example" => words("Temporary failure in name resolution"),
            _ => {
                thread::sleep(Duration::from_secs(3_600));
                Ok(Vec::new())
            }
        }
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn only_what_the_resolver_is_sure_of_is_definite() {
        let list = names(&[
            "good.example",
            "empty.example",
            "gone.example",
            "bare.example",
            "busy.example",
        ]);
        let found = lookups(list, Duration::from_secs(600), answer);
        let failed = Lookup::Failed("temporary failure in name resolution".to_owned());
        assert_eq!(found["good.example"], Lookup::Found);
        assert_eq!(found["empty.example"], Lookup::NoSuchHost);
        assert_eq!(found["gone.example"], Lookup::NoSuchHost);
        assert_eq!(found["bare.example"], Lookup::NoSuchHost);
        assert_eq!(found["busy.example"], failed);
    }

    #[test]
    fn a_resolver_that_hangs_is_not_waited_for() {
        let hang: Vec<String> = (0..2 * THREADS_MAX).map(|n| format!("{n}.example")).collect();
        let start = Instant::now();
        let found = lookups(hang, Duration::from_millis(50), answer);
        assert!(found.is_empty());
        assert!(start.elapsed() < Duration::from_secs(60), "{:?}", start.elapsed());
    }

    #[test]
    fn nothing_to_look_up_waits_for_nothing() {
        assert!(lookups(Vec::new(), Duration::from_secs(3_600), answer).is_empty());
    }

    #[test]
    fn the_system_knows_localhost() {
        let found =
            lookups(names(&["localhost"]), Duration::from_secs(60), super::super::resolve::system);
        assert_eq!(found["localhost"], Lookup::Found);
    }
}
