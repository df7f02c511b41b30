//! The last minutes of each datacenter, for the status page: how long its probes took,
//! how many answers named it.
//!
//! ```text
//! prober's sums, workers' counters ──every 5 s──► differences ──► a ring per datacenter
//! ```
//!
//! Rings go by name, so that they outlive reloads; what cannot be compared with the
//! sample before, as after a reload that numbers datacenters anew, is a gap. It must not
//! know HTTP, and it is for eyes: whoever keeps figures scrapes `/metrics`.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::{Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio::time::{MissedTickBehavior, interval};

use super::publisher::Publisher;
use crate::admin::types::DatacentersPage;
use crate::probe::SiteProbes;

/// Time between two samples, in seconds.
const INTERVAL_S: u32 = 5;
/// Points kept: five minutes.
const POINTS: usize = 60;

/// The rings.
#[derive(Debug, Default)]
pub(super) struct Series(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    rings: HashMap<String, Ring>,
    last: Option<Sample>,
}

#[derive(Debug, Default)]
struct Ring {
    probe_ms: VecDeque<Option<f64>>,
    answers_per_s: VecDeque<Option<f64>>,
}

/// Sums as they are at one moment.
#[derive(Clone, Debug)]
struct Sample {
    at: Instant,
    /// Names of the datacenters, in the order of the config.
    names: Vec<String>,
    probes: SiteProbes,
    /// Answers by datacenter; none: they are not counted.
    answers: Option<Vec<u64>>,
}

/// Fills `series` until the server stops.
pub(super) async fn sample(series: Arc<Series>, publisher: Weak<Publisher>) {
    let mut ticks = interval(Duration::from_secs(u64::from(INTERVAL_S)));
    // A sample says how long it covers by itself.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let (publisher, series) = (publisher.clone(), Arc::clone(&series));
        // Thousands of counters are read: not on a thread that others wait for.
        let taken = tokio::task::spawn_blocking(move || {
            let publisher = publisher.upgrade()?;
            series.push(take(&publisher));
            Some(())
        });
        if !matches!(taken.await, Ok(Some(()))) {
            return;
        }
    }
}

fn take(publisher: &Publisher) -> Sample {
    let (_counts_stay, serving) = publisher.counted();
    let datacenters = &serving.snapshot.config.datacenters;
    Sample {
        at: Instant::now(),
        names: datacenters.iter().map(|datacenter| datacenter.name.clone()).collect(),
        probes: publisher.prober().map(|prober| prober.sites()).unwrap_or_default(),
        answers: serving.answers_by_datacenter(),
    }
}

impl Series {
    /// Adds the points between the sample before and `sample`.
    fn push(&self, sample: Sample) {
        let mut state = self.state();
        let State { rings, last } = &mut *state;
        rings.retain(|name, _| sample.names.contains(name));
        if let Some(last) = last {
            for (index, name) in sample.names.iter().enumerate() {
                let ring = rings.entry(name.clone()).or_default();
                push(&mut ring.probe_ms, probe_ms(last, &sample, index));
                match &sample.answers {
                    Some(_) => push(&mut ring.answers_per_s, answers_per_s(last, &sample, index)),
                    None => ring.answers_per_s.clear(),
                }
            }
        }
        *last = Some(sample);
    }

