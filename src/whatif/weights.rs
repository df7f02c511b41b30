//! Lists of networks and what each weighs, as operators write them.
//!
//! ```text
//! # resolvers of our customers, queries a day
//! 192.0.2.0/24     125000
//! 2001:db8::/32    40000    # an address alone is a network of one
//! ```

use std::net::IpAddr;
use std::ops::RangeInclusive;

use ipnet::IpNet;

use crate::geo;

/// What weighs less or more could vanish beside others, or have no sum.
const WEIGHTS: RangeInclusive<f64> = 1e-9..=1e15;

/// A network of clients.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Weighted {
    /// Where they are.
    pub network: IpNet,
    /// From 1e-9 to 1e15.
    pub weight: f64,
}

impl Weighted {
    /// From a network as text; the error says what is wrong and what is wanted.
    pub fn new(network: &str, weight: f64) -> Result<Weighted, String> {
        let parsed: Option<IpNet> = network
            .parse::<IpNet>()
            .ok()
            .or_else(|| network.parse::<IpAddr>().ok().map(IpNet::from));
        let Some(parsed) = parsed else {
            return Err(format!(
                "\"{network}\" is no network: write 192.0.2.0/24 or 2001:db8::/32"
            ));
        };
        if parsed.trunc() != parsed {
            return Err(format!("{network} has bits beyond its length: write {}", parsed.trunc()));
        }
        if geo::hides_ipv4(&parsed) {
            return Err(format!("{network} hides IPv4 clients: name their IPv4 network"));
        }
        if !WEIGHTS.contains(&weight) {
            let (least, most) = (WEIGHTS.start(), WEIGHTS.end());
            return Err(format!(
                "the weight of {network} is {weight:e}: write a number from {least:e} to {most:e}"
            ));
        }
        Ok(Weighted { network: parsed, weight })
    }
}

/// Reads a list: a network and a number a line. A network that is there twice, or lies
/// in another, counts in each. The error names the line.
pub fn parse(text: &str) -> Result<Vec<Weighted>, String> {
    let mut weights = Vec::new();
    for (number, line) in text.lines().enumerate().map(|(index, line)| (index + 1, line)) {
        let content = line.split('#').next().unwrap_or_default();
        let mut words = content.split_whitespace();
        let Some(network) = words.next() else { continue };
        let at = |problem: String| format!("line {number}: {problem}");
        let wanted = || at(format!("write a network and its weight: \"{network} 100\""));
        let weight = words.next().ok_or_else(wanted)?;
        if words.next().is_some() {
            return Err(wanted());
        }
        let weight: f64 = weight.parse().map_err(|_| at(format!("\"{weight}\" is no number")))?;
        weights.push(Weighted::new(network, weight).map_err(at)?);
    }
    if weights.is_empty() {
        return Err("it holds no network: write a network and its weight a line".to_owned());
    }
    Ok(weights)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_networks_numbers_and_comments() {
        let text = "# customers\n192.0.2.0/24 10\n\n  2001:db8::/32\t2.5 # v6\n198.51.100.7 1\r\n";
        let read: Vec<(String, f64)> = parse(text)
            .unwrap()
            .iter()
            .map(|weighted| (weighted.network.to_string(), weighted.weight))
            .collect();
        let expected = [("192.0.2.0/24", 10.0), ("2001:db8::/32", 2.5), ("198.51.100.7/32", 1.0)];
        assert_eq!(read, expected.map(|(network, weight)| (network.to_owned(), weight)));
    }

    #[test]
    fn mistakes_are_told_with_their_line() {
        for (text, expected) in [
            ("192.0.2.0/24 1\n192.0.2.0", "line 2: write a network and its weight"),
            ("192.0.2.0/24 1 2", "line 1: write a network and its weight"),
            ("example.com 1", "line 1: \"example.com\" is no network"),
            ("192.0.2.0/33 1", "is no network"),
            ("192.0.2.1/24 1", "write 192.0.2.0/24"),
            ("192.0.2.0/24 many", "line 1: \"many\" is no number"),
            ("192.0.2.0/24 0", "is 0e0: write a number from 1e-9 to 1e15"),
            ("192.0.2.0/24 -1", "write a number from"),
            ("192.0.2.0/24 NaN", "is NaN: write a number from"),
            ("192.0.2.0/24 1\n192.0.3.0/24 1e999", "line 2: the weight of 192.0.3.0/24 is inf: "),
            ("192.0.2.0/24 1e308", "is 1e308: write a number from"),
            ("192.0.2.0/24 1e-300", "is 1e-300: write a number from"),
            ("2002::/16 1", "hides IPv4 clients"),
            ("# nothing\n", "it holds no network"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
