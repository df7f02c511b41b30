//! `windrose webhook`: what became of deliveries, and tests.

use std::fmt::Write;

use super::client::Client;
use super::{Failed, WebhookCommand, operate, print, print_json};
use crate::admin::types::{WebhookTested, WebhooksPage};

pub(super) fn run(command: &WebhookCommand) -> Result<(), Failed> {
    match command {
        WebhookCommand::Status(arguments) => {
            let page = operate::ask(arguments, async |client: Client| client.webhooks().await)?;
            if arguments.json { print_json(&page) } else { print(&status_text(&page)) }
        }
        WebhookCommand::Test { name, operate } => {
            // It stands in a path.
            let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
            if name.is_empty() || !name.chars().all(plain) {
                return Err(Failed(format!("\"{name}\" is no name of a webhook")));
            }
            let tested =
                operate::ask(operate, async |client: Client| client.test_webhook(name).await)?;
            if operate.json {
                print_json(&tested)?;
            }
            let WebhookTested { taken, detail, took_ms, .. } = tested;
            match taken {
                true if operate.json => Ok(()),
                true => print(&format!("{name} took it: {detail}, {took_ms} ms")),
                false => Err(Failed(format!("{name} did not take it: {detail}, {took_ms} ms"))),
            }
        }
    }
}

fn status_text(page: &WebhooksPage) -> String {
    if page.webhooks.is_empty() {
        return "no webhook is configured".to_owned();
    }
    let mut text = String::new();
    for webhook in &page.webhooks {
        let _ = writeln!(
            text,
            "{} {}: {} delivered, {} failed, {} refused, {} expired; {} events wait, {} lost",
            webhook.name,
            webhook.place,
            webhook.delivered,
            webhook.failed,
            webhook.refused,
            webhook.expired,
            webhook.queued,
            webhook.dropped
        );
        if let Some(last) = &webhook.last_result {
            let _ = writeln!(text, "  last: {last}");
        }
    }
    text
}
