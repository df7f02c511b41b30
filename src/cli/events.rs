//! `windrose events`: follows what happens on a server, and comes back to it.

use std::io::{ErrorKind, Write};
use std::time::Duration;

use super::client::{Client, ClientError};
use super::{EventsArguments, Failed, complain, counted, operate};
use crate::admin::types::{Event, EventKind, SaidOverride, Subject};

/// Pause before a server is asked again.
const RETRY: Duration = Duration::from_secs(2);

pub(super) fn run(arguments: &EventsArguments) -> Result<(), Failed> {
    operate::ask(&arguments.operate, async |client: Client| {
        let mut printer = Printer { json: arguments.operate.json, day: None };
        follow(&client, arguments.kept.then_some(0), |event| printer.print(event)).await
    })
}

/// Whether to go on.
type Goes = bool;

/// Follows until `take` has enough. A server that was never reached, or refuses, is an
/// error; one that is lost is asked again, from where it was left.
async fn follow(
    client: &Client,
    mut after: Option<u64>,
    mut take: impl FnMut(&Event) -> Goes,
) -> Result<(), ClientError> {
    let mut reached = false;
    loop {
        let lost = match client.events(after).await {
            Ok(mut events) => {
                reached = true;
                let lost = loop {
                    match events.next().await {
                        Ok(Some(event)) => {
                            if !take(&event) {
                                return Ok(());
                            }
                        }
                        Ok(None) => break "the server ended the stream".to_owned(),
                        Err(error) => break error.to_string(),
                    }
                };
                after = events.last_id();
                lost
            }
            Err(error) if reached && !is_final(&error) => error.to_string(),
            Err(error) => return Err(error),
        };
        complain(&format!("windrose: {lost}; trying again"));
        tokio::time::sleep(RETRY).await;
    }
}

/// Whether asking again would change nothing.
fn is_final(error: &ClientError) -> bool {
    match error {
        ClientError::Unauthorized { .. } | ClientError::Token { .. } => true,
        ClientError::Problem { problem, .. } => problem.status < 500,
        _ => false,
    }
}

//------------ Printer --------------------------------------------------------

struct Printer {
    json: bool,
    /// Of the last line, in days since 1970.
    day: Option<u64>,
}

impl Printer {
    fn print(&mut self, event: &Event) -> Goes {
        let text = if self.json {
            // Plain structs always come out.
            serde_json::to_string(event).unwrap_or_default() + "\n"
        } else {
            self.text(event)
        };
        let mut out = std::io::stdout().lock();
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            Err(error) if error.kind() != ErrorKind::BrokenPipe => {
                complain(&format!("cannot write: {error}"));
                false
            }
            Err(_) => false,
            Ok(()) => true,
        }
    }

    fn text(&mut self, event: &Event) -> String {
        if let EventKind::Lagged { missed } = event.what {
            let many = missed.map_or("some".to_owned(), |missed| missed.to_string());
            return format!("({many} events were missed)\n");
        }
        let (day, us) = (event.at_us / 86_400_000_000, event.at_us % 86_400_000_000);
        let (ms, s) = (us / 1_000 % 1_000, us / 1_000_000);
        let mut text = String::new();
        if self.day.replace(day) != Some(day) {
            let (year, month, day) = date(day);
            text = format!("{year}-{month:02}-{day:02} (UTC)\n");
        }
        let time = format!("{:02}:{:02}:{:02}.{ms:03}", s / 3_600, s / 60 % 60, s % 60);
        text + &format!("{time}  {}\n", words(&event.what))
    }
}

fn words(what: &EventKind) -> String {
    match what {
        EventKind::Transition { check, subject, from, to, reason, detail, results_needed: _ } => {
            let to = if to == "down" { "DOWN" } else { to };
            let why = why(reason.as_ref(), detail.as_ref());
            format!("{} {check}: {from} to {to}{why}", whose(subject))
        }
        EventKind::Available { subject, available: true } => {
            format!("{} is in answers again", whose(subject))
        }
        EventKind::Available { subject, available: false } => {
            format!("{} is OUT of answers", whose(subject))
        }
        EventKind::Held { subject, held: true } => {
            format!("{} is up and HELD: see failback", whose(subject))
        }
        EventKind::Held { subject, held: false } => format!("{} is no longer held", whose(subject)),
        EventKind::Silent { check, subject, reason, detail } => {
            let why = why(reason.as_ref(), detail.as_ref());
            format!("{} {check}: NO VERDICT, the prober's own trouble{why}", whose(subject))
        }
        EventKind::CertificateExpiring { check, subject, expires_at_s } => {
            let (year, month, day) = date(expires_at_s / 86_400);
            let whose = whose(subject);
            format!("{whose} {check}: certificate expires on {year}-{month:02}-{day:02}")
        }
        EventKind::LimiterTripped { undone, targets } => format!(
            "LIMITER TRIPPED: {undone} of {targets} targets lost at once, held to be our own fault"
        ),
        EventKind::LimiterReleased { held, by_operator } => {
            let by = if *by_operator { "by an operator" } else { "enough is back" };
            format!("limiter released ({by}): {held} targets were held")
        }
        EventKind::ProberStalled => {
            "THE PROBER IS STUCK: all members are unknown, and answered as before".to_owned()
        }
        EventKind::ProberResumed { stalled_ms } => {
            format!(
                "the prober goes on after {} s: all members are judged anew",
                stalled_ms / 1_000
            )
        }
        EventKind::Upgraded { old_pid, new_pid, old_version, new_version } => {
            format!(
                "upgraded: process {new_pid} (windrose {new_version}) took the place of {old_pid} \
                 ({old_version})"
            )
        }
        EventKind::UpgradeFailed { why } => format!("NO UPGRADE, this server goes on: {why}"),
        EventKind::ConfigLoaded { generation, cause, changes } => {
            let changes =
                if changes.is_empty() { "" } else { ": " }.to_owned() + &changes.join("; ");
            format!("config generation {generation} is in force ({cause}){changes}")
        }
        EventKind::ConfigRefused { cause, problems } => {
            format!("config REFUSED ({cause}, {problems} problems): the one before stays")
        }
        EventKind::OverrideSet { .. }
        | EventKind::OverrideCleared { .. }
        | EventKind::OverrideStarted { .. }
        | EventKind::OverrideEnded { .. }
        | EventKind::OverrideRefused { .. } => override_words(what),
        EventKind::FailOpen { wip, wips, active } => fail_open(wip.as_deref(), *wips, *active),
        EventKind::Test => "a test".to_owned(),
        EventKind::Lagged { .. } | EventKind::Other => {
            "something this version does not know".into()
        }
    }
}

