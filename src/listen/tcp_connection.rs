//! One TCP connection: messages with a two-byte length in front (RFC 1035 section
//! 4.2.2), as many as the client likes, answered in order.
//!
//! ```text
//!            ┌──────────── no partial message: idle ◄────────────┐
//! readable ─►│ read a little ─► answer whole messages ─► write ──┤
//!            └──────────── rest of a message missing ◄───────────┘
//! ```
//! Nothing is read while replies wait to be written, so a client that does not read
//! stops itself; every wait has a deadline. Idle, a connection holds no buffer.

use std::io;
use std::sync::Arc;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};

use super::tcp::{Desk, Phase, Shared};
use super::tcp_registry::Place;
use super::{Meta, Moved, Responder};

/// Read in one turn, in bytes; then others have theirs.
const READ_MAX: usize = 16 * 1024;

/// Replies are written out from here on, in bytes: what pipelining may pile up.
const OUTPUT_FLUSH: usize = 16 * 1024;

/// Messages that get no reply before a client is taken for something else than DNS
/// (a TLS hello, HTTP).
const UNANSWERED_MAX: usize = 3;

/// The length in front of each message.
const PREFIX: usize = 2;

pub(super) struct Connection<R> {
    stream: TcpStream,
    meta: Meta,
    place: Place,
    shared: Arc<Shared<R>>,
    /// What was read and not answered yet; begins with a message's length.
    input: Vec<u8>,
    output: Vec<u8>,
    unanswered: usize,
    /// When the partial message in `input` must be whole.
    message_deadline: Option<Instant>,
}

/// What to do after answering.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Next {
    /// Whole messages may be left: write, and answer on.
    AnswerOn,
    /// The rest of a message, or the next one, is still to come.
    ReadOn,
    /// Write, then close.
    Close,
}

/// Why a read came to nothing.
enum Wake {
    Readable,
    /// Told to finish: look once more, and go.
    LastLook,
    /// Told to go on in another process.
    HandOver,
    Close,
}

impl<R: Responder> Connection<R> {
    pub(super) fn new(stream: TcpStream, meta: Meta, place: Place, shared: Arc<Shared<R>>) -> Self {
        let (input, output) = (Vec::new(), Vec::new());
        Connection {
            stream,
            meta,
            place,
            shared,
            input,
            output,
            unanswered: 0,
            message_deadline: None,
        }
    }

    /// Begins with what another process has read of it.
    pub(super) fn go_on(&mut self, input: Vec<u8>, unanswered: usize) {
        self.input = input;
        self.unanswered = unanswered;
        self.consume(0);
        // One that was evicted already is found out when it next waits.
        let _ = self.input.is_empty() || self.place.busy();
    }

    /// Serves until the client, a limit or the server ends it; or gives it back, for
    /// another process to go on with.
    pub(super) async fn run(mut self, mut told: watch::Receiver<Phase>) -> Option<Moved> {
        loop {
            let wake = self.wait(&mut told).await;
            if matches!(wake, Wake::HandOver) {
                return self.into_moved();
            }
            if matches!(wake, Wake::Close) || !self.place.busy() {
                return None;
            }
            let Ok(ended) = self.read() else { return None };
            match self.answer_all().await {
                Next::Close => break,
                _ if ended || matches!(wake, Wake::LastLook) && self.input.is_empty() => break,
                _ => {}
            }
        }
        // A polite end; a client that is gone already does not mind.
        let _ = self.stream.shutdown().await;
        None
    }

    /// Nothing is owed to the client here: every whole message was answered.
    fn into_moved(self) -> Option<Moved> {
        let (client, unanswered) = (self.meta.client, self.unanswered);
        let stream = self.stream.into_std().ok()?;
        Some(Moved { stream, client, input: self.input, unanswered })
    }

    /// Waits for bytes within the deadline that applies.
    async fn wait(&mut self, told: &mut watch::Receiver<Phase>) -> Wake {
        let idle = self.input.is_empty();
        if idle {
            self.input = Vec::new();
            self.output = Vec::new();
            self.place.idle();
        }
        let options = &self.shared.options;
        let deadline =
            self.message_deadline.unwrap_or_else(|| Instant::now() + options.idle_timeout);
        tokio::select! {
            biased;
            () = self.place.evicted(), if idle => Wake::Close,
            // Before what comes next, or a client that never pauses would be here for ever.
            // With part of a message here, a server that stops waits for its rest: until it
            // gives up on all that are left.
            phase = told.wait_for(|&phase| {
                phase == Phase::HandingOver || idle && phase > Phase::Serving
            }) => match phase {
                Ok(phase) if *phase == Phase::HandingOver => Wake::HandOver,
                _ => Wake::LastLook,
            },
            ready = timeout_at(deadline, self.stream.readable()) => match ready {
                Ok(Ok(())) => Wake::Readable,
                Ok(Err(_)) => Wake::Close,
                Err(_) => {
                    if !idle {
                        self.shared.count(|counts| counts.stalled += 1);
                    }
                    Wake::Close
                }
            },
        }
    }

