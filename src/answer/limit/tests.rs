//! Limits hold, whoever floods: seeded adversaries against one table.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::*;
use crate::config::model::RateLimit;

const SECOND_NS: u64 = 1_000_000_000;

fn limiter(limit: &RateLimit) -> Limiter {
    let rules = Arc::new(RateRules::compile(limit).unwrap());
    Limiter::new(rules, 0x5eed, Arc::default())
}

/// `rate` answers a second, no slip.
fn rate(rate: u32) -> RateLimit {
    RateLimit { per_second: [rate, rate, rate, rate, rate, 0], slip: 0, ..RateLimit::default() }
}

fn v4(number: u32) -> IpAddr {
    Ipv4Addr::from(number).into()
}

fn passes(limiter: &mut Limiter, client: IpAddr, subject: u64) -> bool {
    limiter.judge(client, RateClass::Answer, subject).is_none()
}

/// How many of `queries` a second pass, over `seconds`.
fn passed(limiter: &mut Limiter, client: IpAddr, queries: u64, from_s: u64, seconds: u64) -> u64 {
    let mut passed = 0;
    for index in 0..queries * seconds {
        limiter.set_time(from_s * SECOND_NS + index * SECOND_NS / queries);
        passed += u64::from(passes(limiter, client, 7));
    }
    passed
}

/// A stream of numbers that is the same on every run (xorshift).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

#[test]
fn who_stays_below_the_rate_is_never_limited() {
    let mut limiter = limiter(&rate(10));
    assert_eq!(passed(&mut limiter, v4(1), 10, 1, 100), 1_000);
}

#[test]
fn a_flood_gets_a_second_of_answers_and_then_none() {
    let mut limiter = limiter(&rate(10));
    // What is held back counts too, so that the debt of a flood is never paid while it lasts.
    assert_eq!(passed(&mut limiter, v4(1), 1_000, 1, 60), 10);
}

#[test]
fn who_asks_less_again_is_served_after_the_window_at_most() {
    let mut limiter = limiter(&rate(10));
    passed(&mut limiter, v4(1), 1_000, 1, 60);
    limiter.set_time((61 + 14) * SECOND_NS);
    assert!(!passes(&mut limiter, v4(1), 7));
    limiter.set_time((61 + 16) * SECOND_NS);
    assert!(passes(&mut limiter, v4(1), 7));
}

#[test]
fn a_network_counts_as_one_client_and_another_one_as_another() {
    let mut limiter = limiter(&rate(10));
    limiter.set_time(SECOND_NS);
    let v6 = |text: &str| IpAddr::V6(text.parse::<Ipv6Addr>().unwrap());
    for (same, other) in [
        ([v4(0xc000_0201), v4(0xc000_02ff)], v4(0xc000_0301)),
        ([v6("2001:db8:0:10::1"), v6("2001:db8:0:ff::1")], v6("2001:db8:0:100::1")),
    ] {
        let count = (0..100).filter(|index| passes(&mut limiter, same[index % 2], 1)).count();
        assert_eq!(count, 10);
        assert!(passes(&mut limiter, other, 1), "{other}");
    }
    // An IPv4 client is the same one behind a socket of IPv6.
    assert!(!passes(&mut limiter, v6("::ffff:192.0.2.7"), 1));
}

#[test]
fn names_and_classes_count_apart_and_all_together() {
    let mut limiter = limiter(&rate(10));
    limiter.set_time(SECOND_NS);
    assert_eq!((0..100).filter(|_| passes(&mut limiter, v4(1), 1)).count(), 10);
    assert_eq!((0..100).filter(|_| passes(&mut limiter, v4(1), 2)).count(), 10);
    let nxdomain = |limiter: &mut Limiter| limiter.judge(v4(1), RateClass::NxDomain, 1).is_none();
    assert_eq!((0..100).filter(|_| nxdomain(&mut limiter)).count(), 10);
    let mut limit = rate(0);
    limit.per_second[RateClass::All as usize] = 25;
    let mut limiter = self::limiter(&limit);
    limiter.set_time(SECOND_NS);
    let passed = (0..1_000).filter(|&subject| passes(&mut limiter, v4(1), subject)).count();
    assert_eq!(passed, 25, "queries over many names meet the limit of all");
    let done = limiter.judge(v4(1), RateClass::Answer, 9);
    assert_eq!(done, Some((RateClass::All, RateAction::Drop)));
}

#[test]
fn every_so_many_held_back_slips() {
    for (slip, slipped) in [(0, 0), (1, 1_000), (2, 500), (10, 100)] {
        let mut limiter = limiter(&RateLimit { slip, ..rate(10) });
        limiter.set_time(SECOND_NS);
        let done = (0..1_010).filter_map(|_| limiter.judge(v4(1), RateClass::Error, 0));
        let slips = done.filter(|(_, action)| *action == RateAction::Slip).count();
        assert_eq!(slips, slipped, "slip = {slip}");
    }
}

