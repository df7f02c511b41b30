//! Configs with members shared in every way, and what operators and time do to them.

use proptest::prelude::*;
use proptest::sample::{Index, select};
use windrose::config::model::Safety;
use windrose::geo::BaseTable;
use windrose::health::table::{Override, State, Word};
use windrose::overrides::{Entry, Kind, Stage, Target};
use windrose::snapshot::Serving;

use crate::config_support::MemoryFiles;
use crate::dns_support::serving;

/// Datacenters of every world, and WIPs at most.
const SITES: [&str; 4] = ["fra", "ams", "iad", "sin"];
const WIPS: [&str; 6] = ["shop", "ship", "pay.eu", "pay.us", "*.apps", "mail"];
const TTLS_S: [u64; 3] = [5, 30, 60];

/// What a world is made of.
#[derive(Clone, Debug)]
pub(crate) struct World {
    /// For each site, whether it has addresses of both families.
    both: [bool; 4],
    /// For each pool, its members by number.
    pools: Vec<Vec<usize>>,
    says: Vec<Says>,
    wips: Vec<WipPlan>,
    pub(crate) safety: Safety,
}

#[derive(Clone, Debug)]
struct WipPlan {
    /// One of the world's settings: WIPs that say the same share a strategy.
    says: Index,
    alias: bool,
}

/// What a WIP says.
#[derive(Clone, Debug)]
struct Says {
    pools: Vec<Index>,
    ttl: Index,
    by_host: bool,
}

/// What happens.
#[derive(Clone, Debug)]
pub(crate) enum Action {
    /// An operator says something, from so many seconds on, for so many.
    Set { kind: Kind, target: Target, at: Option<u64>, lasts: Option<u64> },
    /// An operator takes back what is said of this target.
    Clear(Target),
    /// An operator takes back one of those that there are.
    ClearOne(Index),
    /// A probe finds something.
    Health(Index, Word),
    /// Time passes, and steps are taken when they are due.
    Pass(u64),
    /// Time passes, and steps are taken afterwards.
    Sleep(u64),
}

/// Members of pools: sites, addresses of their own, an address in a site, and one that
/// has another's address.
const MEMBERS: [(&str, &str); 8] = [
    ("fra", "\"fra\""),
    ("ams", "\"ams\""),
    ("iad", "\"iad\""),
    ("sin", "\"sin\""),
    ("spare", "{ name = \"spare\", address = \"203.0.113.99\" }"),
    ("rack", "{ name = \"rack\", address = \"203.0.113.98\", datacenter = \"fra\" }"),
    ("again", "{ name = \"again\", address = \"203.0.113.99\" }"),
    ("heavy", "{ name = \"heavy\", address = \"203.0.113.97\", datacenter = \"ams\" }"),
];

impl World {
    pub(crate) fn any() -> impl Strategy<Value = World> {
        let pool = proptest::sample::subsequence((0..MEMBERS.len()).collect::<Vec<_>>(), 1..=4);
        let says = (prop::collection::vec(any::<Index>(), 1..=3), any::<Index>(), any::<bool>())
            .prop_map(|(pools, ttl, by_host)| Says { pools, ttl, by_host });
        let wip = (any::<Index>(), any::<bool>()).prop_map(|(says, alias)| WipPlan { says, alias });
        let safety = (0..=3u32, prop_oneof![Just(0), 1..=4u32], prop_oneof![Just(0), 1..=3u32], {
            select(vec![0u32, 20, 100])
        })
            .prop_map(
                |(min_members, min_datacenters, max_datacenters_changed, change_window_s)| Safety {
                    min_members,
                    min_datacenters,
                    max_datacenters_changed,
                    change_window_s,
                },
            );
        let pools = prop::collection::vec(pool, 1..=4);
        let wips = prop::collection::vec(wip, 1..=WIPS.len());
        let says = prop::collection::vec(says, 1..=4);
        (any::<[bool; 4]>(), pools, says, wips, safety)
            .prop_map(|(both, pools, says, wips, safety)| World { both, pools, says, wips, safety })
    }

