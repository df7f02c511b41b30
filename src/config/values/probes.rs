//! Texts of health checks: where probes go, what they send and expect.

use std::net::{IpAddr, SocketAddr};

use super::{Bad, address, name};
use crate::config::mistakes;
use crate::dns::Name;
use crate::dns::types::rtype;
use crate::health::check;
use crate::health::plan::ProbeAddress;
use crate::zone::master;

/// Longest regular expression, in bytes.
const REGEX_LENGTH_MAX: usize = 4_096;
/// Longest path with its query, in bytes: as much as most servers take.
const PATH_LENGTH_MAX: usize = 8_192;
/// What no request's path can have.
const PATH_FORBIDDEN: [char; 4] = ['"', '<', '>', '`'];
/// Longest host name, in bytes (RFC 1035 2.3.4, without the length bytes).
const HOST_LENGTH_MAX: usize = 253;
/// Types that people ask about, for hints.
const TYPES: [&str; 12] =
    ["A", "AAAA", "CNAME", "DS", "HTTPS", "MX", "NS", "PTR", "SOA", "SRV", "SVCB", "TXT"];

//------------ Where ----------------------------------------------------------

/// Where a probe goes: an address, or a host name.
pub(in crate::config) fn probe_address(text: &str) -> Result<ProbeAddress, Bad> {
    // A name has no colon, and its last label is no number (RFC 1123 2.1).
    let last = text.trim_end_matches('.').rsplit('.').next().unwrap_or_default();
    let numeric = !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit());
    if let Some((host, port)) = text.rsplit_once(':')
        && !port.is_empty()
        && port.bytes().all(|byte| byte.is_ascii_digit())
        && host_name(host).is_ok()
    {
        return Err(Bad::new("bad-address", "has a port")
            .help(format!("write address = \"{host}\" and port = {port}")));
    }
    if let Some(inner) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return Err(Bad::new("bad-address", "has brackets")
            .help(format!("write the address alone: \"{inner}\"")));
    }
    if numeric || (text.contains(':') && !text.contains("://")) || text.contains('%') {
        return address(text).map(ProbeAddress::Ip);
    }
    host_name(text).map(ProbeAddress::Host)
}

/// A name that a resolver is asked for, in lower case.
fn host_name(text: &str) -> Result<String, Bad> {
    let bad = |reason: &str| {
        Bad::new("bad-name", format!("is neither an address nor a host name: {reason}"))
            .help("for example: \"192.0.2.10\" or \"shop.example.com\"")
    };
    if text.contains('/') {
        return Err(bad("it has a `/`").label("the host alone, without scheme and path"));
    }
    if !text.is_ascii() {
        return Err(bad("it has letters outside ASCII")
            .help("write the A-label (RFC 5890), which begins with \"xn--\""));
    }
    let bare = text.strip_suffix('.').unwrap_or(text);
    if bare.is_empty() || bare.len() > HOST_LENGTH_MAX {
        return Err(bad("it has not 1 to 253 bytes"));
    }
    for label in bare.split('.') {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if label.is_empty() || label.len() > 63 {
            return Err(bad("labels have 1 to 63 bytes"));
        }
        if !label.bytes().all(allowed) || label.starts_with('-') || label.ends_with('-') {
            return Err(bad(&format!("\"{label}\" cannot stand between dots"))
                .label("labels have letters, digits and, within, `-`"));
        }
    }
    Ok(text.to_ascii_lowercase())
}

/// An address that packets can come from.
pub(in crate::config) fn source(text: &str) -> Result<IpAddr, Bad> {
    let unspecified = text.parse::<IpAddr>().is_ok_and(|address| address.is_unspecified());
    let bad = |reason: &str| Bad::new("bad-address", format!("is not a usable address: {reason}"));
    if unspecified {
        return Err(bad("every address is meant").help("leave it out: the system chooses"));
    }
    if text.parse::<SocketAddr>().is_ok() {
        return Err(bad("it has a port").help("write the address alone: the system picks a port"));
    }
    match address(text)? {
        IpAddr::V6(v6) if v6.is_unicast_link_local() => Err(bad("it is link-local")
            .label("means nothing without an interface")
            .help("write a global or unique local address")),
        address => Ok(address),
    }
}

