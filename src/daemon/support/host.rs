//! What the system says: the process, its limits and threads, and files' sizes and ages.

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::time::SystemTime;

/// Most threads and files that are listed.
const LISTED_MAX: usize = 500;

/// Of this process and its host. Nothing of its environment: that may hold secrets.
pub(super) fn facts() -> String {
    let mut text = format!(
        "windrose {} ({}), process {}\n",
        env!("CARGO_PKG_VERSION"),
        std::env::consts::ARCH,
        std::process::id()
    );
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let _ = writeln!(text, "processors: {cores}");
    for file in [
        "/proc/version",
        "/proc/uptime",
        "/proc/loadavg",
        "/proc/self/status",
        "/proc/self/limits",
        "/proc/net/snmp",
        "/proc/sys/net/core/rmem_max",
        "/proc/sys/net/core/wmem_max",
    ] {
        let content = fs::read_to_string(file).unwrap_or_else(|error| format!("{error}\n"));
        let _ = write!(text, "\n== {file}\n{content}");
    }
    let descriptors = fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
    let _ = write!(text, "\n== open files: {descriptors}\n\n== threads\n");
    let threads = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    for thread in threads.take(LISTED_MAX) {
        let name = fs::read_to_string(thread.path().join("comm")).unwrap_or_default();
        // Behind the name: state, then times in ticks as the 14th and 15th.
        let stat = fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
        let after = stat.rsplit(") ").next().unwrap_or_default();
        let fields: Vec<&str> = after.split(' ').collect();
        let field = |at: usize| fields.get(at).copied().unwrap_or("?");
        let (state, user, system) = (field(0), field(11), field(12));
        let _ = writeln!(text, "{} {state} {user} {system}", name.trim());
    }
    text
}

/// What lies in the state directory.
pub(super) fn state(directory: Option<&Path>) -> String {
    let Some(directory) = directory else { return "no state_dir\n".to_owned() };
    match fs::read_dir(directory) {
        Ok(entries) => {
            let paths = entries.flatten().take(LISTED_MAX).map(|entry| entry.path());
            paths.map(|path| described(&path)).collect()
        }
        Err(error) => format!("{}: {error}\n", directory.display()),
    }
}

/// A line on one file.
pub(super) fn described(path: &Path) -> String {
    match fs::metadata(path) {
        Ok(meta) => {
            let age = meta.modified().ok().and_then(|at| SystemTime::now().duration_since(at).ok());
            let age_s =
                age.map_or("in the future".to_owned(), |age| format!("{} s old", age.as_secs()));
            format!("{}: {} bytes, {age_s}\n", path.display(), meta.len())
        }
        Err(error) => format!("{}: {error}\n", path.display()),
    }
}
