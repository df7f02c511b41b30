//! `windrose drain`, `force-up`, `force-down`, `clear`, `overrides`: what operators say over
//! health, on one server or all.

mod text;
mod wait;

use jiff::Zoned;
use serde_json::json;

pub(super) use self::text::Words;
use super::arguments::{
    ChangeArguments, ClearArguments, DrainArguments, SayArguments, ServersArguments,
    TargetArguments,
};
use super::fleet::{self, Account, Change, How, Outcome};
use super::{Failed, print, print_json, when};
use crate::admin::types::{ClearRequest, OverrideKind, OverrideRequest, OverrideTarget};

/// `drain` and `force-down`.
pub(super) fn take_out(kind: OverrideKind, arguments: DrainArguments) -> Result<(), Failed> {
    let DrainArguments { say, wait } = arguments;
    said(kind, say, wait)
}

/// `force-up`
pub(super) fn force_up(arguments: SayArguments) -> Result<(), Failed> {
    said(OverrideKind::ForceUp, arguments, false)
}

fn said(kind: OverrideKind, arguments: SayArguments, wait: bool) -> Result<(), Failed> {
    let now = Zoned::now();
    let SayArguments { target, reason, at, until, change } = arguments;
    let time = |name: &str, text: Option<String>| -> Result<Option<u64>, Failed> {
        let read = |text: String| when::parse(&text, &now);
        text.map(read).transpose().map_err(|error| Failed(format!("--{name} {error}")))
    };
    let request = OverrideRequest {
        kind,
        target: target_of(target),
        reason,
        actor: Some(change.actor.clone().unwrap_or_else(actor)),
        at_s: time("at", at)?,
        until_s: time("until", until)?,
        break_glass: change.break_glass.clone(),
        dry_run: false,
        expected_revision: None,
    };
    make(&Change::Say(request), &change, wait)
}

/// `clear`
pub(super) fn clear(arguments: ClearArguments) -> Result<(), Failed> {
    let ClearArguments { target, reason, change } = arguments;
    let request = ClearRequest {
        target: target_of(target),
        reason,
        actor: Some(change.actor.clone().unwrap_or_else(actor)),
        break_glass: change.break_glass.clone(),
        dry_run: false,
        expected_revision: None,
    };
    make(&Change::Clear(request), &change, false)
}

fn make(change: &Change, arguments: &ChangeArguments, is_waiting: bool) -> Result<(), Failed> {
    let clients = fleet::clients(&arguments.servers)?;
    let how =
        How { dry_run: arguments.dry_run, even_if_unreachable: arguments.even_if_unreachable };
    let is_json = arguments.servers.json;
    let words = Words { now: Zoned::now() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let account = fleet::apply(change, clients, how).await;
        if is_json && !(is_waiting && account.begun && account.done) {
            print_json(&account)?;
        }
        if !account.done {
            return Err(Failed(if is_json { String::new() } else { words.account(&account) }));
        }
        if !is_json {
            print(&words.account(&account))?;
        }
        if !is_waiting || !account.begun {
            return Ok(());
        }
        waited(&account, is_json).await
    })
}

async fn waited(account: &Account, is_json: bool) -> Result<(), Failed> {
    let result = wait::until_drained(&account.servers).await.and_then(|()| untold(account));
    if is_json {
        let mut value = serde_json::to_value(account)?;
        value["drained"] = json!(result.is_ok());
        value["wait_error"] = json!(result.as_ref().err().map(|failed| &failed.0));
        print_json(&value)?;
        return result.map_err(|_| Failed(String::new()));
    }
    result?;
    print("drained: no answer that names them is still valid")
}

/// Those that have it are drained: an error that names the servers that do not, if any.
fn untold(account: &Account) -> Result<(), Failed> {
    let parts = account.servers.iter().filter(|part| part.outcome == Outcome::Unreachable);
    let untold: Vec<&str> = parts.map(|part| part.server.as_str()).collect();
    if untold.is_empty() {
        return Ok(());
    }
    Err(Failed(format!(
        "NOT drained: {} could not be told, and may go on answering with them; where it was \
         told, no answer that names them is still valid",
        untold.join(", ")
    )))
}

/// `overrides`
pub(super) fn list(arguments: &ServersArguments) -> Result<(), Failed> {
    let clients = fleet::clients(arguments)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let words = Words { now: Zoned::now() };
    let several = clients.len() > 1;
    let (mut text, mut listed, mut failed) = (String::new(), Vec::new(), Vec::new());
    for (server, client) in clients {
        match runtime.block_on(client.overrides()) {
            Ok(page) => {
                if several {
                    text += &format!("{server}\n");
                }
                text += &words.page(&page);
                listed.push(json!({ "server": server, "overrides": page }));
            }
            Err(error) => {
                listed.push(json!({ "server": server, "error": error.to_string() }));
                failed.push(error.to_string());
            }
        }
    }
    match (arguments.json, several) {
        (false, _) => print(&text)?,
        (true, true) => print_json(&json!({ "servers": listed }))?,
        // As the API gives it.
        (true, false) => {
            if let Some(page) = listed.first().and_then(|one| one.get("overrides")) {
                print_json(page)?;
            }
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(Failed(failed.join("\n"))) }
}

fn target_of(arguments: TargetArguments) -> OverrideTarget {
    let TargetArguments { datacenter, wip, member } = arguments;
    OverrideTarget { datacenter, wip, member }
}

/// "kim@gtm1": who is at the keyboard, behind `sudo` too.
fn actor() -> String {
    let named = |name| std::env::var(name).ok().filter(|text: &String| !text.is_empty());
    let user = named("SUDO_USER").or_else(|| named("USER")).or_else(|| named("LOGNAME"));
    let system = rustix::system::uname();
    let host = system.nodename().to_string_lossy();
    let user = user.unwrap_or_else(|| format!("uid {}", rustix::process::getuid().as_raw()));
    format!("{user}@{host}")
}
