//! The audit log: a JSON line for every change of the overrides, and for every one that
//! was refused.
//!
//! ```text
//!   line ─► audit.log ─► sync ─► overrides.json ─► served ─► acknowledged
//! ```
//!
//! A line is on the disk before what it tells of takes effect, so nothing takes effect
//! that it does not tell. What it tells may then fail: a line with the outcome `failed`
//! and the same revision takes it back, at the latest when the server starts again.
//!
//! It must not know what a line means for answers.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::overrides::{Entry, Target};

/// The log's name in the state directory.
pub(super) const AUDIT_FILE: &str = "audit.log";
/// The one before it.
pub(super) const AUDIT_OLD_FILE: &str = "audit.log.old";
/// At this length the log is put aside, in the place of the one put aside before.
const LENGTH_MAX: u64 = 8 << 20;

//------------ Line -----------------------------------------------------------

/// What became of a change.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Outcome {
    /// It is in force, unless a later line says that its revision failed.
    Accepted,
    /// The safety rules forbid it.
    Refused,
    /// It could not be kept: nothing changed.
    Failed,
}

/// One line.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(super) struct Line {
    /// When, for people: "2026-11-22T23:49:00Z".
    pub(super) time: String,
    /// When, in unix seconds.
    pub(super) at_s: u64,
    /// Who, and from where: "kim (127.0.0.1:41234)"; "timer" for what time brought.
    pub(super) actor: String,
    /// "drain", "force-up", "force-down", "clear", "start", "end", "restart".
    pub(super) what: String,
    /// Of whom; none: of no one target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) target: Option<Target>,
    /// What became of it.
    pub(super) outcome: Outcome,
    /// The revision of `overrides.json` that it makes, or would have made.
    pub(super) revision: u64,
    /// Overrides that it takes away or changes, as they were.
    pub(super) before: Vec<Entry>,
    /// The same, and those it adds, as they are from then on.
    pub(super) after: Vec<Entry>,
    /// Why, in the operator's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<String>,
    /// Why the safety rules were passed over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) break_glass: Option<String>,
    /// Rules that it breaks, and errors of the disk.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) because: Vec<String>,
}

//------------ Audit ----------------------------------------------------------

/// The log of one state directory.
#[derive(Debug)]
pub(super) struct Audit {
    directory: PathBuf,
    path: PathBuf,
    old_path: PathBuf,
    length_max: u64,
    /// Lines that could not be written and must stand before any other.
    owed: Vec<u8>,
}

impl Audit {
    pub(super) fn new(directory: &Path) -> Audit {
        Audit {
            directory: directory.to_owned(),
            path: directory.join(AUDIT_FILE),
            old_path: directory.join(AUDIT_OLD_FILE),
            length_max: LENGTH_MAX,
            owed: Vec::new(),
        }
    }

    /// Puts a line on the disk, behind those that are owed.
    ///
    /// # Errors
    /// Nothing of it is in the log.
    pub(super) fn append(&mut self, line: &Line) -> io::Result<()> {
        let mut bytes = self.owed.clone();
        bytes.extend(encoded(line));
        self.append_bytes(&bytes)?;
        self.owed.clear();
        Ok(())
    }

    /// Puts a line on the disk now, or before the next one.
    pub(super) fn append_or_owe(&mut self, line: &Line) {
        if let Err(error) = self.append(line) {
            let file = self.path.display();
            tracing::error!(%file, %error, "cannot write the audit log now: the line follows");
            self.owed.extend(encoded(line));
        }
    }

    /// Writes the lines that are owed, if the disk takes them now.
    pub(super) fn pay(&mut self) {
        if !self.owed.is_empty() && self.append_bytes(&self.owed).is_ok() {
            self.owed.clear();
        }
    }

    /// What the log says of the last revision that was tried: its number, and whether it
    /// says that it took effect. None: it tells of no change.
    pub(super) fn last_tried(&self) -> io::Result<Option<(u64, bool)>> {
        for path in [&self.path, &self.old_path] {
            let mut text = Vec::new();
            match File::open(path) {
                Ok(mut file) => file.read_to_end(&mut text)?,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            let whole = text.iter().rposition(|byte| *byte == b'\n').unwrap_or(0);
            let lines = text[..whole].rsplit(|byte| *byte == b'\n');
            let mut lines = lines.filter_map(|line| serde_json::from_slice::<Line>(line).ok());
            if let Some(line) = lines.find(|line| line.outcome != Outcome::Refused) {
                return Ok(Some((line.revision, line.outcome == Outcome::Accepted)));
            }
        }
        Ok(None)
    }

    fn append_bytes(&self, bytes: &[u8]) -> io::Result<()> {
        let mut length = self.whole_length()?;
        if length > 0 && length + bytes.len() as u64 > self.length_max {
            fs::rename(&self.path, &self.old_path)?;
            length = 0;
        }
        let mut options = OpenOptions::new();
        let mut file = options.create(true).append(true).open(&self.path)?;
        let name_synced = || match length {
            // The name is new.
            0 => File::open(&self.directory)?.sync_all(),
            _ => Ok(()),
        };
        let written =
            file.write_all(bytes).and_then(|()| file.sync_all()).and_then(|()| name_synced());
        if let Err(error) = written {
            // A line that is there in part, or that nobody waits for any more.
            let _ = file.set_len(length);
            return Err(error);
        }
        Ok(())
    }

    /// The length of the log without what a process that was killed left of a line: of
    /// that nothing took effect.
    fn whole_length(&self) -> io::Result<u64> {
        let mut file = match OpenOptions::new().read(true).write(true).open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
            Err(error) => return Err(error),
        };
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
        }
        let length = metadata.len();
        let mut last = [b'\n'];
        if length > 0 {
            file.seek(SeekFrom::Start(length - 1))?;
            file.read_exact(&mut last)?;
        }
        if last == [b'\n'] {
            return Ok(length);
        }
        let mut text = Vec::new();
        file.seek(SeekFrom::Start(0))?;
        file.read_to_end(&mut text)?;
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at as u64 + 1);
        tracing::warn!(
            file = %self.path.display(), bytes = length - whole,
            "the audit log ended within a line, which is taken away"
        );
        file.set_len(whole)?;
        Ok(whole)
    }
}

