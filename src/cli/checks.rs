//! `windrose status --checks`: what is probed and how it is, in 80 columns.

use std::fmt::Write;

use super::client::Client;
use super::{ChecksArguments, Failed, OperateArguments, operate, print, print_json};
use crate::admin::types::{CHECKS_MAX, CheckStatus, ChecksPage, ChecksRequest};
use crate::dns::Name;

/// Most columns of a line.
const COLUMNS: usize = 80;
/// Checks printed as text; more are for programs.
const CHECKS_AS_TEXT_MAX: usize = 5_000;

pub(super) fn run(operate: &OperateArguments, arguments: &ChecksArguments) -> Result<(), Failed> {
    let wip = match &arguments.wip {
        Some(name) => {
            Some(Name::parse(name).map_err(|error| Failed(format!("WIP \"{name}\": {error}")))?)
        }
        None => None,
    };
    let request = ChecksRequest {
        wip: wip.map(|name| name.to_lowercase()),
        member: arguments.member.clone(),
        check: arguments.check.clone(),
        state: arguments.state.clone(),
        after: None,
        limit: CHECKS_MAX,
    };
    let most = if operate.json { usize::MAX } else { CHECKS_AS_TEXT_MAX };
    let page = operate::ask(operate, async |client: Client| all(&client, request, most).await)?;
    if operate.json { print_json(&page) } else { print(&text(&page)) }
}

/// All pages as one, until there are `most`.
async fn all(
    client: &Client,
    mut request: ChecksRequest,
    most: usize,
) -> Result<ChecksPage, super::client::ClientError> {
    let mut whole = client.checks(&request).await?;
    while let Some(next) = whole.next.filter(|_| whole.checks.len() < most) {
        request.after = Some(next);
        let page = client.checks(&request).await?;
        // A server that gives the same page again must not be asked for ever.
        whole.next = page.next.filter(|after| *after > next);
        whole.checks.extend(page.checks);
    }
    Ok(whole)
}

fn text(page: &ChecksPage) -> String {
    let mut text = String::new();
    if page.checks.is_empty() {
        return "no check is probed that is asked for\n".to_owned();
    }
    let mut heading = None;
    for check in &page.checks {
        if heading != Some(&check.wip) {
            let site = "datacenters' own checks".to_owned();
            let _ = writeln!(text, "{}", fit(check.wip.as_ref().unwrap_or(&site), COLUMNS));
            heading = Some(&check.wip);
        }
        entry(&mut text, check, page.now_s);
    }
    let shown = page.checks.len() as u64;
    if page.total > shown {
        let rest = page.total - shown;
        let _ = writeln!(text, "… and {rest} more: narrow it with --wip, --member or --state");
    }
    text
}

/// One line for a check that is calm, more for one that is not.
fn entry(text: &mut String, check: &CheckStatus, now_s: u64) {
    let state = if check.state == "down" { "DOWN" } else { &check.state };
    let since = check.since_s.map_or("-".to_owned(), |at_s| span(now_s.saturating_sub(at_s)));
    let latency = check.last_latency_ms.map_or("-".to_owned(), |ms| format!("{ms} ms"));
    let line = format!(
        "  {state:7} {since:>4}  {:12} {:14} {latency:>8}  {}",
        fit(&check.member, 12),
        fit(&check.check, 14),
        check.address
    );
    let _ = writeln!(text, "{}", fit(line.trim_end(), COLUMNS));
    let mut notes = Vec::new();
    if check.silent {
        notes.push("no verdict for three intervals: the prober's own trouble".to_owned());
    }
    let is_failing = check.last_result.as_deref() == Some("failed");
    if let Some(kind) = check.last_failure.as_ref().filter(|_| is_failing || check.state == "down")
    {
        let detail = check.last_failure_detail.as_deref().unwrap_or_default();
        notes.push(format!("{kind}: {detail}"));
    }
    if let Some(pending) = pending(check) {
        notes.push(pending);
    }
    if let Some(expires_s) = check.certificate_expires_s.filter(|left| *left < CERTIFICATE_SOON_S) {
        notes.push(match u64::try_from(expires_s) {
            Ok(left) => format!("certificate expires in {}", span(left)),
            Err(_) => format!("certificate expired {} ago", span(expires_s.unsigned_abs())),
        });
    }
    for note in notes {
        let _ = writeln!(text, "{}", fit(&format!("          {note}"), COLUMNS));
    }
}

