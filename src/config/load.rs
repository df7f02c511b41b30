//! Reading files: the main one, those it includes, and their TOML.

use std::collections::{HashMap, HashSet};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use toml::de::DeTable;

use super::block::{Block, TextId};
use super::keys::root;
use super::model::Config;
use super::raw::{Raw, WIPS_MAX};
use super::reader::{Context, Table};
use super::{
    Files, Loaded, duplicates, mistakes, names, resolve, sections, split, transfers, warnings,
};
use crate::problem::{FileId, Problem, Problems, Sources, Spot};

/// Largest config file, in bytes: places are four bytes.
const FILE_LENGTH_MAX: usize = 1 << 31;
/// Texts are kept for excerpts up to this many bytes in all; further ones are
/// read again when a problem needs them.
const TEXT_KEPT_MAX: usize = 4 << 20;
/// Most syntax errors shown of one file: behind the first few they follow from one another.
const SYNTAX_ERRORS_MAX: usize = 5;

/// The pieces of a text that is a whole file.
const WHOLE: [(usize, usize); 1] = [(0, 0)];

/// When and how files are cut.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Longest file that is parsed as a whole, in bytes.
    whole_max: usize,
    /// Length of a run of WIP tables, in bytes.
    run: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        // A tree costs some ten times its text: these cost a few megabytes.
        Limits { whole_max: 1 << 20, run: 1 << 18 }
    }
}

/// Loads a main file and all it includes. Included files that are as they were
/// when `before` was loaded are not parsed again.
pub(super) fn load(
    main: &Path,
    files: &dyn Files,
    before: Option<&Config>,
    limits: Limits,
) -> Loaded {
    let mut loader = Loader {
        files,
        known: before.map(|config| config.wips.blocks_by_text()).unwrap_or_default(),
        problems: Problems::default(),
        sources: Sources::default(),
        raw: Raw::default(),
        paths: Vec::new(),
        patterns: Vec::new(),
        kept: 0,
        whole: true,
        only_wips: false,
        limits,
    };
    loader.read_all(main);
    loader.finish()
}

/// Reads again the texts that `problems` needs and `sources` does not hold.
pub(super) fn fetch_texts(sources: &mut Sources, problems: &Problems, files: &dyn Files) {
    for file in sources.wanted(problems) {
        if let Ok(bytes) = files.read(sources.path(file)) {
            sources.set_text(file, Some(String::from_utf8_lossy(&bytes).into_owned()));
        }
    }
}

struct Loader<'f> {
    files: &'f dyn Files,
    /// Blocks of the load before, by their texts.
    known: HashMap<TextId, Arc<Block>>,
    problems: Problems,
    sources: Sources,
    raw: Raw,
    paths: Vec<PathBuf>,
    /// `include` patterns, resolved.
    patterns: Vec<String>,
    /// Bytes of text kept in `sources`.
    kept: usize,
    /// False once a file could not be read or parsed: names it defines are
    /// then not known, and what refers to them is not judged.
    whole: bool,
    /// Whether the file being read has had nothing but WIPs so far.
    only_wips: bool,
    limits: Limits,
}

