//! Texts to values: durations, names, addresses, networks, and why not.

mod probes;
mod records;
mod transfers;
mod webhooks;

pub(super) use probes::{
    header_name, header_value, probe_address, query_name, query_type, record_data, reference,
    regex, request_path, source, status_range,
};
pub(super) use records::{alpn, ech, service, target};
pub(super) use transfers::{grant, key_name, remote, secret};
pub(super) use webhooks::{is_open_to_others, webhook_url};

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use ipnet::IpNet;

use crate::dns::Name;
use crate::geo::{self, Serves};

/// Longest name of a datacenter, pool, check or member, in bytes.
const OBJECT_NAME_LENGTH_MAX: usize = 64;

//------------ Bad ------------------------------------------------------------

/// Why a text is not the value asked for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Bad {
    /// Code of the problem.
    pub(super) code: &'static str,
    /// Follows the key: "is not a duration".
    pub(super) reason: String,
    /// Under the excerpt.
    pub(super) label: String,
    /// What to write instead.
    pub(super) help: Vec<String>,
}

impl Bad {
    pub(super) fn new(code: &'static str, reason: impl Into<String>) -> Bad {
        Bad { code, reason: reason.into(), label: String::new(), help: Vec::new() }
    }

    pub(super) fn label(mut self, label: impl Into<String>) -> Bad {
        self.label = label.into();
        self
    }

    pub(super) fn help(mut self, help: impl Into<String>) -> Bad {
        self.help.push(help.into());
        self
    }
}

//------------ Durations ------------------------------------------------------

/// Longest wait of `failback = "after:…"`, in milliseconds: 7 days.
const AFTER_MAX_MS: u64 = 604_800_000;

/// Milliseconds of "500ms", "5s", "1m", "1h", "14d".
pub(super) fn duration_ms(text: &str) -> Result<u64, Bad> {
    let bad = |label: &str| {
        Bad::new("bad-duration", format!("is not a duration: \"{text}\"")).label(label).help(
            "a duration is a whole number and a unit: \"500ms\", \"5s\", \"1m\", \"1h\" or \"1d\"",
        )
    };
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(split);
    if digits.is_empty() {
        return Err(bad("a whole number is missing"));
    }
    let factor = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        "" => return Err(bad("the unit is missing")),
        unit if unit.starts_with('.') => return Err(bad("no fractions: use a smaller unit")),
        _ => return Err(bad("unknown unit")),
    };
    digits
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(factor))
        .ok_or_else(|| bad("too large"))
}

/// Milliseconds of what stands behind "after:".
pub(super) fn after(text: &str) -> Result<u32, Bad> {
    let ms = duration_ms(text)?;
    match u32::try_from(ms) {
        Ok(ms) if (1_000..=AFTER_MAX_MS).contains(&u64::from(ms)) => Ok(ms),
        _ => {
            let bad = Bad::new("out-of-range", format!("is out of range: after {text}"))
                .label("must be from 1s to 7d");
            Err(match ms {
                0 => bad.help("to take part as soon as it is up: \"auto\""),
                1..=AFTER_MAX_MS => bad,
                _ => bad.help("to wait for an operator: \"manual\""),
            })
        }
    }
}

/// The shortest way to write so many milliseconds.
pub(super) fn duration_text(ms: u64) -> String {
    for (factor, unit) in [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s")] {
        if ms >= factor && ms.is_multiple_of(factor) {
            return format!("{}{unit}", ms / factor);
        }
    }
    match ms {
        0 => "0s".to_owned(),
        ms => format!("{ms}ms"),
    }
}

//------------ Names ----------------------------------------------------------

/// A domain name; `*` only as a whole leftmost label.
pub(super) fn name(text: &str) -> Result<Name, Bad> {
    let bad = |reason: &str| Bad::new("bad-name", format!("is not a domain name: {reason}"));
    if !text.is_ascii() {
        return Err(bad("it has letters outside ASCII")
            .help("write the A-label (RFC 5890), which begins with \"xn--\""));
    }
    if text.contains("://") || text.contains('/') {
        return Err(bad("it is a URL").help("write the name alone, without scheme and path"));
    }
    if text.contains(|c: char| c.is_ascii_whitespace() || c.is_ascii_control()) {
        return Err(bad("it has a space or control character").label("between or around labels"));
    }
    if text.contains(':') {
        return Err(bad("it has a `:`").help("write the name alone, without a port"));
    }
    if text.parse::<Ipv4Addr>().is_ok() {
        return Err(bad("it is an address").label("a name is asked for"));
    }
    let name = Name::parse(text).map_err(|error| {
        bad(&error.to_string()).label("labels have 1 to 63 bytes, names up to 255")
    })?;
    let star = name.labels().enumerate().any(|(at, l)| l.contains(&b'*') && (at > 0 || l != b"*"));
    if star {
        return Err(bad("`*` may only stand for the whole first label")
            .help("for example: \"*.apps.example.com\""));
    }
    Ok(name)
}

