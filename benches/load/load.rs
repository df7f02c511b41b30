//! A closed-loop loader: so many queries outstanding over so many sockets, each reply
//! replaced by the next query; every reply is checked, and timed.
//!
//! With `--rate` it asks at a fixed rate instead, and times each reply from when its
//! query was due, so that a stall counts for all who waited in it.
//!
//! docs/BENCHMARKING.md says how to use it and what it does not show.
#![allow(clippy::print_stdout, clippy::print_stderr)] // a command-line tool

mod account;
mod by_client;
mod check;
mod loader;
mod measure;
mod queries;
mod report;

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use windrose::listen::udp_batch::pin_to;

use by_client::ByClient;
use check::Rules;
use loader::{Loader, UnderWay};
use queries::{EdnsShares, Expected, HEADER, Questions, Random, finish, type_code};
use report::Report;

/// Asks a DNS server over UDP as fast as it answers, and checks every answer.
#[derive(Parser)]
#[command(name = "load")]
struct Arguments {
    /// The server.
    #[arg(long)]
    server: SocketAddr,
    /// File of questions: lines of NAME [TYPE [RCODE [ANSWERS [client|any]]]].
    #[arg(long, conflicts_with = "pattern", required_unless_present = "pattern")]
    names: Option<PathBuf>,
    /// Name with {} for a number or {random} for random letters.
    #[arg(long)]
    pattern: Option<String>,
    /// How many names {} makes.
    #[arg(long, default_value_t = 1000)]
    count: usize,
    /// Type where a line has none: A, AAAA or a number.
    #[arg(long = "type", default_value = "A", value_parser = parse_type)]
    kind: u16,
    /// Response code where a line has none.
    #[arg(long, default_value_t = 0)]
    expect_rcode: u8,
    /// Fewest records of the type asked where a line has none.
    #[arg(long, default_value_t = 1)]
    expect_answers: u16,
    /// The server is the floor: any NOERROR with OPT where one was sent will do, and the
    /// other expectations are not looked at.
    #[arg(long)]
    floor: bool,
    /// An address that answers may hold; repeat it. None: any.
    #[arg(long)]
    expect_address: Vec<IpAddr>,
    /// File of lines FIRST LAST ADDRESS, clients in order, and `default ADDRESS`: the only
    /// right A record for each client.
    #[arg(long)]
    by_client: Option<PathBuf>,
    /// Its addresses do not hold where a line of --names does not say `client`.
    #[arg(long, requires = "by_client")]
    by_client_where_told: bool,
    /// The server knows no client subnets: it may leave them out.
    #[arg(long)]
    no_subnets: bool,
    /// Names in turn, not at random.
    #[arg(long)]
    in_order: bool,
    /// Send OPT, and expect it.
    #[arg(long)]
    edns: bool,
    /// Send the subnet of a random client with each query, and expect it echoed.
    #[arg(long)]
    ecs: bool,
    /// Share of the queries with OPT, of 1; --edns is 1.
    #[arg(long, conflicts_with_all = ["edns", "ecs"], value_parser = parse_share)]
    edns_share: Option<usize>,
    /// Share of the queries with a subnet, of 1; --ecs is 1.
    #[arg(long, conflicts_with = "ecs", value_parser = parse_share)]
    ecs_share: Option<usize>,
    /// Queries without a reply at any time, over all sockets.
    #[arg(long, default_value_t = 256)]
    outstanding: usize,
    /// Sockets, and so source ports.
    #[arg(long, default_value_t = 16)]
    sockets: usize,
    /// Seconds measured.
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// Seconds before that.
    #[arg(long, default_value_t = 0.5)]
    warmup: f64,
    /// Queries per second; without it, as many as are answered.
    #[arg(long)]
    rate: Option<f64>,
    /// With --rate: microseconds of sleep when nothing is due and nothing has come, so that
    /// others on the same processor run. None: it never sleeps.
    #[arg(long, requires = "rate")]
    nap_us: Option<u64>,
    /// Milliseconds after which a query is lost.
    #[arg(long, default_value_t = 1000)]
    timeout_ms: u64,
    /// Processor to run on.
    #[arg(long)]
    cpu: Option<usize>,
    /// Process to account for: its time on a processor while measured.
    #[arg(long)]
    server_pid: Option<u32>,
    /// Only wait until the server answers rightly, this many seconds at most.
    #[arg(long)]
    wait: Option<f64>,
    /// Seed of names and subnets.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Print one line of JSON.
    #[arg(long)]
    json: bool,
    /// KEY=TEXT to put into that line; repeat it.
    #[arg(long, value_parser = parse_label)]
    label: Vec<(String, String)>,
}

fn parse_type(word: &str) -> Result<u16, String> {
    type_code(word).ok_or_else(|| "neither A, AAAA nor a number".to_owned())
}

/// Parts of a thousand.
fn parse_share(word: &str) -> Result<usize, String> {
    let share = word.parse().ok().filter(|share| (0.0..=1.0).contains(share));
    share.map(|share: f64| (share * 1000.0).round() as usize).ok_or("not 0 to 1".to_owned())
}

