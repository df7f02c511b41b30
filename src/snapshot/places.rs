//! Places and `serves` rules that the loaded geo databases cannot decide: said
//! at load, because at query time they would silently never match.

use super::problem::{CompileProblem, Subject};
use crate::config::model::Config;
use crate::geo::{BaseTable, Location, Serves, is_continent, is_country};

/// Checks every datacenter and every explicit member.
pub(super) fn check(config: &Config, base: &BaseTable) -> Vec<CompileProblem> {
    let mut problems = Vec::new();
    let geo = (base, !config.geo.databases.is_empty());
    for (id, datacenter) in config.datacenters.iter().enumerate() {
        let subject = Subject::Datacenter(id as u32);
        let whose = format!("datacenter {}", datacenter.name);
        check_one(&whose, &subject, datacenter.location, &datacenter.serves, geo, &mut problems);
    }
    for (id, pool) in config.pools.iter().enumerate() {
        for member in &pool.members {
            let same = member.datacenter.and_then(|id| config.datacenters.get(id as usize));
            let inherited =
                same.is_some_and(|dc| dc.location == member.location && dc.serves == member.serves);
            if !inherited {
                let subject = Subject::Pool(id as u32);
                let whose = format!("member {}", member.name);
                check_one(&whose, &subject, member.location, &member.serves, geo, &mut problems);
            }
        }
    }
    problems
}

fn check_one(
    whose: &str,
    subject: &Subject,
    location: Option<Location>,
    serves: &[Serves],
    (base, has_databases): (&BaseTable, bool),
    problems: &mut Vec<CompileProblem>,
) {
    let countries = serves.iter().filter_map(|rule| match rule {
        Serves::Country(country) => Some(*country),
        _ => None,
    });
    let placed = match location {
        Some(Location::Country(country)) => Some(country),
        _ => None,
    };
    for country in countries.chain(placed).filter(|&country| !is_country(country)) {
        let code = String::from_utf8_lossy(&country).into_owned();
        let message = format!("{whose}: \"{code}\" is no country");
        let problem = CompileProblem::error("unknown-country", subject.clone(), message);
        problems.push(problem.with_help("write an ISO 3166-1 code of two letters, such as \"DE\""));
    }
    for rule in serves {
        let missing = match rule {
            Serves::Continent(continent) if !is_continent(*continent) => {
                let code = String::from_utf8_lossy(continent).into_owned();
                let message = format!("{whose}: \"{code}\" is no continent");
                let problem = CompileProblem::error("unknown-continent", subject.clone(), message);
                problems.push(problem.with_help("there are AF, AN, AS, EU, NA, OC and SA"));
                continue;
            }
            // The config checker has said so of the built-in table, at the rule.
            Serves::Asn(_) | Serves::Region(_) if !has_databases => continue,
            Serves::Asn(asn) if !base.has_asn() => (format!("asn:{asn}"), "AS numbers"),
            Serves::Region(region) if !base.has_regions() => {
                (format!("region:{region}"), "regions by ISO 3166-2 code")
            }
            Serves::Country(_) | Serves::Continent(_) if !base.has_country() => {
                ("its country and continent rules".to_owned(), "countries")
            }
            _ => continue,
        };
        let (rule, what) = missing;
        let message = format!(
            "{whose} serves {rule}, but no geo database in use tells {what}: it never matches"
        );
        let problem = CompileProblem::warning("geo-rule-undecided", subject.clone(), message);
        problems.push(problem.with_help("name a database that does in [geo] databases"));
    }
}
