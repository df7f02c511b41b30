//! The log: text for a terminal, one JSON object a line for everything else,
//! on standard error.
//!
//! What is said is said where it happens, with `tracing` and named fields; this
//! module only decides what is shown and how it looks. It must not know who
//! logs. [`Sparse`] keeps what may repeat without end from filling a disk. Nobody
//! waits for the reader of the log: see `queue`.

mod level;
mod queue;

use std::fmt::{Debug, Write};
use std::fs::File;
use std::io::IsTerminal;
use std::os::fd::AsFd;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use tracing::Subscriber;
use tracing::field::Field;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::field::MakeExt;
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::{Writer, debug_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt, reload};

pub use self::level::{Level, Levels, SetBy};
use self::queue::Queue;
use crate::config::model;

/// Environment variable that wins over `[log] level`.
pub const FILTER_VARIABLE: &str = "WINDROSE_LOG";
/// The filter when nothing is said.
pub const FILTER_DEFAULT: &str = "info";

/// Longest wait for a reader when the process ends, or may.
const FLUSH_WITHIN: Duration = Duration::from_secs(1);
/// As a thread panics that others go on without: it is not to be held up for long.
const FLUSH_PANIC_WITHIN: Duration = Duration::from_millis(100);

/// Of the log that was started.
static QUEUE: OnceLock<Queue> = OnceLock::new();
/// Of the same.
static LEVELS: OnceLock<Levels> = OnceLock::new();

//------------ init -----------------------------------------------------------

/// Starts the process's log. `filter` (from [`FILTER_VARIABLE`]) wins over the
/// settings. Fails on a bad filter, or when a log was started already.
pub fn init(settings: &model::Log, filter: Option<&str>) -> Result<(), LogError> {
    let stderr = std::io::stderr();
    let terminal = stderr.is_terminal();
    // A file of its own: the lock of `stderr` would be held while a write blocks.
    let out = File::from(stderr.as_fd().try_clone_to_owned()?);
    let queue = Queue::start(out, |lost| {
        tracing::error!(lost, "{lost} log lines were lost: the reader of the log is too slow");
    })?;
    let (subscriber, handle) = subscriber(settings, filter, terminal, queue.clone())?;
    subscriber.try_init().map_err(|_| LogError::Started)?;
    let _ = QUEUE.set(queue);
    let own = |text: &str| (!text.trim().is_empty()).then(|| text.to_owned());
    let _ = LEVELS.set(Levels::new(handle, settings.level.clone(), filter.and_then(own)));
    Ok(())
}

/// The level of the log that was started; none: none was.
pub fn levels() -> Option<&'static Levels> {
    LEVELS.get()
}

/// Waits until what was said is written, for a second at most: before the process
/// ends, and before anything else goes to standard error.
pub fn flush() {
    flush_within(FLUSH_WITHIN);
}

/// The last lines that were said, as they were written; some hundred at most.
pub fn last_lines() -> String {
    QUEUE.get().map(Queue::last_lines).unwrap_or_default()
}

fn flush_within(within: Duration) {
    if let Some(queue) = QUEUE.get() {
        queue.flush(within);
    }
}

/// Puts panics into the log, as errors, instead of bare on standard error.
pub fn report_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let message = panic.payload_as_str().unwrap_or("no message");
        let thread = std::thread::current();
        let thread = thread.name().unwrap_or("unnamed");
        tracing::error!(place, thread, "panic: {message}");
        // The process may end with it.
        flush_within(if thread == "main" { FLUSH_WITHIN } else { FLUSH_PANIC_WITHIN });
    }));
}

/// Checks a filter: a level, or `target=level` with commas between them.
pub fn check_filter(filter: &str) -> Result<(), LogError> {
    parse_filter(filter).map(|_| ())
}

fn subscriber<W>(
    settings: &model::Log,
    filter: Option<&str>,
    terminal: bool,
    writer: W,
) -> Result<(impl Subscriber + Send + Sync + use<W>, LogHandle), LogError>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let filter = filter.filter(|text| !text.trim().is_empty());
    let filter = filter.or(settings.level.as_deref()).unwrap_or(FILTER_DEFAULT);
    let (filter, handle) = reload::Layer::new(parse_filter(filter)?);
    let by_default = if terminal { model::LogFormat::Text } else { model::LogFormat::Json };
    let lines = fmt::layer().with_writer(writer);
    let lines = match settings.format.unwrap_or(by_default) {
        model::LogFormat::Text => {
            let colours = terminal && std::env::var_os("NO_COLOR").is_none();
            let fields = debug_fn(write_field).delimited(" ");
            lines.with_ansi(colours).fmt_fields(fields).boxed()
        }
        model::LogFormat::Json => lines.json().flatten_event(true).with_span_list(false).boxed(),
    };
    Ok((Registry::default().with(filter).with(lines), LogHandle { filter: handle }))
}

/// Writes one field of a text line: the message bare, others as name=value.
fn write_field(out: &mut Writer<'_>, field: &Field, value: &dyn Debug) -> std::fmt::Result {
    let is_message = field.name() == "message";
    if !is_message {
        write!(out, "{}=", field.name())?;
    }
    write!(Plain { out, lines: is_message, breaks: 0 }, "{value:?}")
}

