//! `windrose diff`: what a change of the config would do to answers, all being up.

use std::sync::Arc;

use super::{DiffArguments, Failed, moves, print, print_json};
use crate::daemon;
use crate::daemon::load::{self, Before};

pub(super) fn run(arguments: &DiffArguments) -> Result<(), Failed> {
    let weights = moves::weights(&arguments.measure)?;
    let refused = |refused: Box<load::Refused>| Failed(refused.report);
    let old = load::load(&arguments.old).map_err(refused)?;
    let geo = old.geo;
    let old = daemon::all_up(old.snapshot);
    // Maps and the geo table are shared where they are the same.
    let before = Before {
        serials: old.snapshot.serials.clone(),
        snapshot: Some(Arc::clone(&old.snapshot)),
        geo: Some(geo),
        generation: old.snapshot.generation,
        offered: None,
    };
    let new = load::load_after(&arguments.new, before).map_err(refused)?;
    let new = daemon::all_up(new.snapshot);
    let simulation = daemon::diff(&old, &new, &weights, arguments.measure.limit as usize);
    if arguments.json { print_json(&simulation) } else { print(&moves::text(&simulation)) }
}
