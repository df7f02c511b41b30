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
use tokio::sync::mpsc;

use super::ask::Claim;
use super::attempt::{Commons, attempt, is_heavy};
use super::counters::{Lag, TURN_MS_MAX};
use super::limit::{Place, ProbeLimits, Slots, Wanted};
use super::notice::{Listener, Notice, Noticed};
use super::prepared::{Prepared, Tools};
use super::session::{Handshake, Sessions};
use super::summary::Census;
use super::{Progress, Shared};
use crate::clock::Clock;
use crate::health::plan::{Plan, TargetId};
use crate::health::saved::Saved;
use crate::health::table::Table;
use crate::health::{Engine, Event, Failure, FailureKind, Now, Outcome, ProbeKey};

/// Reports taken in before the schedule is looked at again.
const REPORTS_PER_TURN: usize = 256;

/// What the runner does to the engine for somebody else.
type Act = Box<dyn FnOnce(&mut Engine, Now) -> Vec<Event> + Send>;
/// As it looks at the engine for somebody else.
type Look = Box<dyn FnOnce(&Engine, Now) + Send>;

/// What the handle asks of the runner.
pub(super) enum Command {
    Apply {
        plan: Plan,
        prepared: Arc<Prepared>,
        claim: Arc<Claim>,
        reply: blocking::SyncSender<Arc<Table>>,
    },
    Limits(ProbeLimits),
    Listen(Listener),
    Act(Act),
    Look(Look),
    /// For the first plan.
    Restore(Saved),
    /// The same, of a process that still probes.
    TakeOver(Saved),
    Stop,
}

/// How one probe ended.
struct Report {
    key: ProbeKey,
    place: Place,
    result: Result<(), Failure>,
    /// How late it began.
    lag_ms: u64,
    duration_us: u64,
    certificate_expires_s: Option<u64>,
    handshake: Option<Handshake>,
}

