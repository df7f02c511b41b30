//! Geo: how long a lookup takes, and how long it takes until one can be made.
//!
//! Over the built-in table; and over databases where `GEO_BENCH_DATABASES` names
//! some (paths with `:` between them), since city tables are not ours to ship.
//! "batched" looks up a batch in rounds (`locate`, `touch`, `finish`); "in a row"
//! looks up independent addresses, which the processor overlaps as it can;
//! "chained" makes each address depend on the answer before, so that every wait
//! for memory counts. Memory and a thousand maps: `examples/geo_scale.rs`.

use std::collections::HashMap;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use windrose::geo::{BaseTable, Map, Point, compile, distance_km};

/// Addresses of one measurement: more than any cache remembers the way to.
const ADDRESSES: usize = 1 << 16;

/// Addresses looked up together.
const BATCH: usize = 32;

/// Sites on every continent, the first two on either side of the Atlantic.
const SITES: [(f64, f64); 10] = [
    (50.1, 8.7),
    (38.9, -77.4),
    (35.7, 139.7),
    (1.3, 103.8),
    (-23.5, -46.6),
    (37.4, -122.0),
    (-33.9, 151.2),
    (51.5, 0.0),
    (19.0, 72.8),
    (59.3, 18.0),
];

/// /16s that hold most of what is announced of IPv6.
const CROWDED_V6: [u64; 8] = [0x2001, 0x2400, 0x240e, 0x2600, 0x2804, 0x2a00, 0x2a02, 0x2c0f];

fn geo(criterion: &mut Criterion) {
    criterion.bench_function("geo/embedded decode", |bencher| {
        bencher.iter(BaseTable::embedded);
    });
    table(criterion, "embedded", &BaseTable::embedded());
    let Ok(paths) = std::env::var("GEO_BENCH_DATABASES") else { return };
    let files: Vec<(String, Vec<u8>)> = paths
        .split(':')
        .map(|path| (path.to_owned(), std::fs::read(path).expect("a database can be read")))
        .collect();
    let mut group = criterion.benchmark_group("geo/databases");
    group.sample_size(10);
    group.bench_function("load", |bencher| {
        bencher.iter(|| BaseTable::from_databases(&files).expect("the databases are sound"));
    });
    group.finish();
    let base = BaseTable::from_databases(&files).expect("the databases are sound");
    drop(files);
    table(criterion, "databases", &base);
}

fn table(criterion: &mut Criterion, name: &str, base: &BaseTable) {
    let mut group = criterion.benchmark_group(format!("geo/{name} compile"));
    group.sample_size(10);
    for sites in [2, 10] {
        group.bench_function(format!("{sites} sites"), |bencher| {
            bencher.iter(|| map(base, sites));
        });
    }
    group.finish();
    for sites in [2, 10] {
        lookups(criterion, &format!("geo/{name} lookup, {sites} sites"), &map(base, sites));
    }
}

fn lookups(criterion: &mut Criterion, name: &str, map: &Map) {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let v4: Vec<Ipv4Addr> = (0..ADDRESSES).map(|_| Ipv4Addr::from(random.next() as u32)).collect();
    let v6: Vec<Ipv6Addr> = (0..ADDRESSES)
        .map(|_| {
            let crowded = CROWDED_V6[random.next() as usize % CROWDED_V6.len()] << 48;
            Ipv6Addr::from(u128::from(crowded | random.next() >> 16) << 64)
        })
        .collect();
    let mut group = criterion.benchmark_group(name);
    group.throughput(Throughput::Elements(ADDRESSES as u64));
    group.bench_function("IPv4 in a row", |bencher| {
        bencher.iter(|| v4.iter().map(|&address| sum(map.lookup_v4(address))).sum::<u64>());
    });
    group.bench_function("IPv6 in a row", |bencher| {
        bencher.iter(|| v6.iter().map(|&address| sum(map.lookup_v6(address))).sum::<u64>());
    });
    let families = [
        ("IPv4 batched", v4.iter().map(|&address| address.into()).collect::<Vec<IpAddr>>()),
        ("IPv6 batched", v6.iter().map(|&address| address.into()).collect()),
    ];
    for (name, addresses) in families {
        group.bench_function(name, |bencher| {
            bencher.iter(|| addresses.chunks(BATCH).map(|part| batch(map, part)).sum::<u64>());
        });
    }
    group.bench_function("IPv4 chained", |bencher| {
        bencher.iter_batched(
            || 0,
            |start: u64| {
                v4.iter().fold(start, |last, &address| {
                    // Always 0, which the processor cannot know before it has `last`.
                    let nothing = (black_box(last) >> 60) as u32;
                    sum(map.lookup_v4(Ipv4Addr::from(u32::from(address) ^ nothing)))
                })
            },
            BatchSize::SmallInput,
        );
    });
    group.finish();
}

fn batch(map: &Map, addresses: &[IpAddr]) -> u64 {
    let mut located = [None; BATCH];
    for (located, &address) in located.iter_mut().zip(addresses) {
        *located = Some(map.locate(address));
    }
    let located = || addresses.iter().zip(located.into_iter().flatten());
    let touched = located().map(|(&address, at)| map.touch(address, at));
    black_box(touched.fold(0, u8::wrapping_add));
    located().map(|(&address, at)| sum(map.finish(address, at))).sum()
}

fn sum((row, scope): (u32, u8)) -> u64 {
    u64::from(row) + u64::from(scope)
}

/// The nearest sites first, as steering would have it.
fn map(base: &BaseTable, sites: usize) -> Map {
    let sites: Vec<Point> =
        SITES[..sites].iter().map(|&(latitude, longitude)| Point { latitude, longitude }).collect();
    let networks = ["10.0.0.0/8".parse().expect("a network")];
    let mut rows: HashMap<Vec<usize>, u32> = HashMap::new();
    compile(base, &networks, &mut |place, _| {
        let mut order: Vec<usize> = (0..sites.len()).collect();
        if let Some(client) = place.point {
            let distances: Vec<f64> = sites.iter().map(|&site| distance_km(client, site)).collect();
            order.sort_by(|&a, &b| distances[a].total_cmp(&distances[b]));
        }
        let next = rows.len() as u32;
        *rows.entry(order).or_insert(next)
    })
}

/// Marsaglia's xorshift: the same addresses in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

criterion_group!(benches, geo);
criterion_main!(benches);
