//! Options that few queries have: cookies (RFC 7873), padding (RFC 7830), keepalive
//! (RFC 7828); and the report channel (RFC 9567), which few servers give.
//!
//! The usual query passes by with one look at a set of bits. It must not know how an
//! option looks on the wire.

use super::{Outcome, Peer, Prepared, Scratch, finish, refusal};
use crate::config::model::BadCookie;
use crate::dns::cookie::{CookieState, Secret};
use crate::dns::edns::{Asked, Edns, UDP_SIZE_MIN};
use crate::dns::encode::{Opt, Rare, Status, Writer};
use crate::dns::query::{Header, Query};
use crate::dns::types::Rcode;
use crate::dns::{Name, name};
use crate::metrics::Transport;
use crate::snapshot::Serving;

/// Whether there is anything for [`of`] to do.
#[inline]
pub(super) fn has_any(serving: &Serving, edns: &Edns<'_>) -> bool {
    edns.asked.has_rare() || serving.snapshot.config.server.report_channel.is_some()
}

/// What the reply to a query with `edns` holds of them.
#[cold]
pub(super) fn of<'a>(
    serving: &'a Serving,
    scratch: &Scratch,
    edns: &Edns<'_>,
    qname: &[u8],
    peer: Peer,
) -> Rare<'a> {
    let server = &serving.snapshot.config.server;
    let cookie = edns
        .cookie
        .and_then(|cookie| cookie.judge(secrets(serving, scratch), peer.address, scratch.now_s()));
    let idle_100ms = || u16::try_from(server.tcp_idle_timeout_ms / 100).unwrap_or(u16::MAX);
    let keepalive = edns.asked.has(Asked::KEEPALIVE) && speaks_keepalive(peer.transport);
    let agent = server.report_channel.as_ref().map(Name::wire);
    Rare {
        cookie,
        keepalive_100ms: keepalive.then(idle_100ms),
        is_padded: edns.asked.has(Asked::PADDING) && peer.transport.is_encrypted(),
        // A report that fails is not to be reported.
        report_channel: agent.filter(|agent| !name::is_at_or_below(qname, agent)),
    }
}

/// The rcode of a query that is refused for its options alone.
#[cold]
pub(super) fn refusal(
    serving: &Serving,
    scratch: &Scratch,
    edns: &Edns<'_>,
    rare: &Rare<'_>,
    peer: Peer,
) -> Option<Rcode> {
    let asked = edns.asked;
    let is_malformed = asked.has(Asked::COOKIE_MALFORMED) && !secrets(serving, scratch).is_empty()
        || asked.has(Asked::KEEPALIVE_WITH_DATA) && speaks_keepalive(peer.transport);
    if is_malformed {
        return Some(Rcode::FORMERR);
    }
    let is_unproven = rare.cookie.is_some_and(|judged| judged.state != CookieState::Valid);
    let always = serving.snapshot.config.cookies.policy == BadCookie::Always;
    // A stream proves the address by itself (RFC 7873 5.2.3).
    (is_unproven && always && peer.transport == Transport::Udp).then_some(Rcode::BADCOOKIE)
}

/// Answers a query that asks for a cookie and nothing else (RFC 7873 5.4).
#[cold]
pub(super) fn cookie_only(
    serving: &Serving,
    scratch: &Scratch,
    header: Header,
    edns: Edns<'_>,
    peer: Peer,
    out: &mut [u8],
) -> Outcome {
    let rare = of(serving, scratch, &edns, &[0], peer);
    let rcode = match rare.cookie.map(|judged| judged.state) {
        // Cookies are off: a query without a question is nothing else.
        None => Rcode::FORMERR,
        Some(CookieState::Bad) => Rcode::BADCOOKIE,
        Some(_) => Rcode::NOERROR,
    };
    empty(serving, header, rcode, &[], Some(edns), Some(&rare), out)
}

impl Prepared<'_> {
    /// Answers BADCOOKIE, with a good cookie, in place of an answer that a limit forbids
    /// (RFC 7873 5.2.3): the client that is where it says comes back with it at once, over
    /// UDP, and is not limited then. None: to be limited as without cookies, since the query
    /// has none, has a valid one, or the policy is not `limited`.
    #[cold]
    pub fn bad_cookie(
        &self,
        serving: &Serving,
        scratch: &Scratch,
        out: &mut [u8],
    ) -> Option<Outcome> {
        let Ok(Query { header, question, qname, edns, .. }) = self.parsed else { return None };
        let edns = edns?;
        if serving.snapshot.config.cookies.policy != BadCookie::Limited {
            return None;
        }
        let rare = of(serving, scratch, &edns, qname, self.peer);
        let is_unproven = rare.cookie.is_some_and(|judged| judged.state != CookieState::Valid);
        let (edns, rare) = (Some(edns), Some(&rare));
        is_unproven.then(|| empty(serving, header, Rcode::BADCOOKIE, question, edns, rare, out))
    }
}

/// A reply that is an rcode and OPT.
pub(super) fn empty(
    serving: &Serving,
    header: Header,
    rcode: Rcode,
    question: &[u8],
    edns: Option<Edns<'_>>,
    rare: Option<&Rare<'_>>,
    out: &mut [u8],
) -> Outcome {
    let mut writer = Writer::new(out, usize::from(UDP_SIZE_MIN), header, question);
    let identity = serving.snapshot.identity();
    let extended_error = refusal::extended_error(refusal::of_rcode(rcode));
    let opt = Opt { query: edns, identity, extended_error, rare, ..Opt::default() };
    writer.reserve(opt.length());
    finish(writer, Status { rcode, authoritative: false, truncated: false }, &opt)
}

/// DNS over HTTPS has connections of its own kind, and over QUIC a client's keepalive is
/// an error of the connection: its listener has to look for the option and to close with
/// DOQ_PROTOCOL_ERROR (RFC 9250 5.5.2, [`Asked::KEEPALIVE`] of the parsed query).
fn speaks_keepalive(transport: Transport) -> bool {
    matches!(transport, Transport::Tcp | Transport::Dot)
}

/// Secrets of the config, or the process's own; none: cookies are off.
fn secrets<'a>(serving: &'a Serving, scratch: &'a Scratch) -> &'a [Secret] {
    let cookies = &serving.snapshot.config.cookies;
    match (cookies.enabled, cookies.secrets.as_slice()) {
        (false, _) => &[],
        (true, []) => scratch.cookie_secret.as_slice(),
        (true, secrets) => secrets,
    }
}
