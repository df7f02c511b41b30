//! An explanation for people to read.

use std::fmt::{Display, Formatter, Result};

use super::{Explanation, MemberExplanation, PoolExplanation, Reply, WipExplanation};

impl Display for Explanation {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        writeln!(f, "{} {}", self.name, self.rtype)?;
        match &self.zone {
            Some(zone) => writeln!(f, "  zone     {zone}")?,
            None => writeln!(f, "  zone     none of ours")?,
        }
        writeln!(f, "  name     {}", self.found)?;
        if let Some(wip) = &self.wip {
            write_wip(wip, f)?;
        }
        write_reply(&self.reply, f)
    }
}

fn write_wip(wip: &WipExplanation, f: &mut Formatter<'_>) -> Result {
    let client = &wip.client;
    writeln!(f, "  client   {}, from {}", client.address, client.source)?;
    writeln!(f, "  place    {}", client.place)?;
    if !client.networks.is_empty() {
        writeln!(f, "  networks {}", client.networks.join(", "))?;
    }
    if let Some(policy) = &wip.policy {
        writeln!(f, "  policy   {policy} over {} pools", wip.pools.len())?;
    }
    for pool in &wip.pools {
        write_pool(pool, f)?;
    }
    writeln!(f, "  decision {} (stage: {})", wip.decision, wip.stage)?;
    if wip.ttl_s == wip.ttl_calm_s {
        writeln!(f, "  ttl      {} s", wip.ttl_s)
    } else {
        writeln!(f, "  ttl      {} s, shortened from {} s", wip.ttl_s, wip.ttl_calm_s)
    }
}

fn write_pool(pool: &PoolExplanation, f: &mut Formatter<'_>) -> Result {
    let mark = if pool.chosen { "*" } else { " " };
    writeln!(
        f,
        "  pool   {mark} {} ({}): {} of {} available, needs {}",
        pool.name,
        pool.policy,
        pool.available,
        pool.members.len(),
        pool.min_available
    )?;
    pool.members.iter().try_for_each(|member| write_member(member, f))
}

fn write_member(member: &MemberExplanation, f: &mut Formatter<'_>) -> Result {
    let mark = if member.chosen { "*" } else { " " };
    let state = if member.available { "in" } else { "out" };
    write!(f, "         {mark} {} {state}, weight {}", member.name, member.weight)?;
    if member.rank.is_empty() {
        writeln!(f)?;
    } else {
        writeln!(f, ", {}", member.rank)?;
    }
    if let Some(said) = &member.said {
        writeln!(f, "             {said}")?;
    }
    for vip in &member.vips {
        write!(f, "             {} {}", vip.address, vip.state)?;
        if let Some(over) = &vip.over {
            write!(f, ", {over}")?;
        }
        if let Some(way_back) = &vip.way_back {
            write!(f, ", {way_back}")?;
        }
        if !vip.visible {
            write!(f, ", not for this client")?;
        }
        if let Some(cap_s) = vip.ttl_cap_s {
            write!(f, ", lets answers live {cap_s} s")?;
        }
        if let Some(detail) = &vip.detail {
            write!(f, ": {detail}")?;
        }
        writeln!(f)?;
    }
    Ok(())
}

fn write_reply(reply: &Reply, f: &mut Formatter<'_>) -> Result {
    write!(f, "  reply    {}", reply.rcode)?;
    if !reply.flags.is_empty() {
        write!(f, " ({})", reply.flags.join(" "))?;
    }
    if let Some(scope) = reply.ecs_scope {
        write!(f, ", client subnet scope /{scope}")?;
    }
    writeln!(f)?;
    let sections = [
        ("answer", &reply.answer),
        ("authority", &reply.authority),
        ("additional", &reply.additional),
    ];
    for (section, records) in sections {
        for record in records {
            writeln!(f, "    {section:<10} {record}")?;
        }
    }
    Ok(())
}
