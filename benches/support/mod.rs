//! What the benches of answers share: a server's state without a server, and queries
//! for it. Not every bench uses all of it.
#![allow(dead_code)]

use std::fmt::Write;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use windrose::answer::Peer;
use windrose::config::{self, Files};
use windrose::dns::Name;
use windrose::dns::types::{class, rtype};
use windrose::geo::BaseTable;
use windrose::health::table::{State, Table, Word};
use windrose::metrics::Transport;
use windrose::snapshot::{self, Input, Serials, Serving};

/// Every policy a WIP may have.
pub(crate) const POLICIES: [&str; 5] = ["geo", "round-robin", "weighted", "failover", "hash"];

/// The packet's source in every query.
pub(crate) const PEER: Peer =
    Peer { address: IpAddr::V4(Ipv4Addr::new(91, 1, 2, 3)), transport: Transport::Udp };

//------------ World ----------------------------------------------------------

/// What a world is made of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct World {
    /// WIPs of each policy, and static names.
    pub(crate) names: usize,
    /// Whether the members are healthy.
    pub(crate) up: bool,
    /// Counters for each WIP.
    pub(crate) per_wip: bool,
    /// Whether client subnets are used.
    pub(crate) ecs: bool,
    /// Further lines of the config, before its first section.
    pub(crate) more: &'static str,
}

impl World {
    /// All members up, everything on, `names` of each kind.
    pub(crate) fn of(names: usize) -> World {
        World { names, up: true, per_wip: true, ecs: true, more: "" }
    }

    /// The config, compiled, for one worker.
    pub(crate) fn serving(self) -> Serving {
        let files = OneFile(self.config_text());
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
        let down = Word::new(State::Down, false, Default::default(), 0, 1);
        let word = if self.up { Word::UP } else { down };
        (0..health.len() as u32).for_each(|id| health.set(id, word));
        Serving::new(Arc::new(snapshot), Arc::new(health), 1, None)
    }

    fn config_text(self) -> String {
        let World { names, per_wip, ecs, more, .. } = self;
        let mut text = format!(
            r#"
server.ecs = {ecs}
metrics.per_wip = {per_wip}
{more}
[zone."gslb.example.com"]
nameservers = ["ns1.gslb.example.com"]
hostmaster = "hostmaster@example.com"
records = ["ns1 A 192.0.2.53"
"#
        );
        for index in 0..names {
            push(&mut text, format_args!(", \"static{index} A 192.0.2.1\"\n"));
        }
        text.push_str("]\n");
        let sites = [("fra", "DE"), ("iad", "US"), ("sin", "SG")];
        for (number, (name, country)) in (1..).zip(sites) {
            push(
                &mut text,
                format_args!(
                    "[datacenter.{name}]\nvip = [\"192.0.2.{number}\", \"2001:db8::{number}\"]\n\
                     location = {{ country = \"{country}\" }}\n"
                ),
            );
        }
        text.push_str("[health_check.none]\ntype = \"always\"\n");
        text.push_str(
            "[wip_defaults]\nmembers = [\"fra\", \"iad\", \"sin\"]\nhealth_check = \"none\"\n",
        );
        for policy in POLICIES {
            for index in 0..names {
                push(
                    &mut text,
                    format_args!(
                        "[wip.\"{policy}{index}.gslb.example.com\"]\npolicy = \"{policy}\"\n"
                    ),
                );
            }
        }
        text
    }
}

fn push(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    text.write_fmt(arguments).expect("a string takes any text");
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

//------------ Queries --------------------------------------------------------

/// One kind of queries.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kind<'a> {
    /// The name, with `{}` where a number stands.
    pub(crate) pattern: &'a str,
    /// The type asked.
    pub(crate) qtype: u16,
    /// Whether they carry EDNS and a client subnet.
    pub(crate) subnet: bool,
}

impl<'a> Kind<'a> {
    /// Type A, no EDNS.
    pub(crate) const fn a(pattern: &'a str) -> Kind<'a> {
        Kind { pattern, qtype: rtype::A, subnet: false }
    }

    /// With a client subnet.
    pub(crate) const fn ecs(self) -> Kind<'a> {
        Kind { subnet: true, ..self }
    }

    /// `count` queries for different names, subnets well spread.
    pub(crate) fn queries(self, count: usize) -> Vec<Vec<u8>> {
        let each = (0..count).map(|index| {
            let name = self.pattern.replace("{}", &index.to_string());
            let spread = (index as u32).wrapping_mul(0x9e37_79b9).to_be_bytes();
            let subnet = [1 + spread[0] % 200, spread[1], spread[2]];
            query(&name, self.qtype, self.subnet.then_some(subnet))
        });
        each.collect()
    }
}

/// A query; with `subnet` it carries EDNS and an IPv4 client subnet.
pub(crate) fn query(name: &str, qtype: u16, subnet: Option<[u8; 3]>) -> Vec<u8> {
    let mut message = vec![0x12, 0x34, 0, 0, 0, 1, 0, 0, 0, 0, 0, u8::from(subnet.is_some())];
    message.extend(Name::parse(name).expect("a name").wire());
    message.extend(qtype.to_be_bytes());
    message.extend(class::IN.to_be_bytes());
    if let Some([a, b, c]) = subnet {
        message.extend([0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 11, 0, 8, 0, 7, 0, 1, 24, 0, a, b, c]);
    }
    message
}