fn parse_label(word: &str) -> Result<(String, String), String> {
    let (key, text) = word.split_once('=').ok_or_else(|| "not KEY=TEXT".to_owned())?;
    Ok((key.to_owned(), text.to_owned()))
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match start(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(problem) => {
            eprintln!("load: {problem}");
            ExitCode::from(2)
        }
    }
}

/// Runs as told; false: not every answer came and was right.
fn start(arguments: &Arguments) -> Result<bool, String> {
    if let Some(cpu) = arguments.cpu {
        pin_to(cpu).map_err(|error| format!("--cpu {cpu}: {error}"))?;
    }
    let mut questions = questions(arguments)?;
    if arguments.in_order {
        questions.in_order();
    }
    let shares = shares(arguments);
    let rules = rules(arguments)?;
    let random = Random::new(arguments.seed);
    if let Some(seconds) = arguments.wait {
        return wait(arguments.server, seconds, &mut questions, shares, random, &rules);
    }
    let under_way = UnderWay {
        sockets: arguments.sockets,
        outstanding: arguments.outstanding,
        timeout: Duration::from_millis(arguments.timeout_ms),
        nap: arguments.nap_us.map(Duration::from_micros),
    };
    let mut loader = Loader::new(arguments.server, &under_way, questions, shares, random, rules)
        .map_err(|error| format!("{}: {error}", arguments.server))?;
    let seconds = Duration::from_secs_f64(arguments.seconds);
    loader.run(Duration::from_secs_f64(arguments.warmup), arguments.rate, None)?;
    let report = loader.run(seconds, arguments.rate, arguments.server_pid)?;
    if arguments.json {
        println!("{}", report.json(&arguments.label));
    } else {
        print!("{}", report.text());
    }
    Ok(all_right(&report))
}

fn all_right(report: &Report) -> bool {
    report.replies > 0 && report.lost == 0 && report.wrong.iter().all(|&count| count == 0)
}

fn shares(arguments: &Arguments) -> EdnsShares {
    let all = |flag: bool| if flag { 1000 } else { 0 };
    let subnet = arguments.ecs_share.unwrap_or(all(arguments.ecs));
    let opt = arguments.edns_share.unwrap_or(all(arguments.edns));
    EdnsShares { opt: opt.max(subnet), subnet }
}

fn rules(arguments: &Arguments) -> Result<Rules, String> {
    let by_client = arguments.by_client.as_ref().map(|path| {
        let text = std::fs::read_to_string(path).map_err(|error| error.to_string());
        let table = text.and_then(|text| ByClient::parse(&text));
        table.map_err(|problem| format!("{}: {problem}", path.display()))
    });
    Ok(Rules {
        addresses: arguments.expect_address.clone(),
        by_client: by_client.transpose()?,
        no_subnets: arguments.no_subnets,
        floor: arguments.floor,
    })
}

fn questions(arguments: &Arguments) -> Result<Questions, String> {
    let expected = Expected {
        rcode: arguments.expect_rcode,
        answers: arguments.expect_answers,
        by_client: arguments.by_client.is_some() && !arguments.by_client_where_told,
    };
    let default = (arguments.kind, expected);
    if let Some(path) = &arguments.names {
        let named = |problem: &dyn std::fmt::Display| format!("{}: {problem}", path.display());
        let text = std::fs::read_to_string(path).map_err(|error| named(&error))?;
        return Questions::parse(&text, default).map_err(|problem| named(&problem));
    }
    let pattern = arguments.pattern.as_deref().unwrap_or_default();
    Questions::pattern(pattern, arguments.count, default)
        .map_err(|problem| format!("--pattern {pattern}: {problem}"))
}

/// Asks once a millisecond until an answer is right: prints how long it took.
fn wait(
    server: SocketAddr,
    seconds: f64,
    questions: &mut Questions,
    shares: EdnsShares,
    mut random: Random,
    rules: &Rules,
) -> Result<bool, String> {
    let begun = Instant::now();
    let any = if server.is_ipv6() { "[::]:0" } else { "0.0.0.0:0" };
    let socket = UdpSocket::bind(any).and_then(|socket| {
        socket.connect(server)?;
        socket.set_read_timeout(Some(Duration::from_millis(1)))?;
        Ok(socket)
    });
    let socket = socket.map_err(|error| format!("{server}: {error}"))?;
    while begun.elapsed().as_secs_f64() < seconds {
        let number = questions.pick(&mut random);
        let mut query = [0; 512];
        let question = questions.write(number, &mut random, &mut query[HEADER..]);
        let (id, edns) = (random.next() as u16, shares.pick(&mut random));
        let length = finish(id, question, edns, &mut random, &mut query);
        // Refused while nobody listens: then as if nothing came.
        let _ = socket.send(&query[..length]);
        let expected = questions.expected(number);
        let mut reply = [0; 4096];
        // Late replies may come first: a server may bind its socket long before it reads.
        while let Ok(count) = socket.recv(&mut reply) {
            let reply = &reply[..count];
            let right = || check::check(reply, &query[..length], question, expected, rules).1;
            if reply.get(..2) == Some(&query[..2]) && right().is_ok() {
                println!("{:.3}", begun.elapsed().as_secs_f64());
                return Ok(true);
            }
        }
        // Not yet: a server that is busy with becoming right is left alone meanwhile.
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(false)
}
