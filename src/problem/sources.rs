//! The files problems speak of: names, and texts while they are needed.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::{Place, Position, Problems};

/// Most files one load may read: a file's number fits two bytes.
const FILES_MAX: usize = u16::MAX as usize;

/// A file in [`Sources`].
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct FileId(pub u16);

/// A line and a column, both counted from 1; columns in characters.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct LineColumn {
    /// From 1.
    pub line: u32,
    /// From 1, in characters.
    pub column: u32,
}

//------------ Sources --------------------------------------------------------

/// Names and texts of the files read.
///
/// Texts of a million WIPs are dropped once read; before rendering, the caller
/// asks [`Sources::wanted`] and gives them again.
#[derive(Debug, Default)]
pub struct Sources {
    files: Vec<Source>,
    ids: HashMap<PathBuf, FileId>,
}

#[derive(Debug)]
struct Source {
    path: PathBuf,
    text: Option<String>,
    /// Byte offsets of line starts, made when first asked for.
    lines: OnceLock<Vec<usize>>,
}

impl Sources {
    /// Adds a file; none when there are too many.
    pub fn add(&mut self, path: impl Into<PathBuf>) -> Option<FileId> {
        if self.files.len() >= FILES_MAX {
            return None;
        }
        let id = FileId(self.files.len() as u16);
        let path = path.into();
        self.ids.insert(path.clone(), id);
        self.files.push(Source { path, text: None, lines: OnceLock::new() });
        Some(id)
    }

    /// The file of that path, if it was added.
    pub fn find(&self, path: &Path) -> Option<FileId> {
        self.ids.get(path).copied()
    }

    /// Its path.
    pub fn path(&self, file: FileId) -> &Path {
        self.files.get(usize::from(file.0)).map_or(Path::new(""), |f| &f.path)
    }

    /// Its path as text.
    pub fn name(&self, file: FileId) -> String {
        self.path(file).display().to_string()
    }

    /// Its text, if it is held.
    pub fn text(&self, file: FileId) -> Option<&str> {
        self.files.get(usize::from(file.0))?.text.as_deref()
    }

    /// Gives or takes away its text.
    pub fn set_text(&mut self, file: FileId, text: Option<String>) {
        if let Some(source) = self.files.get_mut(usize::from(file.0)) {
            source.text = text;
            source.lines = OnceLock::new();
        }
    }

    /// Files whose text rendering `problems` needs and does not have.
    pub fn wanted(&self, problems: &Problems) -> Vec<FileId> {
        let mut files: Vec<FileId> = problems
            .iter()
            .flat_map(|problem| &problem.places)
            .filter(|place| place.position != Position::File && self.text(place.file).is_none())
            .map(|place| place.file)
            .collect();
        files.sort_unstable();
        files.dedup();
        files
    }

    /// Line and column of a place; none for a whole file or without its text.
    pub fn line_column(&self, place: &Place) -> Option<LineColumn> {
        match &place.position {
            Position::File => None,
            Position::LineColumn(at) => Some(*at),
            Position::Span(span) => self.line_column_at(place.file, span.start),
        }
    }

    /// Line and column of a byte offset.
    pub fn line_column_at(&self, file: FileId, offset: usize) -> Option<LineColumn> {
        let text = self.text(file)?;
        let lines = self.lines(file)?;
        let offset = floor_boundary(text, offset);
        let line = lines.partition_point(|&start| start <= offset);
        let start = lines[line - 1];
        let column = text[start..offset].chars().count() + 1;
        Some(LineColumn { line: line as u32, column: column as u32 })
    }

    /// The byte range of a place's text, cut to the text, on character boundaries.
    pub(super) fn span(&self, place: &Place) -> Option<std::ops::Range<usize>> {
        let text = self.text(place.file)?;
        match &place.position {
            Position::File => None,
            Position::Span(span) => {
                let start = floor_boundary(text, span.start);
                Some(start..floor_boundary(text, span.end).max(start))
            }
            Position::LineColumn(at) => {
                let line = self.line_range(place.file, at.line)?;
                let column = (at.column as usize).saturating_sub(1);
                let start = text[line.clone()]
                    .char_indices()
                    .nth(column)
                    .map_or(line.end, |(index, _)| line.start + index);
                let end = text[start..line.end]
                    .find(char::is_whitespace)
                    .map_or(line.end, |length| start + length);
                Some(start..end)
            }
        }
    }

    /// Byte range of line `line` (from 1), its line end left out.
    pub(super) fn line_range(&self, file: FileId, line: u32) -> Option<std::ops::Range<usize>> {
        let text = self.text(file)?;
        let lines = self.lines(file)?;
        let index = (line as usize).checked_sub(1)?;
        let start = *lines.get(index)?;
        let end = lines.get(index + 1).map_or(text.len(), |next| next - 1);
        let end = if text[start..end].ends_with('\r') { end - 1 } else { end };
        Some(start..end)
    }

    fn lines(&self, file: FileId) -> Option<&[usize]> {
        let source = self.files.get(usize::from(file.0))?;
        let text = source.text.as_deref()?;
        Some(source.lines.get_or_init(|| {
            let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
            std::iter::once(0).chain(ends.map(|(index, _)| index + 1)).collect()
        }))
    }
}

/// The nearest character boundary at or before `offset`.
fn floor_boundary(text: &str, offset: usize) -> usize {
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    offset
}
