//! A load after another comes to what a first load comes to: the same config, the
//! same problems at the same places, the same answers, serials and plan.

#![allow(clippy::unwrap_used)] // a panic here is a failed test

mod config_support;

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use config_support::MemoryFiles;
use proptest::collection::vec;
use proptest::prelude::*;
use windrose::answer::{Outcome, Peer, Scratch, answer};
use windrose::config::model::{Config, Matched};
use windrose::config::{Loaded, load, load_after};
use windrose::dns::Name;
use windrose::geo::BaseTable;
use windrose::health::table::{Table, Word};
use windrose::metrics::Transport;
use windrose::snapshot::{self, Input, Serials, Serving, Snapshot};

/// Files of WIPs, and names to put in them: few, so that they often meet.
const FILES: usize = 4;
const NAMES: usize = 24;

//------------ A set of files that changes ------------------------------------

/// What one file holds.
#[derive(Clone, Debug, Default)]
struct File {
    wips: Vec<(usize, usize)>,
    extra: Option<usize>,
    /// The name it has among the others: files are read in this order.
    place: usize,
    absent: bool,
}

/// What the main file says.
#[derive(Clone, Debug, Default)]
struct Main {
    defaults: usize,
    sites: usize,
    checks: usize,
    zones: usize,
}

#[derive(Clone, Debug, Default)]
struct World {
    main: Main,
    files: [File; FILES],
}

#[derive(Clone, Debug)]
enum Edit {
    Add {
        file: usize,
        name: usize,
        says: usize,
    },
    Remove {
        file: usize,
        at: usize,
    },
    Rename {
        file: usize,
        at: usize,
        name: usize,
    },
    Change {
        file: usize,
        at: usize,
        says: usize,
    },
    /// Something else than a WIP, or nothing of the kind any more.
    Extra {
        file: usize,
        what: Option<usize>,
    },
    Move {
        file: usize,
        place: usize,
    },
    Absent {
        file: usize,
        absent: bool,
    },
    Defaults(usize),
    Sites(usize),
    Checks(usize),
    Zones(usize),
}

/// What a WIP may say. Some of it is wrong, alone or with some main files.
const SAYS: [&str; 11] = [
    "",
    "policy = \"failover\"\n",
    "members = [\"b\", \"a\"]\nttl = \"7s\"\n",
    "pools = [\"p\", \"q\"]\n",
    "members = [{ vip = \"203.0.113.9\" }, \"a\"]\npolicy = \"weighted\"\n",
    "aliases = [\"alias.z.example\"]\n",
    "health_check = \"by-name\"\n",
    "health_check = \"by-name\"\ncheck_host = \"www.example.net\"\n",
    "on_all_down = \"nodata\"\nmax_answers = 3\n",
    "tll = 3\n",
    "pools = [\"nowhere\"]\nttl_min = \"9s\"\nttl = \"5s\"\n",
];

const EXTRAS: [&str; 5] = [
    "[pool.r]\nmembers = [\"a\"]\n",
    "[wip\n",
    "# a comment\n",
    "[datacenter.a]\nvip = \"192.0.2.77\"\n",
    "include = [\"other.toml\"]\n",
];

const NAME_TEXTS: [&str; NAMES] = [
    "a.z.example",
    "b.z.example",
    "C.z.example",
    "*.w.z.example",
    "x.w.z.example",
    "w.z.example",
    "deep.er.z.example",
    "er.z.example",
    "alias.z.example",
    "a.other.example",
    "outside.example.org",
    "no name",
    "n0.z.example",
    "n1.z.example",
    "n2.z.example",
    "n3.z.example",
    "n4.z.example",
    "n5.z.example",
    "n6.z.example",
    "n7.z.example",
    "n8.z.example",
    "n9.z.example",
    "n10.z.example",
    "n11.z.example",
];

impl World {
    fn edit(&mut self, edit: &Edit) {
        fn at<T>(list: &mut [T], at: usize) -> Option<&mut T> {
            let length = list.len().max(1);
            list.get_mut(at % length)
        }
        match *edit {
            Edit::Add { file, name, says } => self.files[file].wips.push((name, says)),
            Edit::Remove { file, at } => {
                let wips = &mut self.files[file].wips;
                if !wips.is_empty() {
                    wips.remove(at % wips.len());
                }
            }
            Edit::Rename { file, at: which, name } => {
                if let Some(wip) = at(&mut self.files[file].wips, which) {
                    wip.0 = name;
                }
            }
            Edit::Change { file, at: which, says } => {
                if let Some(wip) = at(&mut self.files[file].wips, which) {
                    wip.1 = says;
                }
            }
            Edit::Extra { file, what } => self.files[file].extra = what,
            Edit::Move { file, place } => self.files[file].place = place,
            Edit::Absent { file, absent } => self.files[file].absent = absent,
            Edit::Defaults(to) => self.main.defaults = to,
            Edit::Sites(to) => self.main.sites = to,
            Edit::Checks(to) => self.main.checks = to,
            Edit::Zones(to) => self.main.zones = to,
        }
    }

