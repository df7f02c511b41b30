//! The rows, the table, and whether the bounds hold.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::{Kind, Trial};

/// From the verdict to the first changed answer, at the 99th percentile.
const ANSWER_BOUND_MS: f64 = 5.0;

/// Writes a row for each trial to `path`, prints the table; whether every bound holds.
pub(crate) fn write(trials: &[Arc<Trial>], path: &Path) -> Result<bool, String> {
    let mut rows = String::new();
    for trial in trials {
        let time = |time: &AtomicU64| match time.load(Ordering::Relaxed) {
            0 => serde_json::Value::Null,
            at_us => at_us.into(),
        };
        let row = serde_json::json!({
            "kind": trial.kind.word(),
            "wip": trial.wip,
            "died_us": time(&trial.died_us),
            "verdict_us": time(&trial.verdict_us),
            "last_named_us": time(&trial.last_named_us),
            "first_changed_us": time(&trial.first_changed_us),
        });
        let _ = writeln!(rows, "{row}");
    }
    std::fs::write(path, rows).map_err(|error| format!("{}: {error}", path.display()))?;
    println!(
        "| death | trials | noticed | p50 ms | p99 ms | max ms | bound ms | verdict to answer p50, p99, max ms | |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    let mut holds = true;
    for kind in Kind::ALL {
        holds &= line(kind, trials);
    }
    Ok(holds)
}

fn line(kind: Kind, trials: &[Arc<Trial>]) -> bool {
    let of_kind: Vec<&Trial> =
        trials.iter().map(|trial| &**trial).filter(|trial| trial.kind == kind).collect();
    let noticed: Vec<&&Trial> = of_kind
        .iter()
        .filter(|trial| trial.first_changed_us.load(Ordering::Relaxed) != 0)
        .collect();
    let safety = sorted(noticed.iter().filter_map(|trial| {
        // Where no answer was asked for between death and change, the death itself.
        let named_us = trial.last_named_us.load(Ordering::Relaxed);
        let died_us = trial.died_us.load(Ordering::Relaxed);
        between_ms(died_us, named_us.max(died_us))
    }));
    let answer = sorted(noticed.iter().filter_map(|trial| {
        let (verdict, changed) = (&trial.verdict_us, &trial.first_changed_us);
        between_ms(verdict.load(Ordering::Relaxed), changed.load(Ordering::Relaxed))
    }));
    let (p50, p99, max) = percentiles(&safety);
    let (a50, a99, amax) = percentiles(&answer);
    let bound = kind.bound_ms();
    let complete = noticed.len() == of_kind.len() && answer.len() == of_kind.len();
    let holds = complete && p99 <= bound && a99 < ANSWER_BOUND_MS;
    println!(
        "| {} | {} | {} | {p50:.0} | {p99:.0} | {max:.0} | {bound:.0} | {a50:.2}, {a99:.2}, {amax:.2} | {} |",
        kind.word(),
        of_kind.len(),
        noticed.len(),
        if holds { "holds" } else { "BROKEN" }
    );
    holds
}

/// None where one of them is not known.
fn between_ms(from_us: u64, to_us: u64) -> Option<f64> {
    (from_us != 0 && to_us != 0).then(|| (to_us as f64 - from_us as f64) / 1_000.0)
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}

/// Median, 99th percentile and largest, by the nearest rank; infinite where there is
/// nothing, for no bound holds then.
fn percentiles(values: &[f64]) -> (f64, f64, f64) {
    let rank = |share: f64| {
        let rank = (values.len() as f64 * share).ceil().max(1.0) as usize;
        values.get(rank - 1).copied().unwrap_or(f64::INFINITY)
    };
    (rank(0.5), rank(0.99), rank(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_nearest_rank() {
        let values: Vec<f64> = (1..=300).map(f64::from).collect();
        assert_eq!(percentiles(&values), (150.0, 297.0, 300.0));
        assert_eq!(percentiles(&values[..20]), (10.0, 20.0, 20.0));
        assert_eq!(percentiles(&[]).1, f64::INFINITY);
    }

    #[test]
    fn bounds_are_those_of_the_formula() {
        let bounds = Kind::ALL.map(Kind::bound_ms);
        assert_eq!(bounds.map(|bound| bound.round() as u64), [7_550, 13_550, 7_550]);
    }
}
