//! Times as operators write them: "15m", "06:30", "2026-11-23T06:00:00Z".
//!
//! It must not know what happens then.

use jiff::civil;
use jiff::{Timestamp, ToSpan, Zoned};

/// What is allowed, for messages.
const ALLOWED: &str = "write how long from now (\"15m\", \"2h\", \"1h30m\"), a time of day \
                       (\"06:30\", the next one, local time) or a date and time \
                       (\"2026-11-23T06:30\", local time, or with a zone: \
                       \"2026-11-23T06:30:00Z\")";
/// Seconds of each unit of a duration.
const UNITS: [(char, u64); 4] = [('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];

/// The unix second that `text` means at the moment `now`, which has the local time zone.
pub(super) fn parse(text: &str, now: &Zoned) -> Result<u64, String> {
    let bad = |why: &str| format!("\"{text}\" is no time: {why}; {ALLOWED}");
    let text = text.trim();
    let now_s = u64::try_from(now.timestamp().as_second()).unwrap_or(0);
    if let Some(duration) = duration_s(text.strip_prefix('+').unwrap_or(text)) {
        let until = duration.and_then(|duration_s| now_s.checked_add(duration_s));
        return until.ok_or_else(|| bad("it is too far away"));
    }
    let seconds =
        |time: Timestamp| u64::try_from(time.as_second()).map_err(|_| bad("it is before 1970"));
    if text.len() <= 8 && text.contains(':') {
        let time: civil::Time = text.parse().map_err(|_| bad("there is no such time of day"))?;
        let far = |_| bad("it is too far away");
        let today = now.with().time(time).build().map_err(far)?;
        let next = if today > *now { today } else { today.checked_add(1.day()).map_err(far)? };
        return seconds(next.timestamp());
    }
    if let Ok(time) = text.parse::<Timestamp>() {
        return seconds(time);
    }
    let local: civil::DateTime = text.parse().map_err(|_| bad("it cannot be read"))?;
    let local = local.to_zoned(now.time_zone().clone()).map_err(|_| bad("it is too far away"))?;
    seconds(local.timestamp())
}

/// Seconds of "1h30m"; none: it is no duration at all. Within, none: too many.
fn duration_s(text: &str) -> Option<Option<u64>> {
    let mut rest = text;
    let mut total = Some(0_u64);
    let mut smallest = u64::MAX;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).filter(|digits| *digits > 0)?;
        let (number, unit) = rest.split_at(digits);
        let letter = unit.chars().next()?;
        let (_, factor) = UNITS.into_iter().find(|(name, _)| *name == letter)?;
        if factor >= smallest {
            return None;
        }
        smallest = factor;
        let part = number.parse::<u64>().ok().and_then(|number| number.checked_mul(factor));
        total = total.zip(part).and_then(|(total, part)| total.checked_add(part));
        rest = &unit[1..];
    }
    (smallest != u64::MAX).then_some(total)
}

/// A unix second in local time, as short as it may be at the moment `now`.
pub(super) fn text(unix_s: u64, now: &Zoned) -> String {
    let time = i64::try_from(unix_s).ok().and_then(|s| Timestamp::from_second(s).ok());
    let Some(time) = time else { return format!("unix second {unix_s}") };
    let local = time.to_zoned(now.time_zone().clone());
    let same_day = local.date() == now.date();
    local.strftime(if same_day { "%H:%M:%S %Z" } else { "%Y-%m-%d %H:%M:%S %Z" }).to_string()
}

/// "45 s", "12 min", "3 h 20 min", "9 days"
pub(super) fn span(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => match seconds % 3_600 / 60 {
            0 => format!("{} h", seconds / 3_600),
            minutes => format!("{} h {minutes} min", seconds / 3_600),
        },
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Zoned {
        // Central European time without a database of zones: no rule is near.
        let zone = jiff::tz::TimeZone::fixed(jiff::tz::offset(1));
        let local: civil::DateTime = "2026-11-23T02:50:00".parse().unwrap();
        local.to_zoned(zone).unwrap()
    }

    #[test]
    fn times_are_read_as_operators_write_them() {
        let now = now();
        let now_s = now.timestamp().as_second() as u64;
        for (text, after_s) in [
            ("15m", 900),
            ("+2h", 7_200),
            ("1h30m", 5_400),
            ("90s", 90),
            ("2d", 172_800),
            ("06:30", 3 * 3_600 + 2_400),
            ("02:50", 86_400),
            ("02:50:01", 1),
            ("02:49", 86_340),
            ("2026-11-23T03:00", 600),
            ("2026-11-23 03:00:30", 630),
            ("2026-11-23T02:00:00Z", 600),
            ("2026-11-23T02:00:00+00:00", 600),
        ] {
            assert_eq!(parse(text, &now), Ok(now_s + after_s), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused_with_what_is_allowed() {
        for (bad, why) in [
            ("", "it cannot be read"),
            ("15", "it cannot be read"),
            ("15 minutes", "it cannot be read"),
            ("5m1h", "it cannot be read"),
            ("1.5h", "it cannot be read"),
            ("25:00", "there is no such time of day"),
            ("6:30", "there is no such time of day"),
            ("99999999999999999999d", "it is too far away"),
            ("18446744073709551615s", "it is too far away"),
            ("1969-01-01T00:00:00Z", "it is before 1970"),
            ("tomorrow", "it cannot be read"),
        ] {
            let error = parse(bad, &now()).unwrap_err();
            assert!(error.starts_with(&format!("\"{bad}\" is no time: {why}; ")), "{error}");
            assert!(error.contains("15m"), "{error}");
        }
    }

    #[test]
    fn times_are_shown_in_local_time_and_with_the_day_where_it_is_another() {
        let now = now();
        let now_s = now.timestamp().as_second() as u64;
        assert_eq!(text(now_s + 60, &now), "02:51:00 +01");
        assert_eq!(text(now_s + 86_400, &now), "2026-11-24 02:50:00 +01");
        for (seconds, words) in [
            (5, "5 s"),
            (600, "10 min"),
            (7_200, "2 h"),
            (12_000, "3 h 20 min"),
            (800_000, "9 days"),
        ] {
            assert_eq!(span(seconds), words);
        }
    }
}
