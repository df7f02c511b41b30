//! The binary: parse arguments, call the command line.

fn main() {}
