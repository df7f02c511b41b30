//! What is kept in the state directory: the serials of the zones, so that they
//! grow over restarts. Trouble here is said and never stops the server.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use crate::config::model::Config;
use crate::dns::Name;
use crate::snapshot::{Serial, Serials};

const SERIALS_FILE: &str = "serials.json";

/// Reads the serials kept by an earlier run; none where there are none.
pub(super) fn read_serials(config: &Config) -> Serials {
    let Some(directory) = &config.server.state_dir else { return Serials::default() };
    let path = directory.join(SERIALS_FILE);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Serials::default(),
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "cannot read kept serials, going on without");
            return Serials::default();
        }
    };
    match serde_json::from_str::<BTreeMap<String, (u32, u64)>>(&text) {
        Ok(kept) => Serials(
            kept.into_iter()
                .filter_map(|(origin, (number, content_hash))| {
                    Some((Name::parse(&origin).ok()?, Serial { number, content_hash }))
                })
                .collect(),
        ),
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "kept serials are unreadable, going on without");
            Serials::default()
        }
    }
}

/// Keeps the serials, if there is a state directory.
pub(super) fn save_serials(config: &Config, serials: &Serials) {
    let Some(directory) = &config.server.state_dir else { return };
    let kept: BTreeMap<String, (u32, u64)> = serials
        .0
        .iter()
        .map(|(origin, serial)| (origin.to_string(), (serial.number, serial.content_hash)))
        .collect();
    let text = serde_json::to_string_pretty(&kept).unwrap_or_default();
    if let Err(error) = write_whole(directory, SERIALS_FILE, text.as_bytes()) {
        tracing::warn!(directory = %directory.display(), %error, "cannot keep serials");
    }
}

/// Writes a file so that a crash leaves the old one or the new one.
fn write_whole(directory: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    use std::io::Write;
    fs::create_dir_all(directory)?;
    let aside = directory.join(format!("{name}.new"));
    let mut file = fs::File::create(&aside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&aside, directory.join(name))
}
