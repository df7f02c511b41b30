//! One connection of a transport that has many requests under way at once (HTTP/2, QUIC):
//! how much of it there may be, for how long, and the way to an answer.
//!
//! ```text
//! begin ─► collect (short ones side by side, long ones one by one) ─► answer ─► UnderWay drops
//! ended: nothing under way for too long, something for too long, or room needed
//! ```
//! A client holds no more memory than its streams times [`SHORT_MAX`], and one message;
//! what it sends that is no request (PING, SETTINGS, empty frames) keeps nothing alive.
//!
//! Must not know what the requests are wrapped in.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Buf, Bytes};
use tokio::sync::{Notify, Semaphore};
use tokio::time::{Instant, sleep_until, timeout};

use super::tcp::Shared;
use super::tcp_registry::Place;
use super::{Meta, Responder, TcpOptions};

/// Requests under way at once on a connection (RFC 9113 6.5.2 and RFC 9114 6.1 ask for at
/// least 100).
pub(super) const STREAMS_MAX: u32 = 100;

/// A message up to so many bytes is taken in beside others; of longer ones, which hardly a
/// query is, a connection has one at a time.
const SHORT_MAX: usize = 1_232;

/// A connection at work.
pub(super) struct Session<R> {
    shared: Arc<Shared<R>>,
    meta: Meta,
    place: Place,
    activity: Mutex<Activity>,
    /// Nothing is under way any more.
    quiet: Notify,
    long: Semaphore,
}

struct Activity {
    under_way: usize,
    /// When a request last began or ended.
    changed: Instant,
}

/// Why a connection is to end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum End {
    /// Nothing has been asked for long.
    Idle,
    /// What is under way makes no progress.
    Stalled,
    /// Another needs its place.
    Evicted,
}

/// What comes in of one message, piece by piece.
pub(super) trait Pieces {
    /// What a piece is.
    type Piece: Buf + Send;

    /// The next one; `Ok(None)`: that was all. An error: the rest will never come.
    fn next(&mut self) -> impl Future<Output = Result<Option<Self::Piece>, Gone>> + Send;
}

/// The rest of a message will never come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Gone;

/// Why there is no whole message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Unusable {
    /// It is longer than it may be.
    TooLong,
    /// It took too long.
    Slow,
    /// Its rest will never come.
    Gone,
}

/// A request under way; it ends when this is dropped.
pub(super) struct UnderWay<R>(Arc<Session<R>>);

impl<R: Responder> Session<R> {
    pub(super) fn new(shared: Arc<Shared<R>>, meta: Meta, place: Place) -> Arc<Session<R>> {
        let activity = Mutex::new(Activity { under_way: 0, changed: Instant::now() });
        let (quiet, long) = (Notify::new(), Semaphore::new(1));
        Arc::new(Session { shared, meta, place, activity, quiet, long })
    }

    pub(super) fn options(&self) -> &TcpOptions {
        &self.shared.options
    }

    /// Something took too long.
    pub(super) fn stalled(&self) {
        self.place.count(|counts| counts.stalled += 1);
    }

    /// A request has begun.
    pub(super) fn begin(self: &Arc<Self>) -> UnderWay<R> {
        let mut activity = self.activity();
        activity.under_way += 1;
        activity.changed = Instant::now();
        if activity.under_way == 1 {
            // One that was evicted a moment ago is answered if that is quick enough.
            self.place.busy();
        }
        UnderWay(Arc::clone(self))
    }

    /// The reply to a request; empty: it has none.
    pub(super) fn answer(&self, request: &[u8]) -> Bytes {
        self.shared.at_desk(self.place.id(), |desk| {
            desk.responder.begin_batch();
            let length = desk.responder.respond(request, &self.meta, &mut desk.out);
            desk.responder.end_batch();
            Bytes::copy_from_slice(desk.out.get(..length).unwrap_or_default())
        })
    }

    /// A message of up to `most` bytes, whole and in time.
    pub(super) async fn collect(
        &self,
        pieces: impl Pieces,
        most: usize,
    ) -> Result<Vec<u8>, Unusable> {
        let collected = timeout(self.shared.options.message_timeout, self.take(pieces, most));
        collected.await.unwrap_or_else(|_| {
            self.stalled();
            Err(Unusable::Slow)
        })
    }

    async fn take(&self, mut pieces: impl Pieces, most: usize) -> Result<Vec<u8>, Unusable> {
        let mut message = Vec::new();
        let mut turn = None;
        while let Some(mut piece) = pieces.next().await.map_err(|Gone| Unusable::Gone)? {
            let length = message.len() + piece.remaining();
            if length > most {
                return Err(Unusable::TooLong);
            }
            if length > SHORT_MAX && turn.is_none() {
                // It is never closed.
                turn = self.long.acquire().await.ok();
            }
            while piece.has_remaining() {
                let chunk = piece.chunk();
                message.extend_from_slice(chunk);
                let taken = chunk.len();
                piece.advance(taken);
            }
        }
        Ok(message)
    }

    /// Resolves when the connection has to end.
    pub(super) async fn ended(&self) -> End {
        let options = &self.shared.options;
        loop {
            let (deadline, end) = {
                let activity = self.activity();
                match activity.under_way {
                    0 => (activity.changed + options.idle_timeout, End::Idle),
                    _ => {
                        let longest = options.message_timeout + options.write_timeout;
                        (activity.changed + longest, End::Stalled)
                    }
                }
            };
            if deadline <= Instant::now() {
                if end == End::Stalled {
                    self.stalled();
                }
                return end;
            }
            tokio::select! {
                () = self.place.evicted() => return End::Evicted,
                () = sleep_until(deadline) => {}
            }
        }
    }

    /// Resolves when nothing is under way.
    pub(super) async fn quiet(&self) {
        loop {
            let quiet = self.quiet.notified();
            if self.activity().under_way == 0 {
                return;
            }
            quiet.await;
        }
    }
}

impl<R> Session<R> {
    fn activity(&self) -> MutexGuard<'_, Activity> {
        // Two plain values: right whatever panicked.
        self.activity.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn finished(&self) {
        let mut activity = self.activity();
        activity.under_way -= 1;
        activity.changed = Instant::now();
        if activity.under_way == 0 {
            self.place.idle();
            self.quiet.notify_waiters();
        }
    }
}

impl<R> Drop for UnderWay<R> {
    fn drop(&mut self) {
        self.0.finished();
    }
}
