//! Members that are not wholly in service, and the check that is the reason.
//!
//! A verdict hangs on several checks, its site's among them; an operator wants the one
//! that decided. It must not know HTTP.

use std::collections::{HashMap, HashSet};

use tokio::runtime::Handle;

use super::checks::statuses;
use super::publisher::Publisher;
use crate::admin::types::{MEMBERS_NOT_UP_MAX, MemberStatus};
use crate::health::TargetStatus;
use crate::health::plan::{TargetId, VerdictId};
use crate::health::table::{Override, SHARE_FULL, State, Word};
use crate::snapshot::{Serving, Snapshot};

//------------ Reasons --------------------------------------------------------

/// The targets that verdict `id` depends on, the most telling first: those of its
/// site, with true, where the site is lost, and its own before the site's elsewhere.
fn targets_by_weight(serving: &Serving, id: VerdictId) -> Vec<(TargetId, bool)> {
    let plan = &serving.snapshot.plan;
    let Some(verdict) = plan.verdicts.get(id as usize) else { return Vec::new() };
    let gate = verdict.gate.and_then(|gate| plan.verdicts.get(gate as usize));
    let own = verdict.targets.iter().map(|&target| (target, false));
    let gates = gate.iter().flat_map(|gate| &gate.targets).map(|&target| (target, true));
    let site_lost = verdict.gate.is_some_and(|gate| !serving.health.word(gate).available());
    if site_lost { gates.chain(own).collect() } else { own.chain(gates).collect() }
}

/// The one of `targets` that says why the verdict is as it is: of the first group that
/// has one, what is down before what is unknown and what only fails. None: all are well.
fn reason<'s>(
    targets: &[(TargetId, bool)],
    statuses: &'s HashMap<TargetId, TargetStatus>,
) -> Option<(TargetId, bool, &'s TargetStatus)> {
    let first_group = targets.first()?.1;
    let weight = |of_site: bool, status: &TargetStatus| {
        let trouble = match status.state {
            State::Down => 0,
            State::Unknown => 1,
            State::Up if status.failing || status.failures > 0 => 2,
            State::Up => return None,
        };
        Some((of_site != first_group, trouble))
    };
    let troubled = targets.iter().filter_map(|&(target, of_site)| {
        let status = statuses.get(&target)?;
        Some((weight(of_site, status)?, (target, of_site, status)))
    });
    troubled.min_by_key(|(weight, _)| *weight).map(|(_, found)| found)
}

/// Why a verdict is as it is, in words; none: all it depends on is well.
pub(super) fn detail(
    publisher: &Publisher,
    runtime: &Handle,
    serving: &Serving,
    id: VerdictId,
) -> Option<String> {
    details(publisher, runtime, serving, &[id]).remove(&id)
}

/// The same of several verdicts, with one question to the prober; those that depend on
/// nothing but what is well are left out.
pub(super) fn details(
    publisher: &Publisher,
    runtime: &Handle,
    serving: &Serving,
    ids: &[VerdictId],
) -> HashMap<VerdictId, String> {
    let targets: HashMap<VerdictId, _> =
        ids.iter().map(|&id| (id, targets_by_weight(serving, id))).collect();
    let asked: HashSet<TargetId> = targets.values().flatten().map(|(target, _)| *target).collect();
    if asked.is_empty() {
        return HashMap::new();
    }
    let statuses = statuses(publisher, runtime, serving, asked.into_iter().collect());
    let words = targets.into_iter().filter_map(|(id, targets)| {
        let (target, of_site, status) = reason(&targets, &statuses)?;
        let words = status_words(status)?;
        let target = serving.snapshot.plan.targets.get(target as usize)?;
        let whose = if of_site { "the site's " } else { "" };
        Some((id, format!("{whose}check {} {words}", target.check)))
    });
    words.collect()
}

fn status_words(status: &TargetStatus) -> Option<String> {
    let failure = || {
        let failure = status.last_failure.as_ref();
        failure.map_or_else(String::new, |failure| format!(": {failure}"))
    };
    match status.state {
        State::Up if !status.failing && status.failures == 0 => None,
        State::Up => Some(format!("failed {} times{}", status.failures, failure())),
        State::Down => Some(format!("is down{}", failure())),
        State::Unknown => Some(format!("has no verdict yet{}", failure())),
    }
}

//------------ Members --------------------------------------------------------

