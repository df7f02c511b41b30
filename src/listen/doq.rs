//! DNS over QUIC on one connection (RFC 9250): a stream for each query.
//!
//! What this RFC calls a protocol error ends the connection; what fails for one stream ends
//! that. Must not know how connections come to be; that is `quic`.

use std::sync::Arc;
use std::time::Duration;

use quinn::{Connection, ReadError, RecvStream, SendStream, VarInt};
use tokio::sync::watch;
use tokio::time::timeout;

use super::Responder;
use super::session::{End, Gone, Pieces, Session, Unusable};
use super::tcp::{Phase, leaves};
use super::wire::has_keepalive;

/// The protocol (ALPN).
pub(super) const PROTOCOL: &[u8] = b"doq";

/// The length in front of each message.
const PREFIX: usize = 2;
/// A message with its length, at most.
const FRAMED_MAX: usize = PREFIX + 65_535;
/// Bit of a header's third byte: this is a response.
const RESPONSE: u8 = 0x80;

/// How long a connection that is told to end may take for what is under way.
const GRACE: Duration = Duration::from_secs(1);

/// Error codes (RFC 9250 4.3).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Code {
    /// It just ends.
    NoError = 0,
    /// The answer could not be made.
    Internal = 1,
    /// The client broke a rule.
    Protocol = 2,
    /// The client does not want the answer any more.
    Cancelled = 3,
    /// There is no room.
    ExcessiveLoad = 4,
    /// Anything else.
    Unspecified = 5,
}

impl From<Code> for VarInt {
    fn from(code: Code) -> VarInt {
        VarInt::from_u32(code as u32)
    }
}

/// Serves until the client, a limit or the server ends it.
pub(super) async fn serve<R: Responder + 'static>(
    connection: Connection,
    session: Arc<Session<R>>,
    mut told: watch::Receiver<Phase>,
) {
    let code = tokio::select! {
        code = accept_streams(&connection, &session) => code,
        end = session.ended() => match end {
            End::Idle => Code::NoError,
            End::Stalled => Code::Unspecified,
            End::Evicted => Code::ExcessiveLoad,
        },
        () = leaves(&mut told) => {
            let _ = timeout(GRACE, session.quiet()).await;
            Code::NoError
        }
    };
    connection.close(code.into(), b"");
}

async fn accept_streams<R: Responder + 'static>(
    connection: &Connection,
    session: &Arc<Session<R>>,
) -> Code {
    loop {
        let accepted = tokio::select! {
            accepted = connection.accept_bi() => accepted,
            // None is allowed (RFC 9250 4.3.3).
            uni = connection.accept_uni() => match uni {
                Ok(_) => return Code::Protocol,
                Err(error) => Err(error),
            },
        };
        // The connection is gone already: the code goes nowhere.
        let Ok((send, receive)) = accepted else { return Code::NoError };
        let (connection, session) = (connection.clone(), Arc::clone(session));
        tokio::spawn(async move {
            if answer_stream(send, receive, &session).await == Err(Broken) {
                connection.close(Code::Protocol.into(), b"");
            }
        });
    }
}

/// The client broke a rule.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Broken;

/// One query.
async fn answer_stream<R: Responder + 'static>(
    mut send: SendStream,
    mut receive: RecvStream,
    session: &Arc<Session<R>>,
) -> Result<(), Broken> {
    let _under_way = session.begin();
    let fail = |send: &mut SendStream, code: Code| {
        // A stream that is gone needs no ending.
        let _ = send.reset(code.into());
    };
    let framed = match session.collect(InStream(&mut receive), FRAMED_MAX).await {
        Ok(framed) => framed,
        Err(Unusable::TooLong) => {
            fail(&mut send, Code::Protocol);
            return Err(Broken);
        }
        Err(Unusable::Gone) => {
            fail(&mut send, Code::Cancelled);
            return Ok(());
        }
        Err(Unusable::Slow) => {
            let _ = receive.stop(Code::Unspecified.into());
            fail(&mut send, Code::Unspecified);
            return Ok(());
        }
    };
    let Ok(request) = read(&framed) else {
        // Or its end would look like that of an empty reply.
        fail(&mut send, Code::Protocol);
        return Err(Broken);
    };
    let reply = session.answer(request);
    if reply.is_empty() {
        fail(&mut send, Code::Internal);
        return Ok(());
    }
    // At most 65,535: the room there is.
    let length = (reply.len() as u16).to_be_bytes();
    let sent = async {
        send.write_all(&length).await.ok()?;
        send.write_chunk(reply).await.ok()?;
        send.finish().ok()?;
        // Until the client has it, or does not want it.
        send.stopped().await.ok()
    };
    if timeout(session.options().write_timeout, sent).await.is_err() {
        session.stalled();
        fail(&mut send, Code::Unspecified);
    }
    Ok(())
}

/// The query of a whole stream (RFC 9250 4.2, 4.2.1, 5.5.2).
fn read(framed: &[u8]) -> Result<&[u8], Broken> {
    let (length, message) = framed.split_first_chunk::<PREFIX>().ok_or(Broken)?;
    if usize::from(u16::from_be_bytes(*length)) != message.len() {
        return Err(Broken);
    }
    let header = message.first_chunk::<12>().ok_or(Broken)?;
    let is_query = header[2] & RESPONSE == 0;
    let has_id = header[..2] != [0, 0];
    if has_id || !is_query || has_keepalive(message) {
        return Err(Broken);
    }
    Ok(message)
}

/// What comes on a stream.
struct InStream<'s>(&'s mut RecvStream);

impl Pieces for InStream<'_> {
    type Piece = bytes::Bytes;

    async fn next(&mut self) -> Result<Option<bytes::Bytes>, Gone> {
        let chunk: Result<_, ReadError> = self.0.read_chunk(FRAMED_MAX, true).await;
        chunk.map(|chunk| chunk.map(|chunk| chunk.bytes)).map_err(|_| Gone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_holds_one_query_with_id_0() {
        let query = [0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1];
        let framed = |length: u16, message: &[u8]| [&length.to_be_bytes(), message].concat();
        assert_eq!(read(&framed(17, &query)), Ok(&query[..]));
        let with = |at: usize, value: u8| {
            let mut query = query;
            query[at] = value;
            framed(17, &query)
        };
        let mut keepalive = query.to_vec();
        keepalive[11] = 1;
        keepalive.extend_from_slice(&[0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 4, 0, 11, 0, 0]);
        let refused: [(&str, Vec<u8>); 9] = [
            ("nothing", vec![]),
            ("half a length", vec![0]),
            ("no message", vec![0, 0]),
            ("less than it says", framed(18, &query)),
            ("more than it says", framed(16, &query)),
            ("less than a header", framed(11, &query[..11])),
            ("an ID", with(1, 7)),
            ("a response", with(2, 0x81)),
            ("keepalive", framed(32, &keepalive)),
        ];
        for (what, framed) in refused {
            assert_eq!(read(&framed), Err(Broken), "{what}");
        }
        keepalive[29] = 12;
        assert!(read(&framed(32, &keepalive)).is_ok(), "another option is none of its business");
    }
}
