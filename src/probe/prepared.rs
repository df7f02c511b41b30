//! What probes use and do not make: TLS settings and patterns of one plan, and
//! what one target keeps from probe to probe.
//!
//! Made when a plan is applied, off the prober's threads, so that a probe reads no
//! file and compiles nothing.

use std::collections::HashMap;
use std::sync::Arc;

use super::body::Wanted;
use super::session::Session;
use super::tls::TlsConfigs;
use crate::health::check::{ProbeKind, TextMatch, body_regex};
use crate::health::plan::Plan;
use crate::health::{Failure, FailureKind};

/// All that one plan's probes share.
#[derive(Debug, Default)]
pub(super) struct Prepared {
    pub(super) tls: TlsConfigs,
    wanted: HashMap<TextMatch, Result<Wanted, String>>,
}

/// What one probe is given.
#[derive(Clone, Debug, Default)]
pub(super) struct Tools {
    pub(super) prepared: Arc<Prepared>,
    /// The target's TLS session; none: every handshake is a full one.
    pub(super) session: Option<Arc<Session>>,
}

impl Tools {
    /// The same for a handshake that must not resume.
    pub(super) fn without_session(&self) -> Tools {
        Tools { prepared: Arc::clone(&self.prepared), session: None }
    }
}

impl Prepared {
    /// Reads every file `plan` names and compiles every pattern. Settings of `before`
    /// whose files are unchanged go on, and with them the sessions made under them.
    /// Blocks.
    pub(super) fn load(plan: &Plan, before: &Prepared) -> Prepared {
        let mut wanted = HashMap::new();
        for target in &plan.targets {
            let ProbeKind::Http(probe) = &target.identity.probe else { continue };
            let Some(expected) = &probe.expect_body else { continue };
            if !wanted.contains_key(expected) {
                wanted.insert(expected.clone(), compile(expected));
            }
        }
        Prepared { tls: TlsConfigs::load(plan, &before.tls), wanted }
    }

    /// What `expected` searches for.
    pub(super) fn wanted(&self, expected: &TextMatch) -> Result<&Wanted, Failure> {
        let ours = |detail: &str| Failure::new(FailureKind::Internal, detail);
        match self.wanted.get(expected) {
            Some(Ok(wanted)) => Ok(wanted),
            Some(Err(error)) => Err(ours(error)),
            None => Err(ours("expect_body was not prepared")),
        }
    }
}

fn compile(expected: &TextMatch) -> Result<Wanted, String> {
    match expected {
        TextMatch::Text(text) => Ok(Wanted::Text(text.as_bytes().to_vec())),
        TextMatch::Regex(pattern) => body_regex(pattern)
            .map(Wanted::Pattern)
            .map_err(|error| format!("expect_body_regex: {error}")),
    }
}
