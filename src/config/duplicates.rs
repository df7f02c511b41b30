//! Where a key or header that TOML refuses as a duplicate was first given.
//!
//! The TOML reader names the second place only. This walks the events of the
//! text again, which happens only when there is something to report.

use std::collections::HashMap;
use std::ops::Range;

use toml_parser::Source;
use toml_parser::parser::{Event, EventKind, RecursionGuard, parse_document};

/// Depth beyond which nesting is not followed.
const DEPTH_MAX: u32 = 80;

/// Byte ranges of first givings, by those of later ones of the same key.
pub(super) fn first_places(text: &str) -> HashMap<Range<usize>, Range<usize>> {
    let source = Source::new(text);
    let tokens = source.lex().into_vec();
    let mut events: Vec<Event> = Vec::new();
    let mut guard = RecursionGuard::new(&mut events, DEPTH_MAX);
    parse_document(&tokens, &mut guard, &mut ());
    let mut walk = Walk::default();
    for event in &events {
        walk.step(event, source);
    }
    walk.repeated
}

/// Follows headers and keys; what is inside values is passed over.
#[derive(Default)]
struct Walk {
    /// Path of the current `[header]`.
    header: Vec<String>,
    /// Keys of the header or dotted key being read.
    path: Vec<String>,
    span: Range<usize>,
    in_header: bool,
    /// A number for each element of an array of tables: their keys are apart.
    array_elements: usize,
    depth: usize,
    first: HashMap<Vec<String>, Range<usize>>,
    repeated: HashMap<Range<usize>, Range<usize>>,
}

impl Walk {
    fn step(&mut self, event: &Event, source: Source<'_>) {
        match event.kind() {
            EventKind::InlineTableOpen | EventKind::ArrayOpen => self.depth += 1,
            EventKind::InlineTableClose | EventKind::ArrayClose => {
                self.depth = self.depth.saturating_sub(1);
            }
            _ if self.depth > 0 => {}
            EventKind::StdTableOpen | EventKind::ArrayTableOpen => {
                self.in_header = true;
                self.path.clear();
            }
            EventKind::SimpleKey => {
                let mut key = String::new();
                if let Some(raw) = source.get(event) {
                    raw.decode_key(&mut key, &mut ());
                }
                self.path.push(key);
                self.span = event.span().start()..event.span().end();
            }
            EventKind::StdTableClose => {
                self.header = std::mem::take(&mut self.path);
                self.in_header = false;
                if self.given(self.header.clone()) {
                    // Keys under a repeated header are not repeated by themselves.
                    self.array_elements += 1;
                    self.header.push(format!("#{}", self.array_elements));
                }
            }
            EventKind::ArrayTableClose => {
                self.header = std::mem::take(&mut self.path);
                self.array_elements += 1;
                self.header.push(format!("#{}", self.array_elements));
                self.in_header = false;
            }
            EventKind::KeyValSep if !self.in_header => {
                let key = std::mem::take(&mut self.path);
                self.given([self.header.as_slice(), &key].concat());
            }
            EventKind::Newline => {
                self.path.clear();
                self.in_header = false;
            }
            _ => {}
        }
    }

    /// Notes where `path` is given; true when it was before.
    fn given(&mut self, path: Vec<String>) -> bool {
        if let Some(first) = self.first.get(&path) {
            self.repeated.insert(self.span.clone(), first.clone());
            return true;
        }
        self.first.insert(path, self.span.clone());
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_headers_find_their_first_place() {
        let text = "[a]\nx = { y = 1 }\n[b]\nx = 1\ny = 2\nx = 3\n[a]\n";
        let places = first_places(text);
        let shown: Vec<(&str, &str, bool)> = places
            .iter()
            .map(|(again, first)| {
                (&text[again.clone()], &text[first.clone()], again.start > first.start)
            })
            .collect();
        assert_eq!(shown.len(), 2, "{shown:?}");
        assert!(shown.contains(&("x", "x", true)) && shown.contains(&("a", "a", true)));
    }

    #[test]
    fn elements_of_arrays_of_tables_do_not_repeat_one_another() {
        assert!(first_places("[[a]]\nx = 1\n[[a]]\nx = 1\n").is_empty());
    }
}
