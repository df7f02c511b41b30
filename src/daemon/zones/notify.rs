//! NOTIFY on its way out (RFC 1996): told until it is acknowledged, with growing pauses,
//! and a bounded number of times.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use super::Exchanges;
use super::exchange::{ExchangeError, over_udp, random_id};
use crate::dns::Name;
use crate::dns::encode::{Opt, Section, Status, Writer};
use crate::dns::message::Message;
use crate::dns::query::Header;
use crate::dns::tsig::Key;
use crate::dns::types::{Rcode, class, opcode, rtype};
use crate::zone::Zone;

/// Waits for an acknowledgement, in seconds; behind the last it is given up (RFC 1996 3.6):
/// the secondary finds the change when it refreshes.
const WAITS_S: [u64; 6] = [1, 2, 4, 8, 16, 32];
/// Most servers that are told at once.
static AT_ONCE: Semaphore = Semaphore::const_new(64);

/// The message: the question, and the new SOA as a hint (RFC 1996 3.7).
pub(super) fn message(zone: &Zone) -> Vec<u8> {
    let mut out = vec![0; 2_048];
    let mut question = zone.origin().wire().to_vec();
    question.extend(rtype::SOA.to_be_bytes());
    question.extend(class::IN.to_be_bytes());
    let header = Header { id: [0, 0], opcode: opcode::NOTIFY, recursion_desired: false };
    let mut writer = Writer::new(&mut out, 2_048, header, &question);
    let soa = zone.soa();
    let (section, owner) = (Section::Answer, zone.origin().wire());
    // It is a hint: without it the other side asks.
    let _ = writer.put_rrset(section, owner, rtype::SOA, soa.ttl_s(), soa.rdatas());
    let status = Status { rcode: Rcode::NOERROR, authoritative: true, truncated: false };
    let length = writer.finish(status, &Opt::default());
    out.truncate(length);
    // The writer makes replies.
    out[2] &= !0x80;
    out
}

/// Tells one server, from an address of ours.
pub(super) async fn tell(
    origin: Name,
    serial: u32,
    message: Vec<u8>,
    (source, server): (IpAddr, SocketAddr),
    key: Option<Arc<Key>>,
    exchanges: Arc<Exchanges>,
) {
    let mut last = None;
    for wait_s in WAITS_S {
        let Ok(_turn) = AT_ONCE.acquire().await else { return };
        let wait = Duration::from_secs(wait_s);
        let mut message = message.clone();
        message[..2].copy_from_slice(&random_id());
        let begun = tokio::time::Instant::now();
        match over_udp(source, server, message, key.as_ref(), wait).await {
            Ok(reply) => {
                let rcode = Message::parse(&reply).map_or(1, |reply| reply.rcode());
                if rcode == 0 {
                    Exchanges::count(&exchanges.notify, 0);
                    tracing::info!(zone = %origin, serial, %server, "NOTIFY acknowledged");
                } else {
                    Exchanges::count(&exchanges.notify, 1);
                    let rcode = Rcode(rcode).mnemonic();
                    tracing::warn!(zone = %origin, serial, %server, rcode, "NOTIFY refused");
                }
                return;
            }
            Err(error @ ExchangeError::Signature(_)) => {
                Exchanges::count(&exchanges.notify, 1);
                tracing::warn!(zone = %origin, serial, %server, %error, "NOTIFY refused");
                return;
            }
            Err(error) => last = Some(error),
        }
        // A port that is closed is told at once; the pause is the same.
        drop(_turn);
        tokio::time::sleep_until(begun + wait).await;
    }
    Exchanges::count(&exchanges.notify, 2);
    let error = last.map(|error| error.to_string()).unwrap_or_default();
    tracing::warn!(zone = %origin, serial, %server, error, "NOTIFY given up");
}
