//! Takes secrets out of what leaves the host: first where they stand in the config, then
//! wherever else the same text turns up.

use std::path::{Path, PathBuf};

use toml::{Table, Value};

use crate::config::model::{Config, HealthCheck};
use crate::health::check::ProbeKind;

/// What stands in a secret's place.
pub(super) const REDACTED: &str = "[redacted]";
/// Shorter texts are not looked for elsewhere: "up" would be everywhere.
const SECRET_LENGTH_MIN: usize = 6;
/// A secret's file is a line; what is longer is something else.
const SECRET_FILE_MAX: u64 = 64 << 10;

/// All that must not leave, as it was found.
#[derive(Debug, Default)]
pub(super) struct Secrets {
    texts: Vec<String>,
}

impl Secrets {
    /// `text` without any of them.
    pub(super) fn scrub(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in &self.texts {
            if text.contains(secret.as_str()) {
                text = text.replace(secret.as_str(), REDACTED);
            }
        }
        text
    }

    /// Looks for it, as it is and as it stands in JSON and in the log's text.
    fn add(&mut self, text: &str) {
        let mut note = |text: &str| {
            if text.len() >= SECRET_LENGTH_MIN && !self.texts.iter().any(|known| known == text) {
                self.texts.push(text.to_owned());
            }
        };
        note(text);
        let quoted = serde_json::to_string(text).unwrap_or_default();
        note(quoted.trim_matches('"'));
        // "Bearer x": what is behind the scheme is the secret.
        text.split_whitespace().skip(1).for_each(note);
        // The longest first: a part of one may be another.
        self.texts.sort_by_key(|text| std::cmp::Reverse(text.len()));
    }

