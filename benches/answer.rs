//! The answer function by itself: parse, and whole answers for each policy, with
//! and without a client subnet, static data, and names that do not exist.
//!
//! `cargo bench --bench answer`

use std::hint::black_box;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use windrose::answer::{Peer, Scratch, answer};
use windrose::config::{self, Files};
use windrose::dns::Name;
use windrose::dns::query::Query;
use windrose::geo::BaseTable;
use windrose::health::table::{Table, Word};
use windrose::metrics::Transport;
use windrose::snapshot::{self, Input, Serials, Serving};

/// Names of each kind that are asked in turn.
const NAMES: usize = 1_000;
const POLICIES: [&str; 5] = ["geo", "round-robin", "weighted", "failover", "hash"];

//------------ World ----------------------------------------------------------

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

fn config_text() -> String {
    let mut text = String::from(
        r#"
[zone."gslb.example.com"]
nameservers = ["ns1.gslb.example.com"]
hostmaster = "hostmaster@example.com"
records = ["ns1 A 192.0.2.53"
"#,
    );
    for index in 0..NAMES {
        text.push_str(&format!(", \"static{index} A 192.0.2.1\"\n"));
    }
    text.push_str("]\n");
    for (index, (name, country)) in
        [("fra", "DE"), ("iad", "US"), ("sin", "SG")].into_iter().enumerate()
    {
        text.push_str(&format!(
            "[datacenter.{name}]\nvip = [\"192.0.2.{}\", \"2001:db8::{}\"]\nlocation = {{ country = \"{country}\" }}\n",
            index + 1,
            index + 1
        ));
    }
    text.push_str("[health_check.none]\ntype = \"always\"\n");
    text.push_str(
        "[wip_defaults]\nmembers = [\"fra\", \"iad\", \"sin\"]\nhealth_check = \"none\"\n",
    );
    for policy in POLICIES {
        for index in 0..NAMES {
            text.push_str(&format!(
                "[wip.\"{policy}{index}.gslb.example.com\"]\npolicy = \"{policy}\"\n"
            ));
        }
    }
    text
}

fn serving() -> Serving {
    let files = OneFile(config_text());
    let loaded = config::load(Path::new("bench.toml"), &files);
    let problems = loaded.problems.render(&loaded.sources, false);
    let config = Arc::new(loaded.config.expect(&problems));
    let input = Input {
        config,
        base: Arc::new(BaseTable::embedded()),
        serials: Serials::default(),
        now_s: 0,
        generation: 1,
    };
    let (snapshot, _) = snapshot::compile(input).expect("the bench's config compiles");
    let health = Table::new(snapshot.plan.verdicts.len());
    (0..health.len() as u32).for_each(|id| health.set(id, Word::UP));
    Serving::new(Arc::new(snapshot), Arc::new(health), 1, None)
}

/// A query; with `subnet` it carries EDNS and an IPv4 client subnet.
fn query(name: &str, subnet: Option<[u8; 3]>) -> Vec<u8> {
    let mut message = vec![0x12, 0x34, 0, 0, 0, 1, 0, 0, 0, 0, 0, u8::from(subnet.is_some())];
    message.extend(Name::parse(name).expect("a name").wire());
    message.extend([0, 1, 0, 1]);
    if let Some([a, b, c]) = subnet {
        message.extend([0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 11, 0, 8, 0, 7, 0, 1, 24, 0, a, b, c]);
    }
    message
}

/// As many queries of one kind as there are names, subnets well spread.
fn queries(pattern: &str, with_subnet: bool) -> Vec<Vec<u8>> {
    (0..NAMES)
        .map(|index| {
            let name = format!("{pattern}{index}.gslb.example.com");
            let spread = (index as u32).wrapping_mul(0x9e37_79b9).to_be_bytes();
            let subnet = [1 + spread[0] % 200, spread[1], spread[2]];
            query(&name, with_subnet.then_some(subnet))
        })
        .collect()
}

//------------ Benches --------------------------------------------------------

fn parse(criterion: &mut Criterion) {
    for (id, subnet) in [("parse/plain", None), ("parse/ecs", Some([91, 0, 0]))] {
        let message = query("geo7.gslb.example.com", subnet);
        criterion.bench_function(id, |bencher| {
            bencher.iter(|| Query::parse(black_box(&message)).is_ok());
        });
    }
}

fn answers(criterion: &mut Criterion) {
    let serving = serving();
    let mut scratch = Scratch::default();
    let mut out = vec![0; 4_096];
    let peer = Peer { address: IpAddr::V4(Ipv4Addr::new(91, 1, 2, 3)), transport: Transport::Udp };
    let kinds = POLICIES.iter().map(|policy| (*policy, false));
    let kinds = kinds.chain(POLICIES.iter().map(|policy| (*policy, true))).chain([
        ("static", false),
        ("static", true),
        ("absent", false),
    ]);
    for (pattern, with_subnet) in kinds {
        let requests = queries(pattern, with_subnet);
        let suffix = if with_subnet { "/ecs" } else { "" };
        let mut at = 0;
        criterion.bench_function(&format!("answer/{pattern}{suffix}"), |bencher| {
            bencher.iter(|| {
                at = (at + 1) % requests.len();
                let state = &serving.workers[0];
                answer(&serving, state, &mut scratch, black_box(&requests[at]), peer, &mut out)
            });
        });
    }
}

criterion_group!(benches, parse, answers);
criterion_main!(benches);
