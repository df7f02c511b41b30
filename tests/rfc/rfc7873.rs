//! RFC 7873: Domain Name System (DNS) cookies.

use windrose::answer::Outcome;
use windrose::dns::cookie::CookieState;

use crate::dns_support::message::Message;
use crate::support::Server;

const NOW_S: u32 = 1_800_000_000;
const CLIENT: &str = "0102030405060708";
const SECRET: &str = "e5e973e5a6b2a43f48e7dc849e37bfcf";

fn server(policy: &str) -> Server {
    let config = format!("[cookies]\npolicy = \"{policy}\"");
    let mut server = Server::configured(&config, &[]);
    server.set_cookie_secret(SECRET);
    server.set_time(NOW_S);
    server
}

/// The cookie option of a reply, in hexadecimal digits.
fn cookie(reply: &Message) -> Option<String> {
    let raw = &reply.opt()?.raw;
    let at = raw.windows(4).position(|head| head == [0, 10, 0, 24])?;
    Some(raw[at + 4..at + 28].iter().map(|byte| format!("{byte:02x}")).collect())
}

fn state(server: &mut Server, query: &str) -> CookieState {
    match server.outcome(query) {
        Outcome::Reply { cookie, .. } => cookie,
        Outcome::Drop(reason) => panic!("{query}: {reason:?}"),
    }
}

/// Point 15, section 5.2.3.
#[test]
fn a_clients_own_part_is_answered_with_a_cookie_that_is_good_the_next_time() {
    let mut server = server("never");
    let first = format!("www.example.com A option=10:{CLIENT}");
    let reply = server.ask(&first);
    let given = cookie(&reply).unwrap();
    assert_eq!((reply.rcode(), reply.records.len()), (0, 2));
    assert!(given.starts_with(CLIENT));
    assert_eq!(state(&mut server, &first), CookieState::Client);
    let second = format!("www.example.com A option=10:{given}");
    assert_eq!(state(&mut server, &second), CookieState::Valid);
    assert_eq!(cookie(&server.ask(&second)).unwrap(), given, "a fresh one is given back");
}

/// Point 15, section 5.2.4: the answer has a good one beside it, unless the policy is
/// `always`.
#[test]
fn a_wrong_cookie_is_answered_with_a_good_one() {
    let mut server = server("never");
    let query = format!("www.example.com A option=10:{CLIENT}{}", "00".repeat(16));
    let reply = server.ask(&query);
    assert_eq!(reply.rcode(), 0);
    assert_eq!(state(&mut server, &query), CookieState::Bad);
    let good = format!("www.example.com A option=10:{}", cookie(&reply).unwrap());
    assert_eq!(state(&mut server, &good), CookieState::Valid);
    assert_eq!(state(&mut server, &format!("{good} client=192.0.2.54")), CookieState::Bad);
}

/// Point 15, sections 5.2.3 and 5.2.4: over UDP, and never over what proves the address.
#[test]
fn by_policy_a_client_without_a_good_cookie_gets_badcookie_and_one() {
    let mut server = server("always");
    for data in [CLIENT.to_owned(), format!("{CLIENT}{}", "00".repeat(16))] {
        let query = format!("www.example.com A option=10:{data}");
        let reply = server.ask(&query);
        assert_eq!((reply.rcode(), reply.records.len()), (23, 1), "OPT alone");
        let good = format!("www.example.com A option=10:{}", cookie(&reply).unwrap());
        assert_eq!(server.ask(&good).rcode(), 0);
        for transport in ["tcp", "dot", "doh", "doq"] {
            assert_eq!(server.ask(&format!("{query} {transport}")).rcode(), 0, "{transport}");
        }
    }
    assert_eq!(server.ask("www.example.com A edns").rcode(), 0, "no cookie is no mistake");
    assert_eq!(server.ask("www.example.com A").rcode(), 0);
}

