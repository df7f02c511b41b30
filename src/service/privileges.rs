//! Gives up what root has, but for what a name server needs.
//!
//! ```text
//!   root, one thread ─► bounding set down to what is kept ─► groups, group, user
//!                    ─► capabilities down to what is kept ─► no new privileges
//! ```
//!
//! Linux keeps credentials by thread, and threads get those of the one that makes
//! them: so this is done while there is one, and refused when there are more. What is
//! kept binds ports below 1024 again for a later server in this one's place, and sends
//! echoes where checks do.
//!
//! What is kept is in no ambient set: a command that a check runs gets nothing of it.
//! Who starts the next server lends it for that moment.
//!
//! It must not know sockets or the config.

use std::fs;
use std::io;

use rustix::io::Errno;
use rustix::process::{Gid, Uid, geteuid};
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, clear_ambient_capability_set,
    configure_capability_in_ambient_set, remove_capability_from_bounding_set, set_capabilities,
    set_keep_capabilities, set_no_new_privs, set_thread_groups, set_thread_res_gid,
    set_thread_res_uid, set_thread_uid,
};

use super::User;

/// Bits of a set of capabilities.
const CAPABILITY_BITS: u32 = 64;

/// Why privileges could not be given up. Nothing may run then.
#[derive(Debug, thiserror::Error)]
pub enum PrivilegeError {
    /// Only root can become another.
    #[error(
        "cannot become user {user:?}: this process is user {uid}, not root; start it as root, or \
         leave `user` out of [server]"
    )]
    NotRoot {
        /// As configured.
        user: String,
        /// Who it is.
        uid: u32,
    },
    /// Other threads would keep their rights.
    #[error("cannot give up privileges: {threads} threads run already; this is a bug")]
    Threads {
        /// How many.
        threads: usize,
    },
    /// The system refuses a step.
    #[error("cannot become user {user:?}: {step}: {error}")]
    Step {
        /// As configured.
        user: String,
        /// Which.
        step: &'static str,
        /// What it said.
        error: io::Error,
    },
}

/// Whether this process is root and is to become `user`; false: it is that user.
///
/// # Errors
/// It is neither.
pub fn is_still_to_become(user: &User) -> Result<bool, PrivilegeError> {
    match geteuid().as_raw() {
        0 => Ok(true),
        uid if uid == user.uid => Ok(false),
        uid => Err(PrivilegeError::NotRoot { user: user.name.clone(), uid }),
    }
}

/// Becomes `user` for good, with the rights to bind low ports and, with `raw`, to
/// send raw packets.
///
/// # Errors
/// A step failed; the process must end.
pub fn become_user(user: &User, raw: bool) -> Result<(), PrivilegeError> {
    let name = &user.name;
    if !is_still_to_become(user)? {
        return Ok(());
    }
    let failed = |step: &'static str| {
        move |error: io::Error| PrivilegeError::Step { user: name.clone(), step, error }
    };
    let system = |step: &'static str| move |error: Errno| failed(step)(error.into());
    let threads = fs::read_dir("/proc/self/task").map_err(failed("/proc/self/task"))?.count();
    if threads != 1 {
        return Err(PrivilegeError::Threads { threads });
    }
    let has = capabilities(None).map_err(system("capget"))?;
    let mut kept = has.permitted & CapabilitySet::NET_BIND_SERVICE;
    if raw {
        kept |= has.permitted & CapabilitySet::NET_RAW;
    }
    drop_bounding_set(kept).map_err(system("bounding set (CAP_SETPCAP)"))?;
    let (user_id, group_id) = (Uid::from_raw(user.uid), Gid::from_raw(user.gid));
    let groups: Vec<Gid> = user.groups.iter().map(|&id| Gid::from_raw(id)).collect();
    set_keep_capabilities(true).map_err(system("keep capabilities"))?;
    set_thread_groups(&groups).map_err(system("setgroups (CAP_SETGID)"))?;
    set_thread_res_gid(group_id, group_id, group_id).map_err(system("setgid (CAP_SETGID)"))?;
    set_thread_res_uid(user_id, user_id, user_id).map_err(system("setuid (CAP_SETUID)"))?;
    let sets = CapabilitySets { effective: kept, permitted: kept, inheritable: kept };
    set_capabilities(None, sets).map_err(system("capset"))?;
    set_keep_capabilities(false).map_err(system("keep capabilities"))?;
    clear_ambient_capability_set().map_err(system("ambient set"))?;
    set_no_new_privs(true).map_err(system("no new privileges"))?;
    // What must be true is looked at, not believed.
    match set_thread_uid(Uid::ROOT) {
        Err(_) if geteuid().as_raw() == user.uid => Ok(()),
        _ => Err(failed("it can still be root")(io::ErrorKind::PermissionDenied.into())),
    }
}

/// Leaves only `kept` to be had ever again.
fn drop_bounding_set(kept: CapabilitySet) -> Result<(), Errno> {
    for bit in 0..CAPABILITY_BITS {
        let capability = CapabilitySet::from_bits_retain(1 << bit);
        if kept.contains(capability) {
            continue;
        }
        match remove_capability_from_bounding_set(capability) {
            Ok(()) => {}
            // One past the last that this kernel knows.
            Err(Errno::INVAL) => break,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

//------------ Lent -----------------------------------------------------------

/// Takes capabilities that a service manager gave out of the ambient set, where every
/// program that this process runs would get them. They stay this process's own.
pub fn keep_to_ourselves() {
    // Without ambient sets (before Linux 4.3) there is nothing to take out.
    let _ = clear_ambient_capability_set();
}

/// While it lives, programs that this thread starts get the rights that this process
/// has kept.
#[derive(Debug)]
pub struct Lent(());

/// Lends them: to the server that is to take this one's place.
pub fn lend() -> Lent {
    let kept = capabilities(None).map(|sets| sets.permitted & sets.inheritable);
    for bit in 0..CAPABILITY_BITS {
        let capability = CapabilitySet::from_bits_retain(1 << bit);
        if kept.is_ok_and(|kept| kept.contains(capability)) {
            // Where it fails, the other server binds no low port: it says so itself.
            let _ = configure_capability_in_ambient_set(capability, true);
        }
    }
    Lent(())
}

impl Drop for Lent {
    fn drop(&mut self) {
        keep_to_ourselves();
    }
}