/// A domain name that is no wildcard.
pub(super) fn plain_name(text: &str) -> Result<Name, Bad> {
    let name = name(text)?;
    if name.is_wildcard() {
        return Err(Bad::new("bad-name", "cannot be a wildcard")
            .help(format!("leave the \"*.\" out: \"{}\"", text.trim_start_matches("*."))));
    }
    Ok(name)
}

/// A host name as sent in `Host` and SNI: without final dot and wildcard.
pub(super) fn host(text: &str) -> Result<String, Bad> {
    let name = plain_name(text)?;
    if text.contains('\\') || name.is_root() {
        return Err(
            Bad::new("bad-name", "is not a host name").help("for example: \"www.example.com\"")
        );
    }
    Ok(text.trim_end_matches('.').to_owned())
}

/// A mailbox, as the name an SOA record holds (RFC 1035 8: dots of the local
/// part are escaped).
pub(super) fn mailbox(text: &str) -> Result<Name, Bad> {
    let bad = |reason: &str| {
        Bad::new("bad-mailbox", format!("is not a mailbox: {reason}"))
            .help("for example: \"hostmaster@example.com\"")
    };
    let Some((local, domain)) = text.rsplit_once('@') else {
        return Err(bad("it has no `@`"));
    };
    if local.is_empty() {
        return Err(bad("nothing stands before the `@`"));
    }
    if !local.bytes().all(|byte| byte.is_ascii_graphic()) || local.contains(['\\', '"', '@']) {
        return Err(bad("the part before the `@` has a character that is not allowed"));
    }
    plain_name(domain)?.child(local.as_bytes()).map_err(|error| bad(&error.to_string()))
}

