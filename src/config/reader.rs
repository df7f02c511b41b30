//! Reading typed values out of a parsed table, with every mistake reported.
//!
//! A [`Table`] pairs what was written with its [`Section`]; an [`Item`] is one
//! value with its [`Key`], so that a message can say what is allowed there. A
//! value that is wrong is reported and reads as absent: the reader goes on. It
//! must not know what sections mean.

use std::hash::{Hash, Hasher};
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Files;
use super::keys::{Fallback, Key, Kind, Section};
use super::mistakes;
use super::values::{self, Bad};
use crate::problem::{FileId, Problem, Problems, Spot};

//------------ At -------------------------------------------------------------

/// A value and where it stands. Equal values are equal wherever they stand.
#[derive(Clone, Copy, Debug)]
pub(super) struct At<T> {
    pub(super) value: T,
    pub(super) spot: Spot,
}

impl<T: PartialEq> PartialEq for At<T> {
    fn eq(&self, other: &At<T>) -> bool {
        self.value == other.value
    }
}

impl<T: Eq> Eq for At<T> {}

impl<T: Hash> Hash for At<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.value.hash(state);
    }
}

//------------ Context --------------------------------------------------------

/// What readers of one file share.
pub(super) struct Context<'c> {
    pub(super) files: &'c dyn Files,
    pub(super) problems: &'c mut Problems,
    pub(super) file: FileId,
    /// The file's directory: what its paths are relative to.
    pub(super) dir: &'c Path,
    /// Where parts of the text that was parsed stand in the file.
    pub(super) pieces: &'c [(usize, usize)],
}

impl Context<'_> {
    /// The spot of a range of the text that was parsed.
    pub(super) fn spot(&self, range: &Range<usize>) -> Spot {
        let piece = self.pieces.partition_point(|(at, _)| *at <= range.start);
        let (at, from) = self.pieces.get(piece.wrapping_sub(1)).copied().unwrap_or((0, 0));
        let start = range.start - at + from;
        Spot::new(self.file, start..start + range.len())
    }

    /// `path`, relative to the file's directory.
    pub(super) fn resolve(&self, path: &str) -> PathBuf {
        self.dir.join(path)
    }
}

//------------ Table ----------------------------------------------------------

/// A table of a section, as written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Table<'a> {
    pub(super) section: &'static Section,
    /// Its own name, in `[section.NAME]`.
    pub(super) name: Option<&'a str>,
    /// Its header's name, or its opening brace.
    pub(super) spot: Spot,
    map: &'a DeTable<'a>,
}

impl<'a> Table<'a> {
    /// Takes the table and reports keys its section does not have.
    pub(super) fn new(
        section: &'static Section,
        name: Option<&'a str>,
        spot: Spot,
        map: &'a DeTable<'a>,
        cx: &mut Context<'_>,
    ) -> Table<'a> {
        let table = Table { section, name, spot, map };
        let mut misspelt: Vec<&str> = Vec::new();
        for key in map.keys().filter(|key| section.key(key.get_ref()).is_none()) {
            let spot = cx.spot(&key.span());
            cx.problems
                .push_error_with(|| mistakes::unknown_key(section, name, key.get_ref(), spot));
            misspelt.extend(mistakes::likely(key.get_ref(), section.keys.iter().map(|k| k.name)));
        }
        for key in section.keys {
            let required = key.fallback == Fallback::Required;
            if required && !map.contains_key(key.name) && !misspelt.contains(&key.name) {
                cx.problems.push(mistakes::missing_key(&table, key));
            }
        }
        table
    }

    /// The top level, whose keys are looked at elsewhere.
    pub(super) fn root(spot: Spot, map: &'a DeTable<'a>) -> Table<'a> {
        Table { section: &super::keys::root::SECTION, name: None, spot, map }
    }

    /// What was written for `key`; none when nothing was.
    pub(super) fn get(&self, key: &'static Key, cx: &Context<'_>) -> Option<Item<'a>> {
        let value = self.map.get(key.name)?;
        Some(Item { table: *self, key, kind: &key.kind, value, spot: cx.spot(&value.span()) })
    }

    /// Where the value of `key` stands, or the header when it is a default.
    pub(super) fn spot_of(&self, key: &'static Key, cx: &Context<'_>) -> Spot {
        self.get(key, cx).map_or(self.spot, |item| item.spot)
    }

    /// True when `key` was written.
    pub(super) fn has(&self, key: &'static Key) -> bool {
        self.map.contains_key(key.name)
    }

    /// The value of `key` through `read`: as written, else (absent or wrong) its default.
    pub(super) fn value<T>(
        &self,
        key: &'static Key,
        cx: &mut Context<'_>,
        read: impl Fn(&Item<'a>, &mut Context<'_>) -> Option<T>,
    ) -> Option<T> {
        self.get(key, cx)
            .and_then(|item| read(&item, cx))
            .or_else(|| self.default(key).and_then(|item| read(&item, cx)))
    }

    /// [`Table::value`] for keys that have a default.
    pub(super) fn value_or<T: Default>(
        &self,
        key: &'static Key,
        cx: &mut Context<'_>,
        read: impl Fn(&Item<'a>, &mut Context<'_>) -> Option<T>,
    ) -> T {
        self.value(key, cx, read).unwrap_or_default()
    }

    fn default(&self, key: &'static Key) -> Option<Item<'a>> {
        let value = self.section.defaults().get(key.name)?;
        Some(Item { table: *self, key, kind: &key.kind, value, spot: self.spot })
    }
}

