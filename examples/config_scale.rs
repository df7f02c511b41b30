//! Loads a generated config of many WIPs; prints the time taken and the most memory held.
//!
//! ```text
//! cargo run --release --example config_scale -- DIRECTORY [WIPS] [FILES] [plain|mixed]
//! ```
//! `WIPS` 0 loads what is there. `FILES` 0 puts all WIPs into the main file. `mixed` gives a tenth of the
//! WIPs keys of their own and a hundredth an alias. Linux only (`VmHWM`).

#![allow(clippy::print_stdout)] // its purpose

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

use windrose::config::{Files, load};

const HEAD: &str = r#"
[zone."example.com"]
nameservers = ["ns1.example.net"]
hostmaster = "hostmaster@example.net"

[datacenter.fra]
vip = ["203.0.113.10", "2001:db8:f::10"]
location = { country = "DE" }

[datacenter.iad]
vip = ["198.51.100.10", "2001:db8:1::10"]
location = { country = "US" }

[health_check.readiness]
type = "https"

[wip_defaults]
members = ["fra", "iad"]
health_check = "readiness"
"#;

struct Disk;

impl Files for Disk {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        std::fs::read(path)
    }

    fn glob(&self, pattern: &str) -> Result<Vec<PathBuf>, String> {
        let paths = glob::glob(pattern).map_err(|error| error.to_string())?;
        paths.collect::<Result<_, _>>().map_err(|error| error.to_string())
    }

    fn exists(&self, path: &Path) -> bool {
        path.is_file()
    }
}

fn wip(index: usize, mixed: bool, out: &mut String) -> std::fmt::Result {
    writeln!(out, "[wip.\"application-{index}.team-{}.example.com\"]", index % 977)?;
    if mixed && index.is_multiple_of(10) {
        writeln!(
            out,
            "policy = \"failover\"\nmembers = [\"iad\", \"fra\"]\nttl = \"{}s\"",
            index % 60
        )?;
    }
    if mixed && index.is_multiple_of(100) {
        writeln!(out, "aliases = [\"alias-{index}.example.com\"]")?;
    }
    Ok(())
}

fn generate(directory: &Path, wips: usize, files: usize, mixed: bool) -> io::Result<PathBuf> {
    let main = directory.join("windrose.toml");
    let _ = std::fs::remove_dir_all(directory.join("wips.d"));
    std::fs::create_dir_all(directory.join("wips.d"))?;
    let mut text = String::new();
    if files > 0 {
        text.push_str("include = [\"wips.d/*.toml\"]\n");
    }
    text.push_str(HEAD);
    let per_file = wips.checked_div(files).unwrap_or(wips).max(1);
    for start in (0..wips).step_by(per_file) {
        let mut part = String::new();
        for index in start..(start + per_file).min(wips) {
            wip(index, mixed, &mut part).map_err(io::Error::other)?;
        }
        match files {
            0 => text.push_str(&part),
            _ => std::fs::write(directory.join(format!("wips.d/{start:08}.toml")), part)?,
        }
    }
    std::fs::write(&main, text)?;
    Ok(main)
}

fn most_memory_mb() -> io::Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    let kb: f64 = line.trim().trim_end_matches(" kB").parse().unwrap_or_default();
    Ok(kb / 1024.0)
}

fn main() -> io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let directory = PathBuf::from(arguments.next().unwrap_or_else(|| "config-scale".to_owned()));
    let mut number = |default: usize| match arguments.next().map(|text| text.parse()) {
        Some(Ok(number)) => number,
        _ => default,
    };
    let (wips, files) = (number(1_000_000), number(1_000));
    let mixed = arguments.next().is_some_and(|word| word == "mixed");
    // Written by a process of its own, so that its memory is not measured.
    if std::env::var_os("CONFIG_SCALE_GENERATE").is_some() {
        generate(&directory, wips, files, mixed)?;
        return Ok(());
    }
    if wips > 0 {
        generate_apart()?;
    }
    let started = Instant::now();
    let loaded = load(&directory.join("windrose.toml"), &Disk);
    let took = started.elapsed();
    print!("{}", loaded.problems.render(&loaded.sources, false));
    println!("{}", loaded.problems.summary());
    let wips = loaded.config.as_ref().map_or(0, |config| config.wips.len());
    let files = loaded.config.as_ref().map_or(0, |config| config.files.len());
    println!(
        "{wips} WIPs, {files} files: {:.2} s, {:.0} MB",
        took.as_secs_f64(),
        most_memory_mb()?
    );
    Ok(())
}

fn generate_apart() -> io::Result<()> {
    let status = std::process::Command::new(std::env::current_exe()?)
        .args(std::env::args_os().skip(1))
        .env("CONFIG_SCALE_GENERATE", "1")
        .status()?;
    if !status.success() {
        return Err(io::Error::other("the config could not be generated"));
    }
    Ok(())
}
