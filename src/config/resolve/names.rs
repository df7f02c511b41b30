//! WIPs whose members are names: what cannot stand beside a CNAME.

use super::Resolver;
use crate::config::model::{Member, WipSettings};
use crate::config::raw::RawSettings;
use crate::problem::{Problem, Spot};
use crate::steer::OnAllDown;

impl Resolver<'_> {
    /// Where members are names, all are, and the WIP answers nothing but their CNAME.
    pub(super) fn members_are_of_one_kind(
        &mut self,
        own: &RawSettings,
        settings: &mut WipSettings,
        wip: Option<Spot>,
    ) {
        let pools = settings.pools.iter().filter_map(|id| self.pools.get(*id as usize));
        let members: Vec<&Member> = pools.flat_map(|pool| &pool.members).collect();
        let named = members.iter().find(|member| member.cname.is_some());
        let Some(named) = named.map(|member| member.name.clone()) else { return };
        let addressed = members.iter().find(|member| member.cname.is_none());
        let addressed = addressed.map(|member| member.name.clone());
        let spot = settings.pools.first().and_then(|pool| self.pool_spots.get(*pool as usize));
        let Some(spot) = spot.copied().or(wip) else { return };
        if let Some(addressed) = addressed {
            let title = format!("\"{named}\" is a name and \"{addressed}\" has addresses");
            let mut problem = Problem::error("mixed-members", title)
                .at_with(spot, "a CNAME stands alone (RFC 1034 3.6.2)");
            if let Some(wip) = wip {
                problem = problem.at_with(wip, "one of its WIPs");
            }
            self.problems.push(problem.help(
                "give all members `cname`, or write the addresses of that name as `address`",
            ));
        }
        let mut clash = |key: &str, spot: Option<Spot>, help: &str| {
            if let Some(spot) = spot {
                let title = format!("`{key}` cannot stand beside members that are names");
                self.problems.push(
                    Problem::error("beside-cname", title)
                        .at_with(spot, "the answer is one CNAME, to every type")
                        .help(help),
                );
            }
        };
        let has_addresses = |at: &OnAllDown| matches!(at, OnAllDown::Addresses(_));
        let on_all_down = own.on_all_down.as_ref().filter(|at| has_addresses(&at.value));
        let https = own.https.as_ref().filter(|at| at.value.is_some());
        let svcb = own.svcb.as_ref().filter(|at| at.value.is_some());
        let srv = own.srv.as_ref().filter(|at| !at.value.is_empty());
        let several = own.max_answers.filter(|at| at.value > 1);
        clash("https", https.map(|at| at.spot), "leave it out: the target's own counts");
        clash("svcb", svcb.map(|at| at.spot), "leave it out: the target's own counts");
        let help = "leave it out: what an SRV record names cannot be an alias (RFC 2782)";
        clash("srv", srv.map(|at| at.spot), help);
        clash("max_answers", several.map(|at| at.spot), "leave it out: one name is answered");
        let help = "name what is to be done, for example: on_all_down = \"first\"";
        clash("on_all_down.addresses", on_all_down.map(|at| at.spot), help);
        // What is inherited gives way.
        (settings.https, settings.svcb, settings.max_answers) = (None, None, 1);
        if has_addresses(&settings.on_all_down) {
            settings.on_all_down = OnAllDown::All;
        }
    }
}
