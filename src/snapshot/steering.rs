//! From WIP settings to strategies: flat lists, ready records, and the map from
//! clients to orders, shared by all settings whose sites agree.

use std::collections::HashMap;
use std::sync::Arc;

use ipnet::IpNet;

use super::{CompileProblem, Subject, bindings};
use crate::config::model::{Config, Member, Pool, Vip, WipSettings};
use crate::dns::Name;
use crate::geo::{self, BaseTable, Map, Place, Serves};
use crate::steer::order::{ClientPlace, Rank, Site, order};
use crate::steer::strategy::{
    MemberEntry, NOT_ONE, PoolEntry, Record, Row, Strategy, VipEntry, one_vip_each, only_vip,
};
use crate::steer::{Families, OnAllDown, Policy, hash};

/// Strategies, one for each entry of the config's WIP settings.
pub(super) struct Steering {
    pub(super) strategies: Vec<Strategy>,
    pub(super) maps: KnownMaps,
}

/// Maps that stay as they are while the geo table does.
pub(super) type KnownMaps = HashMap<Layout, Clients>;

/// Compiles every setting. `before`: maps compiled from the same table.
pub(super) fn compile(config: &Config, base: &BaseTable, before: Option<&KnownMaps>) -> Steering {
    let mut maps = Maps { base, before, known: HashMap::new() };
    let strategies =
        config.wip_settings.iter().map(|settings| strategy(config, settings, &mut maps)).collect();
    Steering { strategies, maps: maps.known }
}

fn strategy(config: &Config, settings: &WipSettings, maps: &mut Maps<'_>) -> Strategy {
    let pools: Vec<&Pool> =
        settings.pools.iter().map(|&pool| &config.pools[pool as usize]).collect();
    let mut lists = Lists::default();
    for pool in &pools {
        lists.add(pool);
    }
    let layout = Layout::new(settings.policy, &pools);
    let networks = layout.networks.clone();
    let clients = if layout.needs_map() {
        maps.get(layout)
    } else {
        Clients { map: None, rows: [layout.row(&Place::default(), &[])].into() }
    };
    let policies = || pools.iter().map(|pool| pool.policy);
    let several_pools = pools.len() > 1;
    let turns = |policy| matches!(policy, Policy::RoundRobin | Policy::Weighted);
    let ties = clients.rows.iter().any(Row::has_ties);
    let shows_all = clients.rows.iter().all(|row| row.sees_all(lists.vips.len()));
    Strategy {
        policy: settings.policy,
        takes_turns: policies().any(turns)
            || several_pools && turns(settings.policy)
            || lists.has_several_vips,
        hashes: policies().any(|policy| policy == Policy::Hash)
            || several_pools && settings.policy == Policy::Hash,
        has_ties: ties,
        shows_all,
        pools: lists.pools.into(),
        members: lists.members.into(),
        vips: lists.vips.into(),
        max_answers: usize::from(settings.max_answers.max(1)),
        ttl_s: settings.ttl_s,
        ttl_min_s: settings.ttl_min_s.min(settings.ttl_s),
        fallback: match &settings.on_all_down {
            OnAllDown::Addresses(addresses) => addresses.iter().copied().map(Record::new).collect(),
            _ => Box::default(),
        },
        on_all_down: settings.on_all_down.clone(),
        ecs: settings.ecs,
        // A name is of both families.
        families: if lists.names.is_empty() { settings.families } else { Families::Together },
        map: clients.map,
        rows: clients.rows,
        networks: networks.into(),
        bindings: bindings::compile(settings),
        names: lists.names.into(),
    }
}

/// WIPs with more VIPs than their lists can number.
pub(super) fn too_large(config: &Config) -> Vec<CompileProblem> {
    let vips =
        |pool: &Pool| pool.members.iter().map(|member| member.vips.len().max(1)).sum::<usize>();
    let by_pool: Vec<usize> = config.pools.iter().map(vips).collect();
    let mut problems = Vec::new();
    for (index, settings) in config.wip_settings.iter().enumerate() {
        let vips: usize = settings.pools.iter().map(|&pool| by_pool[pool as usize]).sum();
        if vips < usize::from(NOT_ONE) {
            continue;
        }
        let wip = config.wips.iter().find(|(_, _, settings)| *settings as usize == index);
        let subject = wip.map_or(Subject::Config, |(wip, _, _)| Subject::Wip(wip));
        let message = format!("its pools have {vips} addresses, each member's counted");
        problems.push(
            CompileProblem::error("too-many-addresses", subject, message)
                .with_help(format!("a WIP has {} at most", NOT_ONE - 1)),
        );
    }
    problems
}

//------------ Lists ----------------------------------------------------------