/// An address and port to connect to.
pub(in crate::config) fn reference(text: &str) -> Result<SocketAddr, Bad> {
    let bad = |reason: String| Bad::new("bad-address", reason);
    let at: SocketAddr = text.parse().map_err(|_| {
        let bad = bad(format!("is not an address and port: \"{text}\""));
        match text.parse::<IpAddr>() {
            Ok(IpAddr::V4(v4)) => bad.help(format!("add the port: \"{v4}:443\"")),
            Ok(IpAddr::V6(v6)) => bad.help(format!("add the port: \"[{v6}]:443\"")),
            Err(_) => bad
                .help("for example: \"192.0.2.1:443\" or \"[2001:db8::1]:443\"")
                .help("names are not resolved here: a resolver's outage must not look like ours"),
        }
    })?;
    address(&at.ip().to_string())?;
    if at.port() == 0 {
        return Err(bad("has the port 0".to_owned()).label("nothing listens there"));
    }
    Ok(at)
}

//------------ HTTP -----------------------------------------------------------

/// A regular expression that compiles.
pub(in crate::config) fn regex(text: &str) -> Result<String, Bad> {
    let bad = |reason: &str| {
        Bad::new("bad-regex", format!("is not a usable regular expression: {reason}"))
    };
    if text.is_empty() {
        return Err(Bad::new("empty-text", "is empty").help("leave the key out"));
    }
    if text.len() > REGEX_LENGTH_MAX {
        return Err(bad("it is too long").label(format!("at most {REGEX_LENGTH_MAX} bytes")));
    }
    match check::body_regex(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(regex::Error::CompiledTooBig(_)) => {
            Err(bad("it needs more than a megabyte").help("repetitions multiply: write fewer"))
        }
        Err(error) => {
            // Of several lines the last says what is wrong, the others draw where.
            let said = error.to_string();
            let last = said.lines().last().unwrap_or_default();
            let reason = last.trim_start_matches("error: ").trim_end_matches('.');
            Err(bad(reason).help("the syntax: https://docs.rs/regex/#syntax"))
        }
    }
}

/// An inclusive range of status codes: "200" or "200-299".
pub(in crate::config) fn status_range(text: &str) -> Result<(u16, u16), Bad> {
    let code = |text: &str| {
        text.parse::<u16>().ok().filter(|code| text.len() == 3 && (200..=599).contains(code))
    };
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    match (code(first), code(last)) {
        (Some(first), Some(last)) if first <= last => Ok((first, last)),
        _ => Err(Bad::new("bad-status", format!("is not a status or range: \"{text}\""))
            .help("codes from 200 to 599: \"200\" or \"200-299\"")),
    }
}

/// A request target.
pub(in crate::config) fn request_path(text: &str) -> Result<String, Bad> {
    let bad = |reason: &str| Bad::new("bad-path", format!("is not a request path: {reason}"));
    if !text.starts_with('/') {
        return Err(bad("it does not begin with `/`").help("for example: \"/healthz\""));
    }
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(
            bad("it has a space or a character outside ASCII").help("write such characters as %XX")
        );
    }
    if text.contains('#') {
        return Err(bad("a fragment is never sent").label("has `#`"));
    }
    // RFC 3986 appendix A has a few more, which are sent all the same.
    let (path, query) = text.split_once('?').unwrap_or((text, ""));
    let forbidden = path.chars().find(|letter| PATH_FORBIDDEN.contains(letter));
    if let Some(letter) = forbidden.or(query.chars().find(|letter| "\"<>".contains(*letter))) {
        return Err(bad(&format!("it has a `{letter}`, which no request carries"))
            .help(format!("write %{:02X}", u32::from(letter))));
    }
    if text.len() > PATH_LENGTH_MAX {
        return Err(bad("it is too long").label(format!("at most {PATH_LENGTH_MAX} bytes")));
    }
    Ok(text.to_owned())
}

