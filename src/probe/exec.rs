//! An exec check: a command of the operator's, and how it exits.
//!
//! ```text
//!   probe ── turn ─► thread: spawn ─► waits for the exit ─► kills its group ─► reaps
//!     │                        └─ pipe ─► probe keeps the first words of its output
//!     └─ dropped (deadline, reload, stop): kills the group; the thread reaps
//! ```
//!
//! The command leads a process group of its own, so that what it leaves behind
//! ends with it. A thread per command waits for it, since only who reaps a process
//! knows that its number is still its own; the thread and its turn are given back
//! when the process is really gone, so that commands that cannot be killed do not
//! pile up.
//!
//! Not being able to run a command is our failure, never the target's.

use std::convert::Infallible;
use std::io::{self, PipeReader, PipeWriter, Read};
use std::os::fd::OwnedFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::task::{JoinError, JoinHandle};

use super::{Phase, Progress};
use crate::health::check::ExecProbe;
use crate::health::plan::Target;
use crate::health::{Failure, FailureKind};

/// Commands that run at once.
const COMMANDS_MAX: usize = 32;
/// Bytes of output kept, for the first line of it.
const OUTPUT_KEPT: usize = 1_024;
/// Between reads of output that nobody will see: 64 KiB each.
const DRAIN_PAUSE: Duration = Duration::from_millis(1);
/// All that a command finds in its environment, beside WINDROSE_*.
const ENVIRONMENT: [(&str, &str); 2] =
    [("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"), ("LANG", "C.UTF-8")];

/// Turns of commands.
#[derive(Clone, Debug)]
pub(super) struct Turns(Arc<Semaphore>);

impl Default for Turns {
    fn default() -> Turns {
        Turns(Arc::new(Semaphore::new(COMMANDS_MAX)))
    }
}

impl Turns {
    /// Waits for a turn: part of our work, not of the target's.
    pub(super) async fn take(&self) -> Result<OwnedSemaphorePermit, Failure> {
        let permit = Arc::clone(&self.0).acquire_owned().await;
        permit.map_err(|_| ours("no turn"))
    }
}

/// Runs the command of `probe`.
pub(super) async fn run(
    probe: &ExecProbe,
    target: &Target,
    turn: OwnedSemaphorePermit,
    progress: &mut Progress,
) -> Result<(), Failure> {
    // Until it runs it is our work: the program may be on a network that hangs, or the
    // host have no process to give.
    progress.phase = Phase::Start;
    let began = Instant::now();
    let (output, writer) = io::pipe().map_err(|error| ours(format!("pipe: {error}")))?;
    let command = command(probe, target, writer).map_err(ours)?;
    let output = pipe::Receiver::from_owned_fd(OwnedFd::from(output))
        .map_err(|error| ours(format!("pipe: {error}")))?;
    let group = Group::default();
    let (tell, is_started) = oneshot::channel();
    let exit = group.start(command, turn, tell);
    // From here on the group dies with this future.
    let _guard = KillAtDrop(group);
    // If it did not start, the exit says why.
    let _ = is_started.await;
    let start_ms = began.elapsed().as_millis() as u64;
    if progress.waited.is_none_or(|(_, waited_ms)| waited_ms < start_ms) {
        progress.waited = Some((Phase::Start, start_ms));
    }
    progress.phase = Phase::Exit;
    let (status, first) = watch(exit, output).await;
    let status = status
        .map_err(|_| ours("the command's thread broke off"))?
        .map_err(|error| ours(format!("{}: {}", probe.command[0], plain(&error))))?;
    judge(status, &first)
}

fn command(probe: &ExecProbe, target: &Target, output: PipeWriter) -> Result<Command, String> {
    let (program, arguments) = probe.command.split_first().ok_or("no command")?;
    let address = target.identity.address.to_string();
    let host = probe.host.as_deref().unwrap_or_default();
    let filled =
        arguments.iter().map(|text| text.replace("{address}", &address).replace("{host}", host));
    // Before the directory changes: the path of a config named by a relative one is too.
    let program = std::path::absolute(program).map_err(|error| format!("{program}: {error}"))?;
    let mut command = Command::new(program);
    command
        .args(filled)
        .env_clear()
        .envs(ENVIRONMENT)
        .env("WINDROSE_ADDRESS", &address)
        .env("WINDROSE_CHECK", &target.check)
        .current_dir("/")
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(output.try_clone().map_err(|error| format!("pipe: {error}"))?)
        .stderr(output);
    if let Some(host) = &probe.host {
        command.env("WINDROSE_HOST", host);
    }
    Ok(command)
}

