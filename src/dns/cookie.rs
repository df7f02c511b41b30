//! DNS cookies (RFC 7873, RFC 9018): what a client has that has seen an answer of ours,
//! and an attacker who forges its address has not.
//!
//! ```text
//! option:  client's part 8 │ server's part 8–32, ours 16
//! ours:    version 1 │ reserved 3 │ timestamp 4 │ hash 8
//! hash:    SipHash-2-4 under the secret over client's part, version, reserved,
//!          timestamp, client's address
//! ```
//!
//! Nothing is kept of a client: all servers with the secret know the cookies of one
//! another. It must not know where secrets and the time come from.

use std::net::IpAddr;

use super::siphash::siphash24;

/// Most secrets at once: a rotation takes two, and each costs a hash of every
/// cookie that is not valid.
pub const SECRETS_MAX: usize = 4;
/// Length of the option in replies.
pub const REPLY_LENGTH: usize = CLIENT_LENGTH + SERVER_LENGTH;

const CLIENT_LENGTH: usize = 8;
/// Length of the server's part where we made it.
const SERVER_LENGTH: usize = 16;
const VERSION: u8 = 1;
/// A cookie is good for so long, in seconds (RFC 9018 4.3).
const AGE_MAX_S: i32 = 3_600;
/// A server's clock may be so much ahead of another's, in seconds (RFC 9018 4.3).
const AHEAD_MAX_S: i32 = 300;
/// An older one is replaced, in seconds (RFC 9018 4.3).
const RENEWED_AFTER_S: i32 = 1_800;

//------------ Cookie ---------------------------------------------------------

/// A cookie option as a query sent it: the client's own part of 8 bytes, then what the
/// client last got from a server, if anything.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Cookie<'a> {
    /// At least the client's part.
    raw: &'a [u8],
}

impl<'a> Cookie<'a> {
    /// Reads the option's data. `None`: malformed, to be answered FORMERR (RFC 7873 5.2.2).
    pub fn parse(raw: &'a [u8]) -> Option<Cookie<'a>> {
        matches!(raw.len(), 8 | 16..=40).then_some(Cookie { raw })
    }

    /// The client's part, to be echoed.
    pub fn client(&self) -> [u8; CLIENT_LENGTH] {
        self.raw.first_chunk().copied().unwrap_or_default()
    }

    /// The server's part; empty where the client has none yet.
    pub fn server(&self) -> &'a [u8] {
        self.raw.get(CLIENT_LENGTH..).unwrap_or_default()
    }

    /// What the cookie is worth, and the one for the reply. The first of `secrets` makes
    /// new ones, all of them recognise theirs; none: cookies are not spoken.
    pub fn judge(&self, secrets: &[Secret], address: IpAddr, now_s: u32) -> Option<Judged> {
        let first = secrets.first()?;
        let mut reply = [0; REPLY_LENGTH];
        let (client, server) = reply.split_at_mut(CLIENT_LENGTH);
        client.copy_from_slice(&self.client());
        let made_by = secrets.iter().position(|secret| self.is_of(secret, address, now_s));
        let state = match made_by {
            Some(_) => CookieState::Valid,
            None if self.server().is_empty() => CookieState::Client,
            None => CookieState::Bad,
        };
        match <&[u8; SERVER_LENGTH]>::try_from(self.server()) {
            // One of another secret is replaced at once, so that the secret can go.
            Ok(sent) if made_by == Some(0) && age_s(sent, now_s) <= RENEWED_AFTER_S => {
                server.copy_from_slice(sent);
            }
            _ => {
                let mut made = [VERSION, 0, 0, 0, 0, 0, 0, 0];
                made[4..].copy_from_slice(&now_s.to_be_bytes());
                server[..8].copy_from_slice(&made);
                server[8..].copy_from_slice(&first.hash(self.client(), made, address));
            }
        }
        Some(Judged { state, reply })
    }

