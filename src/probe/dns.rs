//! A DNS check: one query over UDP or TCP, until a reply of ours comes.
//!
//! Over UDP whatever is not ours is passed over until the deadline: anybody may
//! send it. Over TCP only the peer can have sent it.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::connect::{connect, network_failure, stream_failure, told_failure};
use super::dns_reply::{Reply, judge, query};
use super::families::FAMILIES;
use super::packet::{Strangers, nonce, udp_socket};
use super::{Phase, Progress};
use crate::health::check::DnsProbe;
use crate::health::{Failure, FailureKind};

/// Without EDNS no reply is longer than 512 bytes; what is, cannot be read.
const UDP_BYTES_MAX: usize = 2_048;

/// Asks `to`.
pub(super) async fn exchange(
    probe: &DnsProbe,
    to: SocketAddr,
    progress: &mut Progress,
) -> Result<(), Failure> {
    let id = nonce(&to.ip()) as u16;
    let message = query(probe, id).ok_or_else(|| {
        Failure::new(FailureKind::Internal, format!("{} is no name to ask for", probe.name))
    })?;
    if !probe.tcp {
        progress.phase = Phase::Answer;
        if let Some(result) = over_udp(probe, id, &message, to).await {
            return result;
        }
        progress.phase = Phase::Connect;
    }
    over_tcp(probe, id, &message, to, progress).await
}

/// None: truncated.
async fn over_udp(
    probe: &DnsProbe,
    id: u16,
    message: &[u8],
    to: SocketAddr,
) -> Option<Result<(), Failure>> {
    let ask = async {
        // Connected: replies of other addresses do not reach it, errors of this one do.
        let socket = udp_socket(&probe.route, to)?;
        socket.send(message).await.map_err(|error| network_failure(&error, to.ip(), "send"))?;
        let mut buffer = [0; UDP_BYTES_MAX];
        let mut strangers = Strangers::default();
        loop {
            let length = socket
                .recv(&mut buffer)
                .await
                .map_err(|error| told_failure(&error, to.ip(), "answer"))?;
            FAMILIES.reached(to.ip());
            match judge(probe, id, &buffer[..length]) {
                Reply::NotOurs => strangers.pass().await,
                Reply::Truncated => return Ok(None),
                Reply::Judged(result) => return result.map(Some),
            }
        }
    };
    ask.await.transpose()
}

async fn over_tcp(
    probe: &DnsProbe,
    id: u16,
    message: &[u8],
    to: SocketAddr,
    progress: &mut Progress,
) -> Result<(), Failure> {
    let mut stream = connect(to, &probe.route, true).await?;
    progress.phase = Phase::Answer;
    // A name is at most 255 bytes long, so a query is too short to overflow.
    let mut framed = (message.len() as u16).to_be_bytes().to_vec();
    framed.extend_from_slice(message);
    stream.write_all(&framed).await.map_err(|error| stream_failure(&error, "send"))?;
    let failure = |error: &std::io::Error| match error.kind() {
        std::io::ErrorKind::UnexpectedEof => {
            Failure::new(FailureKind::Protocol, "connection closed before a whole answer")
        }
        _ => stream_failure(error, "answer"),
    };
    let length = stream.read_u16().await.map_err(|error| failure(&error))?;
    let mut reply = vec![0; usize::from(length)];
    stream.read_exact(&mut reply).await.map_err(|error| failure(&error))?;
    let protocol = |detail: &str| Err(Failure::new(FailureKind::Protocol, detail));
    match judge(probe, id, &reply) {
        Reply::NotOurs => protocol("what came over TCP is no answer to the query"),
        Reply::Truncated => protocol("answer truncated over TCP"),
        Reply::Judged(result) => result,
    }
}
