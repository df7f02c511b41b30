//! Files in memory, so that config tests see exactly what they say.

#![allow(dead_code)]

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use windrose::config::Files;

/// Paths and contents.
#[derive(Clone, Debug, Default)]
pub(crate) struct MemoryFiles(pub(crate) BTreeMap<PathBuf, Vec<u8>>);

impl MemoryFiles {
    /// One file per part of `text`: the first is `main`, further ones begin
    /// with a line `# file: PATH`.
    pub(crate) fn parse(main: &str, text: &str) -> MemoryFiles {
        let mut files = MemoryFiles::default();
        let mut path = main.to_owned();
        let mut part = String::new();
        for line in text.split_inclusive('\n') {
            if let Some(next) = line.strip_prefix("# file: ") {
                files.insert(&path, std::mem::take(&mut part));
                path = next.trim().to_owned();
            } else {
                part.push_str(line);
            }
        }
        files.insert(&path, part);
        files
    }

    pub(crate) fn insert(&mut self, path: &str, text: impl Into<Vec<u8>>) {
        self.0.insert(PathBuf::from(path), text.into());
    }
}

impl Files for MemoryFiles {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.0.get(path).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn glob(&self, pattern: &str) -> Result<Vec<PathBuf>, String> {
        let pattern = glob::Pattern::new(pattern).map_err(|error| error.to_string())?;
        let options =
            glob::MatchOptions { require_literal_separator: true, ..glob::MatchOptions::default() };
        let matches = |path: &&PathBuf| pattern.matches_path_with(path, options);
        Ok(self.0.keys().filter(matches).cloned().collect())
    }

    fn exists(&self, path: &Path) -> bool {
        self.0.contains_key(path)
    }
}