/// A name of a datacenter, pool, check or member.
pub(super) fn object_name(text: &str) -> Result<String, Bad> {
    let bad = |reason: &str| {
        Bad::new("bad-name", format!("is not a usable name: {reason}"))
            .help("a name has 1 to 64 letters (a-z, A-Z), digits, `-`, `_` and `.`")
    };
    match text.len() {
        0 => return Err(bad("it is empty")),
        1..=OBJECT_NAME_LENGTH_MAX => {}
        _ => return Err(bad("it is too long")),
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    match text.chars().find(|c| !allowed(*c)) {
        Some(c) => Err(bad(&format!("it has {c:?}"))),
        None => Ok(text.to_owned()),
    }
}

//------------ Addresses ------------------------------------------------------

/// An address that can be answered or probed.
pub(super) fn address(text: &str) -> Result<IpAddr, Bad> {
    let bad = |reason: &str| Bad::new("bad-address", format!("is not a usable address: {reason}"));
    let address: IpAddr = text.parse().map_err(|_| {
        let bad = bad(&format!("\"{text}\""));
        if text.parse::<SocketAddr>().is_ok() {
            bad.help("write the address without a port: ports belong to health checks")
        } else if text.parse::<IpNet>().is_ok() {
            bad.help("write one address, not a network")
        } else {
            bad.help("for example: \"203.0.113.10\" or \"2001:db8::10\"")
        }
    })?;
    if address.is_unspecified() || address.is_multicast() || text == "255.255.255.255" {
        return Err(bad("no host can have it").label("unspecified, multicast or broadcast"));
    }
    if let IpAddr::V6(v6) = address
        && let Some(v4) = v6.to_ipv4_mapped()
    {
        return Err(bad("it is a v4-mapped address").help(format!("write \"{v4}\"")));
    }
    Ok(address)
}

/// A network; an address alone is a network of one.
pub(super) fn network(text: &str) -> Result<IpNet, Bad> {
    let bad = |reason: String| Bad::new("bad-network", format!("is not a network: {reason}"));
    let network = match text.parse::<IpNet>() {
        Ok(network) => network,
        Err(_) => match text.parse::<IpAddr>() {
            Ok(address) => IpNet::from(address),
            Err(_) => {
                return Err(bad(format!("\"{text}\""))
                    .help("for example: \"10.0.0.0/8\" or \"2001:db8::/32\""));
            }
        },
    };
    if network.addr() != network.network() {
        return Err(bad("it has bits set behind its prefix".to_owned())
            .help(format!("did you mean \"{}\"?", network.trunc())));
    }
    Ok(network)
}

/// An address and port to listen on.
pub(super) fn listen(text: &str) -> Result<SocketAddr, Bad> {
    text.parse().map_err(|_| {
        let bad = Bad::new("bad-address", format!("is not an address and port: \"{text}\""));
        match text.parse::<IpAddr>() {
            Ok(IpAddr::V4(v4)) => bad.help(format!("add the port: \"{v4}:53\"")),
            Ok(IpAddr::V6(v6)) => bad.help(format!("add the port: \"[{v6}]:53\"")),
            Err(_) if text.starts_with(':') || text.starts_with('*') => {
                bad.help("all addresses: [\"0.0.0.0:53\", \"[::]:53\"]")
            }
            Err(_) => bad.help("for example: \"192.0.2.1:53\" or \"[2001:db8::1]:53\""),
        }
    })
}

//------------ Clients --------------------------------------------------------

/// One rule of `serves`.
pub(super) fn serves(text: &str) -> Result<Serves, Bad> {
    let bad = |reason: String| {
        Bad::new("bad-serves", format!("has a rule that is not understood: {reason}")).help(
            "a rule is a network (\"10.0.0.0/8\"), \"asn:64512\", \"region:US-CA\", \
             \"country:DE\" or \"continent:EU\"",
        )
    };
    // An IPv6 network has colons too, but no letter outside a-f before the first.
    let Some((kind, value)) = text.split_once(':').filter(|(kind, _)| is_word(kind)) else {
        return network(text).map(Serves::Network).map_err(|network_bad| {
            if network_bad.reason.contains("bits set") {
                network_bad
            } else {
                bad(format!("\"{text}\""))
            }
        });
    };
    match kind {
        "asn" => value
            .trim_start_matches("AS")
            .parse()
            .map(Serves::Asn)
            .map_err(|_| bad(format!("\"{value}\" is not an AS number"))),
        "country" => country(value).map(Serves::Country),
        "continent" => continent(value).map(Serves::Continent),
        "region" => region(value).map(Serves::Region),
        _ => Err(bad(format!("\"{kind}:\""))),
    }
}

fn is_word(text: &str) -> bool {
    text.len() > 4 || text.bytes().any(|byte| !byte.is_ascii_hexdigit()) && !text.is_empty()
}

/// ISO 3166-1 alpha-2, in either case. A code that no country has would match no
/// client, in silence.
pub(super) fn country(text: &str) -> Result<[u8; 2], Bad> {
    let bad =
        |what: &str| Bad::new("bad-country", format!("has a country that {what}: \"{text}\""));
    let Some(code) = two_letters(text) else {
        return Err(bad("is not two letters").help("ISO 3166-1 alpha-2, for example: \"DE\""));
    };
    match &code {
        _ if geo::is_country(code) => Ok(code),
        b"UK" => Err(bad("does not exist").help("the United Kingdom is \"GB\" in ISO 3166-1")),
        b"EL" => Err(bad("does not exist").help("Greece is \"GR\" in ISO 3166-1")),
        _ => Err(bad("does not exist").help("ISO 3166-1 alpha-2, for example: \"DE\"")),
    }
}

fn continent(text: &str) -> Result<[u8; 2], Bad> {
    const ALL: [&[u8; 2]; 7] = [b"AF", b"AN", b"AS", b"EU", b"NA", b"OC", b"SA"];
    two_letters(text).filter(|two| ALL.contains(&two)).ok_or_else(|| {
        Bad::new("bad-continent", format!("has a continent that is unknown: \"{text}\""))
            .help("allowed: AF, AN, AS, EU, NA, OC, SA")
    })
}

fn region(text: &str) -> Result<String, Bad> {
    let valid = text.split_once('-').is_some_and(|(country, part)| {
        two_letters(country).is_some_and(geo::is_country)
            && (1..=3).contains(&part.len())
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric())
    });
    if valid {
        return Ok(text.to_ascii_uppercase());
    }
    Err(Bad::new("bad-region", format!("has a region that is not of ISO 3166-2: \"{text}\""))
        .help("for example: \"region:US-CA\""))
}

fn two_letters(text: &str) -> Option<[u8; 2]> {
    let two: [u8; 2] = text.to_ascii_uppercase().into_bytes().try_into().ok()?;
    two.iter().all(u8::is_ascii_uppercase).then_some(two)
}
