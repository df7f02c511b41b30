//! One battery of queries over every transport of a whole server: all give the same answer,
//! byte for byte, but for the ID, the size (TC), padding and keepalive.
//!
//! A transport takes part by implementing [`Transport`], in a file of its own.
#![allow(clippy::unwrap_used)] // a panic here is a failed test

mod battery;
mod http;
mod normal;
mod quic;
mod rfc8484;
mod rfc9250;
mod server;
mod stream;
mod udp;

use server::Server;

/// A way to ask.
pub(crate) trait Transport {
    /// For the reports of failures.
    fn name(&self) -> &'static str;

    /// The reply to `message`, which the server does answer, with the ID that it had on the
    /// way.
    fn ask(&mut self, message: &[u8]) -> Vec<u8>;

    /// Whether such a query may be asked.
    fn takes(&self, case: &battery::Case) -> bool {
        let _ = case;
        true
    }

    /// Whether a reply may be cut to fit.
    fn truncates(&self) -> bool {
        false
    }
}

/// All of them, of one server. The first is what the others are held against.
fn transports(server: &Server) -> Vec<Box<dyn Transport>> {
    let over_http = |version| -> [Box<dyn Transport>; 2] {
        let connect = || http::Client::connect(server, version);
        [Box::new(connect()), Box::new(connect().by_get())]
    };
    let mut all: Vec<Box<dyn Transport>> = vec![
        Box::new(stream::Tcp::connect(server)),
        Box::new(udp::Udp::connect(server)),
        Box::new(stream::Dot::connect(server, rustls::version::TLS13.version)),
        Box::new(stream::Dot::connect(server, rustls::version::TLS12.version)),
        Box::new(quic::Doq::connect(server)),
    ];
    all.extend(http::VERSIONS.into_iter().flat_map(over_http));
    all
}

/// Point 20: all transports give the same answer to the same query from the same client.
#[test]
fn every_transport_gives_the_same_answer() {
    let server = Server::start();
    let mut transports = transports(&server);
    let (first, others) = transports.split_first_mut().unwrap();
    let mut truncated = 0;
    let battery = battery::cases();
    for case in &battery {
        let expected = normal::of(&first.ask(&case.message));
        let rcode = expected.rcode();
        assert_eq!(rcode, case.rcode, "{}: over {}", case.name, first.name());
        for other in &mut *others {
            if !other.takes(case) {
                continue;
            }
            let reply = normal::of(&other.ask(&case.message));
            let (case, over) = (&case.name, other.name());
            if other.truncates() && reply.is_truncated() {
                truncated += 1;
                assert!(expected.bytes.len() > 512, "{case}: cut over {over} for nothing");
                assert_eq!(reply.question(), expected.question(), "{case}: over {over}");
                assert_eq!(reply.rcode(), expected.rcode(), "{case}: over {over}");
                continue;
            }
            assert_eq!(reply.shown(), expected.shown(), "{case}: over {over}");
            assert_eq!(reply.bytes, expected.bytes, "{case}: over {over}");
        }
    }
    assert!(truncated > 0, "nothing in the battery is too large for UDP");
}

/// What a stream loses or mixes up would show with many queries at once.
#[test]
fn pipelined_queries_get_the_answers_that_single_ones_get() {
    let server = Server::start();
    let mut single = stream::Tcp::connect(&server);
    let battery = battery::cases();
    let expected: Vec<_> =
        battery.iter().map(|case| normal::of(&single.ask(&case.message)).bytes).collect();
    let mut tls = stream::Dot::connect(&server, rustls::version::TLS13.version);
    for replies in [stream::Tcp::connect(&server).ask_all(&battery), tls.ask_all(&battery)] {
        assert_eq!(replies.len(), expected.len());
        for (case, (reply, expected)) in battery.iter().zip(replies.iter().zip(&expected)) {
            assert_eq!(&normal::of(reply).bytes, expected, "{}", case.name);
        }
    }
}