/// A strategy's flat lists while they grow.
#[derive(Default)]
struct Lists {
    pools: Vec<PoolEntry>,
    members: Vec<MemberEntry>,
    vips: Vec<VipEntry>,
    names: Vec<Box<[u8]>>,
    has_several_vips: bool,
}

impl Lists {
    /// The number of a member's name.
    fn name(&mut self, name: &Name) -> u32 {
        let known = self.names.iter().position(|known| **known == *name.wire());
        known.unwrap_or_else(|| {
            self.names.push(name.wire().into());
            self.names.len() - 1
        }) as u32
    }

    fn add(&mut self, pool: &Pool) {
        let first_member = self.members.len() as u16;
        for member in &pool.members {
            let first_vip = self.vips.len() as u16;
            if let Some(cname) = &member.cname {
                let number = self.name(cname);
                let record = Record::of_name(number);
                self.vips.push(VipEntry { record, address_hash: 0 });
            }
            self.vips.extend(member.vips.iter().map(|vip| VipEntry {
                record: Record::new(vip.address),
                address_hash: hash::name_hash(&vip.address.to_string()),
            }));
            let v4 = member.vips.iter().filter(|vip| vip.address.is_ipv4()).count();
            self.has_several_vips |= v4 > 1 || member.vips.len() - v4 > 1;
            self.members.push(MemberEntry {
                vips: first_vip..self.vips.len() as u16,
                only_vip: only_vip(first_vip, &self.vips[usize::from(first_vip)..]),
                weight: member.weight,
                name_hash: hash::name_hash(&member.name),
            });
        }
        let weight = pool.members.iter().map(|member| member.weight).sum();
        self.pools.push(PoolEntry {
            policy: pool.policy,
            members: first_member..self.members.len() as u16,
            min_available: pool.min_available,
            weight,
            one_vip_each: one_vip_each(&self.members[usize::from(first_member)..]),
            // No member has a name with a space: a pool and a member of one name
            // are hashed apart, or the pool's clients would all be that member's.
            name_hash: hash::name_hash(&format!("pool {}", pool.name.as_deref().unwrap_or(""))),
        });
    }
}

//------------ Layout ---------------------------------------------------------

/// All that a client's order depends on. Equal layouts share one map.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) struct Layout {
    pools_by_geo: bool,
    pools: Vec<PoolLayout>,
    /// Every network the operator named for these members, whatever the
    /// policies: a private client inside one is somebody.
    networks: Vec<IpNet>,
}

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
struct PoolLayout {
    by_geo: bool,
    members: Vec<MemberLayout>,
}

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
struct MemberLayout {
    site: Site,
    vips: Vec<Vip>,
}

impl Layout {
    fn new(policy: Policy, pools: &[&Pool]) -> Layout {
        let pools_by_geo = policy == Policy::Geo && pools.len() > 1;
        let pool = |pool: &&Pool| {
            let by_geo = pool.policy == Policy::Geo && pool.members.len() > 1;
            // Where nothing is ordered by place, the places must not keep two layouts apart.
            let placed = by_geo || pools_by_geo;
            let members = pool
                .members
                .iter()
                .map(|member| MemberLayout {
                    site: if placed {
                        Site::new(member.location, member.serves.clone(), member.bias)
                    } else {
                        Site::default()
                    },
                    vips: match member.cname {
                        Some(_) => vec![for_everyone()],
                        None => member.vips.iter().map(only_clients).collect(),
                    },
                })
                .collect();
            PoolLayout { by_geo, members }
        };
        let members = pools.iter().flat_map(|pool| &pool.members);
        Layout {
            pools_by_geo,
            pools: pools.iter().map(pool).collect(),
            networks: networks(members),
        }
    }

    fn members(&self) -> impl Iterator<Item = &MemberLayout> {
        self.pools.iter().flat_map(|pool| &pool.members)
    }

    /// False when every client has the same row.
    fn needs_map(&self) -> bool {
        let split =
            self.members().any(|member| member.vips.iter().any(|vip| !vip.clients.is_empty()));
        let placed = self.members().any(|member| !member.site.is_nowhere());
        split || placed
    }