/// A certificate's rest that is worth a line.
const CERTIFICATE_SOON_S: i64 = 14 * 86_400;

/// What would turn the state, where it is not calmly up.
fn pending(check: &CheckStatus) -> Option<String> {
    let is_contrary = if check.eligible { check.failures > 0 } else { check.successes > 0 };
    if check.state == "up" && !is_contrary {
        return None;
    }
    let (what, turn) = if check.eligible { ("failure", "down") } else { ("success", "up") };
    let needed = check.results_needed;
    let end = match (what, needed) {
        (_, 1) => "",
        ("success", _) => "es",
        _ => "s",
    };
    let next = match check.next_probe_ms {
        None => String::new(),
        Some(0) => ", probed now".to_owned(),
        Some(ms) => format!(", probed in {}.{} s", ms / 1_000, ms % 1_000 / 100),
    };
    Some(match (check.state.as_str(), check.last_at_s) {
        ("unknown", None) => format!("not probed yet{next}"),
        _ => format!("{needed} more {what}{end} make it {turn}{next}"),
    })
}

/// "45s", "12m", "3h", "9d"
fn span(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7_200 => format!("{}m", seconds / 60),
        7_200..172_800 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// `text` in at most `columns` characters.
fn fit(text: &str, columns: usize) -> String {
    if text.chars().count() <= columns {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(columns - 1).collect();
    short.push('…');
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(state: &str) -> CheckStatus {
        CheckStatus {
            check: "ready".to_owned(),
            wip: Some("shop.gslb.example.com".to_owned()),
            member: "fra".to_owned(),
            address: "192.0.2.10".to_owned(),
            state: state.to_owned(),
            eligible: state == "up",
            since_s: Some(1_000),
            last_result: Some("passed".to_owned()),
            last_at_s: Some(9_990),
            last_latency_ms: Some(12),
            next_probe_ms: Some(1_250),
            results_needed: 3,
            ..CheckStatus::default()
        }
    }

    #[test]
    fn a_calm_check_is_a_line_and_a_failing_one_says_why_and_what_comes_next() {
        let down = CheckStatus {
            last_result: Some("failed".to_owned()),
            last_failure: Some("refused".to_owned()),
            last_failure_detail: Some("connection refused".to_owned()),
            address: "2001:db8:1234:5678:9abc:def0:1234:5678".to_owned(),
            member: "frankfurt-am-main".to_owned(),
            results_needed: 2,
            certificate_expires_s: Some(-90_000),
            ..check("down")
        };
        let doubted = CheckStatus { failures: 2, results_needed: 1, wip: None, ..check("up") };
        let page = ChecksPage {
            now_s: 10_000,
            total: 9,
            checks: vec![check("up"), down, doubted],
            ..ChecksPage::default()
        };
        let text = text(&page);
        assert_eq!(
            text,
            "shop.gslb.example.com\n  \
             up        2h  fra          ready             12 ms  192.0.2.10\n  \
             DOWN      2h  frankfurt-a… ready             12 ms  2001:db8:1234:5678:9abc:d…\n          \
             refused: connection refused\n          \
             2 more successes make it up, probed in 1.2 s\n          \
             certificate expired 25h ago\n\
             datacenters' own checks\n  \
             up        2h  fra          ready             12 ms  192.0.2.10\n          \
             1 more failure make it down, probed in 1.2 s\n\
             … and 6 more: narrow it with --wip, --member or --state\n"
        );
        assert!(text.lines().all(|line| line.chars().count() <= COLUMNS));
    }
}
