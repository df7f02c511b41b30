//! What somebody who is to help needs to see: a set of small texts, with secrets out.
//!
//! Every part has a bound, and whatever cannot be had is said in its place: a bundle is made
//! when things are broken.

mod host;
mod redact;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;
use tokio::runtime::Handle;

use self::redact::Secrets;
use super::desk::FrontDesk;
use super::load;
use super::publisher::Publisher;
use crate::admin::types::{CHECKS_MAX, ChecksRequest, SupportBundle, WIPS_MAX, WipsRequest};
use crate::admin::{Batch, Desk};
use crate::log;

/// Longest part, in bytes.
const PART_MAX: usize = 4 << 20;
/// Most config files whose text is told.
const CONFIG_FILES_MAX: usize = 64;

/// Parts by their names.
#[derive(Debug, Default)]
struct Parts {
    texts: BTreeMap<String, String>,
}

impl Parts {
    fn text(&mut self, name: &str, text: impl Into<String>) {
        let text = text.into();
        self.texts.insert(name.to_owned(), text);
    }

    fn json(&mut self, name: &str, value: &impl Serialize) {
        let text = serde_json::to_string_pretty(value);
        self.text(name, text.unwrap_or_else(|error| format!("cannot be shown: {error}")));
    }

    /// All of them, whatever secret is left in any of them out.
    fn finish(self, secrets: &Secrets) -> SupportBundle {
        let scrubbed = self.texts.into_iter();
        let files = scrubbed.map(|(name, text)| (name, cut(secrets.scrub(&text)))).collect();
        SupportBundle { version: env!("CARGO_PKG_VERSION").to_owned(), files }
    }
}

/// No longer than a part may be. Last of all: half a secret would not be found.
fn cut(mut text: String) -> String {
    if text.len() > PART_MAX {
        let mut end = PART_MAX;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.push_str("\n[cut]\n");
    }
    text
}

/// Of a running server.
pub(super) fn of_server(
    desk: &FrontDesk,
    publisher: &Publisher,
    runtime: &Handle,
) -> SupportBundle {
    let mut parts = Parts::default();
    let mut secrets = Secrets::default();
    let serving = publisher.serving();
    let config = Arc::clone(&serving.snapshot.config);
    drop(serving);
    secrets.in_force(&config);
    config_files(&mut parts, &mut secrets, publisher.path(), &config.files);
    let mut status = desk.status();
    if let Some(refused) = &mut status.config.last_reload_refused {
        refused.report = without_excerpts(&refused.report);
        let problems = refused.problems.iter_mut();
        problems.flat_map(|problem| &mut problem.places).for_each(|place| place.excerpt = None);
    }
    parts.json("status.json", &status);
    let request = WipsRequest { troubled: true, limit: WIPS_MAX, ..WipsRequest::default() };
    match desk.wips(&request) {
        Ok(page) => parts.json("wips-troubled.json", &page),
        Err(error) => parts.text("wips-troubled.json", error.to_string()),
    }
    parts.json("overrides.json", &desk.overrides());
    let request = ChecksRequest { limit: CHECKS_MAX, ..ChecksRequest::default() };
    match desk.checks(&request) {
        Ok(page) => parts.json("checks.json", &page),
        Err(error) => parts.text("checks.json", error.to_string()),
    }
    match desk.log() {
        Ok(level) => parts.json("log-level.json", &level),
        Err(error) => parts.text("log-level.json", error.to_string()),
    }
    parts.json("webhooks.json", &desk.webhooks());
    let mut page = String::new();
    desk.metrics(&mut page);
    parts.text("metrics.txt", page);
    parts.text("events.jsonl", events(publisher, runtime));
    parts.text("log.txt", without_reports(&log::last_lines()));
    parts.text("host.txt", host::facts());
    parts.text("state.txt", host::state(config.server.state_dir.as_deref()));
    parts.finish(&secrets)
}