    fn files(&self) -> MemoryFiles {
        let mut files = MemoryFiles::default();
        files.insert("w.toml", self.main.text());
        for (index, file) in self.files.iter().enumerate().filter(|(_, file)| !file.absent) {
            let mut text = String::new();
            for &(name, says) in &file.wips {
                writeln!(text, "[wip.\"{}\"]\n{}", NAME_TEXTS[name], SAYS[says]).unwrap();
            }
            let extra = file.extra.map_or("", |extra| EXTRAS[extra]);
            // `include` has to come first, and tables follow one another anyway.
            files.insert(&format!("wips.d/{}{index}.toml", file.place), format!("{extra}{text}"));
        }
        files
    }
}

impl Main {
    fn text(&self) -> String {
        let vip = ["192.0.2.1", "192.0.2.11", "192.0.2.12"][self.sites];
        let own = ["", "wildcard = \"w.z.example\"", "location = { country = \"DE\" }"][self.sites];
        let other = [
            "",
            "[zone.\"other.example\"]\nnameservers = [\"ns1.example.net\"]\n\
            hostmaster = \"h@z.example\"\n",
            "[wip.\"main.z.example\"]\n",
            "",
        ][self.zones];
        let defaults = [
            "members = [\"a\", \"b\"]\nhealth_check = \"fixed\"\n",
            "members = [\"b\"]\npolicy = \"round-robin\"\nttl = \"20s\"\n",
            "pools = [\"q\"]\npolicy = \"geo\"\n",
            "",
        ][self.defaults];
        let check = [
            "type = \"http\"\nhost = \"h.example.net\"\n",
            "type = \"tcp\"\nport = 80\n",
            "type = \"always\"\n",
        ][self.checks];
        // Without it, WIPs of any file refer to what is not there.
        let q = if self.zones == 3 { "" } else { "[pool.q]\nmembers = [\"b\"]\n" };
        format!(
            "include = [\"wips.d/*.toml\"]\n\
             [zone.\"z.example\"]\nnameservers = [\"ns1.example.net\"]\nhostmaster = \"h@z.example\"\n\
             {other}\
             [datacenter.a]\nvip = \"{vip}\"\n{own}\n[datacenter.b]\nvip = \"192.0.2.2\"\n\
             [pool.p]\nmembers = [\"a\", \"b\"]\n{q}\
             [health_check.fixed]\n{check}\n[health_check.by-name]\ntype = \"http\"\n\
             [wip_defaults]\n{defaults}"
        )
    }
}

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    // Mostly what is right, or hardly any load would be taken.
    let says = || prop_oneof![50 => 0..9_usize, 1 => 9..SAYS.len()];
    let name = || prop_oneof![10 => 0..9_usize, 30 => 12..NAMES, 1 => 9..12_usize];
    let file = || 0..FILES;
    let extra =
        prop_oneof![6 => Just(None), 2 => Just(Some(2)), 1 => (0..EXTRAS.len()).prop_map(Some)];
    let edit = prop_oneof![
        8 => (file(), name(), says()).prop_map(|(file, name, says)| Edit::Add { file, name, says }),
        11 => (file(), 0..9_usize).prop_map(|(file, at)| Edit::Remove { file, at }),
        2 => (file(), 0..9_usize, name())
            .prop_map(|(file, at, name)| Edit::Rename { file, at, name }),
        3 => (file(), 0..9_usize, says())
            .prop_map(|(file, at, says)| Edit::Change { file, at, says }),
        2 => (file(), extra).prop_map(|(file, what)| Edit::Extra { file, what }),
        1 => (file(), 0..3_usize).prop_map(|(file, place)| Edit::Move { file, place }),
        2 => (file(), any::<bool>()).prop_map(|(file, absent)| Edit::Absent { file, absent }),
        1 => (0..4_usize).prop_map(Edit::Defaults),
        1 => (0..3_usize).prop_map(Edit::Sites),
        1 => (0..3_usize).prop_map(Edit::Checks),
        2 => (0..4_usize).prop_map(Edit::Zones),
    ];
    vec(edit, 1..6)
}

//------------ Two ways to load it --------------------------------------------

/// Everything that can be seen of a load, as text.
fn seen(loaded: &Loaded) -> String {
    let Loaded { config, problems, sources, origins } = loaded;
    let wips = config.as_ref().map_or(0, |config| config.wips.len() as u32);
    let aliases = config.as_ref().map_or(0, |config| config.wips.aliases().count());
    let spots: Vec<_> = (0..=wips).map(|wip| origins.wip(wip)).collect();
    let alias_spots: Vec<_> = (0..=aliases).map(|alias| origins.alias(alias)).collect();
    let report = problems.render(sources, false);
    format!("{report}\n{config:#?}\n{spots:?}\n{alias_spots:?}")
}

/// A serving config and what its next load goes on from.
struct Side {
    serving: Option<Serving>,
    serials: Serials,
}

impl Side {
    fn previous(&self) -> Option<&Snapshot> {
        self.serving.as_ref().map(|serving| &*serving.snapshot)
    }