#[test]
fn exempt_networks_are_not_limited() {
    let exempt = vec!["192.0.2.0/24".parse().unwrap()];
    let mut limiter = limiter(&RateLimit { exempt, ..rate(1) });
    limiter.set_time(SECOND_NS);
    assert!((0..100).all(|_| passes(&mut limiter, v4(0xc000_0201), 1)));
    assert_eq!((0..100).filter(|_| passes(&mut limiter, v4(0xc000_0301), 1)).count(), 1);
}

#[test]
fn a_reload_forgets_nobody() {
    let mut limiter = limiter(&rate(10));
    passed(&mut limiter, v4(1), 1_000, 1, 20);
    limiter.follow(&Arc::new(RateRules::compile(&rate(20)).unwrap()));
    assert!(!passes(&mut limiter, v4(1), 7));
}

/// The bound that docs/ABUSE.md states: `flood` queries of others buy a network at most
/// flood / table_size answers beyond its rate.
#[test]
fn no_flood_of_networks_makes_the_table_forget_one() {
    const RATE: u64 = 10;
    const TABLE: u64 = 4_096;
    const SECONDS: u64 = 30;
    // Of each thousandth of a second: a query of the victim, and a hundred of others.
    let flood = SECONDS * 1_000 * 100;
    for (networks, about) in [
        (u64::MAX, "each query from another network"),
        (TABLE, "as many networks as entries"),
        (10 * TABLE, "ten times as many"),
        (TABLE / 2, "half as many, each deep in debt"),
    ] {
        let mut limiter = limiter(&RateLimit { table_size: TABLE as u32, ..rate(RATE as u32) });
        let mut random = Random(0x2545_f491_4f6c_dd1d);
        let victim = v4(0xc000_0201);
        let mut answers = 0;
        for tick in 0..SECONDS * 1_000 {
            limiter.set_time(SECOND_NS + tick * 1_000_000);
            answers += u64::from(passes(&mut limiter, victim, 7));
            for _ in 0..100 {
                let network = random.next() % networks;
                let client = IpAddr::V6(Ipv6Addr::from(u128::from(network) << 72));
                passes(&mut limiter, client, 7);
            }
        }
        let bound = RATE * (SECONDS + 1) + flood / TABLE;
        assert!(answers <= bound, "{about}: {answers} answers, at most {bound}");
    }
}

/// An adversary who asks just enough to be forgotten cheaply: the victim's network asks only
/// until it is held back, and then waits to be evicted.
#[test]
fn patience_buys_no_more_than_the_bound() {
    const RATE: u64 = 5;
    const TABLE: u64 = 1_024;
    let mut limiter = limiter(&RateLimit { table_size: TABLE as u32, ..rate(RATE as u32) });
    let mut random = Random(99);
    let victim = v4(0xc000_0201);
    let (mut answers, mut flood) = (0, 0);
    for tick in 0..20_000u64 {
        limiter.set_time(SECOND_NS + tick * 1_000_000);
        // It asks for as long as it is answered, at most once in 50 ms otherwise.
        while tick % 50 == 0 && passes(&mut limiter, victim, 7) {
            answers += 1;
        }
        for _ in 0..100 {
            // Few enough networks to bring all of them into debt.
            let network = u128::from(random.next() % (2 * TABLE));
            passes(&mut limiter, IpAddr::V6(Ipv6Addr::from(network << 72)), 7);
            flood += 1;
        }
    }
    let bound = RATE * 21 + flood / TABLE;
    assert!(answers <= bound, "{answers} answers, at most {bound}");
}

#[test]
fn another_key_spreads_networks_another_way() {
    let rules = Arc::new(RateRules::compile(&rate(1)).unwrap());
    let hashes = |seed| {
        let limiter = Limiter::new(Arc::clone(&rules), seed, Arc::default());
        let hash = |n: u128| limiter.hash(n << 72, RateClass::Answer, 7) as u32;
        (0..4_096).map(hash).collect::<Vec<_>>()
    };
    let (one, other) = (hashes(1), hashes(2));
    assert!(one.iter().zip(&other).filter(|(a, b)| a == b).count() < 4);
    // And evenly: of 4,096 in 256 buckets none has three times its share.
    let mut buckets = [0; 256];
    one.iter().for_each(|hash| buckets[(hash >> 24) as usize] += 1);
    assert!(buckets.iter().all(|count| (1..48).contains(count)), "{buckets:?}");
}

#[test]
fn whom_it_limits_is_told_once_in_ten_seconds_and_in_bounds() {
    let news = Arc::new(News::default());
    let rules = Arc::new(RateRules::compile(&rate(1)).unwrap());
    let mut limiter = Limiter::new(rules, 1, Arc::clone(&news));
    for second in 1..=20 {
        limiter.set_time(second * SECOND_NS);
        (0..100).for_each(|_| {
            limiter.judge(v4(0xc000_0201), RateClass::Error, 0);
        });
    }
    let told: Vec<Limited> = std::iter::from_fn(|| news.take()).collect();
    let limited = Limited { network: 0xffff_c000_0200, class: RateClass::Error };
    assert_eq!(told, [limited; 2]);
    for number in 0..1_000 {
        (0..3).for_each(|_| {
            limiter.judge(v4(number << 8), RateClass::Error, 0);
        });
    }
    assert_eq!(std::iter::from_fn(|| news.take()).count(), 64);
}