/// Members that are not up, held, ramping or overridden: the first [`MEMBERS_NOT_UP_MAX`], and
/// how many there are. Those that health decides of come first: what nobody asked for must
/// not hide behind a datacenter that was drained.
pub(super) fn members_not_up(
    publisher: &Publisher,
    runtime: &Handle,
    serving: &Serving,
) -> (Vec<MemberStatus>, u64) {
    let (found, total) = not_up(serving);
    let targets: Vec<_> = found.iter().map(|(_, id)| targets_by_weight(serving, *id)).collect();
    let ids: HashSet<TargetId> = targets.iter().flatten().map(|(target, _)| *target).collect();
    let statuses = statuses(publisher, runtime, serving, ids.into_iter().collect());
    let mut members: Vec<MemberStatus> = found.into_iter().map(|(member, _)| member).collect();
    for (member, targets) in members.iter_mut().zip(targets) {
        let Some((target, of_site, status)) = reason(&targets, &statuses) else { continue };
        let check = serving.snapshot.plan.targets.get(target as usize);
        member.check = check.map(|target| target.check.clone());
        member.of_site = of_site;
        member.since_s = (status.since_s > 0).then_some(u64::from(status.since_s));
        member.failure = status.last_failure.as_ref().map(ToString::to_string);
    }
    (members, total)
}

/// Members that are not wholly in service, with their verdicts: the first of them, and how
/// many there are. Those that share a verdict are one, unless an operator decides of them.
fn not_up(serving: &Serving) -> (Vec<(MemberStatus, VerdictId)>, u64) {
    let snapshot: &Snapshot = &serving.snapshot;
    let mut seen = HashSet::new();
    let mut overridden = 0;
    let (mut by_health, mut by_operators) = (Vec::new(), Vec::new());
    let mut words = Vec::new();
    for (wip, entry) in (0..).zip(&snapshot.wips) {
        words.clear();
        words.extend(serving.words(wip));
        if words.iter().all(|word| *word == Word::UP) {
            continue;
        }
        let strategy = snapshot.strategy(entry);
        let verdicts = snapshot.verdicts(entry, strategy);
        for (member, known) in strategy.members.iter().zip(snapshot.members_of(entry.strategy)) {
            for vip in member.vips.clone().map(usize::from) {
                let (word, id) = (words[vip], verdicts[vip]);
                let list = match word.over() {
                    Override::None if is_whole(word) || !seen.insert(id) => continue,
                    Override::None => &mut by_health,
                    _ => {
                        overridden += 1;
                        &mut by_operators
                    }
                };
                if list.len() < MEMBERS_NOT_UP_MAX {
                    let address = strategy.shown(vip as u16);
                    let status = member_status(snapshot.wip_name(wip), &known.name, word);
                    list.push((MemberStatus { address, ..status }, id));
                }
            }
        }
    }
    by_health.extend(by_operators);
    by_health.truncate(MEMBERS_NOT_UP_MAX);
    (by_health, seen.len() as u64 + overridden)
}

/// Up, and taking all of its clients.
fn is_whole(word: Word) -> bool {
    word.state() == State::Up && word.available() && word.share() == SHARE_FULL
}

