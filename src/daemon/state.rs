//! What is kept in the state directory: the serials of the zones, so that they
//! grow over restarts. Trouble here is said and never stops the server.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use crate::config::model::Config;
use crate::dns::Name;
use crate::problem::Problem;
use crate::snapshot::{Serial, Serials};

const SERIALS_FILE: &str = "serials.json";

/// Reads the serials kept by an earlier run; none where there are none. The
/// warning is returned, not logged: at the first load there is no log yet.
pub(super) fn read_serials(config: &Config) -> Result<Serials, Problem> {
    let Some(directory) = &config.server.state_dir else { return Ok(Serials::default()) };
    let path = directory.join(SERIALS_FILE);
    let trouble = |error: String| {
        let title = format!("cannot read the kept serials {}: {error}", path.display());
        Problem::warning("state-unreadable", title)
            .note("zones get serials from the clock, which may be lower than those before")
    };
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Serials::default()),
        Err(error) => return Err(trouble(error.to_string())),
    };
    let kept = serde_json::from_str::<BTreeMap<String, (u32, u64)>>(&text)
        .map_err(|error| trouble(error.to_string()))?;
    let serials = kept.into_iter().filter_map(|(origin, (number, content_hash))| {
        Some((Name::parse(&origin).ok()?, Serial { number, content_hash }))
    });
    Ok(Serials(serials.collect()))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serials_come_back_and_spoilt_ones_are_said() {
        let directory = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        assert!(read_serials(&config).unwrap().0.is_empty());
        config.server.state_dir = Some(directory.path().to_owned());
        assert!(read_serials(&config).unwrap().0.is_empty());
        let origin = Name::parse("gslb.example.com").unwrap();
        let serial = Serial { number: 7, content_hash: 9 };
        let kept = Serials([(origin.clone(), serial)].into_iter().collect());
        save_serials(&config, &kept);
        assert_eq!(read_serials(&config).unwrap().0.get(&origin), Some(&serial));
        for spoilt in ["", "\0 garbage", "{\"a\":1}", "[]"] {
            fs::write(directory.path().join(SERIALS_FILE), spoilt).unwrap();
            let problem = read_serials(&config).unwrap_err();
            assert!(problem.title.contains(SERIALS_FILE), "{}", problem.title);
        }
    }
}
