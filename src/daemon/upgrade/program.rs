//! What is started in the place of this process: the same command, from the same path. A
//! file that was replaced there meanwhile is the new version.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The command of this process.
#[derive(Clone, Debug)]
pub struct Program {
    path: PathBuf,
    arguments: Vec<OsString>,
}

impl Program {
    /// As this process was started; to be asked before anybody replaces the file.
    pub fn of_this_process() -> Program {
        let mut arguments = env::args_os();
        let name = arguments.next();
        let own = env::current_exe().unwrap_or_default();
        let named = name.as_deref().and_then(path_of).filter(|path| is_same(path, &own));
        Program { path: named.unwrap_or(own), arguments: arguments.collect() }
    }

    /// Where it is started from.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn command(&self) -> Command {
        let mut command = Command::new(&self.path);
        command.arg0(&self.path).args(&self.arguments);
        command
    }
}

/// Where a shell finds the program `name`. Links are kept: one that is made to lead to
/// another version is followed.
fn path_of(name: &OsStr) -> Option<PathBuf> {
    let name = Path::new(name);
    if name.components().count() > 1 {
        return std::path::absolute(name).ok();
    }
    let directories = env::var_os("PATH")?;
    let found = env::split_paths(&directories).map(|directory| directory.join(name));
    found.into_iter().find(|path| path.is_file()).and_then(|path| std::path::absolute(path).ok())
}

fn is_same(one: &Path, other: &Path) -> bool {
    let identity = |path| fs::metadata(path).ok().map(|found| (found.dev(), found.ino()));
    identity(one).is_some_and(|one| identity(other) == Some(one))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_looked_for_as_a_shell_does() {
        let shell = path_of(OsStr::new("sh")).unwrap();
        assert!(shell.is_absolute() && shell.is_file(), "{}", shell.display());
        assert_eq!(
            path_of(OsStr::new("/opt/x/../windrose")).unwrap(),
            Path::new("/opt/x/../windrose")
        );
        assert_eq!(path_of(OsStr::new("no-such-program-anywhere")), None);
        let here = env::current_dir().unwrap();
        assert_eq!(path_of(OsStr::new("./windrose")).unwrap(), here.join("windrose"));
    }

    #[test]
    fn this_process_is_found_and_links_to_it_are_it() {
        let program = Program::of_this_process();
        assert!(is_same(program.path(), &env::current_exe().unwrap()));
        let directory = tempfile::tempdir().unwrap();
        let link = directory.path().join("windrose");
        std::os::unix::fs::symlink(program.path(), &link).unwrap();
        assert!(is_same(&link, program.path()));
        assert!(!is_same(&link, Path::new("/bin/sh")) && !is_same(Path::new("/no/such"), &link));
    }
}
