//! `simulate` and `diff`: states are made, compared, and told in the API's words.
//!
//! One simulation at a time, within a time: it costs a core, which answers need more.

use std::sync::{Mutex, TryLockError};
use std::time::{Duration, Instant};

use super::publisher;
use super::think::{frozen, think_down, think_said};
use crate::admin::ApiError;
use crate::admin::types::{
    Flow, MOVES_MAX, Moves, Share, SimulateRequest, Simulation, WEIGHTS_MAX, WipMoves,
};
use crate::snapshot::Serving;
use crate::whatif::{self, Change, Comparison, Measure, Stopped, Weighted};

/// Longest that a simulation of a running server takes: less than a request may.
const TIME_MAX: Duration = Duration::from_secs(20);
/// WIPs listed where nobody says how many.
const LISTED: u32 = 100;
/// Shares are told so finely: a millionth.
const SHARE_STEPS: f64 = 1e6;

/// Simulations of a running server.
#[derive(Debug, Default)]
pub(super) struct Simulations {
    one: Mutex<()>,
}

impl Simulations {
    /// Runs one, or says why not.
    pub(super) fn run(
        &self,
        serving: &Serving,
        request: &SimulateRequest,
    ) -> Result<Simulation, ApiError> {
        let weights = weights(request)?;
        let limit = request.limit.unwrap_or(LISTED) as usize;
        if limit > MOVES_MAX {
            return Err(ApiError::Invalid(format!("limit is {limit}: at most {MOVES_MAX}")));
        }
        // One that panicked left nothing behind.
        let _one = match self.one.try_lock() {
            Ok(one) => one,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => {
                return Err(ApiError::NotReady(
                    "another simulation runs; try again when it is done".to_owned(),
                ));
            }
        };
        let started = Instant::now();
        let go_on = || started.elapsed() < TIME_MAX;
        // A thread of its own: a priority that was lowered cannot be raised again.
        std::thread::scope(|scope| {
            let think = || {
                publisher::give_way();
                simulate(serving, request, &weights, limit, &go_on)
            };
            match std::thread::Builder::new().name("simulate".to_owned()).spawn_scoped(scope, think)
            {
                Ok(thread) => {
                    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
                }
                Err(error) => Err(ApiError::NotReady(format!("no thread can be started: {error}"))),
            }
        })
    }
}

/// Simulates on what is served, or on a config alone.
pub(crate) fn simulate(
    serving: &Serving,
    request: &SimulateRequest,
    weights: &[Weighted],
    limit: usize,
    go_on: &dyn Fn() -> bool,
) -> Result<Simulation, ApiError> {
    if request.down.is_empty() && request.overrides.is_empty() {
        return Err(ApiError::Invalid(
            "nothing is thought: name datacenters in `down`, or `overrides`".to_owned(),
        ));
    }
    let before = frozen(serving);
    let said = think_said(&before, &request.overrides)?;
    let said = said.as_ref().unwrap_or(&before);
    let after = think_down(said, &request.down).map_err(ApiError::NotFound)?;
    let after = after.as_ref().unwrap_or(said);
    let compared = whatif::compare(&before, after, weights, limit, go_on);
    compared.map(told).map_err(|Stopped| {
        ApiError::NotReady(format!(
            "this config takes more than {} s to simulate, and the server must answer queries: \
             use simulate --config where none runs",
            TIME_MAX.as_secs()
        ))
    })
}

/// Compares two configs, all up.
pub(crate) fn diff(old: &Serving, new: &Serving, weights: &[Weighted], limit: usize) -> Simulation {
    // Nobody stops it.
    whatif::compare(old, new, weights, limit, &|| true).map_or_else(|_| Simulation::default(), told)
}

fn weights(request: &SimulateRequest) -> Result<Vec<Weighted>, ApiError> {
    if request.weights.len() > WEIGHTS_MAX {
        let count = request.weights.len();
        return Err(ApiError::Invalid(format!("{count} weights: at most {WEIGHTS_MAX}")));
    }
    let weighted = request.weights.iter().map(|said| Weighted::new(&said.network, said.weight));
    weighted.collect::<Result<_, _>>().map_err(ApiError::Invalid)
}

