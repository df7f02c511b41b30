//! The floor: a responder that decides nothing, on the same batched sockets as the server.
//!
//! It walks to the question's end, as whoever echoes the question must, and gives fixed
//! records behind it, with OPT (and a client subnet, if told to) when the query has
//! an additional record. What a server costs above this is what deciding costs.
//!
//! Frozen: figures of different days are compared through it. A change here starts a new
//! series, and docs/BENCHMARKING.md says so.
#![allow(clippy::print_stderr)] // a command-line tool

use std::net::SocketAddr;
use std::process::ExitCode;

use clap::Parser;
use tokio::runtime::Builder;
use windrose::listen::{
    BindOptions, Meta, Responder, ResponderFactory, StartOptions, TcpOptions, bind,
};

const HEADER: usize = 12;
/// QR, AA.
const FLAGS: u8 = 0x84;
/// Owner at the question; A, IN, 30 s; 192.0.2.1.
const RECORD_A: &[u8] = &[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 30, 0, 4, 192, 0, 2, 1];
/// Owner at the question; AAAA, IN, 30 s; 2001:db8::1.
const RECORD_AAAA: &[u8] = &[
    0xc0, 12, 0, 28, 0, 1, 0, 0, 0, 30, 0, 16, 0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 1,
];
/// OPT with a size of 1,232.
const OPT: &[u8] = &[0, 0, 41, 0x04, 0xd0, 0, 0, 0, 0, 0, 0];
/// The same with a client subnet of 24 bits, and a scope.
const OPT_ECS: &[u8] =
    &[0, 0, 41, 0x04, 0xd0, 0, 0, 0, 0, 0, 11, 0, 8, 0, 7, 0, 1, 24, 24, 198, 51, 100];

/// Answers every question with the same records.
#[derive(Parser)]
#[command(name = "floor")]
struct Arguments {
    /// Address to listen on.
    #[arg(long)]
    listen: SocketAddr,
    /// UDP threads.
    #[arg(long, default_value_t = 1)]
    workers: usize,
    /// Datagrams per system call; default: as the server.
    #[arg(long)]
    batch: Option<usize>,
    /// Records in an answer.
    #[arg(long, default_value_t = 1)]
    records: u8,
    /// AAAA records instead of A.
    #[arg(long)]
    aaaa: bool,
    /// Answer OPT with a client subnet in it, as long as a real one.
    #[arg(long)]
    ecs: bool,
    /// Keep each thread on a processor.
    #[arg(long)]
    pin: bool,
}

#[derive(Clone)]
struct Floor {
    count: u8,
    records: Vec<u8>,
    opt: &'static [u8],
}

impl ResponderFactory for Floor {
    type Responder = Floor;

    fn udp(&self, _: usize) -> Floor {
        self.clone()
    }

    fn tcp(&self, _: usize) -> Floor {
        self.clone()
    }
}

impl Responder for Floor {
    fn respond(&mut self, request: &[u8], _: &Meta, out: &mut [u8]) -> usize {
        let Some(end) = question_end(request) else { return 0 };
        let opt = if request[11] == 0 { &[] } else { self.opt };
        let tail = end + self.records.len();
        let length = tail + opt.len();
        let Some(out) = out.get_mut(..length) else { return 0 };
        out[..end].copy_from_slice(&request[..end]);
        out[2] = FLAGS | (request[2] & 1);
        out[3] = 0;
        let additional = u8::from(!opt.is_empty());
        out[4..HEADER].copy_from_slice(&[0, 1, 0, self.count, 0, 0, 0, additional]);
        out[end..tail].copy_from_slice(&self.records);
        out[tail..].copy_from_slice(opt);
        length
    }
}

/// Behind the question's class; none: no whole question.
fn question_end(request: &[u8]) -> Option<usize> {
    let mut at = HEADER;
    loop {
        match usize::from(*request.get(at)?) {
            0 => break,
            length => at += 1 + length,
        }
    }
    let end = at + 5;
    (end <= request.len()).then_some(end)
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match serve(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("floor: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn serve(arguments: &Arguments) -> Result<(), Box<dyn std::error::Error>> {
    let bind_options = BindOptions { udp_workers: arguments.workers, ..BindOptions::default() };
    let bound = bind(&[arguments.listen], &bind_options)?;
    let mut options = StartOptions {
        pin: arguments.pin,
        tcp: TcpOptions { responders: 1, ..TcpOptions::default() },
        ..StartOptions::default()
    };
    if let Some(batch) = arguments.batch {
        options.udp_batch = batch;
    }
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let record = if arguments.aaaa { RECORD_AAAA } else { RECORD_A };
    let floor = Floor {
        count: arguments.records,
        records: record.repeat(usize::from(arguments.records)),
        opt: if arguments.ecs { OPT_ECS } else { OPT },
    };
    let _running = bound.start(&floor, &options, runtime.handle())?;
    // Until a signal ends the process.
    runtime.block_on(std::future::pending::<()>());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_question_gets_the_fixed_answer() {
        let mut floor = Floor { count: 1, records: RECORD_A.to_vec(), opt: OPT };
        let meta = Meta {
            client: "127.0.0.1:1".parse().unwrap(),
            local: None,
            transport: windrose::listen::Transport::Udp,
        };
        let mut out = [0; 512];
        let plain = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x01w\0\0\x01\0\x01";
        let length = floor.respond(plain, &meta, &mut out);
        let head = b"\x12\x34\x85\0\0\x01\0\x01\0\0\0\0\x01w\0\0\x01\0\x01";
        assert_eq!(out[..length], [&head[..], RECORD_A].concat());
        let with_opt = [&plain[..11], &[1], &plain[12..], OPT].concat();
        let length = floor.respond(&with_opt, &meta, &mut out);
        assert_eq!(out[11], 1);
        assert_eq!(out[..length][length - OPT.len()..], *OPT);
        for cut in 0..plain.len() {
            assert_eq!(floor.respond(&plain[..cut], &meta, &mut out), 0, "{cut}");
        }
    }
}
