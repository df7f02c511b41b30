//! From the bytes of MaxMind DB files to a base table.
//!
//! Each distinct record is decoded once, however many networks share it. Files
//! are then laid over one another: split IPv4 and IPv6 files complete each
//! other, an ASN file adds to a city file.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use maxminddb::Reader;
use thiserror::Error;

use super::base::{BaseTable, Interner};
use super::key::Key;
use super::mmdb_record::{FieldNames, Record};
use super::mmdb_tree::{Tangled, Tree};
use super::source::{Fields, Schema, SourceInfo};
use super::steps::{Steps, combine};
use super::{ClassId, Place};

/// Most fields named in [`GeoError::UnknownSchema`].
const FIELDS_NAMED_MAX: usize = 12;

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
    pub fn from_databases<B: AsRef<[u8]>>(files: &[(String, B)]) -> Result<BaseTable, GeoError> {
        let mut table = Loaded::nothing();
        let mut sources = Vec::new();
        for (name, bytes) in files {
            let (loaded, source) = load(name, bytes.as_ref())?;
            table = table.under(loaded);
            sources.push(source);
        }
        Ok(BaseTable::new(table.v4, table.v6, table.interner.into_places(), sources))
    }
}

/// One file's table, or several laid over one another.
struct Loaded {
    v4: Steps<u32>,
    v6: Steps<u128>,
    interner: Interner,
}

impl Loaded {
    fn nothing() -> Loaded {
        Loaded { v4: Steps::constant(0), v6: Steps::constant(0), interner: Interner::default() }
    }

    /// Lays a later file under this one.
    fn under(self, later: Loaded) -> Loaded {
        if self.v4.is_constant() && self.v6.is_constant() {
            return later;
        }
        let mut interner = Interner::default();
        let mut known: HashMap<(ClassId, ClassId), ClassId> = HashMap::new();
        let mut both = |a: ClassId, b: ClassId| {
            *known.entry((a, b)).or_insert_with(|| {
                interner.class(&merge(self.interner.place(a), later.interner.place(b)))
            })
        };
        let v4 = combine(self.v4.iter(), later.v4.iter(), &mut both);
        let v6 = combine(self.v6.iter(), later.v6.iter(), &mut both);
        Loaded { v4, v6, interner }
    }
}

/// What two files say of one client, the first before the second.
fn merge(first: &Place, second: &Place) -> Place {
    let asn = first.asn.or(second.asn);
    let agree = match (first.country, second.country) {
        (Some(a), Some(b)) => a == b,
        _ => true,
    };
    if !agree {
        return Place { asn, ..first.clone() };
    }
    Place {
        country: first.country.or(second.country),
        region: first.region.clone().or_else(|| second.region.clone()),
        continent: first.continent.or(second.continent),
        point: first.point.or(second.point),
        point_is_centroid: false,
        asn,
    }
}

fn load(name: &str, bytes: &[u8]) -> Result<(Loaded, SourceInfo), GeoError> {
    let not_mmdb = |_| GeoError::NotMmdb { name: name.to_owned() };
    let corrupt = |reason: String| GeoError::Corrupt { name: name.to_owned(), reason };
    if !has_marker(bytes) {
        return Err(not_mmdb(()));
    }
    let reader = Reader::from_source(bytes).map_err(|error| corrupt(error.to_string()))?;
    let metadata = reader.metadata();
    let tree = Tree::new(bytes, metadata.node_count, metadata.record_size, metadata.ip_version)
        .ok_or_else(|| corrupt("its search tree is larger than the file".to_owned()))?;
    let mut loader = Loader {
        reader: &reader,
        interner: Interner::default(),
        classes: HashMap::new(),
        fields: Fields::default(),
        nested: false,
        first: None,
    };
    let (v4, v6) = loader.walk(tree).map_err(|error| corrupt(error.0))?;
    let Some(first) = loader.first else {
        return Err(GeoError::Empty { name: name.to_owned() });
    };
    if loader.fields.is_empty() {
        let found = loader.field_names(first);
        return Err(GeoError::UnknownSchema { name: name.to_owned(), found });
    }
    let source = SourceInfo {
        name: name.to_owned(),
        kind: metadata.database_type.clone(),
        schema: if loader.nested { Schema::Nested } else { Schema::Flat },
        fields: loader.fields,
        build_epoch_s: metadata.build_epoch,
        ranges_v4: v4.len(),
        ranges_v6: v6.len(),
        classes: loader.interner.len(),
        attribution: attribution(&metadata.database_type).to_owned(),
    };
    Ok((Loaded { v4, v6, interner: loader.interner }, source))
}

