//! DNS over HTTPS, HTTP/3, on one QUIC connection (RFC 8484, RFC 9114). What a request means
//! is `doh`'s, how much may be sent is `doh3_bounds`'.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use h3::error::Code;
use h3::quic;
use h3::server::{Connection as Http3, RequestResolver, RequestStream};
use hyper::http::{Method, Response};
use quinn::{Connection, VarInt};
use tokio::sync::watch;
use tokio::time::timeout;

use super::Responder;
use super::doh::{self, Asked, HEAD_BYTES_MAX, MESSAGE_MAX, Refusal, Site};
use super::doh3_bounds::{BoundedBidi, BoundedConnection};
use super::session::{End, Gone, Pieces, Session};
use super::tcp::{Phase, leaves};

/// The protocol (ALPN).
pub(super) const PROTOCOL: &[u8] = b"h3";

/// H3_EXCESSIVE_LOAD (RFC 9114 8.1).
pub(super) const EXCESSIVE_LOAD: VarInt = VarInt::from_u32(0x107);
/// H3_NO_ERROR.
const NO_ERROR: VarInt = VarInt::from_u32(0x100);

/// How long a connection that is told to end may take for what is under way.
const GRACE: Duration = Duration::from_secs(1);

type Stream = BoundedBidi<Bytes>;

/// Serves until the client, a limit or the server ends it.
pub(super) async fn serve<R: Responder + 'static>(
    connection: Connection,
    session: Arc<Session<R>>,
    site: Arc<Site>,
    mut told: watch::Receiver<Phase>,
) {
    let mut options = h3::server::builder();
    options.max_field_section_size(HEAD_BYTES_MAX as u64).send_grease(false);
    let begun = options.build(BoundedConnection::new(connection.clone()));
    let begun = timeout(session.options().message_timeout, begun);
    let Ok(Ok(mut http3)) = begun.await else {
        return connection.close(EXCESSIVE_LOAD, b"");
    };
    let code = tokio::select! {
        () = accept_requests(&mut http3, &session, &site) => return,
        end = session.ended() => match end {
            End::Idle => NO_ERROR,
            End::Stalled | End::Evicted => EXCESSIVE_LOAD,
        },
        () = leaves(&mut told) => NO_ERROR,
    };
    if code == NO_ERROR {
        // GOAWAY: what has begun is finished, if its client lets it.
        let _ = timeout(GRACE, async {
            let _ = http3.shutdown(0).await;
            session.quiet().await;
        })
        .await;
    }
    connection.close(code, b"");
}

async fn accept_requests<R: Responder + 'static>(
    http3: &mut Http3<BoundedConnection, Bytes>,
    session: &Arc<Session<R>>,
    site: &Arc<Site>,
) {
    // An error was told to the client by h3.
    while let Ok(Some(request)) = http3.accept().await {
        let (session, site) = (Arc::clone(session), Arc::clone(site));
        tokio::spawn(async move { respond(request, &session, &site).await });
    }
}

/// One request.
async fn respond<R: Responder + 'static>(
    request: RequestResolver<BoundedConnection, Bytes>,
    session: &Arc<Session<R>>,
    site: &Site,
) {
    let _under_way = session.begin();
    let options = session.options();
    let head = timeout(options.message_timeout, request.resolve_request()).await;
    // What was wrong with it was told by h3: 431, or a reset.
    let Ok(Ok((request, mut stream))) = head else { return };
    let is_head = *request.method() == Method::HEAD;
    let query = match doh::read(site, request.method(), request.uri(), request.headers()) {
        Ok(Asked::Query(query)) => Ok(query),
        Ok(Asked::Body) => {
            session.collect(InBody(&mut stream), MESSAGE_MAX).await.map_err(Refusal::from)
        }
        Err(refusal) => Err(refusal),
    };
    if query.is_err() {
        // The rest of the body is not read (RFC 9114 4.1.1).
        stream.stop_sending(Code::H3_NO_ERROR);
    }
    let response = doh::answer(site, query, |query| session.answer(query));
    let sent = send(&mut stream, response, is_head);
    if timeout(options.write_timeout, sent).await.is_err() {
        session.stalled();
        stream.stop_stream(Code::H3_EXCESSIVE_LOAD);
    }
}

async fn send(
    stream: &mut RequestStream<Stream, Bytes>,
    response: Response<Bytes>,
    is_head: bool,
) -> Option<()> {
    let (head, bytes) = response.into_parts();
    stream.send_response(Response::from_parts(head, ())).await.ok()?;
    if !is_head {
        stream.send_data(bytes).await.ok()?;
    }
    stream.finish().await.ok()
}

/// The body of a request.
struct InBody<'s>(&'s mut RequestStream<Stream, Bytes>);

impl Pieces for InBody<'_> {
    type Piece = Bytes;

    async fn next(&mut self) -> Result<Option<Bytes>, Gone> {
        use bytes::Buf;
        let piece = self.0.recv_data().await.map_err(|_| Gone)?;
        Ok(piece.map(|mut piece| piece.copy_to_bytes(piece.remaining())))
    }
}

// The streams are what h3 asks for: checked where it is clear what is meant.
const _: fn() = || {
    fn is_stream<S: quic::SendStream<Bytes> + quic::RecvStream>() {}
    is_stream::<Stream>();
};
