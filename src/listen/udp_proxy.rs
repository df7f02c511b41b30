//! Datagrams that come through a proxy: the header is taken off, and the client is the
//! one that it names. The reply goes to the proxy, without a header.
//!
//! Apart from the loop of a UDP thread, which has one branch a batch for it.

use super::proxy::{self, Proxies};
use super::{GROUP_MAX, Replies, Request, Responder};

/// Has `responder` answer those of `requests` that say who their client is, or need not.
/// How many were dropped is returned.
pub(super) fn respond_behind<R: Responder>(
    proxies: &Proxies,
    responder: &mut R,
    requests: &[Request<'_>],
    replies: &mut Replies<'_>,
) -> u64 {
    let Some(first) = requests.first() else { return 0 };
    let mut group = [*first; GROUP_MAX];
    let (mut count, mut dropped) = (0, 0);
    for request in requests {
        if let Some(request) = of_client(proxies, request) {
            group[count] = request;
            count += 1;
            continue;
        }
        // Replies are in the order of the requests: those before it come first.
        replies.of_next(count, |replies| responder.respond_all(&group[..count], replies));
        replies.put(|_| 0);
        count = 0;
        dropped += 1;
    }
    replies.of_next(count, |replies| responder.respond_all(&group[..count], replies));
    dropped
}

/// The request as its client sent it; none: it is from a proxy, and has no good header.
fn of_client<'r>(proxies: &Proxies, request: &Request<'r>) -> Option<Request<'r>> {
    let Request { bytes, mut meta } = *request;
    if !proxies.contains(meta.client.ip()) {
        return Some(*request);
    }
    let header = proxy::parse(bytes).ok()?;
    if let Some((client, server)) = header.addresses {
        // Nobody can be answered there.
        if client.port() == 0 {
            return None;
        }
        (meta.client, meta.local) = (client, Some(server.ip()));
    }
    Some(Request { bytes: bytes.get(header.length..)?, meta })
}
