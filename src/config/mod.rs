//! The config file: text in, a checked [`model::Config`] or all problems out.

pub mod model;
