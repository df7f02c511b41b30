//! The config file: text in, a checked [`model::Config`] or all problems out.
//!
//! ```text
//! main file ─► include ─► every file ─► tables ─► Raw ─► resolve ─► Config
//!                 load        │          sections   │        │
//!                             └─────────► problems ◄┴────────┘
//! ```
//!
//! A mistake never hides another: readers go on behind it, in every file, and
//! all problems come back together with their places. Nothing here reads a
//! disk: files come through [`Files`]. It must not know snapshots, probes or
//! listeners.

mod block;
mod duplicates;
mod keys;
mod load;
mod mistakes;
pub mod model;
mod names;
mod origins;
mod raw;
mod reader;
mod reference;
mod resolve;
mod schema;
mod sections;
mod split;
mod transfers;
mod values;
mod warnings;
mod wips;

use std::io;
use std::path::{Path, PathBuf};

pub use origins::Origins;
pub use reference::{KeyText, SectionText, reference};
pub use schema::{default_file, schema};

use crate::problem::{Problems, Sources};
use model::Config;

//------------ Files ----------------------------------------------------------

/// Where files come from: a disk, or memory in tests.
pub trait Files {
    /// The whole file.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// Paths of files that match a pattern (`*`, `?`, `[…]`, `**`), in any
    /// order; an empty list when none does. The error says what is wrong with
    /// the pattern or which directory cannot be read.
    fn glob(&self, pattern: &str) -> Result<Vec<PathBuf>, String>;

    /// Whether there is a file that can be read later.
    fn exists(&self, path: &Path) -> bool;
}

/// Milliseconds of a duration as the config writes it: "500ms", "5s", "1m", "1h", "14d".
/// The error is a sentence's end: "is not a duration: …".
pub fn duration_ms(text: &str) -> Result<u64, String> {
    values::duration_ms(text).map_err(|bad| format!("{} ({})", bad.reason, bad.help.join("; ")))
}

//------------ Loaded ---------------------------------------------------------

/// What a load came to.
#[derive(Debug)]
pub struct Loaded {
    /// The config; none if there is any error.
    pub config: Option<Config>,
    /// Everything found, by place.
    pub problems: Problems,
    /// Files read, with the texts that `problems` needs.
    pub sources: Sources,
    /// Where things stand, for those who find problems later.
    pub origins: Origins,
}

impl Loaded {
    /// Reads again the texts that problems added since need for their excerpts.
    ///
    /// A file that is gone, or is no text any more, is named without excerpt.
    pub fn fetch_texts(&mut self, files: &dyn Files) {
        load::fetch_texts(&mut self.sources, &self.problems, files);
    }
}

/// Loads a main file and all it includes.
///
/// Relative paths are relative to the directory of the file they stand in, and
/// `main`'s are so to the working directory of `files`.
pub fn load(main: &Path, files: &dyn Files) -> Loaded {
    load_after(main, files, None)
}

/// The same after another load, whose config makes it cheaper: included files of
/// WIPs alone whose text is as it was then are not parsed again. What comes of it
/// is the same, problems and their places too.
pub fn load_after(main: &Path, files: &dyn Files, before: Option<&Config>) -> Loaded {
    load::load(main, files, before, load::Limits::default())
}
