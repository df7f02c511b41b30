//! Any text as a config: a config or problems, shown without trouble; and what is
//! taken compiles or is refused with reasons.

use std::path::Path;
use std::sync::Arc;

use crate::config_support::MemoryFiles;
use windrose::geo::BaseTable;
use windrose::snapshot::{Input, Serials, compile};

pub(crate) fn run(text: &[u8]) {
    let mut files = MemoryFiles::default();
    files.insert("windrose.toml", text);
    files.insert("a.zone", "@ SOA a b 1 2 3 4 5\n@ NS a\na A 192.0.2.1\n");
    let mut loaded = windrose::config::load(Path::new("windrose.toml"), &files);
    assert_eq!(loaded.config.is_none(), loaded.problems.has_errors());
    let shown = loaded.problems.render(&loaded.sources, false);
    assert_eq!(shown.is_empty(), loaded.problems.is_empty());
    if let Some(config) = loaded.config.take() {
        let input = Input {
            config: Arc::new(config),
            base: Arc::new(BaseTable::from_networks(&[])),
            serials: Serials::default(),
            now_s: 1_800_000_000,
            generation: 1,
        };
        if let Err(problems) = compile(input) {
            assert!(!problems.is_empty());
        }
    }
}
