//! Pools and members: from names of datacenters to their VIPs, places and weights.

use std::collections::HashMap;

use super::{Resolver, plain};
use crate::config::mistakes;
use crate::config::model::{DatacenterId, Member, Pool, PoolId};
use crate::config::raw::{RawMember, RawPool};
use crate::config::reader::At;
use crate::dns::Name;
use crate::problem::{Problem, Spot};
use crate::steer::Policy;

impl Resolver<'_> {
    pub(super) fn named_pool(&mut self, pool: &RawPool) -> Pool {
        Pool {
            name: Some(pool.name.clone()),
            policy: pool.policy,
            members: self.members(&pool.members.value),
            min_available: pool.min_available.value,
        }
    }

    pub(super) fn own_pool(&mut self, policy: Policy, members: &At<Vec<At<RawMember>>>) -> PoolId {
        let key = (policy, members.value.clone());
        if let Some(id) = self.own_pools.get(&key) {
            return *id;
        }
        let pool =
            Pool { name: None, policy, members: self.members(&members.value), min_available: 1 };
        let id = self.pools.len() as PoolId;
        self.pools.push(pool);
        self.pool_spots.push(members.spot);
        self.own_pools.insert(key, id);
        id
    }

    pub(super) fn members(&mut self, raw: &[At<RawMember>]) -> Vec<Member> {
        let mut members: Vec<Member> = Vec::with_capacity(raw.len());
        let mut spots: HashMap<String, Spot> = HashMap::new();
        for at in raw {
            let Some(member) = self.member(&at.value) else { continue };
            if let Some(first) = spots.insert(member.name.clone(), at.spot) {
                let title = format!("two members have the name \"{}\"", member.name);
                self.problems.push(
                    Problem::error("duplicate-member", title)
                        .at_with(at.spot, "again here")
                        .at_with(first, "first here")
                        .help("give one another `name`"),
                );
            }
            members.push(member);
        }
        members
    }

    fn member(&mut self, raw: &RawMember) -> Option<Member> {
        let datacenter = match &raw.datacenter {
            None => None,
            Some(name) => Some(self.datacenter_id(name)?),
        };
        self.serves_can_be_decided(raw.serves.as_deref().unwrap_or_default());
        let site = datacenter.and_then(|id| self.datacenters.get(id as usize));
        let cname = raw.cname.as_ref().map(|at| at.value.clone());
        let vips = match (&raw.vips, site) {
            _ if cname.is_some() => Vec::new(),
            (Some(vips), _) => plain(vips),
            (None, Some(site)) => site.vips.clone(),
            (None, None) => Vec::new(),
        };
        let name = raw
            .name
            .clone()
            .or_else(|| {
                site.filter(|_| raw.vips.is_none() && cname.is_none()).map(|site| site.name.clone())
            })
            .or_else(|| vips.first().map(|vip| vip.address.to_string()))
            .or_else(|| cname.as_ref().map(Name::to_string))?;
        Some(Member {
            name,
            datacenter,
            vips,
            cname,
            weight: raw.weight.or(site.map(|site| site.weight)).unwrap_or(1),
            location: raw.location.map(|l| l.0).or(site.and_then(|site| site.location)),
            serves: match (&raw.serves, site) {
                (Some(serves), _) => plain(serves),
                (None, site) => site.map(|site| site.serves.clone()).unwrap_or_default(),
            },
            bias: raw.bias.or(site.map(|site| site.bias)).unwrap_or(0),
            ramp_ms: raw.ramp_ms.or(site.and_then(|site| site.ramp_ms)),
        })
    }

    fn datacenter_id(&mut self, name: &At<String>) -> Option<DatacenterId> {
        let id = self.datacenter_ids.get(name.value.as_str()).copied();
        if let Some(id) = id {
            self.used.datacenters[id as usize] = true;
        } else {
            let known = self.datacenter_ids.keys().copied();
            self.problems.push(mistakes::unknown_reference(
                "datacenter",
                "datacenter",
                &name.value,
                name.spot,
                known,
            ));
        }
        id
    }
}
