//! One zone kept in step with its primaries: asked for its SOA when that says so, or a
//! primary does (RFC 1034 4.3.5, RFC 1996), transferred when it is newer, answered no more
//! when it has expired.

mod fetch;

use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore};
use tokio::time::{Instant, sleep_until, timeout};

use super::exchange::ExchangeError;
use super::{Exchanges, kept};
use crate::clock;
use crate::config::model::Remote;
use crate::daemon::publisher::Publisher;
use crate::dns::Name;
use crate::snapshot::SecondaryState;
use crate::zone::transfer_in::TransferError;

/// SOA timers are held within these, in seconds.
const REFRESH_S: (u32, u32) = (5, 2_419_200);
const RETRY_S: (u32, u32) = (5, 1_209_600);
const EXPIRE_S: (u32, u32) = (10, 2_419_200);
/// Pauses while nothing was ever transferred, in seconds: the first, doubled up to the last.
const FIRST_RETRY_S: (u64, u64) = (2, 300);
/// Least time between two checks, however often a primary says NOTIFY.
const CHECKS_APART: Duration = Duration::from_secs(1);
/// Longest transfer as a whole.
const TRANSFER_MAX: Duration = Duration::from_secs(3_600);
/// Most zones that are asked for at once.
static AT_ONCE: Semaphore = Semaphore::const_new(16);

/// A zone's task, as its supervisor knows it.
pub(super) struct Refresh {
    origin: Name,
    primaries: Vec<Remote>,
    /// A primary has news.
    pub(super) notified: Notify,
    /// Another config came into force.
    pub(super) published: Notify,
}

