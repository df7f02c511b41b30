//! DNS over HTTPS, HTTP/1.1 and HTTP/2, on one TCP connection (RFC 8484, RFC 9112, RFC 9113).
//!
//! hyper and h2 keep to the protocols; every bound that they leave open is set here, also
//! where it is their default, so that it stays what it is. What a request means is `doh`'s.

use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::http::{Method, Request, Response};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_rustls::server::TlsStream;

use super::Responder;
use super::doh::{self, Asked, FIELDS_MAX, HEAD_BYTES_MAX, MESSAGE_MAX, Refusal, Site};
use super::session::{End, Gone, Pieces, STREAMS_MAX, Session, UnderWay};
use super::tcp::{Phase, leaves};

/// Protocols of a listener (ALPN), the better one first.
pub(super) const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// What a client may send on one HTTP/2 stream before it is read: a whole message.
const STREAM_WINDOW: u32 = 65_535;
/// And on all of a connection.
const CONNECTION_WINDOW: u32 = 128 * 1024;
/// Frames of HTTP/2, at most (RFC 9113 4.2: every peer takes as much).
const FRAME_MAX: u32 = 16 * 1024;
/// Streams that a client opened and reset, and that nobody has looked at yet: a client that
/// does nothing else is cut off (CVE-2023-44487).
const RESETS_MAX: usize = 20;
/// Streams that were reset by this side for what its client sent.
const ERRORS_MAX: usize = 100;

/// How long a connection that is told to end may take for it.
const GRACE: Duration = Duration::from_secs(1);

/// Serves until the client, a limit or the server ends it.
pub(super) async fn serve<R: Responder + 'static>(
    stream: TlsStream<TcpStream>,
    session: Arc<Session<R>>,
    site: Arc<Site>,
    told: watch::Receiver<Phase>,
) {
    let is_h2 = stream.get_ref().1.alpn_protocol() == Some(PROTOCOLS[0]);
    let answering = Arc::clone(&session);
    let service = service_fn(move |request| {
        let (session, site) = (Arc::clone(&answering), Arc::clone(&site));
        async move { Ok::<_, Infallible>(respond(request, session, &site).await) }
    });
    let stream = TokioIo::new(stream);
    if is_h2 {
        let connection = http2_options().serve_connection(stream, service);
        run(connection, http2::Connection::graceful_shutdown, &session, told).await;
    } else {
        let idle = session.options().idle_timeout;
        let connection = http1_options(idle).serve_connection(stream, service);
        run(connection, http1::Connection::graceful_shutdown, &session, told).await;
    }
}

fn http1_options(idle: Duration) -> http1::Builder {
    let mut options = http1::Builder::new();
    options
        .timer(TokioTimer::new())
        .header_read_timeout(idle)
        .max_buf_size(HEAD_BYTES_MAX)
        .max_headers(FIELDS_MAX)
        // A client that has said all it has to say still gets its answer.
        .half_close(true);
    options
}

fn http2_options() -> http2::Builder<TokioExecutor> {
    let mut options = http2::Builder::new(TokioExecutor::new());
    options
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_frame_size(FRAME_MAX)
        // CONTINUATION frames are bounded by this, and in number by h2.
        .max_header_list_size(HEAD_BYTES_MAX as u32)
        .max_send_buf_size(MESSAGE_MAX)
        .max_pending_accept_reset_streams(RESETS_MAX)
        .max_local_error_reset_streams(ERRORS_MAX);
    options
}

/// Runs a connection of either version to its end.
async fn run<C, R>(
    connection: C,
    close: impl FnOnce(Pin<&mut C>),
    session: &Session<R>,
    mut told: watch::Receiver<Phase>,
) where
    C: Future<Output = hyper::Result<()>>,
    R: Responder + 'static,
{
    let mut connection = pin!(connection);
    tokio::select! {
        ended = &mut connection => {
            if let Err(error) = ended {
                tracing::debug!(%error, "connection of DNS over HTTPS");
            }
            return;
        }
        end = session.ended() => match end {
            End::Idle => {}
            End::Stalled | End::Evicted => return,
        },
        () = leaves(&mut told) => {}
    }
    close(connection.as_mut());
    // Whatever has begun by now is finished, if its client lets it.
    let _ = timeout(GRACE, connection).await;
}

/// One request.
async fn respond<R: Responder + 'static>(
    request: Request<Incoming>,
    session: Arc<Session<R>>,
    site: &Site,
) -> Response<Sent<R>> {
    let under_way = session.begin();
    let is_head = *request.method() == Method::HEAD;
    let query = match doh::read(site, request.method(), request.uri(), request.headers()) {
        Ok(Asked::Query(query)) => Ok(query),
        Ok(Asked::Body) => {
            session.collect(InBody(request.into_body()), MESSAGE_MAX).await.map_err(Refusal::from)
        }
        Err(refusal) => Err(refusal),
    };
    let response = doh::answer(site, query, |query| session.answer(query));
    response.map(|bytes| Sent { bytes: (!is_head).then_some(bytes), _under_way: under_way })
}

/// The body of a request.
struct InBody(Incoming);

impl Pieces for InBody {
    type Piece = Bytes;

    async fn next(&mut self) -> Result<Option<Bytes>, Gone> {
        loop {
            let frame = std::future::poll_fn(|cx| Pin::new(&mut self.0).poll_frame(cx)).await;
            match frame {
                None => return Ok(None),
                Some(Err(_)) => return Err(Gone),
                Some(Ok(frame)) => {
                    // Trailers say nothing.
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
            }
        }
    }
}

/// The body of a response; its request is under way until it is taken.
struct Sent<R> {
    /// None: sent already, or the head alone was asked for.
    bytes: Option<Bytes>,
    _under_way: UnderWay<R>,
}

impl<R> Body for Sent<R> {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.bytes.take().map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
    }
}
