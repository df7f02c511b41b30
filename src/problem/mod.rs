//! Diagnostics: what is wrong, where, what is allowed, and what to do.
//!
//! Every reader of what people write (config, master files, weights) collects
//! [`Problem`]s here instead of stopping at the first, so that one run shows
//! them all. Codes are stable: scripts and documentation may rely on them.
//! This module must not know what a config is: only files, places and words.

mod json;
mod render;
mod sources;

pub use sources::{FileId, LineColumn, Sources};

use std::collections::HashSet;
use std::ops::Range;

/// Most problems kept of each severity: a broken generator must not drown the
/// reader or the memory. Those beyond are counted.
pub const PROBLEMS_MAX: usize = 500;

//------------ Severity -------------------------------------------------------

/// Whether a problem refuses the input.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Severity {
    /// The input is refused.
    Error,
    /// The input is accepted, but probably not what was meant.
    Warning,
}

//------------ Place ----------------------------------------------------------

/// Where in a file.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Position {
    /// The file as a whole (missing, unreadable).
    File,
    /// Byte range of its text.
    Span(Range<usize>),
    /// Line and column, both from 1, column in characters: what line-based
    /// readers (master files) know.
    LineColumn(LineColumn),
}

/// A position in a file, with what is there to say about it.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Place {
    /// Which file.
    pub file: FileId,
    /// Where in it.
    pub position: Position,
    /// A few words under the excerpt; may be empty.
    pub label: String,
}

/// A byte range of a file in eight bytes, for keeping one per WIP.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Spot {
    /// Which file.
    pub file: FileId,
    /// Length in bytes; longer ones are cut.
    pub length: u16,
    /// First byte.
    pub start: u32,
}

impl Spot {
    /// A spot for `range` of `file`. Config files are refused above 4 GiB before this.
    pub fn new(file: FileId, range: Range<usize>) -> Spot {
        let length = range.end.saturating_sub(range.start);
        Spot {
            file,
            length: u16::try_from(length).unwrap_or(u16::MAX),
            start: u32::try_from(range.start).unwrap_or(u32::MAX),
        }
    }

    /// The byte range.
    pub fn range(self) -> Range<usize> {
        let start = self.start as usize;
        start..start + usize::from(self.length)
    }

    /// The same place with words.
    pub fn label(self, label: impl Into<String>) -> Place {
        Place { file: self.file, position: Position::Span(self.range()), label: label.into() }
    }
}

impl From<Spot> for Place {
    fn from(spot: Spot) -> Place {
        spot.label("")
    }
}

//------------ Problem --------------------------------------------------------

/// One thing that is wrong.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Problem {
    /// Stable code, such as "unknown-key".
    pub code: &'static str,
    /// Whether it refuses the input.
    pub severity: Severity,
    /// What happened, in one line.
    pub title: String,
    /// Where; the first is the main one. Empty only where no file is concerned.
    pub places: Vec<Place>,
    /// Facts that explain it.
    pub notes: Vec<String>,
    /// What is allowed and what to do.
    pub help: Vec<String>,
}

impl Problem {
    /// A problem that refuses the input.
    pub fn error(code: &'static str, title: impl Into<String>) -> Problem {
        Problem {
            code,
            severity: Severity::Error,
            title: title.into(),
            places: Vec::new(),
            notes: Vec::new(),
            help: Vec::new(),
        }
    }

    /// A problem that does not refuse the input.
    pub fn warning(code: &'static str, title: impl Into<String>) -> Problem {
        Problem { severity: Severity::Warning, ..Problem::error(code, title) }
    }

    /// Adds a place without words.
    #[must_use]
    pub fn at(self, place: impl Into<Place>) -> Problem {
        self.place(place.into())
    }

    /// Adds a place with words under the excerpt.
    #[must_use]
    pub fn at_with(self, spot: Spot, label: impl Into<String>) -> Problem {
        self.place(spot.label(label))
    }

    /// Adds a file as a whole.
    #[must_use]
    pub fn in_file(self, file: FileId) -> Problem {
        self.place(Place { file, position: Position::File, label: String::new() })
    }

    /// Adds a line and column (both from 1) of a file.
    #[must_use]
    pub fn at_line(self, file: FileId, line: u32, column: u32) -> Problem {
        let position = Position::LineColumn(LineColumn { line, column });
        self.place(Place { file, position, label: String::new() })
    }

