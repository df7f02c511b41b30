//! The lookup held against another made the plain way: RFC 1034 4.3.2 walked
//! label by label over lists, with RFC 4592, RFC 6672 and docs/CONFIG.md at the
//! steps they change. Random small worlds, every name of four labels asked.

use proptest::prelude::*;

use super::cases::{describe, shown};
use crate::dns::Name;
use crate::zone::rdata::rtype::{A, CNAME, DNAME, DS, NS, SOA, TXT};
use crate::zone::{Builder, Key, Record, Subject, Zones};

/// What may stand at one name without contradiction.
const SETS: [&[u16]; 8] =
    [&[TXT], &[A], &[NS], &[NS, DS], &[DNAME], &[A, DNAME], &[CNAME], &[A, NS, TXT]];
const LABELS: [&str; 4] = ["a", "b", "c", "*"];

/// Owners with their types, the apex's SOA and NS left out.
type Records = Vec<(Name, &'static [u16])>;

#[derive(Clone, Debug)]
struct World {
    /// By origin.
    zones: Vec<(Name, Records)>,
    wips: Vec<(Name, u32)>,
    sites: Vec<(Name, u32)>,
}

//------------ The oracle -----------------------------------------------------

impl World {
    fn answer(&self, qname: &Name, qtype: u16) -> String {
        let mut zones: Vec<&Name> = self.zones.iter().map(|(origin, _)| origin).collect();
        zones.retain(|origin| qname.is_at_or_below(origin));
        zones.sort_by_key(|origin| origin.label_count());
        let Some(mut zone) = zones.pop() else { return "not-ours".into() };
        if qtype == DS && zone == qname {
            zone = zones.pop().unwrap_or(zone);
        }
        format!("{zone} {}", self.in_zone(zone, qname, qtype))
    }

    fn in_zone(&self, zone: &Name, qname: &Name, qtype: u16) -> String {
        let mut at = zone.clone();
        loop {
            let types = self.types(zone, &at);
            if at != *zone && types.contains(&NS) && !(at == *qname && qtype == DS) {
                return format!("referral {at} {}", list(&types));
            }
            if at == *qname {
                return self.standing(zone, &at);
            }
            if types.contains(&DNAME) {
                return format!("dname {at}");
            }
            let next = ancestors(qname).into_iter().find(|name| name.parent() == Some(at.clone()));
            let next = next.unwrap();
            if !self.exists(zone, &next) {
                let star = at.child(b"*").unwrap();
                return match self.site_over(zone, &at) {
                    _ if self.exists(zone, &star) => self.standing(zone, &star),
                    Some(site) => format!("site {site} -"),
                    None => "nxdomain".into(),
                };
            }
            at = next;
        }
    }

    fn standing(&self, zone: &Name, name: &Name) -> String {
        let types = self.types(zone, name);
        // A child's apex, asked for DS: the parent has records there, or none.
        if name != zone && self.zones.iter().any(|(origin, _)| origin == name) {
            return format!("node {name} {}", list(&types));
        }
        if let Some((_, wip)) = self.wips.iter().find(|(wip, _)| wip == name) {
            return format!("wip {wip} {name} {}", list(&types));
        }
        let parent = name.parent().filter(|_| name != zone);
        let star_of_base =
            name.is_wildcard() && self.sites.iter().any(|(base, _)| Some(base) == parent.as_ref());
        let is_base = self.sites.iter().any(|(base, _)| base == name);
        match parent.and_then(|parent| self.site_over(zone, &parent)) {
            Some(site) if !is_base && (types.is_empty() || star_of_base) => {
                format!("site {site} {}", list(&types))
            }
            _ => format!("node {name} {}", list(&types)),
        }
    }

    /// The nearest base at or above a name, in the same zone.
    fn site_over(&self, zone: &Name, name: &Name) -> Option<u32> {
        ancestors(name)
            .iter()
            .filter(|above| above.is_at_or_below(zone))
            .find_map(|above| self.sites.iter().find(|(base, _)| base == above))
            .map(|(_, site)| *site)
    }

    /// The zone's own records at a name.
    fn types(&self, zone: &Name, name: &Name) -> Vec<u16> {
        let mut types: Vec<u16> = Vec::new();
        for (origin, records) in &self.zones {
            if origin == zone {
                let here = records.iter().filter(|(owner, _)| owner == name);
                types.extend(here.flat_map(|(_, set)| set.iter()));
                if name == zone {
                    types.extend([SOA, NS]);
                }
            }
        }
        types.sort_unstable();
        types.dedup();
        types
    }

    /// Whether a name exists in a zone: it has something, or a name below has.
    fn exists(&self, zone: &Name, name: &Name) -> bool {
        let mut names: Vec<&Name> = Vec::new();
        for (origin, records) in &self.zones {
            if origin == zone {
                names.push(origin);
                // A child's records in the parent's file count at its apex only.
                let owners = records.iter().map(|(owner, _)| owner);
                names.extend(owners.filter(|owner| {
                    self.zone_of(owner) == Some(zone)
                        || self.zones.iter().any(|(child, _)| child == *owner)
                }));
            } else if origin.is_at_or_below(zone) {
                names.push(origin);
            }
        }
        let ours = self.wips.iter().chain(&self.sites).map(|(name, _)| name);
        names.extend(ours.filter(|name| self.zone_of(name) == Some(zone)));
        names.iter().any(|existing| existing.is_at_or_below(name))
    }

    fn zone_of(&self, name: &Name) -> Option<&Name> {
        let origins = self.zones.iter().map(|(origin, _)| origin);
        origins.filter(|origin| name.is_at_or_below(origin)).max_by_key(|o| o.label_count())
    }

    /// The zones; WIPs and sites that contradict the records are taken out.
    fn build(&mut self) -> Zones {
        for _ in 0..3 {
            match self.builder().build() {
                Ok(zones) => return zones,
                Err(errors) => {
                    for error in errors {
                        match error.subject {
                            Subject::Wip(wip) => self.wips.retain(|(_, other)| *other != wip),
                            Subject::Site(site) => self.sites.retain(|(_, other)| *other != site),
                            _ => panic!("{error}"),
                        }
                    }
                }
            }
        }
        panic!("errors stay: {self:?}");
    }

    fn builder(&self) -> Builder {
        let mut builder = Builder::new();
        for (origin, records) in &self.zones {
            let apex = [(origin.clone(), &[SOA, NS][..])];
            let all = records.iter().cloned().chain(apex);
            let records = all.flat_map(|(owner, types)| {
                types.iter().map(move |&rtype| record(owner.clone(), rtype))
            });
            builder.add_zone(origin.clone(), records.collect());
        }
        for (name, wip) in &self.wips {
            builder.add_wip(name.wire(), *wip);
        }
        for (name, site) in &self.sites {
            builder.add_site_wildcard(name.wire(), *site);
        }
        builder
    }
}

fn list(types: &[u16]) -> String {
    let shown: Vec<String> =
        types.iter().map(|&rtype| domain::base::iana::Rtype::from_int(rtype).to_string()).collect();
    if shown.is_empty() { "-".into() } else { shown.join(" ") }
}

/// A name and all above it, from the name up.
fn ancestors(name: &Name) -> Vec<Name> {
    std::iter::successors(Some(name.clone()), Name::parent).collect()
}

fn record(owner: Name, rtype: u16) -> Record {
    let rdata: &[u8] = match rtype {
        A => &[192, 0, 2, 1],
        SOA => &[0; 22],
        DS => &[0, 1, 8, 2, 0xaa],
        TXT => b"\x01t",
        _ => b"\x04else\x05where\x00",
    };
    Record { owner, rtype, ttl_s: 60, rdata: rdata.into() }
}

//------------ Worlds ---------------------------------------------------------

fn name_under(origin: &'static str) -> impl Strategy<Value = Name> {
    prop::collection::vec(prop::sample::select(&LABELS[..]), 1..4)
        .prop_map(move |labels| Name::parse(&format!("{}.{origin}", labels.join("."))).unwrap())
}

fn zone(origin: &'static str) -> impl Strategy<Value = (Name, Records)> {
    let record = (name_under(origin), prop::sample::select(&SETS[..]));
    prop::collection::vec(record, 0..8).prop_map(move |mut records| {
        let mut seen = Vec::new();
        records.retain(|(owner, _)| {
            let new = !seen.contains(owner);
            seen.push(owner.clone());
            new
        });
        (Name::parse(origin).unwrap(), records)
    })
}

fn world() -> impl Strategy<Value = World> {
    let zones = (
        zone("z"),
        prop::option::of(zone("b.z")),
        prop::option::of(zone("a.b.z")),
        prop::option::weighted(0.2, zone("c.a.z")),
    );
    let named = |most| prop::collection::vec(name_under("z"), 0..most);
    (zones, named(4), named(3), any::<bool>()).prop_map(|(zones, wips, sites, apex_wip)| {
        let (first, second, third, fourth) = zones;
        let mut wips: Vec<Name> = wips;
        if apex_wip {
            wips.push(Name::parse("b.z").unwrap());
        }
        let numbered = |names: Vec<Name>| names.into_iter().zip(100..).collect();
        World {
            zones: [Some(first), second, third, fourth].into_iter().flatten().collect(),
            wips: numbered(wips),
            sites: numbered(sites),
        }
    })
}

/// Every name of one to four labels under "z", and some beside it.
fn questions() -> Vec<Name> {
    let mut names = vec![Name::root(), Name::parse("z").unwrap(), Name::parse("y").unwrap()];
    let mut level = vec![Name::parse("z").unwrap()];
    for _ in 0..4 {
        level = level
            .iter()
            .flat_map(|name| LABELS.iter().map(|label| name.child(label.as_bytes()).unwrap()))
            .collect();
        names.extend(level.iter().cloned());
    }
    names
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn lookup_agrees_with_a_walk_over_lists(mut world in world()) {
        let zones = world.build();
        for qname in questions() {
            for qtype in [A, DS] {
                let found = describe(qname.wire(), zones.lookup(qname.wire(), qtype));
                let key = Key::new(qname.wire()).unwrap();
                let halves = zones.finish(qname.wire(), zones.locate(key.hash()), qtype);
                prop_assert_eq!(&found, &describe(qname.wire(), halves));
                prop_assert_eq!(
                    &found, &world.answer(&qname, qtype),
                    "{} {}", shown(qname.wire()), qtype
                );
            }
        }
    }
}