/// Why a check came to nothing.
#[derive(Debug, thiserror::Error)]
enum CheckError {
    #[error("{0}")]
    Exchange(#[from] ExchangeError),
    #[error("{0}")]
    Transfer(#[from] TransferError),
    #[error("the transfer took longer than an hour")]
    TooLong,
    #[error("the end of the transfer is not signed")]
    Unsigned,
    #[error("the answer to the SOA query has no SOA (rcode {0})")]
    NoSoa(u16),
    #[error("the TSIG key is not configured")]
    NoKey,
    #[error("it cannot be kept: {0}")]
    Kept(std::io::Error),
    #[error("the load was refused: {0}")]
    Refused(String),
    #[error("the server is stopping")]
    Stopping,
}

/// What is held, and its timers.
#[derive(Clone, Copy)]
struct Held {
    serial: u32,
    refresh: Duration,
    retry: Duration,
    expire: Duration,
}

impl Refresh {
    pub(super) fn new(origin: Name, primaries: Vec<Remote>) -> Refresh {
        Refresh { origin, primaries, notified: Notify::new(), published: Notify::new() }
    }

    /// Runs until it is aborted, or the server is gone.
    pub(super) async fn run(
        self: Arc<Self>,
        publisher: Weak<Publisher>,
        state: Arc<SecondaryState>,
    ) {
        let mut failures = 0u32;
        let mut next = Instant::now();
        let age = publisher
            .upgrade()
            .and_then(|publisher| kept::age(&state_dir(&publisher)?, &self.origin));
        // Unix time of the kept file, as an instant of this process.
        let mut current_at = age.and_then(|age| Instant::now().checked_sub(age));
        if age.is_some() && current_at.is_none() {
            // Older than this machine is up: what matters is whether it has expired.
            state.expired.store(true, Ordering::Relaxed);
        }
        loop {
            let Some(shared) = publisher.upgrade() else { return };
            let held = self.held(&shared);
            let expires = held.and_then(|held| current_at?.checked_add(held.expire));
            self.expire(&shared, &state, expires, age, held);
            drop(shared);
            tokio::select! {
                () = sleep_until(next) => {}
                () = self.notified.notified() => {}
                () = self.published.notified() => continue,
                () = sleep_until(expires.unwrap_or(next)), if expires.is_some_and(|at| at > Instant::now() && at < next) => continue,
            }
            let Some(shared) = publisher.upgrade() else { return };
            let checked = self.check_all(&shared, held.map(|held| held.serial)).await;
            if checked {
                current_at = Some(Instant::now());
                failures = 0;
            } else {
                failures = failures.saturating_add(1);
            }
            let held = self.held(&shared);
            let pause = match (held, checked) {
                (Some(held), true) => held.refresh,
                (Some(held), false) => held.retry,
                (None, _) => {
                    let (first, most) = FIRST_RETRY_S;
                    Duration::from_secs((first << failures.min(16).saturating_sub(1)).min(most))
                }
            };
            self.note(&shared, checked, held);
            next = Instant::now() + pause;
            drop(shared);
            tokio::time::sleep(CHECKS_APART).await;
        }
    }

    /// What is in force of the zone.
    fn held(&self, publisher: &Publisher) -> Option<Held> {
        let serving = publisher.serving();
        let zone = serving.snapshot.zones.origin(self.origin.wire())?;
        if !serving.snapshot.secondaries.has_data(zone.id().0) {
            return None;
        }
        let rdata = zone.soa().rdatas().next()?;
        let fields = rdata.last_chunk::<20>()?;
        let field = |index: usize| {
            let at = 4 * index;
            u32::from_be_bytes([fields[at], fields[at + 1], fields[at + 2], fields[at + 3]])
        };
        let within = |value: u32, (least, most): (u32, u32)| {
            Duration::from_secs(u64::from(value.clamp(least, most)))
        };
        let (refresh, retry) = (within(field(1), REFRESH_S), within(field(2), RETRY_S));
        Some(Held { serial: field(0), refresh, retry, expire: within(field(3), EXPIRE_S) })
    }

    /// Takes a zone out of answers, or back into them.
    fn expire(
        &self,
        publisher: &Publisher,
        state: &SecondaryState,
        expires: Option<Instant>,
        age: Option<Duration>,
        held: Option<Held>,
    ) {
        let is_expired = match (expires, age, held) {
            (Some(at), ..) => at <= Instant::now(),
            // Kept since before the machine was started.
            (None, Some(age), Some(held)) => age >= held.expire,
            _ => false,
        };
        if state.expired.swap(is_expired, Ordering::Relaxed) != is_expired {
            if is_expired {
                tracing::error!(zone = %self.origin, "the zone has expired: no primary could be reached for too long, and it is answered with SERVFAIL");
            } else {
                tracing::info!(zone = %self.origin, "the zone is answered again");
            }
        }
        let mut zones = publisher.exchanges.zones();
        let status = zones.entry(self.origin.clone()).or_default();
        status.expires_at_s = expires.map(|at| {
            let now_s = u64::from(clock::unix_s());
            match at.checked_duration_since(Instant::now()) {
                Some(left) => now_s + left.as_secs(),
                None => now_s.saturating_sub(at.elapsed().as_secs()),
            }
        });
        let checked = held
            .zip(status.expires_at_s)
            .map(|(held, at)| at.saturating_sub(held.expire.as_secs()));
        status.checked_at_s = checked.or(status.checked_at_s);
    }

    fn note(&self, publisher: &Publisher, checked: bool, held: Option<Held>) {
        if !checked || held.is_none() {
            return;
        }
        if let Some(state_dir) = state_dir(publisher)
            && let Err(error) = kept::touch(&state_dir, &self.origin)
        {
            tracing::warn!(zone = %self.origin, %error, "cannot note that the zone is current");
        }
    }

    /// Asks one primary after the other; true: the zone is current.
    async fn check_all(&self, publisher: &Arc<Publisher>, held: Option<u32>) -> bool {
        let Ok(_turn) = AT_ONCE.acquire().await else { return false };
        for primary in &self.primaries {
            let outcome = timeout(TRANSFER_MAX, self.check(publisher, primary, held)).await;
            let outcome = outcome.unwrap_or(Err(CheckError::TooLong));
            let mut zones = publisher.exchanges.zones();
            let status = zones.entry(self.origin.clone()).or_default();
            status.primary = Some(primary.address);
            let counters = &publisher.exchanges.in_;
            let address = primary.address;
            match outcome {
                Ok(None) => {
                    Exchanges::count(counters, 1);
                    status.last_error = None;
                    return true;
                }
                Ok(Some(serial)) => {
                    Exchanges::count(counters, 0);
                    status.last_error = None;
                    status.transferred_at_s = Some(u64::from(clock::unix_s()));
                    tracing::info!(zone = %self.origin, primary = %address, serial, "zone transferred");
                    return true;
                }
                Err(error) => {
                    Exchanges::count(counters, 2);
                    tracing::warn!(zone = %self.origin, primary = %address, %error, "the zone could not be fetched: what is held stays");
                    status.last_error = Some(error.to_string());
                }
            }
        }
        false
    }
}

/// Where zones are kept: the directory this server holds.
fn state_dir(publisher: &Publisher) -> Option<PathBuf> {
    publisher.state.as_ref().map(|state| state.path().to_owned())
}