/// Without a server: what its files and this host say.
pub(crate) fn of_files(config_path: &Path) -> SupportBundle {
    let mut parts = Parts::default();
    let mut secrets = Secrets::default();
    let (files, state_dir, report) = match load::load(config_path) {
        Ok(loaded) => {
            secrets.in_force(&loaded.config);
            let report = loaded.problems.render(&loaded.sources, false);
            (loaded.config.files.clone(), loaded.config.server.state_dir.clone(), report)
        }
        Err(refused) => (vec![config_path.to_owned()], None, refused.report),
    };
    config_files(&mut parts, &mut secrets, config_path, &files);
    parts.text("check.txt", without_excerpts(&report));
    parts.text("host.txt", host::facts());
    parts.text("state.txt", host::state(state_dir.as_deref()));
    parts.finish(&secrets)
}

/// A report of the checker without the lines of the config that it shows: a refused config
/// may have secrets that are in no config that was read whole.
fn without_excerpts(report: &str) -> String {
    let is_excerpt = |line: &&str| {
        let line = line.trim_start().trim_start_matches(|c: char| c.is_ascii_digit());
        line.trim_start().starts_with('|')
    };
    report.lines().filter(|line| !is_excerpt(line)).collect::<Vec<_>>().join("\n")
}

/// Log lines, each without what follows its message's first line: that is where reports are.
fn without_reports(lines: &str) -> String {
    let mut text = String::with_capacity(lines.len());
    // In text they are set in, in JSON they stand behind an escaped line feed.
    for line in lines.lines().filter(|line| !line.starts_with("    ")) {
        let first = line.split("\\n").next().unwrap_or_default();
        text.push_str(first);
        text.push_str(if first.len() < line.len() { " [cut]\n" } else { "\n" });
    }
    text
}

fn config_files(parts: &mut Parts, secrets: &mut Secrets, main: &Path, files: &[PathBuf]) {
    let mut list = String::new();
    let mut shown = 0;
    for path in files {
        list.push_str(&host::described(path));
        let is_config = path == main || path.extension().is_some_and(|kind| kind == "toml");
        if !is_config {
            continue;
        }
        let directory = path.parent().unwrap_or(Path::new(""));
        // Its secrets may turn up elsewhere, whether it is shown or not.
        let text = std::fs::read_to_string(path).ok();
        let text = text.and_then(|text| secrets.config(&text, directory));
        // Of many WIPs a few files show how they are written.
        if shown == CONFIG_FILES_MAX {
            continue;
        }
        shown += 1;
        let text = text.filter(|text| text.len() <= PART_MAX);
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        parts.text(
            &format!("config/{shown:02}-{name}"),
            text.unwrap_or_else(|| "not shown: too large, unreadable or not TOML\n".to_owned()),
        );
    }
    parts.text("config/files.txt", list);
}

/// The events kept, a line each.
fn events(publisher: &Publisher, runtime: &Handle) -> String {
    let mut reader = publisher.journal.reader(Some(0));
    let mut text = String::new();
    let end = publisher.journal.reader(None).last_id();
    while reader.last_id() < end {
        let Batch { events, .. } = runtime.block_on(reader.next());
        for event in events {
            text.push_str(&serde_json::to_string(&*event).unwrap_or_default());
            text.push('\n');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_refused_config_are_not_told() {
        let report = "error: unknown key\n --> windrose.toml:2:1\n  |\n2 | token = \"hunter2\"\n  | ^^^^^\n  = help: no";
        let told = without_excerpts(report);
        assert_eq!(told, "error: unknown key\n --> windrose.toml:2:1\n  = help: no");
        let json = "{\"message\":\"config refused\\n2 | hunter2\",\"cause\":\"API\"}\n{\"message\":\"fine\"}\n";
        let lines = "config refused\n    2 | hunter2\nfine\n";
        for (log, lines_told) in [(json, 2), (lines, 2)] {
            let told = without_reports(log);
            assert!(!told.contains("hunter2") && told.contains("config refused"), "{told}");
            assert_eq!(told.lines().count(), lines_told, "{told}");
        }
    }
}
