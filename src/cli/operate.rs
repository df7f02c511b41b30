//! Commands that speak to a running server: `status`, `reload`.

use std::fmt::Write;

use super::client::{Client, ClientError};
use super::overrides::Words;
use super::{FailbackArguments, Failed, OperateArguments, counted, print, print_json};
use crate::admin::types::{
    DatacenterLosses, FailbackRequest, HealthStatus, MemberStatus, OverridesPage, ReloadReport,
    Status, Upgraded, ZoneStatus,
};

/// Runs one request against the server that the arguments name.
pub(super) fn ask<T>(
    arguments: &OperateArguments,
    request: impl AsyncFnOnce(Client) -> Result<T, ClientError>,
) -> Result<T, Failed> {
    let (token_file, ca_file) = (arguments.token_file.as_deref(), arguments.ca_file.as_deref());
    let client = Client::trusting(&arguments.server, token_file, ca_file);
    let client = client?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime?.block_on(request(client)).map_err(Failed::from)
}

/// One server's, or that of each in a list: a list is what `WINDROSE_SERVER` holds where
/// overrides are said to several.
pub(super) fn status(arguments: &OperateArguments) -> Result<(), Failed> {
    let servers: Vec<&str> = arguments.server.split(',').map(str::trim).collect();
    let ask_one = |server: &str| {
        let arguments = OperateArguments { server: server.to_owned(), ..arguments.clone() };
        ask(&arguments, async |client: Client| client.status().await)
    };
    if let [server] = servers[..] {
        let status = ask_one(server)?;
        return if arguments.json { print_json(&status) } else { print(&status_text(&status)) };
    }
    let statuses: Vec<_> = servers.into_iter().map(|server| (server, ask_one(server))).collect();
    let failed = statuses.iter().filter(|(_, status)| status.is_err()).count();
    if arguments.json {
        let shown = statuses.iter().map(|(server, status)| match status {
            Ok(status) => serde_json::json!({ "server": server, "status": status }),
            Err(Failed(why)) => serde_json::json!({ "server": server, "error": why }),
        });
        print_json(&shown.collect::<Vec<_>>())?;
    } else {
        for (server, status) in &statuses {
            let text = match status {
                Ok(status) => status_text(status),
                Err(Failed(why)) => format!("NO ANSWER: {why}\n"),
            };
            print(&format!("== {server}\n{text}"))?;
        }
    }
    match failed {
        0 => Ok(()),
        failed => {
            Err(Failed(format!("{} did not say how it is", counted(failed as u64, "server"))))
        }
    }
}

pub(super) fn reload(arguments: &OperateArguments) -> Result<(), Failed> {
    let report = ask(arguments, async |client: Client| client.reload().await)?;
    if arguments.json { print_json(&report) } else { print(&reload_text(&report)) }
}

pub(super) fn upgrade(arguments: &OperateArguments) -> Result<(), Failed> {
    let done = ask(arguments, async |client: Client| client.upgrade().await)?;
    if arguments.json {
        return print_json(&done);
    }
    let Upgraded { old_pid, new_pid, old_version, new_version, took_ms } = done;
    print(&format!(
        "upgraded in {took_ms} ms: process {new_pid} (windrose {new_version}) answers, process \
         {old_pid} ({old_version}) ends"
    ))
}

pub(super) fn release(arguments: &OperateArguments) -> Result<(), Failed> {
    let released = ask(arguments, async |client: Client| client.release_limiter().await)?;
    if arguments.json {
        return print_json(&released);
    }
    let held = counted(released.held, "target");
    print(&format!("released: {held} held; what still fails is called down with its next failure"))
}

pub(super) fn fail_back(arguments: FailbackArguments) -> Result<(), Failed> {
    let FailbackArguments { operate, wip, member } = arguments;
    let request = FailbackRequest { wip, member };
    let done = ask(&operate, async |client: Client| client.fail_back(&request).await)?;
    if operate.json {
        return print_json(&done);
    }
    print(&format!("{} held no longer", counted(done.released, "member")))
}

fn reload_text(report: &ReloadReport) -> String {
    let mut text = format!("loaded: generation {}\n", report.generation);
    if report.changes.is_empty() {
        text.push_str("  nothing changed in zones, sites, checks, pools or WIPs\n");
    }
    for change in &report.changes {
        let _ = writeln!(text, "  {change}");
    }
    for warning in &report.warnings {
        let _ = writeln!(text, "  warning: {}", warning.title);
    }
    text
}

/// Zones that come from other servers; the others have nothing to tell.
fn zones_text(text: &mut String, zones: &[ZoneStatus]) {
    for zone in zones.iter().filter(|zone| zone.role == "secondary") {
        let serial =
            zone.serial.map_or("no serial".to_owned(), |serial| format!("serial {serial}"));
        let from = zone.primary.as_ref().map_or(String::new(), |from| format!(" from {from}"));
        let _ = write!(text, "zone {}: secondary{from}, {serial}", zone.name);
        if let Some(why) = &zone.not_ready {
            let _ = write!(text, ", NOT ANSWERED: {why}");
        }
        if let Some(error) = &zone.last_error {
            let _ = write!(text, ", last check failed: {error}");
        }
        text.push('\n');
    }
}