    /// Compiles and serves; the text is all that can be seen of it but answers.
    fn take(&mut self, config: Config, base: &Arc<BaseTable>, now_s: u64, after: bool) -> String {
        let input = Input {
            config: Arc::new(config),
            base: Arc::clone(base),
            serials: self.serials.clone(),
            now_s,
            generation: now_s,
        };
        let before = self.previous().filter(|_| after);
        let (snapshot, warnings) = match snapshot::compile_after(input, before) {
            Ok(compiled) => compiled,
            Err(problems) => return format!("{problems:?}"),
        };
        self.serials = snapshot.serials.clone();
        let table = Table::new(snapshot.plan.verdicts.len());
        (0..table.len() as u32).for_each(|id| table.set(id, Word::UP));
        let text = format!(
            "{warnings:?}\n{:?}\n{:?}\n{:?}\n{:?}\n{:?}\n{} {}",
            snapshot.plan,
            snapshot.wips,
            snapshot.verdicts,
            snapshot.serials,
            snapshot.strategies,
            snapshot.turn_count,
            snapshot.counter_count,
        );
        let old = self.serving.take();
        let serving = Serving::new(Arc::new(snapshot), Arc::new(table), 1, old.as_ref());
        if let Some(old) = &old {
            serving.take_counts_of(old);
        }
        self.serving = Some(serving);
        text
    }

    /// Answers for every name, and the counts they leave behind.
    fn answers(&self) -> Vec<Vec<u8>> {
        let Some(serving) = &self.serving else { return Vec::new() };
        let mut replies: Vec<Vec<u8>> =
            NAME_TEXTS.iter().filter_map(|name| ask(serving, name)).collect();
        for name in ["n.w.z.example", "main.z.example", "none.z.example", "a.er.z.example"] {
            replies.extend(ask(serving, name));
        }
        let mut counts = String::new();
        serving.each_answer_count(|wip, member, count| {
            writeln!(counts, "{wip} {member} {count}").unwrap();
        });
        replies.push(counts.into_bytes());
        replies
    }
}

fn ask(serving: &Serving, name: &str) -> Option<Vec<u8>> {
    let mut query = vec![0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    query.extend(Name::parse(name).ok()?.wire());
    query.extend([0, 1, 0, 1]);
    let mut out = vec![0; 4_096];
    let peer = Peer { address: [127, 0, 0, 1].into(), transport: Transport::Udp };
    match answer(serving, &serving.workers[0], &mut Scratch::default(), &query, peer, &mut out) {
        Outcome::Reply { length, .. } => {
            out.truncate(length);
            Some(out)
        }
        Outcome::Drop(_) => None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_load_after_another_is_as_a_first_load(edits in vec(edits(), 1..40)) {
        let base = Arc::new(BaseTable::from_networks(&[]));
        let side = || Side { serving: None, serials: Serials::default() };
        let (mut first, mut after) = (side(), side());
        let mut world = World::default();
        for (now_s, edits) in (1_000..).zip(&edits) {
            edits.iter().for_each(|edit| world.edit(edit));
            let files = world.files();
            let anew = load(Path::new("w.toml"), &files);
            let before = after.previous().map(|snapshot| Arc::clone(&snapshot.config));
            let again = load_after(Path::new("w.toml"), &files, before.as_deref());
            prop_assert_eq!(seen(&anew), seen(&again));
            let (Some(anew), Some(again)) = (anew.config, again.config) else { continue };
            if let Some(before) = &before {
                check_matched(&again.wips.matched(&before.wips), &again, before)?;
            }
            let (one, other) =
                (first.take(anew, &base, now_s, false), after.take(again, &base, now_s, true));
            prop_assert_eq!(one, other);
            prop_assert_eq!(first.answers(), after.answers());
        }
    }
}

/// Every WIP is matched with its namesake, or left over, once.
fn check_matched(matched: &Matched, new: &Config, old: &Config) -> Result<(), TestCaseError> {
    let (mut ours, mut theirs) = (matched.rest.clone(), matched.other_rest.clone());
    for run in &matched.runs {
        for at in 0..run.length {
            let (wip, other) = (run.start + at, run.other + at);
            prop_assert_eq!(new.wips.name(wip), old.wips.name(other));
            if run.identical {
                prop_assert_eq!(new.wips.settings(wip), old.wips.settings(other));
                prop_assert_eq!(new.wips.check_host(wip), old.wips.check_host(other));
            }
            ours.push(wip);
            theirs.push(other);
        }
    }
    ours.sort_unstable();
    theirs.sort_unstable();
    prop_assert!(ours.into_iter().eq(0..new.wips.len() as u32));
    prop_assert!(theirs.into_iter().eq(0..old.wips.len() as u32));
    Ok(())
}

#[test]
fn what_is_edited_is_a_config_to_begin_with() {
    let files = World::default().files();
    let loaded = load(Path::new("w.toml"), &files);
    let report = loaded.problems.render(&loaded.sources, false);
    assert!(loaded.config.is_some(), "{report}");
    let mut side = Side { serving: None, serials: Serials::default() };
    let base = Arc::new(BaseTable::from_networks(&[]));
    let text = side.take(loaded.config.unwrap(), &base, 1, false);
    assert!(side.serving.is_some(), "{text}");
}
