//! A server's state without sockets: config and files from text, no probes,
//! health set by hand.

use std::path::Path;
use std::sync::Arc;

use windrose::answer::{self, Outcome, Peer, Scratch};
use windrose::config;
use windrose::geo::{BaseTable, Place, Point};
use windrose::health::table::{Override, State, TTL_CAP_NONE, Table, Word};
use windrose::snapshot::{self, Input, Serials, Serving};

use crate::config_support::MemoryFiles;

/// Unix time of every load, in seconds.
pub(crate) const NOW_S: u64 = 1_800_000_000;

/// Loads `main` from `files`; the error is the report an operator would see.
pub(crate) fn load(main: &str, files: &MemoryFiles, places: BaseTable) -> Result<Serving, String> {
    let mut loaded = config::load(Path::new(main), files);
    let Some(config) = loaded.config.take() else {
        return Err(loaded.problems.render(&loaded.sources, false));
    };
    let input = Input {
        config: Arc::new(config),
        base: Arc::new(places),
        serials: Serials::default(),
        now_s: NOW_S,
        generation: 1,
    };
    let (snapshot, _) = snapshot::compile(input).map_err(|problems| {
        let lines: Vec<String> = problems.iter().map(|problem| problem.message.clone()).collect();
        lines.join("\n")
    })?;
    let table = Table::new(snapshot.plan.verdicts.len());
    for id in 0..table.len() {
        table.set(id as u32, Word::UP);
    }
    Ok(Serving::new(Arc::new(snapshot), Arc::new(table), 1, None))
}

/// Gives every VIP of the member in every WIP a state by its word: `up`, `down`,
/// `drained`, `forced-down` or `pending` (up, with a contrary result and 3 s of TTL).
pub(crate) fn set_member(serving: &Serving, member: &str, word: &str) -> Result<(), String> {
    let word = match word {
        "up" => Word::UP,
        "down" => Word::new(State::Down, false, Override::None, TTL_CAP_NONE, NOW_S as u32),
        "drained" => Word::new(State::Up, false, Override::Drained, TTL_CAP_NONE, NOW_S as u32),
        "forced-down" => {
            Word::new(State::Up, false, Override::ForcedDown, TTL_CAP_NONE, NOW_S as u32)
        }
        "pending" => Word::new(State::Up, true, Override::None, 3, 0),
        other => return Err(format!("no such state: {other}")),
    };
    let snapshot = &serving.snapshot;
    let mut found = false;
    for entry in &snapshot.wips {
        let strategy = snapshot.strategy(entry);
        let names = snapshot.member_names(entry);
        for (name, of_member) in names.into_iter().zip(&strategy.members) {
            if name != member {
                continue;
            }
            found = true;
            for vip in of_member.vips.clone() {
                serving.health.set(snapshot.verdicts(entry, strategy)[usize::from(vip)], word);
            }
        }
    }
    if found { Ok(()) } else { Err(format!("no WIP has a member {member}")) }
}

/// One request answered; nothing is silence.
pub(crate) fn ask(
    serving: &Serving,
    scratch: &mut Scratch,
    request: &[u8],
    peer: Peer,
) -> Option<Vec<u8>> {
    let mut out = vec![0; 65_535];
    match answer::answer(serving, &serving.workers[0], scratch, request, peer, &mut out) {
        Outcome::Reply { length, .. } => {
            out.truncate(length);
            Some(out)
        }
        Outcome::Drop(_) => None,
    }
}

/// A place with these keys, as text: "country=DE asn=64512 region=DE-HE at=50.1,8.6".
pub(crate) fn place(text: &str) -> Result<Place, String> {
    let mut place = Place::default();
    let two = |value: &str| <[u8; 2]>::try_from(value.as_bytes()).map_err(|_| value.to_owned());
    for word in text.split_whitespace() {
        match word.split_once('=') {
            Some(("country", value)) => place.country = Some(two(value)?),
            Some(("continent", value)) => place.continent = Some(two(value)?),
            Some(("region", value)) => place.region = Some(value.into()),
            Some(("at", value)) => {
                place.point = Some(point(value).ok_or_else(|| value.to_owned())?);
            }
            Some(("asn", value)) => {
                place.asn = Some(value.parse().map_err(|_| value.to_owned())?);
            }
            _ => return Err(format!("no such key of a place: {word}")),
        }
    }
    Ok(place)
}

/// "50.1,8.6"
fn point(text: &str) -> Option<Point> {
    let (latitude, longitude) = text.split_once(',')?;
    Some(Point { latitude: latitude.parse().ok()?, longitude: longitude.parse().ok()? })
}
