//! One connection: messages with a two-byte length in front (RFC 1035 section 4.2.2), as
//! many as the client likes, over TCP or TLS.
//!
//! ```text
//!            ┌──────────── no partial message: idle ◄────────────┐
//! readable ─►│ read a little ─► answer whole messages ─► write ──┤
//!            ├──────────── rest of a message missing ◄───────────┤
//!            └── look, wait for nothing ◄── one message of a transfer
//! ```
//! Nothing is read while replies wait to be written, so a client that does not read
//! stops itself; every wait has a deadline. Idle, a connection holds no buffer. Replies of
//! one message leave in the order of their requests, those of many between them.

use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};
use tokio_rustls::server::TlsStream;

use super::frame::{self, Frame};
use super::tcp::{Desk, Phase, Shared};
use super::tcp_registry::Place;
use super::tcp_transfers::{TRANSFER_WAIT, Transfers};
use super::{Meta, Moved, Responder};

/// Read in one turn, in bytes; then others have theirs.
const READ_MAX: usize = 16 * 1024;

/// Read by one call, in bytes.
const READ_SIZE: usize = 8 * 1024;

/// Replies are written out from here on, in bytes: what pipelining may pile up.
const OUTPUT_FLUSH: usize = 16 * 1024;

/// Messages that get no reply before a client is taken for something else than DNS
/// (a TLS hello, HTTP).
const UNANSWERED_MAX: usize = 3;

/// What messages come over.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static {
    /// Whether another process can go on with it.
    const MOVES: bool;

    /// It, for another process.
    fn into_plain(self) -> Option<std::net::TcpStream>;
}

impl Stream for TcpStream {
    const MOVES: bool = true;

    fn into_plain(self) -> Option<std::net::TcpStream> {
        self.into_std().ok()
    }
}

impl Stream for TlsStream<TcpStream> {
    /// Its keys are in this process alone.
    const MOVES: bool = false;

    fn into_plain(self) -> Option<std::net::TcpStream> {
        None
    }
}

pub(super) struct Connection<S, R> {
    stream: S,
    meta: Meta,
    place: Place,
    shared: Arc<Shared<R>>,
    /// What was read and not answered yet; begins with a message's length.
    input: Vec<u8>,
    output: Vec<u8>,
    transfers: Transfers,
    /// The client sends no more.
    ended: bool,
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

/// Why a wait ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Wake {
    /// Something was read, or a transfer may begin.
    Work,
    /// Told to finish: look once more, and go.
    LastLook,
    /// Told to go on in another process.
    HandOver,
    Close,
}

