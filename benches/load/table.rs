//! Rows of `load --json`, as benches/compare/run collects them, to a table of medians.
//!
//! A ratio is taken within one round, to the floor of the same mix in that round; what is
//! shown is the median of the ratios, not a ratio of medians.
#![allow(clippy::print_stdout, clippy::print_stderr)] // a command-line tool

use std::collections::BTreeMap;
use std::process::ExitCode;

use serde_json::Value;

/// The server that others are held against.
const FLOOR: &str = "floor";

/// Rows of one server in one mix, in the order of the rounds.
type Rounds = Vec<Value>;

fn main() -> ExitCode {
    let Some(path) = std::env::args().nth(1) else {
        eprintln!("usage: load-table ROWS.jsonl");
        return ExitCode::from(2);
    };
    match std::fs::read_to_string(&path).map_err(|error| error.to_string()).and_then(|text| {
        let rows: Result<Vec<Value>, _> = text.lines().map(serde_json::from_str).collect();
        rows.map_err(|error| error.to_string())
    }) {
        Ok(rows) => {
            print!("{}", table(rows));
            ExitCode::SUCCESS
        }
        Err(problem) => {
            eprintln!("load-table: {path}: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn table(rows: Vec<Value>) -> String {
    let mut groups: BTreeMap<(String, String), Rounds> = BTreeMap::new();
    let mut order = Vec::new();
    for row in rows {
        let word = |key: &str| row[key].as_str().unwrap_or("?").to_owned();
        let group = (word("mix"), word("server"));
        if !order.contains(&group) {
            order.push(group.clone());
        }
        groups.entry(group).or_default().push(row);
    }
    let mut text = String::from(
        "| mix | server | × floor (lowest–highest) | ns per query | queries/s | p50 µs | p99 µs \
         | p99.9 µs | resident MiB | peak MiB | not right | rounds |\n\
         |---|---|---|---|---|---|---|---|---|---|---|---|\n",
    );
    for group in order {
        let rounds = &groups[&group];
        let floor = groups.get(&(group.0.clone(), FLOOR.to_owned()));
        text.push_str(&line(&group, rounds, floor.map_or(&[], Vec::as_slice)));
    }
    text
}

fn line((mix, server): &(String, String), rounds: &[Value], floor: &[Value]) -> String {
    if let Some(reason) = rounds.first().and_then(|row| row["cannot"].as_str()) {
        return format!("| {mix} | {server} | –: {reason} {}|\n", "| – ".repeat(9));
    }
    let middle = |key: &str| median(rounds.iter().filter_map(|row| row[key].as_f64()).collect());
    let cost = |row: &Value| row["server_ns_per_query"].as_f64();
    let mut ratios: Vec<f64> = rounds
        .iter()
        .filter_map(|row| {
            let same = floor.iter().find(|other| other["round"] == row["round"])?;
            Some(cost(row)? / cost(same)?)
        })
        .collect();
    ratios.sort_by(f64::total_cmp);
    let ratio = match (median(ratios.clone()), ratios.first(), ratios.last()) {
        (Some(middle), Some(low), Some(high)) => format!("{middle:.3} ({low:.3}–{high:.3})"),
        _ => "–".to_owned(),
    };
    let shown = |key: &str, scale: f64, places: usize| {
        middle(key).map_or("–".to_owned(), |value| format!("{:.places$}", value / scale))
    };
    format!(
        "| {mix} | {server} | {ratio} | {} | {} | {} | {} | {} | {} | {} | {} | {} |\n",
        shown("server_ns_per_query", 1.0, 0),
        shown("rate", 1.0, 0),
        shown("p50_us", 1.0, 0),
        shown("p99_us", 1.0, 0),
        shown("p999_us", 1.0, 0),
        shown("server_pss_kib", 1024.0, 1),
        shown("server_peak_kib", 1024.0, 1),
        not_right(rounds),
        rounds.len()
    )
}

/// Replies that were wrong, by kind, and queries that got none, over all rounds.
fn not_right(rounds: &[Value]) -> String {
    let mut kinds: BTreeMap<&str, u64> = BTreeMap::new();
    for row in rounds {
        for (kind, count) in row["wrong"].as_object().into_iter().flatten() {
            *kinds.entry(kind).or_default() += count.as_u64().unwrap_or(0);
        }
        *kinds.entry("lost").or_default() += row["lost"].as_u64().unwrap_or(0);
    }
    let some = kinds.iter().filter(|&(_, &count)| count > 0);
    let words: Vec<String> = some.map(|(kind, count)| format!("{count} {kind}")).collect();
    if words.is_empty() { "0".to_owned() } else { words.join(", ") }
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let half = values.len() / 2;
    match values.len() {
        0 => None,
        odd if odd % 2 == 1 => Some(values[half]),
        _ => Some((values[half - 1] + values[half]) / 2.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_taken_within_its_round() {
        let row = |round: &str, server: &str, cost: f64, lost: u64| {
            serde_json::json!({
                "mix": "a", "server": server, "round": round, "server_ns_per_query": cost,
                "rate": 1000.0, "lost": lost, "wrong": { "rcode": 1 },
            })
        };
        // The machine slows down by half: ratios of medians would show 1.5 or more.
        let text = table(vec![
            row("1", "floor", 100.0, 0),
            row("1", "other", 110.0, 2),
            row("2", "floor", 200.0, 0),
            row("2", "other", 210.0, 0),
            row("3", "floor", 200.0, 0),
            row("3", "other", 240.0, 0),
        ]);
        let other = text.lines().last().unwrap();
        assert!(other.starts_with("| a | other | 1.100 (1.050–1.200) | 210 | 1000 |"), "{other}");
        assert!(other.ends_with("| 2 lost, 3 rcode | 3 |"), "{other}");
    }

    #[test]
    fn who_cannot_has_a_dash_and_the_reason() {
        let text = table(vec![
            serde_json::json!({ "mix": "a", "server": "other", "cannot": "no weights" }),
        ]);
        let mut lines = text.lines();
        let columns = lines.next().unwrap().matches('|').count();
        let other = lines.nth(1).unwrap();
        assert!(other.starts_with("| a | other | –: no weights | – |"), "{other}");
        assert_eq!(other.matches('|').count(), columns);
    }

    #[test]
    fn medians() {
        assert_eq!(median(vec![]), None);
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), Some(2.5));
    }
}
