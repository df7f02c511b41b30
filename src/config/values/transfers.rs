//! Servers, grants and secrets of zone transfers.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;

use super::{Bad, address, network, plain_name};
use crate::dns::Name;

/// The port of a server that names none.
const PORT: u16 = 53;

/// A server's address, at port 53 unless it says another.
pub(in crate::config) fn remote(text: &str) -> Result<SocketAddr, Bad> {
    match text.parse::<SocketAddr>() {
        Ok(at) if at.port() == 0 => {
            Err(Bad::new("bad-address", "has port 0").label("from 1 to 65535"))
        }
        Ok(at) => address(&at.ip().to_string()).map(|ip| SocketAddr::new(ip, at.port())),
        Err(_) => match text.parse::<IpAddr>() {
            Ok(_) => address(text).map(|ip| SocketAddr::new(ip, PORT)),
            Err(_) => {
                Err(Bad::new("bad-address", format!("is not a server's address: \"{text}\"")).help(
                    "for example: \"192.0.2.53\", \"192.0.2.53:5353\" or \"[2001:db8::53]:5353\"",
                ))
            }
        },
    }
}

/// A network, or "key:" and a key's name.
pub(in crate::config) fn grant(text: &str) -> Result<(Option<IpNet>, Option<Name>), Bad> {
    match text.strip_prefix("key:") {
        Some(name) => key_name(name).map(|name| (None, Some(name))),
        None => match network(text) {
            Ok(network) => Ok((Some(network), None)),
            Err(bad) => Err(bad.help("or \"key:\" and the name of a [tsig] key")),
        },
    }
}

/// A key's name, in lower case.
pub(in crate::config) fn key_name(text: &str) -> Result<Name, Bad> {
    plain_name(text).map(|name| name.to_lowercase())
}

/// A secret in base64.
pub(in crate::config) fn secret(text: &str) -> Result<Vec<u8>, Bad> {
    let bad = |reason: &str| {
        // The text is not shown: it is most of a secret.
        Bad::new("bad-secret", format!("is not a secret in base64: {reason}"))
            .help("make one: openssl rand -base64 32")
    };
    let text: String = text.split_whitespace().collect();
    let secret = domain::utils::base64::decode::<Vec<u8>>(&text)
        .map_err(|_| bad("it has other characters, or is cut short"))?;
    if secret.is_empty() {
        return Err(bad("it is empty"));
    }
    Ok(secret)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_grants_and_secrets_are_read_as_people_write_them() {
        assert_eq!(remote("192.0.2.1").unwrap().to_string(), "192.0.2.1:53");
        assert_eq!(remote("[2001:db8::1]:5353").unwrap().to_string(), "[2001:db8::1]:5353");
        assert_eq!(remote("2001:db8::1").unwrap().to_string(), "[2001:db8::1]:53");
        for wrong in ["", "ns1.example.com", "192.0.2.1:0", "0.0.0.0", "192.0.2.0/24"] {
            assert!(remote(wrong).is_err(), "{wrong}");
        }
        assert_eq!(grant("key:A.Key").unwrap().1.unwrap().to_string(), "a.key");
        assert!(grant("10.0.0.0/8").unwrap().0.is_some());
        assert!(grant("key:").is_err() && grant("any").is_err());
        assert_eq!(secret(" c2Vj\ncmV0\n").unwrap(), b"secret");
        for wrong in ["", "c2Vjcm", "not base64!"] {
            let bad = secret(wrong).unwrap_err();
            assert!(wrong.is_empty() || !format!("{bad:?}").contains(wrong), "{bad:?}");
        }
    }
}