    /// The row of clients at `place` inside `networks`.
    fn row(&self, place: &Place, networks: &[IpNet]) -> Row {
        let client = ClientPlace { place, networks };
        let mut row = Parts::default();
        let mut pool_ranks = Vec::with_capacity(self.pools.len());
        for pool in &self.pools {
            let ranks: Vec<Rank> =
                pool.members.iter().map(|member| Rank::of(&member.site, &client)).collect();
            let start = row.members.len() as u16;
            let (order, tied) =
                if pool.by_geo { order(&ranks) } else { ((0..ranks.len() as u16).collect(), 0) };
            row.members.extend(order.into_iter().map(|member| start + member));
            // One alone shares with nobody: its row is that of clients elsewhere.
            row.tied.push(if tied > 1 { tied } else { 0 });
            for member in &pool.members {
                row.visible.extend(visible(&member.vips, networks));
            }
            pool_ranks.push(Rank::best(ranks.into_iter()));
        }
        row.pools = if self.pools_by_geo {
            order(&pool_ranks).0
        } else {
            (0..self.pools.len() as u16).collect()
        };
        row.finish()
    }
}

#[derive(Default)]
struct Parts {
    pools: Vec<u16>,
    members: Vec<u16>,
    tied: Vec<u16>,
    visible: Vec<bool>,
}

impl Parts {
    fn finish(self) -> Row {
        let mut visible = vec![0u64; self.visible.len().div_ceil(64)];
        for (index, _) in self.visible.iter().enumerate().filter(|&(_, &sees)| sees) {
            visible[index / 64] |= 1 << (index % 64);
        }
        Row {
            pools: self.pools.into(),
            members: self.members.into(),
            tied: self.tied.into(),
            visible: visible.into(),
        }
    }
}

/// Every network named by rules and VIPs, without repeats.
fn networks<'a>(members: impl Iterator<Item = &'a Member>) -> Vec<IpNet> {
    let mut networks: Vec<IpNet> = members
        .flat_map(|member| {
            let serves = member.serves.iter().filter_map(|rule| match rule {
                Serves::Network(network) => Some(*network),
                _ => None,
            });
            serves.chain(member.vips.iter().flat_map(|vip| vip.clients.iter().copied()))
        })
        .collect();
    networks.sort();
    networks.dedup();
    networks
}

/// What stands for a name, as far as a client's row depends on it.
fn for_everyone() -> Vip {
    Vip { address: [0u8; 4].into(), clients: Vec::new() }
}

/// The VIP as far as a client's row depends on it: its family and `for`.
fn only_clients(vip: &Vip) -> Vip {
    let unspecified = if vip.address.is_ipv4() { [0u8; 4].into() } else { [0u8; 16].into() };
    Vip { address: unspecified, clients: vip.clients.clone() }
}

/// For each VIP of a member, whether clients inside `networks` may get it. A
/// `for` that covers them beats the plain VIPs of its family, and the longest
/// such network beats the others.
fn visible(vips: &[Vip], networks: &[IpNet]) -> Vec<bool> {
    let covering = |vip: &Vip| {
        let inside = vip.clients.iter().filter(|network| networks.contains(network));
        inside.map(|network| i16::from(network.prefix_len())).max()
    };
    let best = |ipv4: bool| {
        vips.iter().filter(|vip| vip.address.is_ipv4() == ipv4).filter_map(covering).max()
    };
    let (best_v4, best_v6) = (best(true), best(false));
    vips.iter()
        .map(|vip| {
            let best = if vip.address.is_ipv4() { best_v4 } else { best_v6 };
            if vip.clients.is_empty() {
                best.is_none()
            } else {
                best.is_some() && covering(vip) == best
            }
        })
        .collect()
}

//------------ Maps -----------------------------------------------------------

/// Compiled maps, by layout.
struct Maps<'a> {
    base: &'a BaseTable,
    before: Option<&'a KnownMaps>,
    known: KnownMaps,
}

/// From clients to rows.
#[derive(Clone, Debug)]
pub(super) struct Clients {
    map: Option<Arc<Map>>,
    rows: Arc<[Row]>,
}

impl Maps<'_> {
    fn get(&mut self, layout: Layout) -> Clients {
        if let Some(clients) = self.known.get(&layout) {
            return clients.clone();
        }
        if let Some(clients) = self.before.and_then(|before| before.get(&layout)) {
            return self.known.entry(layout).or_insert_with(|| clients.clone()).clone();
        }
        let networks = &layout.networks;
        let mut rows: Vec<Row> = Vec::new();
        let mut index: HashMap<Row, u32> = HashMap::new();
        let mut row_of = |place: &Place, containing: &[usize]| {
            let inside: Vec<IpNet> = containing.iter().map(|&at| networks[at]).collect();
            let row = layout.row(place, &inside);
            *index.entry(row).or_insert_with_key(|row| {
                rows.push(row.clone());
                (rows.len() - 1) as u32
            })
        };
        let map = geo::compile(self.base, networks, &mut row_of);
        // One row for everybody: nothing depends on the client.
        let map = (rows.len() > 1).then(|| Arc::new(map));
        let clients = Clients { map, rows: rows.into() };
        self.known.insert(layout, clients.clone());
        clients
    }
}
