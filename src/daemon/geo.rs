//! Loading geo databases: from files, or the embedded table when none is named.

use std::path::PathBuf;
use std::sync::Arc;

use super::disk::Disk;
use crate::config::Files;
use crate::geo::BaseTable;

/// Reads the databases and builds their table. The error is one line for people.
pub(crate) fn load(databases: &[PathBuf]) -> Result<Arc<BaseTable>, String> {
    if databases.is_empty() {
        return Ok(Arc::new(BaseTable::embedded()));
    }
    let mut files = Vec::with_capacity(databases.len());
    for path in databases {
        let bytes = Disk
            .read(path)
            .map_err(|error| format!("cannot read the geo database {}: {error}", path.display()))?;
        files.push((path.display().to_string(), bytes));
    }
    BaseTable::from_databases(&files).map(Arc::new).map_err(|error| error.to_string())
}
