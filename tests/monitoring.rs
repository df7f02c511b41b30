//! The alert rules and the dashboard that ship ask for what there is, and every alert has
//! its page. promtool checks their syntax (.ci/run promtool).

#![allow(clippy::unwrap_used)] // a panic in a test is a failed test

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;
use windrose::metrics::families::{FAMILIES, Kind, MetricFamily};

const RULES: &str = "config/deploy/prometheus/windrose.rules.yml";
const DASHBOARD: &str = "config/deploy/prometheus/windrose.dashboard.json";
/// Labels that Prometheus gives every series it scrapes.
const OF_THE_SCRAPE: [&str; 2] = ["instance", "job"];
/// Words after which a list of labels stands.
const LABEL_LISTS: [&str; 6] = ["by", "without", "on", "ignoring", "group_left", "group_right"];

fn read(relative: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(relative);
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{relative}: {error}"))
}

//------------ Queries --------------------------------------------------------

/// What a query asks for: names of series with the labels it picks them by, and labels it
/// groups or joins by.
#[derive(Debug, Default)]
struct Asked {
    series: Vec<(String, Vec<String>)>,
    labels: Vec<String>,
}

/// Reads a query of PromQL as far as names go.
fn asked(query: &str) -> Asked {
    let tokens = tokens(query);
    let mut asked = Asked::default();
    let mut at = 0;
    while at < tokens.len() {
        let token = &tokens[at];
        at += 1;
        if LABEL_LISTS.contains(&token.as_str()) && tokens.get(at).is_some_and(|next| next == "(") {
            let list = tokens[at + 1..].iter().take_while(|token| *token != ")");
            asked.labels.extend(list.filter(|token| *token != ",").cloned());
        } else if is_series(token) {
            let mut labels = Vec::new();
            if tokens.get(at).is_some_and(|next| next == "{") {
                let inside = tokens[at + 1..].iter().take_while(|token| *token != "}");
                let inside: Vec<&String> = inside.collect();
                labels.extend(
                    inside
                        .windows(2)
                        .filter(|pair| pair[1].starts_with(['=', '!']))
                        .map(|pair| pair[0].clone()),
                );
            }
            asked.series.push((token.clone(), labels));
        }
    }
    asked
}

fn is_series(token: &str) -> bool {
    token == "up" || token.starts_with("windrose_") || token.starts_with("process_")
}

/// Words, quoted texts, operators of selectors, and single signs.
fn tokens(query: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut rest = query.trim_start();
    while let Some(first) = rest.chars().next() {
        let word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '$';
        let length = match first {
            '"' => 2 + rest[1..].find('"').expect("quotes are closed"),
            c if word(c) => rest.find(|c| !word(c)).unwrap_or(rest.len()),
            '=' | '!' => rest.find(|c| !matches!(c, '=' | '!' | '~')).unwrap_or(rest.len()),
            c => c.len_utf8(),
        };
        tokens.push(rest[..length].to_owned());
        rest = rest[length..].trim_start();
    }
    tokens
}

/// The family of a series' name, and the labels of that series.
fn family_of(series: &str) -> Option<(&'static MetricFamily, BTreeSet<&'static str>)> {
    let mut families = FAMILIES.iter().copied();
    let (family, more) = families.find_map(|family| match family.kind {
        Kind::Histogram => {
            let part = series.strip_prefix(family.name)?;
            let more: Option<&[&str]> = match part {
                "_bucket" => Some(&["le"]),
                "_sum" | "_count" => Some(&[]),
                _ => None,
            };
            more.map(|more| (family, more))
        }
        _ => (family.name == series).then_some((family, &[][..])),
    })?;
    Some((family, family.labels.iter().chain(more).chain(&OF_THE_SCRAPE).copied().collect()))
}