//------------ Item -----------------------------------------------------------

/// One value with what is allowed there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Item<'a> {
    pub(super) table: Table<'a>,
    pub(super) key: &'static Key,
    /// The key's, or that of an element of its list.
    pub(super) kind: &'static Kind,
    pub(super) value: &'a Spanned<DeValue<'a>>,
    pub(super) spot: Spot,
}

impl<'a> Item<'a> {
    /// The value with its place.
    pub(super) fn at<T>(&self, value: T) -> At<T> {
        At { value, spot: self.spot }
    }

    /// true or false.
    pub(super) fn bool(&self, cx: &mut Context<'_>) -> Option<bool> {
        match self.value.get_ref() {
            DeValue::Boolean(value) => Some(*value),
            _ => self.wrong_type(cx),
        }
    }

    /// A whole number in the kind's range.
    pub(super) fn integer(&self, cx: &mut Context<'_>) -> Option<i64> {
        let DeValue::Integer(number) = self.value.get_ref() else {
            return self.wrong_type(cx);
        };
        let Some((min, max)) = self.kind.integer_range() else { return self.wrong_type(cx) };
        match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(value) if (min..=max).contains(&value) => Some(value),
            _ => self.out_of_range(&number.to_string(), &min.to_string(), &max.to_string(), cx),
        }
    }

    /// [`Item::integer`] as a smaller type, which the kind's range must fit.
    pub(super) fn number<T: TryFrom<i64>>(&self, cx: &mut Context<'_>) -> Option<T> {
        T::try_from(self.integer(cx)?).ok()
    }

    /// A number in the kind's range; whole numbers pass.
    pub(super) fn float(&self, cx: &mut Context<'_>) -> Option<f64> {
        let text = match self.value.get_ref() {
            DeValue::Integer(number) if number.radix() == 10 => number.as_str(),
            DeValue::Float(number) => number.as_str(),
            _ => return self.wrong_type(cx),
        };
        let Kind::Number { min, max } = self.kind else { return self.wrong_type(cx) };
        match text.parse::<f64>() {
            Ok(value) if (*min..=*max).contains(&value) => Some(value),
            _ => self.out_of_range(text, &min.to_string(), &max.to_string(), cx),
        }
    }

    /// Text.
    pub(super) fn text(&self, cx: &mut Context<'_>) -> Option<&'a str> {
        match self.value.get_ref() {
            DeValue::String(text) => Some(text),
            _ => self.wrong_type(cx),
        }
    }

    /// Text that `read` understands.
    pub(super) fn parse<T>(
        &self,
        cx: &mut Context<'_>,
        read: impl Fn(&str) -> Result<T, Bad>,
    ) -> Option<T> {
        let text = self.text(cx)?;
        match read(text) {
            Ok(value) => Some(value),
            Err(bad) => self.bad(&bad, cx),
        }
    }

    /// Reports a value that was not understood.
    pub(super) fn bad<T>(&self, bad: &Bad, cx: &mut Context<'_>) -> Option<T> {
        cx.problems.push(mistakes::bad_value(self, bad));
        None
    }

    /// Text of a [`Kind::Choice`], as the choice's own.
    pub(super) fn choice(&self, cx: &mut Context<'_>) -> Option<&'static str> {
        let values = self.kind.choices();
        let text = self.text(cx)?;
        let found = values.iter().copied().find(|value| *value == text);
        if found.is_none() {
            cx.problems.push(mistakes::unknown_value(self, text, values));
        }
        found
    }

    /// A duration in milliseconds.
    pub(super) fn duration_ms(&self, cx: &mut Context<'_>) -> Option<u32> {
        let Kind::Duration { min_ms, max_ms } = *self.kind else { return self.wrong_type(cx) };
        let ms = self.parse(cx, values::duration_ms)?;
        if (min_ms..=max_ms).contains(&ms) {
            return u32::try_from(ms).ok();
        }
        let text = self.text(cx)?;
        self.out_of_range(text, &values::duration_text(min_ms), &values::duration_text(max_ms), cx)
    }

    /// A duration in whole seconds.
    pub(super) fn seconds(&self, cx: &mut Context<'_>) -> Option<u32> {
        let Kind::Seconds { max_s } = *self.kind else { return self.wrong_type(cx) };
        let ms = self.parse(cx, values::duration_ms)?;
        if ms % 1_000 != 0 {
            return self.bad(
                &Bad::new("bad-duration", "is not whole seconds").label("must be whole seconds"),
                cx,
            );
        }
        match u32::try_from(ms / 1_000) {
            Ok(seconds) if seconds <= max_s => Some(seconds),
            _ => {
                let max = values::duration_text(u64::from(max_s) * 1_000);
                let text = self.text(cx)?;
                self.out_of_range(text, "0s", &max, cx)
            }
        }
    }

    /// An existing file, as path.
    pub(super) fn existing_file(&self, cx: &mut Context<'_>) -> Option<PathBuf> {
        let path = self.path(cx)?;
        if !cx.files.exists(&path) {
            cx.problems.push(mistakes::file_missing(self, &path));
            return None;
        }
        Some(path)
    }

    /// A path, relative to the file's directory.
    pub(super) fn path(&self, cx: &mut Context<'_>) -> Option<PathBuf> {
        let text = self.text(cx)?;
        if text.is_empty() || text.contains('\0') {
            return self.bad(
                &Bad::new("bad-path", "is not a path").label("empty, or with a zero byte"),
                cx,
            );
        }
        Some(cx.resolve(text))
    }

    /// Elements of a [`Kind::List`], or of a [`Kind::OneOrMore`], where one value is one element.
    pub(super) fn elements(&self, cx: &mut Context<'_>) -> Vec<Item<'a>> {
        let (of, single) = match self.kind {
            Kind::List(of) => (*of, false),
            Kind::OneOrMore(of) => (*of, true),
            _ => return Vec::new(),
        };
        match self.value.get_ref() {
            DeValue::Array(list) => list
                .iter()
                .map(|value| Item { kind: of, value, spot: cx.spot(&value.span()), ..*self })
                .collect(),
            _ if single => vec![Item { kind: of, ..*self }],
            _ => {
                self.wrong_type::<()>(cx);
                Vec::new()
            }
        }
    }

    /// All elements that `read` understands, with their places.
    pub(super) fn list<T>(
        &self,
        cx: &mut Context<'_>,
        read: impl Fn(&Item<'a>, &mut Context<'_>) -> Option<T>,
    ) -> Vec<At<T>> {
        let elements = self.elements(cx);
        elements.iter().filter_map(|item| Some(item.at(read(item, cx)?))).collect()
    }

    /// The inline table of the kind's [`Kind::Table`].
    pub(super) fn table(&self, cx: &mut Context<'_>) -> Option<Table<'a>> {
        let section = self.kind.table();
        match (self.value.get_ref(), section) {
            (DeValue::Table(map), Some(section)) => {
                Some(Table::new(section, None, self.spot, map, cx))
            }
            _ => self.wrong_type(cx),
        }
    }

    /// Keys and texts of a [`Kind::Map`].
    pub(super) fn map(&self, cx: &mut Context<'_>) -> Vec<(At<&'a str>, Item<'a>)> {
        let (DeValue::Table(map), Kind::Map(of)) = (self.value.get_ref(), self.kind) else {
            self.wrong_type::<()>(cx);
            return Vec::new();
        };
        map.iter()
            .map(|(key, value)| {
                let name = At { value: &**key.get_ref(), spot: cx.spot(&key.span()) };
                (name, Item { kind: of, value, spot: cx.spot(&value.span()), ..*self })
            })
            .collect()
    }

    /// True when the value is an inline table.
    pub(super) fn is_table(&self) -> bool {
        self.value.get_ref().is_table()
    }

    /// True when the value is a whole number.
    pub(super) fn is_integer(&self) -> bool {
        self.value.get_ref().is_integer()
    }

    /// Reports that the value is of another type than its kind.
    pub(super) fn wrong_type<T>(&self, cx: &mut Context<'_>) -> Option<T> {
        cx.problems.push(mistakes::wrong_type(self));
        None
    }

    fn out_of_range<T>(
        &self,
        found: &str,
        min: &str,
        max: &str,
        cx: &mut Context<'_>,
    ) -> Option<T> {
        let title = format!("{} is out of range: {found}", mistakes::path(self));
        cx.problems.push(
            Problem::error("out-of-range", title)
                .at_with(self.spot, format!("must be from {min} to {max}")),
        );
        None
    }
}
