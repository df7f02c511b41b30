//! The documented config file and the JSON Schema, both from the table of keys.

use serde_json::{Map, Value, json};

use super::keys::{Fallback, Form, Key, Kind, SECTIONS, Section, root};

/// `config/windrose.toml`: every key with its default and the reason.
pub fn default_file() -> &'static str {
    include_str!("../../config/windrose.toml")
}

/// The JSON Schema (draft 2020-12) of the config file, for editors.
pub fn schema() -> String {
    let mut properties = Map::new();
    for key in root::SECTION.keys {
        properties.insert(key.name.to_owned(), key_schema(key));
    }
    for section in SECTIONS {
        properties.insert(section.name.to_owned(), section_schema(section));
    }
    let schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Windrose configuration",
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
    });
    format!("{schema:#}\n")
}

fn section_schema(section: &Section) -> Value {
    let table = table_schema(section);
    match section.form {
        Form::Named { .. } => json!({
            "description": section.help.trim(),
            "type": "object",
            "additionalProperties": table,
        }),
        _ => table,
    }
}

fn table_schema(section: &Section) -> Value {
    let keys = section.keys.iter();
    let properties: Map<String, Value> =
        keys.clone().map(|key| (key.name.to_owned(), key_schema(key))).collect();
    let required: Vec<&str> =
        keys.filter(|key| key.fallback == Fallback::Required).map(|key| key.name).collect();
    let mut schema = json!({
        "description": section.help.trim(),
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
    });
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema
}

fn key_schema(key: &Key) -> Value {
    let mut schema = kind_schema(&key.kind);
    let help = match key.fallback {
        Fallback::Required => format!("{} Required.", key.help),
        Fallback::Is(value) => {
            if let Some(value) = json_of(value) {
                schema["default"] = value;
            }
            format!("{} Default: {value}.", key.help)
        }
        Fallback::Absent(means) => format!("{} Default: {means}.", key.help),
    };
    schema["description"] = json!(help);
    schema
}

fn kind_schema(kind: &Kind) -> Value {
    match kind {
        Kind::Bool => json!({ "type": "boolean" }),
        Kind::Integer { min, max } => json!({ "type": "integer", "minimum": min, "maximum": max }),
        Kind::Number { min, max } => json!({ "type": "number", "minimum": min, "maximum": max }),
        Kind::Duration { .. } => json!({ "type": "string", "pattern": "^[0-9]+(ms|s|m|h|d)$" }),
        Kind::Seconds { .. } => json!({ "type": "string", "pattern": "^[0-9]+(ms|s|m|h|d)$" }),
        Kind::Text { example, .. } => {
            let examples: Vec<Value> = json_of(example).into_iter().collect();
            json!({ "type": "string", "examples": examples })
        }
        Kind::Choice(values) => json!({ "enum": values }),
        Kind::List(of) => json!({ "type": "array", "items": kind_schema(of) }),
        Kind::OneOrMore(of) => {
            let one = kind_schema(of);
            json!({ "anyOf": [one, { "type": "array", "items": one }] })
        }
        Kind::Map(of) => json!({ "type": "object", "additionalProperties": kind_schema(of) }),
        Kind::Table(section) => table_schema(section),
        Kind::Either(kinds) => {
            json!({ "anyOf": kinds.iter().map(kind_schema).collect::<Vec<_>>() })
        }
    }
}

/// A TOML value as JSON.
fn json_of(toml: &str) -> Option<Value> {
    let table: toml::Table = toml::from_str(&format!("value = {toml}")).ok()?;
    serde_json::to_value(table.get("value")?).ok()
}

#[cfg(test)]
mod tests {
    use super::super::keys::{binding, location, member, on_all_down, service, vip};
    use super::*;

    /// `key = value` lines of the documented file, commented or not, by section.
    fn documented() -> Vec<(String, String, String)> {
        let mut section = String::new();
        let mut lines = Vec::new();
        for line in default_file().lines() {
            if let Some(header) = line.trim_start_matches('#').strip_prefix('[') {
                section = header.split(['.', ']']).next().unwrap_or_default().to_owned();
                continue;
            }
            // A comment in words has a space behind its `#`.
            let line = line.strip_prefix('#').unwrap_or(line);
            if let Some((key, value)) = line.split_once(" = ")
                && !key.starts_with(' ')
            {
                lines.push((section.clone(), key.to_owned(), value.to_owned()));
            }
        }
        lines
    }

    #[test]
    fn the_file_shows_every_key_with_its_default_and_no_other() {
        let lines = documented();
        let sections = || SECTIONS.iter().copied().chain([&root::SECTION]);
        for section in sections() {
            for key in section.keys {
                let shown: Vec<&str> = lines
                    .iter()
                    .filter(|(s, name, _)| s == section.name && name == key.name)
                    .map(|(_, _, value)| value.as_str())
                    .collect();
                assert!(!shown.is_empty(), "[{}] {} is not shown", section.name, key.name);
                // What the small whole configuration in the file needs is no default.
                let needed = matches!(
                    (section.name, key.name),
                    ("zone", "nameservers" | "hostmaster") | ("wip", "health_check" | "pools")
                );
                if let Fallback::Is(default) = key.fallback {
                    assert!(
                        needed || shown.contains(&default),
                        "[{}] {}: {shown:?}",
                        section.name,
                        key.name
                    );
                }
            }
        }
        for (section, key, _) in &lines {
            let known = sections().find(|s| s.name == *section).and_then(|s| s.key(key));
            assert!(known.is_some(), "[{section}] {key} is shown and does not exist");
        }
        for section in [
            &location::SECTION,
            &vip::SECTION,
            &member::SECTION,
            &on_all_down::SECTION,
            &binding::SECTION,
            &service::SECTION,
        ] {
            for key in section.keys {
                let (plain, quoted) = (format!("{} =", key.name), format!("`{}`", key.name));
                let text = default_file();
                assert!(
                    text.contains(&plain) || text.contains(&quoted),
                    "{} {}",
                    section.name,
                    key.name
                );
            }
        }
    }

    #[test]
    fn the_schema_holds_every_key_with_its_default_and_help() {
        let schema: Value = serde_json::from_str(&schema()).unwrap();
        for section in SECTIONS {
            let at = &schema["properties"][section.name];
            let table = match section.form {
                Form::Named { .. } => &at["additionalProperties"],
                _ => at,
            };
            assert_eq!(table["additionalProperties"], false, "{}", section.name);
            for key in section.keys {
                let property = &table["properties"][key.name];
                let description = property["description"].as_str().unwrap();
                assert!(description.contains(key.help), "{} {}", section.name, key.name);
                if let Fallback::Is(default) = key.fallback {
                    assert_eq!(Some(property["default"].clone()), json_of(default));
                }
            }
        }
    }

    #[test]
    fn defaults_are_valid_toml() {
        for section in SECTIONS {
            let table = section.defaults();
            let written = section.keys.iter().filter(|key| matches!(key.fallback, Fallback::Is(_)));
            assert_eq!(table.len(), written.count(), "{}", section.name);
        }
    }
}
