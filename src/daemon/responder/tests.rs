//! Batches over loopback, answered in groups and one by one.

use std::net::UdpSocket;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::*;
use crate::config::{self, Files};
use crate::geo::BaseTable;
use crate::health::table::Table;
use crate::listen::Wait;
use crate::listen::udp_batch::Batch;
use crate::metrics::Totals;
use crate::snapshot::{self, Input, Serials};

const CONFIG: &str = r#"
[zone."example.com"]
nameservers = ["ns1.example.net"]
hostmaster = "hostmaster@example.net"
records = ["static A 192.0.2.1"]

[datacenter.fra]
vip = ["192.0.2.1", "2001:db8::1"]

[datacenter.iad]
vip = ["192.0.2.2", "2001:db8::2"]

[health_check.none]
type = "always"

[wip."turns.example.com"]
policy = "round-robin"
members = ["fra", "iad"]
health_check = "none"
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

fn responder(registry: &Registry) -> DnsResponder {
    let config = config::load(Path::new("windrose.toml"), &OneFile).config.unwrap();
    let input = Input {
        config: Arc::new(config),
        base: Arc::new(BaseTable::from_networks(&[])),
        serials: Serials::default(),
        now_s: 1_800_000_000,
        generation: 1,
    };
    let (snapshot, _) = snapshot::compile(input).unwrap();
    let table = Table::new(snapshot.plan.verdicts.len());
    let serving = Serving::new(Arc::new(snapshot), Arc::new(table), 1, None);
    DnsResponder {
        cell: Arc::new(ArcSwap::from_pointee(serving)),
        guard: None,
        worker: 0,
        scratch: Scratch::default(),
        counters: registry.worker(),
        tap: None,
        limiting: None,
        timer: Timer::default(),
    }
}

/// Queries, one of each kind after another: decided, static, absent, another's, and
/// what is no query.
fn requests() -> Vec<Vec<u8>> {
    let names: [&[u8]; 4] = [
        b"\x05turns\x07example\x03com\0",
        b"\x06static\x07example\x03com\0",
        b"\x06absent\x07example\x03com\0",
        b"\x07another\x03net\0",
    ];
    (0..50_u8)
        .map(|index| match names.get(usize::from(index) % 6) {
            Some(name) => {
                let head = [index, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
                [&head[..], name, &[0, 1, 0, 1]].concat()
            }
            None if index % 6 == 4 => vec![index; 5],
            None => vec![index, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0],
        })
        .collect()
}

/// Sends all, has `serve` answer the batch, and returns the replies.
fn exchange(serve: impl FnOnce(&mut Batch)) -> Vec<Vec<u8>> {
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.connect(server.local_addr().unwrap()).unwrap();
    client.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    for request in requests() {
        client.send(&request).unwrap();
    }
    let mut batch = Batch::new(server.local_addr().unwrap().ip(), 64);
    assert_eq!(batch.receive(server.as_fd(), Wait::ForOne).unwrap(), requests().len());
    serve(&mut batch);
    batch.send(server.as_fd());
    let mut reply = [0; 4096];
    std::iter::from_fn(|| client.recv(&mut reply).ok().map(|length| reply[..length].to_vec()))
        .collect()
}

fn counted(totals: &Totals) -> String {
    format!("{:?} {:?} {:?}", totals.queries, totals.responses, totals.dropped)
}

#[test]
fn a_batch_in_groups_is_answered_and_counted_as_one_by_one() {
    let (alone_registry, group_registry) = (Registry::new(), Registry::new());
    let mut alone = responder(&alone_registry);
    let mut group = responder(&group_registry);
    for _ in 0..3 {
        alone.begin_batch();
        let one_by_one = exchange(|batch| {
            batch.answer_each(|request, meta, out| alone.respond(request, meta, out));
        });
        alone.end_batch();
        group.begin_batch();
        let in_groups = exchange(|batch| {
            batch.answer_groups(|requests, replies| group.respond_all(requests, replies));
        });
        group.end_batch();
        assert_eq!(in_groups, one_by_one);
        // Of 50 requests eight are too short.
        assert_eq!(in_groups.len(), 42);
    }
    let (alone, group) = (alone_registry.totals(), group_registry.totals());
    assert_eq!(counted(&group), counted(&alone));
    assert_eq!(group.queries.iter().flatten().sum::<u64>(), 150);
}

#[test]
fn one_request_in_256_is_timed_however_they_are_grouped() {
    let timed = |groups: &[u32]| {
        let mut timer = Timer::default();
        groups.iter().filter(|&&requests| timer.begin(requests).is_some()).count()
    };
    assert_eq!(timed(&[1; 1024]), 4);
    assert_eq!(timed(&[16; 64]), 4);
    assert_eq!(timed(&[1024]), 1);
}