    /// Writes the rings into a page.
    pub(super) fn fill(&self, page: &mut DatacentersPage) {
        let state = self.state();
        page.series_interval_s = INTERVAL_S;
        for datacenter in &mut page.datacenters {
            if let Some(ring) = state.rings.get(&datacenter.name) {
                datacenter.probe_ms = ring.probe_ms.iter().copied().collect();
                datacenter.answers_per_s = ring.answers_per_s.iter().copied().collect();
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Rings may miss a point after a panic; nothing worse.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn push(ring: &mut VecDeque<Option<f64>>, point: Option<f64>) {
    if ring.len() == POINTS {
        ring.pop_front();
    }
    ring.push_back(point.map(rounded));
}

/// Mean time of the probes that passed in between; none: there was none, or they
/// belong to different plans.
fn probe_ms(last: &Sample, sample: &Sample, index: usize) -> Option<f64> {
    if last.probes.plan != sample.probes.plan || last.names != sample.names {
        return None;
    }
    let now = sample.probes.sites.get(index)?;
    let before = last.probes.sites.get(index).copied().unwrap_or_default();
    let passed = now.passed.checked_sub(before.passed).filter(|passed| *passed > 0)?;
    let duration_us = now.duration_us_sum.checked_sub(before.duration_us_sum)?;
    Some(duration_us as f64 / passed as f64 / 1_000.0)
}

/// Answers a second in between; none: what was counted before cannot be compared.
fn answers_per_s(last: &Sample, sample: &Sample, index: usize) -> Option<f64> {
    let place = last.names.iter().position(|name| *name == sample.names[index])?;
    let now = *sample.answers.as_ref()?.get(index)?;
    let before = *last.answers.as_ref()?.get(place)?;
    // Fewer than before: a WIP went with its counts.
    let answers = now.checked_sub(before)?;
    let elapsed_s = sample.at.duration_since(last.at).as_secs_f64();
    (elapsed_s > 0.0).then(|| answers as f64 / elapsed_s)
}

/// To hundredths: more is noise, and bytes.
fn rounded(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::types::Datacenter;
    use crate::probe::SiteCounters;

    fn sample(at: Instant, names: &[&str], plan: u64, sums: &[(u64, u64, u64)]) -> Sample {
        let site = |&(passed, duration_us_sum, _): &(u64, u64, u64)| SiteCounters {
            passed,
            duration_us_sum,
        };
        Sample {
            at,
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            probes: SiteProbes { plan, sites: sums.iter().map(site).collect() },
            answers: Some(sums.iter().map(|(_, _, answers)| *answers).collect()),
        }
    }

    fn shown(series: &Series, name: &str) -> (Vec<Option<f64>>, Vec<Option<f64>>) {
        let datacenter = Datacenter { name: name.to_owned(), ..Datacenter::default() };
        let mut page = DatacentersPage { datacenters: vec![datacenter], series_interval_s: 0 };
        series.fill(&mut page);
        assert_eq!(page.series_interval_s, INTERVAL_S);
        let datacenter = page.datacenters.remove(0);
        (datacenter.probe_ms, datacenter.answers_per_s)
    }

    #[test]
    fn points_are_what_happened_between_two_samples() {
        let series = Series::default();
        let start = Instant::now();
        series.push(sample(start, &["fra", "iad"], 1, &[(10, 50_000, 100), (0, 0, 0)]));
        assert_eq!(shown(&series, "fra"), (vec![], vec![]), "one sample is no difference");
        let later = start + Duration::from_secs(4);
        series.push(sample(later, &["fra", "iad"], 1, &[(14, 60_000, 110), (0, 0, 0)]));
        assert_eq!(shown(&series, "fra"), (vec![Some(2.5)], vec![Some(2.5)]));
        assert_eq!(shown(&series, "iad"), (vec![None], vec![Some(0.0)]), "no probe, no answer");
        assert_eq!(shown(&series, "elsewhere"), (vec![], vec![]));
    }

    #[test]
    fn a_reload_leaves_a_gap_and_keeps_the_rest() {
        let series = Series::default();
        let start = Instant::now();
        let at = |second| start + Duration::from_secs(second);
        series.push(sample(at(0), &["fra", "iad"], 1, &[(1, 1_000, 10), (1, 9_000, 50)]));
        series.push(sample(at(1), &["fra", "iad"], 1, &[(2, 2_000, 20), (2, 18_000, 70)]));
        // Another order, and sums of probes that begin anew.
        series.push(sample(at(2), &["iad", "fra"], 2, &[(3, 27_000, 100), (9, 9_000, 25)]));
        series.push(sample(at(3), &["iad", "fra"], 2, &[(4, 36_000, 90), (9, 9_000, 30)]));
        let (probe_ms, answers) = shown(&series, "fra");
        assert_eq!(probe_ms, [Some(1.0), None, None]);
        assert_eq!(answers, [Some(10.0), Some(5.0), Some(5.0)]);
        let (probe_ms, answers) = shown(&series, "iad");
        assert_eq!(probe_ms, [Some(9.0), None, Some(9.0)]);
        assert_eq!(answers, [Some(20.0), Some(30.0), None], "a WIP went with its counts");
        series.push(sample(at(4), &["fra"], 3, &[(0, 0, 0)]));
        assert_eq!(shown(&series, "iad"), (vec![], vec![]), "a site that is gone is forgotten");
    }

    #[test]
    fn rings_are_bounded_and_uncounted_answers_empty() {
        let series = Series::default();
        let start = Instant::now();
        for second in 0..2 * POINTS as u64 {
            let at = start + Duration::from_secs(second);
            series.push(sample(at, &["fra"], 1, &[(second, second * 1_000, second)]));
        }
        let (probe_ms, answers) = shown(&series, "fra");
        assert_eq!((probe_ms.len(), answers.len()), (POINTS, POINTS));
        let last = sample(start + Duration::from_secs(999), &["fra"], 1, &[(999, 999_000, 0)]);
        series.push(Sample { answers: None, ..last });
        assert_eq!(shown(&series, "fra").1, []);
    }
}
