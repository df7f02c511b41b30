//! Events as a response without end: `text/event-stream` (HTML, 9.2).
//!
//! A stream ends when its client goes, when the server stops, or when its client
//! takes nothing any more. It must not know what the events mean.

use std::convert::Infallible;
use std::fmt::Write;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::body::{Bytes, HttpBody};
use hyper::body::Frame;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::sleep;

use super::journal::{Batch, Reader};
use super::types::{Event, EventKind};

/// `Content-Type` of a stream.
pub(super) const CONTENT_TYPE: &str = "text/event-stream";
/// A client that finds its stream cut comes back after so many milliseconds.
const RETRY_MS: u32 = 2_000;

//------------ Streaming ------------------------------------------------------

/// What a connection knows of the stream on it: as long as one is open, the
/// connection may live.
#[derive(Debug, Default)]
pub(super) struct Streaming(Mutex<State>);

#[derive(Clone, Copy, Debug, Default)]
enum State {
    /// None, or it is over.
    #[default]
    Closed,
    /// All that was given has been taken.
    Open,
    /// Something was given and no more was asked for since.
    Given(Instant),
}

impl Streaming {
    /// Whether there is a stream.
    pub(super) fn is_open(&self) -> bool {
        !matches!(*self.state(), State::Closed)
    }

    /// Whether there is a stream whose client took something within `limit`, if
    /// there was anything to take.
    pub(super) fn is_alive(&self, limit: Duration) -> bool {
        match *self.state() {
            State::Closed => false,
            State::Open => true,
            State::Given(at) => at.elapsed() < limit,
        }
    }

    fn set(&self, state: State) {
        *self.state() = state;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A word that is written whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//------------ EventStream ----------------------------------------------------

/// The next part of a stream, and where the one after it comes from.
type Next = Pin<Box<dyn Future<Output = Option<(Bytes, Source)>> + Send>>;

/// The body of a stream.
pub(super) struct EventStream {
    next: Next,
    streaming: Arc<Streaming>,
}

/// Where the next part of a stream comes from.
pub(super) struct Source {
    pub(super) reader: Reader,
    /// The server stops.
    pub(super) stopping: watch::Receiver<bool>,
    /// Something is sent at least this often, so that both ends see whether the
    /// other is there.
    pub(super) heartbeat: Duration,
    /// Its place among the streams there may be.
    pub(super) _permit: OwnedSemaphorePermit,
}

impl EventStream {
    pub(super) fn new(source: Source, streaming: Arc<Streaming>) -> EventStream {
        streaming.set(State::Open);
        // The client knows its place before anything happened.
        let hello = format!("retry: {RETRY_MS}\nid: {}\n\n", source.reader.last_id());
        EventStream { next: Box::pin(async { Some((hello.into(), source)) }), streaming }
    }
}

impl Drop for EventStream {
    fn drop(&mut self) {
        self.streaming.set(State::Closed);
    }
}

impl HttpBody for EventStream {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.streaming.set(State::Open);
        self.next.as_mut().poll(context).map(|next| {
            let (bytes, source) = next?;
            self.next = Box::pin(source.next());
            self.streaming.set(State::Given(Instant::now()));
            Some(Ok(Frame::data(bytes)))
        })
    }
}

impl Source {
    async fn next(mut self) -> Option<(Bytes, Source)> {
        let bytes = tokio::select! {
            biased;
            _ = self.stopping.wait_for(|stopping| *stopping) => return None,
            batch = self.reader.next() => text(&batch),
            () = sleep(self.heartbeat) => ": \n\n".to_owned(),
        };
        Some((bytes.into(), self))
    }
}

/// Events as a stream has them.
fn text(batch: &Batch) -> String {
    let mut text = String::new();
    if let Some(missed) = batch.lagged {
        write(&mut text, &Event { id: 0, at_us: 0, what: EventKind::Lagged { missed } });
    }
    for event in &batch.events {
        write(&mut text, event);
    }
    text
}

fn write(text: &mut String, event: &Event) {
    // JSON of plain structs always comes out, and without line feeds.
    let json = serde_json::to_string(event).unwrap_or_default();
    if event.id != 0 {
        let _ = writeln!(text, "id: {}", event.id);
    }
    let _ = write!(text, "event: {}\ndata: {json}\n\n", event.what.word());
}
