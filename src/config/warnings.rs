//! What is allowed and probably not meant: unused things, families, places.

use super::model::Config;
use super::origins::Origins;
use crate::problem::Problems;

/// Warns of a config that has no errors of its own.
pub(super) fn check(_config: &Config, _origins: &Origins, _problems: &mut Problems) {}
