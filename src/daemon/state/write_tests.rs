//! Writes that end at every byte and between every two steps: by a kill, by an
//! error, by the loss of power.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use proptest::prelude::*;

use super::*;
use crate::health::saved::{KeptTarget, Saved};

const PATH: &str = "/state/health";

/// A disk that does only so many things: a byte written is one, any other step is
/// one, too.
#[derive(Clone, Default)]
struct Cut {
    left: Rc<Cell<usize>>,
    /// Nothing more is done once it broke off, as when a process is killed; else
    /// only what is needed to write fails, as on a disk that is full.
    dead: bool,
    disk: Rc<RefCell<Contents>>,
}

/// Files by number, and names for them; each as seen now and as on the disk.
#[derive(Clone, Debug, Default)]
struct Contents {
    files: Vec<Content>,
    names: BTreeMap<PathBuf, usize>,
    synced_names: BTreeMap<PathBuf, usize>,
}

#[derive(Clone, Debug, Default)]
struct Content {
    bytes: Vec<u8>,
    synced: Vec<u8>,
}

struct Open {
    cut: Cut,
    number: usize,
}

impl Cut {
    fn holding(bytes: &[u8], steps: usize, dead: bool) -> Cut {
        let cut = Cut { left: Rc::new(Cell::new(steps)), dead, ..Cut::default() };
        let old = Content { bytes: bytes.to_vec(), synced: bytes.to_vec() };
        let names = BTreeMap::from([(PathBuf::from(PATH), 0)]);
        let contents = Contents { files: vec![old], synced_names: names.clone(), names };
        *cut.disk.borrow_mut() = contents;
        cut
    }

    fn step(&self) -> io::Result<()> {
        let left = self.left.get().checked_sub(1);
        self.left.set(left.unwrap_or(0));
        left.map(drop).ok_or_else(|| io::Error::from(io::ErrorKind::StorageFull))
    }

    /// What is found after a kill: all that was done.
    fn after_kill(&self) -> Vec<u8> {
        let disk = self.disk.borrow();
        disk.files[disk.names[Path::new(PATH)]].bytes.clone()
    }

    /// All that may be found after the loss of power: names as synced or as seen,
    /// and of what was not synced any beginning, or as many zeros.
    fn after_power_loss(&self) -> Vec<Vec<u8>> {
        let disk = self.disk.borrow();
        let mut found = Vec::new();
        for names in [&disk.names, &disk.synced_names] {
            let content = &disk.files[names[Path::new(PATH)]];
            found.push(content.synced.clone());
            if content.synced != content.bytes {
                found.extend((0..content.bytes.len()).map(|end| content.bytes[..end].to_vec()));
                found.push(vec![0; content.bytes.len()]);
            }
        }
        found
    }
}

