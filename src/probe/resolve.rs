//! Addresses of hosts that a check names, from this host's own resolver.
//!
//! `getaddrinfo` blocks, for half a minute where the resolver is gone: it runs on
//! threads of its own, one lookup per name however many probes ask, and a bounded
//! number at once. A probe waits for it no longer than its own deadline.
//!
//! No answer is our trouble, never the target's.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, ToSocketAddrs};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Semaphore, watch};

use crate::clock::Clock;
use crate::health::check::Route;
use crate::health::{Failure, FailureKind};

/// Lookups at once: a resolver that hangs holds this many threads and no more.
const LOOKUPS_MAX: usize = 16;
/// How long addresses are used: the system tells no TTL.
const KEPT_MS: u64 = 10_000;
/// How long a failed lookup is not repeated.
const FAILURE_KEPT_MS: u64 = 2_000;
/// Fewer names than this are not worth a sweep for old ones.
const SWEEP_AT_MIN: usize = 64;

pub(super) type Lookup = dyn Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync;

/// What a lookup found, or why nothing.
#[derive(Clone, Debug)]
struct Found {
    addresses: Result<Vec<IpAddr>, String>,
    at_ms: u64,
}

impl Found {
    fn fresh(&self, now_ms: u64) -> bool {
        let kept_ms = if self.addresses.is_ok() { KEPT_MS } else { FAILURE_KEPT_MS };
        now_ms.saturating_sub(self.at_ms) < kept_ms
    }
}

/// Filled once the lookup is done.
type Pending = watch::Receiver<Option<Arc<Found>>>;

#[derive(Default)]
struct Names {
    entries: HashMap<String, Pending>,
    sweep_at: usize,
}

/// See the module.
pub(super) struct Resolver {
    names: Mutex<Names>,
    threads: Arc<Semaphore>,
    lookup: Arc<Lookup>,
}

impl Default for Resolver {
    fn default() -> Resolver {
        Resolver::with(Arc::new(system))
    }
}

impl std::fmt::Debug for Resolver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Resolver").finish_non_exhaustive()
    }
}

impl Resolver {
    /// One that asks `lookup`.
    pub(super) fn with(lookup: Arc<Lookup>) -> Resolver {
        let threads = Arc::new(Semaphore::new(LOOKUPS_MAX));
        Resolver { names: Mutex::default(), threads, lookup }
    }

    /// The address that probes of `host` go to: the first in the system's order,
    /// of a family that `route` has a source for, if it has any.
    pub(super) async fn resolve(
        &self,
        host: &str,
        route: &Route,
        clock: Clock,
    ) -> Result<IpAddr, Failure> {
        let failure = |detail: String| Failure::new(FailureKind::Resolve, detail);
        let mut pending = self.ask(host, clock);
        let found = match pending.wait_for(Option::is_some).await {
            Ok(found) => found.clone(),
            Err(_) => None,
        };
        let Some(found) = found else { return Err(failure(format!("{host}: lookup broke off"))) };
        let addresses =
            found.addresses.as_ref().map_err(|error| failure(format!("{host}: {error}")))?;
        let wanted = addresses.iter().find(|address| has_source(route, address));
        wanted.copied().ok_or_else(|| match addresses.is_empty() {
            true => failure(format!("{host}: no address")),
            false => failure(format!("{host}: no address of the source's family")),
        })
    }

    /// The lookup of `host` that counts now; begins one where there is none.
    fn ask(&self, host: &str, clock: Clock) -> Pending {
        let now_ms = clock.now().mono_ms;
        // Entries hold no invariant that a panic could break.
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pending) = names.entries.get(host).filter(|pending| usable(pending, now_ms)) {
            return pending.clone();
        }
        let (done, pending) = watch::channel(None);
        names.sweep(now_ms);
        names.entries.insert(host.to_owned(), pending.clone());
        let (threads, lookup) = (Arc::clone(&self.threads), Arc::clone(&self.lookup));
        let host = host.to_owned();
        tokio::spawn(async move {
            // Never closed.
            let Ok(permit) = threads.acquire_owned().await else { return };
            tokio::task::spawn_blocking(move || {
                let addresses = lookup(&host).map_err(|error| plain(&error));
                drop(permit);
                let at_ms = clock.now().mono_ms;
                done.send_replace(Some(Arc::new(Found { addresses, at_ms })));
            });
        });
        pending
    }
}

