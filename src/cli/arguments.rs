//! What each command takes: flags, their defaults and their help.
//!
//! It must not know what a command does with them.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use ipnet::IpNet;

use super::client;
use crate::{config, demo};

#[derive(Args, Debug)]
pub(super) struct ConfigFile {
    /// The config file
    #[arg(long, short, env = "WINDROSE_CONFIG", default_value = "/etc/windrose/windrose.toml")]
    pub(super) config: PathBuf,
}

#[derive(Args, Debug)]
pub(super) struct CheckArguments {
    #[command(flatten)]
    pub(super) file: ConfigFile,
    /// Print the problems as JSON
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Args, Debug)]
pub(super) struct ExplainArguments {
    /// The name asked for
    pub(super) name: String,
    /// The type asked for
    #[arg(long = "type", default_value = "A", value_name = "TYPE")]
    pub(super) rtype: String,
    /// The client's address, as the packet's source [default: 127.0.0.1]
    #[arg(long, value_name = "IP")]
    pub(super) client: Option<IpAddr>,
    /// The client subnet option
    #[arg(long, value_name = "CIDR")]
    pub(super) ecs: Option<IpNet>,
    /// Think this datacenter down; may be given several times
    #[arg(long, value_name = "DATACENTER")]
    pub(super) down: Vec<String>,
    /// Explain from this config file, nothing probed, instead of a running server
    #[arg(long, short, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    #[command(flatten)]
    pub(super) operate: OperateArguments,
}

#[derive(Args, Debug)]
pub(super) struct SimulateArguments {
    /// Think this datacenter down; may be given several times
    #[arg(long, value_name = "DATACENTER", required_unless_present = "drain")]
    pub(super) down: Vec<String>,
    /// Think this datacenter drained; may be given several times
    #[arg(long, value_name = "DATACENTER")]
    pub(super) drain: Vec<String>,
    #[command(flatten)]
    pub(super) measure: MeasureArguments,
    /// Simulate with this config file, nothing probed, instead of a running server
    #[arg(long, short, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    #[command(flatten)]
    pub(super) operate: OperateArguments,
}

#[derive(Args, Debug)]
pub(super) struct DiffArguments {
    /// The config file as it is
    pub(super) old: PathBuf,
    /// And as it is to be
    pub(super) new: PathBuf,
    #[command(flatten)]
    pub(super) measure: MeasureArguments,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Args, Debug)]
pub(super) struct MeasureArguments {
    /// A list of client networks, "192.0.2.0/24 100" a line: shares are of their weights
    /// [default: of the address space]
    #[arg(long, value_name = "FILE")]
    pub(super) weights: Option<PathBuf>,
    /// List at most this many WIPs
    #[arg(long, value_name = "COUNT", default_value_t = 20)]
    pub(super) limit: u32,
}

#[derive(Args, Clone, Debug)]
pub(super) struct OperateArguments {
    /// The server's admin listener: http://…, https://… or unix:/…
    #[arg(
        long,
        env = client::SERVER_VARIABLE,
        default_value = "http://127.0.0.1:8053",
        value_name = "URL"
    )]
    pub(super) server: String,
    /// File that holds the server's token
    #[arg(long, env = client::TOKEN_FILE_VARIABLE, value_name = "FILE")]
    pub(super) token_file: Option<PathBuf>,
    /// PEM file with authorities to trust beside the system's, for https://
    #[arg(long, env = client::CA_FILE_VARIABLE, value_name = "FILE")]
    pub(super) ca_file: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Args, Debug)]
pub(super) struct StatusArguments {
    #[command(flatten)]
    pub(super) operate: OperateArguments,
    #[command(flatten)]
    pub(super) checks: ChecksArguments,
}

#[derive(Args, Debug)]
pub(super) struct ChecksArguments {
    /// List what is probed and how it is
    #[arg(long)]
    pub(super) checks: bool,
    /// Only what this WIP depends on
    #[arg(long, value_name = "NAME", requires = "checks")]
    pub(super) wip: Option<String>,
    /// Only this member's
    #[arg(long, value_name = "MEMBER", requires = "checks")]
    pub(super) member: Option<String>,
    /// Only this check's
    #[arg(long, value_name = "CHECK", requires = "checks")]
    pub(super) check: Option<String>,
    /// Only those in this state
    #[arg(long, value_parser = ["unknown", "up", "down"], requires = "checks")]
    pub(super) state: Option<String>,
}

#[derive(Args, Debug)]
pub(super) struct FailbackArguments {
    #[command(flatten)]
    pub(super) operate: OperateArguments,
    /// Only in this WIP
    #[arg(long, value_name = "NAME")]
    pub(super) wip: Option<String>,
    /// Only this member
    #[arg(long, value_name = "MEMBER")]
    pub(super) member: Option<String>,
}

#[derive(Args, Debug)]
pub(super) struct LogArguments {
    /// A level or filter as in [log] level, or "config" for what is configured; none: show
    /// what is in force
    pub(super) level: Option<String>,
    /// Only for so long: 30s, 10m, 1h
    #[arg(long = "for", value_name = "DURATION", requires = "level", value_parser = seconds)]
    pub(super) for_s: Option<u64>,
    #[command(flatten)]
    pub(super) operate: OperateArguments,
}

/// Whole seconds of a duration as the config writes it.
fn seconds(text: &str) -> Result<u64, String> {
    match config::duration_ms(text)? {
        ms if ms % 1_000 == 0 => Ok(ms / 1_000),
        _ => Err("is no whole number of seconds".to_owned()),
    }
}