fn member_status(wip: String, member: &str, word: Word) -> MemberStatus {
    // Its own checks may pass while its site is lost.
    let effective = match word.effective() {
        "up" if !word.available() => State::Down.as_str(),
        effective => effective,
    };
    MemberStatus {
        wip,
        member: member.to_owned(),
        probed: word.state().as_str().to_owned(),
        effective: effective.to_owned(),
        share_percent: (u32::from(word.share()) * 100 / u32::from(SHARE_FULL)) as u8,
        ..MemberStatus::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::{Path, PathBuf};
    use std::sync::Arc;

    use crate::config::{self, Files};
    use crate::health::check::{ProbeKind, TcpProbe};
    use crate::health::plan::{Identity, Plan, ProbeAddress, Target, Thresholds, Verdict};
    use crate::health::table::Table;
    use crate::health::{Engine, Failure, FailureKind, Now, Outcome};
    use crate::snapshot;
    use crate::steer::overlay::{Builder, Laid};

    /// Statuses after each target's probes: "d" fails until it is down, "u" passes, "f"
    /// passes and fails once, "?" is never probed.
    fn statuses_of(text: &str) -> HashMap<TargetId, TargetStatus> {
        let target = |port: u16| Target {
            identity: Identity {
                probe: ProbeKind::Tcp(TcpProbe { port, ..TcpProbe::default() }),
                address: ProbeAddress::Ip([127, 0, 0, 1].into()),
            },
            check: String::new(),
            member: String::new(),
            wip: None,
            datacenter: None,
            thresholds: Thresholds { fall: 2, rise: 1, clear: 1 },
            interval_ms: 1_000,
            timeout_ms: 500,
            confirm_interval_ms: 1_000,
        };
        let targets: Vec<Target> = (0..text.len() as u16).map(target).collect();
        let verdicts = vec![Verdict::default()];
        let plan = Plan { targets, verdicts, ..Plan::default() };
        let mut engine = Engine::new(plan, None, Now::default());
        let mut probed = vec![0; text.len()];
        for mono_ms in (0..20_000).step_by(10) {
            let now = Now { mono_ms, unix_s: 1 + (mono_ms / 1_000) as u32 };
            while let Some(due) = engine.take_due(now) {
                let count = &mut probed[due.target as usize];
                *count += 1;
                let passes = match (text.as_bytes()[due.target as usize], *count) {
                    (b'u', _) | (b'f', 1) => true,
                    (b'd', _) | (b'f', 2) => false,
                    // It stays in flight.
                    _ => continue,
                };
                let failure = || Failure::new(FailureKind::Refused, "as told");
                let result = if passes { Ok(()) } else { Err(failure()) };
                let outcome = Outcome { result, duration_ms: 1, certificate_expires_s: None };
                engine.result(due.key, outcome, now);
            }
        }
        (0..text.len() as TargetId).map(|id| (id, engine.status(id).unwrap())).collect()
    }

    #[test]
    fn the_reason_is_the_check_that_decided() {
        for (states, targets, expected) in [
            // One check is down, another failed once lately.
            ("fd", vec![(0, false), (1, false)], Some(1)),
            ("ud", vec![(0, false), (1, false)], Some(1)),
            ("?d", vec![(0, false), (1, false)], Some(1)),
            ("f?", vec![(0, false), (1, false)], Some(1)),
            ("uf", vec![(0, false), (1, false)], Some(1)),
            ("uu", vec![(0, false), (1, false)], None),
            // The site is lost: what its members' own checks say matters less.
            ("dd", vec![(1, true), (0, false)], Some(1)),
            ("ud", vec![(1, true), (0, false)], Some(1)),
            // The site is well, and listed last.
            ("fd", vec![(0, false), (1, true)], Some(0)),
            ("", vec![], None),
        ] {
            let statuses = statuses_of(states);
            let found = reason(&targets, &statuses).map(|(target, ..)| target);
            assert_eq!(found, expected, "{states} {targets:?}");
        }
    }

    struct OneFile;

    impl Files for OneFile {
        fn read(&self, _: &Path) -> std::io::Result<Vec<u8>> {
            let text = r#"
[zone."example.com"]
nameservers = ["ns1.example.net"]
hostmaster = "hostmaster@example.net"
[datacenter.fra]
vip = ["192.0.2.1", "2001:db8::1"]
[datacenter.iad]
vip = "192.0.2.2"
[health_check.up]
type = "tcp"
port = 80
[wip_defaults]
members = ["fra", "iad"]
health_check = "up"
[wip."a.example.com"]
[wip."b.example.com"]
[wip."c.example.com"]
"#;
            Ok(text.into())
        }

        fn glob(&self, _: &str) -> Result<Vec<PathBuf>, String> {
            Ok(Vec::new())
        }

        fn exists(&self, _: &Path) -> bool {
            true
        }
    }

    /// Three WIPs that share the verdicts of fra (two VIPs) and iad.
    fn serving() -> Serving {
        let loaded = config::load(Path::new("windrose.toml"), &OneFile);
        let input = snapshot::Input {
            config: Arc::new(loaded.config.unwrap()),
            base: Arc::new(crate::geo::BaseTable::from_networks(&[])),
            serials: snapshot::Serials::default(),
            now_s: 1_800_000_000,
            generation: 1,
        };
        let (snapshot, _) = snapshot::compile(input).unwrap();
        let table = Table::new(snapshot.plan.verdicts.len());
        (0..table.len()).for_each(|id| table.set(id as VerdictId, Word::UP));
        Serving::new(Arc::new(snapshot), Arc::new(table), 1, None)
    }

    #[test]
    fn each_member_that_an_operator_decides_of_is_listed_behind_what_health_found() {
        let serving = serving();
        let shown = |serving: &Serving| -> (Vec<String>, u64) {
            let (found, total) = not_up(serving);
            let line = |(m, _): &(MemberStatus, VerdictId)| {
                let wip = m.wip.split('.').next().unwrap_or_default().to_owned();
                format!("{wip} {} {} {}", m.address, m.probed, m.effective)
            };
            (found.iter().map(line).collect(), total)
        };
        assert_eq!(shown(&serving), (vec![], 0));
        let down = Word::new(State::Down, false, Override::None, u16::MAX, 9);
        let entry = &serving.snapshot.wips[0];
        let verdicts = serving.snapshot.verdicts(entry, serving.snapshot.strategy(entry)).to_vec();
        serving.health.set(verdicts[2], down);
        assert_eq!(shown(&serving), (vec!["a 192.0.2.2 down down".to_owned()], 1), "shared");
        let laid = |over| Laid { over, ..Laid::default() };
        let mut builder = Builder::default();
        let drained = laid(Override::Drained);
        builder.of_strategy(entry.strategy, &[drained, drained, Laid::default()]);
        builder.of_wip(1, &[Laid::default(), Laid::default(), laid(Override::ForcedUp)]);
        let overridden = serving.with_overlay(Arc::new(builder.build()));
        let expected = [
            "a 192.0.2.2 down down",
            "a 192.0.2.1 up drained",
            "a 2001:db8::1 up drained",
            "b 192.0.2.2 down forced-up",
            "c 192.0.2.1 up drained",
            "c 2001:db8::1 up drained",
        ];
        assert_eq!(shown(&overridden), (expected.map(str::to_owned).to_vec(), 6));
    }
}
