//! What a request may say, checked before anything else is done.

use crate::admin::ApiError;
use crate::admin::types::{OverrideKind, OverrideRequest, OverrideTarget};
use crate::config::model::Config;
use crate::overrides::{Entry, Kind, Stage, Target};

/// Most characters of a reason.
const REASON_LENGTH_MAX: usize = 500;
/// Most characters of a name that somebody calls themselves.
const ACTOR_LENGTH_MAX: usize = 100;
/// A start that is past by no more is meant to be at once: clocks differ.
const LATE_MAX_S: u64 = 60;
/// Nobody plans further ahead: it is a wrong unit.
const AHEAD_MAX_S: u64 = 10 * 366 * 86_400;
/// Names shown where one is unknown.
const NAMES_SHOWN: usize = 10;

/// The entry that `request` asks for, from `peer` at `now_s`.
pub(super) fn entry(request: &OverrideRequest, peer: &str, now_s: u64) -> Result<Entry, ApiError> {
    let target = target(&request.target)?;
    let reason = text("reason", &request.reason, REASON_LENGTH_MAX)?;
    let break_glass = optional_text("break_glass", request.break_glass.as_deref())?;
    let actor = actor(request.actor.as_deref(), peer)?;
    let at_s = start(request.at_s, now_s)?;
    if let Some(until_s) = request.until_s {
        let begins_s = at_s.unwrap_or(now_s);
        if until_s <= begins_s {
            return Err(invalid(format!(
                "until_s is {until_s}, which is not after its start at {begins_s} (it is {now_s})"
            )));
        }
        not_too_far("until_s", until_s, now_s)?;
    }
    Ok(Entry {
        id: 0,
        kind: kind(request.kind),
        target,
        reason,
        actor,
        created_at_s: now_s,
        at_s,
        until_s: request.until_s,
        break_glass,
        // The book settles it.
        stage: Stage::InForce,
    })
}

/// The start, none: at once.
fn start(at_s: Option<u64>, now_s: u64) -> Result<Option<u64>, ApiError> {
    let Some(at_s) = at_s else { return Ok(None) };
    not_too_far("at_s", at_s, now_s)?;
    match at_s {
        at_s if at_s > now_s => Ok(Some(at_s)),
        at_s if at_s + LATE_MAX_S >= now_s => Ok(None),
        at_s => Err(invalid(format!(
            "at_s is {at_s}, which is {} s ago: leave it out to begin at once",
            now_s - at_s
        ))),
    }
}

fn not_too_far(name: &str, at_s: u64, now_s: u64) -> Result<(), ApiError> {
    if at_s <= now_s.saturating_add(AHEAD_MAX_S) {
        return Ok(());
    }
    Err(invalid(format!(
        "{name} is {at_s}, more than ten years from now: it is in unix seconds, not milliseconds"
    )))
}

/// The target, in its one form.
pub(super) fn target(target: &OverrideTarget) -> Result<Target, ApiError> {
    let OverrideTarget { datacenter, wip, member } = target;
    for (what, part) in [("datacenter", datacenter), ("wip", wip), ("member", member)] {
        if part.as_ref().is_some_and(|part| part.chars().any(char::is_control)) {
            return Err(invalid(format!("the target's {what} has control characters")));
        }
    }
    Target::new(datacenter.as_deref(), wip.as_deref(), member.as_deref())
        .map_err(|error| invalid(format!("the target: {error}")))
}

/// Who, and from where: "kim@ws7 (127.0.0.1:41234)".
pub(super) fn actor(actor: Option<&str>, peer: &str) -> Result<String, ApiError> {
    let name = match actor {
        Some(actor) => text("actor", actor, ACTOR_LENGTH_MAX)?,
        None => "unnamed".to_owned(),
    };
    Ok(format!("{name} ({peer})"))
}

pub(super) fn optional_text(name: &str, value: Option<&str>) -> Result<Option<String>, ApiError> {
    value.map(|value| text(name, value, REASON_LENGTH_MAX)).transpose()
}

/// A line of text for people. It is shown on terminals.
fn text(name: &str, value: &str, length_max: usize) -> Result<String, ApiError> {
    let value = value.trim();
    if value.is_empty() {
        return Err(invalid(format!("{name} is empty: others will want to know")));
    }
    let length = value.chars().count();
    if length > length_max {
        let allowed = format!("at most {length_max} are allowed");
        return Err(invalid(format!("{name} has {length} characters: {allowed}")));
    }
    if value.chars().any(char::is_control) {
        return Err(invalid(format!("{name} has line breaks or control characters")));
    }
    Ok(value.to_owned())
}

fn invalid(detail: String) -> ApiError {
    ApiError::Invalid(detail)
}

pub(super) fn kind(kind: OverrideKind) -> Kind {
    match kind {
        OverrideKind::Drain => Kind::Drain,
        OverrideKind::ForceUp => Kind::ForceUp,
        OverrideKind::ForceDown => Kind::ForceDown,
    }
}

