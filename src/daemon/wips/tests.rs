//! Pages of WIPs and sites from a config of text, health set by hand.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::*;
use crate::config::{self, Files};
use crate::health::table::{TTL_CAP_NONE, Table};
use crate::snapshot::{self, Input, Serials};
use crate::steer::overlay::{Builder, Laid};

const CONFIG: &str = r#"
[zone."gslb.example.com"]
nameservers = ["ns1.example.net"]
hostmaster = "hostmaster@example.net"

[datacenter.fra]
vip = ["192.0.2.1", "2001:db8::1"]
location = { latitude = 50.1, longitude = 8.7 }
health_check = "router"

[datacenter.iad]
vip = "192.0.2.2"
location = { country = "US" }

[datacenter.idle]
vip = "192.0.2.3"

[health_check.router]
type = "tcp"
port = 443

[health_check.ready]
type = "http"

[wip_defaults]
members = ["fra", "iad"]
health_check = "ready"

[pool.spares]
policy = "weighted"
members = [{ name = "spare", address = "192.0.2.9", weight = 7 }]

[wip."a.gslb.example.com"]
aliases = ["www.gslb.example.com"]
[wip."b.gslb.example.com"]
policy = "failover"
[wip."c.gslb.example.com"]
pools = ["spares"]
[wip."d.gslb.example.com"]
ttl = "77s"
"#;

struct OneFile;

impl Files for OneFile {
    fn read(&self, _: &Path) -> std::io::Result<Vec<u8>> {
        Ok(CONFIG.as_bytes().to_vec())
    }

    fn glob(&self, _: &str) -> Result<Vec<PathBuf>, String> {
        Ok(Vec::new())
    }

    fn exists(&self, _: &Path) -> bool {
        true
    }
}

/// Every member up.
fn serving() -> Serving {
    let loaded = config::load(Path::new("windrose.toml"), &OneFile);
    let report = loaded.problems.render(&loaded.sources, false);
    let input = Input {
        config: Arc::new(loaded.config.expect(&report)),
        base: Arc::new(geo::BaseTable::from_networks(&[])),
        serials: Serials::default(),
        now_s: 1_800_000_000,
        generation: 1,
    };
    let (snapshot, _) = snapshot::compile(input).unwrap();
    let table = Table::new(snapshot.plan.verdicts.len());
    for id in 0..table.len() as VerdictId {
        table.set(id, Word::UP);
    }
    Serving::new(Arc::new(snapshot), Arc::new(table), 1, None)
}

fn down() -> Word {
    Word::new(State::Down, false, Override::None, TTL_CAP_NONE, 9)
}

/// The verdict of VIP `vip` of WIP `wip`.
fn verdict(serving: &Serving, wip: usize, vip: usize) -> VerdictId {
    let entry = &serving.snapshot.wips[wip];
    serving.snapshot.verdicts(entry, serving.snapshot.strategy(entry))[vip]
}

/// Lays `over` over the given VIPs of one WIP.
fn lay(serving: &Serving, wip: u32, row: &[Override]) -> Serving {
    let row: Vec<Laid> = row.iter().map(|&over| Laid { over, ..Laid::default() }).collect();
    let mut builder = Builder::default();
    builder.of_wip(wip, &row);
    serving.with_overlay(Arc::new(builder.build()))
}

fn told(ids: &[VerdictId]) -> HashMap<VerdictId, String> {
    ids.iter().map(|&id| (id, "check ready is down".to_owned())).collect()
}

fn ask(serving: &Serving, request: &WipsRequest) -> WipsPage {
    page(serving, request, &told, &Deciders::default()).unwrap()
}

fn names(page: &WipsPage) -> Vec<&str> {
    page.wips.iter().map(|wip| wip.name.split('.').next().unwrap()).collect()
}

#[test]
fn pages_follow_one_another_and_count_all() {
    let serving = serving();
    let mut request = WipsRequest { limit: 3, ..WipsRequest::default() };
    let first = ask(&serving, &request);
    assert_eq!((first.total, names(&first)), (4, vec!["a", "b", "c"]));
    request.after = Some(Name::parse(&first.next.unwrap()).unwrap());
    let second = ask(&serving, &request);
    assert_eq!((second.total, names(&second), second.next.as_deref()), (4, vec!["d"], None));
    request = WipsRequest { limit: 4, ..WipsRequest::default() };
    assert_eq!(ask(&serving, &request).next, None, "all fit: there is no more");
    request.after = Some(Name::parse("gone.gslb.example.com").unwrap());
    let gone = page(&serving, &request, &told, &Deciders::default()).unwrap_err();
    assert_eq!(gone, ApiError::NotFound("there is no WIP \"gone.gslb.example.com\"".to_owned()));
}

#[test]
fn a_text_is_looked_for_in_names_and_aliases() {
    let serving = serving();
    for (text, found) in [
        ("a.gslb", vec!["a"]),
        ("www", vec!["a"]),
        (".example.com", vec!["a", "b", "c", "d"]),
        ("nobody", vec![]),
    ] {
        let request = WipsRequest { q: Some(text.to_owned()), ..WipsRequest::default() };
        let page = ask(&serving, &request);
        assert_eq!((page.total, names(&page)), (found.len() as u64, found), "{text}");
    }
}