impl Loader<'_> {
    fn read_all(&mut self, main: &Path) {
        self.builtin_defaults(main);
        let includes = self.read_file(main, None);
        for (path, spot) in includes {
            self.read_file(&path, Some(spot));
        }
    }

    /// `[wip_defaults]` and singles as if nobody wrote them.
    fn builtin_defaults(&mut self, main: &Path) {
        let Some(file) = self.sources.add(main) else { return };
        let mut cx = Context {
            files: self.files,
            problems: &mut self.problems,
            file,
            dir: main.parent().unwrap_or(Path::new("")),
            pieces: &WHOLE,
        };
        sections::builtin(&mut self.raw, Spot::new(file, 0..0), &mut cx);
    }

    /// Reads one file; returns the files it includes, with the place that names them.
    fn read_file(&mut self, path: &Path, included_at: Option<Spot>) -> Vec<(PathBuf, Spot)> {
        let Some(file) = self.sources.find(path).or_else(|| self.sources.add(path)) else {
            let problem = mistakes::too_many_files();
            self.problems.push(match included_at {
                Some(spot) => problem.at_with(spot, "included here"),
                None => problem,
            });
            self.whole = false;
            return Vec::new();
        };
        self.paths.push(path.to_owned());
        let Some(text) = self.read_text(path, file, included_at) else {
            self.whole = false;
            return Vec::new();
        };
        let includes = self.read_blocks(path, file, &text, included_at.is_none());
        if self.kept + text.len() <= TEXT_KEPT_MAX {
            self.kept += text.len();
            self.sources.set_text(file, Some(text));
        }
        includes
    }

    fn read_text(&mut self, path: &Path, file: FileId, at: Option<Spot>) -> Option<String> {
        let bytes = match self.files.read(path) {
            Ok(bytes) => bytes,
            Err(error) => {
                let (code, what) = match error.kind() {
                    ErrorKind::NotFound => ("file-missing", "is not there".to_owned()),
                    _ => ("file-unreadable", format!("cannot be read: {error}")),
                };
                let title = format!("{} {what}", path.display());
                let problem = Problem::error(code, title);
                self.problems.push(match at {
                    Some(spot) => problem.at_with(spot, "included here"),
                    None => problem.in_file(file),
                });
                return None;
            }
        };
        if bytes.len() > FILE_LENGTH_MAX {
            let title = format!("{} is larger than 2 GiB", path.display());
            self.problems.push(Problem::error("file-too-large", title).in_file(file));
            return None;
        }
        match String::from_utf8(bytes) {
            Ok(text) => Some(text),
            Err(error) => {
                self.not_text(path, file, error.as_bytes(), error.utf8_error().valid_up_to());
                None
            }
        }
    }

    fn not_text(&mut self, path: &Path, file: FileId, bytes: &[u8], at: usize) {
        let before = &bytes[..at];
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        let start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |index| index + 1);
        let column = String::from_utf8_lossy(&before[start..]).chars().count() + 1;
        let title = format!("{} is not UTF-8 text", path.display());
        self.problems.push(
            Problem::error("not-utf8", title)
                .at_line(file, line as u32, column as u32)
                .note(format!("byte 0x{:02x} cannot stand here", bytes[at]))
                .help("save the file as UTF-8"),
        );
    }

    fn warn_without_zone(&mut self, config: &Config) {
        let main = self.paths.first().and_then(|path| self.sources.find(path));
        if let (true, Some(file)) = (config.zones.is_empty(), main) {
            self.problems.push(
                Problem::warning("no-zone", "no zone is configured: every query is refused")
                    .in_file(file)
                    .help("add what is delegated to this server: [zone.\"gslb.example.com\"]"),
            );
        }
    }

    /// Reads a text, or takes the block that it gave before.
    fn read_blocks(
        &mut self,
        path: &Path,
        file: FileId,
        text: &str,
        main: bool,
    ) -> Vec<(PathBuf, Spot)> {
        let id = TextId::of(text.as_bytes());
        let mut includes = Vec::new();
        let block = self.known.get(&id).filter(|_| !main).cloned().unwrap_or_else(|| {
            let problems = self.problems.count();
            self.only_wips = !main;
            includes = self.read_tables(path, file, text, main);
            let whole = self.only_wips && self.problems.count() == problems;
            Arc::new(self.raw.wips.reading.take(whole.then_some(id)))
        });
        if !self.raw.wips.push(file, block) {
            self.problems.push(mistakes::too_many_wips(WIPS_MAX, file));
        }
        includes
    }

    fn read_tables(
        &mut self,
        path: &Path,
        file: FileId,
        text: &str,
        main: bool,
    ) -> Vec<(PathBuf, Spot)> {
        let parts = (text.len() > self.limits.whole_max)
            .then(|| split::split(text, self.limits.run))
            .flatten();
        let Some(parts) = parts else {
            return self.read_part(path, file, text, &WHOLE, main);
        };
        let includes = self.read_part(path, file, &parts.rest, &parts.pieces, main);
        drop(parts.rest);
        for run in parts.runs {
            let piece = [(0, run.start)];
            self.read_part(path, file, &text[run], &piece, false);
        }
        includes
    }

    /// Reads a text whose parts stand where `pieces` says.
    fn read_part(
        &mut self,
        path: &Path,
        file: FileId,
        text: &str,
        pieces: &[(usize, usize)],
        main: bool,
    ) -> Vec<(PathBuf, Spot)> {
        let (table, errors) = DeTable::parse_recoverable(text);
        self.only_wips &= table.get_ref().keys().all(|key| key.get_ref() == "wip");
        let mut cx = Context {
            files: self.files,
            problems: &mut self.problems,
            file,
            dir: path.parent().unwrap_or(Path::new("")),
            pieces,
        };
        if syntax_errors(&errors, text, &mut cx) {
            sections::read(table.get_ref(), &mut self.raw, &mut self.sources, &mut cx);
        } else {
            self.whole = false;
        }
        includes(table.get_ref(), path, main, &mut self.patterns, &mut cx)
    }

    fn finish(mut self) -> Loaded {
        let mut config = Config::default();
        let mut origins = super::Origins::default();
        if self.whole {
            let joined = std::mem::take(&mut self.raw.wips).join();
            names::check(&self.raw, &joined.wips, &mut self.problems);
            transfers::check(&self.raw, &joined.wips, &mut self.problems);
            let raw = std::mem::take(&mut self.raw);
            let used;
            (config, origins, used) = resolve::resolve(raw, joined, &mut self.problems);
            // Behind an error, "not used" and the like are mostly its echo.
            if !self.problems.has_errors() {
                warnings::check(&config, &used, &origins, &mut self.problems);
                self.warn_without_zone(&config);
            }
        }
        let masters = config.zones.iter().filter_map(|zone| Some(zone.file.as_ref()?.path.clone()));
        self.paths.extend(masters);
        self.paths.extend(config.tsig.iter().filter_map(|key| key.secret_file.clone()));
        let mut seen = HashSet::new();
        self.paths.retain(|path| seen.insert(path.clone()));
        config.files = self.paths;
        config.include_patterns = self.patterns;
        fetch_texts(&mut self.sources, &self.problems, self.files);
        self.problems.sort();
        let config = (!self.problems.has_errors()).then_some(config);
        Loaded { config, problems: self.problems, sources: self.sources, origins }
    }
}