/// Drains the output until the command exits. What it left behind may hold the
/// pipe open, so the pipe's end is not waited for.
async fn watch(
    mut exit: JoinHandle<io::Result<ExitStatus>>,
    mut output: pipe::Receiver,
) -> (Result<io::Result<ExitStatus>, JoinError>, Vec<u8>) {
    let mut kept = Vec::with_capacity(OUTPUT_KEPT);
    let status = tokio::select! {
        status = &mut exit => status,
        never = drain(&mut output, &mut kept) => match never {},
    };
    // What it said last may still be in the pipe, and the runtime not know of it yet.
    if let Ok(mut output) = output.into_nonblocking_fd().map(PipeReader::from) {
        let mut rest = [0; OUTPUT_KEPT];
        while kept.len() < OUTPUT_KEPT {
            let Ok(count @ 1..) = output.read(&mut rest) else { break };
            keep(&mut kept, &rest[..count]);
        }
    }
    (status, kept)
}

/// Keeps what came first; the rest must not hold the command up, nor we be busy with it.
async fn drain(output: &mut pipe::Receiver, kept: &mut Vec<u8>) -> Infallible {
    let mut buffer = vec![0; 64 * 1_024];
    while let Ok(count @ 1..) = output.read(&mut buffer).await {
        keep(kept, &buffer[..count]);
        if kept.len() == OUTPUT_KEPT {
            tokio::time::sleep(DRAIN_PAUSE).await;
        }
    }
    std::future::pending().await
}

fn keep(kept: &mut Vec<u8>, more: &[u8]) {
    kept.extend_from_slice(&more[..more.len().min(OUTPUT_KEPT - kept.len())]);
}

fn judge(status: ExitStatus, output: &[u8]) -> Result<(), Failure> {
    if status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(output);
    let line = text.lines().map(str::trim).find(|line| !line.is_empty());
    let said = line.map_or_else(String::new, |line| format!(": {line}"));
    let detail = match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}{said}"),
        (None, Some(signal)) => format!("killed by signal {signal}{said}"),
        (None, None) => format!("{status}{said}"),
    };
    Err(Failure::new(FailureKind::Status, detail))
}

//------------ Process group --------------------------------------------------

/// A command's group.
#[derive(Clone, Debug, Default)]
struct Group(Arc<Mutex<Stage>>);

#[derive(Debug, Default)]
enum Stage {
    #[default]
    Starting,
    /// Not yet reaped: its number is its own.
    Running(Pid),
    /// Reaped, or not to be started.
    Over,
}

impl Group {
    /// Starts `command`, and tells; its turn is given back once it is reaped.
    fn start(
        &self,
        mut command: Command,
        turn: OwnedSemaphorePermit,
        tell: oneshot::Sender<()>,
    ) -> JoinHandle<io::Result<ExitStatus>> {
        let group = self.clone();
        // Starting may block too, where the program is on a network.
        tokio::task::spawn_blocking(move || {
            let started = group.spawn(&mut command);
            // Who asked may have given up.
            let _ = tell.send(());
            // Our ends of the pipe close, so that it ends with the command.
            drop(command);
            let status = started.and_then(|child| group.reap(child));
            drop(turn);
            status
        })
    }

    fn spawn(&self, command: &mut Command) -> io::Result<Child> {
        if matches!(*self.lock(), Stage::Over) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let child = command.spawn()?;
        let mut stage = self.lock();
        let group = Pid::from_child(&child);
        match *stage {
            // Given up while it started.
            Stage::Over => kill(group),
            Stage::Starting | Stage::Running(_) => *stage = Stage::Running(group),
        }
        drop(stage);
        Ok(child)
    }

    /// Waits for the exit, ends all that is left of the group, and reaps.
    fn reap(&self, mut child: Child) -> io::Result<ExitStatus> {
        let group = Pid::from_child(&child);
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        while let Err(rustix::io::Errno::INTR) = waitid(WaitId::Pid(group), options) {}
        let mut stage = self.lock();
        kill(group);
        *stage = Stage::Over;
        child.wait()
    }

    fn kill(&self) {
        let mut stage = self.lock();
        if let Stage::Running(group) = *stage {
            kill(group);
        }
        *stage = Stage::Over;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Stage> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Only while its leader is not reaped: the number may be another's afterwards.
fn kill(group: Pid) {
    // What is left may be another user's, or nothing.
    let _ = kill_process_group(group, Signal::KILL);
}

struct KillAtDrop(Group);

impl Drop for KillAtDrop {
    fn drop(&mut self) {
        self.0.kill();
    }
}

fn ours(detail: impl AsRef<str>) -> Failure {
    Failure::new(FailureKind::Internal, detail)
}

fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_lowercase()
}