#[test]
fn the_troubled_are_those_with_a_vip_that_is_not_up_or_overridden() {
    let serving = serving();
    let request = WipsRequest { troubled: true, ..WipsRequest::default() };
    assert_eq!(ask(&serving, &request).total, 0);
    // One of the two VIPs of b's fra.
    serving.health.set(verdict(&serving, 1, 1), down());
    let troubled = ask(&serving, &request);
    let b = troubled.wips.iter().find(|wip| wip.name.starts_with('b')).unwrap();
    assert_eq!((b.members[0].available, b.members[0].effective.as_str()), (true, "up"));
    assert_eq!(b.members[0].reason, None, "the member is up");
    let vips: Vec<bool> = b.members[0].vips.iter().map(|vip| vip.available).collect();
    assert_eq!(vips, [true, false]);
    // An operator's word is trouble too, even where all is up.
    let laid = lay(&serving, 2, &[Override::ForcedUp]);
    assert!(names(&ask(&laid, &request)).contains(&"c"));
}

#[test]
fn a_member_says_what_queries_see_and_why() {
    let serving = serving();
    let c = one(&serving, &Name::parse("c.gslb.example.com").unwrap(), &told, &Deciders::default())
        .unwrap();
    assert_eq!((c.policy.as_str(), c.available, c.members[0].weight), ("weighted", 1, 7));
    assert_eq!((c.members[0].pool.as_deref(), &c.members[0].datacenter), (Some("spares"), &None));
    let d = one(&serving, &Name::parse("d.gslb.example.com").unwrap(), &told, &Deciders::default())
        .unwrap();
    assert_eq!((d.policy.as_str(), d.ttl_s, d.members[0].pool.as_deref()), ("geo", 77, None));

    let laid = lay(&serving, 0, &[Override::Drained, Override::Drained, Override::None]);
    let a = one(&laid, &Name::parse("www.gslb.example.com").unwrap(), &told, &Deciders::default())
        .unwrap();
    assert_eq!(
        (a.name.as_str(), a.aliases.as_slice()),
        ("a.gslb.example.com", &["www.gslb.example.com".to_owned()][..])
    );
    assert_eq!(a.available, 1);
    let fra = &a.members[0];
    assert_eq!(
        (fra.effective.as_str(), fra.probed.as_str(), fra.available),
        ("drained", "up", false)
    );
    let untold = one(
        &laid,
        &Name::parse("a.gslb.example.com").unwrap(),
        &|_| HashMap::new(),
        &Deciders::default(),
    );
    let reason = untold.unwrap().members[0].reason.clone();
    assert_eq!(reason.as_deref(), Some("drained by an operator"));

    // Its own checks pass, but its site is lost.
    let id = verdict(&serving, 0, 2);
    serving.health.set(id, Word::new(State::Up, false, Override::None, TTL_CAP_NONE, 9));
    let a = one(&serving, &Name::parse("a.gslb.example.com").unwrap(), &told, &Deciders::default())
        .unwrap();
    let iad = &a.members[1];
    assert_eq!((iad.effective.as_str(), iad.probed.as_str()), ("down", "up"));
    assert_eq!(iad.reason.as_deref(), Some("check ready is down"));
    serving.health.set(id, Word::UP.held());
    let a = one(&serving, &Name::parse("a.gslb.example.com").unwrap(), &told, &Deciders::default())
        .unwrap();
    assert_eq!(a.members[1].effective, "held");
}

#[test]
fn a_datacenter_is_as_its_members_are() {
    let serving = serving();
    let of = |serving: &Serving, name: &str| {
        let page = datacenters(serving).datacenters;
        page.into_iter().find(|datacenter| datacenter.name == name).unwrap()
    };
    let fra = of(&serving, "fra");
    assert_eq!((fra.state.as_str(), fra.gate.as_deref()), ("up", Some("up")));
    assert_eq!((fra.members, fra.available, fra.overridden), (3, 3, 0));
    assert_eq!(fra.location, Some(Location { latitude: 50.1, longitude: 8.7 }));
    assert!(of(&serving, "iad").location.is_some(), "a country's centroid");
    assert_eq!(of(&serving, "idle").state, "unused");

    let iads: Vec<VerdictId> = [0, 1, 3].map(|wip| verdict(&serving, wip, 2)).to_vec();
    for &id in &iads {
        serving.health.set(id, Word::UNKNOWN);
    }
    assert_eq!(of(&serving, "iad").state, "unknown");
    serving.health.set(iads[0], down());
    let iad = of(&serving, "iad");
    assert_eq!((iad.state.as_str(), iad.available), ("degraded", 2));
    for &id in &iads {
        serving.health.set(id, down());
    }
    assert_eq!(of(&serving, "iad").state, "down");

    let row = [Override::Drained, Override::Drained, Override::None];
    let mut builder = Builder::default();
    for wip in [0, 1, 3] {
        builder.of_wip(wip, &row.map(|over| Laid { over, ..Laid::default() }));
    }
    let drained = serving.with_overlay(Arc::new(builder.build()));
    let fra = of(&drained, "fra");
    assert_eq!((fra.state.as_str(), fra.available, fra.overridden), ("drained", 0, 3));
    let one_drained = of(&lay(&serving, 0, &row), "fra");
    assert_eq!((one_drained.state.as_str(), one_drained.available), ("degraded", 2));
    // A VIP of one family that is out degrades its site, though its members are there.
    serving.health.set(verdict(&serving, 0, 1), down());
    assert_eq!(of(&serving, "fra").state, "degraded");
    let gates = serving.snapshot.plan.verdicts[verdict(&serving, 0, 0) as usize].gate.unwrap();
    serving.health.set(gates, down());
    assert_eq!(of(&serving, "fra").gate.as_deref(), Some("down"));
}
