//! Every config that is shipped loads, and does not when a key is misspelt.

#![allow(clippy::unwrap_used)] // a panic in a test is a failed test

mod config_support;

use std::net::IpAddr;
use std::path::Path;

use config_support::MemoryFiles;
use windrose::config::model::Config;
use windrose::config::{Loaded, load};
use windrose::steer::Policy;

/// Files that the shipped configs name.
const OTHERS: [(&str, &str); 18] = [
    ("/etc/windrose/transfer.key", "3sDh4GGJhlUNnV0tGKlgXDPjyDEqBrMRGDfsKYTn7yM="),
    ("/etc/windrose/webhook.secret", "secret"),
    ("/etc/windrose/hooks-ca.pem", ""),
    ("/etc/windrose/admin.token", "token"),
    ("/etc/windrose/dns.crt", "certificate"),
    ("/etc/windrose/dns.key", "key"),
    ("/etc/windrose/admin.crt", "certificate"),
    ("/etc/windrose/admin.key", "key"),
    ("/etc/windrose/cookies.secret", "e5e973e5a6b2a43f48e7dc849e37bfcf\n"),
    ("ca.pem", ""),
    ("client.pem", ""),
    ("client.key", ""),
    ("checks/replica.sh", ""),
    ("verdicts/shop", "up\n"),
    ("/var/lib/windrose/city.mmdb", ""),
    ("/var/lib/windrose/asn.mmdb", ""),
    ("zones/gslb.example.com.zone", "www IN A 192.0.2.1\n"),
    ("wips.d/team.toml", "[wip.\"team.gslb.example.com\"]\npolicy = \"hash\"\n"),
];

fn shipped() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    let mut paths = vec![root.join("minimal.toml"), root.join("windrose.toml")];
    for entry in std::fs::read_dir(root.join("examples")).unwrap() {
        paths.push(entry.unwrap().path());
    }
    paths
        .iter()
        .map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, std::fs::read_to_string(path).unwrap())
        })
        .collect()
}

fn load_text(text: &str) -> Loaded {
    let mut files = MemoryFiles::default();
    files.insert("windrose.toml", text);
    for (path, text) in OTHERS {
        files.insert(path, text);
    }
    load(Path::new("windrose.toml"), &files)
}

fn config(name: &str) -> Config {
    let (_, text) = shipped().into_iter().find(|(file, _)| file == name).unwrap();
    load_text(&text).config.unwrap()
}

fn pool_members(config: &Config, pool: u32) -> Vec<&str> {
    config.pools[pool as usize].members.iter().map(|member| member.name.as_str()).collect()
}

#[test]
fn every_shipped_config_loads_without_a_word() {
    for (name, text) in shipped() {
        let loaded = load_text(&text);
        assert_eq!(loaded.problems.render(&loaded.sources, false), "", "{name}");
        assert!(loaded.config.is_some(), "{name}");
    }
}

#[test]
fn every_shipped_config_is_refused_with_an_unknown_key() {
    for (name, text) in shipped() {
        let with_typo = format!("{text}\n[serverr]\nlisten = \"[::]:53\"\n");
        let loaded = load_text(&with_typo);
        assert!(loaded.config.is_none(), "{name}");
        assert!(loaded.problems.iter().any(|problem| problem.code == "unknown-section"), "{name}");
    }
}

#[test]
fn wips_take_defaults_members_and_pools_as_written() {
    let config = config("datacenters.toml");
    let settings = |name: &str| {
        let index = (0..config.wips.len() as u32)
            .find(|index| {
                let name = windrose::dns::Name::parse(name).unwrap();
                config.wips.name(*index) == name.wire()
            })
            .unwrap();
        &config.wip_settings[config.wips.settings(index) as usize]
    };
    let shop = settings("shop.gslb.example.com");
    assert_eq!(shop.policy, Policy::Geo);
    assert_eq!(pool_members(&config, shop.pools[0]), ["fra", "iad"]);
    assert_eq!((shop.ttl_s, shop.ttl_min_s), (30, 5));
    let ledger = settings("ledger.gslb.example.com");
    assert_eq!(config.pools[ledger.pools[0] as usize].policy, Policy::Failover);
    assert_eq!(pool_members(&config, ledger.pools[0]), ["iad", "fra"]);
    assert_eq!(ledger.health_checks, shop.health_checks);
    let search = settings("search.gslb.example.com");
    assert_eq!(search.pools.len(), 2);
    assert_eq!(pool_members(&config, search.pools[0]), ["fra", "ams", "spare"]);
    let weights: Vec<u32> = config.pools[0].members.iter().map(|member| member.weight).collect();
    assert_eq!(weights, [1, 3, 0]);
    let team = settings("team.gslb.example.com");
    assert_eq!(config.pools[team.pools[0] as usize].policy, Policy::Hash);
    assert_eq!(config.files.len(), 3);
}

