//! Users of this machine, from `/etc/passwd` and `/etc/group`.
//!
//! Read as files and not asked of the C library's name services: a server that starts
//! before the network must not depend on a directory, and an image from scratch has
//! nothing else. A user of a directory can be named by numbers.
//!
//! It must not know what a user is for.

use std::fs;
use std::io;

const PASSWD: &str = "/etc/passwd";
const GROUP: &str = "/etc/group";

/// A user, and the groups it is in.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct User {
    /// Its name, or its numbers where it was named by them.
    pub name: String,
    /// Its number.
    pub uid: u32,
    /// Its own group.
    pub gid: u32,
    /// All groups, its own included.
    pub groups: Vec<u32>,
}

/// Why there is no such user.
#[derive(Debug, thiserror::Error)]
pub enum UserError {
    /// Nobody is called so.
    #[error(
        "there is no user {name:?} in /etc/passwd: make it (useradd --system {name}), or write \
         the numbers of a user and a group, such as \"65532:65532\""
    )]
    Unknown {
        /// As configured.
        name: String,
    },
    /// It would change nothing.
    #[error("{name:?} is root: name a user that has no rights of its own")]
    Root {
        /// As configured.
        name: String,
    },
    /// The files cannot be read.
    #[error("cannot look up users in {file}: {error}")]
    File {
        /// Which.
        file: &'static str,
        /// Why.
        error: io::Error,
    },
}

/// Looks up a name, or takes a number ("65532"), or two, of a user and a group.
///
/// # Errors
/// There is no such user, or it is root.
pub fn find_user(name: &str) -> Result<User, UserError> {
    let numbers = name.split_once(':').unwrap_or((name, name));
    if let (Ok(uid), Ok(gid)) = (numbers.0.parse(), numbers.1.parse()) {
        return not_root(User { name: name.to_owned(), uid, gid, groups: vec![gid] });
    }
    let read = |file| fs::read_to_string(file).map_err(|error| UserError::File { file, error });
    let user = user_in(&read(PASSWD)?, &read(GROUP)?, name);
    not_root(user.ok_or_else(|| UserError::Unknown { name: name.to_owned() })?)
}

fn not_root(user: User) -> Result<User, UserError> {
    if user.uid == 0 { Err(UserError::Root { name: user.name }) } else { Ok(user) }
}

fn user_in(passwd: &str, group: &str, name: &str) -> Option<User> {
    let mut users = passwd.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let user = users.find(|fields| fields.len() >= 4 && fields[0] == name)?;
    let (uid, gid) = (user[2].parse().ok()?, user[3].parse().ok()?);
    let mut groups = vec![gid];
    for fields in group.lines().map(|line| line.split(':').collect::<Vec<_>>()) {
        let is_in = fields.len() >= 4 && fields[3].split(',').any(|member| member == name);
        if let (true, Some(Ok(id))) = (is_in, fields.get(2).map(|text| text.parse()))
            && !groups.contains(&id)
        {
            groups.push(id);
        }
    }
    Some(User { name: name.to_owned(), uid, gid, groups })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_has_its_own_group_and_those_that_list_it() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\n# no line\n\
                      windrose:x:998:997:DNS:/var/lib/windrose:/usr/sbin/nologin\nbad:x:y:z\n";
        let group = "root:x:0:\nssl-cert:x:110:postgres,windrose\nwind:x:111:windroses\n\
                     windrose:x:997:windrose\nbroken\n";
        let user = user_in(passwd, group, "windrose").unwrap();
        assert_eq!((user.uid, user.gid, user.groups), (998, 997, vec![997, 110]));
        assert_eq!(user_in(passwd, group, "wind"), None);
        assert_eq!(user_in(passwd, group, "bad"), None);
    }

    #[test]
    fn numbers_need_no_entry_and_root_is_nobody_to_become() {
        let user = find_user("65532:65533").unwrap();
        assert_eq!((user.uid, user.gid, user.groups), (65_532, 65_533, vec![65_533]));
        assert_eq!(find_user("65532").unwrap().gid, 65_532);
        for name in ["root", "0", "0:1000"] {
            assert!(matches!(find_user(name), Err(UserError::Root { .. })), "{name}");
        }
        let error = find_user("no such user").unwrap_err().to_string();
        assert!(error.contains("no user \"no such user\""), "{error}");
    }
}
