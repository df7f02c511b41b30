//! One name, or a glob of names.

/// A name, or a glob: `*` is any run of characters, `?` any one, and `\` takes the next
/// one as it is. A text that is the pattern itself always matches: what people copy from
/// a list means what it says, should there be such characters in it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Pattern {
    text: String,
    /// What stands before the first run and after the last: most names fail here.
    first: Vec<Token>,
    last: Vec<Token>,
    /// From the first run to the last, both included; empty: there is no run.
    middle: Vec<Token>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Token {
    Byte(u8),
    One,
    Run,
}

impl Token {
    fn is(self, byte: u8) -> bool {
        match self {
            Token::Byte(own) => own == byte,
            Token::One | Token::Run => true,
        }
    }
}

impl Pattern {
    pub(super) fn new(text: &str) -> Pattern {
        let mut tokens = Vec::with_capacity(text.len());
        let mut bytes = text.bytes();
        while let Some(byte) = bytes.next() {
            tokens.push(match byte {
                b'*' if tokens.last() == Some(&Token::Run) => continue,
                b'*' => Token::Run,
                b'?' => Token::One,
                b'\\' => Token::Byte(bytes.next().unwrap_or(b'\\')),
                byte => Token::Byte(byte),
            });
        }
        let is_run = |token: &Token| *token == Token::Run;
        let Some(from) = tokens.iter().position(is_run) else {
            let text = text.to_owned();
            return Pattern { text, first: tokens, last: Vec::new(), middle: Vec::new() };
        };
        let to = tokens.iter().rposition(is_run).map_or(from, |at| at + 1);
        Pattern {
            text: text.to_owned(),
            first: tokens[..from].to_vec(),
            last: tokens[to..].to_vec(),
            middle: tokens[from..to].to_vec(),
        }
    }

    /// Whether every name matches.
    pub(super) fn is_everything(&self) -> bool {
        self.first.is_empty() && self.last.is_empty() && self.middle == [Token::Run]
    }

    /// The one name that it means; none: it is a glob.
    pub(super) fn name(&self) -> Option<&str> {
        let plain = !self.text.contains(['*', '?', '\\']);
        plain.then_some(&self.text)
    }

    pub(super) fn matches(&self, name: &str) -> bool {
        self.matches_glob(name.as_bytes()) || self.text == name
    }

    fn matches_glob(&self, name: &[u8]) -> bool {
        let same = |tokens: &[Token], bytes: &[u8]| {
            tokens.len() == bytes.len() && tokens.iter().zip(bytes).all(|(t, &b)| t.is(b))
        };
        if self.middle.is_empty() {
            return same(&self.first, name);
        }
        let Some(middle_end) = name.len().checked_sub(self.last.len()) else { return false };
        if middle_end < self.first.len() {
            return false;
        }
        let (head, tail) = name.split_at(middle_end);
        let (head, middle) = head.split_at(self.first.len());
        same(&self.last, tail) && same(&self.first, head) && runs(&self.middle, middle)
    }
}

/// Whether `tokens`, which begin and end with a run, match all of `bytes`. A run that
/// fails grows by one: once a later run has begun, an earlier one need not grow again.
fn runs(tokens: &[Token], bytes: &[u8]) -> bool {
    let (mut token, mut byte) = (0, 0);
    let mut retry = None;
    while byte < bytes.len() {
        match tokens.get(token) {
            Some(Token::Run) => {
                token += 1;
                retry = Some((token, byte));
            }
            Some(other) if other.is(bytes[byte]) => {
                token += 1;
                byte += 1;
            }
            _ => {
                let Some((after_run, from)) = retry else { return false };
                (token, byte) = (after_run, from + 1);
                retry = Some((after_run, from + 1));
            }
        }
    }
    tokens[token..].iter().all(|token| *token == Token::Run)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn globs_match_whole_names() {
        for (pattern, yes, no) in [
            ("shop", &["shop"][..], &["shop.", "ashop", ""][..]),
            ("*", &["", "a", "a.b"], &[]),
            ("shop.*", &["shop.", "shop.eu"], &["shop", "ashop.eu"]),
            ("*.eu", &["shop.eu", ".eu"], &["eu", "shop.eu.x"]),
            ("s?op", &["shop", "stop"], &["sop", "shhop"]),
            ("a*b*c", &["abc", "axxbxxc", "abbc"], &["ab", "acb", "abcd"]),
            ("a*a", &["aa", "aba"], &["a"]),
            ("*aab*", &["aaab", "aab"], &["aba"]),
            (r"\*.eu", &["*.eu", r"\*.eu"], &["shop.eu"]),
            (r"a\\b", &[r"a\b"], &["ab"]),
            (r"a\.b", &["a.b", r"a\.b"], &["axb"]),
            ("*.apps.eu", &["*.apps.eu", "x.apps.eu"], &["apps.eu"]),
            ("??", &["ab"], &["a", "abc"]),
        ] {
            let glob = Pattern::new(pattern);
            for name in yes {
                assert!(glob.matches(name), "{pattern} {name}");
            }
            for name in no {
                assert!(!glob.matches(name), "{pattern} {name}");
            }
        }
        assert!(Pattern::new("***").is_everything());
        assert!(!Pattern::new("*?").is_everything());
        assert_eq!(Pattern::new("a.b").name(), Some("a.b"));
        assert_eq!(Pattern::new("a*").name(), None);
    }

    /// Globs by their definition.
    fn naive(pattern: &[u8], name: &[u8]) -> bool {
        match (pattern.first(), name.first()) {
            (None, None) => true,
            (Some(b'*'), _) => {
                naive(&pattern[1..], name) || !name.is_empty() && naive(pattern, &name[1..])
            }
            (Some(b'?'), Some(_)) => naive(&pattern[1..], &name[1..]),
            (Some(own), Some(byte)) if own == byte => naive(&pattern[1..], &name[1..]),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn a_glob_matches_by_its_definition(pattern in "[ab*?]{0,8}", name in "[ab]{0,8}") {
            let expected = naive(pattern.as_bytes(), name.as_bytes());
            prop_assert_eq!(Pattern::new(&pattern).matches(&name), expected);
        }
    }
}
