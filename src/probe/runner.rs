//! The one task that owns the engine: starts what is due, takes results in,
//! follows commands.
//!
//! Probes run as tasks of their own and report over a channel; a probe that
//! panics reports that. The runner never waits for any of them.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc as blocking;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{broadcast, mpsc, oneshot};

use super::attempt::attempt;
use super::counters::{Lag, TURN_MS_MAX};
use super::limit::{Place, ProbeLimits, Slots, Wanted};
use super::tls::TlsConfigs;
use super::{Notice, Progress, Shared, View};
use crate::clock::Clock;
use crate::health::check::ProbeKind;
use crate::health::plan::{Plan, TargetId};
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
    place: Place,
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
    /// Where probes run that would hold up the others.
    helpers: Handle,
}

impl Runner {
    /// Runs until told to stop or until the handle is gone.
    pub(super) async fn run(
        limits: ProbeLimits,
        clock: Clock,
        helpers: Handle,
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
            helpers,
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
                self.slots.want(Wanted::new(due, &target.identity.address));
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
                Some(id) => self.start(wanted, id),
                None => self.slots.release(wanted.place),
            }
        }
    }

    fn start(&self, wanted: Wanted, id: TargetId) {
        let plan = Arc::clone(self.engine.plan());
        let tls = Arc::clone(&self.tls);
        let clock = self.clock;
        let mut guard = Guard::new(wanted, clock, self.reports.clone());
        let heavy = is_heavy(&plan.targets[id as usize].identity.probe);
        let probe = async move {
            let target = &plan.targets[id as usize];
            let result = attempt(target, &tls, clock, &mut guard.progress).await;
            guard.end(result);
        };
        if heavy {
            self.helpers.spawn(probe);
        } else {
            tokio::spawn(probe);
        }
    }

    fn take(&mut self, report: Report) {
        self.slots.release(report.place);
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

/// Whether a probe takes a processor for longer than a few system calls do: the
/// arithmetic of a TLS handshake, the start of a process.
fn is_heavy(probe: &ProbeKind) -> bool {
    match probe {
        ProbeKind::Http(http) => http.tls.is_some(),
        ProbeKind::Tcp(tcp) => tcp.tls.is_some(),
        ProbeKind::Grpc(grpc) => grpc.tls.is_some(),
        ProbeKind::Exec(_) => true,
        ProbeKind::Icmp(_) | ProbeKind::Dns(_) | ProbeKind::File(_) | ProbeKind::Always => false,
    }
}

/// Reports exactly once, even when the probe panics: it reports as it is dropped.
struct Guard {
    key: ProbeKey,
    place: Place,
    clock: Clock,
    started_us: u64,
    /// None: the probe broke off.
    result: Option<Result<(), Failure>>,
    progress: Progress,
    reports: mpsc::UnboundedSender<Report>,
}

impl Guard {
    fn new(wanted: Wanted, clock: Clock, reports: mpsc::UnboundedSender<Report>) -> Guard {
        Guard {
            key: wanted.key,
            place: wanted.place,
            clock,
            started_us: clock.mono_us(),
            result: None,
            progress: Progress::default(),
            reports,
        }
    }

    fn end(mut self, result: Result<(), Failure>) {
        self.result = Some(result);
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let broken = || Err(Failure::new(FailureKind::Internal, "the probe broke off"));
        let report = Report {
            key: self.key,
            place: self.place,
            result: self.result.take().unwrap_or_else(broken),
            duration_us: self.clock.mono_us().saturating_sub(self.started_us),
            certificate_expires_s: self.progress.certificate_expires_s,
        };
        // The runner may have stopped.
        let _ = self.reports.send(report);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::plan::ProbeAddress;

    #[tokio::test]
    async fn a_probe_that_panics_reports_our_own_failure() {
        let (reports, mut ended) = mpsc::unbounded_channel();
        let address = ProbeAddress::Ip([127, 0, 0, 1].into());
        let wanted = Wanted { key: 7, place: Place::of(&address), due_ms: 0 };
        let guard = Guard::new(wanted, Clock::start(), reports);
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
