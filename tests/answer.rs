//! Whole answers as text: a config with its zone files, steps of health,
//! queries, and the replies they must get.
//!
//! ```text
//! --- config            windrose.toml
//! --- file PATH         a file it names
//! --- places            lines "10.0.0.0/8 country=DE asn=64512": where clients are
//! --- case NAME         the rule it shows; below, any number of:
//! ! fra down            a member's health: up, down, drained, forced-down, pending
//! @ drain datacenter=fra   an operator's word: drain, force-up, force-down or clear, of
//!                       datacenter=, wip=, member=; from so many seconds later with at=
//! ? www.example.com A   a query, and behind it words of `Asked::word`
//! ?hex 0000 0000 …      a request by its bytes
//! NOERROR aa            the reply, line by line as `message::show` writes it
//! ```
//!
//! `WINDROSE_UPDATE_CASES=1 cargo test --test answer` writes the replies as they
//! are into the files, to be read before they are committed.

#![allow(clippy::unwrap_used, reason = "a panic here is a failed test")]

mod config_support;
mod dns_support;

use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;

use config_support::MemoryFiles;
use dns_support::{asked::Asked, message, serving, serving::NOW_S};
use windrose::answer::Scratch;
use windrose::geo::BaseTable;
use windrose::overrides::{Book, Entry, Kind, Stage, Target, overlay};
use windrose::snapshot::Serving;

const MAIN: &str = "windrose.toml";

#[test]
fn every_query_gets_the_reply_its_case_says() {
    let update = std::env::var_os("WINDROSE_UPDATE_CASES").is_some();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/answer");
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "case"))
        .collect();
    paths.sort();
    let (mut asked, mut wrong) = (0, String::new());
    for path in paths {
        let text = std::fs::read_to_string(&path).unwrap();
        let file = path.file_name().unwrap().to_string_lossy().into_owned();
        let run = run(&text).unwrap_or_else(|error| panic!("{file}: {error}"));
        asked += run.asked;
        for difference in &run.differences {
            writeln!(wrong, "{file}: {difference}").unwrap();
        }
        if update {
            std::fs::write(&path, run.text).unwrap();
        }
    }
    assert!(asked > 0, "no case was found");
    assert!(update || wrong.is_empty(), "\n{wrong}");
}

//------------ Run ------------------------------------------------------------

/// What became of one file.
struct Run {
    asked: usize,
    differences: Vec<String>,
    /// The file with the replies as they are.
    text: String,
}

fn run(text: &str) -> Result<Run, String> {
    let mut lines = text.lines().peekable();
    let mut run = Run { asked: 0, differences: Vec::new(), text: String::new() };
    let mut files = MemoryFiles::default();
    let mut places = Vec::new();
    let mut server: Option<Server> = None;
    let mut case = String::new();
    while let Some(line) = lines.next() {
        writeln!(run.text, "{line}").unwrap();
        let is_body = |line: &&str| !line.starts_with("--- ");
        if let Some(name) = line.strip_prefix("--- case ") {
            case = name.to_owned();
        } else if let Some(what) = line.strip_prefix("--- ") {
            let mut body = String::new();
            while let Some(line) = lines.next_if(is_body) {
                writeln!(run.text, "{line}").unwrap();
                writeln!(body, "{line}").unwrap();
            }
            match what.split_once(' ').unwrap_or((what, "")) {
                ("config", _) => files.insert(MAIN, body),
                ("file", path) => files.insert(path, body),
                ("places", _) => places = read_places(&body)?,
                _ => return Err(format!("no such part: {line}")),
            }
            server = None;
        } else if let Some(request) = line.strip_prefix('?') {
            let Server { serving, scratch, .. } = started(&mut server, &files, &places)?;
            let asked = Asked::read(request).map_err(|error| format!("{line}: {error}"))?;
            let reply = serving::ask(serving, scratch, &asked.message, asked.peer);
            let shown = match reply {
                None => "silence\n".to_owned(),
                Some(reply) => {
                    let largest = asked.largest();
                    if reply.len() > largest {
                        return Err(format!("{line}: {} bytes, over {largest}", reply.len()));
                    }
                    message::show(&reply, &asked.message)
                        .map_err(|error| format!("{line}: {error}"))?
                }
            };
            let mut expected = String::new();
            let is_reply =
                |line: &&str| !line.is_empty() && !line.starts_with(['?', '!', '@', '-', '#']);
            while let Some(line) = lines.next_if(is_reply) {
                writeln!(expected, "{line}").unwrap();
            }
            run.asked += 1;
            if expected != shown {
                let difference = format!("{case}\n?{request}\nexpected:\n{expected}got:\n{shown}");
                run.differences.push(difference);
            }
            run.text += &shown;
        } else if let Some(step) = line.strip_prefix("! ") {
            let server = started(&mut server, &files, &places)?;
            let (member, word) =
                step.split_once(' ').ok_or_else(|| format!("half a step: {step}"))?;
            serving::set_member(&server.serving, member, word)?;
        } else if let Some(step) = line.strip_prefix("@ ") {
            started(&mut server, &files, &places)?.say(step)?;
        } else if !line.is_empty() && !line.starts_with('#') {
            return Err(format!("not understood: {line}"));
        }
    }
    Ok(run)
}