/// Escapes control characters: a value must not end a line, begin one, or
/// drive the terminal it is read on. A message may have several lines (a config
/// report has); all but its first are indented, so that none looks like a
/// message of its own.
struct Plain<'a, 'w> {
    out: &'a mut Writer<'w>,
    /// Whether line feeds are kept.
    lines: bool,
    /// Line feeds kept back, because none may end the message.
    breaks: usize,
}

impl Write for Plain<'_, '_> {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        for part in text.split_inclusive(char::is_control) {
            let control = part.chars().next_back().filter(|c| c.is_control());
            let plain = &part[..part.len() - control.map_or(0, char::len_utf8)];
            if control == Some('\n') && self.lines && plain.is_empty() {
                self.breaks += 1;
                continue;
            }
            for _ in 0..std::mem::take(&mut self.breaks) {
                self.out.write_str("\n    ")?;
            }
            self.out.write_str(plain)?;
            match control {
                Some('\n') if self.lines => self.breaks = 1,
                Some(control) => write!(self.out, "{}", control.escape_default())?,
                None => {}
            }
        }
        Ok(())
    }
}

fn parse_filter(text: &str) -> Result<EnvFilter, LogError> {
    // A word that is not a level would be taken for a target, and everything
    // else would fall silent.
    let is_level = |word: &str| !word.is_empty() && word.parse::<LevelFilter>().is_ok();
    let words: Vec<&str> = text.split(',').map(str::trim).collect();
    // Spans in brackets may hold commas: those are left to the parser.
    if !text.contains('[')
        && let Some(word) = words.iter().find(|word| !word.contains('=') && !is_level(word))
    {
        return Err(LogError::Level((*word).to_owned()));
    }
    Ok(EnvFilter::try_new(words.join(","))?)
}

/// Changes the filter of a running log.
#[derive(Clone, Debug)]
pub struct LogHandle {
    filter: reload::Handle<EnvFilter, Registry>,
}

impl LogHandle {
    /// Takes another filter; a bad one changes nothing.
    pub fn set_filter(&self, filter: &str) -> Result<(), LogError> {
        let filter = parse_filter(filter)?;
        self.filter.reload(filter).map_err(|_| LogError::Gone)
    }

    /// The filter in force, as its parser writes it; empty when the log is gone.
    pub fn filter(&self) -> String {
        self.filter.with_current(ToString::to_string).unwrap_or_default()
    }
}

