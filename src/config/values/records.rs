//! Texts of records: targets, protocols, encrypted ClientHellos.

use super::{Bad, plain_name};
use crate::config::keys::ECH_LENGTH_MAX;
use crate::dns::Name;

/// A domain name, or "." for the owner itself.
pub(in crate::config) fn target(text: &str) -> Result<Name, Bad> {
    if text == "." { Ok(Name::root()) } else { plain_name(text) }
}

/// A protocol of the ALPN registry: any bytes, but people write visible ones.
pub(in crate::config) fn alpn(text: &str) -> Result<String, Bad> {
    let visible = text.bytes().all(|byte| byte.is_ascii_graphic());
    if (1..=255).contains(&text.len()) && visible {
        return Ok(text.to_owned());
    }
    let bad = Bad::new("bad-protocol", format!("is not a protocol: \"{text}\""));
    Err(bad.help("one protocol of TLS each, for example: alpn = [\"h2\", \"h3\"]"))
}

/// An ECHConfigList in base64: two bytes of length, then as many.
pub(in crate::config) fn ech(text: &str) -> Result<Vec<u8>, Bad> {
    let bad = |reason: String| {
        Bad::new("bad-ech", format!("is not an ECHConfigList: {reason}"))
            .help("give the list as its maker wrote it in base64, as in `ech=` of an HTTPS record")
    };
    if text.len() > ECH_LENGTH_MAX {
        return Err(bad(format!("it is longer than {ECH_LENGTH_MAX} characters")));
    }
    let bytes: Vec<u8> = domain::utils::base64::decode(text)
        .map_err(|error| bad(format!("it is not base64 ({error})")))?;
    match bytes.split_first_chunk() {
        Some((length, rest)) if usize::from(u16::from_be_bytes(*length)) == rest.len() => Ok(bytes),
        _ => Err(bad("its length does not say how long it is".to_owned())),
    }
}

/// Service and protocol of an SRV record: "_https._tcp".
pub(in crate::config) fn service(text: &str) -> Result<Name, Bad> {
    let name = plain_name(text).ok().filter(|name| {
        name.labels().count() == 2 && name.labels().all(|label| label.len() > 1 && label[0] == b'_')
    });
    name.ok_or_else(|| {
        Bad::new("bad-service", format!("has a name that is no service: \"{text}\""))
            .help("write service and protocol, for example: \"_https._tcp\"")
    })
}