impl Names {
    /// Drops old names now and then: a reload may have dropped their checks.
    fn sweep(&mut self, now_ms: u64) {
        if self.entries.len() < self.sweep_at.max(SWEEP_AT_MIN) {
            return;
        }
        self.entries.retain(|_, pending| usable(pending, now_ms));
        self.sweep_at = 2 * self.entries.len();
    }
}

/// Under way, or done not long ago.
fn usable(pending: &Pending, now_ms: u64) -> bool {
    match pending.borrow().as_ref() {
        Some(found) => found.fresh(now_ms),
        // Its sender is gone if the lookup panicked.
        None => pending.has_changed().is_ok(),
    }
}

/// A check without any source may use any address.
fn has_source(route: &Route, address: &IpAddr) -> bool {
    match (route.source_ipv4, route.source_ipv6) {
        (None, None) => true,
        (ipv4, ipv6) => {
            if address.is_ipv4() {
                ipv4.is_some()
            } else {
                ipv6.is_some()
            }
        }
    }
}

pub(super) fn system(host: &str) -> io::Result<Vec<IpAddr>> {
    Ok((host, 0).to_socket_addrs()?.map(|address| address.ip()).collect())
}

/// "failed to lookup address information: Name or service not known": its end alone.
pub(super) fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    text.split_once("information: ").map_or(text.as_str(), |(_, reason)| reason).to_lowercase()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;

    use super::*;

    const V4: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const V6: IpAddr = IpAddr::V6(std::net::Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1));

    fn route(ipv4: bool, ipv6: bool) -> Route {
        Route {
            source_ipv4: ipv4.then_some([127, 0, 0, 1].into()),
            source_ipv6: ipv6.then_some(std::net::Ipv6Addr::LOCALHOST),
            proxy_header: None,
        }
    }

    #[tokio::test]
    async fn the_first_address_that_suits_the_source_is_probed() {
        let resolver = Resolver::with(Arc::new(|_| Ok(vec![V6, V4])));
        for (ipv4, ipv6, expected) in
            [(false, false, V6), (true, false, V4), (false, true, V6), (true, true, V6)]
        {
            let route = route(ipv4, ipv6);
            let seen = resolver.resolve("shop.example.com", &route, Clock::start()).await;
            assert_eq!(seen.unwrap(), expected, "{route:?}");
        }
        let resolver = Resolver::with(Arc::new(|_| Ok(vec![V6])));
        let seen = resolver.resolve("shop.example.com", &route(true, false), Clock::start()).await;
        let expected = "resolve: shop.example.com: no address of the source's family";
        assert_eq!(seen.unwrap_err().to_string(), expected);
    }

    #[tokio::test]
    async fn many_probes_are_one_lookup_and_a_slow_name_holds_up_no_other() {
        let (open, gate) = mpsc::channel::<()>();
        let gate = Mutex::new(gate);
        let count = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&count);
        let resolver = Arc::new(Resolver::with(Arc::new(move |host: &str| {
            counted.fetch_add(1, Ordering::Relaxed);
            if host == "slow.example.com" {
                let _ = gate.lock().unwrap().recv();
            }
            Ok(vec![V4])
        })));
        let clock = Clock::start();
        let probes: Vec<_> = (0..100)
            .map(|_| {
                let resolver = Arc::clone(&resolver);
                tokio::spawn(async move {
                    resolver.resolve("slow.example.com", &Route::default(), clock).await
                })
            })
            .collect();
        let quick = resolver.resolve("quick.example.com", &Route::default(), clock).await;
        assert_eq!(quick.unwrap(), V4);
        open.send(()).unwrap();
        for probe in probes {
            assert_eq!(probe.await.unwrap().unwrap(), V4);
        }
        // Kept for those that follow.
        resolver.resolve("slow.example.com", &Route::default(), clock).await.unwrap();
        assert_eq!(count.load(Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn a_hanging_resolver_holds_a_bounded_number_of_threads() {
        let (open, gate) = mpsc::channel::<()>();
        let gate = Mutex::new(gate);
        let running = Arc::new(AtomicUsize::new(0));
        let most = Arc::new(AtomicUsize::new(0));
        let (counted, highest) = (Arc::clone(&running), Arc::clone(&most));
        let resolver = Resolver::with(Arc::new(move |_: &str| {
            highest.fetch_max(counted.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            // One at a time goes on as the gate's lock is handed over.
            let _ = gate.lock().unwrap().recv();
            counted.fetch_sub(1, Ordering::SeqCst);
            Ok(vec![V4])
        }));
        let clock = Clock::start();
        let pending: Vec<Pending> = (0..LOOKUPS_MAX * 3)
            .map(|number| resolver.ask(&format!("{number}.example.com"), clock))
            .collect();
        while running.load(Ordering::SeqCst) < LOOKUPS_MAX {
            tokio::task::yield_now().await;
        }
        drop(open);
        for mut pending in pending {
            pending.wait_for(Option::is_some).await.unwrap();
        }
        assert_eq!(most.load(Ordering::SeqCst), LOOKUPS_MAX);
    }

    #[tokio::test]
    async fn failures_and_broken_lookups_say_so_and_are_tried_again() {
        let count = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&count);
        let resolver =
            Resolver::with(Arc::new(move |_: &str| match counted.fetch_add(1, Ordering::SeqCst) {
                0 => panic!("as a bug would"),
                1 => Ok(vec![]),
                _ => Err(io::Error::other("lookup address information: No such host")),
            }));
        let clock = Clock::start();
        let mut seen = Vec::new();
        for (host, _) in [("a.example", 0), ("a.example", 1), ("b.example", 2), ("b.example", 2)] {
            let failure = resolver.resolve(host, &Route::default(), clock).await.unwrap_err();
            seen.push(failure.to_string());
        }
        let expected = [
            "resolve: a.example: lookup broke off",
            "resolve: a.example: no address",
            "resolve: b.example: no such host",
            "resolve: b.example: no such host",
        ];
        assert_eq!(seen, expected);
        assert_eq!(count.load(Ordering::SeqCst), 3, "a failure is kept for a while");
    }

    #[test]
    fn what_was_found_ages_sooner_when_it_was_a_failure() {
        let found = Found { addresses: Ok(vec![V4]), at_ms: 1_000 };
        assert!(found.fresh(1_000 + KEPT_MS - 1) && !found.fresh(1_000 + KEPT_MS));
        let failed = Found { addresses: Err(String::new()), at_ms: 1_000 };
        assert!(failed.fresh(2_999) && !failed.fresh(3_000));
    }

    #[tokio::test]
    async fn old_names_are_forgotten() {
        let resolver = Resolver::with(Arc::new(|_| Ok(vec![V4])));
        let (done, pending) = watch::channel(None);
        done.send_replace(Some(Arc::new(Found { addresses: Ok(vec![V4]), at_ms: 0 })));
        let mut names = Names::default();
        for number in 0..SWEEP_AT_MIN {
            names.entries.insert(number.to_string(), pending.clone());
        }
        names.entries.insert("fresh".to_owned(), resolver.ask("x.example", Clock::start()));
        names.sweep(KEPT_MS + 1);
        assert!(names.entries.len() <= 1, "{}", names.entries.len());
    }

    #[tokio::test]
    async fn the_system_knows_localhost() {
        let resolver = Resolver::default();
        let found = resolver.resolve("localhost", &Route::default(), Clock::start()).await;
        assert!(found.unwrap().is_loopback());
    }
}
