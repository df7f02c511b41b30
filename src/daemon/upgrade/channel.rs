//! The line between the server that leaves and the one that takes its place: frames with
//! descriptors, over a unix socket that the new process finds as its standard input.
//!
//! ```text
//! kind (u8) │ descriptors (u8) │ 0 (u16) │ length (u32, little-endian) │ payload
//!   ▲ the descriptors travel with the first byte
//! ```
//!
//! Both ends take any bytes: the other may be another version, or no Windrose at all.
//! Nothing waits without a deadline.
//!
//! It must not know what frames mean.

use std::collections::VecDeque;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

/// Descriptors of one frame: the kernel takes 253 at once.
pub(super) const DESCRIPTORS_MAX: usize = 64;
/// Longest payload: the health of millions of targets.
const LENGTH_MAX: u32 = 1 << 30;
const HEADER: usize = 8;
/// The longest that a read waits before it looks at its deadline again.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How long the other end may leave what is sent to it unread.
const WRITE_WAIT: Duration = Duration::from_secs(10);

/// Why a frame did not come or go.
#[derive(Debug, thiserror::Error)]
pub(super) enum ChannelError {
    /// The other end is no more, or has closed.
    #[error("it ended")]
    Closed,
    /// Nothing came in time.
    #[error("nothing came from it in time")]
    Late,
    /// Whoever waits was told to stop.
    #[error("this server is stopping")]
    Stopped,
    /// What came is not what the other end should say.
    #[error("it said something else than it should: {0}")]
    Strange(&'static str),
    /// The system refuses.
    #[error("{0}")]
    System(#[from] io::Error),
}

/// One frame.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) kind: u8,
    pub(super) payload: Vec<u8>,
    pub(super) descriptors: Vec<OwnedFd>,
}

/// One end.
#[derive(Debug)]
pub(super) struct Channel {
    stream: UnixStream,
}

impl Channel {
    pub(super) fn new(stream: UnixStream) -> io::Result<Channel> {
        stream.set_read_timeout(Some(LOOK_EVERY))?;
        stream.set_write_timeout(Some(WRITE_WAIT))?;
        Ok(Channel { stream })
    }

    /// Sends a frame.
    ///
    /// # Errors
    /// Closed; late, when nobody reads; what the system says.
    pub(super) fn send(
        &self,
        kind: u8,
        payload: &[u8],
        descriptors: &[BorrowedFd<'_>],
    ) -> Result<(), ChannelError> {
        let length = u32::try_from(payload.len()).ok().filter(|length| *length <= LENGTH_MAX);
        let length = length.ok_or(ChannelError::Strange("a frame that is too long"))?;
        let count = u8::try_from(descriptors.len()).unwrap_or(u8::MAX);
        if descriptors.len() > DESCRIPTORS_MAX {
            return Err(ChannelError::Strange("too many descriptors in one frame"));
        }
        let mut header = [kind, count, 0, 0, 0, 0, 0, 0];
        header[4..].copy_from_slice(&length.to_le_bytes());
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
            return Err(ChannelError::Strange("too many descriptors in one frame"));
        }
        let flags = SendFlags::NOSIGNAL;
        let sent = loop {
            match sendmsg(&self.stream, &[IoSlice::new(&header)], &mut control, flags) {
                Err(rustix::io::Errno::INTR) => {}
                result => break result.map_err(|error| of_write(&error.into()))?,
            }
        };
        let mut stream = &self.stream;
        let rest = stream.write_all(&header[sent..]).and_then(|()| stream.write_all(payload));
        rest.map_err(|error| of_write(&error))
    }

    /// The next frame, if it is here in time and `go_on` says so all the while.
    ///
    /// # Errors
    /// What [`ChannelError`] says.
    pub(super) fn receive(
        &self,
        within: Duration,
        go_on: &dyn Fn() -> bool,
    ) -> Result<Frame, ChannelError> {
        let deadline = Instant::now() + within;
        let waits = || match (go_on(), Instant::now() < deadline) {
            (false, _) => Err(ChannelError::Stopped),
            (true, false) => Err(ChannelError::Late),
            (true, true) => Ok(()),
        };
        let mut descriptors = Vec::new();
        let mut header = [0; HEADER];
        let mut got = 0;
        while got < HEADER {
            got += match self.receive_some(&mut header[got..], &mut descriptors) {
                Ok(0) => return Err(ChannelError::Closed),
                Ok(count) => count,
                Err(error) => of_read(error).and_then(|()| waits()).map(|()| 0)?,
            };
        }
        let [kind, count, _, _, length @ ..] = header;
        let length = u32::from_le_bytes(length);
        if length > LENGTH_MAX || usize::from(count) != descriptors.len() {
            return Err(ChannelError::Strange("no frame of the hand-over"));
        }
        let mut payload = Vec::new();
        let mut bytes = vec![0; 64 * 1_024];
        let mut left = length as usize;
        while left > 0 {
            let room = left.min(bytes.len());
            let count = match (&self.stream).read(&mut bytes[..room]) {
                Ok(0) => return Err(ChannelError::Closed),
                Ok(count) => count,
                Err(error) => of_read(error).and_then(|()| waits()).map(|()| 0)?,
            };
            payload.extend_from_slice(&bytes[..count]);
            left -= count;
        }
        Ok(Frame { kind, payload, descriptors })
    }

