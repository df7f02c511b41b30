//! Any bytes against a server that has everything: a proper reply or silence.
//! What "proper" is stands in `tests/dns_support/invariants.rs`.
#![no_main]

#[path = "../../tests/config_support/mod.rs"]
mod config_support;
#[path = "../../tests/dns_support/mod.rs"]
mod dns_support;

use std::cell::RefCell;

use dns_support::{invariants, rich, serving};
use libfuzzer_sys::fuzz_target;
use windrose::answer::{Peer, Scratch};
use windrose::metrics::Transport;
use windrose::snapshot::Serving;

thread_local! {
    static SERVER: RefCell<(Serving, Scratch)> =
        RefCell::new((rich::serving(), Scratch::default()));
}

fuzz_target!(|data: &[u8]| {
    // The first byte says how the request comes.
    let Some((&how, request)) = data.split_first() else { return };
    let transport = if how & 1 == 0 { Transport::Udp } else { Transport::Tcp };
    let address = if how & 2 == 0 { "81.1.2.3" } else { "2001:db8::53" };
    let peer = Peer { address: address.parse().unwrap(), transport };
    SERVER.with_borrow_mut(|(server, scratch)| {
        let reply = serving::ask(server, scratch, request, peer);
        invariants::check(request, reply.as_deref(), peer);
    });
});
