//! When a certificate expires: a walk through its DER to `validity.notAfter`
//! (RFC 5280 §4.1), and no more. Whether the certificate is any good, others say.
//!
//! Pure, and fed by peers: whatever the bytes, it ends with a time or with none.

/// DER tags (X.690 §8) on the way.
const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const EXPLICIT_VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

const SECONDS_PER_DAY: i64 = 86_400;

/// The unix second at which `certificate` expires; a time before 1970 is 0. None:
/// this is no certificate.
pub fn expires_s(certificate: &[u8]) -> Option<u64> {
    let (certificate, _) = element(certificate, SEQUENCE)?;
    let (mut rest, _) = element(certificate, SEQUENCE)?;
    // Version 1 does not say so.
    if rest.first() == Some(&EXPLICIT_VERSION) {
        rest = element(rest, EXPLICIT_VERSION)?.1;
    }
    let (_serial, rest) = element(rest, INTEGER)?;
    let (_signature, rest) = element(rest, SEQUENCE)?;
    let (_issuer, rest) = element(rest, SEQUENCE)?;
    let (validity, _) = element(rest, SEQUENCE)?;
    let (_not_before, rest) = time(validity)?;
    let (not_after, _) = time(rest)?;
    Some(u64::try_from(not_after).unwrap_or(0))
}

/// The content of the element with `tag` at the front, and what follows it.
fn element(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&first, rest) = bytes.split_first()?;
    if first != tag {
        return None;
    }
    let (&length, mut rest) = rest.split_first()?;
    let length = match length {
        0..=0x7f => usize::from(length),
        // Two bytes of length and more: certificates stay below 16 MiB.
        0x81..=0x83 => {
            let count = usize::from(length & 0x7f);
            let (digits, after) = rest.split_at_checked(count)?;
            rest = after;
            digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit))
        }
        _ => return None,
    };
    rest.split_at_checked(length)
}

/// The unix second of the time at the front, and what follows it.
fn time(bytes: &[u8]) -> Option<(i64, &[u8])> {
    if let Some((text, rest)) = element(bytes, UTC_TIME) {
        let (year, text) = digits(text, 2)?;
        // RFC 5280 §4.1.2.5.1
        let year = if year < 50 { 2000 + year } else { 1900 + year };
        return Some((unix_s(year, text)?, rest));
    }
    let (text, rest) = element(bytes, GENERALIZED_TIME)?;
    let (year, text) = digits(text, 4)?;
    Some((unix_s(year, text)?, rest))
}

/// "MMDDHHMMSSZ" of `year`; RFC 5280 allows no other form.
fn unix_s(year: i64, text: &[u8]) -> Option<i64> {
    let (month, text) = digits(text, 2)?;
    let (day, text) = digits(text, 2)?;
    let (hour, text) = digits(text, 2)?;
    let (minute, text) = digits(text, 2)?;
    let (second, text) = digits(text, 2)?;
    let in_range = (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second <= 60;
    if !in_range || text != b"Z" {
        return None;
    }
    let days = days_since_1970(year, month, day);
    Some(days * SECONDS_PER_DAY + hour * 3_600 + minute * 60 + second)
}

fn digits(text: &[u8], count: usize) -> Option<(i64, &[u8])> {
    let (digits, rest) = text.split_at_checked(count)?;
    let mut number = 0;
    for digit in digits {
        number = number * 10 + i64::from(char::from(*digit).to_digit(10)?);
    }
    Some((number, rest))
}

/// Days of the Gregorian calendar. Years begin in March here, so that the day that
/// some have and some have not is their last.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let leap_days = year / 4 - year / 100 + year / 400;
    365 * year + leap_days + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    fn certificate(year: i32, month: u8, day: u8) -> Vec<u8> {
        let mut params = CertificateParams::new(vec!["shop.example.com".to_owned()]).unwrap();
        params.not_after = rcgen::date_time_ymd(year, month, day);
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    #[test]
    fn the_end_of_life_is_read_in_both_forms_of_time() {
        for (date, expected_s) in [
            ((2026, 11, 22), 1_795_305_600),
            ((2024, 2, 29), 1_709_164_800),
            ((2000, 3, 1), 951_868_800),
            ((1999, 12, 31), 946_598_400),
            ((1970, 1, 1), 0),
            ((1960, 1, 1), 0),
            // From 2050 on as GeneralizedTime.
            ((2049, 12, 31), 2_524_521_600),
            ((2050, 1, 1), 2_524_608_000),
            ((2100, 3, 1), 4_107_542_400),
            ((4000, 1, 1), 64_060_588_800),
        ] {
            let der = certificate(date.0, date.1, date.2);
            assert_eq!(expires_s(&der), Some(expected_s), "{date:?}");
        }
    }

    #[test]
    fn what_is_cut_or_no_time_is_none() {
        let der = certificate(2026, 11, 22);
        assert!((0..der.len() / 2).all(|length| expires_s(&der[..length]).is_none()));
        for text in ["", "1301000000Z", "0100000000Z", "0101240000Z", "0101000000", "0101000000+01"]
        {
            assert_eq!(unix_s(2026, text.as_bytes()), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_end_with_a_time_or_none(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = expires_s(&bytes);
        }

        #[test]
        fn a_certificate_with_changed_bytes_does_no_harm(
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        ) {
            static DER: std::sync::LazyLock<Vec<u8>> =
                std::sync::LazyLock::new(|| certificate(2026, 11, 22));
            let mut der = DER.clone();
            for (index, byte) in changes {
                let at = index.index(der.len().min(200));
                der[at] = byte;
            }
            if let Some(expires_s) = expires_s(&der) {
                prop_assert!(expires_s < 253_402_300_801, "at most the year 9999");
            }
        }
    }
}
