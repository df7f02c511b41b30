//! What a server costs: processor time by the scheduler's own accounting, and memory, of
//! a process and of all it has started.

use std::collections::{HashMap, HashSet};
use std::{fs, io};

/// Processor time of a process and all it has started, at one moment.
pub(crate) struct Account {
    processes: Vec<u32>,
    /// Nanoseconds on a processor by thread.
    threads: HashMap<u32, u64>,
}

/// Memory of processes, in KiB.
pub(crate) struct Memory {
    pub(crate) processes: usize,
    /// Resident, each page that several share counted in parts (PSS).
    pub(crate) shared_out_kib: Option<u64>,
    /// Resident, such pages counted for each.
    pub(crate) resident_kib: u64,
    /// The sum of what each held at its peak.
    pub(crate) peak_kib: u64,
}

impl Account {
    /// Of `process` and all it has started: its descendants, and those in the session
    /// that it leads, whose parents may have gone.
    ///
    /// # Errors
    /// When there is no such process, or the kernel keeps no such accounts.
    pub(crate) fn of(process: u32) -> io::Result<Account> {
        let processes = family(process)?;
        let mut threads = HashMap::new();
        for member in &processes {
            // Processes and threads may end meanwhile; the first must be there.
            let tasks = match fs::read_dir(format!("/proc/{member}/task")) {
                Err(error) if *member == process => return Err(error),
                tasks => tasks,
            };
            for thread in tasks.into_iter().flatten().flatten() {
                let Ok(text) = fs::read_to_string(thread.path().join("schedstat")) else {
                    continue;
                };
                let number = thread.file_name().to_str().and_then(|name| name.parse().ok());
                let ns = text.split_whitespace().next().and_then(|word| word.parse().ok());
                let (number, ns) = number.zip(ns).ok_or(io::ErrorKind::InvalidData)?;
                threads.insert(number, ns);
            }
        }
        Ok(Account { processes, threads })
    }

    /// Time of the threads that are alive, since an earlier moment.
    pub(crate) fn since(&self, earlier: &Account) -> u64 {
        let before = |thread| earlier.threads.get(thread).copied().unwrap_or(0);
        self.threads.iter().map(|(thread, &ns)| ns.saturating_sub(before(thread))).sum()
    }

    /// Memory of the same processes, now.
    pub(crate) fn memory(&self) -> Memory {
        let sum = |file: &str, field: &str| {
            let each = self.processes.iter().map(|process| kib(*process, file, field));
            each.flatten().reduce(|sum, kib| sum + kib)
        };
        Memory {
            processes: self.processes.len(),
            shared_out_kib: sum("smaps_rollup", "Pss:"),
            resident_kib: sum("status", "VmRSS:").unwrap_or(0),
            peak_kib: sum("status", "VmHWM:").unwrap_or(0),
        }
    }
}

/// `process`, first, and all that it has started.
fn family(process: u32) -> io::Result<Vec<u32>> {
    let mut others = Vec::new();
    for entry in fs::read_dir("/proc")?.flatten() {
        let number = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok());
        let Some(number) = number else { continue };
        let Ok(text) = fs::read_to_string(entry.path().join("stat")) else { continue };
        // The name, in parentheses, may hold anything; behind it: state, parent, group,
        // session.
        let words: Vec<&str> = text.rsplit(") ").next().unwrap_or("").split(' ').collect();
        let field = |at: usize| words.get(at).and_then(|word| word.parse::<u32>().ok());
        if let (Some(parent), Some(session)) = (field(1), field(3)) {
            others.push((number, parent, session));
        }
    }
    let mut found = vec![process];
    let mut known = HashSet::from([process]);
    let mut at = 0;
    while let Some(&member) = found.get(at) {
        for &(number, parent, session) in &others {
            if (parent == member || session == process) && known.insert(number) {
                found.push(number);
            }
        }
        at += 1;
    }
    Ok(found)
}

fn kib(process: u32, file: &str, field: &str) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{process}/{file}")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(field))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};
    use std::time::Instant;

    use super::*;

    #[test]
    fn a_process_that_works_is_charged_for_it() {
        let before = Account::of(std::process::id()).unwrap();
        let begun = Instant::now();
        let mut sum = 0u64;
        while begun.elapsed().as_millis() < 50 {
            sum = std::hint::black_box(sum.wrapping_add(1));
        }
        let after = Account::of(std::process::id()).unwrap();
        assert!(after.since(&before) > 0);
        assert!(Account::of(u32::MAX).is_err());
        let memory = after.memory();
        assert!(0 < memory.resident_kib && memory.resident_kib <= memory.peak_kib);
    }

    #[test]
    fn what_a_process_starts_counts_with_it() {
        let script = "sh -c 'read line' & read line";
        let mut shell =
            Command::new("sh").args(["-c", script]).stdin(Stdio::piped()).spawn().unwrap();
        let begun = Instant::now();
        let mut processes = 0;
        while processes < 2 && begun.elapsed().as_secs() < 20 {
            processes = Account::of(shell.id()).unwrap().memory().processes;
        }
        shell.kill().unwrap();
        shell.wait().unwrap();
        assert_eq!(processes, 2);
    }
}
