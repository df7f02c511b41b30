//! Loading geo databases: from files, or the embedded table when none is named.

use std::path::PathBuf;
use std::sync::Arc;

use super::disk::{DatabaseFile, FileState, state_of};
use crate::geo::BaseTable;

/// How often databases are read that change meanwhile.
const READS_MAX: usize = 3;

/// A table and the files it was built from, as they were then.
#[derive(Clone, Debug)]
pub struct Geo {
    /// Where clients are.
    pub table: Arc<BaseTable>,
    files: Vec<(PathBuf, Option<FileState>)>,
}

impl Geo {
    /// The files it was built from, as they were then.
    pub(super) fn files(&self) -> impl Iterator<Item = (PathBuf, Option<FileState>)> {
        self.files.iter().cloned()
    }
}

/// Reads the databases and builds their table, or takes the one of `before` if no
/// file has changed: a city database takes seconds. The error is one line for
/// people.
pub(crate) fn load(databases: &[PathBuf], before: Option<&Geo>) -> Result<Geo, String> {
    let states = || databases.iter().map(|path| (path.clone(), state_of(path))).collect::<Vec<_>>();
    // Looked at before they are read: what changes meanwhile is read again next time.
    let mut files = states();
    if let Some(before) = before.filter(|before| before.files == files) {
        return Ok(before.clone());
    }
    if databases.is_empty() {
        return Ok(Geo { table: Arc::new(BaseTable::embedded()), files });
    }
    for _ in 0..READS_MAX {
        let table = read(databases);
        // They are read piece by piece: pieces of two files make no table, and no
        // complaint.
        let now = states();
        if now == files {
            return Ok(Geo { table: Arc::new(table?), files });
        }
        files = now;
    }
    Err("the geo databases changed while they were read".to_owned())
}

fn read(databases: &[PathBuf]) -> Result<BaseTable, String> {
    let mut files = Vec::with_capacity(databases.len());
    for path in databases {
        let file = DatabaseFile::open(path)
            .map_err(|error| format!("cannot read the geo database {}: {error}", path.display()))?;
        files.push((path.display().to_string(), file));
    }
    BaseTable::from_databases(&files).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_built_anew_only_when_its_files_change() {
        let first = load(&[], None).unwrap();
        let again = load(&[], Some(&first)).unwrap();
        assert!(Arc::ptr_eq(&first.table, &again.table));

        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("no.mmdb");
        std::fs::write(&path, "no database").unwrap();
        let error = load(std::slice::from_ref(&path), Some(&first)).unwrap_err();
        assert!(error.contains("no.mmdb"), "{error}");
    }
}
