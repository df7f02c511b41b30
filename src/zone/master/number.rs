//! Numbers, times and encoded bytes in master files.

use super::MasterError;
use super::tokens::Token;

/// A whole number of type `T`, in decimal.
pub(super) fn whole<T: TryFrom<u64>>(token: Token<'_>) -> Result<T, MasterError> {
    let value = token
        .word()
        .filter(|word| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit()))
        .and_then(|word| word.parse::<u64>().ok())
        .and_then(|value| T::try_from(value).ok());
    value.ok_or_else(|| {
        let bits = 8 * size_of::<T>();
        token.error(format!("{} is not a whole number of {bits} bits", token.shown()))
    })
}

/// Seconds, or a sum of numbers with units: "1w2d3h4m5s".
pub(super) fn time_s(token: Token<'_>) -> Result<u32, MasterError> {
    if token.raw.iter().all(u8::is_ascii_digit) {
        return whole(token);
    }
    let bad = || {
        token.error(format!("{} is not a time: a number of seconds, or 1w2d3h4m5s", token.shown()))
    };
    let mut total: u64 = 0;
    let mut number: Option<u64> = None;
    for &byte in token.raw {
        if byte.is_ascii_digit() {
            let so_far = number.unwrap_or(0).saturating_mul(10);
            number = Some(so_far.saturating_add(u64::from(byte - b'0')));
            continue;
        }
        let unit_s = match byte.to_ascii_lowercase() {
            b's' => 1,
            b'm' => 60,
            b'h' => 3_600,
            b'd' => 86_400,
            b'w' => 604_800,
            _ => return Err(bad()),
        };
        let number = number.take().ok_or_else(bad)?;
        total = total.saturating_add(number.saturating_mul(unit_s));
    }
    if number.is_some() {
        return Err(bad());
    }
    u32::try_from(total).map_err(|_| token.error("a time of more than 4294967295 seconds"))
}

/// Hexadecimal digits of all `tokens` together.
pub(super) fn hex(tokens: &[Token<'_>], last: Token<'_>) -> Result<Vec<u8>, MasterError> {
    let mut bytes = Vec::new();
    let mut high = None;
    for token in tokens {
        for &byte in token.raw {
            let digit = char::from(byte)
                .to_digit(16)
                .ok_or_else(|| token.error(format!("{} is not hexadecimal", token.shown())))?
                as u8;
            match high.take() {
                None => high = Some(digit),
                Some(high) => bytes.push(high << 4 | digit),
            }
        }
    }
    match high {
        None => Ok(bytes),
        Some(_) => Err(last.error("an odd number of hexadecimal digits")),
    }
}

/// Base64 (RFC 4648 4) of all `tokens` together.
pub(super) fn base64(tokens: &[Token<'_>], last: Token<'_>) -> Result<Vec<u8>, MasterError> {
    let mut bytes = Vec::new();
    let (mut bits, mut held, mut padding, mut digits) = (0_u32, 0, 0, 0_usize);
    for token in tokens {
        for &byte in token.raw {
            let value = match byte {
                b'A'..=b'Z' => byte - b'A',
                b'a'..=b'z' => byte - b'a' + 26,
                b'0'..=b'9' => byte - b'0' + 52,
                b'+' => 62,
                b'/' => 63,
                b'=' => {
                    padding += 1;
                    continue;
                }
                _ => return Err(token.error(format!("{} is not base64", token.shown()))),
            };
            if padding > 0 {
                return Err(token.error("base64 goes on after its padding"));
            }
            digits += 1;
            bits = bits << 6 | u32::from(value);
            held += 6;
            if held >= 8 {
                held -= 8;
                bytes.push((bits >> held) as u8);
                bits &= (1 << held) - 1;
            }
        }
    }
    if !(digits + padding).is_multiple_of(4) || padding > 2 || bits != 0 {
        return Err(last.error("base64 that ends too early"));
    }
    Ok(bytes)
}
