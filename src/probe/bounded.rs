//! A connection that reads so much and no more, whatever the peer pushes.
//!
//! Headers, frames, interim responses, chunk headers and TLS's own messages have no end
//! that their protocols would enforce all together; this is the bound over all of them.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// See the module.
#[derive(Debug)]
pub(super) struct Bounded<S> {
    stream: S,
    most: usize,
    read: usize,
}

/// What the peer did: the cause of the error of a read beyond the bound.
#[derive(Debug, thiserror::Error)]
#[error("the peer sent more than {0} bytes and no whole response")]
pub(super) struct TooMuch(usize);

impl<S> Bounded<S> {
    /// `stream`, of which at most `most` bytes are read.
    pub(super) fn new(stream: S, most: usize) -> Bounded<S> {
        Bounded { stream, most, read: 0 }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Bounded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.read >= self.most {
            return Poll::Ready(Err(io::Error::other(TooMuch(self.most))));
        }
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.read += buffer.filled().len() - before;
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Bounded<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