/// What answers, and what operators have said of it.
struct Server {
    serving: Serving,
    scratch: Scratch,
    book: Book,
}

impl Server {
    /// "drain datacenter=fra wip=*.example.com at=30"
    fn say(&mut self, step: &str) -> Result<(), String> {
        let mut words = step.split_whitespace();
        let what = words.next().unwrap_or_default();
        let (mut parts, mut at_s) = ([None; 3], None);
        for word in words {
            match word.split_once('=') {
                Some(("datacenter", name)) => parts[0] = Some(name),
                Some(("wip", name)) => parts[1] = Some(name),
                Some(("member", name)) => parts[2] = Some(name),
                Some(("at", seconds)) => {
                    at_s = Some(NOW_S + seconds.parse::<u64>().map_err(|_| word.to_owned())?);
                }
                _ => return Err(format!("no such part of an override: {word}")),
            }
        }
        let target =
            Target::new(parts[0], parts[1], parts[2]).map_err(|error| error.to_string())?;
        let kind = Kind::ALL.into_iter().find(|kind| kind.as_str() == what);
        self.book = match (kind, what) {
            (None, "clear") => self.book.clear(&target).0,
            (None, _) => return Err(format!("no such word of an operator: {what}")),
            (Some(kind), _) => self.book.set(Entry {
                id: 0,
                kind,
                target,
                reason: "a case".to_owned(),
                actor: "a case".to_owned(),
                created_at_s: NOW_S,
                at_s,
                until_s: None,
                break_glass: None,
                stage: Stage::Planned,
            }),
        };
        let compiled = overlay(&self.serving.snapshot, &self.book, NOW_S);
        self.serving = self.serving.with_overlay(Arc::new(compiled.overlay));
        Ok(())
    }
}

fn started<'a>(
    server: &'a mut Option<Server>,
    files: &MemoryFiles,
    places: &[(ipnet::IpNet, windrose::geo::Place)],
) -> Result<&'a mut Server, String> {
    if server.is_none() {
        let serving = serving::load(MAIN, files, BaseTable::from_networks(places))?;
        *server = Some(Server { serving, scratch: Scratch::default(), book: Book::default() });
    }
    Ok(server.as_mut().expect("it was just started"))
}

fn read_places(body: &str) -> Result<Vec<(ipnet::IpNet, windrose::geo::Place)>, String> {
    let lines = body.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let (network, place) = line.split_once(' ').unwrap_or((line, ""));
            let network = network.parse().map_err(|_| format!("not a network: {network}"))?;
            Ok((network, serving::place(place)?))
        })
        .collect()
}
