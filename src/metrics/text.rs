//! The Prometheus text format, version 0.0.4: headers, samples, escapes.
//!
//! Lines are appended to one `String`; nothing in between is built, so that
//! thousands of series per WIP stream straight to the page.

use std::fmt::{self, Write};

use super::families::{Kind, MetricFamily};
use super::histogram::HistogramTotals;

/// `Content-Type` of the page.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

//------------ Value ----------------------------------------------------------

/// A sample's value.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Value {
    /// A count, a state, a unix time, bytes.
    Whole(u64),
    /// A time span or unix time, shown in seconds without loss.
    Nanoseconds(u64),
    /// Likewise.
    Microseconds(u64),
    /// Likewise.
    Milliseconds(u64),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Value::Whole(value) => write!(f, "{value}"),
            Value::Nanoseconds(value) => write_seconds(f, value, 9),
            Value::Microseconds(value) => write_seconds(f, value, 6),
            Value::Milliseconds(value) => write_seconds(f, value, 3),
        }
    }
}

/// Writes `value` with its last `digits` behind the point, final zeros left out.
fn write_seconds(f: &mut fmt::Formatter<'_>, value: u64, mut digits: usize) -> fmt::Result {
    let (mut fraction, whole) =
        (value % 10u64.pow(digits as u32), value / 10u64.pow(digits as u32));
    if fraction == 0 {
        return write!(f, "{whole}");
    }
    while fraction.is_multiple_of(10) {
        fraction /= 10;
        digits -= 1;
    }
    write!(f, "{whole}.{fraction:0digits$}")
}

//------------ Page -----------------------------------------------------------

/// Writes families to a page.
#[derive(Debug)]
pub struct Page<'a> {
    out: &'a mut String,
}

impl<'a> Page<'a> {
    /// Appends to `out`.
    pub fn new(out: &'a mut String) -> Page<'a> {
        Page { out }
    }

    /// Begins `family`: its HELP and TYPE. All its samples must follow before
    /// the next family begins.
    pub fn begin<'p>(&'p mut self, family: &'static MetricFamily) -> FamilyWriter<'p> {
        self.line(format_args!("# HELP {} {}\n", family.name, family.help));
        self.line(format_args!("# TYPE {} {}\n", family.name, family.kind.word()));
        FamilyWriter { out: self.out, family }
    }

    /// A family with one sample and no labels.
    pub fn single(&mut self, family: &'static MetricFamily, value: Value) {
        self.begin(family).sample(&[], value);
    }

    fn line(&mut self, line: fmt::Arguments<'_>) {
        self.out.write_fmt(line).expect("writing to a String cannot fail");
    }
}

/// Writes the samples of one family.
#[derive(Debug)]
pub struct FamilyWriter<'a> {
    out: &'a mut String,
    family: &'static MetricFamily,
}

impl FamilyWriter<'_> {
    /// One sample; `labels` are the values of the family's labels, in order.
    pub fn sample(&mut self, labels: &[&str], value: Value) {
        debug_assert_ne!(self.family.kind, Kind::Histogram, "histograms have their own samples");
        self.write("", labels, None, value);
    }

    /// The samples of one histogram: cumulative buckets, sum and count.
    pub fn histogram(&mut self, labels: &[&str], totals: &HistogramTotals) {
        debug_assert_eq!(self.family.kind, Kind::Histogram);
        let mut count = 0;
        let bounds = totals.bounds.iter().map(|&bound| Some(totals.unit.value(bound)));
        for (bound, bucket) in bounds.chain([None]).zip(&totals.counts) {
            count += bucket;
            self.write("_bucket", labels, Some(bound), Value::Whole(count));
        }
        if totals.counts.is_empty() {
            self.write("_bucket", labels, Some(None), Value::Whole(0));
        }
        self.write("_sum", labels, None, totals.unit.value(totals.sum));
        self.write("_count", labels, None, Value::Whole(count));
    }

    /// `le` is there for buckets; in it, none means "+Inf".
    fn write(&mut self, suffix: &str, labels: &[&str], le: Option<Option<Value>>, value: Value) {
        debug_assert_eq!(labels.len(), self.family.labels.len(), "{}", self.family.name);
        let out = &mut *self.out;
        out.push_str(self.family.name);
        out.push_str(suffix);
        let mut separator = '{';
        for (name, text) in self.family.labels.iter().zip(labels) {
            out.push(separator);
            separator = ',';
            out.push_str(name);
            out.push_str("=\"");
            push_escaped(out, text);
            out.push('"');
        }
        let written = match le {
            None => Ok(()),
            Some(None) => write!(out, "{separator}le=\"+Inf\""),
            Some(Some(bound)) => write!(out, "{separator}le=\"{bound}\""),
        };
        if separator == ',' || le.is_some() {
            out.push('}');
        }
        written.and_then(|()| writeln!(out, " {value}")).expect("writing to a String cannot fail");
    }
}

/// Escapes a label's value: backslash, double quote and line feed.
fn push_escaped(out: &mut String, text: &str) {
    for character in text.chars() {
        match character {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            other => out.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::families;
    use super::*;

    #[test]
    fn seconds_are_shown_without_loss() {
        for (value, text) in [
            (Value::Nanoseconds(0), "0"),
            (Value::Nanoseconds(1), "0.000000001"),
            (Value::Nanoseconds(1_500), "0.0000015"),
            (Value::Nanoseconds(1_000_000_000), "1"),
            (Value::Nanoseconds(12_300_000_000), "12.3"),
            (Value::Nanoseconds(u64::MAX), "18446744073.709551615"),
            (Value::Microseconds(2_500), "0.0025"),
            (Value::Microseconds(60_000_001), "60.000001"),
            (Value::Milliseconds(10), "0.01"),
            (Value::Milliseconds(u64::MAX), "18446744073709551.615"),
        ] {
            assert_eq!(value.to_string(), text);
        }
    }

    #[test]
    fn an_empty_histogram_is_still_whole() {
        let mut out = String::new();
        let totals = HistogramTotals::default();
        Page::new(&mut out).begin(&families::PROBE_DURATION).histogram(&["a"], &totals);
        let samples: Vec<_> = out.lines().skip(2).collect();
        assert_eq!(
            samples,
            [
                "windrose_probe_duration_seconds_bucket{check=\"a\",le=\"+Inf\"} 0",
                "windrose_probe_duration_seconds_sum{check=\"a\"} 0",
                "windrose_probe_duration_seconds_count{check=\"a\"} 0",
            ]
        );
    }

    proptest! {
        #[test]
        fn any_label_stays_on_its_line_and_reads_back(label in any::<String>()) {
            let mut out = String::new();
            Page::new(&mut out).begin(&families::WIP_FAIL_OPEN).sample(&[&label], Value::Whole(7));
            let line = out.split('\n').nth(2).unwrap();
            let start = "windrose_wip_fail_open_total{wip=\"";
            let body = line.strip_prefix(start).unwrap().strip_suffix("\"} 7").unwrap();
            let mut read = String::new();
            let mut characters = body.chars();
            while let Some(character) = characters.next() {
                prop_assert_ne!(character, '"');
                match (character, character == '\\') {
                    (_, true) => match characters.next() {
                        Some('n') => read.push('\n'),
                        Some(escaped @ ('\\' | '"')) => read.push(escaped),
                        other => prop_assert!(false, "bad escape {:?}", other),
                    },
                    (plain, false) => read.push(plain),
                }
            }
            prop_assert_eq!(read, label);
            prop_assert_eq!(out.matches('\n').count(), 3);
        }
    }
}