/// Reports what TOML itself refuses. False when the tables cannot be relied on.
fn syntax_errors(errors: &[toml::de::Error], text: &str, cx: &mut Context<'_>) -> bool {
    let (duplicates, others): (Vec<_>, Vec<_>) =
        errors.iter().partition(|error| error.message() == "duplicate key");
    let place = |error: &toml::de::Error| error.span().unwrap_or(text.len()..text.len());
    for error in others.iter().take(SYNTAX_ERRORS_MAX) {
        let title = format!("not TOML: {}", error.message());
        let spot = cx.spot(&place(error));
        cx.problems.push(Problem::error("toml-syntax", title).at(spot));
    }
    if duplicates.is_empty() {
        return others.is_empty();
    }
    let firsts = duplicates::first_places(text);
    for range in duplicates.into_iter().map(place) {
        let first = firsts.get(&range);
        // The TOML reader also blames the keys under a repeated header.
        if first.is_none() && !firsts.is_empty() {
            continue;
        }
        let key = text.get(range.clone()).unwrap_or_default();
        let mut problem = Problem::error("duplicate-key", format!("`{key}` is given twice"))
            .at_with(cx.spot(&range), "again here");
        if let Some(first) = first {
            problem = problem.at_with(cx.spot(first), "first here");
        }
        let help = "remove one: a table has each key and each header once";
        cx.problems.push(problem.help(help));
    }
    others.is_empty()
}

