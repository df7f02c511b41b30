//! The one table of config keys: name, type, range, default and meaning.
//!
//! ```text
//!             ┌► checker: unknown keys, types, ranges, defaults
//! this table ─┼► hints: "did you mean", "belongs to [wip]", what is allowed
//!             ├► JSON Schema (`windrose config schema`)
//!             └► test: config/windrose.toml shows every key with its default
//! ```
//!
//! A key is a static, so that a reader cannot ask for one that is not here. It
//! must not know how values are used.

pub(super) use abuse::{access, access_lists, rate_limit};
pub(super) use checks::health_check;
pub(super) use edns::cookies;
pub(super) use process::{admin, geo, health, log, metrics, root, safety, server};
pub(super) use records::{ALPN_MAX, ECH_LENGTH_MAX, binding, service};
pub(super) use steering::{
    datacenter, location, member, on_all_down, pool, vip, wip, wip_defaults, zone,
};
pub(super) use transfers::{grant, server_with_key, tsig};
pub(super) use transports::{proxy, tls};
pub(super) use watching::{query_log, webhook};

use std::sync::OnceLock;

use toml::de::DeTable;

//------------ Section --------------------------------------------------------

/// A table of the file, or an inline table within one.
#[derive(Debug)]
pub(super) struct Section {
    /// Its key: "server", "wip", "member".
    pub(super) name: &'static str,
    /// How its tables are told apart.
    pub(super) form: Form,
    /// What it is for.
    pub(super) help: &'static str,
    /// Its keys, in the order they are documented.
    pub(super) keys: &'static [&'static Key],
    /// `key = default` lines, which `default_table` borrows from.
    default_text: OnceLock<String>,
    default_table: OnceLock<DeTable<'static>>,
}

/// Defines a section: a module with one static per key and `SECTION`.
macro_rules! section {
    ($(#[doc = $doc:literal])+ $module:ident, $name:literal, $form:expr;
     $($id:ident $key:literal $kind:expr, $fallback:expr, $help:literal;)*) => {
        $(#[doc = $doc])+
        pub(in crate::config) mod $module {
            #[allow(unused_imports)]
            use super::*;
            $(pub(in crate::config) static $id: Key =
                Key { name: $key, kind: $kind, fallback: $fallback, help: $help };)*
            pub(in crate::config) static SECTION: Section = Section {
                name: $name,
                form: $form,
                help: concat!($($doc),+),
                keys: &[$(&$id),*],
                default_text: OnceLock::new(),
                default_table: OnceLock::new(),
            };
        }
    };
}

mod abuse;
mod checks;
mod edns;
mod process;
mod records;
mod steering;
mod transfers;
mod transports;
mod watching;

/// How a section stands in the file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Form {
    /// The file's top level.
    Root,
    /// `[server]`
    Single,
    /// `[pool.NAME]`; the text says what a name is and gives one.
    Named { what: &'static str, example: &'static str },
    /// `{ … }`
    Inline,
}

/// Sections with a header of their own, in the order they are documented.
pub(super) static SECTIONS: [&Section; 21] = [
    &server::SECTION,
    &tls::SECTION,
    &proxy::SECTION,
    &access::SECTION,
    &rate_limit::SECTION,
    &cookies::SECTION,
    &admin::SECTION,
    &geo::SECTION,
    &health::SECTION,
    &safety::SECTION,
    &metrics::SECTION,
    &log::SECTION,
    &query_log::SECTION,
    &webhook::SECTION,
    &tsig::SECTION,
    &zone::SECTION,
    &datacenter::SECTION,
    &health_check::SECTION,
    &wip_defaults::SECTION,
    &wip::SECTION,
    &pool::SECTION,
];

impl Section {
    /// The key of that name.
    pub(super) fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().copied().find(|key| key.name == name)
    }

    /// "[server]", "[pool.…]", "this table".
    pub(super) fn header(&self) -> String {
        match self.form {
            Form::Root => "the top level".to_owned(),
            Form::Single => format!("[{}]", self.name),
            Form::Named { example, .. } if example.starts_with('"') => {
                format!("[{}.\"…\"]", self.name)
            }
            Form::Named { .. } => format!("[{}.…]", self.name),
            Form::Inline => "this table".to_owned(),
        }
    }

    /// The values of absent keys, as if they had been written.
    pub(super) fn defaults(&'static self) -> &'static DeTable<'static> {
        self.default_table.get_or_init(|| {
            let text = self.default_text.get_or_init(|| self.write_defaults());
            DeTable::parse(text).expect("defaults are TOML: a test reads each").into_inner()
        })
    }

    fn write_defaults(&self) -> String {
        let mut text = String::new();
        for key in self.keys {
            if let Fallback::Is(value) = key.fallback {
                text.push_str(&format!("{} = {value}\n", key.name));
            }
        }
        text
    }
}

//------------ Key ------------------------------------------------------------

/// One key of a section.
#[derive(Debug)]
pub(super) struct Key {
    /// As written.
    pub(super) name: &'static str,
    /// What its value is.
    pub(super) kind: Kind,
    /// What holds when it is absent.
    pub(super) fallback: Fallback,
    /// What it does, and why the default is what it is.
    pub(super) help: &'static str,
}

