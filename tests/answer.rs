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
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use config_support::MemoryFiles;
use dns_support::{message, serving, serving::NOW_S};
use windrose::answer::{Peer, Scratch};
use windrose::dns::Name;
use windrose::geo::BaseTable;
use windrose::metrics::Transport;
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

//------------ Asked ----------------------------------------------------------

/// A request and how it comes.
struct Asked {
    message: Vec<u8>,
    peer: Peer,
    udp_size: Option<u16>,
}

/// A query while its words are read.
struct Words {
    flags: [u8; 2],
    class: u16,
    udp_size: Option<u16>,
    version: u8,
    edns_flags: u16,
    options: Vec<u8>,
    tail: Vec<u8>,
    client: IpAddr,
    transport: Transport,
}

impl Asked {
    fn read(text: &str) -> Result<Asked, String> {
        let mut words = Words {
            flags: [0, 0],
            class: 1,
            udp_size: None,
            version: 0,
            edns_flags: 0,
            options: Vec::new(),
            tail: Vec::new(),
            client: [192, 0, 2, 53].into(),
            transport: Transport::Udp,
        };
        if let Some(rest) = text.strip_prefix("hex") {
            let peer = Peer { address: words.client, transport: words.transport };
            return Ok(Asked { message: read_hex(rest)?, peer, udp_size: None });
        }
        let mut parts = text.split_whitespace();
        let name =
            Name::parse(parts.next().ok_or("no name")?).map_err(|error| error.to_string())?;
        let rtype = parts.next().ok_or("no type")?;
        let rtype = rtype_of(rtype).ok_or_else(|| format!("no such type: {rtype}"))?;
        for word in parts {
            words.word(word).ok_or_else(|| format!("not understood: {word}"))?;
        }
        let additional = u8::from(words.udp_size.is_some());
        let mut message =
            vec![0xab, 0xcd, words.flags[0], words.flags[1], 0, 1, 0, 0, 0, 0, 0, additional];
        message.extend(name.wire());
        message.extend(rtype.to_be_bytes());
        message.extend(words.class.to_be_bytes());
        if let Some(size) = words.udp_size {
            message.extend([0, 0, 41]);
            message.extend(size.to_be_bytes());
            message.extend([0, words.version]);
            message.extend(words.edns_flags.to_be_bytes());
            message.extend((words.options.len() as u16).to_be_bytes());
            message.extend(&words.options);
        }
        message.extend(&words.tail);
        let peer = Peer { address: words.client, transport: words.transport };
        Ok(Asked { message, peer, udp_size: words.udp_size })
    }

    /// Most bytes its reply may have (RFC 9715: min(1232, the client's size),
    /// 512 where that is less or absent).
    fn largest(&self) -> usize {
        match self.peer.transport {
            Transport::Udp => usize::from(self.udp_size.unwrap_or(512).clamp(512, 1232)),
            _ => 65_535,
        }
    }
}

impl Words {
    /// One word behind a query's name and type:
    ///
    /// `rd` `ad` `cd` `z` flags; `ch` or `class=4` the class; `tcp`;
    /// `client=192.0.2.1`; `edns` or `size=4096`; `version=1`; `do`;
    /// `ednsflags=4000` in hex; `nsid`; `ecs=192.0.2.0/24`; `option=10:0102`
    /// a code and hex; `tail=00` bytes behind everything.
    fn word(&mut self, word: &str) -> Option<()> {
        let (key, value) = word.split_once('=').unwrap_or((word, ""));
        match key {
            "rd" => self.flags[0] |= 1,
            "tc" => self.flags[0] |= 2,
            "aa" => self.flags[0] |= 4,
            "cd" => self.flags[1] |= 0x10,
            "ad" => self.flags[1] |= 0x20,
            "z" => self.flags[1] |= 0x40,
            "ra" => self.flags[1] |= 0x80,
            "ch" => self.class = 3,
            "class" => self.class = value.parse().ok()?,
            "tcp" => self.transport = Transport::Tcp,
            "client" => self.client = value.parse().ok()?,
            "tail" => self.tail = read_hex(value).ok()?,
            "size" => self.udp_size = Some(value.parse().ok()?),
            _ => {
                self.udp_size.get_or_insert(4096);
                match key {
                    "edns" => {}
                    "version" => self.version = value.parse().ok()?,
                    "do" => self.edns_flags |= 0x8000,
                    "ednsflags" => self.edns_flags |= u16::from_str_radix(value, 16).ok()?,
                    "nsid" => self.option(3, &[]),
                    "ecs" => self.subnet(value)?,
                    "option" => {
                        let (code, data) = value.split_once(':')?;
                        self.option(code.parse().ok()?, &read_hex(data).ok()?);
                    }
                    _ => return None,
                }
            }
        }
        Some(())
    }

    fn option(&mut self, code: u16, data: &[u8]) {
        self.options.extend(code.to_be_bytes());
        self.options.extend((data.len() as u16).to_be_bytes());
        self.options.extend(data);
    }

    fn subnet(&mut self, text: &str) -> Option<()> {
        let network: ipnet::IpNet = text.parse().ok()?;
        let (family, octets) = match network.addr() {
            IpAddr::V4(address) => (1, address.octets().to_vec()),
            IpAddr::V6(address) => (2, address.octets().to_vec()),
        };
        let mut data = vec![0, family, network.prefix_len(), 0];
        data.extend(&octets[..usize::from(network.prefix_len()).div_ceil(8)]);
        self.option(8, &data);
        Some(())
    }
}

fn rtype_of(text: &str) -> Option<u16> {
    let known = (0..=260).find(|&number| message::type_text(number) == text);
    known.or_else(|| text.strip_prefix("TYPE")?.parse().ok())
}

fn read_hex(text: &str) -> Result<Vec<u8>, String> {
    let digits: String = text.split_whitespace().collect();
    let pair =
        |at: usize| digits.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
    (0..digits.len())
        .step_by(2)
        .map(|at| pair(at).ok_or_else(|| format!("not hex: {text}")))
        .collect()
}