fn override_words(what: &EventKind) -> String {
    let words = |said: &SaidOverride| format!("{} {}", said.kind.as_str(), said.target);
    let who = |said: &SaidOverride| format!(" (by {}: {})", said.actor, said.reason);
    match what {
        EventKind::OverrideSet { said, at_s, break_glass, members, .. } => {
            let when = match at_s {
                Some(_) => "planned".to_owned(),
                None => format!("{} changed", counted(*members, "member")),
            };
            let glass = match break_glass {
                Some(why) => format!(", SAFETY RULES PASSED OVER: {why}"),
                None => String::new(),
            };
            format!("{}: {when}{glass}{}", words(said), who(said))
        }
        EventKind::OverrideCleared { said, by, because, .. } => {
            let why = because.as_ref().map_or(String::new(), |why| format!(": {why}"));
            format!("cleared: {} (by {by}{why})", words(said))
        }
        EventKind::OverrideStarted { said, .. } => {
            format!("begins as planned: {}{}", words(said), who(said))
        }
        EventKind::OverrideEnded { said, .. } => {
            format!("over as planned: {}{}", words(said), who(said))
        }
        EventKind::OverrideRefused { change, said, detail, .. } => {
            format!("REFUSED ({change}): {}: {detail}{}", words(said), who(said))
        }
        _ => String::new(),
    }
}

fn fail_open(wip: Option<&str>, wips: u64, active: bool) -> String {
    let (whose, has) = match wip {
        Some(wip) => (wip.to_owned(), "has"),
        None => (format!("{wips} more WIPs"), "have"),
    };
    match active {
        true => format!("{whose} {has} NO MEMBER LEFT: answered as on_all_down says"),
        false => format!("{whose} {has} a member again"),
    }
}

fn whose(subject: &Subject) -> String {
    let Subject { wip, member, address } = subject;
    let wip = wip.as_ref().map_or(String::new(), |wip| format!("{wip} "));
    format!("{wip}{member} {address}")
}

fn why(reason: Option<&String>, detail: Option<&String>) -> String {
    match (reason, detail) {
        (Some(reason), Some(detail)) => format!(" ({reason}: {detail})"),
        (Some(reason), None) => format!(" ({reason})"),
        _ => String::new(),
    }
}

/// Year, month and day of a day since 1970-01-01, in the Gregorian calendar.
fn date(days: u64) -> (u64, u64, u64) {
    const DAYS_OF_400_YEARS: u64 = 146_097;
    // Years that begin in March end with the leap day.
    let days = days + 719_468;
    let (era, day) = (days / DAYS_OF_400_YEARS, days % DAYS_OF_400_YEARS);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day_of_month = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year + u64::from(month <= 2), month, day_of_month)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_have_dates() {
        for (days, expected) in [
            (0, (1970, 1, 1)),
            (58, (1970, 2, 28)),
            (59, (1970, 3, 1)),
            (11_016, (2000, 2, 29)),
            (11_017, (2000, 3, 1)),
            (20_454, (2026, 1, 1)),
            (20_779, (2026, 11, 22)),
            (47_540, (2100, 2, 28)),
            (47_541, (2100, 3, 1)),
        ] {
            assert_eq!(date(days), expected, "{days}");
        }
    }

    #[test]
    fn an_event_is_a_line_under_its_day() {
        let subject = Subject {
            wip: Some("shop.example".to_owned()),
            member: "fra".to_owned(),
            address: "192.0.2.1".to_owned(),
        };
        let at_us = 20_779 * 86_400_000_000 + 61_001_002_003;
        let event = |what| Event { id: 1, at_us, what };
        let mut printer = Printer { json: false, day: None };
        let down = EventKind::Transition {
            check: "ready".to_owned(),
            subject: subject.clone(),
            from: "up".to_owned(),
            to: "down".to_owned(),
            reason: Some("status".to_owned()),
            detail: Some("503".to_owned()),
            results_needed: 2,
        };
        assert_eq!(
            printer.text(&event(down)),
            "2026-11-22 (UTC)\n16:56:41.002  shop.example fra 192.0.2.1 ready: up to DOWN \
             (status: 503)\n"
        );
        let out = EventKind::Available { subject, available: false };
        assert_eq!(
            printer.text(&event(out)),
            "16:56:41.002  shop.example fra 192.0.2.1 is OUT of answers\n"
        );
        let lagged = EventKind::Lagged { missed: Some(7) };
        assert_eq!(printer.text(&event(lagged)), "(7 events were missed)\n");
    }
}
