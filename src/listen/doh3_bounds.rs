//! QUIC streams for h3 that end when more came on them than HTTP/3 needs here.
//!
//! h3 keeps a frame in memory until it is whole, whatever length it is said to have, and
//! skips unknown ones the same way: what comes on a stream must be bounded below it.
//!
//! Must not know HTTP.

use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use h3::error::Code;
use h3::quic::{
    Connection, ConnectionErrorIncoming, OpenStreams, RecvStream, SendStream, StreamErrorIncoming,
    StreamId, WriteBuf,
};

/// Bytes of a request: its head, a message, and frames around them.
const REQUEST_MAX: usize = 96 * 1024;
/// Bytes of a stream of the connection itself (control, QPACK), as long as it lives.
const CONTROL_MAX: usize = 64 * 1024;

/// More came than there may.
#[derive(Debug, thiserror::Error)]
#[error("more than {0} bytes on a stream")]
struct TooMuch(usize);

/// A connection whose incoming streams are bounded.
pub(super) struct BoundedConnection(h3_quinn::Connection);

impl BoundedConnection {
    pub(super) fn new(connection: quinn::Connection) -> BoundedConnection {
        BoundedConnection(h3_quinn::Connection::new(connection))
    }
}

impl<B: Buf> Connection<B> for BoundedConnection {
    type RecvStream = Bounded<h3_quinn::RecvStream>;
    type OpenStreams = Opener;

    fn poll_accept_recv(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Self::RecvStream, ConnectionErrorIncoming>> {
        let stream = ready!(Connection::<B>::poll_accept_recv(&mut self.0, cx));
        Poll::Ready(stream.map(|stream| Bounded::new(stream, CONTROL_MAX)))
    }

    fn poll_accept_bidi(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<BoundedBidi<B>, ConnectionErrorIncoming>> {
        let stream = ready!(Connection::<B>::poll_accept_bidi(&mut self.0, cx));
        Poll::Ready(stream.map(|stream| Bounded::new(stream, REQUEST_MAX)))
    }

    fn opener(&self) -> Opener {
        Opener(Connection::<B>::opener(&self.0))
    }
}

impl<B: Buf> OpenStreams<B> for BoundedConnection {
    type BidiStream = BoundedBidi<B>;
    type SendStream = h3_quinn::SendStream<B>;

    fn poll_open_bidi(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<BoundedBidi<B>, StreamErrorIncoming>> {
        let stream = ready!(OpenStreams::<B>::poll_open_bidi(&mut self.0, cx));
        Poll::Ready(stream.map(|stream| Bounded::new(stream, REQUEST_MAX)))
    }

    fn poll_open_send(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Self::SendStream, StreamErrorIncoming>> {
        OpenStreams::<B>::poll_open_send(&mut self.0, cx)
    }

    fn close(&mut self, code: Code, reason: &[u8]) {
        OpenStreams::<B>::close(&mut self.0, code, reason);
    }
}

/// Opens streams of such a connection.
pub(super) struct Opener(h3_quinn::OpenStreams);

impl<B: Buf> OpenStreams<B> for Opener {
    type BidiStream = BoundedBidi<B>;
    type SendStream = h3_quinn::SendStream<B>;

    fn poll_open_bidi(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<BoundedBidi<B>, StreamErrorIncoming>> {
        let stream = ready!(OpenStreams::<B>::poll_open_bidi(&mut self.0, cx));
        Poll::Ready(stream.map(|stream| Bounded::new(stream, REQUEST_MAX)))
    }

    fn poll_open_send(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Self::SendStream, StreamErrorIncoming>> {
        OpenStreams::<B>::poll_open_send(&mut self.0, cx)
    }

    fn close(&mut self, code: Code, reason: &[u8]) {
        OpenStreams::<B>::close(&mut self.0, code, reason);
    }
}

/// A stream on which so many bytes may come.
pub(super) struct Bounded<S> {
    stream: S,
    left: usize,
    most: usize,
}

/// One that goes both ways.
pub(super) type BoundedBidi<B> = Bounded<h3_quinn::BidiStream<B>>;

impl<S> Bounded<S> {
    fn new(stream: S, most: usize) -> Bounded<S> {
        Bounded { stream, left: most, most }
    }
}

impl<S: RecvStream<Buf = Bytes>> RecvStream for Bounded<S> {
    type Buf = Bytes;

    fn poll_data(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Bytes>, StreamErrorIncoming>> {
        let data = ready!(self.stream.poll_data(cx))?;
        let length = data.as_ref().map_or(0, Bytes::len);
        let Some(left) = self.left.checked_sub(length) else {
            self.left = 0;
            self.stream.stop_sending(Code::H3_EXCESSIVE_LOAD.value());
            let error = StreamErrorIncoming::Unknown(Box::new(TooMuch(self.most)));
            return Poll::Ready(Err(error));
        };
        self.left = left;
        Poll::Ready(Ok(data))
    }

    fn stop_sending(&mut self, error_code: u64) {
        self.stream.stop_sending(error_code);
    }

    fn recv_id(&self) -> StreamId {
        self.stream.recv_id()
    }
}

impl<B: Buf, S: SendStream<B>> SendStream<B> for Bounded<S> {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), StreamErrorIncoming>> {
        self.stream.poll_ready(cx)
    }

    fn send_data<T: Into<WriteBuf<B>>>(&mut self, data: T) -> Result<(), StreamErrorIncoming> {
        self.stream.send_data(data)
    }

    fn poll_finish(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), StreamErrorIncoming>> {
        self.stream.poll_finish(cx)
    }

    fn reset(&mut self, reset_code: u64) {
        self.stream.reset(reset_code);
    }

    fn send_id(&self) -> StreamId {
        self.stream.send_id()
    }
}
