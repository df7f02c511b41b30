//! What compiling finds wrong, in terms of the config's own entries. The caller
//! adds the place in the file.

/// One finding.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CompileProblem {
    /// Stable code.
    pub code: &'static str,
    /// False for a warning.
    pub is_error: bool,
    /// What it is about.
    pub subject: Subject,
    /// What happened.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
    /// Another entry it is about, and what that one is.
    pub also: Option<(Subject, &'static str)>,
}

/// What a finding is about.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Subject {
    /// The whole config.
    Config,
    /// A zone, by index.
    Zone(u32),
    /// A place in a zone's master file; line and column count from 1.
    MasterFile {
        /// Index of the zone.
        zone: u32,
        /// Line.
        line: u32,
        /// Column.
        column: u32,
    },
    /// A WIP, by index.
    Wip(u32),
    /// A datacenter, by index.
    Datacenter(u32),
    /// An alias, by index.
    Alias(u32),
    /// An inline record.
    Record {
        /// Index of the zone.
        zone: u32,
        /// Index in its list.
        record: u32,
    },
    /// A pool, by index.
    Pool(u32),
}

impl CompileProblem {
    /// An error.
    pub fn error(code: &'static str, subject: Subject, message: String) -> CompileProblem {
        CompileProblem { code, is_error: true, subject, message, help: None, also: None }
    }

    /// A warning.
    pub fn warning(code: &'static str, subject: Subject, message: String) -> CompileProblem {
        CompileProblem { code, is_error: false, subject, message, help: None, also: None }
    }

    /// Adds another place.
    pub fn and_at(mut self, subject: Subject, what: &'static str) -> CompileProblem {
        self.also = Some((subject, what));
        self
    }

    /// Adds what to do.
    pub fn with_help(mut self, help: impl Into<String>) -> CompileProblem {
        self.help = Some(help.into());
        self
    }
}
