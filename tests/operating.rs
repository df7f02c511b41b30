//! What `docs/OPERATING.md` and `config/deploy` say is true.

mod config_support;

use std::fmt::Write;
use std::path::{Path, PathBuf};

use config_support::MemoryFiles;
use windrose::metrics::families::FAMILIES;

const BEGIN: &str = "<!-- metrics: written by tests/operating.rs -->\n";
const END: &str = "<!-- end of metrics -->";

fn path(relative: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(relative)
}

fn read(relative: &str) -> String {
    std::fs::read_to_string(path(relative)).unwrap_or_else(|error| panic!("{relative}: {error}"))
}

fn table() -> String {
    let mut table = String::from("| family | type | labels | what |\n|---|---|---|---|\n");
    for family in FAMILIES {
        let labels: Vec<String> = family.labels.iter().map(|label| format!("`{label}`")).collect();
        let (name, kind, help) = (family.name, family.kind.word(), family.help);
        writeln!(table, "| `{name}` | {kind} | {} | {help} |", labels.join(", "))
            .expect("writing to a String cannot fail");
    }
    table
}

/// `WINDROSE_UPDATE_GOLDEN=1 cargo test --test operating` writes the table.
#[test]
fn the_manual_lists_every_family_as_the_page_shows_it() {
    let manual = read("docs/OPERATING.md");
    let (before, rest) = manual.split_once(BEGIN).expect("the manual marks its table");
    let (written, after) = rest.split_once(END).expect("the manual marks its table's end");
    let table = table();
    if std::env::var_os("WINDROSE_UPDATE_GOLDEN").is_some() {
        let manual = format!("{before}{BEGIN}{table}{END}{after}");
        std::fs::write(path("docs/OPERATING.md"), manual).unwrap();
        return;
    }
    assert_eq!(written, table, "the manual's table of metrics is out of date");
}

#[test]
fn the_config_of_the_kubernetes_example_loads_with_no_word_but_on_its_token() {
    let manifest = read("config/deploy/kubernetes/windrose.yaml");
    let (_, rest) = manifest.split_once("  windrose.toml: |\n").expect("there is a ConfigMap");
    let (block, _) = rest.split_once("---\n").expect("which ends");
    let text: String =
        block.split_inclusive('\n').map(|line| line.strip_prefix("    ").unwrap_or(line)).collect();
    let mut files = MemoryFiles::default();
    files.insert("windrose.toml", text);
    files.insert("/etc/windrose-admin/token", "token");
    let loaded = windrose::config::load(Path::new("windrose.toml"), &files);
    // Its token travels inside the cluster: a mesh or a certificate is the cluster's affair.
    let problems = loaded.problems.iter().filter(|problem| problem.code != "token-in-clear");
    assert_eq!(problems.count(), 0, "{}", loaded.problems.render(&loaded.sources, false));
    let config = loaded.config.expect("without problems there is a config");
    assert_eq!(config.wips.len(), 1);
    assert!(config.admin.listen.is_some_and(|listen| listen.requires_token()));
}
