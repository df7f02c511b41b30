//! The one task that owns the engine: starts what is due, takes results in,
//! follows commands.
//!
//! Probes run as tasks of their own and report over a channel; a probe that
//! panics reports that. The runner never waits for any of them.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc as blocking;
use std::time::Duration;

use tokio::sync::{broadcast, mpsc, oneshot};

use super::attempt::attempt;
use super::counters::{Lag, TURN_MS_MAX};
use super::limit::{ProbeLimits, Slots, Wanted};
use super::tls::TlsConfigs;
use super::{Notice, Progress, Shared, View};
use crate::clock::Clock;
use crate::health::plan::{Plan, ProbeAddress, TargetId};
use crate::health::table::{State, Table};
use crate::health::{Engine, Event, Failure, FailureKind, Now, Outcome, ProbeKey};

/// Reports taken in before the schedule is looked at again.
const REPORTS_PER_TURN: usize = 256;

/// Silent targets named one by one; a stalled prober silences all at once.
const SILENT_LOGGED_MAX: usize = 8;

/// What the handle asks of the runner.
pub(super) enum Command {
    Apply { plan: Plan, tls: TlsConfigs, reply: blocking::SyncSender<Arc<Table>> },
    Limits(ProbeLimits),
    View(oneshot::Sender<View>),
    Stop,
}

/// How one probe ended.
struct Report {
    key: ProbeKey,
    address: ProbeAddress,
    result: Result<(), Failure>,
    duration_us: u64,
    certificate_expires_s: Option<u64>,
}

/// See the module.
pub(super) struct Runner {
    engine: Engine,
    tls: Arc<TlsConfigs>,
    slots: Slots,
    lag: Lag,
    clock: Clock,
    shared: Arc<Shared>,
    notices: broadcast::Sender<Arc<Notice>>,
    reports: mpsc::UnboundedSender<Report>,
}