impl<S: Stream, R: Responder> Connection<S, R> {
    pub(super) fn new(stream: S, meta: Meta, place: Place, shared: Arc<Shared<R>>) -> Self {
        Connection {
            stream,
            meta,
            place,
            shared,
            input: Vec::new(),
            output: Vec::new(),
            transfers: Transfers::default(),
            ended: false,
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
        // Whole messages may be left that transfers held up.
        let mut was_full = false;
        loop {
            let wake = match self.transfers.is_sending() || was_full {
                true => Wake::Work,
                false => self.wait(&mut told).await,
            };
            if wake == Wake::HandOver {
                return self.into_moved();
            }
            if wake == Wake::Close || !self.place.busy() {
                return None;
            }
            if (wake == Wake::LastLook || self.transfers.is_sending()) && self.look().await.is_err()
            {
                return None;
            }
            if self.answer_all().await == Next::Close {
                break;
            }
            was_full = self.transfers.is_full();
            if !self.send_of_transfer().await {
                break;
            }
            was_full &= !self.transfers.is_full();
            let is_last = self.ended || wake == Wake::LastLook && self.input.is_empty();
            if is_last && self.transfers.is_empty() && !was_full {
                break;
            }
        }
        // A polite end; a client that is gone already does not mind, and one that does not
        // take it is not waited for.
        let _ = timeout(self.shared.options.write_timeout, self.stream.shutdown()).await;
        None
    }

    /// Nothing is owed to the client here: every whole message was answered.
    fn into_moved(self) -> Option<Moved> {
        let (client, unanswered) = (self.meta.client, self.unanswered);
        let stream = self.stream.into_plain()?;
        Some(Moved { stream, client, input: self.input, unanswered })
    }

    /// Waits for bytes within the deadline that applies, and takes them.
    async fn wait(&mut self, told: &mut watch::Receiver<Phase>) -> Wake {
        let waits = !self.transfers.is_empty();
        let idle = self.input.is_empty() && !waits;
        if idle {
            self.input = Vec::new();
            self.output = Vec::new();
            self.place.idle();
        }
        let options = &self.shared.options;
        let longest = if waits { TRANSFER_WAIT } else { options.idle_timeout };
        let deadline = self.message_deadline.unwrap_or_else(|| Instant::now() + longest);
        let Connection { stream, input, place, transfers, ended, shared, .. } = self;
        let open = !*ended && !transfers.is_full();
        tokio::select! {
            biased;
            () = place.evicted(), if idle => Wake::Close,
            // Before what comes next, or a client that never pauses would be here for ever.
            // With part of a message here, a server that stops waits for its rest: until it
            // gives up on all that are left.
            phase = told.wait_for(|&phase| {
                S::MOVES && !waits && phase == Phase::HandingOver
                    || idle && phase > Phase::Serving
            }) => match phase {
                Ok(phase) if S::MOVES && *phase == Phase::HandingOver => Wake::HandOver,
                _ => Wake::LastLook,
            },
            () = transfers.permitted(&shared.transfers), if waits => Wake::Work,
            read = poll_fn(|cx| poll_read(stream, input, cx)), if open => match read {
                Ok(end) => {
                    *ended = end;
                    Wake::Work
                }
                Err(_) => Wake::Close,
            },
            () = tokio::time::sleep_until(deadline) => {
                if !idle {
                    place.count(|counts| counts.stalled += 1);
                }
                Wake::Close
            }
        }
    }

    /// Takes what has arrived, and waits for nothing.
    async fn look(&mut self) -> io::Result<()> {
        if self.ended || self.transfers.is_full() {
            return Ok(());
        }
        let (stream, input) = (&mut self.stream, &mut self.input);
        let read = poll_fn(|cx| match poll_read(stream, input, cx) {
            Poll::Ready(read) => Poll::Ready(read),
            Poll::Pending => Poll::Ready(Ok(false)),
        });
        self.ended = read.await?;
        Ok(())
    }

    /// Answers every whole message and writes the replies.
    async fn answer_all(&mut self) -> Next {
        loop {
            let shared = Arc::clone(&self.shared);
            let next = shared.at_desk(self.place.id(), |desk| self.answer_some(desk));
            if !self.write_out().await {
                return Next::Close;
            }
            if next != Next::AnswerOn {
                return next;
            }
        }
    }

    /// Writes what is owed; false: the client does not take it.
    async fn write_out(&mut self) -> bool {
        if self.output.is_empty() {
            return true;
        }
        let (stream, output) = (&mut self.stream, &self.output);
        let write = async {
            stream.write_all(output).await?;
            // TLS may hold back what was written.
            stream.flush().await
        };
        match timeout(self.shared.options.write_timeout, write).await {
            Ok(Ok(())) => {
                self.output.clear();
                true
            }
            Ok(Err(_)) => false,
            Err(_) => {
                self.place.count(|counts| counts.stalled += 1);
                false
            }
        }
    }

    /// Sends one message of the transfers under way; false: the client does not take it.
    async fn send_of_transfer(&mut self) -> bool {
        if !self.transfers.is_sending() {
            return true;
        }
        let shared = Arc::clone(&self.shared);
        let (transfers, output) = (&mut self.transfers, &mut self.output);
        shared.at_desk(self.place.id(), |desk| {
            if let Some(message) = transfers.next(&mut desk.out) {
                frame::put(message, output);
            }
        });
        self.write_out().await
    }

    /// Answers whole messages until there is none or enough to write.
    fn answer_some(&mut self, desk: &mut Desk<R>) -> Next {
        let mut used = 0;
        desk.responder.begin_batch();
        let next = loop {
            let request = match frame::first(&self.input[used..]) {
                Frame::Message(request) if !self.transfers.is_full() => request,
                Frame::Empty => break Next::Close,
                _ => break Next::ReadOn,
            };
            used += frame::PREFIX + request.len();
            if let Some(messages) = desk.responder.begin_transfer(request, &self.meta) {
                self.transfers.begin(messages, &self.shared.transfers);
                continue;
            }
            let reply = desk.responder.respond(request, &self.meta, &mut desk.out);
            match desk.out.get(..reply) {
                Some(reply) if !reply.is_empty() => frame::put(reply, &mut self.output),
                _ => {
                    self.unanswered += 1;
                    if self.unanswered >= UNANSWERED_MAX {
                        self.place.count(|counts| counts.unanswerable += 1);
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
        if self.input.is_empty() || self.transfers.is_full() {
            self.message_deadline = None;
        } else if used > 0 || self.message_deadline.is_none() {
            self.message_deadline = Some(Instant::now() + self.shared.options.message_timeout);
        }
    }
}

/// Takes what has arrived, up to [`READ_MAX`]; true: the client sends no more.
fn poll_read<S: Stream>(
    stream: &mut S,
    input: &mut Vec<u8>,
    context: &mut Context<'_>,
) -> Poll<io::Result<bool>> {
    // On the stack and not across an await: idle connections do not pay for it.
    let mut bytes = [MaybeUninit::uninit(); READ_SIZE];
    let mut taken = 0;
    while taken < READ_MAX {
        let mut buffer = ReadBuf::uninit(&mut bytes);
        match Pin::new(&mut *stream).poll_read(context, &mut buffer) {
            Poll::Ready(Ok(())) if buffer.filled().is_empty() => return Poll::Ready(Ok(true)),
            Poll::Ready(Ok(())) => {
                input.extend_from_slice(buffer.filled());
                taken += buffer.filled().len();
            }
            Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
            Poll::Pending if taken == 0 => return Poll::Pending,
            Poll::Pending => break,
        }
    }
    Poll::Ready(Ok(false))
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
        let shared = Arc::new(Shared::new(TcpOptions::default(), |_| Silent));
        let (_phase, told) = watch::channel(Phase::Serving);
        let connection = Connection::new(stream, meta, place, shared);
        assert_eq!(connection.input.capacity() + connection.output.capacity(), 0);
        let size = size_of_val(&connection.run(told));
        assert!(size < 1024, "{size}");
    }
}
