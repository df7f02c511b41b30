//! One change on several servers.
//!
//! ```text
//! dry run on all ─► any that refuses, or cannot be asked: nothing is changed anywhere
//!       └─────────► each changes, if nothing changed there meanwhile ─► account
//! ```
//!
//! Servers share no state, so "all or none" can be asked for but not promised: where one
//! fails after the dry run, the account says which have the change and which do not, and
//! the command fails. It must not know how anything is worded for people.

use serde::Serialize;
use tokio::task::JoinSet;

use super::arguments::ServersArguments;
use super::client::{Client, ClientError};
use crate::admin::problem::Problem;
use crate::admin::types::{ClearRequest, OverrideDone, OverrideRequest};

/// What is to be changed.
#[derive(Clone, Debug)]
pub(super) enum Change {
    Say(OverrideRequest),
    Clear(ClearRequest),
}

impl Change {
    fn with(&self, is_dry: bool, revision: Option<u64>) -> Change {
        let mut change = self.clone();
        let (dry_run, expected_revision) = match &mut change {
            Change::Say(request) => (&mut request.dry_run, &mut request.expected_revision),
            Change::Clear(request) => (&mut request.dry_run, &mut request.expected_revision),
        };
        (*dry_run, *expected_revision) = (is_dry, revision);
        change
    }

    async fn ask(&self, client: &Client) -> Result<OverrideDone, ClientError> {
        match self {
            Change::Say(request) => client.say_override(request).await,
            Change::Clear(request) => client.clear_overrides(request).await,
        }
    }
}

/// What became of it on one server.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Outcome {
    /// It would take it; it was not asked to.
    WouldApply,
    /// It has it.
    Applied,
    /// It does not take it.
    Refused,
    /// Nothing is said there that could be cleared.
    NothingToClear,
    /// It could not be asked.
    Unreachable,
    /// It may have it or not: it did not say in time, or broke off.
    Unknown,
}

/// One server's part of the account.
#[derive(Debug, Serialize)]
pub(super) struct Part {
    pub(super) server: String,
    pub(super) outcome: Outcome,
    /// What it does, or would do.
    pub(super) done: Option<OverrideDone>,
    /// Why it refuses.
    pub(super) problem: Option<Problem>,
    /// The same, or why it cannot be asked, in words.
    pub(super) error: Option<String>,
    #[serde(skip)]
    pub(super) client: Client,
}

/// What became of it.
#[derive(Debug, Serialize)]
pub(super) struct Account {
    /// Nothing was to be changed.
    pub(super) dry_run: bool,
    /// Every server has it, or would take it, but for those that may be left out.
    pub(super) done: bool,
    /// At least one server was told to change.
    pub(super) begun: bool,
    /// Every server, in the order in which they were named.
    pub(super) servers: Vec<Part>,
}

/// How a change is to be made.
#[derive(Clone, Copy, Debug)]
pub(super) struct How {
    pub(super) dry_run: bool,
    pub(super) even_if_unreachable: bool,
}

/// A client for each server that is named, each once.
pub(super) fn clients(arguments: &ServersArguments) -> Result<Vec<(String, Client)>, ClientError> {
    let mut clients: Vec<(String, Client)> = Vec::new();
    for server in &arguments.servers {
        let server = server.trim();
        let client = Client::trusting(
            server,
            arguments.token_file.as_deref(),
            arguments.ca_file.as_deref(),
        )?;
        // Told twice, it would refuse the second time: its revision is another by then.
        if !clients.iter().any(|(_, known)| known.is_same_server(&client)) {
            clients.push((server.to_owned(), client));
        }
    }
    Ok(clients)
}

/// Makes `change` on all servers, or on none, as far as that can be.
pub(super) async fn apply(change: &Change, clients: Vec<(String, Client)>, how: How) -> Account {
    let dry = clients.into_iter().map(|(server, client)| (server, client, change.with(true, None)));
    let mut servers = ask_all(dry.collect(), Outcome::WouldApply).await;
    let may_be_left_out =
        |part: &Part| how.even_if_unreachable && part.outcome == Outcome::Unreachable;
    // One that was dead when the others were told has nothing to clear: it is as wanted.
    if let Change::Clear(_) = change {
        servers.iter_mut().filter(|part| has_nothing(part)).for_each(|part| {
            part.outcome = Outcome::NothingToClear;
        });
    }
    let is_fine = |part: &Part, taken: Outcome| {
        part.outcome == taken || part.outcome == Outcome::NothingToClear || may_be_left_out(part)
    };
    let agreed = servers.iter().any(|part| part.outcome == Outcome::WouldApply)
        && servers.iter().all(|part| is_fine(part, Outcome::WouldApply));
    if !agreed || how.dry_run {
        return Account { dry_run: how.dry_run, done: agreed, begun: false, servers };
    }
    let mut told = Vec::new();
    for part in &servers {
        if let Some(done) = part.done.as_ref() {
            // What was judged is what is changed.
            let change = change.with(false, Some(done.revision));
            told.push((part.server.clone(), part.client.clone(), change));
        }
    }
    for part in ask_all(told, Outcome::Applied).await {
        if let Some(slot) = servers.iter_mut().find(|slot| slot.server == part.server) {
            *slot = part;
        }
    }
    let done = servers.iter().all(|part| is_fine(part, Outcome::Applied));
    Account { dry_run: false, done, begun: true, servers }
}

/// Asks all at once.
async fn ask_all(asked: Vec<(String, Client, Change)>, taken: Outcome) -> Vec<Part> {
    let mut asking = JoinSet::new();
    for (index, (server, client, change)) in asked.into_iter().enumerate() {
        asking.spawn(async move {
            let reply = change.ask(&client).await;
            (index, part(server, client, reply, taken))
        });
    }
    let mut parts = asking.join_all().await;
    parts.sort_by_key(|(index, _)| *index);
    parts.into_iter().map(|(_, part)| part).collect()
}

fn part(
    server: String,
    client: Client,
    reply: Result<OverrideDone, ClientError>,
    taken: Outcome,
) -> Part {
    let mut part = Part { server, outcome: taken, done: None, problem: None, error: None, client };
    match reply {
        Ok(done) => part.done = Some(done),
        Err(error) => {
            part.error = Some(error.to_string());
            part.outcome = match error {
                ClientError::Problem { problem, .. } => {
                    let is_open = taken == Outcome::Applied && may_have_taken(&problem);
                    part.problem = Some(*problem);
                    if is_open { Outcome::Unknown } else { Outcome::Refused }
                }
                ClientError::Connect { .. } => Outcome::Unreachable,
                // It may have been taken: what was asked is under way, or its reply is.
                ClientError::Late { .. } | ClientError::Strange { .. }
                    if taken == Outcome::Applied =>
                {
                    Outcome::Unknown
                }
                ClientError::Late { .. } | ClientError::Strange { .. } => Outcome::Unreachable,
                _ => Outcome::Refused,
            };
        }
    }
    part
}

/// Whether a server that was told to change may have done so although it reports this: it
/// gave up waiting for itself, or broke off.
fn may_have_taken(problem: &Problem) -> bool {
    // These two say that nothing was changed.
    problem.status >= 500 && !["not-saved", "not-ready"].contains(&kind(problem))
}

/// Whether a server that was asked to clear knows of nothing to clear.
fn has_nothing(part: &Part) -> bool {
    part.problem.as_ref().is_some_and(|p| p.status == 404 && kind(p) == "not-found")
}

/// The last word of a problem's type.
fn kind(problem: &Problem) -> &str {
    problem.kind.rsplit(':').next().unwrap_or_default()
}

#[cfg(test)]
mod tests;
