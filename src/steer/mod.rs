//! Choosing: from a WIP's members, their health and the client to an answer.

mod policy;

pub use policy::{Families, OnAllDown, Policy};
