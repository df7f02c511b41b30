//! The OpenAPI document and the listener say the same.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::*;

async fn document(running: &Running) -> Value {
    let reply = ask(running, "GET /api/v1/openapi.json", &[]).await;
    assert!(reply.contains("content-type: application/json\r\n"), "{reply}");
    serde_json::from_str(body_of(&reply)).unwrap()
}

/// Of each path, the methods that the document has.
fn documented(document: &Value) -> BTreeMap<String, BTreeSet<String>> {
    let paths = document["paths"].as_object().unwrap();
    let methods = |item: &Value| item.as_object().unwrap().keys().cloned().collect();
    paths.iter().map(|(path, item)| (path.clone(), methods(item))).collect()
}

#[tokio::test]
async fn every_route_is_documented_and_nothing_else() {
    let running = start(Pretend::default(), false).await;
    let mut routes = BTreeMap::new();
    for path in api::paths() {
        // A method that nothing has: the reply lists those that work.
        let line = format!("TRACE {}", path.replace("{name}", "a.example"));
        let reply = ask(&running, &line, &[]).await;
        assert_eq!(status_of(&reply), 405, "{path}");
        let allowed = reply.lines().find_map(|line| line.strip_prefix("allow: ")).unwrap();
        let methods = allowed.split(',').filter(|method| *method != "HEAD");
        let methods: BTreeSet<String> = methods.map(str::to_ascii_lowercase).collect();
        routes.insert(path.to_owned(), methods);
    }
    assert_eq!(documented(&document(&running).await), routes);
}

#[tokio::test]
async fn every_operation_says_all_that_may_come_of_it() {
    let running = start(Pretend::default(), false).await;
    let document = document(&running).await;
    assert_eq!(document["openapi"], "3.1.0");
    let mut ids = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let place = format!("{method} {path}");
            assert!(ids.insert(operation["operationId"].as_str().unwrap()), "{place}: id twice");
            assert!(!operation["summary"].as_str().unwrap().is_empty(), "{place}");
            let replies = operation["responses"].as_object().unwrap();
            assert!(replies.contains_key("200"), "{place}");
            for (status, reply) in replies {
                assert!(!reply["description"].as_str().unwrap().is_empty(), "{place} {status}");
                let kinds = reply["content"].as_object().unwrap();
                let has_problem = kinds.contains_key(problem::CONTENT_TYPE);
                assert_eq!(has_problem, status != "200", "{place} {status}: {kinds:?}");
            }
            let wants_token = path.starts_with("/api/");
            assert_eq!(replies.contains_key("401"), wants_token, "{place}");
            let security = operation["security"][0].as_object().unwrap();
            assert_eq!(security.contains_key("token"), wants_token, "{place}");
            let takes_body = operation.get("requestBody").is_some();
            assert_eq!(replies.contains_key("415"), takes_body, "{place}");
        }
    }
}

#[tokio::test]
async fn every_schema_that_is_named_is_there_and_no_words_of_rustdoc_are_left() {
    let running = start(Pretend::default(), false).await;
    let document = document(&running).await;
    let schemas = document["components"]["schemas"].as_object().unwrap();
    let (mut named, mut texts) = (BTreeSet::new(), Vec::new());
    walk(&document, &mut |key, text| match key {
        "$ref" => drop(named.insert(text.to_owned())),
        "description" => texts.push(text.to_owned()),
        _ => {}
    });
    for reference in &named {
        let name = reference.strip_prefix("#/components/schemas/").unwrap();
        assert!(schemas.contains_key(name), "{name} is nowhere");
    }
    for (name, schema) in schemas {
        let used = named.contains(&format!("#/components/schemas/{name}"));
        assert!(used || name == "Event", "{name} is used nowhere");
        assert!(schema.get("description").is_some(), "{name} says nothing of itself");
    }
    assert!(texts.len() > 100, "{}", texts.len());
    let odd: Vec<&String> = texts.iter().filter(|text| text.contains("[`")).collect();
    assert!(odd.is_empty(), "{odd:?}");
}

fn walk(value: &Value, see: &mut impl FnMut(&str, &str)) {
    match value {
        Value::Object(members) => {
            for (key, value) in members {
                match value {
                    Value::String(text) => see(key, text),
                    value => walk(value, see),
                }
            }
        }
        Value::Array(values) => values.iter().for_each(|value| walk(value, see)),
        _ => {}
    }
}

/// A body that is more than a request says.
#[tokio::test]
async fn bodies_are_json_of_known_fields_or_refused() {
    let running = start(Pretend::default(), false).await;
    for (path, kind, body, status) in [
        ("reload", "application/json", "{}", 200),
        ("reload", "application/json", r#"{"force":true}"#, 400),
        ("reload", "application/x-www-form-urlencoded", "x=1", 415),
        ("limiter/release", "application/json", "[]", 400),
        ("limiter/release", "text/plain", "{}", 415),
        ("failback", "application/json", r#"{"wip":5}"#, 400),
        ("failback", "", r#"{"wip":"a"}"#, 415),
    ] {
        let request = format!(
            "POST /api/v1/{path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\
             Content-Type: {kind}\r\nContent-Length: {}\r\n\r\n{body}",
            running.address,
            body.len()
        );
        let reply = raw(running.address, &request).await;
        assert_eq!(status_of(&reply), status, "{path} {kind} {body}: {reply}");
        if status != 200 {
            problem_of(&reply);
        }
    }
}
