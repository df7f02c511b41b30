//! What the prober may use of the process: its threads' priority, and how many
//! descriptors (docs/HEALTH.md, decision 0037).
//!
//! A probe that finds no descriptor is a fault of ours; a listener that finds none
//! answers nobody. So some are kept back, and probes wait for each other instead.

use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::config::model::Config;
use crate::listen::udp_batch;
use crate::probe::ProbeLimits;

/// Added to the niceness of threads that probe: beside threads that answer without a
/// pause they still get a quarter of a processor.
const NICENESS: i32 = 5;
/// How long one of them may hold up those that answer.
const SLICE: Duration = Duration::from_micros(100);

/// Descriptors that are neither of probes nor of DNS connections: UDP sockets, the
/// admin listener and its connections, files while a config is loaded, pipes.
const DESCRIPTORS_BESIDE: u64 = 512;
/// Probes that run at once however few descriptors there are.
const CONCURRENCY_MIN: u32 = 16;

/// Makes this thread come after those that answer.
pub(super) fn give_way() {
    if let Err(error) = udp_batch::give_way(NICENESS, SLICE) {
        tracing::debug!(%error, "probes run at the priority of everything else");
    }
}

/// Lets the process open as many descriptors as it may; how many, none: no limit.
pub(super) fn raise_descriptors() -> Option<u64> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current == maximum {
        return current;
    }
    match setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        Ok(()) => maximum,
        Err(error) => {
            tracing::warn!(%error, "the soft limit of open files cannot be raised to the hard one");
            current
        }
    }
}

/// Caps on probes: as configured, as far as `descriptors` go.
pub(super) fn limits(config: &Config, descriptors: Option<u64>) -> ProbeLimits {
    let configured = config.health.concurrency;
    // As many again, where TLS is spoken.
    let transports = if config.tls.listens().is_empty() { 1 } else { 2 };
    let connections = u64::from(config.server.tcp_connections_max) * transports;
    let concurrency = capped(configured, connections, descriptors);
    if concurrency < configured {
        tracing::warn!(
            descriptors,
            connections,
            configured,
            concurrency,
            "fewer probes run at once than configured: the limit of open files is too low",
        );
    }
    ProbeLimits { concurrency, concurrency_per_address: config.health.concurrency_per_address }
}

fn capped(configured: u32, connections: u64, descriptors: Option<u64>) -> u32 {
    let Some(descriptors) = descriptors else { return configured };
    let left = descriptors.saturating_sub(connections.saturating_add(DESCRIPTORS_BESIDE));
    let left = u32::try_from(left).unwrap_or(u32::MAX).max(CONCURRENCY_MIN);
    configured.min(left)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probes_leave_descriptors_to_those_that_answer() {
        assert_eq!(capped(4_096, 1_000, None), 4_096);
        assert_eq!(capped(4_096, 1_000, Some(1_000_000)), 4_096);
        assert_eq!(capped(4_096, 1_000, Some(5_000)), 5_000 - 1_000 - 512);
        assert_eq!(capped(4_096, 1_000, Some(1_024)), 16, "some are always probed");
        assert_eq!(capped(8, 1_000, Some(1_024)), 8);
        assert_eq!(capped(4_096, u64::MAX, Some(5_000)), 16);
    }

    #[test]
    fn the_soft_limit_of_descriptors_becomes_the_hard_one() {
        let raised = raise_descriptors();
        let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
        assert_eq!((raised, current), (current, maximum));
    }
}
