//! Tells a service manager how the process is: sd_notify(3).
//!
//! A message is one datagram of lines to the socket that `NOTIFY_SOCKET` names.
//! Nobody answers, and nobody here waits: a manager that does not read must not
//! hold the server up. So each call says whether its message was taken, and who
//! calls says what matters again.
//!
//! It must not know when a server is ready or well.

use std::env;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Where to send to.
const SOCKET_VARIABLE: &str = "NOTIFY_SOCKET";
/// How long the manager waits for a sign of life, in microseconds.
const WATCHDOG_VARIABLE: &str = "WATCHDOG_USEC";
/// For which process that is meant; none: any.
const WATCHDOG_PROCESS_VARIABLE: &str = "WATCHDOG_PID";

/// Longest state shown to an operator; `systemctl status` shows one line.
const STATUS_LENGTH_MAX: usize = 400;

/// Why the service manager cannot be told anything.
#[derive(Debug, thiserror::Error)]
pub enum NotifyError {
    /// It is no address of a unix socket.
    #[error(
        "NOTIFY_SOCKET is {address:?}: it must be a path or, for an abstract socket, begin with @"
    )]
    Address {
        /// As in the environment.
        address: String,
    },
    /// It is no time.
    #[error("WATCHDOG_USEC is {text:?}: it must be a number of microseconds above 0")]
    Watchdog {
        /// As in the environment.
        text: String,
    },
    /// There is no socket to send from.
    #[error("no socket to tell the service manager: {0}")]
    Socket(#[from] io::Error),
}

/// The line to the service manager, if there is one.
#[derive(Debug, Default)]
pub struct Notifier {
    line: Option<(UnixDatagram, SocketAddr)>,
    watchdog: Option<Duration>,
    silent: AtomicBool,
}

impl Notifier {
    /// As the environment says; without `NOTIFY_SOCKET` nobody is told.
    ///
    /// # Errors
    /// What the environment says cannot be followed.
    pub fn from_environment() -> Result<Notifier, NotifyError> {
        let Some(address) = env::var_os(SOCKET_VARIABLE).filter(|text| !text.is_empty()) else {
            return Ok(Notifier::default());
        };
        let text = |name| env::var_os(name).map(|text| text.to_string_lossy().into_owned());
        let meant = text(WATCHDOG_PROCESS_VARIABLE)
            .is_none_or(|process| process == std::process::id().to_string());
        let watchdog = text(WATCHDOG_VARIABLE).filter(|_| meant);
        Notifier::new(address.as_bytes(), watchdog.as_deref())
    }

    fn new(address: &[u8], watchdog: Option<&str>) -> Result<Notifier, NotifyError> {
        let bad = || NotifyError::Address { address: address.escape_ascii().to_string() };
        let to = match address {
            [b'@', name @ ..] if !name.is_empty() => SocketAddr::from_abstract_name(name),
            [b'/', ..] => SocketAddr::from_pathname(std::ffi::OsStr::from_bytes(address)),
            _ => return Err(bad()),
        };
        let to = to.map_err(|_| bad())?;
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        let watchdog = watchdog
            .map(|text| match text.parse() {
                Ok(us @ 1..) => Ok(Duration::from_micros(us)),
                _ => Err(NotifyError::Watchdog { text: text.to_owned() }),
            })
            .transpose()?;
        Ok(Notifier { line: Some((socket, to)), watchdog, silent: AtomicBool::new(false) })
    }

    /// Whether there is anybody to tell.
    pub fn is_heard(&self) -> bool {
        self.line.is_some()
    }

    /// Within which time the manager wants a sign of life; none: it wants none.
    pub fn watchdog(&self) -> Option<Duration> {
        self.watchdog
    }

    /// Says nothing from now on, or speaks again. A process that is about to take
    /// another's place is not the service yet, and one that has given it away is no
    /// longer: the manager refuses messages of both.
    pub fn set_silent(&self, silent: bool) {
        self.silent.store(silent, Ordering::Relaxed);
    }

