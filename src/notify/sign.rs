//! Signatures of deliveries, as Standard Webhooks has them: HMAC-SHA256 over
//! `id.timestamp.body`, in base64 behind `v1,`.

use aws_lc_rs::hmac;

/// What stands before a secret that is base64 of the key.
const ENCODED: &str = "whsec_";
/// Fewest characters of a secret.
const SECRET_LENGTH_MIN: usize = 16;

/// The key that signs.
pub(super) struct Key(hmac::Key);

impl Key {
    /// Of a secret as it stands in its file. The error says what is wrong with it, and
    /// nothing of it.
    pub(super) fn new(secret: &str) -> Result<Key, &'static str> {
        let secret = secret.trim();
        if secret.len() < SECRET_LENGTH_MIN {
            return Err("it has fewer than 16 characters");
        }
        let key = match secret.strip_prefix(ENCODED) {
            Some(encoded) => decode(encoded).ok_or("what is behind whsec_ is not base64")?,
            None => secret.as_bytes().to_vec(),
        };
        Ok(Key(hmac::Key::new(hmac::HMAC_SHA256, &key)))
    }

    /// The value of the header `webhook-signature`.
    pub(super) fn sign(&self, id: &str, timestamp_s: u64, body: &[u8]) -> String {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(format!("{id}.{timestamp_s}.").as_bytes());
        context.update(body);
        format!("v1,{}", encode(context.sign().as_ref()))
    }
}

const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Base64 (RFC 4648 4).
fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |at: usize| u32::from(chunk.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for at in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * at) & 63) as usize];
            text.push(if at <= chunk.len() { char::from(letter) } else { '=' });
        }
    }
    text
}

/// None: not base64.
fn decode(text: &str) -> Option<Vec<u8>> {
    let text = text.trim_end_matches('=');
    let (mut bytes, mut bits, mut count) = (Vec::new(), 0u32, 0);
    for letter in text.bytes() {
        let value = LETTERS.iter().position(|&known| known == letter)? as u32;
        bits = bits << 6 | value;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    // A letter alone is less than a byte.
    (text.len() % 4 != 1).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_as_the_rfc_has_it() {
        for (plain, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(encode(plain.as_bytes()), text);
            assert_eq!(decode(text).unwrap(), plain.as_bytes());
        }
        assert_eq!((decode("Zm9v!"), decode("Zm9vY")), (None, None));
    }

    /// The example of the Standard Webhooks specification's libraries.
    #[test]
    fn a_known_delivery_has_its_known_signature() {
        let key = Key::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n").unwrap();
        let id = "msg_p5jXN8AQM9LWM0D4loKWxJek";
        assert_eq!(
            key.sign(id, 1_614_265_330, br#"{"test": 2432232314}"#),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
    }

    #[test]
    fn a_bad_secret_is_refused_without_being_shown() {
        for secret in ["hunter2", "whsec_hunter2 hunter2!"] {
            let error = Key::new(secret).err().unwrap();
            assert!(!error.contains("hunter2"), "{error}");
        }
        assert!(Key::new("sixteen characters").is_ok());
    }
}
