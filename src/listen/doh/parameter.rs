//! `?dns=…`: a message in a query string (RFC 8484 4.1, RFC 4648 5).
//!
//! Strict, so that a query has one spelling and caches one entry for it: no padding, no
//! bits left over, no percent signs (nothing in the alphabet needs them).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::MESSAGE_MAX;

/// Why a query string holds no message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ParameterError {
    /// It has no `dns`.
    Missing,
    /// It has two.
    Twice,
    /// What it has is not base64url without padding.
    Encoding,
    /// It is longer than any message.
    TooLong,
}

impl ParameterError {
    /// A line of text.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            ParameterError::Missing => "the query string has no parameter dns",
            ParameterError::Twice => "the query string has the parameter dns twice",
            ParameterError::Encoding => "the parameter dns is not base64url without padding",
            ParameterError::TooLong => "a DNS message has at most 65535 bytes",
        }
    }
}

/// The message in a URI's query string (what is behind the `?`).
///
/// # Errors
/// There is not exactly one.
pub fn dns_parameter(query: &str) -> Result<Vec<u8>, ParameterError> {
    let mut values = query.split('&').filter_map(|pair| pair.strip_prefix("dns="));
    let text = values.next().ok_or(ParameterError::Missing)?;
    if values.next().is_some() {
        return Err(ParameterError::Twice);
    }
    if text.len() > MESSAGE_MAX.div_ceil(3) * 4 {
        return Err(ParameterError::TooLong);
    }
    let message = URL_SAFE_NO_PAD.decode(text).map_err(|_| ParameterError::Encoding)?;
    if message.len() > MESSAGE_MAX {
        return Err(ParameterError::TooLong);
    }
    Ok(message)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// RFC 4648 5, word for word: bits of six.
    fn encode(bytes: &[u8]) -> String {
        let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let mut text = String::new();
        for group in bytes.chunks(3) {
            let mut bits = [0; 3];
            bits[..group.len()].copy_from_slice(group);
            let bits = u32::from_be_bytes([0, bits[0], bits[1], bits[2]]);
            for digit in 0..=group.len() {
                text.push(char::from(alphabet[(bits >> (18 - 6 * digit) & 63) as usize]));
            }
        }
        text
    }

    #[test]
    fn one_parameter_is_a_message() {
        use ParameterError::{Encoding, Missing, Twice};
        let cases: [(&str, Result<&[u8], ParameterError>); 15] = [
            ("dns=AAAB", Ok(&[0, 0, 1])),
            ("dns=AAE", Ok(&[0, 1])),
            ("dns=-_8", Ok(&[0xfb, 0xff])),
            ("ct&dns=AAE&x=y", Ok(&[0, 1])),
            ("dns=", Ok(&[])),
            ("", Err(Missing)),
            ("dns", Err(Missing)),
            ("DNS=AAE", Err(Missing)),
            ("xdns=AAE", Err(Missing)),
            ("dns=AAE&dns=AAE", Err(Twice)),
            ("dns=AAE=", Err(Encoding)),
            ("dns=AAF", Err(Encoding)),
            ("dns=A", Err(Encoding)),
            ("dns=AA+/", Err(Encoding)),
            ("dns=A%41E", Err(Encoding)),
        ];
        for (query, expected) in cases {
            assert_eq!(dns_parameter(query).as_deref(), expected.as_deref(), "{query}");
        }
    }

    #[test]
    fn no_message_is_longer_than_the_longest() {
        let longest = encode(&vec![7; MESSAGE_MAX]);
        assert_eq!(dns_parameter(&format!("dns={longest}")).map(|m| m.len()), Ok(MESSAGE_MAX));
        for more in [1, 2, 3, 100_000] {
            let text = encode(&vec![7; MESSAGE_MAX + more]);
            let refused = dns_parameter(&format!("dns={text}"));
            assert_eq!(refused, Err(ParameterError::TooLong), "{more}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_encoded_comes_back(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            prop_assert_eq!(dns_parameter(&format!("dns={}", encode(&bytes))), Ok(bytes));
        }

        #[test]
        fn a_message_has_one_spelling(text in "[A-Za-z0-9_=+/%-]{0,40}") {
            if let Ok(bytes) = dns_parameter(&format!("dns={text}")) {
                prop_assert_eq!(encode(&bytes), text);
            }
        }
    }
}