/// The metadata's marker is in the last 128 KiB (MaxMind DB format, "Database
/// Metadata").
fn has_marker(bytes: &[u8]) -> bool {
    const MARKER: &[u8] = b"\xab\xcd\xefMaxMind.com";
    const METADATA_SIZE_MAX: usize = 128 * 1024;
    let from = bytes.len().saturating_sub(METADATA_SIZE_MAX);
    bytes[from..].windows(MARKER.len()).any(|window| window == MARKER)
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
    reader: &'a Reader<&'a [u8]>,
    interner: Interner,
    /// By the tree's pointers to records.
    classes: HashMap<u32, ClassId>,
    fields: Fields,
    nested: bool,
    /// Where the first record was found.
    first: Option<IpAddr>,
}

/// What is wrong with a file, in words.
struct Damage(String);

impl From<Tangled> for Damage {
    fn from(_: Tangled) -> Damage {
        Damage("its search tree refers to itself".to_owned())
    }
}

impl Loader<'_> {
    fn walk(&mut self, tree: Tree<'_>) -> Result<(Steps<u32>, Steps<u128>), Damage> {
        let mut v4 = Steps::empty();
        let mut leaf = |first, pointer| {
            let address = |first| IpAddr::V4(Ipv4Addr::from(first));
            push(&mut v4, first, self.class(pointer, || address(first))?)
        };
        tree.walk_v4::<Damage>(&mut leaf)?;
        let mut v6 = Steps::empty();
        let mut leaf = |first, pointer| {
            let address = |first| IpAddr::V6(Ipv6Addr::from(first));
            push(&mut v6, first, self.class(pointer, || address(first))?)
        };
        tree.walk_v6::<Damage>(&mut leaf)?;
        Ok((v4, v6))
    }

    fn class(
        &mut self,
        pointer: Option<u32>,
        address: impl FnOnce() -> IpAddr,
    ) -> Result<ClassId, Damage> {
        let Some(pointer) = pointer else { return Ok(0) };
        if let Some(&class) = self.classes.get(&pointer) {
            return Ok(class);
        }
        let address = address();
        let found = self.reader.lookup(address).and_then(|found| found.decode::<Record<'_>>());
        let record = found.map_err(|error| Damage(error.to_string()))?.unwrap_or_default();
        let place = record.place();
        self.first.get_or_insert(address);
        self.nested |= record.is_nested();
        self.fields.country |= place.country.is_some();
        self.fields.region |= place.region.is_some();
        self.fields.continent |= place.continent.is_some();
        self.fields.point |= place.point.is_some();
        self.fields.asn |= place.asn.is_some();
        let class = self.interner.class(&place);
        self.classes.insert(pointer, class);
        Ok(class)
    }

    fn field_names(&self, address: IpAddr) -> Vec<String> {
        let found = self.reader.lookup(address).and_then(|found| found.decode::<FieldNames>());
        let mut names = found.ok().flatten().map_or(Vec::new(), |names| names.0);
        names.truncate(FIELDS_NAMED_MAX);
        names
    }
}

fn push<K: Key>(steps: &mut Steps<K>, first: K, class: ClassId) -> Result<(), Damage> {
    steps.push(first, class);
    Ok(())
}

#[cfg(test)]
#[path = "database_tests.rs"]
mod tests;