fn status_text(status: &Status) -> String {
    let mut text = format!("windrose {}", status.version);
    if let Some(identity) = &status.identity {
        let _ = write!(text, " ({identity})");
    }
    let ready = status.not_ready.as_ref();
    let _ =
        writeln!(text, ": {}", ready.map_or("ready".to_owned(), |why| format!("not ready, {why}")));
    let config = &status.config;
    let _ = writeln!(
        text,
        "config generation {}: {}, {}, {}",
        config.generation,
        counted(config.zones, "zone"),
        counted(config.wips, "WIP"),
        counted(config.probes, "distinct probe")
    );
    if let Some(refused) = &config.last_reload_refused {
        let _ = writeln!(text, "the last reload was REFUSED, the config before it is in force:");
        let _ = writeln!(text, "{}", refused.report);
    }
    zones_text(&mut text, &status.zones);
    health_text(&mut text, &status.health);
    overrides_text(&mut text, &status.overrides);
    for datacenter in &status.datacenters {
        let gate = datacenter.gate.as_ref().map_or(String::new(), |gate| format!(", site {gate}"));
        let overridden = match datacenter.overridden {
            0 => String::new(),
            count => format!(", {count} overridden"),
        };
        let _ = writeln!(
            text,
            "  {}: {} up, {} down, {} unknown{overridden}{gate}",
            datacenter.name, datacenter.up, datacenter.down, datacenter.unknown
        );
    }
    if status.members_not_up_total > 0 {
        let _ = writeln!(text, "not up: {}", status.members_not_up_total);
    }
    for member in &status.members_not_up {
        let share = match member.share_percent {
            100 => String::new(),
            percent => format!(", taking {percent} % of its clients"),
        };
        let _ = writeln!(
            text,
            "  {} {} {} {}{share}{}",
            member.wip,
            member.member,
            member.address,
            member.effective,
            reason_text(member)
        );
    }
    text
}

/// What operators said, by whom, why, since and until when.
fn overrides_text(text: &mut String, page: &OverridesPage) {
    if page.overrides.is_empty() {
        return;
    }
    let refused = page.overrides.iter().filter(|status| status.phase == "refused").count() as u64;
    let others = page.overrides.len() as u64 - refused;
    if others > 0 {
        let _ = writeln!(text, "OVERRIDDEN: {}", counted(others, "override"));
    }
    if refused > 0 {
        let _ = writeln!(text, "REFUSED as their time came: {}", counted(refused, "override"));
    }
    let words = Words { now: jiff::Zoned::now() };
    for status in page.overrides.iter().take(OVERRIDES_SHOWN_MAX) {
        let mut lines = String::new();
        words.status(&mut lines, status, page.now_s);
        for line in lines.lines() {
            let _ = writeln!(text, "  {line}");
        }
    }
    if page.overrides.len() > OVERRIDES_SHOWN_MAX {
        let _ = writeln!(text, "  … all of them: windrose overrides");
    }
}

/// Overrides shown with the status; more have a command of their own.
const OVERRIDES_SHOWN_MAX: usize = 20;

/// ", check readiness: timeout: no response within 2000 ms"
fn reason_text(member: &MemberStatus) -> String {
    let Some(check) = &member.check else { return String::new() };
    let whose = if member.of_site { "the site's check" } else { "check" };
    let failure = member.failure.as_ref().map_or(String::new(), |failure| format!(": {failure}"));
    format!(", {whose} {check}{failure}")
}

fn health_text(text: &mut String, health: &HealthStatus) {
    let HealthStatus { up, down, unknown, pending, silent, .. } = health;
    let _ = writeln!(text, "probes: {up} up, {down} down, {unknown} unknown, {pending} in doubt");
    if *silent > 0 {
        let _ = writeln!(text, "NO VERDICT for three intervals: {}", counted(*silent, "probe"));
    }
    if health.certificates_expiring > 0 {
        let certificates = counted(health.certificates_expiring, "certificate");
        let _ = writeln!(text, "about to expire: {certificates}");
    }
    let limiter = &health.limiter;
    if limiter.phase == "tripped" {
        let held = counted(limiter.held, "target");
        let _ = writeln!(text, "THE LIMITER HOLDS {held}: nearly all were lost at once, and the");
        let _ = writeln!(
            text,
            "  fault is held to be this host's. If it is not: windrose limiter release"
        );
        for datacenter in &limiter.datacenters {
            let DatacenterLosses { name, counted, lost, .. } = datacenter;
            let _ = writeln!(text, "  {name}: {lost} of {counted} lost");
        }
    }
    let prober = &health.prober;
    if prober.unresponsive {
        let _ = writeln!(text, "THE PROBER DOES NOT ANSWER: what is shown of health may be old");
    }
    if prober.lag_ms >= LAG_SHOWN_MS {
        let (s, tenth) = (prober.lag_ms / 1_000, prober.lag_ms % 1_000 / 100);
        let waiting = counted(prober.waiting, "probe");
        let _ = writeln!(text, "probing is {s}.{tenth} s behind, {waiting} waiting");
    }
}

/// A lag that people should see.
const LAG_SHOWN_MS: u64 = 1_000;