    fn add_file(&mut self, path: &Path) {
        if std::fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.len() <= SECRET_FILE_MAX)
            && let Ok(text) = std::fs::read_to_string(path)
        {
            text.lines().map(str::trim).filter(|line| !line.starts_with("-----")).for_each(
                |line| {
                    self.add(line);
                },
            );
        }
    }

    /// All of a config that is in force: its files may say something else by now.
    pub(super) fn in_force(&mut self, config: &Config) {
        for check in &config.health_checks {
            match &check.probe {
                ProbeKind::Http(http) => {
                    self.query(&mut http.path.clone());
                    http.headers.iter().for_each(|(_, value)| self.add(value));
                }
                ProbeKind::Tcp(tcp) => tcp.send.iter().for_each(|text| self.add(text)),
                ProbeKind::Exec(exec) => {
                    exec.command.iter().skip(1).for_each(|word| self.add(word));
                }
                _ => {}
            }
        }
        for hook in &config.webhooks {
            self.address(&mut hook.url.clone());
            hook.headers.iter().for_each(|(_, value)| self.add(value));
            hook.secret_file.iter().for_each(|path| self.add_file(path));
        }
        self.key_files(config);
    }

    fn key_files(&mut self, config: &Config) {
        let key = config.admin.tls.iter().map(|tls| &tls.key);
        let client = |check: &HealthCheck| match &check.probe {
            ProbeKind::Http(http) => http.tls.as_ref()?.client.clone(),
            ProbeKind::Tcp(tcp) => tcp.tls.as_ref()?.client.clone(),
            ProbeKind::Grpc(grpc) => grpc.tls.as_ref()?.client.clone(),
            _ => None,
        };
        let clients = config.health_checks.iter().filter_map(client);
        clients.for_each(|client| self.add_file(&client.key));
        let cookies = config.cookies.secret_file.iter().map(|(path, _)| path);
        config
            .admin
            .token_file
            .iter()
            .chain(key)
            .chain(cookies)
            .for_each(|path| self.add_file(path));
    }

    /// A config file's text without them and without comments. None: it is not TOML, and
    /// where its secrets stand is not known.
    pub(super) fn config(&mut self, text: &str, directory: &Path) -> Option<String> {
        let mut table: Table = toml::from_str(text).ok()?;
        self.table(&mut table, directory);
        toml::to_string(&table).ok()
    }

    fn table(&mut self, table: &mut Table, directory: &Path) {
        for (key, value) in table.iter_mut() {
            match (key.as_str(), value) {
                ("headers" | "send", value) => self.all(value),
                ("url", Value::String(text)) => self.address(text),
                ("path", Value::String(text)) => self.query(text),
                ("command", Value::Array(words)) => words.iter_mut().skip(1).for_each(|word| {
                    self.all(word);
                }),
                // Their paths are told, and what is in them is looked for.
                ("token_file" | "secret_file" | "tls_key" | "client_key", Value::String(path)) => {
                    self.add_file(&directory.join(PathBuf::from(&*path)));
                }
                (_, Value::Table(inner)) => self.table(inner, directory),
                (_, Value::Array(list)) => {
                    for inner in list.iter_mut().filter_map(Value::as_table_mut) {
                        self.table(inner, directory);
                    }
                }
                _ => {}
            }
        }
    }

    /// All texts below.
    fn all(&mut self, value: &mut Value) {
        match value {
            Value::String(text) => {
                self.add(text);
                REDACTED.clone_into(text);
            }
            Value::Table(table) => table.iter_mut().for_each(|(_, inner)| self.all(inner)),
            Value::Array(list) => list.iter_mut().for_each(|inner| self.all(inner)),
            _ => {}
        }
    }

    /// Only the host stays.
    fn address(&mut self, text: &mut String) {
        let (scheme, rest) = text.split_once("://").unwrap_or_default();
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
        let shown = format!("{scheme}://{host}/{REDACTED}");
        for part in user.split(':').chain(path.split(['/', '?', '&', '='])) {
            self.add(part);
        }
        self.add(path);
        *text = shown;
    }

    /// What is behind a question mark goes.
    fn query(&mut self, text: &mut String) {
        if let Some((path, query)) = text.split_once('?') {
            self.add(query);
            query.split(['&', '=']).for_each(|part| self.add(part));
            *text = format!("{path}?{REDACTED}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"
# the old one was hunter2-comment
[admin]
token_file = "token"
[health_check.web]
type = "http"
path = "/ready?key=hunter2-query"
headers = { Authorization = "Bearer hunter2-header", Accept = "text/hunter2" }
[health_check.login]
type = "tcp"
send = "AUTH \"hunter2-send\"\r\n"
[health_check.tool]
command = ["/usr/bin/check", "--password", "hunter2-word"]
[webhook.oncall]
url = "https://me:hunter2-user@hooks.example.com/hunter2-path?key=hunter2-key"
secret_file = "secret"
"#;

    #[test]
    fn no_secret_of_a_config_is_in_what_is_shown_or_in_what_is_scrubbed() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("token"), "hunter2-token\n").unwrap();
        std::fs::write(directory.path().join("secret"), "hunter2-secret\n").unwrap();
        let mut secrets = Secrets::default();
        let shown = secrets.config(TEXT, directory.path()).unwrap();
        assert!(!shown.contains("hunter2"), "{shown}");
        for kept in
            ["/ready?", "hooks.example.com", "/usr/bin/check", "Authorization", "secret_file"]
        {
            assert!(shown.contains(kept), "{kept}: {shown}");
        }
        let line = r#"{"sent":"AUTH \"hunter2-send\"\r\n","header":"hunter2-header","t":"hunter2-token",
            "s":"hunter2-secret","u":"https://me:hunter2-user@h/","p":"hunter2-path","k":"hunter2-key",
            "q":"hunter2-query","w":"hunter2-word","up":1}"#;
        let scrubbed = secrets.scrub(line);
        assert!(!scrubbed.contains("hunter2"), "{scrubbed}");
        assert!(scrubbed.contains("\"up\":1"));
    }

    #[test]
    fn a_secret_in_force_is_found_when_its_file_is_broken() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("windrose.toml");
        std::fs::write(directory.path().join("token"), "hunter2-token\n").unwrap();
        std::fs::write(directory.path().join("secret"), "hunter2-secret\n").unwrap();
        let server = "[server]\nlisten = [\"127.0.0.1:23999\"]\n";
        let text = TEXT.replace("[\"/usr/bin/check\"", "[\"/bin/true\"");
        let text = text.replace("type = \"tcp\"", "type = \"tcp\"\nport = 25");
        let text = text.replace("command =", "type = \"exec\"\ncommand =");
        let text = text.replace("/usr/bin/check", "/bin/true");
        std::fs::write(&path, format!("{server}{text}")).unwrap();
        let loaded = crate::daemon::load::load(&path).map_err(|refused| refused.report).unwrap();
        std::fs::write(&path, "broken = {").unwrap();
        let mut secrets = Secrets::default();
        secrets.in_force(&loaded.config);
        for name in ["token", "query", "header", "send", "word", "user", "path", "key", "secret"] {
            let line = match name {
                "send" => "AUTH \"hunter2-send\"\r\n".to_owned(),
                _ => format!("hunter2-{name}"),
            };
            let scrubbed = secrets.scrub(&line);
            assert!(!scrubbed.contains("hunter2"), "{scrubbed}");
        }
    }

    #[test]
    fn a_text_that_is_not_toml_is_not_shown_at_all() {
        assert_eq!(Secrets::default().config("headers = {", Path::new("")), None);
    }
}
