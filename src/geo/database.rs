//! From the bytes of MaxMind DB files to a base table.
//!
//! Each distinct record is decoded once, however many networks share it. Files
//! are then laid over one another: split IPv4 and IPv6 files complete each
//! other, an ASN file adds to a city file. Neither a file nor a list of its
//! networks is ever held whole but in the table's own form.

use std::collections::HashMap;

use thiserror::Error;

use super::base::BaseTable;
use super::classes::Interner;
use super::halves::StepsV6;
use super::mmdb_data::{Data, Fault, Value};
use super::mmdb_record::Record;
use super::mmdb_tree::Tree;
use super::packed::Packed;
use super::pages::DatabaseBytes;
use super::source::{Fields, Schema, SourceInfo};
use super::steps::for_each_pair;
use super::{ClassId, Place};

/// What ends a file: its metadata, after this ("Database Metadata").
const MARKER: &[u8] = b"\xab\xcd\xefMaxMind.com";
/// The metadata with its marker is no longer.
const METADATA_LENGTH_MAX: u64 = 128 * 1024;
/// Zeros between the tree and the data.
const SEPARATOR_LENGTH: u64 = 16;
/// Most fields named in [`GeoError::UnknownSchema`].
const FIELDS_NAMED_MAX: usize = 12;
/// Most nodes of a search tree: sixteen times the networks of a city database.
/// What is compiled from more would not fit the numbers its tables use.
const NODES_MAX: u32 = 1 << 26;

//------------ GeoError -------------------------------------------------------

/// Why a database was not loaded. `name` is the file's, as given.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum GeoError {
    /// Another file must be given.
    #[error("{name}: not a MaxMind DB (.mmdb) file")]
    NotMmdb {
        /// The file.
        name: String,
    },
    /// It must be fetched again.
    #[error("{name}: damaged or cut short: {reason}")]
    Corrupt {
        /// The file.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// It may be readable another time.
    #[error("{name}: cannot be read: {reason}")]
    Unreadable {
        /// The file.
        name: String,
        /// Why.
        reason: String,
    },
    /// It is sound, but says nothing that clients are steered by.
    #[error(
        "{name}: no country, coordinates or autonomous system in its records; their fields are: {}",
        found.join(", ")
    )]
    UnknownSchema {
        /// The file.
        name: String,
        /// The fields of its first record.
        found: Vec<String>,
    },
    /// It is sound, but holds no network.
    #[error("{name}: no networks in it")]
    Empty {
        /// The file.
        name: String,
    },
}

//------------ Loading --------------------------------------------------------

impl BaseTable {
    /// Makes a table from MaxMind DB files: (name for messages, bytes).
    ///
    /// Where several know the same address, the earlier file wins; a later one
    /// adds what is missing, unless it places the address in another country.
    ///
    /// # Errors
    /// For the first file that cannot be used; nothing is half loaded.
    pub fn from_databases<B: DatabaseBytes>(files: &[(String, B)]) -> Result<BaseTable, GeoError> {
        let mut interner = Interner::default();
        let mut lists = Lists::nothing();
        let mut sources = Vec::new();
        for (name, bytes) in files {
            let (later, source) = load(name, bytes, &mut interner)?;
            (lists, interner) = lists.over(later, interner);
            sources.push(source);
        }
        Ok(BaseTable::new(lists.v4, lists.v6, interner.into_classes(), sources))
    }
}

/// One file's table, or several laid over one another.
struct Lists {
    v4: Packed<u32>,
    v6: StepsV6,
}

impl Lists {
    fn nothing() -> Lists {
        let mut v4 = Packed::empty();
        v4.push(0, 0);
        let mut v6 = StepsV6::builder();
        v6.push(0, 0);
        Lists { v4, v6: StepsV6::build(v6) }
    }

