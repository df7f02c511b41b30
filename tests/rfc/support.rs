//! A server made from text, asked in words.
//!
//! ```ignore
//! let mut server = Server::of_zone("www A 192.0.2.80");
//! server.gets("www.example.com A rd", "NOERROR aa rd\nanswer …");
//! ```
//! Queries are written as in `tests/answer/*.case` (`dns_support::asked`), replies as
//! there too (`dns_support::message::show`). Whatever is asked, the reply must also be
//! one that `dns_support::invariants` takes.

#![allow(dead_code)]

use windrose::answer::{Outcome, Peer, Scratch, answer, bad_cookie};
use windrose::dns::cookie::Secret;
use windrose::geo::BaseTable;
use windrose::snapshot::Serving;

use crate::config_support::MemoryFiles;
use crate::dns_support::asked::Asked;
use crate::dns_support::message::{self, Message};
use crate::dns_support::{invariants, serving};

/// SOA of [`Server::of_zone`], as it stands in negative answers.
pub(crate) const SOA: &str = "authority example.com. 300 SOA ns1.example.com. \
                              hostmaster.example.com. 1 7200 900 1209600 300";

/// A running server without sockets.
pub(crate) struct Server {
    serving: Serving,
    scratch: Scratch,
}

impl Server {
    /// Serves `example.com` alone, from a master file of these records beside SOA (TTL
    /// 3600, minimum 300) and NS.
    pub(crate) fn of_zone(records: &str) -> Server {
        let zone = format!(
            "$TTL 3600\n@ SOA ns1 hostmaster 1 7200 900 1209600 300\n@ NS ns1\n\
             ns1 A 192.0.2.1\n{records}\n"
        );
        Server::new(
            "[zone.\"example.com\"]\nfile = \"example.com.zone\"\n",
            &[("example.com.zone", &zone)],
        )
    }

    /// Serves what a config with its files says. All members are up.
    pub(crate) fn new(config: &str, files: &[(&str, &str)]) -> Server {
        let mut memory = MemoryFiles::default();
        memory.insert("windrose.toml", config);
        for (path, text) in files {
            memory.insert(path, *text);
        }
        let serving =
            serving::load("windrose.toml", &memory, BaseTable::from_networks(&[])).unwrap();
        Server { serving, scratch: Scratch::default() }
    }

    /// [`Server::of_zone`] with lines of config before it, and files these name.
    pub(crate) fn configured(config: &str, files: &[(&str, &str)]) -> Server {
        let zone = "@ SOA ns1 hostmaster 1 7200 900 1209600 300\n@ NS ns1\n\
                    ns1 A 192.0.2.1\nwww A 192.0.2.80\n$GENERATE 1-60 big A 198.51.100.$\n";
        let config = format!("{config}\n[zone.\"example.com\"]\nfile = \"example.com.zone\"\n");
        let zone = format!("$TTL 3600\n{zone}");
        Server::new(&config, &[&[("example.com.zone", zone.as_str())], files].concat())
    }

    /// Sets a member of all its WIPs: `up`, `down`, … (`serving::set_member`).
    pub(crate) fn set_member(&self, member: &str, word: &str) {
        serving::set_member(&self.serving, member, word).unwrap();
    }

    /// Says what time it is, in unix seconds.
    pub(crate) fn set_time(&mut self, now_s: u32) {
        self.scratch.set_time(now_s);
    }

    /// Gives the process a secret of its own for cookies.
    pub(crate) fn set_cookie_secret(&mut self, hex: &str) {
        self.scratch.set_cookie_secret(Secret::parse(hex));
    }

    /// What became of a query in words.
    pub(crate) fn outcome(&mut self, query: &str) -> Outcome {
        let Asked { message, peer, .. } = Asked::read(query).unwrap();
        let (serving, mut out) = (&self.serving, vec![0; 65_535]);
        answer(serving, &serving.workers[0], &mut self.scratch, &message, peer, &mut out)
    }

    /// BADCOOKIE in place of the answer to a query in words, if that is how it is limited.
    pub(crate) fn bad_cookie(&self, query: &str) -> Option<Vec<u8>> {
        let Asked { message, peer, .. } = Asked::read(query).unwrap();
        let mut out = vec![0; 65_535];
        match bad_cookie(&self.serving, &self.scratch, &message, peer, &mut out)? {
            Outcome::Reply { length, .. } => Some(out[..length].to_vec()),
            Outcome::Drop(reason) => panic!("{reason:?}"),
        }
    }

    /// The reply to a message; nothing is silence.
    pub(crate) fn send(&mut self, message: &[u8], peer: Peer) -> Option<Vec<u8>> {
        let reply = serving::ask(&self.serving, &mut self.scratch, message, peer);
        invariants::check(message, reply.as_deref(), peer);
        reply
    }

    /// The reply to a query in words, as read.
    pub(crate) fn ask(&mut self, query: &str) -> Message {
        message::read(&self.raw(query)).unwrap()
    }

    /// The reply to a query in words, as bytes.
    pub(crate) fn raw(&mut self, query: &str) -> Vec<u8> {
        let asked = Asked::read(query).unwrap();
        let reply = self.send(&asked.message, asked.peer);
        reply.unwrap_or_else(|| panic!("silence to {query}"))
    }

    /// The reply to a query in words, as text.
    pub(crate) fn shows(&mut self, query: &str) -> String {
        let request = Asked::read(query).unwrap();
        let reply = self.send(&request.message, request.peer);
        reply.map_or_else(
            || "silence\n".to_owned(),
            |reply| message::show(&reply, &request.message).unwrap(),
        )
    }

    /// Panics unless the reply to a query reads as these lines; those of the expected
    /// text may be indented.
    #[track_caller]
    pub(crate) fn gets(&mut self, query: &str, expected: &str) {
        let lines: Vec<&str> =
            expected.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let shown = self.shows(query);
        assert_eq!(shown.trim_end(), lines.join("\n"), "{query}");
    }
}
