//! SOA serials over loads (docs/CONFIG.md): the time of the load that changed
//! what a zone answers, growing, unless the config fixes one.

#![allow(clippy::unwrap_used)] // a panic here is a failed test

mod config_support;

use std::path::Path;
use std::sync::Arc;

use config_support::MemoryFiles;
use windrose::config;
use windrose::dns::Name;
use windrose::geo::BaseTable;
use windrose::snapshot::{self, Input, Serials};

const CONFIG: &str = r#"
[zone."z.example"]
nameservers = ["ns1.z.example"]
hostmaster = "h@z.example"
records = ["ns1 A 192.0.2.53"]
[zone."other.example"]
nameservers = ["ns1.z.example"]
hostmaster = "h@z.example"
[datacenter.fra]
vip = ["203.0.113.1"]
wildcard = "apps.fra.z.example"
[wip."w.z.example"]
policy = "failover"
members = ["fra"]
health_check = "none"
[health_check.none]
type = "always"
"#;

/// One server's loads.
struct Loads {
    serials: Serials,
    now_s: u64,
}

impl Loads {
    /// Loads ten seconds later; serials of z.example and other.example.
    fn load(&mut self, text: &str) -> [u32; 2] {
        self.now_s += 10;
        let mut files = MemoryFiles::default();
        files.insert("w.toml", text);
        let loaded = config::load(Path::new("w.toml"), &files);
        let config = loaded.config.expect("the config is valid");
        let (snapshot, _) = snapshot::compile(Input {
            config: Arc::new(config),
            base: Arc::new(BaseTable::from_networks(&[])),
            serials: self.serials.clone(),
            now_s: self.now_s,
            generation: 1,
        })
        .unwrap();
        self.serials = snapshot.serials;
        ["z.example", "other.example"]
            .map(|zone| self.serials.0[&Name::parse(zone).unwrap()].number)
    }
}

#[test]
fn a_serial_is_the_time_of_the_load_that_changed_what_its_zone_answers() {
    let mut loads = Loads { serials: Serials::default(), now_s: 1_000 };
    assert_eq!(loads.load(CONFIG), [1_010, 1_010]);
    assert_eq!(loads.load(&format!("# a comment\n{CONFIG}")), [1_010, 1_010]);
    let more = "[datacenter.ams]\nvip = \"203.0.113.9\"\n[pool.spare]\nmembers = [\"ams\"]\n\
                [health_check.also]\ntype = \"tcp\"\nport = 80\n\
                [wip.\"a.other.example\"]\npools = [\"spare\"]\npolicy = \"geo\"\n\
                health_check = \"also\"\n";
    assert_eq!(loads.load(&format!("{more}{CONFIG}")), [1_010, 1_030], "another zone's");
    assert_eq!(loads.load(CONFIG), [1_010, 1_040]);
    for (what, text) in [
        ("a record", CONFIG.replace("192.0.2.53", "192.0.2.54")),
        ("a VIP", CONFIG.replace("203.0.113.1", "203.0.113.2")),
        ("a site's own names", CONFIG.replace("apps.fra", "sites.fra")),
        ("a WIP's name", CONFIG.replace("w.z.example", "v.z.example")),
        ("a policy", CONFIG.replace("failover", "round-robin")),
        ("a TTL", CONFIG.replace("policy", "ttl = \"7s\"\npolicy")),
        ("the first again", CONFIG.to_owned()),
    ] {
        let now = loads.now_s as u32 + 10;
        assert_eq!(loads.load(&text), [now, 1_040], "{what}");
    }
}

#[test]
fn a_fixed_serial_is_given_as_it_is_and_leaves_with_the_config() {
    let fixed =
        |serial: u32| CONFIG.replacen("hostmaster", &format!("serial = {serial}\nhostmaster"), 1);
    let mut loads = Loads { serials: Serials::default(), now_s: 1_000 };
    assert_eq!(loads.load(CONFIG)[0], 1_010);
    assert_eq!(loads.load(&fixed(42))[0], 42);
    assert_eq!(loads.load(CONFIG)[0], 1_030, "back to the time");
    assert_eq!(loads.load(&fixed(5_000))[0], 5_000);
    assert_eq!(loads.load(CONFIG)[0], 5_001, "still growing");
}
