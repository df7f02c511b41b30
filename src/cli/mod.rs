//! The command line: arguments in, text and an exit status out.
//!
//! Exit status: 0 done, 1 refused or failed with the reason on standard error,
//! 2 usage (clap's own).

mod arguments;
mod check;
mod checks;
pub mod client;
mod diff;
mod events;
mod explain;
mod fleet;
mod log;
mod manual;
mod moves;
mod operate;
mod overrides;
mod serve;
mod simulate;
mod support;
mod webhook;
mod when;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use self::arguments::*;
use crate::admin::types::OverrideKind;
use crate::{config, daemon, demo};

/// Authoritative DNS server for Global Server Load Balancing.
#[derive(Debug, Parser)]
#[command(name = "windrose", version, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server
    Serve(ConfigFile),
    /// Load a config exactly as `serve` does and print every problem
    Check(CheckArguments),
    /// Say why a client gets its answer, step by step
    Explain(ExplainArguments),
    /// Print the documented default config, or its JSON Schema
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Say what the geo databases hold and where they come from
    #[command(subcommand)]
    Geo(GeoCommand),
    /// Say how answers would move, were sites lost or drained
    Simulate(SimulateArguments),
    /// Say what a change of the config would do to answers
    Diff(DiffArguments),
    /// Say how a running server is
    Status(StatusArguments),
    /// Follow what happens on a running server
    Events(EventsArguments),
    /// Take members out of new answers: a site, an application, or one in the other
    Drain(DrainArguments),
    /// Answer members whatever their health checks say
    ForceUp(SayArguments),
    /// Never answer members
    ForceDown(DrainArguments),
    /// Take back what was said of exactly these members
    Clear(ClearArguments),
    /// List what operators said over health: who, why, since when and until when
    Overrides(ServersArguments),
    /// Let members that came back and are held take part again
    Failback(FailbackArguments),
    /// Say what the blast-radius limiter is to do
    #[command(subcommand)]
    Limiter(LimiterCommand),
    /// Show or set what a running server logs
    Log(LogArguments),
    /// Gather what whoever is to help needs to see, with secrets out
    SupportBundle(SupportArguments),
    /// Look at a running server's webhooks, and try them
    #[command(subcommand)]
    Webhook(WebhookCommand),
    /// Make a running server load its config again
    Reload(OperateArguments),
    /// Have a new process of the installed version take a running server's place, without
    /// a query lost
    Upgrade(OperateArguments),
    /// Print completions for a shell: add them to what it reads at its start
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Write the manual pages to a directory, for packages
    #[command(hide = true)]
    Manual {
        /// Made if it is not there
        directory: PathBuf,
    },
    /// A tour on loopback: a server and pretend sites, nothing else needed
    Demo(DemoArguments),
}

/// Runs the command line of this process.
pub fn run() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Serve(file) => serve::run(&file.config),
        Command::Check(arguments) => check::run(&arguments.file.config, arguments.json),
        Command::Explain(arguments) => explain::run(&arguments),
        Command::Config(ConfigCommand::Default) => print(config::default_file()),
        Command::Config(ConfigCommand::Schema) => print(&config::schema()),
        Command::Geo(GeoCommand::Info { config }) => geo_info(config),
        Command::Status(StatusArguments { operate, checks }) if checks.checks => {
            checks::run(&operate, &checks)
        }
        Command::Status(arguments) => operate::status(&arguments.operate),
        Command::Simulate(arguments) => simulate::run(&arguments),
        Command::Diff(arguments) => diff::run(&arguments),
        Command::Events(arguments) => events::run(&arguments),
        Command::Drain(arguments) => overrides::take_out(OverrideKind::Drain, arguments),
        Command::ForceUp(arguments) => overrides::force_up(arguments),
        Command::ForceDown(arguments) => overrides::take_out(OverrideKind::ForceDown, arguments),
        Command::Clear(arguments) => overrides::clear(arguments),
        Command::Overrides(arguments) => overrides::list(&arguments),
        Command::Failback(arguments) => operate::fail_back(arguments),
        Command::Limiter(LimiterCommand::Release(arguments)) => operate::release(&arguments),
        Command::Log(arguments) => log::run(&arguments),
        Command::SupportBundle(arguments) => support::run(&arguments),
        Command::Webhook(command) => webhook::run(&command),
        Command::Reload(arguments) => operate::reload(&arguments),
        Command::Upgrade(arguments) => operate::upgrade(&arguments),
        Command::Completions { shell } => manual::completions(shell),
        Command::Manual { directory } => manual::write(&directory),
        Command::Demo(arguments) => demo::run(arguments.options()).map_err(Failed::from),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        // Who prints JSON says why in it.
        Err(Failed(message)) if message.is_empty() => ExitCode::FAILURE,
        Err(Failed(message)) => {
            complain(&message);
            ExitCode::FAILURE
        }
    }
}

/// A command that did not do what was asked: the text for standard error.
#[derive(Debug)]
struct Failed(String);

impl<E: std::error::Error> From<E> for Failed {
    fn from(error: E) -> Failed {
        Failed(error.to_string())
    }
}

/// Prints to standard output. A closed pipe is no failure: the reader has what
/// it wanted.
fn print(text: &str) -> Result<(), Failed> {
    use std::io::{ErrorKind, Write};
    let mut out = std::io::stdout().lock();
    let end = if text.ends_with('\n') { "" } else { "\n" };
    match write!(out, "{text}{end}").and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Failed(format!("cannot write: {error}")))
        }
        _ => Ok(()),
    }
}

/// "1 zone", "2 zones"
fn counted(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// Prints to standard error, where nobody is left to tell of a failure.
fn complain(text: &str) {
    use std::io::Write;
    let end = if text.ends_with('\n') { "" } else { "\n" };
    let _ = write!(std::io::stderr(), "{text}{end}");
}

fn print_json(value: &impl serde::Serialize) -> Result<(), Failed> {
    print(&serde_json::to_string_pretty(value)?)
}

fn geo_info(config: Option<PathBuf>) -> Result<(), Failed> {
    let geo = match config {
        Some(path) => daemon::load::load(&path).map_err(|refused| Failed(refused.report))?.geo,
        None => daemon::geo::load(&[], None).map_err(Failed)?,
    };
    let base = geo.table;
    let sources: Vec<String> = base.info().iter().map(ToString::to_string).collect();
    let (v4, v6) = base.range_counts();
    let classes = base.class_count();
    print(&format!(
        "{}\n{v4} IPv4 and {v6} IPv6 ranges, {classes} distinct places, {} KiB\n",
        sources.join("\n"),
        base.memory_bytes() / 1_024
    ))
}