    /// Lays these over a later file's.
    fn over(self, later: Lists, interner: Interner) -> (Lists, Interner) {
        let alone_v4 = self.v4.is_nothing() || later.v4.is_nothing();
        let alone_v6 = self.v6.is_nothing() || later.v6.is_nothing();
        if alone_v4 && alone_v6 {
            let v4 = if self.v4.is_nothing() { later.v4 } else { self.v4 };
            let v6 = if self.v6.is_nothing() { later.v6 } else { self.v6 };
            return (Lists { v4, v6 }, interner);
        }
        let mut merged = Interner::default();
        let mut known: HashMap<(ClassId, ClassId), ClassId> = HashMap::new();
        let mut both = |a: ClassId, b: ClassId| {
            *known
                .entry((a, b))
                .or_insert_with(|| merged.class(&merge(interner.said(a), interner.said(b))))
        };
        let mut v4 = Packed::empty();
        for_each_pair(self.v4.iter(), later.v4.iter(), |start, a, b| v4.push(start, both(a, b)));
        let mut v6 = StepsV6::builder();
        for_each_pair(self.v6.iter(), later.v6.iter(), |start, a, b| v6.push(start, both(a, b)));
        (Lists { v4, v6: StepsV6::build(v6) }, merged)
    }
}

/// What two files say of one client, the first before the second.
fn merge(first: Place, second: Place) -> Place {
    let asn = first.asn.or(second.asn);
    let agree = match (first.country, second.country) {
        (Some(a), Some(b)) => a == b,
        _ => true,
    };
    if !agree {
        return Place { asn, ..first };
    }
    Place {
        country: first.country.or(second.country),
        region: first.region.or(second.region),
        continent: first.continent.or(second.continent),
        point: first.point.or(second.point),
        point_is_centroid: false,
        asn,
    }
}

fn load(
    name: &str,
    bytes: &dyn DatabaseBytes,
    interner: &mut Interner,
) -> Result<(Lists, SourceInfo), GeoError> {
    let failed = |fault| match fault {
        Fault::Damaged(reason) => GeoError::Corrupt { name: name.to_owned(), reason },
        Fault::Unreadable(reason) => GeoError::Unreadable { name: name.to_owned(), reason },
    };
    let found = find_metadata(bytes).map_err(failed)?;
    let at = found.ok_or_else(|| GeoError::NotMmdb { name: name.to_owned() })?;
    let metadata = Metadata::read(bytes, at).map_err(failed)?;
    if metadata.node_count > NODES_MAX {
        let nodes = metadata.node_count;
        return Err(failed(Fault::damaged(&format!(
            "its search tree has {nodes} nodes; {NODES_MAX} are read at most"
        ))));
    }
    let tree = Tree::new(bytes, metadata.node_count, metadata.record_bits, metadata.ip_version)
        .filter(|tree| tree.length() + SEPARATOR_LENGTH <= at)
        .ok_or_else(|| failed(Fault::damaged("its search tree is larger than the file")))?;
    let mut loader = Loader {
        data: Data::new(bytes, tree.length() + SEPARATOR_LENGTH),
        node_count: metadata.node_count,
        interner,
        classes: HashMap::new(),
        distinct: Vec::new(),
        fields: Fields::default(),
        nested: false,
        first: None,
    };
    let lists = loader.walk(tree).map_err(failed)?;
    let Some(first) = loader.first else {
        return Err(GeoError::Empty { name: name.to_owned() });
    };
    if loader.fields.is_empty() {
        let mut found = Record::field_names(&mut loader.data, first).map_err(failed)?;
        found.truncate(FIELDS_NAMED_MAX);
        return Err(GeoError::UnknownSchema { name: name.to_owned(), found });
    }
    let source = SourceInfo {
        name: name.to_owned(),
        schema: if loader.nested { Schema::Nested } else { Schema::Flat },
        fields: loader.fields,
        build_epoch_s: metadata.build_epoch_s,
        ranges_v4: lists.v4.len(),
        ranges_v6: lists.v6.len(),
        classes: loader.class_count(),
        attribution: attribution(&metadata.kind).to_owned(),
        kind: metadata.kind,
    };
    Ok((lists, source))
}

//------------ Metadata -------------------------------------------------------

/// What a file says of itself, as far as it matters.
#[derive(Default)]
struct Metadata {
    node_count: u32,
    record_bits: u16,
    ip_version: u16,
    kind: String,
    build_epoch_s: u64,
}