    /// Started, or a reload is over. True: taken, as below.
    pub fn ready(&self, status: &str) -> bool {
        self.send(&format!("READY=1\nSTATUS={}", line_of(status)))
    }

    /// A reload begins; [`Notifier::ready`] ends it. A manager that asked for it takes
    /// the time to tell this reload from one that ran before it asked.
    pub fn reloading(&self) -> bool {
        let now = clock_gettime(ClockId::Monotonic);
        let now_us = now.tv_sec * 1_000_000 + now.tv_nsec / 1_000;
        self.send(&format!("RELOADING=1\nMONOTONIC_USEC={now_us}\nSTATUS=loading the config"))
    }

    /// The end begins.
    pub fn stopping(&self) -> bool {
        self.send("STOPPING=1\nSTATUS=stopping")
    }

    /// How it is, for people.
    pub fn status(&self, status: &str) -> bool {
        self.send(&format!("STATUS={}", line_of(status)))
    }

    /// A sign of life.
    pub fn alive(&self) -> bool {
        self.send("WATCHDOG=1")
    }

    /// A start that still needs so long is not to be given up.
    pub fn more_time(&self, time: Duration) -> bool {
        self.send(&format!("EXTEND_TIMEOUT_USEC={}", time.as_micros()))
    }

    /// Another process is the service from now on. The manager takes this from the
    /// one that is it now, so it is said before that one goes silent.
    pub fn main_process(&self, process: u32) -> bool {
        self.send(&format!("MAINPID={process}"))
    }

    fn send(&self, message: &str) -> bool {
        let Some((socket, to)) = &self.line else { return true };
        self.silent.load(Ordering::Relaxed) || socket.send_to_addr(message.as_bytes(), to).is_ok()
    }
}

/// One line of bounded length: the protocol ends a value with the line.
fn line_of(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    line.chars().take(STATUS_LENGTH_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(socket: &UnixDatagram) -> String {
        let mut bytes = [0; 1_024];
        let length = socket.recv(&mut bytes).unwrap();
        String::from_utf8(bytes[..length].to_vec()).unwrap()
    }

    #[test]
    fn messages_reach_a_socket_with_a_path_and_an_abstract_one() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let name = format!("windrose-test-{}", std::process::id());
        let sockets = [
            (UnixDatagram::bind(&path).unwrap(), path.to_str().unwrap().to_owned()),
            (
                UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap(),
                format!("@{name}"),
            ),
        ];
        for (socket, address) in &sockets {
            socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            let notifier = Notifier::new(address.as_bytes(), Some("3000000")).unwrap();
            assert_eq!(notifier.watchdog(), Some(Duration::from_secs(3)));
            assert!(notifier.ready("well\nMAINPID=1"));
            assert_eq!(heard(socket), "READY=1\nSTATUS=well");
            assert!(notifier.main_process(7));
            assert_eq!(heard(socket), "MAINPID=7");
            notifier.set_silent(true);
            assert!(notifier.alive());
            notifier.set_silent(false);
            assert!(notifier.stopping());
            assert_eq!(heard(socket), "STOPPING=1\nSTATUS=stopping");
            assert!(notifier.reloading());
            let text = heard(socket);
            let us = text.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap();
            us.lines().next().unwrap().parse::<u64>().unwrap();
        }
    }

    #[test]
    fn a_manager_that_does_not_read_holds_nobody_up() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        let notifier = Notifier::new(path.to_str().unwrap().as_bytes(), None).unwrap();
        // Its queue is bounded by the system.
        assert!((0..100_000).any(|_| !notifier.alive()), "messages were taken without end");
        drop(socket);
        assert!(!notifier.alive());
    }

    #[test]
    fn what_the_environment_says_wrongly_is_said() {
        for (address, watchdog, word) in [
            ("vsock:2:1", None, "must be a path"),
            ("@", None, "must be a path"),
            ("notify", None, "must be a path"),
            ("@name", Some("0"), "above 0"),
            ("@name", Some("soon"), "above 0"),
        ] {
            let error = Notifier::new(address.as_bytes(), watchdog).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
    }
}
