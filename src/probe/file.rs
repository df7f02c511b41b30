//! A file check: a verdict that another program or a person wrote down.
//!
//! The first word is "up" or "down"; what follows "down" says why. Anything else is
//! no verdict: a file that is missing, unreadable, too long or too old tells nothing
//! of the target, and must neither take it down nor keep it up for ever.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::Semaphore;

use super::{Phase, Progress};
use crate::health::check::FileProbe;
use crate::health::plan::ProbeAddress;
use crate::health::{Failure, FailureKind};

/// Longest file that is read.
const FILE_BYTES_MAX: usize = 4 * 1_024;
/// Files read at once: where a file system hangs, so many threads hang with it.
const READS_MAX: usize = 16;

/// Turns to read.
#[derive(Debug)]
pub(super) struct Reads(Arc<Semaphore>);

impl Default for Reads {
    fn default() -> Reads {
        Reads(Arc::new(Semaphore::new(READS_MAX)))
    }
}

/// Reads the verdict that `probe` names.
pub(super) async fn read(
    probe: &FileProbe,
    address: &ProbeAddress,
    reads: &Reads,
    progress: &mut Progress,
) -> Result<(), Failure> {
    progress.phase = Phase::Read;
    let path = filled(&probe.path, address);
    let max_age_ms = probe.max_age_ms;
    let broken = || ours("the file's thread broke off");
    let turn = Arc::clone(&reads.0).acquire_owned().await.map_err(|_| broken())?;
    let verdict = tokio::task::spawn_blocking(move || {
        let verdict = verdict(&path, max_age_ms);
        drop(turn);
        verdict.map_err(|failure| match failure.kind {
            FailureKind::Internal => ours(&format!("{}: {}", path.display(), failure.detail)),
            _ => failure,
        })
    });
    verdict.await.map_err(|_| broken())?
}

fn filled(path: &Path, address: &ProbeAddress) -> PathBuf {
    match path.to_str() {
        Some(text) if text.contains("{address}") => {
            text.replace("{address}", &address.to_string()).into()
        }
        _ => path.to_owned(),
    }
}

fn verdict(path: &Path, max_age_ms: Option<u32>) -> Result<(), Failure> {
    // A FIFO without a writer would be waited for.
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path);
    let mut file = file.map_err(|error| ours(&plain(&error)))?;
    check(&file, max_age_ms)?;
    let mut bytes = Vec::new();
    let most = FILE_BYTES_MAX as u64 + 1;
    let read = (&mut file).take(most).read_to_end(&mut bytes);
    read.map_err(|error| ours(&plain(&error)))?;
    judge(&bytes)
}

fn check(file: &File, max_age_ms: Option<u32>) -> Result<(), Failure> {
    let metadata = file.metadata().map_err(|error| ours(&plain(&error)))?;
    if !metadata.is_file() {
        return Err(ours("not a regular file"));
    }
    let Some(max_age_ms) = max_age_ms else { return Ok(()) };
    let written = metadata.modified().map_err(|error| ours(&plain(&error)))?;
    // One from the future is fresh: clocks are set back now and then.
    let age = SystemTime::now().duration_since(written).unwrap_or_default();
    if age > Duration::from_millis(u64::from(max_age_ms)) {
        let (age, most) = (age.as_secs_f64(), f64::from(max_age_ms) / 1_000.0);
        return Err(ours(&format!("written {age:.1} s ago, max_age is {most} s")));
    }
    Ok(())
}

fn judge(bytes: &[u8]) -> Result<(), Failure> {
    if bytes.len() > FILE_BYTES_MAX {
        return Err(ours(&format!("longer than {FILE_BYTES_MAX} bytes")));
    }
    let text = String::from_utf8_lossy(bytes);
    let text = text.trim_start();
    let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    match word {
        "up" => Ok(()),
        "down" => {
            // On its own line only: where that ended with the word, there is no reason.
            let ended = text.as_bytes().get(word.len()) == Some(&b'\n');
            let reason = rest.lines().next().map(str::trim).filter(|_| !ended);
            let detail = match reason {
                Some(reason) if !reason.is_empty() => format!("the file says down: {reason}"),
                _ => "the file says down".to_owned(),
            };
            Err(Failure::new(FailureKind::Status, detail))
        }
        "" => Err(ours("empty")),
        _ => Err(ours("its first word is neither \"up\" nor \"down\"")),
    }
}

fn ours(detail: &str) -> Failure {
    Failure::new(FailureKind::Internal, detail)
}

fn plain(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_lowercase()
}
