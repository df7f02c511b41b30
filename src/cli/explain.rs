//! `windrose explain`: offline from a config, or by a running server.

use std::net::{IpAddr, Ipv4Addr};

use super::client::Client;
use super::{ExplainArguments, Failed, operate, print, print_json};
use crate::admin::types::ExplainRequest;
use crate::answer::explain::{Explanation, Request, explain};
use crate::daemon::{all_up, load, think_down};
use crate::dns::Name;
use crate::dns::types::rtype;

pub(super) fn run(arguments: &ExplainArguments) -> Result<(), Failed> {
    let name = Name::parse(&arguments.name)
        .map_err(|error| Failed(format!("name \"{}\": {error}", arguments.name)))?;
    let explanation = match &arguments.config {
        Some(path) => offline(path, &name, arguments)?,
        None => online(name, arguments)?,
    };
    if arguments.operate.json { print_json(&explanation) } else { print(&explanation.to_string()) }
}

fn online(name: Name, arguments: &ExplainArguments) -> Result<Explanation, Failed> {
    let request = ExplainRequest {
        name,
        record_type: arguments.rtype.to_ascii_uppercase(),
        client: arguments.client,
        ecs: arguments.ecs,
        down: arguments.down.clone(),
    };
    let value =
        operate::ask(&arguments.operate, async |client: Client| client.explain(&request).await)?;
    serde_json::from_value(value).map_err(|error| {
        Failed(format!("the server's explanation cannot be read ({error}): another version?"))
    })
}

/// From the file alone: nothing is probed, so all that is not thought down
/// counts as up.
fn offline(
    path: &std::path::Path,
    name: &Name,
    arguments: &ExplainArguments,
) -> Result<Explanation, Failed> {
    let number = rtype::parse(&arguments.rtype).ok_or_else(|| {
        Failed(format!("\"{}\" is no record type: write A, AAAA or TYPE65", arguments.rtype))
    })?;
    let candidate = load::load(path).map_err(|refused| Failed(refused.report))?;
    let serving = all_up(candidate.snapshot);
    let thought = think_down(&serving, &arguments.down).map_err(Failed)?;
    let request = Request {
        name,
        rtype: number,
        client: arguments.client.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        subnet: arguments.ecs.map(|network| (network.addr(), network.prefix_len())),
        detail_of: &|_| None,
        said_of: &|_, _| None,
        probed: false,
    };
    Ok(explain(thought.as_ref().unwrap_or(&serving), &request))
}