/// What holds when a key is absent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Fallback {
    /// It must be given.
    Required,
    /// This value, as TOML.
    Is(&'static str),
    /// No value: what that means.
    Absent(&'static str),
}

/// What a value is.
#[derive(Debug)]
pub(super) enum Kind {
    /// true or false
    Bool,
    /// A whole number within a range.
    Integer { min: i64, max: i64 },
    /// A number within a range.
    Number { min: f64, max: f64 },
    /// "500ms", "5s", "1m", "1h", "14d", within a range of milliseconds.
    Duration { min_ms: u64, max_ms: u64 },
    /// A duration in whole seconds, within a range of seconds.
    Seconds { max_s: u32 },
    /// A string with a meaning: what it is, and one as TOML.
    Text { what: &'static str, example: &'static str },
    /// One of these strings.
    Choice(&'static [&'static str]),
    /// A list of values.
    List(&'static Kind),
    /// One value, or a list of them.
    OneOrMore(&'static Kind),
    /// An inline table of free keys.
    Map(&'static Kind),
    /// An inline table of these keys.
    Table(&'static Section),
    /// Any of these.
    Either(&'static [Kind]),
}

impl Kind {
    /// What is expected, in words: "a whole number from 1 to 100".
    pub(super) fn expected(&self) -> String {
        match self {
            Kind::Bool => "true or false".to_owned(),
            Kind::Integer { min, max } => format!("a whole number from {min} to {max}"),
            Kind::Number { min, max } => format!("a number from {min} to {max}"),
            Kind::Duration { .. } | Kind::Seconds { .. } => {
                format!("a duration such as {}", self.example())
            }
            Kind::Text { what, example } => format!("{what} such as {example}"),
            Kind::Choice(values) => format!("one of {}", quoted_list(values)),
            Kind::List(of) => format!("a list such as [{}]", of.example()),
            Kind::OneOrMore(of) => format!("{}, or a list of such", of.expected()),
            Kind::Map(of) => format!("a table such as {{ name = {} }}", of.example()),
            Kind::Table(_) => format!("a table such as {}", self.example()),
            Kind::Either(kinds) => {
                kinds.iter().map(Kind::expected).collect::<Vec<_>>().join(", or ")
            }
        }
    }

    /// The range of whole numbers, of this kind or the first of several that has one.
    pub(super) fn integer_range(&self) -> Option<(i64, i64)> {
        match self {
            Kind::Integer { min, max } => Some((*min, *max)),
            Kind::Either(kinds) => kinds.iter().find_map(Kind::integer_range),
            _ => None,
        }
    }

    /// The choices, of this kind or the first of several that has some.
    pub(super) fn choices(&self) -> &'static [&'static str] {
        match self {
            Kind::Choice(values) => values,
            Kind::Either(kinds) => {
                kinds.iter().map(Kind::choices).find(|values| !values.is_empty()).unwrap_or(&[])
            }
            _ => &[],
        }
    }

    /// The inline table, of this kind or the first of several that has one.
    pub(super) fn table(&self) -> Option<&'static Section> {
        match self {
            Kind::Table(section) => Some(section),
            Kind::Either(kinds) => kinds.iter().find_map(Kind::table),
            _ => None,
        }
    }

    /// One such value, as TOML.
    pub(super) fn example(&self) -> String {
        match self {
            Kind::Bool => "true".to_owned(),
            Kind::Integer { min: 1, max: 65_535 } => "443".to_owned(),
            Kind::Integer { min, max } => {
                if *min <= 3 && 3 <= *max {
                    "3".to_owned()
                } else {
                    min.to_string()
                }
            }
            Kind::Number { max, .. } if *max > 90.0 => "8.68".to_owned(),
            Kind::Number { max, .. } if *max <= 1.0 => "0.5".to_owned(),
            Kind::Number { .. } => "50.11".to_owned(),
            Kind::Duration { max_ms, .. } if *max_ms < 5_000 => "\"500ms\"".to_owned(),
            Kind::Duration { .. } => "\"5s\"".to_owned(),
            Kind::Seconds { .. } => "\"30s\"".to_owned(),
            Kind::Text { example, .. } => (*example).to_owned(),
            Kind::Choice(values) => format!("\"{}\"", values.first().unwrap_or(&"")),
            Kind::List(of) => format!("[{}]", of.example()),
            Kind::OneOrMore(of) => of.example(),
            Kind::Map(of) => format!("{{ name = {} }}", of.example()),
            Kind::Table(section) => {
                let keys: Vec<String> = section
                    .keys
                    .iter()
                    .take(2)
                    .map(|key| format!("{} = {}", key.name, key.kind.example()))
                    .collect();
                format!("{{ {} }}", keys.join(", "))
            }
            Kind::Either(kinds) => kinds.first().map(Kind::example).unwrap_or_default(),
        }
    }
}

/// `"a", "b" or "c"`
pub(super) fn quoted_list(values: &[&str]) -> String {
    let quoted: Vec<String> = values.iter().map(|value| format!("\"{value}\"")).collect();
    match quoted.as_slice() {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}
