//! Whether configured checks can work on this host, seen before they are put to use.
//!
//! A check that cannot work shows nothing of its target: better to refuse it while
//! somebody looks. What may be put right without touching the config (an address of
//! this host, a resolver that does not answer) is a warning.
//!
//! Everything here blocks, for a bounded time: lookups of host names share one
//! deadline. It must not know where the checks were written.

use std::collections::HashMap;
use std::fs::{File, Metadata};
use std::io::{self, ErrorKind, Read};
use std::net::{IpAddr, UdpSocket};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::dns_reply;
use super::lookups::{Lookup, lookups};
use super::tls_files::{load_client, load_roots, system_roots};
use crate::health::check::{ClientCertificate, ProbeKind, Route, TlsProbe};
use crate::health::plan::ProbeAddress;

/// How long all lookups of host names may take together: a load waits for them.
const LOOKUPS_WAIT: Duration = Duration::from_secs(1);
/// Bytes of a program that are looked at: the first line of a script.
const PROGRAM_BYTES_MAX: u64 = 256;

/// A check that is looked at.
#[derive(Clone, Copy, Debug)]
pub struct Checked<'c> {
    /// What it sends and expects.
    pub probe: &'c ProbeKind,
    /// Where it goes, if not to the VIPs.
    pub address: Option<&'c ProbeAddress>,
}

/// Why a check cannot work here, or may not.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Flaw {
    /// Index of the check.
    pub check: usize,
    /// Key of the config that is to blame.
    pub key: &'static str,
    /// False: it may yet work.
    pub is_error: bool,
    /// Stable code, such as "file-unreadable".
    pub code: &'static str,
    /// What is wrong, in one line.
    pub message: String,
    /// What to do.
    pub help: &'static str,
}