#[test]
fn split_horizon_addresses_keep_their_clients() {
    let config = config("split-horizon.toml");
    let vips = &config.datacenters[0].vips;
    assert_eq!(vips[0].address, "203.0.113.10".parse::<IpAddr>().unwrap());
    assert!(vips[0].clients.is_empty());
    assert_eq!(vips[1].clients[0].to_string(), "10.0.0.0/8");
    assert_eq!(config.zones[0].hostmaster.as_ref().unwrap().to_string(), "dns\\.admin.example.com");
}

fn is_header(line: &str) -> bool {
    line.trim_start_matches('#').starts_with('[')
}

#[test]
fn each_commented_key_of_the_documented_file_can_be_uncommented() {
    let text = windrose::config::default_file();
    let lines: Vec<&str> = text.lines().collect();
    let mut tried = 0;
    for (index, line) in lines.iter().enumerate() {
        let Some(key) = line.strip_prefix('#').filter(|rest| !rest.starts_with(' ')) else {
            continue;
        };
        if key.is_empty() {
            continue;
        }
        tried += 1;
        let mut changed = lines.clone();
        changed[index] = key;
        // A certificate goes with its key.
        for (line, written) in changed.iter_mut().zip(&lines) {
            let is_pair =
                [["client_"; 2], ["tls_"; 2], ["certificate =", "key ="]].iter().any(|pair| {
                    let has = |text: &str| pair.iter().any(|begins| text.starts_with(begins));
                    has(key) && written.strip_prefix('#').is_some_and(has)
                });
            if is_pair {
                *line = &written[1..];
            }
        }
        // A table that is an example as a whole comes with all its keys.
        let header = lines[..=index].iter().rposition(|line| is_header(line)).unwrap_or(0);
        if lines[header].starts_with('#') {
            let end = lines[index + 1..].iter().position(|line| is_header(line));
            let end = end.map_or(lines.len(), |length| index + 1 + length);
            for line in changed[header..end].iter_mut().filter(|line| !line.starts_with("# ")) {
                *line = line.trim_start_matches('#');
            }
        }
        let loaded = load_text(&changed.join("\n"));
        assert_eq!(
            loaded.problems.errors(),
            0,
            "{key}\n{}",
            loaded.problems.render(&loaded.sources, false)
        );
    }
    assert!(tried > 60, "{tried}");
}

#[test]
fn the_examples_of_the_manual_load_together() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/CONFIG.md");
    let manual = std::fs::read_to_string(path).unwrap();
    let blocks = manual.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let text: String = blocks.collect();
    let mut files = MemoryFiles::default();
    files.insert("windrose.toml", text);
    files.insert("zones/gslb.example.com.zone", "");
    files.insert("checks/replica.sh", "");
    files.insert(
        "datacenters.toml",
        "[datacenter.iad]\nvip = [\"198.51.100.10\", \"2001:db8:1::10\"]\n\
         location = { country = \"US\" }\n\
         [datacenter.ams]\nvip = \"203.0.113.40\"\n\
         [health_check.router]\ntype = \"tcp\"\nport = 443\n\
         [pool.america]\nmembers = [\"iad\"]\n\
         [zone.\"shop.example.com\"]\nnameservers = \"ns1.example.com\"\n\
         hostmaster = \"hostmaster@example.com\"\n",
    );
    let loaded = load(Path::new("windrose.toml"), &files);
    let text = loaded.problems.render(&loaded.sources, false);
    assert_eq!(loaded.problems.errors(), 0, "{text}");
}

#[test]
fn problems_found_after_the_load_have_places_and_excerpts() {
    use windrose::problem::Problem;
    let text = "[zone.\"example.com\"]\nnameservers = \"ns1.example.net\"\n\
        hostmaster = \"hostmaster@example.net\"\nfile = \"x.zone\"\nrecords = [\"a IN A 192.0.2.1\"]\n\
        [datacenter.fra]\nvip = \"203.0.113.10\"\n\
        [wip.\"shop.example.com\"]\nmembers = [\"fra\"]\naliases = \"store.example.com\"\n";
    let mut files = MemoryFiles::default();
    files.insert("windrose.toml", text);
    files.insert("x.zone", "www IN A 192.0.2.1\nshop IN A 192.0.2.2\n");
    let mut loaded = load(Path::new("windrose.toml"), &files);
    assert!(loaded.config.is_some());
    let origins = &loaded.origins;
    let wip = origins.wip(0).unwrap();
    let problem = Problem::error("static-at-wip", "a WIP has static addresses")
        .at_line(origins.master_file(0).unwrap(), 2, 1)
        .at_with(wip, "the WIP")
        .at_with(origins.record(0, 0).unwrap(), "a record")
        .at_with(origins.alias(0).unwrap(), "an alias");
    loaded.problems.push(problem);
    loaded.fetch_texts(&files);
    let shown = loaded.problems.render(&loaded.sources, false);
    for part in [
        " --> x.zone:2:1",
        "2 | shop IN A 192.0.2.2",
        "| ^^^^",
        "------------------ the WIP",
        "------------------ a record",
        "------------------- an alias",
    ] {
        assert!(shown.contains(part), "{part}\n{shown}");
    }
}