/// A header's name.
pub(in crate::config) fn header_name(text: &str) -> Result<String, Bad> {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if text.is_empty() || !text.bytes().all(token) {
        return Err(Bad::new(
            "bad-header",
            format!("has a header that cannot be sent: \"{text}\""),
        )
        .help("a header's name has letters, digits and `-`"));
    }
    let reserved = ["host", "connection", "content-length", "transfer-encoding"];
    if reserved.contains(&text.to_ascii_lowercase().as_str()) {
        return Err(Bad::new("bad-header", format!("cannot set `{text}`, which the probe sets"))
            .help("the host is set by `host`, or a WIP's `check_host`"));
    }
    Ok(text.to_owned())
}

/// A header's value.
pub(in crate::config) fn header_value(text: &str) -> Result<String, Bad> {
    if text.bytes().any(|byte| byte.is_ascii_control() && byte != b'\t') {
        return Err(Bad::new("bad-header", "has a value with a control character")
            .label("would end the header"));
    }
    Ok(text.to_owned())
}

//------------ DNS ------------------------------------------------------------

/// A name that is asked for, in lower case and without the final dot; "." is the root.
pub(in crate::config) fn query_name(text: &str) -> Result<String, Bad> {
    let name = name(text)?.to_lowercase();
    if name.is_root() {
        return Ok(".".to_owned());
    }
    Ok(name.to_string().trim_end_matches('.').to_owned())
}

/// A record type that can be asked for.
pub(in crate::config) fn query_type(text: &str) -> Result<u16, Bad> {
    let bad =
        |reason: &str| Bad::new("unknown-value", format!("cannot be \"{text}\"")).label(reason);
    match rtype::parse(text) {
        Some(number) if rtype::is_meta(number) => {
            Err(bad("no record has it").help("for example: \"A\" or \"SOA\""))
        }
        Some(number) => Ok(number),
        None => Err(match mistakes::likely(text, TYPES.into_iter()) {
            Some(likely) => bad("unknown type").help(format!("did you mean \"{likely}\"?")),
            None => bad("unknown type"),
        }
        .help("a mnemonic such as \"A\", or a number: \"TYPE65\"")),
    }
}

/// Data of a record of type `rtype`, as in a master file.
pub(in crate::config) fn record_data(text: &str, rtype: u16) -> Result<String, Bad> {
    let mnemonic = rtype::text(rtype);
    let bad = |reason: &str| {
        Bad::new("bad-record", format!("is not the data of a record of type {mnemonic}: {reason}"))
    };
    if text.bytes().any(|byte| byte.is_ascii_control() && byte != b'\t') {
        return Err(bad("it has a control character").label("written as `\\DDD`"));
    }
    let line = format!("x 0 IN {mnemonic} {text}\n");
    match master::parse(line.as_bytes(), &Name::root(), 0) {
        Ok(records) if records.len() == 1 => Ok(text.to_owned()),
        Ok(_) => Err(bad("it is not one record")),
        Err(errors) => {
            let reason = errors.first().map(|error| error.message.clone()).unwrap_or_default();
            Err(bad(&reason).label("as it stands behind the type in a master file"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_that_is_taken_can_be_sent() {
        for byte in b'!'..=b'~' {
            let letter = char::from(byte);
            for text in [format!("/a{letter}b"), format!("/a?b={letter}c")] {
                let sent = text.parse::<hyper::http::uri::PathAndQuery>();
                if request_path(&text).is_ok() {
                    assert!(sent.is_ok_and(|sent| sent == text.as_str()), "{text}");
                } else {
                    assert!(sent.is_err() || "\"#".contains(letter), "{text} is refused");
                }
            }
        }
        assert!(request_path(&format!("/{}", "a".repeat(8_191))).is_ok());
        assert!(request_path(&format!("/{}", "a".repeat(8_192))).is_err());
    }
}
