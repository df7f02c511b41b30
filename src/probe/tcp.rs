//! A TCP check once connected: send, and wait for the expected text.

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::body::contains;
use super::connect::stream_failure;
use super::{Phase, Progress};
use crate::health::check::TcpProbe;
use crate::health::{Failure, FailureKind};

/// Most bytes read while waiting for the expected text.
pub(super) const READ_BYTES_MAX: usize = 64 * 1024;

/// Sends and expects over `stream`.
pub(super) async fn exchange<S>(
    probe: &TcpProbe,
    mut stream: S,
    progress: &mut Progress,
) -> Result<(), Failure>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    if let Some(text) = &probe.send {
        progress.phase = Phase::Send;
        stream.write_all(text.as_bytes()).await.map_err(|error| stream_failure(&error, "send"))?;
        stream.flush().await.map_err(|error| stream_failure(&error, "send"))?;
    }
    let Some(expected) = probe.expect.as_ref().filter(|text| !text.is_empty()) else {
        return Ok(());
    };
    progress.phase = Phase::Expect;
    let mut seen = Vec::new();
    let mut buffer = [0; 2_048];
    while seen.len() < READ_BYTES_MAX {
        let count = match stream.read(&mut buffer).await {
            Ok(count) => count,
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => 0,
            Err(error) => return Err(stream_failure(&error, "receive")),
        };
        if count == 0 {
            break;
        }
        let from = seen.len().saturating_sub(expected.len() - 1);
        seen.extend_from_slice(&buffer[..count]);
        if contains(&seen[from..], expected.as_bytes()) {
            return Ok(());
        }
    }
    let detail = format!("expected text not in the {} bytes received", seen.len());
    Err(Failure::new(FailureKind::Body, detail))
}