    fn receive_some(&self, bytes: &mut [u8], into: &mut Vec<OwnedFd>) -> io::Result<usize> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let flags = RecvFlags::CMSG_CLOEXEC;
        let received = recvmsg(&self.stream, &mut [IoSliceMut::new(bytes)], &mut control, flags)?;
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(descriptors) = message {
                into.extend(descriptors);
            }
        }
        Ok(received.bytes)
    }
}

/// A read that found nothing is no error yet.
fn of_read(error: io::Error) -> Result<(), ChannelError> {
    use io::ErrorKind::{ConnectionReset, Interrupted, TimedOut, WouldBlock};
    match error.kind() {
        WouldBlock | TimedOut | Interrupted => Ok(()),
        ConnectionReset => Err(ChannelError::Closed),
        _ => Err(ChannelError::System(error)),
    }
}

fn of_write(error: &io::Error) -> ChannelError {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, TimedOut, WouldBlock};
    match error.kind() {
        BrokenPipe | ConnectionReset => ChannelError::Closed,
        WouldBlock | TimedOut => ChannelError::Late,
        _ => ChannelError::System(io::Error::new(error.kind(), error.to_string())),
    }
}

/// Hands out descriptors in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Descriptors(pub(super) VecDeque<OwnedFd>);

impl Descriptors {
    pub(super) fn next(&mut self) -> Result<OwnedFd, ChannelError> {
        self.0.pop_front().ok_or(ChannelError::Strange("fewer descriptors than it names"))
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Seek, SeekFrom};
    use std::os::fd::AsFd;

    use super::*;

    const SOON: Duration = Duration::from_secs(10);

    fn pair() -> (Channel, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        (Channel::new(ours).unwrap(), theirs)
    }

    #[test]
    fn frames_and_descriptors_arrive_as_they_were_sent() {
        let (sender, other) = pair();
        let receiver = Channel::new(other).unwrap();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"of the file").unwrap();
        file.seek(SeekFrom::Start(0)).unwrap();
        let large = vec![7; 3 << 20];
        std::thread::scope(|scope| {
            scope.spawn(|| {
                sender.send(1, b"", &[]).unwrap();
                sender.send(2, b"two", &[file.as_fd(), file.as_fd()]).unwrap();
                sender.send(3, &large, &[]).unwrap();
            });
            let next = || receiver.receive(SOON, &|| true).unwrap();
            let first = next();
            assert_eq!((first.kind, first.payload, first.descriptors.len()), (1, Vec::new(), 0));
            let second = next();
            assert_eq!((second.kind, &second.payload[..]), (2, &b"two"[..]));
            assert_eq!(second.descriptors.len(), 2);
            let mut text = String::new();
            std::fs::File::from(second.descriptors.into_iter().next().unwrap())
                .read_to_string(&mut text)
                .unwrap();
            assert_eq!(text, "of the file");
            assert_eq!(next().payload, large);
        });
        drop(sender);
        let end = receiver.receive(SOON, &|| true).unwrap_err();
        assert!(matches!(end, ChannelError::Closed), "{end}");
    }

    #[test]
    fn what_is_no_frame_is_refused_and_nothing_is_waited_for_without_end() {
        let cases: [(&[u8], &str); 4] = [
            (b"", "in time"),
            (b"\x01", "in time"),
            (b"HTTP/1.1 400 Bad Request\r\n", "something else"),
            (&[1, 0, 0, 0, 9, 0, 0, 0, 1, 2], "in time"),
        ];
        for (bytes, word) in cases {
            let (receiver, mut other) = pair();
            other.write_all(bytes).unwrap();
            let error = receiver.receive(Duration::from_millis(150), &|| true).unwrap_err();
            assert!(error.to_string().contains(word), "{bytes:?}: {error}");
            drop(other);
        }
        let (receiver, _other) = pair();
        let error = receiver.receive(SOON, &|| false).unwrap_err();
        assert!(matches!(error, ChannelError::Stopped), "{error}");
    }
}