/// What is wrong with a query; `more` are labels that are used of its result.
fn wrong(query: &str, more: &[String]) -> Vec<String> {
    let asked = asked(query);
    let mut wrong = Vec::new();
    let mut all: BTreeSet<&str> = OF_THE_SCRAPE.into_iter().collect();
    if asked.series.is_empty() {
        wrong.push(format!("asks for no series: {query}"));
    }
    for (series, labels) in &asked.series {
        if series == "up" {
            continue;
        }
        let Some((_, known)) = family_of(series) else {
            wrong.push(format!("no family {series}: {query}"));
            continue;
        };
        for label in labels.iter().filter(|label| !known.contains(label.as_str())) {
            wrong.push(format!("{series} has no label {label}: {query}"));
        }
        all.extend(known);
    }
    for label in asked.labels.iter().chain(more).filter(|label| !all.contains(label.as_str())) {
        wrong.push(format!("nothing asked for has a label {label}: {query}"));
    }
    wrong
}

/// Labels in `{{label}}` or `{{ $labels.label }}`.
fn used_in(text: &str) -> Vec<String> {
    let inside = text.split("{{").skip(1).filter_map(|part| part.split("}}").next());
    let names = inside.map(|inside| inside.trim().trim_start_matches("$labels.").to_owned());
    names.filter(|name| name != "$value").collect()
}

//------------ Rules ----------------------------------------------------------

/// The alerts: name, query, summary. The file is of one simple form, which promtool reads
/// as YAML.
fn alerts() -> Vec<(String, String, String)> {
    let rules = read(RULES);
    let alerts = rules.split("- alert: ").skip(1).map(|rule| {
        let name = rule.lines().next().unwrap().trim().to_owned();
        let (_, query) = rule.split_once("expr:").unwrap();
        let ends = query.find("\n        for:").or_else(|| query.find("\n        labels:"));
        let query = query[..ends.unwrap()].replace(">-", "").replace('\n', " ");
        let (_, summary) = rule.split_once("summary:").unwrap();
        (name, query.trim().to_owned(), summary.lines().next().unwrap().to_owned())
    });
    let alerts: Vec<_> = alerts.collect();
    assert!(alerts.len() >= 18, "{}: the rules were not read", alerts.len());
    alerts
}

#[test]
fn alerts_ask_only_for_what_there_is() {
    let found = alerts().into_iter().flat_map(|(name, query, summary)| {
        let wrong = wrong(&query, &used_in(&summary));
        wrong.into_iter().map(move |wrong| format!("{name}: {wrong}"))
    });
    assert_eq!(found.collect::<Vec<_>>(), Vec::<String>::new());
}

#[test]
fn every_alert_has_its_section_and_every_section_its_alert() {
    let page = read("docs/ALERTS.md");
    let sections: BTreeMap<&str, &str> =
        page.split("\n## ").skip(1).map(|section| section.split_once('\n').unwrap()).collect();
    let rules = read(RULES);
    for (name, _, _) in alerts() {
        let text = sections.get(name.as_str()).unwrap_or_else(|| panic!("{name} has no section"));
        let (_, rule) = rules.split_once(&format!("- alert: {name}\n")).unwrap();
        let severity = if rule.split_once("severity: ").unwrap().1.starts_with("page") {
            "**Page.**"
        } else {
            "**Ticket.**"
        };
        assert!(text.starts_with(severity), "{name}: its section begins with {severity}");
        assert!(text.len() > 120, "{name}: too little to help anybody");
    }
    let names: BTreeSet<String> = alerts().into_iter().map(|(name, ..)| name).collect();
    for section in sections.keys().filter(|section| section.starts_with("Windrose")) {
        assert!(names.contains(*section), "{section} is no alert");
    }
}

#[test]
fn every_page_has_a_test_of_its_rule() {
    let tests = read("config/deploy/prometheus/windrose.rules.test.yml");
    for (name, ..) in alerts() {
        let rules = read(RULES);
        let (_, rule) = rules.split_once(&format!("- alert: {name}\n")).unwrap();
        let pages = rule.split_once("severity: ").unwrap().1.starts_with("page");
        let tested = tests.contains(&format!("alertname: {name}\n"));
        assert!(tested || !pages, "{name} wakes people and has no test");
    }
}

//------------ Dashboard ------------------------------------------------------

