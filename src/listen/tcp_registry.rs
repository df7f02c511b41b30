//! Who is connected: admits, counts, and finds an idle connection to close when there is
//! no room: of the client with the most connections, the one that was idle longest (RFC
//! 7766 section 6.2.3, RFC 9210 section 4.2).
//!
//! ```text
//! admit ─► idle ─ busy() ─► busy ─ idle() ─► idle ─ evicted or dropped ─► gone
//! ```
//! Only an idle connection is evicted: nothing of it is read or owed by then, and
//! the client that asks next on it finds it closed, as RFC 7766 tells it to expect.
//!
//! Must not know sockets: a connection is a client's address and a bell to ring.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// The most connections, in all and by client.
#[derive(Clone, Copy, Debug)]
pub(super) struct Caps {
    pub(super) total: usize,
    pub(super) per_client: usize,
}

/// TCP connections since the start, and now.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct TcpCounts {
    /// Open now.
    pub open: u64,
    /// Of those, idle: no message has begun, and no reply is owed.
    pub idle: u64,
    /// Admitted since the start.
    pub admitted: u64,
    /// Closed while idle to admit another.
    pub evicted: u64,
    /// Refused: as many as allowed, and none idle.
    pub refused_full: u64,
    /// Refused: as many as one client may have.
    pub refused_client: u64,
    /// Closed because a message or a reply took too long.
    pub stalled: u64,
    /// Closed because nothing the client sent could be answered.
    pub unanswerable: u64,
    /// Closed because there was no TLS to be agreed on, in time.
    pub handshake_failed: u64,
    /// Closed because a proxy did not say who the client is, in time.
    pub bad_header: u64,
}

/// All connections.
pub(super) struct Registry {
    caps: Caps,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    connections: HashMap<u64, Entry>,
    clients: HashMap<IpAddr, Client>,
    /// Clients with an idle connection: how many connections each has, and when its
    /// first became idle. The last of them loses one when there is no room.
    ranks: BTreeSet<Rank>,
    idle: usize,
    /// The next event's number; also names connections.
    next: u64,
    counts: TcpCounts,
}

/// What one client has.
#[derive(Default)]
struct Client {
    connections: usize,
    /// When they became idle, in the order of events, and which they are.
    idle: BTreeSet<(u64, u64)>,
}

type Rank = (usize, Reverse<u64>, IpAddr);

impl Client {
    fn rank(&self, address: IpAddr) -> Option<Rank> {
        let (since, _) = self.idle.first()?;
        Some((self.connections, Reverse(*since), address))
    }
}

struct Entry {
    client: IpAddr,
    idle_since: Option<u64>,
    evicted: Arc<Notify>,
}

impl Registry {
    pub(super) fn new(caps: Caps) -> Registry {
        Registry { caps, inner: Mutex::default() }
    }

    /// A place for a connection of `client`, idle at first; none: refused.
    pub(super) fn admit(self: &Arc<Self>, client: IpAddr) -> Option<Place> {
        let client = client_key(client);
        let mut inner = self.lock();
        let has = inner.clients.get(&client).map_or(0, |client| client.connections);
        if has >= self.caps.per_client {
            inner.counts.refused_client += 1;
            return None;
        }
        if inner.connections.len() >= self.caps.total && !inner.evict_oldest_idle() {
            inner.counts.refused_full += 1;
            return None;
        }
        let id = inner.tick();
        let evicted = Arc::new(Notify::new());
        let entry = Entry { client, idle_since: Some(id), evicted: Arc::clone(&evicted) };
        inner.connections.insert(id, entry);
        inner.change(client, |client| {
            client.connections += 1;
            client.idle.insert((id, id));
        });
        inner.counts.admitted += 1;
        Some(Place { registry: Arc::clone(self), id, evicted })
    }

    /// Closes an idle connection; false: none is idle.
    pub(super) fn evict_oldest_idle(&self) -> bool {
        self.lock().evict_oldest_idle()
    }

