//! Lookups as text cases, held against a naive oracle, and at full size.

mod cases;
mod oracle;
mod size;