    /// Whether the server's part was made with `secret` for this client, and of late.
    fn is_of(&self, secret: &Secret, address: IpAddr, now_s: u32) -> bool {
        let Ok(sent) = <&[u8; SERVER_LENGTH]>::try_from(self.server()) else { return false };
        let (&[head, hash], _) = sent.as_chunks() else { return false };
        // Compared as one word: the time it takes does not tell how much was right.
        let is_ours = u64::from_be_bytes(hash)
            == u64::from_be_bytes(secret.hash(self.client(), head, address));
        is_ours && head[0] == VERSION && (-AHEAD_MAX_S..=AGE_MAX_S).contains(&age_s(sent, now_s))
    }
}

/// Age of a server's part, negative for one from the future: in serial arithmetic, as
/// the clock's 32 bits run over (RFC 9018 4.3, RFC 1982).
fn age_s(server: &[u8; SERVER_LENGTH], now_s: u32) -> i32 {
    let [_, _, _, _, a, b, c, d, ..] = *server;
    now_s.wrapping_sub(u32::from_be_bytes([a, b, c, d])).cast_signed()
}

/// What the cookie option of a query is worth.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum CookieState {
    /// There is none, or cookies are not spoken.
    #[default]
    None,
    /// The client's part alone: it has seen no answer of ours yet.
    Client,
    /// Ours, and fresh: the client is where it says.
    Valid,
    /// Not ours, another client's, or too old.
    Bad,
}

/// A judged cookie.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Judged {
    /// Its worth.
    pub state: CookieState,
    /// The option's data in the reply: the client's part and a server's part that is good.
    pub reply: [u8; REPLY_LENGTH],
}

//------------ Secret ---------------------------------------------------------

/// What makes and recognises cookies.
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct Secret([u8; 16]);

impl Secret {
    /// A secret of these bytes.
    pub fn new(bytes: [u8; 16]) -> Secret {
        Secret(bytes)
    }

    /// One written as 32 hexadecimal digits.
    pub fn parse(text: &str) -> Option<Secret> {
        let is_hex = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_hex.then(|| u128::from_str_radix(text, 16).ok())?.map(|bits| Secret(bits.to_be_bytes()))
    }

    /// The secret as [`Secret::parse`] reads it.
    pub fn to_hex(self) -> String {
        format!("{:032x}", u128::from_be_bytes(self.0))
    }

    fn hash(&self, client: [u8; CLIENT_LENGTH], head: [u8; 8], address: IpAddr) -> [u8; 8] {
        let mut message = [0; CLIENT_LENGTH + 8 + 16];
        message[..8].copy_from_slice(&client);
        message[8..16].copy_from_slice(&head);
        let length = match address.to_canonical() {
            IpAddr::V4(address) => {
                message[16..20].copy_from_slice(&address.octets());
                20
            }
            IpAddr::V6(address) => {
                message[16..].copy_from_slice(&address.octets());
                32
            }
        };
        // The hash is written as SipHash's reference gives it: lowest byte first.
        siphash24(&self.0, &message[..length]).to_le_bytes()
    }
}