impl Write for Open {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.cut.step()?;
        let mut disk = self.cut.disk.borrow_mut();
        disk.files[self.number].bytes.extend(bytes.first());
        Ok(bytes.len().min(1))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Steps for Cut {
    type File = Open;

    fn create(&self, path: &Path) -> io::Result<Open> {
        self.step()?;
        let mut disk = self.disk.borrow_mut();
        let number = disk.files.len();
        disk.files.push(Content::default());
        disk.names.insert(path.to_owned(), number);
        Ok(Open { cut: self.clone(), number })
    }

    fn sync(&self, file: &Open) -> io::Result<()> {
        self.step()?;
        let mut disk = self.disk.borrow_mut();
        let content = &mut disk.files[file.number];
        content.synced = content.bytes.clone();
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step()?;
        let mut disk = self.disk.borrow_mut();
        let number = disk.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        disk.names.insert(to.to_owned(), number);
        Ok(())
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        self.step()?;
        assert_eq!(path, Path::new("/state"));
        let mut disk = self.disk.borrow_mut();
        disk.synced_names = disk.names.clone();
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        if self.dead {
            return Err(io::ErrorKind::Other.into());
        }
        self.disk.borrow_mut().names.remove(path);
        Ok(())
    }
}

fn state(at_s: u32, targets: u32) -> Saved {
    let targets = (0..targets)
        .map(|n| (u128::from(n), KeptTarget { since_s: at_s, ..KeptTarget::default() }));
    Saved { written_at_s: at_s, targets: targets.collect(), holds: Vec::new() }
}

#[test]
fn a_write_that_breaks_off_anywhere_leaves_the_old_state_or_the_new_one() {
    let (old, new) = (state(1_000, 5), state(2_000, 7));
    let (old_bytes, new_bytes) = (old.encode(), new.encode());
    for dead in [true, false] {
        let mut steps = 0;
        loop {
            let cut = Cut::holding(&old_bytes, steps, dead);
            let result = write_whole(&cut, Path::new(PATH), &new_bytes);
            let renamed = steps > new_bytes.len() + 2;
            let found = Saved::decode(&cut.after_kill()).unwrap();
            assert_eq!(found, if renamed { new.clone() } else { old.clone() }, "{steps} steps");
            for bytes in cut.after_power_loss() {
                let found = Saved::decode(&bytes).unwrap();
                assert!(
                    found == new && renamed || found == old && result.is_err(),
                    "{steps} steps"
                );
            }
            let left_aside = cut.disk.borrow().names.len() > 1;
            assert!(!left_aside || dead, "{steps} steps: a failed write leaves nothing behind");
            if result.is_ok() {
                break;
            }
            steps += 1;
        }
        assert_eq!(steps, new_bytes.len() + 4, "every byte, and four steps");
    }
}

/// As `overrides.json`: text, whose beginning is no whole file either.
#[test]
fn overrides_that_break_off_anywhere_are_the_old_ones_or_the_new_ones() {
    let text = |revision: u64, reason: &str| {
        let entry = serde_json::json!({ "id": revision, "kind": "drain", "reason": reason });
        let book = serde_json::json!({ "revision": revision, "entries": [entry] });
        serde_json::to_vec_pretty(&serde_json::json!({ "version": 1, "book": book })).unwrap()
    };
    let (old, new) = (text(7, "short"), text(8, "longer than the one before it"));
    for steps in 0..=new.len() + 4 {
        let cut = Cut::holding(&old, steps, true);
        let acknowledged = write_whole(&cut, Path::new(PATH), &new).is_ok();
        assert_eq!(acknowledged, steps == new.len() + 4, "every byte, and four steps");
        let killed = cut.after_kill();
        assert!(killed == new || killed == old && !acknowledged, "{steps} steps");
        for found in cut.after_power_loss() {
            assert!(found == new || found == old && !acknowledged, "{steps} steps");
        }
    }
}

#[test]
fn the_real_disk_takes_one_file_after_another() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("health");
    for bytes in [&b"one"[..], b"two, which is longer", b""] {
        // What an earlier process left.
        fs::write(aside(&path), "left behind, and longer than what comes").unwrap();
        write_whole(&Disk, &path, bytes).unwrap();
        assert_eq!(fs::read(&path).unwrap(), bytes);
        assert!(!aside(&path).exists());
    }
    let missing = directory.path().join("none/health");
    assert_eq!(write_whole(&Disk, &missing, b"").unwrap_err().kind(), io::ErrorKind::NotFound);
    // A directory in the way of the name.
    fs::create_dir(directory.path().join("taken")).unwrap();
    let taken = directory.path().join("taken");
    assert!(write_whole(&Disk, &taken, b"x").is_err());
    assert!(!aside(&taken).exists());
    fs::write(aside(&path), "left behind").unwrap();
    clean_up(&path);
    assert!(!aside(&path).exists() && path.exists());
}

proptest! {
    #[test]
    fn one_write_after_another_never_loses_the_last_that_was_whole(
        steps in prop::collection::vec(0_usize..200, 1..12),
    ) {
        let path = Path::new(PATH);
        let mut last = state(0, 1);
        let cut = Cut::holding(&last.encode(), 0, false);
        for (at_s, steps) in (1..).zip(steps) {
            let next = state(at_s, 1);
            cut.left.set(steps);
            match write_whole(&cut, path, &next.encode()) {
                Ok(()) => last = next,
                Err(_) => {
                    let found = Saved::decode(&cut.after_kill()).unwrap();
                    prop_assert!(found == last || found == next);
                    last = found;
                }
            }
            prop_assert_eq!(&Saved::decode(&cut.after_kill()).unwrap(), &last);
        }
    }
}
