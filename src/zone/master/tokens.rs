//! Master-file text cut into entries and tokens (RFC 1035 5.1): quotes,
//! escapes, parentheses and comments, each token with its place.
//!
//! Errors cost one entry: reading goes on after it. It must not know what the
//! tokens mean.

use super::MasterError;

//------------ Token and Entry ------------------------------------------------

/// One word or quoted string, escapes still in it; they are well-formed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token<'a> {
    /// Its bytes, quotes left out.
    pub(super) raw: &'a [u8],
    pub(super) quoted: bool,
    /// No space stands before it: `key="value"`.
    pub(super) glued: bool,
    pub(super) line: u32,
    pub(super) column: u32,
}

impl Token<'_> {
    /// The bytes meant, escapes undone.
    pub(super) fn bytes(&self) -> impl Iterator<Item = u8> + '_ {
        self.symbols().map(|(byte, _)| byte)
    }

    /// The bytes meant, each with whether it was escaped.
    pub(super) fn symbols(&self) -> impl Iterator<Item = (u8, bool)> + '_ {
        let mut raw = self.raw.iter().copied();
        std::iter::from_fn(move || match raw.next()? {
            b'\\' => {
                let first = raw.next()?;
                if !first.is_ascii_digit() {
                    return Some((first, true));
                }
                let (tens, ones) = (raw.next()?, raw.next()?);
                let digit = |byte: u8| u32::from(byte.wrapping_sub(b'0'));
                Some(((digit(first) * 100 + digit(tens) * 10 + digit(ones)) as u8, true))
            }
            byte => Some((byte, false)),
        })
    }

    /// The text of a token that is one plain ASCII word.
    pub(super) fn word(&self) -> Option<&str> {
        if self.raw.contains(&b'\\') || !self.raw.is_ascii() {
            return None;
        }
        std::str::from_utf8(self.raw).ok()
    }

    /// For messages.
    pub(super) fn shown(&self) -> String {
        String::from_utf8_lossy(self.raw).into_owned()
    }

    pub(super) fn error(&self, message: impl Into<String>) -> MasterError {
        MasterError { line: self.line, column: self.column, message: message.into() }
    }
}

/// A record or directive: the tokens up to the end of its (logical) line.
#[derive(Debug, Default)]
pub(super) struct Entry<'a> {
    pub(super) tokens: Vec<Token<'a>>,
    /// It starts with space: the owner is the last one.
    pub(super) indented: bool,
}

//------------ Scanner --------------------------------------------------------

/// Reads entries from text.
#[derive(Debug)]
pub(super) struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
    line: u32,
    line_start: usize,
}

/// A place to come back to.
#[derive(Clone, Copy)]
struct Place {
    at: usize,
    line: u32,
    line_start: usize,
}

impl<'a> Scanner<'a> {
    /// Over `text`, whose first line has number `line`.
    pub(super) fn new(text: &'a [u8], line: u32) -> Scanner<'a> {
        let at = if text.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
        Scanner { text, at, line, line_start: at }
    }

    /// Reads the next entry that has tokens into `entry`; false at the end.
    /// After an error the next call goes on behind the bad entry.
    pub(super) fn next(&mut self, entry: &mut Entry<'a>) -> Result<bool, MasterError> {
        entry.tokens.clear();
        entry.indented = matches!(self.text.get(self.at), Some(b' ' | b'\t'));
        let mut opened: Option<Place> = None;
        let mut depth = 0_u32;
        let mut spaced = true;
        while let Some(&byte) = self.text.get(self.at) {
            match byte {
                b' ' | b'\t' | b'\r' => {
                    self.at += 1;
                    spaced = true;
                }
                b'\n' => {
                    self.end_line();
                    spaced = true;
                    if depth == 0 {
                        if !entry.tokens.is_empty() {
                            return Ok(true);
                        }
                        entry.indented = matches!(self.text.get(self.at), Some(b' ' | b'\t'));
                    }
                }
                b';' => self.skip_to_line_end(),
                b'(' => {
                    if depth == 0 {
                        opened = Some(self.place());
                    }
                    depth += 1;
                    self.at += 1;
                    spaced = true;
                }
                b')' if depth > 0 => {
                    depth -= 1;
                    self.at += 1;
                    spaced = true;
                }
                b')' => return Err(self.fail(self.at, "a closing parenthesis without its opening")),
                b'"' => {
                    entry.tokens.push(self.quoted(!spaced)?);
                    spaced = false;
                }
                _ => {
                    entry.tokens.push(self.unquoted(!spaced)?);
                    spaced = false;
                }
            }
        }
        match opened {
            Some(place) if depth > 0 => Err(self.unclosed(place)),
            _ => Ok(!entry.tokens.is_empty()),
        }
    }

    fn unquoted(&mut self, glued: bool) -> Result<Token<'a>, MasterError> {
        let start = self.at;
        while let Some(&byte) = self.text.get(self.at) {
            match byte {
                b' ' | b'\t' | b'\r' | b'\n' | b';' | b'(' | b')' | b'"' => break,
                b'\\' => self.escape()?,
                0..=31 | 127 => return Err(self.fail(self.at, "a control character")),
                _ => self.at += 1,
            }
        }
        Ok(self.token(start, start, self.at, false, glued))
    }