    /// Adds a place.
    #[must_use]
    pub fn place(mut self, place: Place) -> Problem {
        self.places.push(place);
        self
    }

    /// Adds a fact.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Problem {
        self.notes.push(note.into());
        self
    }

    /// Adds what is allowed or what to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Problem {
        self.help.push(help.into());
        self
    }

    /// Adds help if there is any.
    #[must_use]
    pub fn help_if(mut self, help: Option<String>) -> Problem {
        self.help.extend(help);
        self
    }
}

/// Code, main place and title.
type Said = (&'static str, Option<(FileId, Position)>, String);

//------------ Problems -------------------------------------------------------

/// All that was found.
#[derive(Clone, Debug, Default)]
pub struct Problems {
    list: Vec<Problem>,
    /// Code and main place of each: the same is said once.
    seen: HashSet<Said>,
    errors: usize,
    warnings: usize,
}

impl Problems {
    /// Adds an error that is only made if it will be kept: for loops over a
    /// million WIPs, whose messages cost more than finding what is wrong.
    pub fn push_error_with(&mut self, make: impl FnOnce() -> Problem) {
        if self.errors >= PROBLEMS_MAX {
            self.errors += 1;
        } else {
            self.push(make());
        }
    }

    /// Adds one, unless the same was said of the same place before.
    pub fn push(&mut self, problem: Problem) {
        let count = match problem.severity {
            Severity::Error => &mut self.errors,
            Severity::Warning => &mut self.warnings,
        };
        if *count >= PROBLEMS_MAX {
            *count += 1;
            return;
        }
        let place = problem.places.first().map(|p| (p.file, p.position.clone()));
        if self.seen.insert((problem.code, place, problem.title.clone())) {
            *count += 1;
            self.list.push(problem);
        }
    }

    /// Adds all of `other`.
    pub fn extend(&mut self, other: Problems) {
        let (errors, warnings) = (other.errors_omitted(), other.warnings_omitted());
        for problem in other.list {
            self.push(problem);
        }
        self.errors += errors;
        self.warnings += warnings;
    }

    /// Those kept, in the order found, or by place after [`Problems::sort`].
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.list.iter()
    }

    /// How many refuse the input, those not kept included.
    pub fn errors(&self) -> usize {
        self.errors
    }

    /// How many do not, those not kept included.
    pub fn warnings(&self) -> usize {
        self.warnings
    }

    /// How many in all.
    pub fn count(&self) -> usize {
        self.errors + self.warnings
    }

    /// True when the input must be refused.
    pub fn has_errors(&self) -> bool {
        self.errors > 0
    }

    /// True when nothing was found.
    pub fn is_empty(&self) -> bool {
        self.count() == 0
    }

    /// Orders by file, then place, errors before warnings at the same place.
    pub fn sort(&mut self) {
        self.list.sort_by_key(|problem| {
            let place = problem.places.first();
            (
                place.map(|p| p.file),
                place.map_or((0, 0, 0), |p| match &p.position {
                    Position::File => (0, 0, 0),
                    Position::LineColumn(at) => (1, at.line as usize, at.column as usize),
                    Position::Span(span) => (2, span.start, span.end),
                }),
                problem.severity == Severity::Warning,
            )
        });
    }

    /// "2 errors and 1 warning"; "no problems" when there is none.
    pub fn summary(&self) -> String {
        let count = |n: usize, word: &str| match n {
            1 => format!("1 {word}"),
            n => format!("{n} {word}s"),
        };
        match (self.errors, self.warnings) {
            (0, 0) => "no problems".to_owned(),
            (errors, 0) => count(errors, "error"),
            (0, warnings) => count(warnings, "warning"),
            (errors, warnings) => {
                format!("{} and {}", count(errors, "error"), count(warnings, "warning"))
            }
        }
    }

    fn errors_omitted(&self) -> usize {
        self.errors - self.list.iter().filter(|p| p.severity == Severity::Error).count()
    }

    fn warnings_omitted(&self) -> usize {
        self.warnings - self.list.iter().filter(|p| p.severity == Severity::Warning).count()
    }
}

#[cfg(test)]
mod tests;