    /// Takes what has arrived, up to [`READ_MAX`]; true: the client sends no more.
    fn read(&mut self) -> io::Result<bool> {
        // On the stack and not across an await: idle connections do not pay for it.
        let mut bytes = [0; 4096];
        let mut taken = 0;
        while taken < READ_MAX {
            match self.stream.try_read(&mut bytes) {
                Ok(0) => return Ok(true),
                Ok(count) => {
                    self.input.extend_from_slice(&bytes[..count]);
                    taken += count;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }

    /// Answers every whole message and writes the replies.
    async fn answer_all(&mut self) -> Next {
        loop {
            let shared = Arc::clone(&self.shared);
            let next = shared.at_desk(self.place.id(), |desk| self.answer_some(desk));
            if !self.output.is_empty() {
                let write = self.stream.write_all(&self.output);
                match timeout(shared.options.write_timeout, write).await {
                    Ok(Ok(())) => self.output.clear(),
                    Ok(Err(_)) => return Next::Close,
                    Err(_) => {
                        shared.count(|counts| counts.stalled += 1);
                        return Next::Close;
                    }
                }
            }
            if next != Next::AnswerOn {
                return next;
            }
        }
    }

    /// Answers whole messages until there is none or enough to write.
    fn answer_some(&mut self, desk: &mut Desk<R>) -> Next {
        let mut used = 0;
        desk.responder.begin_batch();
        let next = loop {
            let Some((prefix, rest)) = self.input[used..].split_first_chunk::<PREFIX>() else {
                break Next::ReadOn;
            };
            let length = usize::from(u16::from_be_bytes(*prefix));
            if length == 0 {
                // No DNS message is empty: whoever sends this counts differently.
                break Next::Close;
            }
            let Some(request) = rest.get(..length) else { break Next::ReadOn };
            used += PREFIX + length;
            let reply = desk.responder.respond(request, &self.meta, &mut desk.out);
            match desk.out.get(..reply) {
                Some(reply) if !reply.is_empty() => {
                    // At most 65,535: the room there is.
                    self.output.extend_from_slice(&(reply.len() as u16).to_be_bytes());
                    self.output.extend_from_slice(reply);
                }
                _ => {
                    self.unanswered += 1;
                    if self.unanswered >= UNANSWERED_MAX {
                        self.shared.count(|counts| counts.unanswerable += 1);
                        break Next::Close;
                    }
                }
            }
            if self.output.len() >= OUTPUT_FLUSH {
                break Next::AnswerOn;
            }
        };
        desk.responder.end_batch();
        self.consume(used);
        next
    }

    /// Drops what was answered, and times the message that is left in part.
    fn consume(&mut self, used: usize) {
        self.input.drain(..used);
        if self.input.is_empty() {
            self.message_deadline = None;
        } else if used > 0 || self.message_deadline.is_none() {
            self.message_deadline = Some(Instant::now() + self.shared.options.message_timeout);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::tcp_registry::{Caps, Registry};
    use super::super::{TcpOptions, Transport};
    use super::*;

    struct Silent;

    impl Responder for Silent {
        fn respond(&mut self, _: &[u8], _: &Meta, _: &mut [u8]) -> usize {
            0
        }
    }

    #[tokio::test]
    async fn an_idle_connection_costs_less_than_a_kilobyte() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let client = stream.local_addr().unwrap();
        let registry = Arc::new(Registry::new(Caps { total: 1, per_client: 1 }));
        let place = registry.admit(client.ip()).unwrap();
        let meta = Meta { client, local: None, transport: Transport::Tcp };
        let shared = Arc::new(Shared::new(TcpOptions::default(), registry, |_| Silent));
        let (_phase, told) = watch::channel(Phase::Serving);
        let connection = Connection::new(stream, meta, place, shared);
        assert_eq!(connection.input.capacity() + connection.output.capacity(), 0);
        let size = size_of_val(&connection.run(told));
        assert!(size < 1024, "{size}");
    }
}
