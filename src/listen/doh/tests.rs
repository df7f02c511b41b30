//! Requests as text, and what becomes of them.

use super::*;

fn site() -> Site {
    Site { path: "/dns-query".to_owned(), alt_svc: None }
}

/// `METHOD target | header: value | …`
fn ask(text: &str) -> Result<Asked, Refusal> {
    let mut parts = text.split(" | ");
    let (method, target) = parts.next().unwrap().split_once(' ').unwrap();
    let mut headers = HeaderMap::new();
    for field in parts {
        let (name, value) = field.split_once(": ").unwrap();
        let name: header::HeaderName = name.parse().unwrap();
        headers.append(name, value.parse().unwrap());
    }
    read(&site(), &method.parse().unwrap(), &target.parse().unwrap(), &headers)
}

#[test]
fn each_request_has_its_status() {
    let cases = "
        GET /dns-query?dns=AAAB => query
        GET /dns-query?dns=AAAB | accept: text/html => query
        GET https://anybody.example/dns-query?dns=AAAB => query
        HEAD /dns-query?dns=AAAB => query
        POST /dns-query | content-type: application/dns-message => body
        POST /dns-query | content-type: Application/DNS-Message; x=y => body
        POST /dns-query?dns=AAAB | content-type: application/dns-message => body
        POST /dns-query | content-type: application/dns-message | content-length: 65535 => body
        POST /dns-query | content-type: application/dns-message | content-length: 65536 => 413
        POST /dns-query | content-type: application/dns-message | content-length: 99999999999 => 413
        POST /dns-query => 415
        POST /dns-query | content-type: application/dns-messages => 415
        POST /dns-query | content-type: application/dns-message | content-type: text/html => 415
        POST /dns-query | content-type: application/json => 415
        GET /dns-query => 400
        GET /dns-query? => 400
        GET /dns-query?dns=AAAB%3D => 400
        GET /dns-query?name=example.com&type=A => 400
        GET / => 404
        GET /dns-query/ => 404
        GET /dns-query/x?dns=AAAB => 404
        GET /metrics => 404
        GET /api/v1/status => 404
        POST / | content-type: application/dns-message => 404
        PUT /dns-query | content-type: application/dns-message => 405
        DELETE /dns-query => 405
        OPTIONS /dns-query => 405
        BREW /dns-query => 405
        BREW /pot => 404
    ";
    let mut seen = 0;
    for case in cases.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (request, expected) = case.split_once(" => ").unwrap();
        let got = match ask(request) {
            Ok(Asked::Query(query)) => {
                assert_eq!(query, [0, 0, 1]);
                "query".to_owned()
            }
            Ok(Asked::Body) => "body".to_owned(),
            Err(refusal) => refused(&site(), refusal).status().as_u16().to_string(),
        };
        assert_eq!(got, expected, "{request}");
        seen += 1;
    }
    assert_eq!(seen, 29);
}

#[test]
fn a_refusal_says_why_in_a_line() {
    let refusals = [
        (Refusal::NotFound, 404),
        (Refusal::Method, 405),
        (Refusal::Type, 415),
        (Refusal::TooLong, 413),
        (Refusal::Parameter(ParameterError::Missing), 400),
        (Refusal::NoQuery, 400),
        (Refusal::Slow, 408),
        (Refusal::Broken, 400),
    ];
    for (refusal, status) in refusals {
        let response = refused(&site(), refusal);
        assert_eq!(response.status(), status);
        let text = std::str::from_utf8(response.body()).unwrap();
        assert_eq!(text.lines().count(), 1);
        assert_eq!(response.headers()["content-length"], text.len().to_string());
        assert_eq!(response.headers().contains_key("allow"), refusal == Refusal::Method);
        assert!(!response.headers().contains_key("cache-control"));
    }
}

#[test]
fn a_reply_is_sent_with_its_type_length_and_freshness() {
    let alt_svc = Some(HeaderValue::from_static("h3=\":443\"; ma=86400"));
    let site = Site { alt_svc, ..site() };
    // REFUSED without a record.
    let reply = [0, 7, 0x84, 5, 0, 0, 0, 0, 0, 0, 0, 0];
    let response = response(&site, Bytes::copy_from_slice(&reply));
    assert_eq!(response.status(), 200);
    let headers = response.headers();
    assert_eq!(headers["content-type"], "application/dns-message");
    assert_eq!(headers["content-length"], "12");
    assert_eq!(headers["cache-control"], "max-age=0");
    assert_eq!(headers["alt-svc"], "h3=\":443\"; ma=86400");
    assert_eq!(response.body()[..], reply);
}
