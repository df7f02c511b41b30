//! `[cookies]`.

use std::io::ErrorKind;

use crate::config::keys::cookies as c;
use crate::config::mistakes;
use crate::config::model::{BadCookie, Cookies};
use crate::config::reader::{Context, Item, Table};
use crate::dns::cookie::{SECRETS_MAX, Secret};
use crate::problem::{Problem, Spot};

pub(super) fn cookies(table: &Table<'_>, cx: &mut Context<'_>) -> Cookies {
    let enabled = table.value_or(&c::ENABLED, cx, Item::bool);
    let policy = table.value_or(&c::POLICY, cx, |item, cx| {
        item.choice(cx).map(|word| match word {
            "always" => BadCookie::Always,
            "limited" => BadCookie::Limited,
            _ => BadCookie::Never,
        })
    });
    let file = table.value(&c::SECRET_FILE, cx, |item, cx| Some((item.path(cx)?, item.spot)));
    let item = table.get(&c::SECRET_FILE, cx);
    let secrets = item.and_then(|item| secrets(&item, cx)).unwrap_or_default();
    Cookies { enabled, secrets, secret_file: file, policy }
}

/// The secrets of the file. What is wrong with it is told by lines: their text is secret.
fn secrets(item: &Item<'_>, cx: &mut Context<'_>) -> Option<Vec<Secret>> {
    let path = item.path(cx)?;
    let bytes = match cx.files.read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            cx.problems.push(mistakes::file_missing(item, &path));
            return None;
        }
        Err(error) => {
            let title = format!("{} cannot be read: {error}", mistakes::path(item));
            let problem = Problem::error("file-unreadable", title);
            cx.problems.push(problem.at_with(item.spot, path.display().to_string()));
            return None;
        }
    };
    let text = String::from_utf8_lossy(&bytes);
    let lines = (1..).zip(text.lines().map(str::trim));
    let mut secrets = Vec::new();
    for (number, line) in lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')) {
        match Secret::parse(line) {
            Some(secret) => secrets.push(secret),
            None => {
                let what = format!("line {number} is no secret of 32 hexadecimal digits");
                return refuse(item.spot, &format!("{}: {what}", path.display()), cx);
            }
        }
    }
    match secrets.len() {
        0 => refuse(item.spot, &format!("{} has no secret", path.display()), cx),
        1..=SECRETS_MAX => Some(secrets),
        many => {
            let title = format!("{} has {many} secrets: at most {SECRETS_MAX}", path.display());
            refuse(item.spot, &title, cx)
        }
    }
}

fn refuse(spot: Spot, title: &str, cx: &mut Context<'_>) -> Option<Vec<Secret>> {
    cx.problems.push(
        Problem::error("file-invalid", title)
            .at_with(spot, "")
            .help("one a line, the one in use first: openssl rand -hex 16"),
    );
    None
}