    fn quoted(&mut self, glued: bool) -> Result<Token<'a>, MasterError> {
        let quote = self.at;
        self.at += 1;
        loop {
            match self.text.get(self.at) {
                None | Some(b'\n') => {
                    return Err(self.fail(quote, "a quote that does not end on its line"));
                }
                Some(b'"') => break,
                Some(b'\\') => self.escape()?,
                Some(_) => self.at += 1,
            }
        }
        let token = self.token(quote, quote + 1, self.at, true, glued);
        self.at += 1;
        Ok(token)
    }

    /// Steps over `\X` or `\DDD`.
    fn escape(&mut self) -> Result<(), MasterError> {
        let bad = "a backslash must be followed by a character or by three digits up to 255";
        match self.text.get(self.at + 1) {
            None | Some(b'\n' | b'\r') => Err(self.fail(self.at, bad)),
            Some(first) if first.is_ascii_digit() => {
                let digits = self.text.get(self.at + 1..self.at + 4);
                let value = digits
                    .filter(|digits| digits.iter().all(u8::is_ascii_digit))
                    .and_then(|digits| std::str::from_utf8(digits).ok()?.parse::<u8>().ok());
                if value.is_none() {
                    return Err(self.fail(self.at, bad));
                }
                self.at += 4;
                Ok(())
            }
            Some(_) => {
                self.at += 2;
                Ok(())
            }
        }
    }

    fn token(
        &self,
        place: usize,
        start: usize,
        end: usize,
        quoted: bool,
        glued: bool,
    ) -> Token<'a> {
        let column = (place - self.line_start) as u32 + 1;
        Token { raw: &self.text[start..end], quoted, glued, line: self.line, column }
    }

    /// An error at `at` on this line; goes on with the next line.
    fn fail(&mut self, at: usize, message: &str) -> MasterError {
        let column = (at - self.line_start) as u32 + 1;
        let error = MasterError { line: self.line, column, message: message.into() };
        self.skip_to_line_end();
        if self.at < self.text.len() {
            self.end_line();
        }
        error
    }

    /// A parenthesis that never closes would swallow the rest of the file: go
    /// on at the next line that does not look like its inside.
    fn unclosed(&mut self, place: Place) -> MasterError {
        (self.at, self.line, self.line_start) = (place.at, place.line, place.line_start);
        let error = self.fail(place.at, "a parenthesis that is never closed");
        while matches!(self.text.get(self.at), Some(b' ' | b'\t' | b'\r' | b'\n' | b')' | b';')) {
            self.skip_to_line_end();
            if self.at < self.text.len() {
                self.end_line();
            }
        }
        error
    }

    fn place(&self) -> Place {
        Place { at: self.at, line: self.line, line_start: self.line_start }
    }

    fn skip_to_line_end(&mut self) {
        let rest = &self.text[self.at..];
        self.at += rest.iter().position(|&byte| byte == b'\n').unwrap_or(rest.len());
    }

    fn end_line(&mut self) {
        self.at += 1;
        self.line += 1;
        self.line_start = self.at;
    }
}
