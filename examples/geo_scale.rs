//! What geo steering costs: seconds and memory until a table stands, bytes per
//! map, nanoseconds per lookup. For `docs/GEO.md`; Linux only (`VmHWM`).
//!
//! ```text
//! cargo run --release --example geo_scale -- [sites=10] [maps=1000] [FILE.mmdb…]
//! ```
//! Without files: the built-in table. `maps=0` stops after the first map, whose
//! memory alone then shows. Lookups go over clients drawn at random: IPv4 over the
//! whole space, IPv6 over the ranges of the first map, each as likely as the next,
//! since uniformly random IPv6 addresses are nobody's.
//! "batched": independent lookups, one after the other. "cold": each depends on
//! the one before, after caches were emptied, so that every wait for memory
//! counts.

#![allow(clippy::print_stdout)] // its purpose

use std::collections::HashMap;
use std::error::Error;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::{Duration, Instant};

use windrose::geo::{BaseTable, Map, Point, compile, distance_km};

/// Lookups of one measurement, and how often it is made: the median counts.
const LOOKUPS: usize = 1 << 18;
const ROUNDS: usize = 9;
/// Lookups of a cold measurement: few, so that they do not warm one another.
const COLD_LOOKUPS: usize = 1 << 12;
/// More than the last-level cache of any server this runs on.
const CACHE_BYTES: usize = 256 << 20;

fn main() -> Result<(), Box<dyn Error>> {
    let (mut sites, mut maps, mut paths) = (10, 1000, Vec::new());
    for argument in std::env::args().skip(1) {
        match argument.split_once('=') {
            Some(("sites", number)) => sites = number.parse::<usize>()?.max(1),
            Some(("maps", number)) => maps = number.parse()?,
            _ => paths.push(argument),
        }
    }
    println!("at the start          {:>8.1} MB peak", peak_mb());
    let started = Instant::now();
    let base = load(&paths)?;
    let loaded = started.elapsed();
    println!(
        "load                  {:>8.1} MB peak, {:.3} s, base table {:.1} MB: {base}",
        peak_mb(),
        loaded.as_secs_f64(),
        mb(base.memory_bytes()),
    );
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let started = Instant::now();
    let first = map(&base, sites, &mut random);
    println!(
        "compile, {sites:>3} sites    {:>8.1} MB peak, {:.3} s, map {:.2} MB, ranges {:?}",
        peak_mb(),
        started.elapsed().as_secs_f64(),
        mb(first.memory_bytes()),
        first.range_counts(),
    );
    if maps == 0 {
        return Ok(());
    }
    let clients = Clients::new(&first, &mut random);
    measure("1 map", &[&first], &clients, &mut random);
    if maps == 1 {
        return Ok(());
    }
    let started = Instant::now();
    let all: Vec<Map> = (0..maps).map(|_| map(&base, sites, &mut random)).collect();
    let bytes: usize = all.iter().map(Map::memory_bytes).sum();
    println!(
        "{maps} maps             {:>8.1} MB peak, {:.1} s, {:.1} MB, each {:.3} MB",
        peak_mb(),
        started.elapsed().as_secs_f64(),
        mb(bytes),
        mb(bytes / maps),
    );
    let all: Vec<&Map> = all.iter().collect();
    measure(&format!("{maps} maps"), &all, &clients, &mut random);
    Ok(())
}

fn load(paths: &[String]) -> Result<BaseTable, Box<dyn Error>> {
    if paths.is_empty() {
        return Ok(BaseTable::embedded());
    }
    let read = |path: &String| Ok::<_, std::io::Error>((path.clone(), std::fs::read(path)?));
    let files = paths.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    Ok(BaseTable::from_databases(&files)?)
}