    pub(crate) fn config(&self) -> String {
        let mut text = "[zone.\"example.com\"]\nnameservers = [\"ns1.example.net\"]\n\
             hostmaster = \"hostmaster@example.net\"\n\
             [health_check.shared]\ntype = \"tcp\"\nport = 443\n\
             [health_check.own]\ntype = \"http\"\n"
            .to_owned();
        for (number, (site, both)) in SITES.iter().zip(self.both).enumerate() {
            let v6 = if both { format!(", \"2001:db8::{number}\"") } else { String::new() };
            text += &format!("[datacenter.{site}]\nvip = [\"192.0.2.{number}\"{v6}]\n");
        }
        for (number, pool) in self.pools.iter().enumerate() {
            let members: Vec<&str> = pool.iter().map(|&member| MEMBERS[member].1).collect();
            text += &format!("[pool.p{number}]\nmembers = [{}]\n", members.join(", "));
        }
        for (wip, name) in self.wips.iter().zip(WIPS) {
            let says = wip.says.get(&self.says);
            let mut pools: Vec<usize> =
                says.pools.iter().map(|index| index.index(self.pools.len())).collect();
            pools.sort_unstable();
            pools.dedup();
            let pools: Vec<String> = pools.iter().map(|pool| format!("\"p{pool}\"")).collect();
            let by_host = says.by_host && !name.starts_with('*');
            text += &format!(
                "[wip.\"{name}.example.com\"]\npools = [{}]\npolicy = \"failover\"\n\
                 ttl = \"{}s\"\nhealth_check = \"{}\"\n",
                pools.join(", "),
                says.ttl.get(&TTLS_S),
                if by_host { "own" } else { "shared" },
            );
            if wip.alias {
                let alias = name.replace('*', "star");
                text += &format!("aliases = [\"alias.{alias}.example.com\"]\n");
            }
        }
        text
    }

    pub(crate) fn serving(&self) -> Serving {
        let mut files = MemoryFiles::default();
        files.insert("windrose.toml", self.config());
        serving::load("windrose.toml", &files, BaseTable::from_networks(&[])).unwrap()
    }
}

/// Names and globs that hit some, all or none.
fn target() -> impl Strategy<Value = Target> {
    let datacenter = select(vec!["fra", "ams", "iad", "sin", "*", "?a*", "f*", "none", "FRA"]);
    let wip = select(vec![
        "shop.example.com",
        "Pay.EU.example.com.",
        "pay.*",
        "*",
        "*.example.com",
        "sh?p.example.com",
        "alias.*",
        "alias.shop.example.com",
        "*.apps.example.com",
        r"\*.apps.example.com",
        "gone.example.com",
    ]);
    let member = select(vec!["fra", "spare", "again", "rack", "*a*", "*", "heavy"]);
    (prop::option::of(datacenter), prop::option::of(wip), prop::option::weighted(0.3, member))
        .prop_filter_map("a target says something", |(datacenter, wip, member)| {
            Target::new(datacenter, wip, member).ok()
        })
}

fn word() -> impl Strategy<Value = Word> {
    prop_oneof![
        3 => Just(Word::UP),
        2 => Just(Word::new(State::Down, false, Override::None, u16::MAX, 7)),
        1 => Just(Word::UNKNOWN),
        1 => Just(Word::UP.held()),
    ]
}

impl Action {
    pub(crate) fn any() -> impl Strategy<Value = Action> {
        let kind = prop_oneof![3 => Just(Kind::Drain), 1 => Just(Kind::ForceUp), 1 => Just(Kind::ForceDown)];
        let at = prop::option::weighted(0.4, 1..80u64);
        let lasts = prop::option::weighted(0.4, 1..80u64);
        prop_oneof![
            6 => (kind, target(), at, lasts)
                .prop_map(|(kind, target, at, lasts)| Action::Set { kind, target, at, lasts }),
            1 => target().prop_map(Action::Clear),
            2 => any::<Index>().prop_map(Action::ClearOne),
            4 => (any::<Index>(), word()).prop_map(|(id, word)| Action::Health(id, word)),
            3 => prop_oneof![4 => 1..60u64, 1 => Just(20u64), 1 => Just(19u64)].prop_map(Action::Pass),
            1 => (1..60u64).prop_map(Action::Sleep),
        ]
    }
}

/// An override as an operator says it at `now_s`.
pub(crate) fn entry(
    kind: Kind,
    target: Target,
    now_s: u64,
    at: Option<u64>,
    lasts: Option<u64>,
) -> Entry {
    Entry {
        id: 0,
        kind,
        target,
        reason: "a test".to_owned(),
        actor: "a test".to_owned(),
        created_at_s: now_s,
        at_s: at.map(|at| now_s + at),
        until_s: lasts.map(|lasts| now_s + at.unwrap_or(0) + lasts),
        break_glass: None,
        stage: Stage::Planned,
    }
}