impl Runner {
    /// Runs until told to stop or until the handle is gone.
    pub(super) async fn run(
        limits: ProbeLimits,
        clock: Clock,
        shared: Arc<Shared>,
        notices: broadcast::Sender<Arc<Notice>>,
        mut commands: mpsc::UnboundedReceiver<Command>,
    ) {
        let (reports, mut ended) = mpsc::unbounded_channel();
        let mut runner = Runner {
            engine: Engine::new(Plan::default(), None, clock.now()),
            tls: Arc::default(),
            slots: Slots::new(limits),
            lag: Lag::default(),
            clock,
            shared,
            notices,
            reports,
        };
        loop {
            let wait = runner.turn();
            tokio::select! {
                command = commands.recv() => match command {
                    Some(Command::Stop) | None => return,
                    Some(command) => runner.obey(command),
                },
                Some(report) = ended.recv() => {
                    runner.take(report);
                    for _ in 1..REPORTS_PER_TURN {
                        let Ok(report) = ended.try_recv() else { break };
                        runner.take(report);
                    }
                }
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Starts what is due. Returns how long nothing else will be.
    fn turn(&mut self) -> Duration {
        let now = self.clock.now();
        while let Some(due) = self.engine.take_due(now) {
            if let Some(target) = self.engine.target_of(due.key) {
                self.slots.want(Wanted::new(due, target.identity.address.clone()));
            }
        }
        self.start_waiting(now);
        let events = self.engine.expire(now);
        self.announce(events, now);
        let shared = &self.shared;
        shared.counters.turn_ms.store(now.mono_ms, Ordering::Relaxed);
        shared.counters.lag_ms.store(self.lag.most_ms(now.mono_ms), Ordering::Relaxed);
        shared.counters.in_flight.store(u64::from(self.slots.in_flight()), Ordering::Relaxed);
        shared.counters.waiting.store(self.slots.waiting() as u64, Ordering::Relaxed);
        let next_ms = self.engine.next_ms().unwrap_or(u64::MAX);
        Duration::from_millis(next_ms.saturating_sub(now.mono_ms).min(TURN_MS_MAX))
    }

    fn start_waiting(&mut self, now: Now) {
        while let Some(wanted) = self.slots.next() {
            let lag_ms = now.mono_ms.saturating_sub(wanted.due_ms);
            self.lag.add(lag_ms, now.mono_ms);
            self.shared.counters.started(lag_ms);
            // A reload may have removed it while it waited.
            match self.engine.target_id(wanted.key) {
                Some(id) => self.start(wanted.key, id, wanted.address),
                None => self.slots.release(&wanted.address),
            }
        }
    }

    fn start(&self, key: ProbeKey, id: TargetId, address: ProbeAddress) {
        let plan = Arc::clone(self.engine.plan());
        let tls = Arc::clone(&self.tls);
        let clock = self.clock;
        let mut guard = Guard::new(key, address, clock, self.reports.clone());
        tokio::spawn(async move {
            let target = &plan.targets[id as usize];
            let result = attempt(target, &tls, clock, &mut guard.progress).await;
            guard.end(result);
        });
    }

    fn take(&mut self, report: Report) {
        self.slots.release(&report.address);
        let now = self.clock.now();
        if let Some(target) = self.engine.target_of(report.key) {
            let kind = report.result.as_ref().err().map(|failure| failure.kind);
            self.shared.counters.add(&target.check, kind, report.duration_us);
        }
        let duration_ms = u32::try_from(report.duration_us / 1_000).unwrap_or(u32::MAX);
        let outcome = Outcome {
            result: report.result,
            duration_ms,
            certificate_expires_s: report.certificate_expires_s,
        };
        let events = self.engine.result(report.key, outcome, now);
        self.announce(events, now);
        self.shared.ready.store(self.engine.first_verdicts_done(), Ordering::Relaxed);
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Apply { plan, tls, reply } => {
                self.engine = Engine::new(plan, Some(&self.engine), self.clock.now());
                self.tls = Arc::new(tls);
                self.shared.keep_checks(self.engine.plan());
                self.shared.ready.store(self.engine.first_verdicts_done(), Ordering::Relaxed);
                // An asker who went away needs no table.
                let _ = reply.send(Arc::clone(self.engine.table()));
            }
            Command::View(reply) => {
                let ids = 0..self.engine.plan().targets.len() as TargetId;
                let targets = ids.filter_map(|id| self.engine.status(id)).collect();
                let plan = Arc::clone(self.engine.plan());
                let _ = reply.send(View { plan, targets });
            }
            Command::Limits(limits) => self.slots.set_limits(limits),
            Command::Stop => {}
        }
    }

    fn announce(&self, events: Vec<Event>, now: Now) {
        let mut silent = 0_usize;
        for event in events {
            match event {
                Event::Transition { target, from, to, failure, results_needed } => {
                    let notice = self.notice(target, from, to, failure, now);
                    notice.log(results_needed);
                    // Nobody may be listening.
                    let _ = self.notices.send(Arc::new(notice));
                }
                Event::Silent { target, failure } => {
                    silent += 1;
                    if silent <= SILENT_LOGGED_MAX {
                        self.log_silent(target, failure.as_ref());
                    }
                }
                Event::Available { .. } => {}
            }
        }
        if silent > SILENT_LOGGED_MAX {
            tracing::error!(targets = silent, "no verdict for three intervals: many targets");
        }
    }

    fn log_silent(&self, target: TargetId, failure: Option<&Failure>) {
        let target = &self.engine.plan().targets[target as usize];
        let (reason, detail) = words(failure);
        let (check, wip, member) = (&target.check, target.wip.as_deref(), &target.member);
        let address = &target.identity.address;
        tracing::error!(
            check, wip, member, %address, reason, detail,
            "no verdict for three intervals: the prober cannot judge this target",
        );
    }

    fn notice(
        &self,
        target: TargetId,
        from: State,
        to: State,
        failure: Option<Failure>,
        now: Now,
    ) -> Notice {
        let target = &self.engine.plan().targets[target as usize];
        Notice {
            check: target.check.clone(),
            wip: target.wip.clone(),
            member: target.member.clone(),
            address: target.identity.address.clone(),
            from,
            to,
            failure,
            at_s: now.unix_s,
        }
    }
}

impl Notice {
    fn log(&self, results_needed: u8) {
        let (reason, detail) = words(self.failure.as_ref());
        let (from, to) = (self.from.as_str(), self.to.as_str());
        let (wip, member, check) = (self.wip.as_deref(), &self.member, &self.check);
        let address = &self.address;
        if self.to == State::Up {
            tracing::info!(check, wip, member, %address, from, to, results_needed, "member is up");
        } else {
            tracing::warn!(
                check, wip, member, %address, from, to, reason, detail, results_needed,
                "member is {to}",
            );
        }
    }
}

fn words(failure: Option<&Failure>) -> (Option<&'static str>, Option<&str>) {
    (failure.map(|failure| failure.kind.as_str()), failure.map(|failure| failure.detail.as_str()))
}

/// Reports exactly once, even when the probe panics: it reports as it is dropped.
struct Guard {
    key: ProbeKey,
    address: ProbeAddress,
    clock: Clock,
    started_us: u64,
    result: Result<(), Failure>,
    progress: Progress,
    reports: mpsc::UnboundedSender<Report>,
}

impl Guard {
    fn new(
        key: ProbeKey,
        address: ProbeAddress,
        clock: Clock,
        reports: mpsc::UnboundedSender<Report>,
    ) -> Guard {
        let result = Err(Failure::new(FailureKind::Internal, "the probe broke off"));
        Guard {
            key,
            address,
            clock,
            started_us: clock.mono_us(),
            result,
            progress: Progress::default(),
            reports,
        }
    }
}

impl Guard {
    fn end(mut self, result: Result<(), Failure>) {
        self.result = result;
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let result = std::mem::replace(&mut self.result, Ok(()));
        let duration_us = self.clock.mono_us().saturating_sub(self.started_us);
        let report = Report {
            key: self.key,
            address: self.address.clone(),
            result,
            duration_us,
            certificate_expires_s: self.progress.certificate_expires_s,
        };
        // The runner may have stopped.
        let _ = self.reports.send(report);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_probe_that_panics_reports_our_own_failure() {
        let (reports, mut ended) = mpsc::unbounded_channel();
        let guard = Guard::new(7, ProbeAddress::Ip([127, 0, 0, 1].into()), Clock::start(), reports);
        let probe = tokio::spawn(async move {
            let _guard = guard;
            panic!("as a bug would");
        });
        assert!(probe.await.is_err());
        let report = ended.recv().await.unwrap();
        assert_eq!((report.key, report.result.unwrap_err().kind), (7, FailureKind::Internal));
        assert!(ended.recv().await.is_none(), "one report and no more");
    }
}
