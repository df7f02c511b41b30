//! Whom an override means: names and globs over datacenter, WIP and member.

use serde::{Deserialize, Serialize};

/// Longest pattern: a domain name's text with every byte escaped.
const PATTERN_LENGTH_MAX: usize = 1_024;

/// Whom an override means: names, or globs of them (`*` any run of characters, `?` one
/// of them, `\` before one takes it as it is). What is left out means all; what is given
/// must all match.
#[derive(Clone, Debug, Default, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Target {
    /// Members that stand in these datacenters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub datacenter: Option<String>,
    /// In these WIPs: by their own name or an alias, whatever the case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wip: Option<String>,
    /// Members of these names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member: Option<String>,
}

/// Why a target means nothing.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum TargetError {
    /// It would be everything.
    #[error("no datacenter, WIP or member is given: name one, or write \"*\" for all")]
    Nothing,
    /// A part of it is an empty text.
    #[error("the {0} is empty: leave it out, or name one")]
    Empty(&'static str),
    /// A part of it is longer than any name.
    #[error("the {0} is longer than any name: 1,024 bytes are allowed")]
    TooLong(&'static str),
}

impl Target {
    /// The target in the one form in which two of them are compared: WIP names without
    /// regard to case or a final dot.
    pub fn new(
        datacenter: Option<&str>,
        wip: Option<&str>,
        member: Option<&str>,
    ) -> Result<Target, TargetError> {
        let parts = [("datacenter", datacenter), ("WIP", wip), ("member", member)];
        if parts.iter().all(|(_, part)| part.is_none()) {
            return Err(TargetError::Nothing);
        }
        for (what, part) in parts {
            match part {
                Some("") => return Err(TargetError::Empty(what)),
                Some(text) if text.len() > PATTERN_LENGTH_MAX => {
                    return Err(TargetError::TooLong(what));
                }
                _ => {}
            }
        }
        let own = |part: Option<&str>| part.map(str::to_owned);
        Ok(Target { datacenter: own(datacenter), wip: wip.map(canonical), member: own(member) })
    }
}

/// A WIP pattern as WIP names are written: small letters, no final dot.
fn canonical(wip: &str) -> String {
    let lower = wip.to_ascii_lowercase();
    match lower.strip_suffix('.') {
        Some(rest) if !rest.is_empty() && !rest.ends_with('\\') => rest.to_owned(),
        _ => lower,
    }
}

/// `datacenter fra, WIP shop.*`
impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let parts =
            [("datacenter", &self.datacenter), ("WIP", &self.wip), ("member", &self.member)];
        let mut before = "";
        for (what, part) in parts {
            if let Some(part) = part {
                write!(f, "{before}{what} {part}")?;
                before = ", ";
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_that_mean_the_same_wip_are_equal() {
        let target = |wip| Target::new(None, Some(wip), None).unwrap();
        assert_eq!(target("Shop.Example.COM."), target("shop.example.com"));
        assert_ne!(target(r"shop\."), target("shop"), "an escaped dot is no end");
        assert_eq!(target(".").wip.as_deref(), Some("."));
        let site = |name| Target::new(Some(name), None, None).unwrap();
        assert_ne!(site("FRA"), site("fra"), "names in the config are told apart by case");
    }

    #[test]
    fn a_target_that_means_nothing_is_refused() {
        assert_eq!(Target::new(None, None, None), Err(TargetError::Nothing));
        assert_eq!(Target::new(Some(""), None, None), Err(TargetError::Empty("datacenter")));
        let long = "a".repeat(PATTERN_LENGTH_MAX + 1);
        assert_eq!(Target::new(None, Some(&long), None), Err(TargetError::TooLong("WIP")));
    }

    #[test]
    fn a_target_reads_as_a_person_would_say_it() {
        let target = Target::new(Some("fra"), Some("shop.*"), None).unwrap();
        assert_eq!(target.to_string(), "datacenter fra, WIP shop.*");
    }
}