/// Looks at all checks. Blocks, for little more than a second at most where files
/// come from a disk that answers.
pub fn verify(checks: &[Checked<'_>]) -> Vec<Flaw> {
    let mut verifier = Verifier::default();
    for (index, check) in checks.iter().enumerate() {
        verifier.check = index;
        verifier.probe(check.probe);
    }
    verifier.hosts(checks, LOOKUPS_WAIT, super::resolve::system);
    verifier.flaws.sort_by_key(|flaw| flaw.check);
    verifier.flaws
}

/// What was found so far; what several checks name is looked at once.
#[derive(Default)]
struct Verifier {
    flaws: Vec<Flaw>,
    /// Index of the check that is looked at.
    check: usize,
    roots: HashMap<PathBuf, Option<String>>,
    clients: HashMap<ClientCertificate, Option<String>>,
    sources: HashMap<IpAddr, Option<String>>,
    system: Option<Option<String>>,
}

impl Verifier {
    fn error(
        &mut self,
        code: &'static str,
        key: &'static str,
        message: String,
        help: &'static str,
    ) {
        self.flaws.push(Flaw { check: self.check, key, is_error: true, code, message, help });
    }

    fn warning(
        &mut self,
        code: &'static str,
        key: &'static str,
        message: String,
        help: &'static str,
    ) {
        self.flaws.push(Flaw { check: self.check, key, is_error: false, code, message, help });
    }

    fn probe(&mut self, probe: &ProbeKind) {
        match probe {
            ProbeKind::Http(http) => self.stream(&http.route, http.tls.as_ref()),
            ProbeKind::Tcp(tcp) => self.stream(&tcp.route, tcp.tls.as_ref()),
            ProbeKind::Grpc(grpc) => self.stream(&grpc.route, grpc.tls.as_ref()),
            ProbeKind::Icmp(icmp) => self.stream(&icmp.route, None),
            ProbeKind::Dns(dns) => {
                self.stream(&dns.route, None);
                for text in &dns.expect_answers {
                    if dns_reply::expected(dns.rtype, text).is_none() {
                        let message = format!("\"{text}\" is no data of the type asked for");
                        let help = "write it as it stands behind the type in a master file";
                        self.error("bad-record", "expect_answer", message, help);
                    }
                }
            }
            ProbeKind::Exec(exec) => {
                if let Some(program) = exec.command.first()
                    && let Err((message, help)) = runnable(Path::new(program))
                {
                    self.error("not-executable", "command", message, help);
                }
            }
            ProbeKind::File(file) => {
                if let Err((message, help)) = readable(&file.path) {
                    self.error("file-unreadable", "file", message, help);
                }
            }
            ProbeKind::Always => {}
        }
    }

    fn stream(&mut self, route: &Route, tls: Option<&TlsProbe>) {
        let ipv6 = route.source_ipv6.map(IpAddr::V6);
        for source in route.source_ipv4.map(IpAddr::V4).into_iter().chain(ipv6) {
            let found = self.sources.entry(source).or_insert_with(|| bindable(source).err());
            if let Some(message) = found.clone() {
                let help = "probes fail as our own fault until it is; the interface may come later";
                self.warning("source-not-here", "source", message, help);
            }
        }
        if let Some(tls) = tls {
            self.tls(tls);
        }
    }

    fn tls(&mut self, tls: &TlsProbe) {
        match &tls.ca_file {
            Some(path) if tls.verify => {
                let found =
                    self.roots.entry(path.clone()).or_insert_with(|| load_roots(path).err());
                if let Some(message) = found.clone() {
                    let help = "name a PEM file of the certificates of the authorities trusted";
                    self.error("bad-certificate", "ca_file", message, help);
                }
            }
            None if tls.verify => {
                let found = self.system.get_or_insert_with(|| system_roots().err());
                if let Some(message) = found.clone() {
                    let help = "until there are some, every probe fails as our own fault";
                    self.warning("no-system-roots", "verify", message, help);
                }
            }
            _ => {}
        }
        let Some(client) = &tls.client else { return };
        let found = self.clients.entry(client.clone());
        if let Some(message) = found.or_insert_with(|| load_client(client).err()).clone() {
            let of_key = message.starts_with("client_key");
            let key = if of_key { "client_key" } else { "client_certificate" };
            let help = "name PEM files of a certificate and of its own private key, readable by \
                        the user that the server runs as";
            self.error("bad-certificate", key, message, help);
        }
    }

    /// Looks the host names of all checks up, each once.
    fn hosts(
        &mut self,
        checks: &[Checked<'_>],
        wait: Duration,
        lookup: fn(&str) -> io::Result<Vec<IpAddr>>,
    ) {
        let named = checks.iter().enumerate().filter_map(|(index, check)| match check.address {
            Some(ProbeAddress::Host(host)) => Some((index, host.as_str())),
            _ => None,
        });
        let named: Vec<(usize, &str)> = named.collect();
        let mut names: Vec<String> = named.iter().map(|(_, host)| (*host).to_owned()).collect();
        names.sort_unstable();
        names.dedup();
        let found = lookups(names, wait, lookup);
        for (index, host) in named {
            self.check = index;
            match found.get(host) {
                Some(Lookup::Found) => {}
                Some(Lookup::NoSuchHost) => self.error(
                    "unknown-host",
                    "address",
                    format!("there is no host {host}"),
                    "this host's resolver says that there is no such name, or no address of it",
                ),
                Some(Lookup::Failed(error)) => self.warning(
                    "host-not-resolved",
                    "address",
                    format!("{host} cannot be resolved: {error}"),
                    "until it can, the check's members are unknown",
                ),
                None => self.warning(
                    "host-not-resolved",
                    "address",
                    format!("{host} is not resolved yet: the resolver does not answer"),
                    "until it does, the check's members are unknown",
                ),
            }
        }
    }
}

//------------ Sources --------------------------------------------------------

/// Whether packets can come from `source`; else what is in the way.
fn bindable(source: IpAddr) -> Result<(), String> {
    match UdpSocket::bind((source, 0)) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::AddrNotAvailable => {
            Err(format!("{source} is no address of this host"))
        }
        Err(error) => Err(format!("{source} cannot be used: {error}")),
    }
}

//------------ Files ----------------------------------------------------------

type Reason = (String, &'static str);

/// Whether the verdict at `path` can be read; where the name is filled in, whether
/// its directory is there.
fn readable(path: &Path) -> Result<(), Reason> {
    let filled_in = |part: &Path| part.to_str().is_some_and(|text| text.contains("{address}"));
    if !filled_in(path) {
        let help = "the user that the server runs as must be allowed to read it";
        return match metadata(path)?.is_file() {
            true => File::open(path)
                .map(drop)
                .map_err(|error| (format!("{}: {error}", path.display()), help)),
            false => Err((format!("{} is no regular file", path.display()), "name a file")),
        };
    }
    let directory = path.ancestors().skip(1).find(|above| !filled_in(above));
    let Some(directory) = directory.filter(|directory| !directory.as_os_str().is_empty()) else {
        return Ok(());
    };
    match metadata(directory)?.is_dir() {
        true => Ok(()),
        false => Err((format!("{} is no directory", directory.display()), "make it one")),
    }
}

/// Whether the system would run the program at `path`.
fn runnable(path: &Path) -> Result<(), Reason> {
    let shown = path.display();
    let metadata = metadata(path)?;
    if !metadata.is_file() {
        return Err((format!("{shown} is no regular file"), "name a program"));
    }
    if metadata.mode() & 0o111 == 0 {
        return Err((format!("{shown} is not executable"), "make it so: chmod +x"));
    }
    let mut start = Vec::new();
    // What may be run and not read is a program of the system's own kind.
    let Ok(file) = File::open(path) else { return Ok(()) };
    if file.take(PROGRAM_BYTES_MAX).read_to_end(&mut start).is_err() {
        return Ok(());
    }
    let Some(line) = start.strip_prefix(b"#!") else {
        // Other kinds than ELF can be registered with the system; text is none.
        let text = !start.contains(&0) && std::str::from_utf8(&start).is_ok();
        return match text && !start.starts_with(b"\x7fELF") {
            true => Err((
                format!("{shown} is neither a program nor a script"),
                "begin a script with its interpreter: #!/bin/sh",
            )),
            false => Ok(()),
        };
    };
    let line = line.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = String::from_utf8_lossy(line);
    let interpreter = line.trim_matches([' ', '\t']).split([' ', '\t']).next().unwrap_or_default();
    if Path::new(interpreter).exists() {
        return Ok(());
    }
    let help = match interpreter.ends_with('\r') {
        true => "its lines end as DOS ends them: write them with LF alone",
        false => "its first line names the interpreter, by its whole path",
    };
    Err((format!("{shown} asks for an interpreter that is not there: {interpreter:?}"), help))
}

fn metadata(path: &Path) -> Result<Metadata, Reason> {
    std::fs::metadata(path).map_err(|error| {
        let help = "paths are relative to the directory of the file they stand in";
        match error.kind() {
            ErrorKind::NotFound => (format!("{} is not there", path.display()), help),
            _ => (format!("{}: {error}", path.display()), help),
        }
    })
}

#[cfg(test)]
#[path = "verify_tests.rs"]
mod tests;
