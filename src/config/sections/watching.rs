//! `[query_log]`, `[webhook.…]`.

use super::health_check::headers;
use crate::config::keys::{query_log as q, webhook as w};
use crate::config::mistakes;
use crate::config::model::{EventClass, QueryLog, QueryLogTo, Webhook};
use crate::config::raw::Raw;
use crate::config::reader::{Context, Item, Table};
use crate::config::values::{self, Bad};
use crate::problem::Problem;

/// Most webhooks: each has a task and a queue of its own.
const WEBHOOKS_MAX: usize = 64;

pub(super) fn query_log(table: &Table<'_>, cx: &mut Context<'_>) -> QueryLog {
    let socket = table.value(&q::SOCKET, cx, Item::path);
    let file = table.value(&q::FILE, cx, Item::path);
    if socket.is_some() && file.is_some() {
        cx.problems.push(
            Problem::error("contradiction", "[query_log] has both `socket` and `file`")
                .at_with(table.spot_of(&q::SOCKET, cx), "one of them")
                .at_with(table.spot_of(&q::FILE, cx), "or the other")
                .help("a reader at the socket can write the file: dnstap -u SOCKET -w FILE"),
        );
    }
    let file_size_mb: u64 = table.value_or(&q::FILE_SIZE_MB, cx, Item::number);
    let file_keep = table.value_or(&q::FILE_KEEP, cx, Item::number);
    let to = match (socket, file) {
        (Some(path), _) => Some(QueryLogTo::Socket(path)),
        (None, Some(path)) => {
            Some(QueryLogTo::File { path, size_max: file_size_mb << 20, keep: file_keep })
        }
        (None, None) => None,
    };
    let messages = table.value_or(&q::MESSAGES, cx, messages);
    QueryLog {
        to,
        sample: table.value_or(&q::SAMPLE, cx, Item::number),
        queries: messages.contains(&"query"),
        responses: messages.contains(&"response"),
    }
}

fn messages(item: &Item<'_>, cx: &mut Context<'_>) -> Option<Vec<&'static str>> {
    choices(item, "nothing would be logged", cx)
}

/// Choices, each once, at least one.
fn choices(item: &Item<'_>, empty: &str, cx: &mut Context<'_>) -> Option<Vec<&'static str>> {
    if item.elements(cx).is_empty() && item.value.get_ref().is_array() {
        return item.bad(&Bad::new("empty-list", "is empty").label(empty), cx);
    }
    let list = item.list(cx, Item::choice);
    mistakes::twice(item, &list, |word| (*word).to_owned(), cx.problems);
    Some(list.iter().map(|at| at.value).collect())
}

pub(super) fn webhook(table: &Table<'_>, name: &str, raw: &mut Raw, cx: &mut Context<'_>) {
    if let Err(bad) = values::object_name(name) {
        cx.problems.push(mistakes::bad_table_name(table, &bad));
    }
    if raw.webhooks.len() == WEBHOOKS_MAX {
        let title = format!("there are more than {WEBHOOKS_MAX} webhooks");
        cx.problems.push(Problem::error("out-of-range", title).at(table.spot));
    }
    let url = table.value_or(&w::URL, cx, |item, cx| item.parse(cx, values::webhook_url));
    if values::is_open_to_others(&url) {
        cx.problems.push(
            Problem::warning("not-encrypted", "the webhook is told over plain HTTP")
                .at_with(table.spot_of(&w::URL, cx), "anybody on the way can read it")
                .help("write https://"),
        );
    }
    let events = |item: &Item<'_>, cx: &mut Context<'_>| {
        choices(item, "it would be told of nothing", cx)
            .map(|words| words.into_iter().filter_map(EventClass::of).collect())
    };
    raw.webhooks.push(Webhook {
        name: name.to_owned(),
        url,
        events: table.value_or(&w::EVENTS, cx, events),
        secret_file: table.value(&w::SECRET_FILE, cx, Item::existing_file),
        headers: table.value_or(&w::HEADERS, cx, headers),
        ca_file: table.value(&w::CA_FILE, cx, Item::existing_file),
        timeout_ms: table.value_or(&w::TIMEOUT, cx, Item::duration_ms),
        retry_for_ms: table.value_or(&w::RETRY_FOR, cx, Item::duration_ms),
    });
}
