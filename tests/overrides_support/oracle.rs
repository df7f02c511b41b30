//! The rules of docs/OVERRIDES.md, word for word, without a thought of speed: every
//! member of every WIP by itself, every entry tried on it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use windrose::health::table::{Override, Word};
use windrose::overrides::{Book, Entry, Kind, Stage};
use windrose::snapshot::Serving;
use windrose::steer::overlay::Laid;

/// One member of one WIP.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) wip: String,
    aliases: Vec<String>,
    pub(crate) member: String,
    pub(crate) datacenter: Option<String>,
    addresses: BTreeSet<IpAddr>,
    /// The family of each VIP: true of IPv6.
    families: Vec<bool>,
    ttl_s: u64,
    /// Its verdicts, one for each VIP.
    verdicts: Vec<u32>,
    /// Its index, its strategy's and its place in that.
    pub(crate) at: (u32, u32, usize),
}

/// All of them.
pub(crate) fn places(serving: &Serving) -> Vec<Place> {
    let config = &serving.snapshot.config;
    let mut places = Vec::new();
    for (index, (wip, _, settings)) in config.wips.iter().enumerate() {
        let entry = &serving.snapshot.wips[index];
        let strategy = serving.snapshot.strategy(entry);
        let all = serving.snapshot.verdicts(entry, strategy);
        let settings = &config.wip_settings[settings as usize];
        let aliases = config.wips.aliases().filter(|(_, of)| *of == wip);
        let aliases: Vec<String> = aliases.map(|(name, _)| name.to_string()).collect();
        let pools = settings.pools.iter().map(|&pool| &config.pools[pool as usize]);
        let mut first = 0;
        for (at, member) in pools.flat_map(|pool| &pool.members).enumerate() {
            let vips = member.vips.len();
            let datacenter = member.datacenter.map(|id| &config.datacenters[id as usize]);
            places.push(Place {
                wip: serving.snapshot.wip_name(wip),
                aliases: aliases.clone(),
                member: member.name.clone(),
                datacenter: datacenter.map(|datacenter| datacenter.name.clone()),
                addresses: member.vips.iter().map(|vip| vip.address).collect(),
                families: member.vips.iter().map(|vip| vip.address.is_ipv6()).collect(),
                ttl_s: u64::from(settings.ttl_s),
                verdicts: all[first..first + vips].to_vec(),
                at: (wip, entry.strategy, at),
            });
            first += vips;
        }
    }
    places
}

/// Globs by their definition.
pub(crate) fn glob(pattern: &str, name: &str) -> bool {
    fn matches(pattern: &[u8], name: &[u8]) -> bool {
        match (pattern, name) {
            ([], []) => true,
            ([b'*', rest @ ..], _) => {
                matches(rest, name) || !name.is_empty() && matches(pattern, &name[1..])
            }
            ([b'?', rest @ ..], [_, names @ ..]) => matches(rest, names),
            ([b'\\', byte, rest @ ..], [first, names @ ..]) => {
                byte == first && matches(rest, names)
            }
            ([byte, rest @ ..], [first, names @ ..]) => byte == first && matches(rest, names),
            _ => false,
        }
    }
    matches(pattern.as_bytes(), name.as_bytes()) || pattern == name
}

impl Place {
    pub(crate) fn is_meant(&self, entry: &Entry) -> bool {
        let target = &entry.target;
        let of = |pattern: &Option<String>, name: &str| {
            pattern.as_ref().is_none_or(|pattern| glob(pattern, name))
        };
        let there = match (&target.datacenter, &self.datacenter) {
            (Some(pattern), Some(name)) => glob(pattern, name),
            (Some(_), None) => false,
            (None, _) => true,
        };
        let wip = of(&target.wip, &self.wip) || self.aliases.iter().any(|a| of(&target.wip, a));
        there && wip && of(&target.member, &self.member)
    }

