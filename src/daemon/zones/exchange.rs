//! One conversation with another server: messages over TCP, or one over UDP, signed where
//! there is a key. Every wait has an end.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream, UdpSocket};
use tokio::time::{Instant, timeout, timeout_at};

use crate::clock;
use crate::dns::message::Message;
use crate::dns::tsig::{self, Key, ReplyError, Session};

/// Longest wait for a connection, and for the next message on it.
const WAIT: Duration = Duration::from_secs(10);

/// Why a conversation came to nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum ExchangeError {
    /// The other side cannot be reached, or stopped talking.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// It took too long.
    #[error("no answer in time")]
    Timeout,
    /// What came is not signed as it has to be.
    #[error("{0}")]
    Signature(#[from] ReplyError),
}

/// A connection on which a question was asked.
pub(super) struct Conversation {
    stream: TcpStream,
    session: Option<Session>,
}

impl Conversation {
    /// Connects to `server` from `source`.
    pub(super) async fn connect(
        source: IpAddr,
        server: SocketAddr,
    ) -> Result<Conversation, ExchangeError> {
        let socket = match server {
            SocketAddr::V4(_) => TcpSocket::new_v4()?,
            SocketAddr::V6(_) => TcpSocket::new_v6()?,
        };
        socket.bind((source, 0).into())?;
        let connected = timeout(WAIT, socket.connect(server)).await;
        let stream = connected.map_err(|_| ExchangeError::Timeout)??;
        Ok(Conversation { stream, session: None })
    }

    /// Asks; what was asked before is done with.
    pub(super) async fn ask(
        &mut self,
        mut message: Vec<u8>,
        key: Option<&Arc<Key>>,
    ) -> Result<(), ExchangeError> {
        self.session = key.map(|key| tsig::sign_request(key, &mut message, now_s()));
        let mut framed = (message.len() as u16).to_be_bytes().to_vec();
        framed.append(&mut message);
        let written = timeout(WAIT, self.stream.write_all(&framed)).await;
        Ok(written.map_err(|_| ExchangeError::Timeout)??)
    }

    /// The next message, without its signature, which was checked.
    pub(super) async fn next(&mut self) -> Result<Vec<u8>, ExchangeError> {
        let read = async {
            let length = self.stream.read_u16().await?;
            let mut message = vec![0; usize::from(length)];
            self.stream.read_exact(&mut message).await?;
            Ok::<_, io::Error>(message)
        };
        let message = timeout(WAIT, read).await.map_err(|_| ExchangeError::Timeout)??;
        match &mut self.session {
            Some(session) => Ok(session.check(&message, now_s())?),
            None => Ok(message),
        }
    }

    /// Whether all that came so far is signed.
    pub(super) fn is_closed(&self) -> bool {
        self.session.as_ref().is_none_or(Session::is_closed)
    }
}

/// The address that `server` knows this one by: that of a listener, where one is named, for
/// the other side goes by it (`allow-notify`, `masters`, transfer lists).
pub(super) fn source(listen: &[SocketAddr], server: SocketAddr) -> IpAddr {
    let is_near = |address: &IpAddr| address.is_loopback() == server.ip().is_loopback();
    let named = listen.iter().map(SocketAddr::ip).find(|address| {
        !address.is_unspecified() && address.is_ipv4() == server.is_ipv4() && is_near(address)
    });
    named.unwrap_or(match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    })
}

/// Sends `message` from `source` over UDP and waits until `wait` is over for its answer: anything else
/// that comes is passed over.
pub(super) async fn over_udp(
    source: IpAddr,
    server: SocketAddr,
    mut message: Vec<u8>,
    key: Option<&Arc<Key>>,
    wait: Duration,
) -> Result<Vec<u8>, ExchangeError> {
    let socket = UdpSocket::bind((source, 0)).await?;
    socket.connect(server).await?;
    let question = [&message[..2], &message[12..]].concat();
    let mut session = key.map(|key| tsig::sign_request(key, &mut message, now_s()));
    let deadline = Instant::now() + wait;
    socket.send(&message).await?;
    let mut bytes = vec![0; 4_096];
    loop {
        let received = timeout_at(deadline, socket.recv(&mut bytes)).await;
        let length = received.map_err(|_| ExchangeError::Timeout)??;
        let reply = &bytes[..length];
        let is_ours = Message::parse(reply)
            .is_ok_and(|reply| reply.is_response() && reply.id() == [question[0], question[1]]);
        if !is_ours {
            continue;
        }
        match &mut session {
            None => return Ok(reply.to_vec()),
            Some(session) => match session.check(reply, now_s()) {
                Ok(plain) => return Ok(plain),
                // Said by the server itself; anything else may be said by anybody.
                Err(refused @ ReplyError::Refused(_)) => return Err(refused.into()),
                Err(_) => {}
            },
        }
    }
}

/// A message ID that nobody guesses.
pub(super) fn random_id() -> [u8; 2] {
    let mut id = [0; 2];
    // Without randomness the system is in a state in which nothing is safe; an ID of 0 is
    // then as good as another.
    let _ = aws_lc_rs::rand::fill(&mut id);
    id
}

fn now_s() -> u64 {
    u64::from(clock::unix_s())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_source_is_the_listener_of_the_same_kind() {
        let listen: Vec<SocketAddr> =
            ["0.0.0.0:53", "127.0.0.1:53", "192.0.2.1:53", "192.0.2.9:53", "[2001:db8::1]:53"]
                .iter()
                .map(|address| address.parse().unwrap())
                .collect();
        for (server, expected) in [
            ("198.51.100.1:53", "192.0.2.1"),
            ("127.0.0.2:53", "127.0.0.1"),
            ("[2001:db8::9]:53", "2001:db8::1"),
            ("[::1]:53", "::"),
        ] {
            let source = source(&listen, server.parse().unwrap());
            assert_eq!(source, expected.parse::<IpAddr>().unwrap(), "{server}");
        }
        let wildcard = source(&listen[..1], "198.51.100.1:53".parse().unwrap());
        assert!(wildcard.is_unspecified());
    }
}
