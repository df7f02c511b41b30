//! The serials of the zones, kept so that they grow over restarts.

use std::collections::BTreeMap;
use std::fs;
use std::io;

use super::{SERIALS_FILE, StateDir};
use crate::config::model::Config;
use crate::dns::Name;
use crate::problem::Problem;
use crate::snapshot::{Serial, Serials};

/// Reads the serials kept by an earlier run; none where there are none. The
/// warning is returned, not logged: at the first load there is no log yet.
pub(in crate::daemon) fn read_serials(config: &Config) -> Result<Serials, Problem> {
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

/// Keeps the serials.
pub(in crate::daemon) fn save_serials(state: &StateDir, serials: &Serials) {
    let kept: BTreeMap<String, (u32, u64)> = serials
        .0
        .iter()
        .map(|(origin, serial)| (origin.to_string(), (serial.number, serial.content_hash)))
        .collect();
    // Names and numbers: there is nothing in it that JSON could not hold.
    let text = serde_json::to_string_pretty(&kept).unwrap_or_default();
    state.write(SERIALS_FILE, text.as_bytes());
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
        save_serials(&StateDir::open(directory.path()).unwrap(), &kept);
        assert_eq!(read_serials(&config).unwrap().0.get(&origin), Some(&serial));
        for spoilt in ["", "\0 garbage", "{\"a\":1}", "[]"] {
            fs::write(directory.path().join(SERIALS_FILE), spoilt).unwrap();
            let problem = read_serials(&config).unwrap_err();
            assert!(problem.title.contains(SERIALS_FILE), "{}", problem.title);
        }
    }
}
