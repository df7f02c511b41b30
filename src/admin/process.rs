//! What Linux says about this process, from `/proc/self`.

use crate::metrics::Process;

/// Ticks per second of the times in `/proc`: fixed by the kernel's interface on
/// every architecture Windrose is built for (`USER_HZ`).
const TICK_NS: u64 = 10_000_000;
const SECOND_NS: u64 = 1_000_000_000;

/// Reads all of it; none where there is no `/proc` or it reads otherwise than
/// expected.
pub fn read() -> Option<Process> {
    let text = |path: &str| std::fs::read_to_string(path).ok();
    let open_fds = std::fs::read_dir("/proc/self/fd").ok()?.count() as u64;
    parse(
        &text("/proc/self/stat")?,
        &text("/proc/self/status")?,
        &text("/proc/self/limits")?,
        &text("/proc/stat")?,
        // The directory being read is one of them.
        open_fds.saturating_sub(1),
    )
}

fn parse(
    stat: &str,
    status: &str,
    limits: &str,
    system_stat: &str,
    open_fds: u64,
) -> Option<Process> {
    // proc(5): field 2 is the command in parentheses and may hold anything;
    // the fields after the last ")" begin with number 3.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_ascii_whitespace().collect();
    let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
    let after = |text: &str, key: &str| -> Option<u64> {
        let line = text.lines().find_map(|line| line.strip_prefix(key))?;
        line.split_ascii_whitespace().next()?.parse().ok()
    };
    let booted_at_s = after(system_stat, "btime")?;
    Some(Process {
        cpu_ns: (field(14)?.checked_add(field(15)?)?).checked_mul(TICK_NS)?,
        resident_memory_bytes: after(status, "VmRSS:")?.checked_mul(1_024)?,
        open_fds,
        max_fds: after(limits, "Max open files"),
        started_at_ns: booted_at_s
            .checked_mul(SECOND_NS)?
            .checked_add(field(22)?.checked_mul(TICK_NS)?)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_past_an_odd_command_name() {
        let stat = "7 (a) b (c)) S 1 7 7 0 -1 4194560 100 0 0 0 150 50 0 0 20 0 3 0 4200 1 2";
        let status = "Name:\twindrose\nVmRSS:\t   26624 kB\n";
        let limits = "Limit  Soft Limit\nMax open files            1024  4096  files\n";
        let system = "cpu  1 2 3\nbtime 1700000000\n";
        assert_eq!(
            parse(stat, status, limits, system, 9).unwrap(),
            Process {
                cpu_ns: 2_000_000_000,
                resident_memory_bytes: 26_624 * 1_024,
                open_fds: 9,
                max_fds: Some(1_024),
                started_at_ns: 1_700_000_042_000_000_000,
            }
        );
        let unlimited = "Max open files            unlimited  unlimited  files\n";
        assert_eq!(parse(stat, status, unlimited, system, 9).unwrap().max_fds, None);
        assert_eq!(parse("7 (windrose", status, limits, system, 9), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_is_alive_and_has_started_before_now() {
        let process = read().unwrap();
        assert!(process.resident_memory_bytes > 100_000, "{process:?}");
        assert!(process.open_fds >= 3, "{process:?}");
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let age_s = now.as_secs() as i64 - (process.started_at_ns / SECOND_NS) as i64;
        assert!((-2..86_400).contains(&age_s), "{process:?}");
    }
}