fn encoded(line: &Line) -> Vec<u8> {
    // Texts and numbers: there is nothing in it that JSON could not hold.
    let mut bytes = serde_json::to_vec(line).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}

/// Unix seconds as RFC 3339.
pub(super) fn rfc3339(unix_s: u64) -> String {
    let time = i64::try_from(unix_s).ok().and_then(|s| jiff::Timestamp::from_second(s).ok());
    time.map_or_else(|| unix_s.to_string(), |time| time.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(revision: u64, outcome: Outcome) -> Line {
        Line {
            time: rfc3339(1_795_391_340),
            at_s: 1_795_391_340,
            actor: "kim (127.0.0.1:1)".to_owned(),
            what: "drain".to_owned(),
            target: Some(Target::new(Some("fra"), None, None).unwrap()),
            outcome,
            revision,
            before: Vec::new(),
            after: Vec::new(),
            reason: Some("a\nb".to_owned()),
            break_glass: None,
            because: Vec::new(),
        }
    }

    fn revisions(path: &Path) -> Vec<u64> {
        let text = fs::read_to_string(path).unwrap();
        text.lines().map(|line| serde_json::from_str::<Line>(line).unwrap().revision).collect()
    }

    #[test]
    fn a_line_that_was_cut_short_is_taken_away_and_the_others_stay() {
        let directory = tempfile::tempdir().unwrap();
        let mut audit = Audit::new(directory.path());
        let path = directory.path().join(AUDIT_FILE);
        assert_eq!(audit.last_tried().unwrap(), None);
        audit.append(&line(1, Outcome::Accepted)).unwrap();
        let one = fs::read(&path).unwrap();
        let other = encoded(&line(2, Outcome::Accepted));
        for length in 0..other.len() {
            fs::write(&path, [&one[..], &other[..length]].concat()).unwrap();
            assert_eq!(audit.last_tried().unwrap(), Some((1, true)), "{length} bytes");
            audit.append(&line(3, Outcome::Accepted)).unwrap();
            assert_eq!(revisions(&path), [1, 3], "{length} bytes");
        }
        // Nothing but a piece.
        fs::write(&path, &other[..9]).unwrap();
        audit.append(&line(4, Outcome::Failed)).unwrap();
        assert_eq!(revisions(&path), [4]);
        assert_eq!(audit.last_tried().unwrap(), Some((4, false)));
    }

    #[test]
    fn what_could_not_be_written_stands_before_what_follows() {
        let directory = tempfile::tempdir().unwrap();
        let mut audit = Audit::new(directory.path());
        let path = directory.path().join(AUDIT_FILE);
        fs::create_dir(&path).unwrap();
        assert!(audit.append(&line(1, Outcome::Accepted)).is_err());
        audit.append_or_owe(&line(2, Outcome::Failed));
        fs::remove_dir(&path).unwrap();
        audit.append(&line(3, Outcome::Accepted)).unwrap();
        audit.append(&line(4, Outcome::Refused)).unwrap();
        assert_eq!(revisions(&path), [2, 3, 4], "one that failed is not written later");
        assert_eq!(audit.last_tried().unwrap(), Some((3, true)), "refusals change nothing");
    }

    #[test]
    fn the_log_and_the_one_before_it_are_bounded() {
        let directory = tempfile::tempdir().unwrap();
        let mut audit = Audit::new(directory.path());
        let one = encoded(&line(1, Outcome::Accepted)).len() as u64;
        audit.length_max = one * 3;
        for revision in 1..=8 {
            audit.append(&line(revision, Outcome::Accepted)).unwrap();
        }
        assert_eq!(revisions(&directory.path().join(AUDIT_OLD_FILE)), [4, 5, 6]);
        assert_eq!(revisions(&directory.path().join(AUDIT_FILE)), [7, 8]);
        fs::remove_file(directory.path().join(AUDIT_FILE)).unwrap();
        assert_eq!(audit.last_tried().unwrap(), Some((6, true)));
    }

    #[test]
    fn times_read_as_people_and_programs_write_them() {
        assert_eq!(rfc3339(1_795_391_340), "2026-11-22T23:49:00Z");
        assert_eq!(rfc3339(u64::MAX), u64::MAX.to_string());
    }

    #[test]
    fn a_line_whose_name_is_not_safe_is_taken_back() {
        let directory = tempfile::tempdir().unwrap();
        let mut audit = Audit::new(directory.path());
        audit.directory = directory.path().join("is-not-there");
        assert!(audit.append(&line(1, Outcome::Accepted)).is_err());
        assert_eq!(fs::metadata(&audit.path).unwrap().len(), 0);
        assert_eq!(audit.last_tried().unwrap(), None);
        audit.append_or_owe(&line(2, Outcome::Accepted));
        audit.directory = directory.path().to_owned();
        audit.pay();
        assert_eq!(audit.last_tried().unwrap(), Some((2, true)));
    }
}
