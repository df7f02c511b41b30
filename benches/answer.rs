//! The answer function by itself: parse, and whole answers for each policy, with
//! and without a client subnet, static data, and names that do not exist.
//!
//! `cargo bench --bench answer`

mod support;

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use support::{Kind, PEER, POLICIES, World, query};
use windrose::answer::{Scratch, answer};
use windrose::dns::query::Query;
use windrose::dns::types::rtype;

/// Names of each kind that are asked in turn.
const NAMES: usize = 1_000;

fn parse(criterion: &mut Criterion) {
    for (id, subnet) in [("parse/plain", None), ("parse/ecs", Some([91, 0, 0]))] {
        let message = query("geo7.gslb.example.com", rtype::A, subnet);
        criterion.bench_function(id, |bencher| {
            bencher.iter(|| Query::parse(black_box(&message)).is_ok());
        });
    }
}

fn answers(criterion: &mut Criterion) {
    let serving = World::of(NAMES).serving();
    let mut scratch = Scratch::default();
    let mut out = vec![0; 4_096];
    let kinds = POLICIES.iter().map(|policy| (*policy, false));
    let kinds = kinds.chain(POLICIES.iter().map(|policy| (*policy, true))).chain([
        ("static", false),
        ("static", true),
        ("absent", false),
    ]);
    for (pattern, with_subnet) in kinds {
        let name = format!("{pattern}{{}}.gslb.example.com");
        let requests = Kind { pattern: &name, qtype: rtype::A, subnet: with_subnet }.queries(NAMES);
        let suffix = if with_subnet { "/ecs" } else { "" };
        let mut at = 0;
        criterion.bench_function(&format!("answer/{pattern}{suffix}"), |bencher| {
            bencher.iter(|| {
                at = (at + 1) % requests.len();
                let state = &serving.workers[0];
                answer(&serving, state, &mut scratch, black_box(&requests[at]), PEER, &mut out)
            });
        });
    }
}

criterion_group!(benches, parse, answers);
criterion_main!(benches);