    /// The entry that decides.
    pub(crate) fn decider<'b>(&self, book: &'b Book) -> Option<&'b Entry> {
        let in_force =
            |entry: &&Entry| matches!(entry.stage, Stage::InForce | Stage::Overdue { .. });
        let all = book.entries.iter().filter(in_force).filter(|entry| self.is_meant(entry));
        all.max_by_key(|entry| entry.id)
    }

    pub(crate) fn said(&self, book: &Book) -> Override {
        self.decider(book).map_or(Override::None, |entry| entry.kind.over())
    }

    pub(crate) fn word(&self, serving: &Serving, book: &Book, vip: usize) -> Word {
        serving.health.word(self.verdicts[vip]).with_override(self.said(book))
    }

    pub(crate) fn is_available(&self, serving: &Serving, book: &Book) -> bool {
        (0..self.verdicts.len()).any(|vip| self.word(serving, book, vip).available())
    }

    /// Whether it can be answered to clients of a family.
    fn is_available_to(&self, is_v6: bool, serving: &Serving, book: &Book) -> bool {
        let mut of_family = (0..self.verdicts.len()).filter(|&vip| self.families[vip] == is_v6);
        of_family.any(|vip| self.word(serving, book, vip).available())
    }

    /// Whether it is known now to be taken out before an answer of now has expired.
    fn leaves_soon(&self, book: &Book, now_s: u64) -> bool {
        let decider = self.decider(book);
        let soon = |at_s: Option<u64>| at_s.is_some_and(|at_s| now_s + self.ttl_s >= at_s);
        match decider {
            Some(entry) if entry.kind != Kind::ForceUp => return false,
            Some(entry) if soon(entry.until_s) => return true,
            _ => {}
        }
        book.entries.iter().any(|entry| {
            entry.stage == Stage::Planned
                && entry.kind != Kind::ForceUp
                && decider.is_none_or(|decider| decider.id < entry.id)
                && self.is_meant(entry)
                && soon(entry.at_s)
        })
    }

    pub(crate) fn laid(&self, book: &Book, now_s: u64) -> Laid {
        let leaves_soon = self.leaves_soon(book, now_s);
        Laid { over: self.said(book), leaves_soon, ..Laid::default() }
    }
}

/// What the safety rules count.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Counts {
    /// Available members of each WIP; those of the same addresses are one.
    pub(crate) wips: BTreeMap<String, usize>,
    /// Datacenters with an available member.
    pub(crate) in_service: BTreeSet<String>,
    /// Available members of WIPs, by their place.
    pub(crate) available: BTreeSet<usize>,
    /// The same of each family.
    pub(crate) available_to: BTreeSet<(usize, bool)>,
    /// Available members of each WIP in each family.
    families: BTreeMap<(String, bool), usize>,
}

pub(crate) fn counts(places: &[Place], serving: &Serving, book: &Book) -> Counts {
    let mut counts = Counts::default();
    let mut distinct: BTreeMap<&str, BTreeSet<&BTreeSet<IpAddr>>> = BTreeMap::new();
    for (index, place) in places.iter().enumerate() {
        let of_wip = distinct.entry(&place.wip).or_default();
        if place.is_available(serving, book) {
            of_wip.insert(&place.addresses);
            counts.in_service.extend(place.datacenter.clone());
            counts.available.insert(index);
        }
    }
    for is_v6 in [false, true] {
        let mut distinct: BTreeMap<&str, BTreeSet<&BTreeSet<IpAddr>>> = BTreeMap::new();
        for (index, place) in places.iter().enumerate() {
            let of_wip = distinct.entry(&place.wip).or_default();
            if place.is_available_to(is_v6, serving, book) {
                of_wip.insert(&place.addresses);
                counts.available_to.insert((index, is_v6));
            }
        }
        let of = distinct.into_iter().map(|(wip, of)| ((wip.to_owned(), is_v6), of.len()));
        counts.families.extend(of);
    }
    counts.wips = distinct.into_iter().map(|(wip, of)| (wip.to_owned(), of.len())).collect();
    counts
}

impl Counts {
    /// WIPs that are below the least allowed and have fewer than before, or that were not
    /// below it for a family and are.
    pub(crate) fn sunk_below(&self, before: &Counts, minimum: usize) -> BTreeSet<String> {
        let sunk =
            |(wip, count): &(&String, &usize)| **count < minimum && **count < before.wips[*wip];
        let lost = |(key, count): &(&(String, bool), &usize)| {
            **count < minimum && before.families[*key] >= minimum
        };
        let whole = self.wips.iter().filter(sunk).map(|(wip, _)| wip.clone());
        whole.chain(self.families.iter().filter(lost).map(|((wip, _), _)| wip.clone())).collect()
    }

    /// Datacenters that have lost an available member.
    pub(crate) fn taken(&self, before: &Counts, places: &[Place]) -> BTreeSet<String> {
        let lost = before.available.difference(&self.available);
        lost.filter_map(|&place| places[place].datacenter.clone()).collect()
    }
}