    pub(super) fn counts(&self) -> TcpCounts {
        let inner = self.lock();
        TcpCounts { open: inner.connections.len() as u64, idle: inner.idle as u64, ..inner.counts }
    }

    pub(super) fn count(&self, change: impl FnOnce(&mut TcpCounts)) {
        change(&mut self.lock().counts);
    }

    /// A panic elsewhere leaves the maps as they were between two calls.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn tick(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn evict_oldest_idle(&mut self) -> bool {
        let Some((_, _, client)) = self.ranks.last() else { return false };
        let oldest = self.clients.get(client).and_then(|client| client.idle.first());
        let Some(&(_, id)) = oldest else { return false };
        if let Some(entry) = self.remove(id) {
            // Kept for a connection that is not waiting at this moment.
            entry.evicted.notify_one();
            self.counts.evicted += 1;
        }
        true
    }

    fn remove(&mut self, id: u64) -> Option<Entry> {
        let entry = self.connections.remove(&id)?;
        self.change(entry.client, |client| {
            client.connections -= 1;
            if let Some(since) = entry.idle_since {
                client.idle.remove(&(since, id));
            }
        });
        Some(entry)
    }

    /// Changes what `address` has, and keeps what follows from it right.
    fn change(&mut self, address: IpAddr, change: impl FnOnce(&mut Client)) {
        let client = self.clients.entry(address).or_default();
        let (rank, idle) = (client.rank(address), client.idle.len());
        change(client);
        let new_rank = client.rank(address);
        self.idle = self.idle + client.idle.len() - idle;
        if client.connections == 0 {
            self.clients.remove(&address);
        }
        if rank != new_rank {
            if let Some(rank) = rank {
                self.ranks.remove(&rank);
            }
            self.ranks.extend(new_rank);
        }
    }
}

/// One client: an IPv4 address, or an IPv6 /64, which one machine can have whole.
fn client_key(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V4(v4) => v4.into(),
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).into(),
    }
}

// ---- Place -----------------------------------------------------------------------------

/// One connection's place, given up when dropped.
pub(super) struct Place {
    registry: Arc<Registry>,
    id: u64,
    evicted: Arc<Notify>,
}

impl Place {
    /// A number of its own.
    pub(super) fn id(&self) -> u64 {
        self.id
    }

    /// Changes the counts of its transport.
    pub(super) fn count(&self, change: impl FnOnce(&mut TcpCounts)) {
        self.registry.count(change);
    }

    /// Resolves when the connection is to make room for another.
    pub(super) async fn evicted(&self) {
        self.evicted.notified().await;
    }

    /// A message has begun to arrive; false: evicted, close.
    pub(super) fn busy(&self) -> bool {
        let mut inner = self.registry.lock();
        let Some(entry) = inner.connections.get_mut(&self.id) else { return false };
        let client = entry.client;
        if let Some(since) = entry.idle_since.take() {
            inner.change(client, |client| {
                client.idle.remove(&(since, self.id));
            });
        }
        true
    }