/// Point 15, section 5.2.3: BADCOOKIE in place of a limited answer.
#[test]
fn by_policy_a_limit_sends_clients_with_cookies_away_with_a_good_one() {
    let limited = server("limited");
    let query = format!("www.example.com A option=10:{CLIENT}");
    let reply = limited.bad_cookie(&query).unwrap();
    let message = crate::dns_support::message::read(&reply).unwrap();
    assert_eq!((message.rcode(), message.records.len()), (23, 1));
    assert!(reply.len() <= 12 + 21 + 11 + 28, "{} bytes", reply.len());
    let good = format!("www.example.com A option=10:{}", cookie(&message).unwrap());
    assert!(limited.bad_cookie(&good).is_none(), "a valid one is not limited");
    assert!(limited.bad_cookie("www.example.com A edns").is_none(), "nothing to give");
    assert!(server("never").bad_cookie(&query).is_none());
    assert_eq!(server("limited").ask(&query).rcode(), 0, "the limit decides, not the query");
}

/// Point 15, section 5.2.2.
#[test]
fn a_cookie_of_another_length_is_a_format_error() {
    let mut server = server("never");
    for length in (0..=50).filter(|length| *length != 8 && !(16..=40).contains(length)) {
        let query = format!("www.example.com A option=10:{}", "07".repeat(length));
        server.gets(&query, "FORMERR\nopt size=1232");
    }
    for length in 16..=40 {
        let query = format!("www.example.com A option=10:{}", "07".repeat(length));
        assert_eq!(server.ask(&query).rcode(), 0, "{length} bytes");
    }
}

/// Point 15, section 5.2: of several only the first counts.
#[test]
fn the_first_of_several_cookies_counts() {
    let mut server = server("never");
    let query = format!("www.example.com A option=10:{CLIENT} option=10:07 option=10:{SECRET}");
    assert!(cookie(&server.ask(&query)).unwrap().starts_with(CLIENT));
}

/// Point 3 and 15, section 5.4.
#[test]
fn a_query_for_a_cookie_alone_is_answered_with_one() {
    let mut server = server("never");
    let reply = server.ask(&format!("- option=10:{CLIENT}"));
    assert_eq!((reply.rcode(), reply.question.len(), reply.records.len()), (0, 0, 1));
    let given = cookie(&reply).unwrap();
    let again = server.ask(&format!("- option=10:{given}"));
    assert_eq!((again.rcode(), cookie(&again).unwrap()), (0, given.clone()));
    let bad = server.ask(&format!("- client=192.0.2.99 option=10:{given}"));
    assert_eq!(bad.rcode(), 23);
    assert_ne!(cookie(&bad).unwrap(), given);
    for other in ["- edns", "- option=10:07", "- nsid"] {
        server.gets(other, "FORMERR\nno question\nopt size=1232");
    }
    server.gets(&format!("- version=1 option=10:{CLIENT}"), "BADVERS\nno question\nopt size=1232");
}

/// Point 15, section 5.2: errors carry the cookie too.
#[test]
fn every_reply_to_a_good_cookie_option_has_one() {
    let mut server = server("never");
    for (query, rcode) in [
        ("no.example.com A", 3),
        ("www.example.com TXT", 0),
        ("example.net A", 5),
        ("www.example.com AXFR", 4),
        ("www.example.com TYPE253", 4),
        ("www.example.com TYPE250", 1),
        ("version.bind TXT ch", 5),
        ("big.example.com A size=512", 0),
        // A malformed subnet.
        ("www.example.com A option=8:0009", 1),
    ] {
        let reply = server.ask(&format!("{query} option=10:{CLIENT}"));
        assert_eq!(reply.rcode(), rcode, "{query}");
        assert!(cookie(&reply).is_some(), "{query}");
    }
}

/// Section 5.2: "At a server where DNS Cookies are not implemented and enabled, the
/// presence of a COOKIE option is ignored".
#[test]
fn where_cookies_are_off_the_option_means_nothing() {
    let mut server = Server::configured("[cookies]\nenabled = false\npolicy = \"always\"", &[]);
    server.set_cookie_secret(SECRET);
    for data in [CLIENT, "07"] {
        let query = format!("www.example.com A option=10:{data}");
        assert!(server.shows(&query).ends_with("opt size=1232\n"), "{query}");
        assert_eq!(server.ask(&query).rcode(), 0);
        assert_eq!(state(&mut server, &query), CookieState::None);
    }
    server.gets(&format!("- option=10:{CLIENT}"), "FORMERR\nno question\nopt size=1232");
}
