//! How a probe ended, and what kind of failure it was (docs/HEALTH.md).
//!
//! The kinds are a contract: they are the `result` label of metrics and the
//! `reason` of log lines and the API.

/// Most characters of [`Failure::detail`]: peers have a say in some of it.
pub const DETAIL_CHARS_MAX: usize = 200;

/// What kind of failure a probe met.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum FailureKind {
    /// Not finished within the probe's one deadline.
    Timeout,
    /// The connection was refused.
    Refused,
    /// The connection was cut.
    Reset,
    /// No way to the address: network or host unreachable.
    Unreachable,
    /// TLS: the handshake or the certificate.
    Tls,
    /// The answer was not the protocol expected.
    Protocol,
    /// A status outside `expect_status`.
    Status,
    /// The expected text did not come.
    Body,
    /// The address to probe could not be resolved: ours.
    Resolve,
    /// The prober's own trouble: no file descriptors, no route, an unreadable CA file.
    Internal,
}

impl FailureKind {
    /// Every kind, in the order of their numbers.
    pub const ALL: [FailureKind; 10] = [
        FailureKind::Timeout,
        FailureKind::Refused,
        FailureKind::Reset,
        FailureKind::Unreachable,
        FailureKind::Tls,
        FailureKind::Protocol,
        FailureKind::Status,
        FailureKind::Body,
        FailureKind::Resolve,
        FailureKind::Internal,
    ];

    /// The word for logs, labels and the API.
    pub fn as_str(self) -> &'static str {
        match self {
            FailureKind::Timeout => "timeout",
            FailureKind::Refused => "refused",
            FailureKind::Reset => "reset",
            FailureKind::Unreachable => "unreachable",
            FailureKind::Tls => "tls",
            FailureKind::Protocol => "protocol",
            FailureKind::Status => "status",
            FailureKind::Body => "body",
            FailureKind::Resolve => "resolve",
            FailureKind::Internal => "internal",
        }
    }

    /// Whether it says something about the target. Our own failures never count
    /// towards DOWN.
    pub fn judges(self) -> bool {
        !matches!(self, FailureKind::Resolve | FailureKind::Internal)
    }
}

/// One failed probe.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Failure {
    /// Its kind.
    pub kind: FailureKind,
    /// One line for people: printable, at most [`DETAIL_CHARS_MAX`] characters.
    pub detail: String,
    /// The prober's host has no route for the address family at all: the
    /// target's other family speaks for it. Only with [`FailureKind::Internal`].
    pub family_unrouted: bool,
}

impl Failure {
    /// A failure with its detail made printable and short.
    pub fn new(kind: FailureKind, detail: impl AsRef<str>) -> Failure {
        Failure { kind, detail: printable(detail.as_ref()), family_unrouted: false }
    }

    /// No route for the target's address family on this host.
    pub fn unrouted(detail: impl AsRef<str>) -> Failure {
        Failure { family_unrouted: true, ..Failure::new(FailureKind::Internal, detail) }
    }
}

impl std::fmt::Display for Failure {
    /// "timeout: no response within 2000 ms"
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.kind.as_str(), self.detail)
    }
}

/// What a probe found.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Passed, or how it failed.
    pub result: Result<(), Failure>,
    /// From its first packet to its verdict, in milliseconds.
    pub duration_ms: u32,
    /// When the certificate that the peer showed expires, in unix seconds; none: it
    /// showed none.
    pub certificate_expires_s: Option<u64>,
}

impl Outcome {
    /// The prober's host has no route for the target's address family at all.
    pub(super) fn unrouted(&self) -> bool {
        self.result.as_ref().is_err_and(|failure| failure.family_unrouted)
    }
}

/// Peers choose certificate names and status lines: they must not write log lines.
fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(DETAIL_CHARS_MAX)
        .collect::<String>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_are_one_short_printable_line() {
        let failure = Failure::new(FailureKind::Tls, format!("a\nb\u{1b}[31m{}", "x".repeat(500)));
        assert_eq!(failure.detail.chars().count(), DETAIL_CHARS_MAX);
        assert!(failure.detail.starts_with("a b [31m"));
    }

    #[test]
    fn kinds_have_distinct_words_and_ours_do_not_judge() {
        let mut words: Vec<_> = FailureKind::ALL.iter().map(|kind| kind.as_str()).collect();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), FailureKind::ALL.len());
        let ours: Vec<_> = FailureKind::ALL.iter().filter(|kind| !kind.judges()).collect();
        assert_eq!(ours, [&FailureKind::Resolve, &FailureKind::Internal]);
        for (number, kind) in FailureKind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, number);
        }
    }
}
