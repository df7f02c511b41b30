//! `windrose simulate`: offline from a config, or by a running server with its health.

use super::client::Client;
use super::{Failed, SimulateArguments, moves, operate, print, print_json};
use crate::admin::types::{
    OverrideKind, OverrideTarget, SimulateRequest, Simulation, ThoughtOverride, WEIGHTS_MAX,
    WeightedNetwork,
};
use crate::daemon;
use crate::daemon::load;

pub(super) fn run(arguments: &SimulateArguments) -> Result<(), Failed> {
    let simulation = match &arguments.config {
        Some(path) => offline(path, arguments)?,
        None => online(arguments)?,
    };
    if arguments.operate.json {
        return print_json(&simulation);
    }
    print(&moves::text(&simulation))
}

fn online(arguments: &SimulateArguments) -> Result<Simulation, Failed> {
    let weights = moves::weights(&arguments.measure)?;
    if weights.len() > WEIGHTS_MAX {
        return Err(Failed(format!(
            "a running server takes {WEIGHTS_MAX} weighted networks, and this list has {}; \
             simulate --config takes any number",
            weights.len()
        )));
    }
    let weights = weights.iter().map(|weighted| WeightedNetwork {
        network: weighted.network.to_string(),
        weight: weighted.weight,
    });
    let request = SimulateRequest {
        weights: weights.collect(),
        limit: Some(arguments.measure.limit),
        ..thought(arguments)
    };
    operate::ask(&arguments.operate, async |client: Client| client.simulate(&request).await)
}

/// From the file alone: nothing is probed, so all that is not thought down counts as up.
fn offline(path: &std::path::Path, arguments: &SimulateArguments) -> Result<Simulation, Failed> {
    let weights = moves::weights(&arguments.measure)?;
    let candidate = load::load(path).map_err(|refused| Failed(refused.report))?;
    let serving = daemon::all_up(candidate.snapshot);
    let limit = arguments.measure.limit as usize;
    Ok(daemon::simulate(&serving, &thought(arguments), &weights, limit, &|| true)?)
}

fn thought(arguments: &SimulateArguments) -> SimulateRequest {
    let drain = |site: &String| ThoughtOverride {
        kind: OverrideKind::Drain,
        target: OverrideTarget { datacenter: Some(site.clone()), ..OverrideTarget::default() },
    };
    SimulateRequest {
        down: arguments.down.clone(),
        overrides: arguments.drain.iter().map(drain).collect(),
        ..SimulateRequest::default()
    }
}
