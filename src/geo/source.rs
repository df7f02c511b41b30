//! What a base table was made of, for people: `windrose geo info`, the status page.

use std::fmt;

/// One database, as loaded.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SourceInfo {
    /// The file, or "embedded".
    pub name: String,
    /// The database's word for itself, such as "GeoLite2-City".
    pub kind: String,
    /// How its records are laid out.
    pub schema: Schema,
    /// What its records say.
    pub fields: Fields,
    /// When it was built, in seconds since 1970.
    pub build_epoch_s: u64,
    /// Ranges of IPv4, neighbours of one class counted once.
    pub ranges_v4: usize,
    /// As `ranges_v4`, of IPv6.
    pub ranges_v6: usize,
    /// Classes of clients it distinguishes.
    pub classes: usize,
    /// Whom to name where results are shown; empty: nobody known.
    pub attribution: String,
}

/// How a database lays out its records.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Schema {
    /// Windrose's own table.
    Embedded,
    /// MaxMind's: `country.iso_code`, `location.latitude`.
    Nested,
    /// `country_code`, `latitude`.
    Flat,
}

/// What at least one record of a database says.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Fields {
    /// A country.
    pub country: bool,
    /// An ISO 3166-2 region.
    pub region: bool,
    /// A continent.
    pub continent: bool,
    /// A latitude and a longitude.
    pub point: bool,
    /// An autonomous system's number.
    pub asn: bool,
}

impl Fields {
    /// Whether nothing is said at all.
    pub fn is_empty(self) -> bool {
        self == Fields::default()
    }
}

impl fmt::Display for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Schema::Embedded => "embedded",
            Schema::Nested => "nested",
            Schema::Flat => "flat",
        })
    }
}

impl fmt::Display for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let said = [
            (self.continent, "continent"),
            (self.country, "country"),
            (self.region, "region"),
            (self.point, "coordinates"),
            (self.asn, "asn"),
        ];
        let words: Vec<&str> =
            said.iter().filter_map(|&(said, word)| said.then_some(word)).collect();
        f.write_str(if words.is_empty() { "nothing" } else { "" })?;
        f.write_str(&words.join(", "))
    }
}

impl fmt::Display for SourceInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {} ({} schema)", self.name, self.kind, self.schema)?;
        writeln!(f, "  built        {}", Date(self.build_epoch_s))?;
        writeln!(f, "  says         {}", self.fields)?;
        write!(f, "  ranges       {} IPv4, {} IPv6", self.ranges_v4, self.ranges_v6)?;
        write!(f, ", {} classes", self.classes)?;
        if !self.attribution.is_empty() {
            write!(f, "\n  attribution  {}", self.attribution)?;
        }
        Ok(())
    }
}

/// A day of the Gregorian calendar, from seconds since 1970 (UTC).
struct Date(u64);

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Days since 1 March of year 0: then a leap day is the last of its year.
        let days = self.0 / 86_400 + 719_468;
        let era = days / 146_097;
        let day_of_era = days % 146_097;
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
        let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
        let year = era * 400 + year_of_era + u64::from(month <= 2);
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_those_of_the_calendar() {
        for (seconds, date) in [
            (0, "1970-01-01"),
            (951_782_400, "2000-02-29"),
            (951_868_800, "2000-03-01"),
            (1_735_689_599, "2024-12-31"),
            (1_780_617_600, "2026-06-05"),
            (4_107_542_400, "2100-03-01"),
        ] {
            assert_eq!(Date(seconds).to_string(), date);
        }
    }

    #[test]
    fn a_source_is_shown_with_what_it_says_and_whom_to_name() {
        let source = SourceInfo {
            name: "city.mmdb".to_owned(),
            kind: "city ipv4".to_owned(),
            schema: Schema::Flat,
            fields: Fields { country: true, point: true, ..Fields::default() },
            build_epoch_s: 1_780_617_600,
            ranges_v4: 3,
            ranges_v6: 1,
            classes: 2,
            attribution: "someone".to_owned(),
        };
        assert_eq!(
            source.to_string(),
            "city.mmdb: city ipv4 (flat schema)\n  built        2026-06-05\n  says         \
             country, coordinates\n  ranges       3 IPv4, 1 IPv6, 2 classes\n  attribution  someone"
        );
    }
}