//------------ Telling --------------------------------------------------------

/// A comparison as the API gives it.
fn told(comparison: Comparison) -> Simulation {
    let measure = match comparison.measure {
        Measure::AddressSpace => "address space",
        Measure::Weights => "weights",
    };
    let wips = comparison.names.into_iter().map(|name| WipMoves {
        wip: name.name,
        is_alias: name.is_alias,
        change: match name.change {
            Change::Removed => "removed",
            Change::Lost => "lost",
            Change::Moved => "moved",
            Change::Added => "added",
        }
        .to_owned(),
        moves: moves(name.moves),
    });
    Simulation {
        wips_total: comparison.wips,
        wips_moved: comparison.wips_moved,
        wips_lost: comparison.wips_lost,
        names_added: comparison.names_added,
        names_removed: comparison.names_removed,
        wips: wips.collect(),
        all: moves(comparison.all),
        measure: measure.to_owned(),
    }
}

fn moves(moves: whatif::Moves) -> Moves {
    let share = |(to, [before, after]): (String, [f64; 2])| Share {
        to,
        before: rounded(before),
        after: rounded(after),
    };
    let flow = |([from, to], share): ([String; 2], f64)| Flow { from, to, share: rounded(share) };
    Moves {
        moved: rounded(moves.moved),
        moved_v4: rounded(moves.moved_v4),
        moved_v6: rounded(moves.moved_v6),
        shares: moves.shares.into_iter().map(share).collect(),
        flows: moves.flows.into_iter().map(flow).collect(),
    }
}

fn rounded(share: f64) -> f64 {
    (share * SHARE_STEPS).round() / SHARE_STEPS
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};
    use std::sync::Arc;

    use super::*;
    use crate::admin::types::WeightedNetwork;
    use crate::config::{self, Files};
    use crate::geo::BaseTable;
    use crate::health::table::Table;
    use crate::snapshot::{self, Input, Serials};

    struct NoFile;

    impl Files for NoFile {
        fn read(&self, _: &Path) -> std::io::Result<Vec<u8>> {
            Ok(Vec::new())
        }

        fn glob(&self, _: &str) -> Result<Vec<PathBuf>, String> {
            Ok(Vec::new())
        }

        fn exists(&self, _: &Path) -> bool {
            true
        }
    }

    fn serving() -> Serving {
        let config = config::load(Path::new("windrose.toml"), &NoFile).config.unwrap();
        let input = Input {
            config: Arc::new(config),
            base: Arc::new(BaseTable::from_networks(&[])),
            serials: Serials::default(),
            now_s: 1_800_000_000,
            generation: 1,
        };
        let (snapshot, _) = snapshot::compile(input).unwrap();
        let table = Table::new(snapshot.plan.verdicts.len());
        Serving::new(Arc::new(snapshot), Arc::new(table), 1, None)
    }

    #[test]
    fn one_at_a_time_and_the_others_are_told_to_come_again() {
        let (simulations, serving) = (Simulations::default(), serving());
        let request = SimulateRequest { down: vec!["fra".to_owned()], ..Default::default() };
        let busy = simulations.one.lock().unwrap();
        let refused = simulations.run(&serving, &request).unwrap_err();
        assert!(matches!(&refused, ApiError::NotReady(_)), "{refused:?}");
        assert!(refused.to_string().contains("another simulation runs"), "{refused}");
        drop(busy);
        // It is run, and finds that there is no such datacenter.
        let refused = simulations.run(&serving, &request).unwrap_err();
        assert!(matches!(&refused, ApiError::NotFound(_)), "{refused:?}");
    }

    #[test]
    fn weights_that_have_no_sum_are_refused() {
        for weight in [0.0, -1.0, 1e-300, 1e300, f64::NAN, f64::INFINITY] {
            let network = "192.0.2.0/24".to_owned();
            let request = SimulateRequest {
                weights: vec![WeightedNetwork { network, weight }],
                ..SimulateRequest::default()
            };
            let refused = weights(&request).unwrap_err().to_string();
            assert!(refused.contains("write a number from 1e-9 to 1e15"), "{refused}");
        }
    }
}
