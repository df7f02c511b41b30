//! `overrides.json`: what is kept of the overrides, and what is made of a file that cannot
//! be read.
//!
//! A file that is damaged, or of a newer version, stops the start: a server that forgot a
//! drain would send clients to a site that somebody shut for a reason
//! (docs/decisions/0041).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::overrides::Book;

/// The file's name in the state directory.
pub(super) const OVERRIDES_FILE: &str = "overrides.json";
/// The form that this version writes, and the only one that it reads.
const VERSION: u64 = 1;

/// All that is kept.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Kept {
    /// What was said.
    pub(super) book: Book,
    /// When the longest-lived answer naming a member that an entry took out has expired, by
    /// the entry's number: the TTL of that time, which the config may have changed since.
    pub(super) drained_at_s: BTreeMap<u64, u64>,
}

/// As it stands in the file.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Form {
    version: u64,
    book: Book,
    #[serde(default)]
    drained_at_s: BTreeMap<u64, u64>,
}

/// Why the server does not start: the file is there, and nobody knows what it says.
#[derive(Debug, thiserror::Error)]
#[error(
    "the kept overrides {} cannot be used: {why}\n\
     Starting without them could send clients to what somebody drained, so this server does \
     not start. {} beside it tells of every change. Put a whole file in its place, or, to \
     start with nothing overridden, move it away:\n  mv {} {}.damaged",
    path.display(), super::audit::AUDIT_FILE, path.display(), path.display()
)]
pub(in crate::daemon) struct KeptError {
    path: PathBuf,
    why: String,
}

impl KeptError {
    pub(super) fn new(path: &Path, why: impl Into<String>) -> KeptError {
        KeptError { path: path.to_owned(), why: why.into() }
    }
}

impl Kept {
    /// Reads what `encode` wrote.
    pub(super) fn decode(bytes: &[u8]) -> Result<Kept, String> {
        #[derive(Deserialize)]
        struct Version {
            version: u64,
        }
        let damaged = |error: serde_json::Error| format!("it is damaged: {error}");
        let Version { version } = serde_json::from_slice(bytes).map_err(damaged)?;
        if version != VERSION {
            return Err(format!(
                "it is of version {version}, and this is a server that knows version {VERSION} \
                 only: a newer one wrote it"
            ));
        }
        let Form { book, drained_at_s, .. } = serde_json::from_slice(bytes).map_err(damaged)?;
        check(&book)?;
        Ok(Kept { book, drained_at_s })
    }

    /// As the file has it: for people too.
    pub(super) fn encode(&self) -> Vec<u8> {
        let Kept { book, drained_at_s } = self.clone();
        let form = Form { version: VERSION, book, drained_at_s };
        // Texts and numbers: there is nothing in it that JSON could not hold.
        let mut bytes = serde_json::to_vec_pretty(&form).unwrap_or_default();
        bytes.push(b'\n');
        bytes
    }

    /// Forgets what belongs to entries that are no more.
    pub(super) fn tidy(&mut self) {
        let Kept { book, drained_at_s } = self;
        drained_at_s.retain(|id, _| book.entry(*id).is_some());
    }
}

/// What a person may have got wrong in it.
fn check(book: &Book) -> Result<(), String> {
    let mut last = 0;
    for entry in &book.entries {
        let id = entry.id;
        if id <= last || id > book.revision {
            return Err(format!(
                "it is damaged: entry {id} does not fit (ids grow, up to the revision, which \
                 is {})",
                book.revision
            ));
        }
        last = id;
        let target = &entry.target;
        let parts = [&target.datacenter, &target.wip, &target.member];
        if parts.iter().all(|part| part.is_none()) {
            return Err(format!("it is damaged: entry {id} has an empty target"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::overrides::{Entry, Kind, Stage, Target};

    fn kept(reasons: &[&str]) -> Kept {
        let mut kept = Kept::default();
        for (index, reason) in reasons.iter().enumerate() {
            kept.book = kept.book.set(Entry {
                id: 0,
                kind: Kind::Drain,
                target: Target::new(None, Some(&format!("w{index}.example")), None).unwrap(),
                reason: (*reason).to_owned(),
                actor: "kim (127.0.0.1:1)".to_owned(),
                created_at_s: 1_000,
                at_s: None,
                until_s: Some(2_000),
                break_glass: None,
                stage: Stage::InForce,
            });
        }
        kept.drained_at_s.insert(1, 1_030);
        kept
    }

    #[test]
    fn what_is_kept_comes_back() {
        let kept = kept(&["one", "two\n\"three\""]);
        assert_eq!(Kept::decode(&kept.encode()).unwrap(), kept);
        assert_eq!(Kept::decode(&Kept::default().encode()).unwrap(), Kept::default());
    }

    #[test]
    fn what_is_not_whole_is_not_taken() {
        let whole = kept(&["one", "two"]).encode();
        // The last byte ends the line, and is not missed.
        for length in 0..whole.len() - 1 {
            let error = Kept::decode(&whole[..length]).unwrap_err();
            assert!(error.starts_with("it is damaged: "), "{length} bytes: {error}");
        }
        let text = String::from_utf8(whole).unwrap();
        for (from, to, why) in [
            ("\"version\": 1", "\"version\": 2", "a newer one wrote it"),
            ("\"book\"", "\"look\"", "it is damaged: unknown field `look`"),
            ("\"drain\"", "\"drown\"", "it is damaged: unknown variant `drown`"),
            ("\"id\": 2", "\"id\": 1", "entry 1 does not fit"),
            ("\"id\": 2", "\"id\": 3", "entry 3 does not fit"),
            ("\"wip\": \"w0.example\"", "", "entry 1 has an empty target"),
        ] {
            assert!(text.contains(from), "{text}");
            let error = Kept::decode(text.replacen(from, to, 1).as_bytes()).unwrap_err();
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn what_is_said_at_a_start_tells_what_to_do() {
        let error = KeptError::new(Path::new("/state/overrides.json"), "it is damaged").to_string();
        assert!(
            error.contains("mv /state/overrides.json /state/overrides.json.damaged"),
            "{error}"
        );
        assert!(error.contains("audit.log"), "{error}");
    }

    #[test]
    fn nothing_is_kept_of_entries_that_are_gone() {
        let mut kept = kept(&["one"]);
        kept.drained_at_s.insert(9, 1);
        kept.tidy();
        assert_eq!(kept.drained_at_s, BTreeMap::from([(1, 1_030)]));
    }
}
