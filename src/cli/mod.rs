//! The command line: arguments in, text and an exit status out.
//!
//! Exit status: 0 done, 1 refused or failed with the reason on standard error,
//! 2 usage (clap's own).

mod check;
mod checks;
pub mod client;
mod events;
mod explain;
mod operate;
mod serve;

use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use ipnet::IpNet;

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
    /// Say how a running server is
    Status(StatusArguments),
    /// Follow what happens on a running server
    Events(EventsArguments),
    /// Let members that came back and are held take part again
    Failback(FailbackArguments),
    /// Say what the blast-radius limiter is to do
    #[command(subcommand)]
    Limiter(LimiterCommand),
    /// Make a running server load its config again
    Reload(OperateArguments),
    /// A tour on loopback: a server and pretend sites, nothing else needed
    Demo(DemoArguments),
}

#[derive(Args, Debug)]
struct ConfigFile {
    /// The config file
    #[arg(long, short, env = "WINDROSE_CONFIG", default_value = "/etc/windrose/windrose.toml")]
    config: PathBuf,
}

#[derive(Args, Debug)]
struct CheckArguments {
    #[command(flatten)]
    file: ConfigFile,
    /// Print the problems as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args, Debug)]
struct ExplainArguments {
    /// The name asked for
    name: String,
    /// The type asked for
    #[arg(long = "type", default_value = "A", value_name = "TYPE")]
    rtype: String,
    /// The client's address, as the packet's source [default: 127.0.0.1]
    #[arg(long, value_name = "IP")]
    client: Option<IpAddr>,
    /// The client subnet option
    #[arg(long, value_name = "CIDR")]
    ecs: Option<IpNet>,
    /// Think this datacenter down; may be given several times
    #[arg(long, value_name = "DATACENTER")]
    down: Vec<String>,
    /// Explain from this config file, nothing probed, instead of a running server
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    operate: OperateArguments,
}

#[derive(Args, Clone, Debug)]
struct OperateArguments {
    /// The server's admin listener: http://…, https://… or unix:/…
    #[arg(
        long,
        env = client::SERVER_VARIABLE,
        default_value = "http://127.0.0.1:8053",
        value_name = "URL"
    )]
    server: String,
    /// File that holds the server's token
    #[arg(long, env = client::TOKEN_FILE_VARIABLE, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args, Debug)]
struct StatusArguments {
    #[command(flatten)]
    operate: OperateArguments,
    #[command(flatten)]
    checks: ChecksArguments,
}

#[derive(Args, Debug)]
struct ChecksArguments {
    /// List what is probed and how it is
    #[arg(long)]
    checks: bool,
    /// Only what this WIP depends on
    #[arg(long, value_name = "NAME", requires = "checks")]
    wip: Option<String>,
    /// Only this member's
    #[arg(long, value_name = "MEMBER", requires = "checks")]
    member: Option<String>,
    /// Only this check's
    #[arg(long, value_name = "CHECK", requires = "checks")]
    check: Option<String>,
    /// Only those in this state
    #[arg(long, value_parser = ["unknown", "up", "down"], requires = "checks")]
    state: Option<String>,
}

#[derive(Args, Debug)]
struct FailbackArguments {
    #[command(flatten)]
    operate: OperateArguments,
    /// Only in this WIP
    #[arg(long, value_name = "NAME")]
    wip: Option<String>,
    /// Only this member
    #[arg(long, value_name = "MEMBER")]
    member: Option<String>,
}

#[derive(Args, Debug)]
struct EventsArguments {
    #[command(flatten)]
    operate: OperateArguments,
    /// Begin with the last events, as far as the server keeps them
    #[arg(long)]
    kept: bool,
}

#[derive(Args, Debug)]
struct DemoArguments {
    /// Port for DNS on 127.0.0.1
    #[arg(long, default_value_t = 5300)]
    port: u16,
    /// Port of the admin listener on 127.0.0.1
    #[arg(long, default_value_t = 8053)]
    admin_port: u16,
    /// Play a failure and a return by itself, then end
    #[arg(long)]
    tour: bool,
}

impl DemoArguments {
    fn options(&self) -> demo::Options {
        demo::Options { port: self.port, admin_port: self.admin_port, tour: self.tour }
    }
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Every key with its default and the reason
    Default,
    /// JSON Schema, for editors
    Schema,
}

#[derive(Debug, Subcommand)]
enum LimiterCommand {
    /// The losses that it holds are true: let them take their course
    Release(OperateArguments),
}

#[derive(Debug, Subcommand)]
enum GeoCommand {
    /// Sources, sizes, dates and attributions of the databases in use
    Info {
        /// The config that names them; none: the embedded table
        #[arg(long, short)]
        config: Option<PathBuf>,
    },
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
        Command::Events(arguments) => events::run(&arguments),
        Command::Failback(arguments) => operate::fail_back(arguments),
        Command::Limiter(LimiterCommand::Release(arguments)) => operate::release(&arguments),
        Command::Reload(arguments) => operate::reload(&arguments),
        Command::Demo(arguments) => demo::run(arguments.options()).map_err(Failed::from),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
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