/// The files that `include` names, sorted, each once.
fn includes(
    table: &DeTable<'_>,
    path: &Path,
    main: bool,
    patterns: &mut Vec<String>,
    cx: &mut Context<'_>,
) -> Vec<(PathBuf, Spot)> {
    let Some((key, _)) = table.get_key_value(root::INCLUDE.name) else { return Vec::new() };
    let spot = cx.spot(&key.span());
    if !main {
        cx.problems.push(
            Problem::error("include-in-include", "an included file cannot include others")
                .at_with(spot, "only the main file can")
                .help("name all files in the main file; patterns such as \"wips.d/**/*.toml\" reach into directories"),
        );
        return Vec::new();
    }
    let root = Table::root(spot, table);
    let Some(item) = root.get(&root::INCLUDE, cx) else { return Vec::new() };
    let mut found: Vec<(PathBuf, Spot)> = Vec::new();
    for pattern in item.list(cx, |item, cx| item.text(cx).map(str::to_owned)) {
        let files = match_include(&pattern.value, pattern.spot, patterns, cx);
        found.extend(files.into_iter().map(|file| (file, pattern.spot)));
    }
    found.sort_by(|a, b| a.0.cmp(&b.0));
    found.dedup_by(|a, b| a.0 == b.0);
    found.retain(|(file, _)| file != path);
    found
}

fn match_include(
    pattern: &str,
    spot: Spot,
    patterns: &mut Vec<String>,
    cx: &mut Context<'_>,
) -> Vec<PathBuf> {
    if !pattern.contains(['*', '?', '[']) {
        return vec![cx.resolve(pattern)];
    }
    let dir = glob::Pattern::escape(&cx.dir.to_string_lossy());
    let whole = Path::new(&dir).join(pattern);
    let whole = whole.to_string_lossy().into_owned();
    patterns.push(whole.clone());
    match cx.files.glob(&whole) {
        Ok(files) => files,
        Err(error) => {
            let title = format!("the pattern \"{pattern}\" cannot be used: {error}");
            cx.problems.push(Problem::error("bad-pattern", title).at(spot).help(
                "`*` and `?` match within a name, `**` whole directories: \"wips.d/**/*.toml\"",
            ));
            Vec::new()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    /// One file in memory.
    struct One(&'static str);

    impl Files for One {
        fn read(&self, _: &Path) -> io::Result<Vec<u8>> {
            Ok(self.0.as_bytes().to_vec())
        }

        fn glob(&self, _: &str) -> Result<Vec<PathBuf>, String> {
            Ok(Vec::new())
        }

        fn exists(&self, _: &Path) -> bool {
            true
        }
    }

    #[test]
    fn a_file_that_is_cut_reads_the_same() {
        let faulty = "[wip.\"a.example.com\"]\nttl = 3\n[pool.x]\nmembers = [\"nowhere\"]\n\
            [zone.\"example.com\"]\nnameservers = \"ns1.example.net\"\n\
            [wip.\"b.example.com\"]\nmembers = [\"fra\"]\n[server]\nworker = 1\n\
            [wip.\"A.example.com\"]\npools = [\"y\"]\n";
        for text in [crate::config::default_file(), faulty] {
            let files = One(text);
            let path = Path::new("windrose.toml");
            let whole = load(path, &files, None, Limits::default());
            let cut = load(path, &files, None, Limits { whole_max: 0, run: 1 });
            assert_eq!(
                whole.problems.render(&whole.sources, false),
                cut.problems.render(&cut.sources, false)
            );
            assert_eq!(format!("{:?}", whole.config), format!("{:?}", cut.config));
        }
    }
}
