//! Overrides over a million WIPs: how long it takes to lay what operators say over a
//! snapshot, and to judge it.
//!
//! "shared": a few settings and checks that all WIPs share, as most configs are. "own": a
//! tenth as many, each with checks of its own name, so that each is counted by itself.

use std::fmt::Write;
use std::hint::black_box;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use windrose::config::{self, Files};
use windrose::geo::BaseTable;
use windrose::health::table::{Table, Word};
use windrose::overrides::{Book, Entry, Kind, Stage, Target, judge, overlay};
use windrose::snapshot::{self, Input, Serials, Serving};

const WIPS: usize = 1_000_000;
const NOW_S: u64 = 1_800_000_000;

fn overrides(criterion: &mut Criterion) {
    for (world, wips, check) in [("shared", WIPS, "tcp"), ("own", WIPS / 10, "http")] {
        let serving = serving(wips, check);
        let mut group = criterion.benchmark_group(format!("overrides/{world}"));
        group.sample_size(10);
        for (name, target) in [
            ("datacenter", Target::new(Some("fra"), None, None)),
            ("one WIP", Target::new(None, Some("w77.g5.gslb.example.com"), None)),
            ("glob of few", Target::new(None, Some("w1234?.*"), None)),
            ("glob of all", Target::new(None, Some("*.gslb.example.com"), Some("fra"))),
        ] {
            let target = target.expect("it names somebody");
            let book = Book::default().set(drain(target));
            group.bench_function(format!("lay {name}"), |bencher| {
                bencher.iter(|| overlay(&serving.snapshot, black_box(&book), NOW_S));
            });
            let safety = Default::default();
            group.bench_function(format!("judge {name}"), |bencher| {
                let nothing = Book::default();
                bencher.iter(|| judge(&serving, &nothing, black_box(&book), NOW_S, &safety));
            });
        }
        group.finish();
    }
}

fn drain(target: Target) -> Entry {
    Entry {
        id: 0,
        kind: Kind::Drain,
        target,
        reason: "a bench".to_owned(),
        actor: "a bench".to_owned(),
        created_at_s: NOW_S,
        at_s: None,
        until_s: None,
        break_glass: None,
        stage: Stage::Planned,
    }
}

/// Ten groups of WIPs, each with settings of its own, over four sites.
fn serving(wips: usize, check: &str) -> Serving {
    let mut text = format!(
        "[zone.\"gslb.example.com\"]\nnameservers = [\"ns1.example.net\"]\n\
         hostmaster = \"hostmaster@example.net\"\n\
         [health_check.up]\ntype = \"{check}\"\nport = 80\ninterval = \"1h\"\n\
         [health]\nprobe_budget = 1_000_000\n\
         [wip_defaults]\nhealth_check = \"up\"\npolicy = \"failover\"\n"
    );
    let mut push = |line: std::fmt::Arguments<'_>| {
        text.write_fmt(line).expect("a string takes any text");
    };
    for (number, site) in ["fra", "ams", "iad", "sin"].iter().enumerate() {
        push(format_args!(
            "[datacenter.{site}]\nvip = [\"192.0.2.{number}\", \"2001:db8::{number}\"]\n"
        ));
    }
    for group in 0..10 {
        let members = ["\"fra\"", "\"iad\"", "\"ams\"", "\"sin\""];
        let members = members[..2 + group % 3].join(", ");
        push(format_args!("[pool.g{group}]\nmembers = [{members}]\n"));
    }
    for wip in 0..wips {
        let group = wip % 10;
        push(format_args!("[wip.\"w{wip}.g{group}.gslb.example.com\"]\npools = [\"g{group}\"]\n"));
    }
    let loaded = config::load(Path::new("bench.toml"), &OneFile(text));
    let problems = loaded.problems.render(&loaded.sources, false);
    let input = Input {
        config: Arc::new(loaded.config.expect(&problems)),
        base: Arc::new(BaseTable::from_networks(&[])),
        serials: Serials::default(),
        now_s: NOW_S,
        generation: 1,
    };
    let (snapshot, _) = snapshot::compile(input).expect("the bench's config compiles");
    let health = Table::new(snapshot.plan.verdicts.len());
    (0..health.len() as u32).for_each(|id| health.set(id, Word::UP));
    Serving::new(Arc::new(snapshot), Arc::new(health), 1, None)
}

struct OneFile(String);

impl Files for OneFile {
    fn read(&self, _: &Path) -> io::Result<Vec<u8>> {
        Ok(self.0.clone().into_bytes())
    }

    fn glob(&self, _: &str) -> Result<Vec<PathBuf>, String> {
        Ok(Vec::new())
    }

    fn exists(&self, _: &Path) -> bool {
        true
    }
}

criterion_group!(benches, overrides);
criterion_main!(benches);