    /// Nothing is half read, nothing owed.
    pub(super) fn idle(&self) {
        let mut inner = self.registry.lock();
        let now = inner.tick();
        let Some(entry) = inner.connections.get_mut(&self.id) else { return };
        if entry.idle_since.is_none() {
            entry.idle_since = Some(now);
            let client = entry.client;
            inner.change(client, |client| {
                client.idle.insert((now, self.id));
            });
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.registry.lock().remove(self.id);
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use proptest::prelude::*;

    use super::*;

    fn client(last: u8) -> IpAddr {
        Ipv4Addr::new(192, 0, 2, last).into()
    }

    fn registry(total: usize, per_client: usize) -> Arc<Registry> {
        Arc::new(Registry::new(Caps { total, per_client }))
    }

    #[test]
    fn the_oldest_idle_one_makes_room() {
        let registry = registry(3, 9);
        let first = registry.admit(client(1)).unwrap();
        let second = registry.admit(client(2)).unwrap();
        let third = registry.admit(client(3)).unwrap();
        // The first was idle longest, but has asked since.
        assert!(first.busy());
        first.idle();
        let fourth = registry.admit(client(4)).unwrap();
        assert!(!second.busy(), "the second made room");
        assert!(first.busy() && third.busy() && fourth.busy());
        assert!(registry.admit(client(5)).is_none(), "none is idle");
        let counts = registry.counts();
        assert_eq!((counts.open, counts.evicted, counts.refused_full), (3, 1, 1));
        drop(second);
        assert_eq!(registry.counts().open, 3, "its place was taken already");
        drop(third);
        assert!(registry.admit(client(5)).is_some());
    }

    #[test]
    fn whoever_has_most_connections_makes_room_first() {
        let registry = registry(4, 9);
        let oldest = registry.admit(client(1)).unwrap();
        let greedy: Vec<Place> = (0..3).map(|_| registry.admit(client(2)).unwrap()).collect();
        let another = registry.admit(client(3)).unwrap();
        assert!(!greedy[0].busy(), "the oldest of the client with three");
        let further = registry.admit(client(4)).unwrap();
        assert!(!greedy[1].busy(), "it still has the most");
        let last = registry.admit(client(5)).unwrap();
        assert!(!oldest.busy(), "all have one: the oldest idle goes");
        assert!(greedy[2].busy() && another.busy() && further.busy() && last.busy());
    }

    #[test]
    fn a_client_has_its_own_cap() {
        let registry = registry(10, 2);
        let _held = [registry.admit(client(1)).unwrap(), registry.admit(client(1)).unwrap()];
        assert!(registry.admit(client(1)).is_none());
        assert!(registry.admit(client(2)).is_some());
        assert_eq!(registry.counts().refused_client, 1);
    }

    #[test]
    fn ipv6_clients_of_one_network_are_one() {
        let registry = registry(10, 1);
        let _held = registry.admit("2001:db8:1:2::3".parse().unwrap()).unwrap();
        assert!(registry.admit("2001:db8:1:2:ffff::4".parse().unwrap()).is_none());
        assert!(registry.admit("2001:db8:1:3::3".parse().unwrap()).is_some());
    }

    proptest! {
        #[test]
        fn counts_never_pass_the_caps_and_end_at_nothing(
            steps in prop::collection::vec((0u8..4, 0usize..12, 0u8..4), 1..200),
        ) {
            let registry = registry(5, 3);
            let mut places: Vec<Place> = Vec::new();
            for (step, which, last) in steps {
                let which = which % places.len().max(1);
                match step {
                    0 => places.extend(registry.admit(client(last))),
                    1 => drop((which < places.len()).then(|| places.remove(which))),
                    2 => { places.get(which).map(Place::busy); }
                    _ => { places.get(which).map(Place::idle); }
                }
                let inner = registry.lock();
                prop_assert!(inner.connections.len() <= 5);
                let counts = inner.clients.values().map(|client| client.connections);
                prop_assert!(counts.clone().all(|count| (1..=3).contains(&count)));
                prop_assert_eq!(counts.sum::<usize>(), inner.connections.len());
                let idle = inner.clients.values().flat_map(|client| &client.idle);
                prop_assert_eq!(idle.clone().count(), inner.idle);
                for (since, id) in idle {
                    prop_assert_eq!(inner.connections[id].idle_since, Some(*since));
                }
                let ranks = inner.clients.iter().filter_map(|(at, client)| client.rank(*at));
                prop_assert_eq!(ranks.collect::<BTreeSet<_>>(), inner.ranks.clone());
            }
            drop(places);
            let inner = registry.lock();
            prop_assert!(inner.connections.is_empty() && inner.idle == 0);
            prop_assert!(inner.clients.is_empty() && inner.ranks.is_empty());
        }
    }
}
