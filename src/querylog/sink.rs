//! Where frames go: a reader at a unix socket, or files that follow one another.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::frames::{self, Control};
use crate::config::model::QueryLogTo;

/// Longest wait for a reader's part of the handshake.
const GREET_WITHIN: Duration = Duration::from_secs(2);
/// Longest that one write waits before it is looked whether the server stops.
const WRITE_SLICE: Duration = Duration::from_millis(200);
/// Longest wait for a reader to say that it has seen the end.
const FINISH_WITHIN: Duration = Duration::from_millis(200);

/// Something that takes frames.
pub(super) enum Sink {
    Socket(UnixStream),
    Files { file: File, path: PathBuf, size: u64, size_max: u64, keep: u16 },
}

impl Sink {
    /// Connects, or begins a file.
    pub(super) fn open(to: &QueryLogTo) -> io::Result<Sink> {
        match to {
            QueryLogTo::Socket(path) => {
                let mut stream = connect(path)?;
                stream.set_read_timeout(Some(GREET_WITHIN))?;
                stream.set_write_timeout(Some(GREET_WITHIN))?;
                frames::greet(&mut stream)?;
                stream.set_write_timeout(Some(WRITE_SLICE))?;
                Ok(Sink::Socket(stream))
            }
            QueryLogTo::File { path, size_max, keep } => {
                let (file, size) = begin(path, *keep)?;
                Ok(Sink::Files { file, path: path.clone(), size, size_max: *size_max, keep: *keep })
            }
        }
    }

    /// Writes whole frames. A reader that is slow is waited for until `give_up`: half a frame
    /// would be the end of the stream.
    pub(super) fn write(&mut self, bytes: &[u8], give_up: impl Fn() -> bool) -> io::Result<()> {
        match self {
            Sink::Socket(stream) => write_patiently(stream, bytes, give_up),
            Sink::Files { file, path, size, size_max, keep } => {
                if *size >= *size_max {
                    file.write_all(&frames::control(Control::Stop))?;
                    (*file, *size) = begin(path, *keep)?;
                }
                *size += bytes.len() as u64;
                file.write_all(bytes)
            }
        }
    }

    /// Says that no more comes.
    pub(super) fn close(self) {
        let stop = frames::control(Control::Stop);
        // Nobody is left to tell of a failure.
        match self {
            Sink::Socket(mut stream) => {
                if stream.write_all(&stop).is_ok()
                    && stream.set_read_timeout(Some(FINISH_WITHIN)).is_ok()
                {
                    let _ = frames::expect(&mut stream, Control::Finish);
                }
            }
            Sink::Files { mut file, .. } => {
                let _ = file.write_all(&stop);
            }
        }
    }
}

/// At once or not at all: a reader that takes no more connections may never take one.
fn connect(path: &Path) -> io::Result<UnixStream> {
    use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, socket_with};
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    rustix::net::connect(&socket, &SocketAddrUnix::new(path)?)?;
    let stream = UnixStream::from(socket);
    stream.set_nonblocking(false)?;
    Ok(stream)
}

fn write_patiently(
    stream: &mut UnixStream,
    bytes: &[u8],
    give_up: impl Fn() -> bool,
) -> io::Result<()> {
    let mut rest = bytes;
    while !rest.is_empty() {
        match stream.write(rest) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(length) => rest = &rest[length..],
            Err(error) => match error.kind() {
                ErrorKind::Interrupted => {}
                ErrorKind::WouldBlock | ErrorKind::TimedOut if !give_up() => {}
                _ => return Err(error),
            },
        }
    }
    Ok(())
}

/// Begins a file; one that is there is put aside first. Who asks for what is nobody's
/// business but the owner's and the group's.
fn begin(path: &Path, keep: u16) -> io::Result<(File, u64)> {
    if fs::symlink_metadata(path).is_ok() {
        put_aside(path, keep)?;
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o640).open(path)?;
    let start = frames::control(Control::Start);
    file.write_all(&start)?;
    Ok((file, start.len() as u64))
}

/// FILE becomes FILE.1, that FILE.2, and so on; the last goes.
fn put_aside(path: &Path, keep: u16) -> io::Result<()> {
    let numbered = |number: u16| {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{number}"));
        PathBuf::from(name)
    };
    for number in (1..keep).rev() {
        match fs::rename(numbered(number), numbered(number + 1)) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    fs::rename(path, numbered(1))
}
