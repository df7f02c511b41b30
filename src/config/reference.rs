//! The table of keys as texts, for a manual page.
//!
//! It must not know how a page looks.

use super::keys::{Fallback, Form, Kind, SECTIONS, Section, root};

/// A table of the file.
#[derive(Clone, Debug)]
pub struct SectionText {
    /// `[server]`, `[wip."…"]`
    pub header: String,
    /// What it is for.
    pub help: String,
    /// Its keys.
    pub keys: Vec<KeyText>,
}

/// A key of it.
#[derive(Clone, Debug)]
pub struct KeyText {
    /// As written; keys of a table within are `table.key`.
    pub name: String,
    /// What its value is, in words.
    pub expected: String,
    /// What holds without it: a sentence without its end.
    pub fallback: String,
    /// What it does.
    pub help: String,
}

/// Every key there is, in the order of `config/windrose.toml`.
pub fn reference() -> Vec<SectionText> {
    std::iter::once(&root::SECTION).chain(SECTIONS).map(section_text).collect()
}

fn section_text(section: &'static Section) -> SectionText {
    let header = match section.form {
        Form::Named { example, .. } => format!("[{}.{example}]", section.name),
        _ => section.header(),
    };
    let mut keys = Vec::new();
    add_keys(section, "", &mut keys);
    SectionText { header, help: section.help.trim().to_owned(), keys }
}

fn add_keys(section: &Section, within: &str, keys: &mut Vec<KeyText>) {
    for key in section.keys {
        let name = format!("{within}{}", key.name);
        let fallback = match key.fallback {
            Fallback::Required => "it must be given".to_owned(),
            Fallback::Is(value) => format!("default: {value}"),
            Fallback::Absent(meaning) => format!("without it: {meaning}"),
        };
        keys.push(KeyText {
            name: name.clone(),
            expected: key.kind.expected(),
            fallback,
            help: key.help.to_owned(),
        });
        // Tables of members are explained where they stand first, and not in each.
        if let (Kind::Table(table), true) = (&key.kind, within.is_empty()) {
            add_keys(table, &format!("{name}."), keys);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_has_the_keys_of_every_section_and_of_tables_within() {
        let sections = reference();
        let names = |header: &str| -> Vec<&str> {
            let section = sections.iter().find(|section| section.header == header).unwrap();
            section.keys.iter().map(|key| key.name.as_str()).collect()
        };
        assert!(names("[server]").contains(&"state_dir"));
        assert!(names("the top level").contains(&"include"));
        let datacenter = &sections.iter().find(|s| s.header.starts_with("[datacenter.")).unwrap();
        assert!(
            datacenter.keys.iter().any(|key| key.name == "location.latitude"),
            "{datacenter:?}"
        );
        for key in sections.iter().flat_map(|section| &section.keys) {
            assert!(!key.help.is_empty() && !key.expected.is_empty(), "{key:?}");
        }
    }
}