/// See the module.
pub(super) struct Runner {
    engine: Engine,
    prepared: Arc<Prepared>,
    sessions: Sessions,
    commons: Arc<Commons>,
    slots: Slots,
    lag: Lag,
    clock: Clock,
    shared: Arc<Shared>,
    census: Census,
    listener: Listener,
    reports: mpsc::UnboundedSender<Report>,
    /// What another process kept or handed over, until the first plan is there; true: it
    /// still probes.
    saved: Option<(Saved, bool)>,
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
        mut commands: mpsc::UnboundedReceiver<Command>,
    ) {
        let (reports, mut ended) = mpsc::unbounded_channel();
        let mut runner = Runner {
            engine: Engine::new(Plan::default(), None, clock.now()),
            prepared: Arc::default(),
            sessions: Sessions::default(),
            commons: Arc::default(),
            slots: Slots::new(limits),
            lag: Lag::default(),
            clock,
            shared,
            census: Census::default(),
            // Until somebody wants to hear.
            listener: Box::new(|_| {}),
            reports,
            saved: None,
            helpers,
        };
        let commons = Arc::clone(&runner.commons);
        runner.helpers.spawn(async move { commons.busy.measure(clock).await });
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
        let at_us = self.clock.unix_us();
        let events = self.engine.expire(now);
        self.announce(events, at_us);
        let listener = &mut self.listener;
        self.census.turn(&self.engine, (now, self.clock), &self.shared, |notice| {
            listener(Noticed { at_us, notice });
        });
        self.lag.add(self.commons.busy.late_ms(now.mono_ms), now.mono_ms);
        let shared = &self.shared;
        if self.slots.in_flight() == 0 {
            shared.watched.result(now.mono_ms);
        }
        let mut events = Vec::new();
        shared.watched.lift(|| events = self.engine.rejudge_all(now));
        shared.counters.turn_ms.store(now.mono_ms, Ordering::Relaxed);
        shared.counters.lag_ms.store(self.lag.most_ms(now.mono_ms), Ordering::Relaxed);
        shared.counters.in_flight.store(u64::from(self.slots.in_flight()), Ordering::Relaxed);
        shared.counters.waiting.store(self.slots.waiting() as u64, Ordering::Relaxed);
        self.announce(events, at_us);
        let next_ms = self.engine.next_ms().unwrap_or(u64::MAX);
        let wait_ms = next_ms.saturating_sub(now.mono_ms).min(TURN_MS_MAX);
        self.engine.promise(now.mono_ms + wait_ms);
        Duration::from_millis(wait_ms)
    }

    fn start_waiting(&mut self, now: Now) {
        while let Some(wanted) = self.slots.next() {
            let lag_ms = now.mono_ms.saturating_sub(wanted.due_ms);
            self.lag.add(lag_ms, now.mono_ms);
            // A reload may have removed it while it waited.
            match self.engine.target_id(wanted.key) {
                Some(id) => self.start(wanted, id, now),
                None => self.slots.release(wanted.place),
            }
        }
    }

    fn start(&mut self, wanted: Wanted, id: TargetId, now: Now) {
        let plan = Arc::clone(self.engine.plan());
        let session = self.sessions.of(wanted.key, &plan.targets[id as usize], now.mono_ms);
        let tools = Tools { prepared: Arc::clone(&self.prepared), session };
        let (commons, shared) = (Arc::clone(&self.commons), Arc::clone(&self.shared));
        let clock = self.clock;
        let mut guard = Guard::new(wanted, clock, self.reports.clone());
        let heavy = is_heavy(&plan.targets[id as usize].identity.probe);
        let probe = async move {
            let target = &plan.targets[id as usize];
            // It may have waited for a thread.
            shared.counters.started(guard.begin());
            let result = attempt(target, &tools, &commons, clock, &mut guard.progress).await;
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
        self.lag.add(report.lag_ms, now.mono_ms);
        self.shared.watched.result(now.mono_ms);
        let at_us = self.clock.unix_us();
        if let Some(target) = self.engine.target_of(report.key) {
            let kind = report.result.as_ref().err().map(|failure| failure.kind);
            let (duration_us, handshake) = (report.duration_us, report.handshake);
            let counters = &self.shared.counters;
            counters.add(&target.check, target.datacenter, kind, duration_us, handshake);
        }
        let duration_ms = u32::try_from(report.duration_us / 1_000).unwrap_or(u32::MAX);
        let outcome = Outcome {
            result: report.result,
            duration_ms,
            certificate_expires_s: report.certificate_expires_s,
        };
        let events = self.engine.result(report.key, outcome, now);
        let calm = self.engine.calm(report.key);
        self.sessions.settle(report.key, report.handshake, calm, now.mono_ms);
        self.announce(events, at_us);
        self.shared.ready.store(self.engine.first_verdicts_done(), Ordering::Relaxed);
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Apply { plan, prepared, claim, reply } => {
                if !claim.begin() || !self.take_plan(plan, &claim) {
                    return;
                }
                self.prepared = prepared;
                self.sessions.keep(|key| self.engine.target_id(key).is_some());
                self.shared.keep_checks(self.engine.plan());
                self.census.hurry();
                self.shared.ready.store(self.engine.first_verdicts_done(), Ordering::Relaxed);
                // An asker who went away after all needs no table.
                let _ = reply.send(Arc::clone(self.engine.table()));
            }
            Command::Listen(listener) => self.listener = listener,
            Command::Act(act) => {
                let at_us = self.clock.unix_us();
                let events = act(&mut self.engine, self.clock.now());
                self.announce(events, at_us);
                self.census.hurry();
            }
            Command::Look(look) => look(&self.engine, self.clock.now()),
            Command::Limits(limits) => self.slots.set_limits(limits),
            Command::Restore(saved) => self.saved = Some((saved, false)),
            Command::TakeOver(saved) => self.saved = Some((saved, true)),
            Command::Stop => {}
        }
    }

    /// False: the asker went away meanwhile, and all is as it was.
    fn take_plan(&mut self, plan: Plan, claim: &Claim) -> bool {
        let now = self.clock.now();
        let at_us = self.clock.unix_us();
        let mut engine = Engine::new(plan, Some(&self.engine), now);
        let restored = self.saved.as_ref().map(|(saved, at_work)| match at_work {
            true => engine.take_over(saved, now),
            false => engine.restore(saved, now),
        });
        if !claim.take() {
            return false;
        }
        let events = engine.changed_since(&self.engine);
        self.engine = engine;
        self.announce(events, at_us);
        self.slots.set_plan(self.engine.plan());
        self.saved = None;
        if let Some(restored) = restored {
            tracing::info!(
                targets = restored.targets,
                of = self.engine.plan().targets.len(),
                age_s = restored.age_s,
                counters = restored.counters,
                "health state of an earlier run taken in"
            );
        }
        let timeouts_ms = self.engine.plan().targets.iter().map(|target| target.timeout_ms);
        let longest_ms = u64::from(timeouts_ms.max().unwrap_or(0));
        let in_flight = self.slots.in_flight() > 0;
        self.shared.watched.publish(self.engine.table(), longest_ms, in_flight);
        true
    }

    /// Tells of `events`, which happened at `at_us`.
    fn announce(&mut self, events: Vec<Event>, at_us: u64) {
        if !events.is_empty() {
            let listener = &mut self.listener;
            Notice::all(self.engine.plan(), events, |notice| listener(Noticed { at_us, notice }));
        }
    }
}

/// Reports exactly once, even when the probe panics: it reports as it is dropped.
struct Guard {
    key: ProbeKey,
    place: Place,
    clock: Clock,
    due_ms: u64,
    lag_ms: u64,
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
            due_ms: wanted.due_ms,
            lag_ms: 0,
            started_us: clock.mono_us(),
            result: None,
            progress: Progress::default(),
            reports,
        }
    }

    /// The probe begins now: how late.
    fn begin(&mut self) -> u64 {
        self.started_us = self.clock.mono_us();
        self.lag_ms = (self.started_us / 1_000).saturating_sub(self.due_ms);
        self.lag_ms
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
            lag_ms: self.lag_ms,
            duration_us: self.clock.mono_us().saturating_sub(self.started_us),
            certificate_expires_s: self.progress.certificate_expires_s,
            handshake: self.progress.handshake,
        };
        // The runner may have stopped.
        let _ = self.reports.send(report);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::check::{HttpProbe, ProbeKind, TextMatch, TlsProbe};
    use crate::health::plan::ProbeAddress;

    #[test]
    fn what_computes_is_heavy() {
        let http = |probe: HttpProbe| is_heavy(&ProbeKind::Http(probe));
        let text = TextMatch::Text("ok".to_owned());
        let pattern = TextMatch::Regex("o.".to_owned());
        assert!(!http(HttpProbe { expect_body: Some(text), ..HttpProbe::default() }));
        assert!(http(HttpProbe { expect_body: Some(pattern), ..HttpProbe::default() }));
        assert!(http(HttpProbe { redirects_max: 1, ..HttpProbe::default() }));
        assert!(http(HttpProbe { tls: Some(TlsProbe::default()), ..HttpProbe::default() }));
    }

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