/// It is not shown.
impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(hex: &str) -> Vec<u8> {
        let digits = hex.as_bytes().chunks(2);
        digits.map(|two| u8::from_str_radix(str::from_utf8(two).unwrap(), 16).unwrap()).collect()
    }

    fn secret(hex: &str) -> Secret {
        Secret::parse(hex).unwrap()
    }

    fn judge(cookie: &str, secrets: &[&str], client: &str, now_s: u32) -> (CookieState, String) {
        let secrets: Vec<Secret> = secrets.iter().map(|hex| secret(hex)).collect();
        let raw = bytes(cookie);
        let cookie = Cookie::parse(&raw).unwrap();
        let judged = cookie.judge(&secrets, client.parse().unwrap(), now_s).unwrap();
        let hex = judged.reply.iter().map(|byte| format!("{byte:02x}")).collect();
        (judged.state, hex)
    }

    const SECRET: &str = "e5e973e5a6b2a43f48e7dc849e37bfcf";
    const CLIENT: &str = "198.51.100.100";
    const MADE_S: u32 = 1_559_731_985;
    const COOKIE: &str = "2464c4abcf10c957010000005cf79f111f8130c3eee29480";

    // The vectors of RFC 9018, appendix A, are tests of tests/rfc.

    #[test]
    fn a_cookie_is_good_for_an_hour_and_new_after_half_of_it() {
        for (age_s, state, is_echoed) in [
            (-301, CookieState::Bad, false),
            (-300, CookieState::Valid, true),
            (0, CookieState::Valid, true),
            (1_800, CookieState::Valid, true),
            (1_801, CookieState::Valid, false),
            (3_600, CookieState::Valid, false),
            (3_601, CookieState::Bad, false),
            (i32::MAX, CookieState::Bad, false),
            (i32::MIN, CookieState::Bad, false),
        ] {
            let now_s = MADE_S.wrapping_add_signed(age_s);
            let (found, reply) = judge(COOKIE, &[SECRET], CLIENT, now_s);
            assert_eq!((found, reply == COOKIE), (state, is_echoed), "{age_s} s old");
            assert_eq!(judge(&reply, &[SECRET], CLIENT, now_s).0, CookieState::Valid);
        }
    }

    #[test]
    fn the_clock_may_run_over() {
        let (_, cookie) = judge("0102030405060708", &[SECRET], CLIENT, u32::MAX - 10);
        assert_eq!(judge(&cookie, &[SECRET], CLIENT, 20), (CookieState::Valid, cookie.clone()));
    }

    #[test]
    fn every_bit_of_a_cookie_counts() {
        let raw = bytes(COOKIE);
        for bit in 0..raw.len() * 8 {
            let mut raw = raw.clone();
            raw[bit / 8] ^= 1 << (bit % 8);
            let cookie = Cookie::parse(&raw).unwrap();
            let judged = cookie.judge(&[secret(SECRET)], CLIENT.parse().unwrap(), MADE_S);
            assert_eq!(judged.unwrap().state, CookieState::Bad, "bit {bit}");
        }
    }

    #[test]
    fn another_clients_cookie_is_bad_and_a_mapped_address_is_the_clients_own() {
        assert_eq!(judge(COOKIE, &[SECRET], "198.51.100.101", MADE_S).0, CookieState::Bad);
        assert_eq!(judge(COOKIE, &[SECRET], "::ffff:198.51.100.100", MADE_S).0, CookieState::Valid);
    }

    #[test]
    fn the_second_secret_recognises_and_the_first_makes() {
        let other = "445536bcd2513298075a5d379663c962";
        let (state, reply) = judge(COOKIE, &[other, SECRET], CLIENT, MADE_S);
        assert_eq!(state, CookieState::Valid);
        assert_eq!(judge(&reply, &[other], CLIENT, MADE_S).0, CookieState::Valid);
        assert_eq!(judge(COOKIE, &[other], CLIENT, MADE_S).0, CookieState::Bad);
    }

    #[test]
    fn server_parts_of_other_lengths_are_bad() {
        for length in (16..=40).filter(|length| *length != 24) {
            let raw = [&bytes(COOKIE)[..], &[0; 16]].concat();
            let cookie = Cookie::parse(&raw[..length]).unwrap();
            let judged = cookie.judge(&[secret(SECRET)], CLIENT.parse().unwrap(), MADE_S);
            assert_eq!(judged.unwrap().state, CookieState::Bad, "{length} bytes");
        }
    }

    #[test]
    fn a_secret_is_32_digits_and_is_not_shown() {
        assert_eq!(secret(SECRET).to_hex(), SECRET);
        for text in ["", "e5", "+5e973e5a6b2a43f48e7dc849e37bfcf", &format!("{SECRET}0")] {
            assert_eq!(Secret::parse(text), None, "{text}");
        }
        assert_eq!(format!("{:?}", secret(SECRET)), "Secret(…)");
    }
}
