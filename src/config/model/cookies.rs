//! `[cookies]` as checked.

use std::path::PathBuf;

use crate::dns::cookie::Secret;
use crate::problem::Spot;

/// `[cookies]`
#[derive(Clone, Debug)]
pub struct Cookies {
    /// Whether cookies are spoken.
    pub enabled: bool,
    /// What makes them (the first) and recognises them; none: the process's own secret.
    pub secrets: Vec<Secret>,
    /// Where they were read, and where the config names that.
    pub secret_file: Option<(PathBuf, Spot)>,
    /// When clients without a good one are sent away.
    pub policy: BadCookie,
}

impl Default for Cookies {
    fn default() -> Cookies {
        let policy = BadCookie::default();
        Cookies { enabled: true, secrets: Vec::new(), secret_file: None, policy }
    }
}

/// When BADCOOKIE takes the place of an answer over UDP.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum BadCookie {
    /// The answer has a good cookie beside it.
    #[default]
    Never,
    /// Where the rate limit would hold the answer back.
    Limited,
    /// Whenever there is a cookie that is not ours and fresh.
    Always,
}
