//! What watches the server, as the config has it: query log, webhooks.

use std::path::PathBuf;

//------------ QueryLog -------------------------------------------------------

/// `[query_log]`
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct QueryLog {
    /// Where it goes; none: nothing is logged.
    pub to: Option<QueryLogTo>,
    /// One request in so many.
    pub sample: u32,
    /// Whether requests are logged.
    pub queries: bool,
    /// Whether replies are.
    pub responses: bool,
}

impl Default for QueryLog {
    fn default() -> QueryLog {
        QueryLog { to: None, sample: 1, queries: false, responses: true }
    }
}

/// Where a query log goes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum QueryLogTo {
    /// To the reader at this unix socket.
    Socket(PathBuf),
    /// Into files.
    File {
        /// The one being written.
        path: PathBuf,
        /// Bytes at which the next one begins.
        size_max: u64,
        /// How many of those before are kept.
        keep: u16,
    },
}

//------------ Webhook --------------------------------------------------------

/// `[webhook.…]`
#[derive(Clone, Eq, PartialEq)]
pub struct Webhook {
    /// Its key in the file.
    pub name: String,
    /// http or https. It may hold secrets, wherever in it.
    pub url: String,
    /// What it is told of.
    pub events: Vec<EventClass>,
    /// File with the secret that signs; none: nothing is signed.
    pub secret_file: Option<PathBuf>,
    /// Further headers. Their values may be secrets.
    pub headers: Vec<(String, String)>,
    /// Authorities to trust; none: the host's.
    pub ca_file: Option<PathBuf>,
    /// Longest attempt, in milliseconds.
    pub timeout_ms: u32,
    /// How long a delivery is tried again, in milliseconds.
    pub retry_for_ms: u32,
}

impl Webhook {
    /// Where it goes without what may be secret: `https://hooks.example.com/…`.
    pub fn place(&self) -> String {
        let (scheme, rest) = self.url.split_once("://").unwrap_or_default();
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let host = authority.rsplit('@').next().unwrap_or_default();
        format!("{scheme}://{host}/…")
    }
}

/// Says nothing that may be secret.
impl std::fmt::Debug for Webhook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let headers: Vec<&String> = self.headers.iter().map(|(name, _)| name).collect();
        f.debug_struct("Webhook")
            .field("name", &self.name)
            .field("place", &self.place())
            .field("events", &self.events)
            .field("headers", &headers)
            .finish_non_exhaustive()
    }
}

/// A class of events, of which a webhook is told or not.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum EventClass {
    /// Members come into answers and go out of them.
    Member,
    /// Probes change their states.
    Check,
    /// WIPs have no member left, and have one again.
    FailOpen,
    /// The limiter trips and lets go.
    Limiter,
    /// Certificates are about to expire.
    Certificate,
    /// Configs come into force or are refused.
    Config,
    /// Operators say and take back.
    Override,
    /// The prober is stuck and goes on.
    Prober,
}

impl EventClass {
    /// All, with their words in the config.
    pub const ALL: [(&'static str, EventClass); 8] = [
        ("member", EventClass::Member),
        ("check", EventClass::Check),
        ("fail-open", EventClass::FailOpen),
        ("limiter", EventClass::Limiter),
        ("certificate", EventClass::Certificate),
        ("config", EventClass::Config),
        ("override", EventClass::Override),
        ("prober", EventClass::Prober),
    ];

    /// The class of that word.
    pub fn of(word: &str) -> Option<EventClass> {
        EventClass::ALL.iter().find(|(known, _)| *known == word).map(|(_, class)| *class)
    }

    /// Its word.
    pub fn as_str(self) -> &'static str {
        EventClass::ALL.iter().find(|(_, class)| *class == self).map_or("", |(word, _)| word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_secret_is_shown_of_a_webhook() {
        let webhook = |url: &str| Webhook {
            name: "oncall".to_owned(),
            url: url.to_owned(),
            events: EventClass::ALL.iter().map(|(_, class)| *class).collect(),
            secret_file: None,
            headers: vec![("Authorization".to_owned(), "hunter2".to_owned())],
            ca_file: None,
            timeout_ms: 1,
            retry_for_ms: 1,
        };
        for (url, place) in [
            ("https://hooks.example.com/hunter2", "https://hooks.example.com/…"),
            ("https://me:hunter2@hooks.example.com", "https://hooks.example.com/…"),
            ("http://[2001:db8::1]:8080?key=hunter2", "http://[2001:db8::1]:8080/…"),
        ] {
            assert_eq!(webhook(url).place(), place);
            let shown = format!("{:?}", webhook(url));
            assert!(!shown.contains("hunter2") && shown.contains("Authorization"), "{shown}");
        }
    }

    #[test]
    fn each_class_has_its_word() {
        for (word, class) in EventClass::ALL {
            assert_eq!((EventClass::of(word), class.as_str()), (Some(class), word));
        }
        assert_eq!(EventClass::of("other"), None);
    }
}
