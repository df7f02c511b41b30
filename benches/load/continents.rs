//! Prints the built-in table's continent of every network, as lines of
//! `FIRST LAST CONTINENT` in order, for the configs of other servers and for the loader:
//! all then steer by the same facts. Networks of unknown continent are left out.
#![allow(clippy::print_stderr)] // a command-line tool

use std::io::{self, BufWriter, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::process::ExitCode;

use windrose::geo::BaseTable;

/// First and last address of neighbouring networks of one continent.
struct Range {
    first: IpAddr,
    last: IpAddr,
    continent: Option<[u8; 2]>,
}

fn main() -> ExitCode {
    let table = BaseTable::embedded();
    let mut out = BufWriter::new(io::stdout().lock());
    let families = [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)];
    let written = families.into_iter().try_for_each(|first| print(&table, first, &mut out));
    match written.and_then(|()| out.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("load-continents: {problem}");
            ExitCode::FAILURE
        }
    }
}

/// All ranges of the family of `first`, its lowest address.
fn print(table: &BaseTable, first: IpAddr, out: &mut impl Write) -> io::Result<()> {
    let mut next = Some(first);
    let mut range: Option<Range> = None;
    while let Some(address) = next {
        let (class, network) = table.lookup(address);
        let continent = table.place(class).continent;
        let last = network.broadcast();
        next = behind(last);
        match &mut range {
            Some(open) if open.continent == continent => open.last = last,
            _ => {
                close(range.take(), out)?;
                range = Some(Range { first: address, last, continent });
            }
        }
    }
    close(range, out)
}

fn close(range: Option<Range>, out: &mut impl Write) -> io::Result<()> {
    let Some(Range { first, last, continent: Some([a, b]) }) = range else { return Ok(()) };
    writeln!(out, "{first} {last} {}{}", char::from(a), char::from(b))
}

/// The address behind; none behind the family's highest.
fn behind(address: IpAddr) -> Option<IpAddr> {
    match address {
        IpAddr::V4(address) => {
            u32::from(address).checked_add(1).map(|next| IpAddr::V4(next.into()))
        }
        IpAddr::V6(address) => {
            u128::from(address).checked_add(1).map(|next| IpAddr::V6(next.into()))
        }
    }
}