fn dashboard() -> Value {
    serde_json::from_str(&read(DASHBOARD)).unwrap()
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_else(|| panic!("{key} is no text in {value}"))
}

#[test]
fn the_dashboard_asks_only_for_what_there_is() {
    let dashboard = dashboard();
    let mut found = Vec::new();
    let mut targets = 0;
    for panel in list(&dashboard, "panels") {
        for target in list(panel, "targets") {
            let (query, legend) = (text(target, "expr"), text(target, "legendFormat"));
            let title = text(panel, "title");
            found.extend(
                wrong(query, &used_in(legend)).into_iter().map(|wrong| format!("{title}: {wrong}")),
            );
            for variable in ["job=~\"$job\"", "instance=~\"$instance\""] {
                assert!(query.contains(variable), "{title} is of all servers: {query}");
            }
            targets += 1;
        }
    }
    assert!(targets > 30, "{targets} queries were found");
    for annotation in list(&dashboard["annotations"], "list") {
        found.extend(wrong(text(annotation, "expr"), &used_in(text(annotation, "textFormat"))));
    }
    for variable in list(&dashboard["templating"], "list") {
        if let Some(query) = variable["query"]["query"].as_str() {
            let query = query.strip_prefix("label_values(").unwrap().strip_suffix(')').unwrap();
            let (series, label) = query.rsplit_once(", ").unwrap();
            found.extend(wrong(series, &[label.to_owned()]));
        }
    }
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn the_dashboard_can_be_imported_anywhere() {
    let dashboard = dashboard();
    assert_eq!(text(&dashboard, "title"), "Windrose");
    let variables: Vec<&str> =
        list(&dashboard["templating"], "list").iter().map(|one| text(one, "name")).collect();
    assert_eq!(variables[0], "datasource", "the source is chosen before it is asked");
    let mut ids = BTreeSet::new();
    let mut rows = Vec::new();
    let mut taken: BTreeSet<(u64, u64)> = BTreeSet::new();
    for panel in list(&dashboard, "panels") {
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "two panels of one id");
        let place = |key: &str| panel["gridPos"][key].as_u64().unwrap();
        assert!(place("x") + place("w") <= 24, "{} is too wide", text(panel, "title"));
        for x in place("x")..place("x") + place("w") {
            for y in place("y")..place("y") + place("h") {
                assert!(taken.insert((x, y)), "{} lies over another", text(panel, "title"));
            }
        }
        if text(panel, "type") == "row" {
            rows.push(text(panel, "title"));
            continue;
        }
        assert!(!text(panel, "description").is_empty(), "{}", text(panel, "title"));
        for source in list(panel, "targets").iter().chain([panel]) {
            assert_eq!(text(&source["datasource"], "uid"), "${datasource}");
        }
    }
    assert_eq!(
        rows,
        [
            "Traffic",
            "Answers per site",
            "Health",
            "Probes",
            "Limiter and overrides",
            "Config",
            "Process"
        ]
    );
}

//------------ The reader itself ----------------------------------------------

#[test]
fn queries_that_ask_for_what_is_not_there_are_found() {
    for (query, more, expected) in [
        ("windrose_nothing_total > 0", "", "no family windrose_nothing_total"),
        ("windrose_member_state{site=\"fra\"}", "", "has no label site"),
        ("sum by (check) (windrose_member_state)", "", "has a label check"),
        ("windrose_dns_response_seconds", "", "no family windrose_dns_response_seconds"),
        ("rate(windrose_dns_queries_total[5m])", "rcode", "has a label rcode"),
        ("1 + 1", "", "asks for no series"),
    ] {
        let more: Vec<String> = if more.is_empty() { Vec::new() } else { vec![more.to_owned()] };
        let wrong = wrong(query, &more);
        assert!(wrong.iter().any(|wrong| wrong.contains(expected)), "{query}: {wrong:?}");
    }
    let good =
        "sum by (le, check) (rate(windrose_probe_duration_seconds_bucket{check=~\"a|b\"}[5m]))";
    assert_eq!(wrong(good, &["check".to_owned()]), Vec::<String>::new());
}
