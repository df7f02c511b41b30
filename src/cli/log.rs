//! `windrose log`: shows or sets what a running server logs.

use std::time::{SystemTime, UNIX_EPOCH};

use super::client::Client;
use super::{Failed, LogArguments, operate, print, print_json};
use crate::admin::types::{LogRequest, LogStatus};

pub(super) fn run(arguments: &LogArguments) -> Result<(), Failed> {
    let status = operate::ask(&arguments.operate, async |client: Client| match &arguments.level {
        Some(level) => {
            let request = LogRequest { level: level.clone(), for_s: arguments.for_s };
            client.set_log(&request).await
        }
        None => client.log().await,
    })?;
    if arguments.operate.json {
        return print_json(&status);
    }
    let now_s = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
    print(&text(&status, now_s))
}

fn text(status: &LogStatus, now_s: u64) -> String {
    let LogStatus { level, set_by, configured, until_s } = status;
    match (set_by.as_str(), until_s) {
        ("operator", Some(until_s)) => {
            let left_s = until_s.saturating_sub(now_s);
            format!("{level}, set by an operator for {left_s} s more; then {configured}")
        }
        ("operator", None) => format!(
            "{level}, set by an operator until the server ends or: windrose log config ({configured})"
        ),
        ("environment", _) => format!("{level}, from the server's environment"),
        ("config", _) => format!("{level}, as configured"),
        _ => format!("{level}, the default"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_what_is_logged_by_whose_word_and_until_when() {
        let status = LogStatus {
            level: "debug".to_owned(),
            set_by: "operator".to_owned(),
            configured: "info".to_owned(),
            until_s: Some(700),
        };
        assert_eq!(text(&status, 100), "debug, set by an operator for 600 s more; then info");
        let status = LogStatus { until_s: None, ..status };
        assert!(text(&status, 100).ends_with("or: windrose log config (info)"));
        let status = LogStatus { set_by: "config".to_owned(), ..status };
        assert_eq!(text(&status, 100), "debug, as configured");
    }
}