impl Metadata {
    /// Reads what follows the marker.
    fn read(bytes: &dyn DatabaseBytes, at: u64) -> Result<Metadata, Fault> {
        let mut data = Data::new(bytes, at);
        let mut metadata = Metadata::default();
        let Value::Map(entries) = data.value(0)? else {
            return Err(Fault::damaged("its metadata is not a map"));
        };
        data.for_each_entry(entries, &mut |data, key, value| {
            match (key, data.value(value)?) {
                // Numbers that do not fit become the nearest that do.
                ("node_count", Value::Number(number)) => metadata.node_count = number as u32,
                ("record_size", Value::Number(number)) => metadata.record_bits = number as u16,
                ("ip_version", Value::Number(number)) => metadata.ip_version = number as u16,
                ("build_epoch", Value::Number(number)) => metadata.build_epoch_s = number as u64,
                ("database_type", Value::Text(kind)) => metadata.kind = kind,
                _ => {}
            }
            Ok(())
        })?;
        if !matches!(metadata.ip_version, 4 | 6) {
            return Err(Fault::damaged("its metadata names no version of IP"));
        }
        Ok(metadata)
    }
}

/// Where the metadata begins, after the last marker; none: no such file.
fn find_metadata(bytes: &dyn DatabaseBytes) -> Result<Option<u64>, Fault> {
    let length = bytes.length();
    let from = length.saturating_sub(METADATA_LENGTH_MAX);
    let mut tail = vec![0; (length - from) as usize];
    let read = bytes.read_at(from, &mut tail);
    read.map_err(|error| Fault::Unreadable(error.to_string()))?;
    let marker = tail.windows(MARKER.len()).rposition(|window| window == MARKER);
    Ok(marker.map(|at| from + (at + MARKER.len()) as u64))
}

/// Whom the makers of well-known databases want named.
fn attribution(kind: &str) -> &'static str {
    if kind.starts_with("GeoLite") {
        "This product includes GeoLite data created by MaxMind, https://www.maxmind.com"
    } else if kind.starts_with("DBIP") {
        "IP Geolocation by DB-IP, https://db-ip.com"
    } else if kind.to_ascii_lowercase().starts_with("ipinfo") {
        "IP address data powered by IPinfo, https://ipinfo.io"
    } else {
        ""
    }
}

//------------ Loader ---------------------------------------------------------

/// Reads one file.
struct Loader<'a> {
    data: Data<'a>,
    node_count: u32,
    interner: &'a mut Interner,
    /// By the tree's pointers to records.
    classes: HashMap<u32, ClassId>,
    /// For each class, whether this file has it.
    distinct: Vec<bool>,
    fields: Fields,
    nested: bool,
    /// The first record.
    first: Option<u64>,
}

impl Loader<'_> {
    fn walk(&mut self, mut tree: Tree<'_>) -> Result<Lists, Fault> {
        let mut v4 = Packed::empty();
        tree.walk_v4(&mut |first, pointer| {
            v4.push(first, self.class(pointer)?);
            Ok(())
        })?;
        let mut v6 = StepsV6::builder();
        tree.walk_v6(&mut |first, pointer| {
            v6.push(first, self.class(pointer)?);
            Ok(())
        })?;
        v4.shrink();
        Ok(Lists { v4, v6: StepsV6::build(v6) })
    }

    fn class(&mut self, pointer: Option<u32>) -> Result<ClassId, Fault> {
        let Some(pointer) = pointer else { return Ok(0) };
        if let Some(&class) = self.classes.get(&pointer) {
            return Ok(class);
        }
        let offset = u64::from(pointer - self.node_count)
            .checked_sub(SEPARATOR_LENGTH)
            .ok_or_else(|| Fault::damaged("its search tree points between tree and data"))?;
        let record = Record::read(&mut self.data, offset)?;
        let place = record.place();
        self.first.get_or_insert(offset);
        self.nested |= record.is_nested();
        self.fields.country |= place.country.is_some();
        self.fields.region |= place.region.is_some();
        self.fields.continent |= place.continent.is_some();
        self.fields.point |= place.point.is_some();
        self.fields.asn |= place.asn.is_some();
        let class = self.interner.class(&place);
        self.classes.insert(pointer, class);
        if self.distinct.len() <= class as usize {
            self.distinct.resize(class as usize + 1, false);
        }
        self.distinct[class as usize] = true;
        Ok(class)
    }

    /// How many classes this file has, the unknown included.
    fn class_count(&self) -> usize {
        1 + self.distinct.iter().skip(1).filter(|&&here| here).count()
    }
}

#[cfg(test)]
#[path = "database_tests.rs"]
mod tests;
