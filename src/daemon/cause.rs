//! Why a config is loaded anew.

/// Who asked for a reload.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Cause {
    /// A file changed.
    FileChange,
    /// SIGHUP.
    Signal,
    /// The API.
    Api,
    /// A zone was transferred from its primary.
    Transfer,
}

impl Cause {
    /// As it is logged.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Cause::FileChange => "file change",
            Cause::Signal => "SIGHUP",
            Cause::Api => "API",
            Cause::Transfer => "zone transfer",
        }
    }
}
