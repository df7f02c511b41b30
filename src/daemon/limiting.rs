//! Response rate limiting beside the answers: each worker's table, made when a config asks
//! for one, and the log of whom it limits.
//!
//! Workers say whom they limit through rings that nobody waits for; a task empties them once
//! a second, so that a flood from any number of networks makes no more than a few lines.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use ipnet::IpNet;

use crate::answer::limit::Limiter;
use crate::answer::{Limited, News};
use crate::config::model::RateLimit;
use crate::snapshot::{RateRules, Serving};

/// How often the rings are emptied.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A network of which nothing was heard for so long is not limited any more: workers repeat
/// themselves every ten seconds.
const ENDS_AFTER: Duration = Duration::from_secs(15);
/// Most networks that are kept in mind.
const KNOWN_MAX: usize = 1_000;
/// Most lines of one look.
const LINES_MAX: usize = 10;

//------------ Limiting -------------------------------------------------------

/// One worker's limiter, while the config has one.
#[derive(Debug)]
pub(super) struct Limiting {
    limiter: Option<Limiter>,
    seed: u64,
    started: Instant,
    news: Arc<News>,
}

impl Limiting {
    /// Off until a batch begins under a config that limits. What it limits goes to `news`.
    pub(super) fn new(news: Arc<News>) -> Limiting {
        // Of the system's randomness, like every hash table's.
        let seed = RandomState::new().hash_one(0u8);
        Limiting { limiter: None, seed, started: Instant::now(), news }
    }

    /// Goes by the rules in force, at the time it is now.
    #[inline]
    pub(super) fn begin_batch(&mut self, rules: Option<&Arc<RateRules>>) {
        if self.limiter.is_some() || rules.is_some() {
            self.follow(rules);
        }
    }

    fn follow(&mut self, rules: Option<&Arc<RateRules>>) {
        let Some(rules) = rules else {
            self.limiter = None;
            return;
        };
        let limiter = self.limiter.get_or_insert_with(|| {
            Limiter::new(Arc::clone(rules), self.seed, Arc::clone(&self.news))
        });
        limiter.follow(rules);
        limiter.set_time(self.started.elapsed().as_nanos() as u64);
    }

    /// The limiter, if there is one now.
    #[inline]
    pub(super) fn limiter(&mut self) -> Option<&mut Limiter> {
        self.limiter.as_mut()
    }
}

//------------ tell -----------------------------------------------------------

/// Logs whom the workers limit, until the runtime ends.
pub(super) async fn tell(news: Vec<Arc<News>>, cell: Arc<ArcSwap<Serving>>) {
    let mut known = Known::default();
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let taken = news.iter().flat_map(|news| std::iter::from_fn(|| news.take()));
        let change = known.look(taken, Instant::now());
        if change.is_empty() {
            continue;
        }
        let serving = cell.load();
        let limits = &serving.snapshot.config.rate_limit;
        for limited in change.begun.iter().take(LINES_MAX) {
            let network = network(limited, limits);
            tracing::warn!(%network, class = limited.class.label(), "replies are rate limited");
        }
        for limited in change.ended.iter().take(LINES_MAX) {
            let network = network(limited, limits);
            tracing::info!(%network, class = limited.class.label(), "replies are no longer rate limited");
        }
        let rest = |list: &[Limited]| list.len().saturating_sub(LINES_MAX);
        let (begun, ended) = (rest(&change.begun), rest(&change.ended));
        if begun + ended > 0 {
            tracing::warn!(begun, ended, "further networks are rate limited, or no longer");
        }
    }
}

fn network(limited: &Limited, limits: &RateLimit) -> IpNet {
    let address = limited.address();
    let bits = match address {
        IpAddr::V4(_) => limits.ipv4_prefix,
        IpAddr::V6(_) => limits.ipv6_prefix,
    };
    IpNet::new(address, bits).unwrap_or_else(|_| IpNet::from(address)).trunc()
}

/// Networks that are limited, and when each was last heard of.
#[derive(Debug, Default)]
struct Known(HashMap<Limited, Instant>);

/// What one look found.
#[derive(Debug, Default, Eq, PartialEq)]
struct Change {
    begun: Vec<Limited>,
    ended: Vec<Limited>,
}

impl Change {
    fn is_empty(&self) -> bool {
        self.begun.is_empty() && self.ended.is_empty()
    }
}

impl Known {
    fn look(&mut self, heard: impl Iterator<Item = Limited>, now: Instant) -> Change {
        let mut change = Change::default();
        for limited in heard {
            if let Some(last) = self.0.get_mut(&limited) {
                *last = now;
            } else if self.0.len() < KNOWN_MAX {
                self.0.insert(limited, now);
                change.begun.push(limited);
            }
        }
        self.0.retain(|limited, last| {
            let lasts = now.duration_since(*last) < ENDS_AFTER;
            if !lasts {
                change.ended.push(*limited);
            }
            lasts
        });
        change.ended.sort_unstable();
        change
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::RateClass;

    fn limited(network: u128) -> Limited {
        Limited { network, class: RateClass::Answer }
    }

    #[test]
    fn beginning_and_end_are_told_once_each() {
        let (mut known, start) = (Known::default(), Instant::now());
        let one = || std::iter::once(limited(1));
        assert_eq!(known.look(one(), start).begun, [limited(1)]);
        let later = start + Duration::from_secs(10);
        assert!(known.look(one(), later).is_empty());
        assert!(known.look(std::iter::empty(), later + Duration::from_secs(14)).is_empty());
        let end = later + ENDS_AFTER;
        assert_eq!(known.look(std::iter::empty(), end).ended, [limited(1)]);
        assert!(known.look(std::iter::empty(), end).is_empty());
    }

    #[test]
    fn a_flood_from_everywhere_is_kept_in_bounds() {
        let (mut known, now) = (Known::default(), Instant::now());
        let change = known.look((0..100_000).map(limited), now);
        assert_eq!((change.begun.len(), known.0.len()), (KNOWN_MAX, KNOWN_MAX));
    }

    #[test]
    fn networks_are_written_as_the_config_cuts_them() {
        let limits = RateLimit::default();
        let v4 = Limited { network: 0xffff_c000_0200, class: RateClass::Error };
        assert_eq!(network(&v4, &limits).to_string(), "192.0.2.0/24");
        let v6 = Limited { network: 0x2001_0db8 << 96, class: RateClass::Error };
        assert_eq!(network(&v6, &limits).to_string(), "2001:db8::/56");
    }
}
