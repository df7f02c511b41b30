//! Whether a body holds what it must, as it comes in pieces.
//!
//! At most `max_body` bytes are kept and searched; a body that is longer and
//! holds no match by then fails. A match may lie across pieces. Text is found as
//! soon as it is there; a pattern as soon as no further byte could undo the match
//! (`ok$` matches at the end of what has come, but perhaps not of what comes).
//!
//! Pure: it must not know where the pieces come from.

use regex::bytes::Regex;

use crate::health::{Failure, FailureKind};

/// What is searched for.
#[derive(Clone, Debug)]
pub(super) enum Wanted {
    /// This text, byte by byte.
    Text(Vec<u8>),
    /// A match of this pattern.
    Pattern(Regex),
}

/// After a match, so many more bytes settle what a pattern looks at behind it: a
/// character for `\b`, a line break for `$`.
const LOOK_AHEAD_BYTES: usize = 4;
/// A pattern is tried on all that has come with each piece, until so many times
/// `max_body` were searched; then only when twice as much has come. A body in pieces of
/// one byte must not cost the square of its length.
const SEARCHES_MAX: usize = 2;

/// The search through one body.
#[derive(Debug)]
pub(super) struct Search<'a> {
    wanted: &'a Wanted,
    /// Most bytes kept.
    most: usize,
    seen: Vec<u8>,
    /// Bytes searched by the pattern so far.
    searched: usize,
    /// How many bytes had come when the pattern was tried last.
    tried_at: usize,
    found: bool,
}

impl<'a> Search<'a> {
    pub(super) fn new(wanted: &'a Wanted, most: usize) -> Search<'a> {
        let found = matches!(wanted, Wanted::Text(text) if text.is_empty());
        Search { wanted, most, seen: Vec::new(), searched: 0, tried_at: 0, found }
    }

    /// Takes in one piece. True: nothing more need be read.
    pub(super) fn push(&mut self, piece: &[u8]) -> bool {
        let before = self.seen.len();
        self.seen.extend_from_slice(&piece[..piece.len().min(self.most - before)]);
        match self.wanted {
            Wanted::Text(text) => {
                // A match may begin in what came before.
                let from = before.saturating_sub(text.len().saturating_sub(1));
                self.found = self.found || contains(&self.seen[from..], text);
            }
            Wanted::Pattern(pattern) => self.try_pattern(pattern),
        }
        self.found || self.seen.len() == self.most
    }

    /// The body is over, or as much of it as is read.
    pub(super) fn end(self) -> Result<(), Failure> {
        let (found, what) = match self.wanted {
            Wanted::Text(_) => (self.found, "expected text not in"),
            Wanted::Pattern(pattern) => {
                (self.found || pattern.is_match(&self.seen), "no match of expect_body_regex in")
            }
        };
        if found {
            return Ok(());
        }
        let detail = format!("{what} the body's {} bytes", self.seen.len());
        Err(Failure::new(FailureKind::Body, detail))
    }

    fn try_pattern(&mut self, pattern: &Regex) {
        let length = self.seen.len();
        // The whole is searched at its end.
        let done = self.found || length == self.tried_at || length == self.most;
        let dear = self.searched + length > self.most.saturating_mul(SEARCHES_MAX);
        if done || dear && length < self.tried_at.saturating_mul(2) {
            return;
        }
        self.searched += length;
        self.tried_at = length;
        let end = pattern.shortest_match(&self.seen);
        self.found = end.is_some_and(|end| end + LOOK_AHEAD_BYTES <= length);
    }
}

pub(super) fn contains(bytes: &[u8], text: &[u8]) -> bool {
    !text.is_empty() && bytes.windows(text.len()).any(|window| window == text)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use proptest::prelude::*;

    use super::*;

    fn pattern(text: &str) -> Wanted {
        Wanted::Pattern(Regex::new(text).unwrap())
    }

    /// How many pieces were needed, and the end.
    fn search(wanted: &Wanted, most: usize, pieces: &[&str]) -> (usize, String) {
        let mut search = Search::new(wanted, most);
        let mut used = 0;
        for piece in pieces {
            used += 1;
            if search.push(piece.as_bytes()) {
                break;
            }
        }
        (used, search.end().map_or_else(|failure| failure.to_string(), |()| "ok".to_owned()))
    }

    #[test]
    fn a_match_is_found_across_pieces_and_as_soon_as_it_is_sure() {
        let ok = |used| (used, "ok".to_owned());
        let text = Wanted::Text(b"all good".to_vec());
        assert_eq!(search(&text, 64, &["all ", "go", "od", "more"]), ok(3));
        let digits = pattern(r"ready: \d+ of \d+");
        assert_eq!(search(&digits, 64, &["ready: 3", " of 3", "more", "unread"]), ok(3));
        // The end of what has come is not the end of the body.
        let at_end = pattern("ok$");
        assert_eq!(search(&at_end, 64, &["ok"]), ok(1));
        let failed = "body: no match of expect_body_regex in the body's 6 bytes";
        assert_eq!(search(&at_end, 64, &["ok", " not"]), (2, failed.to_owned()));
        assert_eq!(
            search(&pattern(r"up\b"), 64, &["up", "side", " down"]).1.split(':').next(),
            Some("body")
        );
        assert_eq!(search(&pattern(r"(?-u)\xff"), 64, &["x"]).1.split(':').next(), Some("body"));
        assert_eq!(search(&pattern(""), 64, &[]), ok(0));
    }

    #[test]
    fn nothing_beyond_the_limit_is_kept_or_seen() {
        let wanted = Wanted::Text(b"x".to_vec());
        let mut search = Search::new(&wanted, 8);
        assert!(!search.push(b"1234567"));
        assert!(search.push(b"8x"));
        assert_eq!(search.seen, b"12345678");
        let failed = "body: expected text not in the body's 8 bytes";
        assert_eq!(search.end().unwrap_err().to_string(), failed);
    }

    #[test]
    fn a_body_in_pieces_of_one_byte_costs_no_square() {
        let wanted = pattern("(a|b)+c.*d$");
        let most = 256 * 1024;
        let mut search = Search::new(&wanted, most);
        let started = Instant::now();
        while !search.push(b"a") {}
        let searched = search.searched;
        // Two at first, two of doubling lengths, and the whole at its end.
        assert!(searched <= most * 4, "{searched}");
        assert!(search.end().is_err());
        assert!(started.elapsed().as_secs() < 20);
    }

    proptest! {
        /// However a body is cut, the end is that of a search through its whole.
        #[test]
        fn the_cut_does_not_matter(
            body in "[abk\n ]{0,40}",
            cuts in prop::collection::vec(1_usize..9, 1..8),
            which in 0_usize..7,
        ) {
            let patterns = ["a", "ab*$", r"^b", r"\bak\b", r"(?m)a$", r"k\z", "a[^b]*b"];
            let regex = Regex::new(patterns[which]).unwrap();
            let wanted = Wanted::Pattern(regex.clone());
            let mut search = Search::new(&wanted, 1_000);
            let mut rest = body.as_bytes();
            for cut in cuts.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (piece, after) = rest.split_at(rest.len().min(*cut));
                rest = after;
                if search.push(piece) {
                    break;
                }
            }
            prop_assert_eq!(search.end().is_ok(), regex.is_match(body.as_bytes()));
        }
    }
}
