//! A million WIPs: memory is asserted, time is printed.
//! `cargo test --release --lib zone::tests::size -- --ignored --nocapture`

use std::hint::black_box;
use std::time::{Duration, Instant};

use crate::dns::Name;
use crate::zone::{Builder, Key, Lookup, Outcome, Zones, master};

const WIPS: u32 = 1_000_000;

fn wip_name(index: u32) -> Name {
    let team = index % 1_000;
    Name::parse(&format!("app-{index}.team-{team}.gslb.example.com")).unwrap()
}

fn built(names: &[Name]) -> (Zones, Duration) {
    let origin = Name::parse("gslb.example.com").unwrap();
    let text = b"@ SOA ns.x. h.x. 1 2 3 4 5\n@ NS ns.x.\nstatic TXT t\n";
    let mut builder = Builder::new();
    let records = master::parse(text, &origin, 60).unwrap();
    let start = Instant::now();
    builder.add_zone(origin, records);
    for (index, name) in names.iter().enumerate() {
        builder.add_wip(name.wire(), index as u32);
    }
    let zones = builder.build().unwrap();
    (zones, start.elapsed())
}

fn each(what: &str, names: &[Name], mut run: impl FnMut(&Name)) {
    let start = Instant::now();
    for name in names {
        run(name);
    }
    let each_ns = start.elapsed().as_nanos() / names.len() as u128;
    println!("{what}: {each_ns} ns");
}

#[test]
#[ignore = "takes seconds, and its times mean something in a release build only"]
fn a_million_wips_fit_90_megabytes() {
    let names: Vec<Name> = (0..WIPS).map(wip_name).collect();
    let (zones, time) = built(&names);
    let megabytes = zones.memory_bytes() / 1_000_000;
    println!("{} names, {megabytes} MB, built in {time:?}", zones.name_count());
    assert!(megabytes < 90, "{megabytes} MB");
    for (index, name) in names.iter().enumerate() {
        let Lookup::Found { outcome: Outcome::Wip { wip, .. }, .. } = zones.lookup(name.wire(), 1)
        else {
            panic!("{name}");
        };
        assert_eq!(wip as usize, index);
    }
    // A stride that no cache foresees.
    let mixed: Vec<Name> =
        (0..WIPS).map(|index| wip_name(index.wrapping_mul(2_654_435_761) % WIPS)).collect();
    let hot: Vec<Name> = (0..WIPS).map(|index| wip_name(index % 256)).collect();
    let missing: Vec<Name> = (0..WIPS)
        .map(|index| Name::parse(&format!("x{index}.gslb.example.com")).unwrap())
        .collect();
    each("key only", &hot, |name| {
        black_box(Key::new(name.wire()));
    });
    for (what, names) in
        [("hit, 256 names", &hot), ("hit, a million names", &mixed), ("miss", &missing)]
    {
        each(what, names, |name| {
            black_box(zones.lookup(black_box(name.wire()), 1));
        });
    }
}
