//! Manual pages and completions, made from what the program itself knows: its
//! arguments and its table of config keys.
//!
//! It must not know where packages put them.

use std::io;
use std::path::Path;

use clap::{Command, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, italic, roman};

use super::{Arguments, Failed};
use crate::config;

/// What stands at the foot of a page.
const SOURCE: &str = concat!("Windrose ", env!("CARGO_PKG_VERSION"));
/// What stands at its head.
const MANUAL: &str = "Windrose manual";

/// Of windrose(1), besides its commands: heading, then lines of term and text.
const MORE: [(&str, &[(&str, &str)]); 4] = [
    (
        "FILES",
        &[
            ("/etc/windrose/windrose.toml", "The config: windrose.toml(5)."),
            ("/var/lib/windrose", "The usual [server] state_dir."),
        ],
    ),
    (
        "ENVIRONMENT",
        &[
            ("WINDROSE_CONFIG", "The config file, where --config is not given."),
            ("WINDROSE_SERVER", "The admin listener, where --server is not given."),
            ("WINDROSE_TOKEN_FILE", "The file with its token, where --token-file is not given."),
            ("WINDROSE_LOG", "What \"serve\" logs: a level or filter that wins over [log] level."),
            (
                "NOTIFY_SOCKET, WATCHDOG_USEC, LISTEN_FDS",
                "As systemd sets them: sd_notify(3), sd_listen_fds(3).",
            ),
        ],
    ),
    (
        "SIGNALS",
        &[
            ("SIGHUP", "The config is loaded again; a bad one changes nothing."),
            ("SIGUSR2", "A new process of the program's file takes this one's place."),
            ("SIGTERM, SIGINT", "What came in is answered, state is saved, and it ends."),
        ],
    ),
    (
        "EXIT STATUS",
        &[
            ("0", "Done."),
            ("1", "Refused or failed; the reason is on standard error."),
            ("2", "Wrong usage."),
        ],
    ),
];

/// Prints the completions of a shell.
pub(super) fn completions(shell: Shell) -> Result<(), Failed> {
    let mut command = Arguments::command();
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut command, "windrose", &mut text);
    super::print(&String::from_utf8_lossy(&text))
}

/// Writes every page to a directory: windrose(1), one for each command, and
/// windrose.toml(5).
pub(super) fn write(directory: &Path) -> Result<(), Failed> {
    std::fs::create_dir_all(directory)?;
    let mut command = Arguments::command().disable_help_subcommand(true);
    command.build();
    write_command(&command, directory)?;
    std::fs::write(directory.join("windrose.toml.5"), plain(&config_page()?))?;
    Ok(())
}

fn write_command(command: &Command, directory: &Path) -> Result<(), Failed> {
    let shown = |sub: &&Command| !sub.is_hide_set() && sub.get_name() != "help";
    for sub in command.get_subcommands().filter(shown) {
        write_command(sub, directory)?;
    }
    let name = command.get_display_name().unwrap_or(command.get_name()).to_owned();
    let man = Man::new(command.clone()).title(name.to_uppercase()).source(SOURCE).manual(MANUAL);
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    let is_whole = command.get_name() == "windrose";
    if command.get_subcommands().any(|sub| shown(&sub)) {
        man.render_subcommands_section(&mut page)?;
    }
    if is_whole {
        for (heading, lines) in MORE {
            let mut roff = Roff::new();
            roff.control("SH", [heading]);
            for (term, text) in lines {
                roff.control("TP", []).text([bold(*term)]).text([roman(*text)]);
            }
            roff.to_writer(&mut page)?;
        }
    }
    let see = if is_whole { "windrose.toml(5)" } else { "windrose(1), windrose.toml(5)" };
    Roff::new().control("SH", ["SEE ALSO"]).text([roman(see)]).to_writer(&mut page)?;
    std::fs::write(directory.join(format!("{name}.1")), plain(&page))?;
    Ok(())
}

/// Whatever is not ASCII as roff's name for it: readers of pages take no other bytes.
fn plain(page: &[u8]) -> String {
    let escaped = |c: char| match c {
        c if c.is_ascii() => c.to_string(),
        c => format!("\\[u{:04X}]", u32::from(c)),
    };
    String::from_utf8_lossy(page).chars().map(escaped).collect()
}

fn config_page() -> io::Result<Vec<u8>> {
    let mut roff = Roff::new();
    roff.control("TH", ["WINDROSE.TOML", "5", "", SOURCE, MANUAL]);
    roff.control("SH", ["NAME"]).text([roman("windrose.toml - the config of Windrose")]);
    roff.control("SH", ["DESCRIPTION"]).text([roman(
        "A TOML file, and those that it includes. \"windrose check\" loads it exactly as the \
         server does and prints every problem; \"windrose config default\" prints a file that \
         shows every key with its default and the reason. A changed file is loaded by the \
         running server; one with a mistake changes nothing.",
    )]);
    roff.control("PP", []).text([roman(
        "Paths are relative to the file they stand in. A duration is a whole number and a unit: \
         500ms, 5s, 1m, 1h, 14d.",
    )]);
    for section in config::reference() {
        roff.control("SH", [section.header.as_str()]);
        roff.text([roman(section.help)]);
        for key in section.keys {
            roff.control("TP", []).text([bold(key.name), roman(": "), italic(key.expected)]);
            roff.text([roman(format!("{} ({}.)", key.help, key.fallback))]);
        }
    }
    roff.control("SH", ["SEE ALSO"]).text([roman("windrose(1)")]);
    let mut page = Vec::new();
    roff.to_writer(&mut page)?;
    Ok(page)
}
