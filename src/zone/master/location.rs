//! LOC, a place on earth (RFC 1876): "52 22 23.000 N 4 53 32.000 E -2.00m 0.00m 10000m 10m".

use super::MasterError;
use super::number::whole;
use super::tokens::Token;

/// Thousandths of an arc second at the equator and the prime meridian.
const ZERO: u32 = 1 << 31;
/// Centimetres from the bottom of the altitude's scale to the WGS 84 spheroid.
const ALTITUDE_ZERO_CM: i64 = 10_000_000;
/// Size, horizontal and vertical precision where they are not given, in centimetres.
const DEFAULTS_CM: [u64; 3] = [100, 1_000_000, 1_000];

/// Reads the data of a LOC record.
pub(super) fn read(tokens: &[Token<'_>], last: Token<'_>) -> Result<Box<[u8]>, MasterError> {
    let mut rest = tokens;
    let latitude = angle(&mut rest, last, "N", "S", 90)?;
    let longitude = angle(&mut rest, last, "E", "W", 180)?;
    let altitude = next(&mut rest, last)?;
    let altitude_cm = centimetres(altitude)? + ALTITUDE_ZERO_CM;
    let altitude_cm =
        u32::try_from(altitude_cm).map_err(|_| altitude.error("an altitude out of range"))?;
    let mut precisions = [0; 3];
    for (precision, default_cm) in precisions.iter_mut().zip(DEFAULTS_CM) {
        *precision = match rest.split_first() {
            None => exponent(default_cm),
            Some((&token, after)) => {
                rest = after;
                let value =
                    u64::try_from(centimetres(token)?).ok().filter(|&cm| cm <= 9_000_000_000);
                exponent(value.ok_or_else(|| token.error("a size is 0m to 90000000.00m"))?)
            }
        };
    }
    if let Some(token) = rest.first() {
        return Err(token.error(format!("{} is more than belongs here", token.shown())));
    }
    let mut out = vec![0, precisions[0], precisions[1], precisions[2]];
    out.extend(latitude.to_be_bytes());
    out.extend(longitude.to_be_bytes());
    out.extend(altitude_cm.to_be_bytes());
    Ok(out.into())
}

/// `degrees [minutes [seconds]] direction`.
fn angle<'a>(
    rest: &mut &[Token<'a>],
    last: Token<'a>,
    positive: &str,
    negative: &str,
    degrees_max: u32,
) -> Result<u32, MasterError> {
    let token = next(rest, last)?;
    let degrees: u32 = whole(token)?;
    let mut milliseconds = u64::from(degrees) * 3_600_000;
    let mut parts = 0;
    loop {
        let token = next(rest, last)?;
        let word = token.word().unwrap_or_default();
        let east_or_north = word.eq_ignore_ascii_case(positive);
        if east_or_north || word.eq_ignore_ascii_case(negative) {
            if milliseconds > u64::from(degrees_max) * 3_600_000 {
                return Err(token.error(format!("more than {degrees_max} degrees")));
            }
            let offset = milliseconds as u32;
            return Ok(if east_or_north { ZERO + offset } else { ZERO - offset });
        }
        parts += 1;
        let bad =
            || token.error(format!("{word} is neither below 60 nor {positive} or {negative}"));
        milliseconds += match parts {
            1 => 60_000 * u64::from(whole::<u32>(token).ok().filter(|&m| m < 60).ok_or_else(bad)?),
            2 => decimal(word, 3).filter(|&ms| (0..60_000).contains(&ms)).ok_or_else(bad)? as u64,
            _ => return Err(bad()),
        };
    }
}

/// Metres with up to two decimals and an optional "m".
fn centimetres(token: Token<'_>) -> Result<i64, MasterError> {
    let word = token.word().unwrap_or_default();
    let number = word.strip_suffix(['m', 'M']).unwrap_or(word);
    decimal(number, 2)
        .ok_or_else(|| token.error(format!("{} is not a length in metres", token.shown())))
}

/// A decimal number times ten to the power of `places`, its most decimals.
fn decimal(text: &str, places: usize) -> Option<i64> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || whole.len() > 12 || fraction.len() > places {
        return None;
    }
    if !all_digits(whole) || !all_digits(fraction) {
        return None;
    }
    let padded = format!("{whole}{fraction:0<places$}");
    Some(sign * padded.parse::<i64>().ok()?)
}

/// Centimetres as one digit and a power of ten, four bits each.
fn exponent(centimetres: u64) -> u8 {
    let (mut digit, mut power) = (centimetres, 0);
    while digit > 9 {
        digit /= 10;
        power += 1;
    }
    (digit as u8) << 4 | power
}

fn next<'a>(rest: &mut &[Token<'a>], last: Token<'a>) -> Result<Token<'a>, MasterError> {
    let (&token, after) =
        rest.split_first().ok_or_else(|| last.error("the record's data ends too early"))?;
    *rest = after;
    Ok(token)
}