#[derive(Args, Debug)]
pub(super) struct SupportArguments {
    /// The archive to write [default: windrose-support-TIME.tar.gz]
    #[arg(long, short, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,
    /// Without a running server: from this config file and what this host says
    #[arg(long, short, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    #[command(flatten)]
    pub(super) operate: OperateArguments,
}

#[derive(Args, Debug)]
pub(super) struct EventsArguments {
    #[command(flatten)]
    pub(super) operate: OperateArguments,
    /// Begin with the last events, as far as the server keeps them
    #[arg(long)]
    pub(super) kept: bool,
}

//------------ Overrides ------------------------------------------------------

/// Several servers that are told the same.
#[derive(Args, Clone, Debug)]
pub(super) struct ServersArguments {
    /// A server's admin listener: http://…, https://… or unix:/…; several times, or several
    /// with commas, for all servers of a zone
    #[arg(
        long = "server",
        env = client::SERVER_VARIABLE,
        default_value = "http://127.0.0.1:8053",
        value_delimiter = ',',
        value_name = "URL"
    )]
    pub(super) servers: Vec<String>,
    /// File that holds the servers' token
    #[arg(long, env = client::TOKEN_FILE_VARIABLE, value_name = "FILE")]
    pub(super) token_file: Option<PathBuf>,
    /// PEM file with authorities to trust beside the system's, for https://
    #[arg(long, env = client::CA_FILE_VARIABLE, value_name = "FILE")]
    pub(super) ca_file: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// Whom an override means: what is left out means all.
#[derive(Args, Clone, Debug)]
#[group(required = true, multiple = true)]
pub(super) struct TargetArguments {
    /// Members of this datacenter, or of those that match: "fra", "*-west"
    #[arg(long, value_name = "DATACENTER")]
    pub(super) datacenter: Option<String>,
    /// In this WIP, or in those that match: "shop.gslb.example.com", "*.gslb.example.com"
    #[arg(long, value_name = "NAME")]
    pub(super) wip: Option<String>,
    /// Members of this name, or of those that match
    #[arg(long, value_name = "MEMBER")]
    pub(super) member: Option<String>,
}

/// How a change is made.
#[derive(Args, Clone, Debug)]
pub(super) struct ChangeArguments {
    /// Pass over the safety rules, for this reason
    #[arg(long, value_name = "WHY")]
    pub(super) break_glass: Option<String>,
    /// Show what it would do, and change nothing
    #[arg(long)]
    pub(super) dry_run: bool,
    /// With several servers: leave out those that cannot be reached, if at least one can
    #[arg(long)]
    pub(super) even_if_unreachable: bool,
    /// Who says so [default: you, at this host]
    #[arg(long, value_name = "WHO")]
    pub(super) actor: Option<String>,
    #[command(flatten)]
    pub(super) servers: ServersArguments,
}

#[derive(Args, Clone, Debug)]
pub(super) struct SayArguments {
    #[command(flatten)]
    pub(super) target: TargetArguments,
    /// Why: others will read it
    #[arg(long, value_name = "TEXT")]
    pub(super) reason: String,
    /// Not before then: "22:00", "2h", "2026-11-23T06:00"; answers get short TTLs ahead of it
    #[arg(long, value_name = "TIME")]
    pub(super) at: Option<String>,
    /// No longer than until then
    #[arg(long, value_name = "TIME")]
    pub(super) until: Option<String>,
    #[command(flatten)]
    pub(super) change: ChangeArguments,
}

#[derive(Args, Clone, Debug)]
pub(super) struct DrainArguments {
    #[command(flatten)]
    pub(super) say: SayArguments,
    /// Return when the last answer that names them has expired
    #[arg(long)]
    pub(super) wait: bool,
}

#[derive(Args, Clone, Debug)]
pub(super) struct ClearArguments {
    #[command(flatten)]
    pub(super) target: TargetArguments,
    /// Why
    #[arg(long, value_name = "TEXT")]
    pub(super) reason: Option<String>,
    #[command(flatten)]
    pub(super) change: ChangeArguments,
}

//------------ Others ---------------------------------------------------------

#[derive(Args, Debug)]
pub(super) struct DemoArguments {
    /// Port for DNS on 127.0.0.1
    #[arg(long, default_value_t = 5300)]
    pub(super) port: u16,
    /// Port of the admin listener on 127.0.0.1
    #[arg(long, default_value_t = 8053)]
    pub(super) admin_port: u16,
    /// Play a failure and a return by itself, then end
    #[arg(long)]
    pub(super) tour: bool,
}

impl DemoArguments {
    pub(super) fn options(&self) -> demo::Options {
        demo::Options { port: self.port, admin_port: self.admin_port, tour: self.tour }
    }
}

#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Every key with its default and the reason
    Default,
    /// JSON Schema, for editors
    Schema,
}

#[derive(Debug, Subcommand)]
pub(super) enum LimiterCommand {
    /// The losses that it holds are true: let them take their course
    Release(OperateArguments),
}

#[derive(Debug, Subcommand)]
pub(super) enum WebhookCommand {
    /// What became of each webhook's deliveries
    Status(OperateArguments),
    /// Send an event that is a test, and say what the receiver answers
    Test {
        /// Its name in the config
        name: String,
        #[command(flatten)]
        operate: OperateArguments,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum GeoCommand {
    /// Sources, sizes, dates and attributions of the databases in use
    Info {
        /// The config that names them; none: the embedded table
        #[arg(long, short)]
        config: Option<PathBuf>,
    },
}