/// Why a log does not start or change.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// A word where a level should be.
    #[error(
        "\"{0}\" is not a log level: use off, error, warn, info, debug or trace, or target=level, \
         with commas between them"
    )]
    Level(String),
    /// Not a filter in some other way.
    #[error("not a log filter: {0}")]
    Filter(#[from] ParseError),
    /// There is a log already.
    #[error("the log was started before")]
    Started,
    /// No descriptor, or no thread.
    #[error("the log cannot be started: {0}")]
    System(#[from] std::io::Error),
    /// The log has ended.
    #[error("the log has ended")]
    Gone,
}

//------------ Sparse ---------------------------------------------------------

/// Lets a message through at most once in a while.
///
/// ```
/// # use std::time::{Duration, Instant};
/// use windrose::log::Sparse;
/// static FULL: Sparse = Sparse::every(Duration::from_secs(10));
/// if let Some(left_out) = FULL.allow(Instant::now()) {
///     tracing::warn!(left_out, "no descriptors left");
/// }
/// ```
#[derive(Debug)]
pub struct Sparse {
    every: Duration,
    /// When the last one went through, and how many were left out since.
    last: Mutex<Option<(Instant, u64)>>,
}

impl Sparse {
    /// At most one in `every`.
    pub const fn every(every: Duration) -> Sparse {
        Sparse { every, last: Mutex::new(None) }
    }

    /// Whether to speak at `now`: if so, how many were left out since the last
    /// time. A `now` before the last one counts as no time passed.
    pub fn allow(&self, now: Instant) -> Option<u64> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        match last.as_mut() {
            Some((at, left_out)) if now.saturating_duration_since(*at) < self.every => {
                *left_out = left_out.saturating_add(1);
                None
            }
            _ => Some(last.replace((now, 0)).map_or(0, |(_, left_out)| left_out)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;

    use super::*;

    /// Keeps what is written.
    #[derive(Clone, Default)]
    pub(super) struct Kept(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl<'w> MakeWriter<'w> for Kept {
        type Writer = Kept;
        fn make_writer(&'w self) -> Kept {
            self.clone()
        }
    }

    /// What `say` logs under these settings.
    fn logged(
        settings: &model::Log,
        filter: Option<&str>,
        terminal: bool,
        say: impl FnOnce(&LogHandle),
    ) -> String {
        let kept = Kept::default();
        let (subscriber, handle) = subscriber(settings, filter, terminal, kept.clone()).unwrap();
        tracing::subscriber::with_default(subscriber, || say(&handle));
        let bytes = kept.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    fn say_something(_: &LogHandle) {
        tracing::info!(wip = "shop.example", probes = 3, "check is down");
        tracing::debug!("too fine");
    }

    #[test]
    fn json_lines_carry_time_level_target_message_and_fields() {
        let text = logged(&model::Log::default(), None, false, say_something);
        let line: serde_json::Value = serde_json::from_str(text.trim_end()).unwrap();
        assert_eq!(line["level"], "INFO");
        assert_eq!(line["target"], "windrose::log::tests");
        assert_eq!(line["message"], "check is down");
        assert_eq!((&line["wip"], &line["probes"]), (&"shop.example".into(), &3.into()));
        assert!(line["timestamp"].as_str().unwrap().ends_with('Z'), "{line}");
    }

    #[test]
    fn a_terminal_gets_text_and_the_format_can_be_forced() {
        let text = logged(&model::Log::default(), None, true, say_something);
        assert!(text.contains("check is down") && !text.starts_with('{'), "{text}");
        let forced = model::Log { format: Some(model::LogFormat::Text), ..Default::default() };
        let text = logged(&forced, None, false, say_something);
        assert!(
            text.ends_with(
                " INFO windrose::log::tests: check is down wip=\"shop.example\" probes=3\n"
            ),
            "{text}"
        );
    }

    #[test]
    fn a_value_cannot_forge_a_line_or_drive_the_terminal() {
        for format in [model::LogFormat::Text, model::LogFormat::Json] {
            let settings = model::Log { format: Some(format), ..Default::default() };
            let text = logged(&settings, None, false, |_| {
                tracing::info!(name = "a\nINFO forged \x1b[2J", "asked");
                tracing::info!(name = %"b\x1b[2J", "asked");
            });
            assert_eq!(text.matches('\n').count(), 2, "{text:?}");
            assert!(!text.contains('\x1b'), "{text:?}");
        }
    }

    #[test]
    fn a_message_of_several_lines_keeps_them_in_text_but_none_looks_like_its_own() {
        let report = "unknown key\n  --> windrose.toml:2:1\n\n2 | bogus\x07\n\n";
        let settings = model::Log { format: Some(model::LogFormat::Text), ..Default::default() };
        let text = logged(&settings, None, false, |_| {
            tracing::error!(problems = 1, "config refused\n{report}");
        });
        let (_, shown) = text.split_once("tests: ").unwrap();
        assert_eq!(
            shown,
            "config refused\n    unknown key\n      --> windrose.toml:2:1\n    \n    \
             2 | bogus\\u{7} problems=1\n"
        );
    }

    #[test]
    fn a_message_of_several_lines_is_set_in() {
        let settings = model::Log { format: Some(model::LogFormat::Text), ..Default::default() };
        let text = logged(&settings, None, false, |_| {
            tracing::error!(problems = 1, "refused\n{}", "error: no\nINFO forged \x1b[2J");
        });
        let (_, message) = text.split_once("refused").unwrap();
        assert_eq!(message, "\n    error: no\n    INFO forged \\u{1b}[2J problems=1\n", "{text:?}");
    }

    #[test]
    fn the_environment_wins_over_the_config_and_the_handle_over_both() {
        let settings = model::Log { level: Some("error".to_owned()), ..Default::default() };
        assert_eq!(logged(&settings, None, false, say_something), "");
        assert_eq!(logged(&settings, Some(""), false, say_something), "");
        assert_eq!(logged(&settings, Some("debug"), false, say_something).lines().count(), 2);
        let text = logged(&settings, Some("info,windrose::log=warn"), false, |handle| {
            say_something(handle);
            handle.set_filter("windrose::log=debug").unwrap();
            say_something(handle);
            assert_eq!(handle.filter(), "windrose::log=debug");
            handle.set_filter("lots").unwrap_err();
            assert_eq!(handle.filter(), "windrose::log=debug");
        });
        assert_eq!(text.lines().count(), 2, "{text}");
    }

    #[test]
    fn a_word_that_is_no_level_is_refused_and_named() {
        for (filter, word) in
            [("verbose", "verbose"), ("info,windrose::probe", "windrose::probe"), ("", "")]
        {
            let error = check_filter(filter).unwrap_err().to_string();
            assert!(error.starts_with(&format!("\"{word}\" is not a log level")), "{error}");
        }
        assert!(matches!(check_filter("windrose=lots"), Err(LogError::Filter(_))));
        for filter in ["info", "WARN", "off", "info, windrose::probe=debug"] {
            check_filter(filter).unwrap();
        }
    }

    #[test]
    fn sparse_speaks_once_in_a_while_and_says_how_often_it_did_not() {
        let sparse = Sparse::every(Duration::from_secs(10));
        let start = Instant::now();
        let at = |s: u64| start + Duration::from_secs(s);
        let said: Vec<_> = [5, 6, 5, 14, 15, 24, 25].map(|s| sparse.allow(at(s))).into();
        assert_eq!(said, [Some(0), None, None, None, Some(3), None, Some(1)]);
    }
}
