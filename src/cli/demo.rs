//! `windrose demo`
use super::Failed;
pub(super) fn run(_port: u16, _admin: u16) -> Result<(), Failed> {
    Err(Failed(String::new()))
}