/// Sites anywhere on land are as good as real ones: they split the world alike.
fn map(base: &BaseTable, sites: usize, random: &mut Random) -> Map {
    let mut towns: Vec<Point> = Vec::new();
    while towns.len() < sites {
        let class = random.below(base.class_count());
        towns.extend(base.place(class as u32).point);
    }
    let mut rows: HashMap<Vec<u16>, u32> = HashMap::new();
    let networks = ["10.0.0.0/8".parse().expect("a network")];
    compile(base, &networks, &mut |place, _| {
        let mut order: Vec<u16> = (0..towns.len() as u16).collect();
        if let Some(client) = place.point {
            let far: Vec<f64> = towns.iter().map(|&town| distance_km(client, town)).collect();
            order.sort_by(|&a, &b| far[usize::from(a)].total_cmp(&far[usize::from(b)]));
        }
        let next = rows.len() as u32;
        *rows.entry(order).or_insert(next)
    })
}

//------------ Clients --------------------------------------------------------

struct Clients {
    v4: Vec<IpAddr>,
    v6: Vec<IpAddr>,
}

impl Clients {
    fn new(map: &Map, random: &mut Random) -> Clients {
        let mut ranges: Vec<(u64, u64)> = Vec::new();
        map.for_each_range(&mut |first, last, _| {
            if let (IpAddr::V6(first), IpAddr::V6(last)) = (first, last) {
                let half = |address: Ipv6Addr| (u128::from(address) >> 64) as u64;
                // Global unicast only: 2000::/3.
                if half(first) >> 61 == 1 {
                    ranges.push((half(first), half(last)));
                }
            }
        });
        let v4 = |random: &mut Random| Ipv4Addr::from(random.next() as u32).into();
        let v6 = |random: &mut Random| {
            let (first, last) = ranges[random.below(ranges.len())];
            let half = first + random.next() % (last - first + 1);
            Ipv6Addr::from(u128::from(half) << 64 | u128::from(random.next())).into()
        };
        Clients {
            v4: (0..LOOKUPS).map(|_| v4(random)).collect(),
            v6: (0..LOOKUPS).map(|_| v6(random)).collect(),
        }
    }
}

//------------ Measuring ------------------------------------------------------

fn measure(title: &str, maps: &[&Map], clients: &Clients, random: &mut Random) {
    let chosen: Vec<u32> = (0..LOOKUPS).map(|_| random.below(maps.len()) as u32).collect();
    let mut dirt = vec![0u64; CACHE_BYTES / size_of::<u64>()];
    for (family, clients) in [("IPv4", &clients.v4), ("IPv6", &clients.v6)] {
        let batched = median(|| {
            let started = Instant::now();
            let pairs = chosen.iter().zip(clients);
            let sum: u64 = pairs.map(|(&map, &at)| sum(maps[map as usize].lookup(at))).sum();
            black_box(sum);
            started.elapsed() / LOOKUPS as u32
        });
        let cold = median(|| {
            dirt.iter_mut().for_each(|word| *word += 1);
            black_box(&dirt);
            let started = Instant::now();
            let pairs = chosen.iter().zip(clients).take(COLD_LOOKUPS);
            let last = pairs.fold(0u64, |last, (&map, &client)| {
                // Always the same map, which the processor cannot know before it
                // has `last`.
                let map = map as usize + (black_box(last) >> 60) as usize;
                sum(maps[map].lookup(client))
            });
            black_box(last);
            started.elapsed() / COLD_LOOKUPS as u32
        });
        println!("{title}, {family}: batched {batched:?}, cold {cold:?}");
    }
}

fn median(mut measured: impl FnMut() -> Duration) -> Duration {
    let mut all: Vec<Duration> = (0..ROUNDS).map(|_| measured()).collect();
    all.sort();
    all[ROUNDS / 2]
}

fn sum((row, scope): (u32, u8)) -> u64 {
    u64::from(row) + u64::from(scope)
}

fn mb(bytes: usize) -> f64 {
    bytes as f64 / 1e6
}

fn peak_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<f64>().ok());
    kib.map_or(f64::NAN, |kib| kib * 1024.0 / 1e6)
}

/// Marsaglia's xorshift: the same sites and clients in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }
}