/// Why a target means nobody, with what there is.
pub(super) fn means_nobody(target: &Target, config: &Config) -> ApiError {
    let datacenters: Vec<&str> = config.datacenters.iter().map(|dc| dc.name.as_str()).collect();
    if let Some(named) = target.datacenter.as_deref()
        && !is_glob(named)
        && !datacenters.contains(&named)
    {
        let hint = nearest(named, datacenters.iter().copied());
        let all = listed(&datacenters);
        return ApiError::NotFound(format!("there is no datacenter \"{named}\"{hint}{all}"));
    }
    if let Some(named) = target.wip.as_deref()
        && !is_glob(named)
        && !has_wip(config, named)
    {
        let names: Vec<String> = wip_names(config).collect();
        let hint = nearest(named, names.iter().map(String::as_str));
        let all = match names.len() {
            0..=NAMES_SHOWN => listed(&names.iter().map(String::as_str).collect::<Vec<_>>()),
            many => format!("; there are {many} WIPs"),
        };
        return ApiError::NotFound(format!("there is no WIP \"{named}\"{hint}{all}"));
    }
    let mut members: Vec<&str> =
        config.pools.iter().flat_map(|pool| &pool.members).map(|m| m.name.as_str()).collect();
    members.sort_unstable();
    members.dedup();
    if let Some(named) = target.member.as_deref()
        && !is_glob(named)
        && !members.contains(&named)
    {
        let hint = nearest(named, members.iter().copied());
        let all = listed(&members);
        return ApiError::NotFound(format!("there is no member \"{named}\"{hint}{all}"));
    }
    ApiError::NotFound(format!(
        "no member of a WIP matches {target}: each part exists, or is a pattern, but nothing is \
         all of it at once; there are the datacenters {}",
        datacenters.join(", ")
    ))
}

fn is_glob(text: &str) -> bool {
    text.contains(['*', '?', '\\'])
}

fn has_wip(config: &Config, named: &str) -> bool {
    let Ok(name) = crate::dns::Name::parse(named) else { return false };
    let wire = name.to_lowercase();
    config.wips.iter().any(|(_, known, _)| known == wire.wire())
        || config.wips.aliases().any(|(alias, _)| *alias == wire)
}

fn wip_names(config: &Config) -> impl Iterator<Item = String> {
    config
        .wips
        .iter()
        .filter_map(|(_, wire, _)| Some(crate::dns::Name::from_wire(wire).ok()?.to_string()))
}

/// A longer text is no mistyped name: none has so many bytes.
const SUGGESTED_LENGTH_MAX: usize = 255;

/// "; did you mean \"fra\"?"
fn nearest<'n>(named: &str, known: impl Iterator<Item = &'n str>) -> String {
    const ALIKE: f64 = 0.8;
    // It is compared with every name there is, a million perhaps.
    if named.len() > SUGGESTED_LENGTH_MAX {
        return String::new();
    }
    let scored = known.map(|name| (strsim::jaro_winkler(named, name), name));
    let best = scored.filter(|(score, _)| *score >= ALIKE).max_by(|a, b| a.0.total_cmp(&b.0));
    best.map_or_else(String::new, |(_, name)| format!("; did you mean \"{name}\"?"))
}

/// "; there are fra, iad"
fn listed(names: &[&str]) -> String {
    let mut text = names.iter().take(NAMES_SHOWN).copied().collect::<Vec<_>>().join(", ");
    if names.len() > NAMES_SHOWN {
        text.push_str(", …");
    }
    format!("; there are {text}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_S: u64 = 1_795_000_000;

    fn request() -> OverrideRequest {
        OverrideRequest {
            target: OverrideTarget { datacenter: Some("fra".to_owned()), ..Default::default() },
            reason: " disk ".to_owned(),
            actor: Some("kim".to_owned()),
            ..OverrideRequest::default()
        }
    }

    #[test]
    fn a_request_becomes_an_entry() {
        let asked =
            OverrideRequest { at_s: Some(NOW_S + 9), until_s: Some(NOW_S + 10), ..request() };
        let entry = entry(&asked, "127.0.0.1:7", NOW_S).unwrap();
        assert_eq!((entry.reason.as_str(), entry.actor.as_str()), ("disk", "kim (127.0.0.1:7)"));
        assert_eq!((entry.at_s, entry.until_s), (Some(NOW_S + 9), Some(NOW_S + 10)));
        let nameless = OverrideRequest { actor: None, at_s: Some(NOW_S - 60), ..request() };
        let entry = super::entry(&nameless, "unix", NOW_S).unwrap();
        assert_eq!((entry.actor.as_str(), entry.at_s), ("unnamed (unix)", None));
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_what_is_allowed() {
        type Spoil = fn(&mut OverrideRequest);
        let cases: [(&str, Spoil); 11] = [
            ("reason is empty", |r| r.reason = " \t".to_owned()),
            ("reason has 501 characters: at most 500 are allowed", |r| r.reason = "ä".repeat(501)),
            ("reason has line breaks", |r| r.reason = "a\u{1b}[2J".to_owned()),
            ("actor has 101 characters", |r| r.actor = Some("a".repeat(101))),
            ("break_glass is empty", |r| r.break_glass = Some(String::new())),
            ("no datacenter, WIP or member is given", |r| r.target = OverrideTarget::default()),
            ("the target's wip has control", |r| r.target.wip = Some("a\n".to_owned())),
            ("which is 61 s ago", |r| r.at_s = Some(NOW_S - 61)),
            ("not milliseconds", |r| r.at_s = Some(NOW_S * 1_000)),
            ("which is not after its start", |r| r.until_s = Some(NOW_S)),
            ("not milliseconds", |r| r.until_s = Some(u64::MAX)),
        ];
        for (why, spoil) in cases {
            let mut request = request();
            spoil(&mut request);
            let error = entry(&request, "unix", NOW_S).unwrap_err();
            assert!(matches!(error, ApiError::Invalid(_)), "{error:?}");
            assert!(error.to_string().contains(why), "{error}");
        }
    }
}
