//! Cutting a large file into parts that are parsed one after the other.
//!
//! ```text
//! include = […]        ─┐
//! [datacenter.fra] …    ├─► rest: one text, its pieces mapped back
//! [wip."a.example"] …  ─┼─┐
//! [wip."b.example"] …   │ ├─► runs of whole WIP tables, each parsed and drained
//! [pool.europe] …      ─┘ │
//! [wip."c.example"] …  ───┘
//! ```
//!
//! A tree of a million WIPs costs ten times their text; a run costs its own
//! only. Cutting happens at headers, which the tokens show without parsing. A
//! file where a WIP's tables may be apart (`[wip."a".x]`, `[wip]`) is not cut.

use std::ops::Range;

use toml_parser::Source;
use toml_parser::lexer::{Token, TokenKind};

/// Where parts of a parsed text stand in the file: start in the text, start in
/// the file, in rising order, from 0.
pub(super) type Pieces = Vec<(usize, usize)>;

/// Parts of one file.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Parts {
    /// All but WIP tables.
    pub(super) rest: String,
    /// Where `rest` comes from.
    pub(super) pieces: Pieces,
    /// Whole WIP tables; each run at most a little over the length asked for.
    pub(super) runs: Vec<Range<usize>>,
}

/// Cuts `text`; none when it must be parsed as a whole.
pub(super) fn split(text: &str, run_length: usize) -> Option<Parts> {
    let mut parts = Parts { rest: String::new(), pieces: Vec::new(), runs: Vec::new() };
    let mut from = 0;
    let mut in_wips = false;
    let mut headers = Headers::new(text);
    while let Some((start, kind)) = headers.next() {
        let wip = match kind {
            Header::Wip => true,
            Header::Other => false,
            Header::Apart => return None,
        };
        let full = in_wips && start - from >= run_length;
        if wip != in_wips || full {
            parts.take(text, from..start, in_wips);
            (from, in_wips) = (start, wip);
        }
    }
    parts.take(text, from..text.len(), in_wips);
    if parts.pieces.is_empty() {
        parts.pieces.push((0, 0));
    }
    Some(parts)
}

impl Parts {
    fn take(&mut self, text: &str, range: Range<usize>, wips: bool) {
        if range.is_empty() {
            return;
        }
        if wips {
            self.runs.push(range);
        } else {
            self.pieces.push((self.rest.len(), range.start));
            self.rest.push_str(&text[range]);
        }
    }
}

//------------ Headers --------------------------------------------------------

/// What a header opens.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Header {
    /// `[wip."name"]`
    Wip,
    /// Any other.
    Other,
    /// A table of WIPs that may belong to another place.
    Apart,
}

/// Headers of a text: offsets of their lines, and what they open.
struct Headers<'t> {
    text: &'t str,
    tokens: std::iter::Peekable<toml_parser::lexer::Lexer<'t>>,
    /// Open brackets and braces of a value.
    depth: usize,
    line_start: usize,
    /// Nothing but whitespace since `line_start`.
    blank: bool,
}

impl<'t> Headers<'t> {
    fn new(text: &'t str) -> Headers<'t> {
        let tokens = Source::new(text).lex().peekable();
        Headers { text, tokens, depth: 0, line_start: 0, blank: true }
    }

    fn next(&mut self) -> Option<(usize, Header)> {
        while let Some(token) = self.tokens.next() {
            match token.kind() {
                TokenKind::Newline => {
                    self.line_start = token.span().end();
                    self.blank = true;
                    continue;
                }
                TokenKind::Whitespace => continue,
                TokenKind::LeftSquareBracket if self.blank && self.depth == 0 => {
                    let start = self.line_start;
                    return Some((start, self.header()));
                }
                TokenKind::LeftSquareBracket | TokenKind::LeftCurlyBracket => self.depth += 1,
                TokenKind::RightSquareBracket | TokenKind::RightCurlyBracket => {
                    self.depth = self.depth.saturating_sub(1);
                }
                _ => {}
            }
            self.blank = false;
        }
        None
    }

    /// Reads a header behind its first bracket.
    fn header(&mut self) -> Header {
        self.blank = false;
        let mut first = None;
        let mut keys = 0;
        let mut array = false;
        while let Some(token) =
            self.tokens.next_if(|t| !matches!(t.kind(), TokenKind::Newline | TokenKind::Eof))
        {
            match token.kind() {
                TokenKind::RightSquareBracket => break,
                TokenKind::LeftSquareBracket => array = true,
                TokenKind::Whitespace | TokenKind::Dot => {}
                _ => {
                    first.get_or_insert(token);
                    keys += 1;
                }
            }
        }
        match (first.is_some_and(|token| self.is_wip(token)), keys) {
            (false, _) => Header::Other,
            (true, 2) if !array => Header::Wip,
            (true, _) => Header::Apart,
        }
    }

    fn is_wip(&self, token: Token) -> bool {
        let text = &self.text[token.span().start()..token.span().end()];
        text.trim_matches(['"', '\'']) == "wip"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wip_tables_are_cut_out_and_the_rest_maps_back() {
        let text =
            "a = [\n[1],\n]\n[wip.\"x\"]\nb = \"\"\"\n[pool.y]\n\"\"\"\n[pool.z]\nc = 1\n[wip.w]\n";
        let parts = split(text, 1).unwrap();
        assert_eq!(parts.rest, "a = [\n[1],\n]\n[pool.z]\nc = 1\n");
        let runs: Vec<&str> = parts.runs.iter().map(|run| &text[run.clone()]).collect();
        assert_eq!(runs, ["[wip.\"x\"]\nb = \"\"\"\n[pool.y]\n\"\"\"\n", "[wip.w]\n"]);
        for (at, from) in &parts.pieces {
            assert_eq!(parts.rest[*at..*at + 3], text[*from..*from + 3]);
        }
    }

    #[test]
    fn runs_are_as_long_as_asked_for() {
        let text = "[wip.a]\n[wip.b]\n[wip.c]\n";
        assert_eq!(split(text, 1).unwrap().runs, [0..8, 8..16, 16..24]);
        assert_eq!(split(text, 9).unwrap().runs, [0..16, 16..24]);
        assert_eq!(split(text, 99).unwrap().runs.len(), 1);
    }

    #[test]
    fn tables_that_may_be_apart_are_not_cut() {
        for text in ["[wip]\n", "[wip.\"a\".on_all_down]\n", "[[wip]]\n", "[[wip.\"a\"]]\n"] {
            assert_eq!(split(text, 1), None, "{text}");
        }
    }
}
