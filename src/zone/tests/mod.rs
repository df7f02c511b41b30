//! Lookups as text cases, held against a naive oracle, and at full size.

mod cases;
mod hostile;
mod oracle;
mod size;
