//! SipHash-2-4: a short hash under a secret key, which others cannot predict.
//!
//! Its 64 bits suffice where a wrong guess costs a packet and a right one proves
//! little, as in DNS cookies; nothing else here may use it for more.

/// The hash of `message` under `key`.
pub fn siphash24(key: &[u8; 16], message: &[u8]) -> u64 {
    let half = |bytes: Option<&[u8; 8]>| u64::from_le_bytes(bytes.copied().unwrap_or_default());
    let (k0, k1) = (half(key.first_chunk()), half(key.last_chunk()));
    let mut state = State([
        k0 ^ 0x736f_6d65_7073_6575,
        k1 ^ 0x646f_7261_6e64_6f6d,
        k0 ^ 0x6c79_6765_6e65_7261,
        k1 ^ 0x7465_6462_7974_6573,
    ]);
    let (words, rest) = message.as_chunks();
    for word in words {
        state.compress(u64::from_le_bytes(*word));
    }
    // The last word: what is left, and the length in the byte on top.
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    last[7] = message.len() as u8;
    state.compress(u64::from_le_bytes(last));
    state.0[2] ^= 0xff;
    state.rounds(4);
    state.0.iter().fold(0, |hash, word| hash ^ word)
}

struct State([u64; 4]);

impl State {
    fn compress(&mut self, word: u64) {
        self.0[3] ^= word;
        self.rounds(2);
        self.0[0] ^= word;
    }

    fn rounds(&mut self, count: usize) {
        let State([v0, v1, v2, v3]) = self;
        for _ in 0..count {
            *v0 = v0.wrapping_add(*v1);
            *v2 = v2.wrapping_add(*v3);
            *v1 = v1.rotate_left(13) ^ *v0;
            *v3 = v3.rotate_left(16) ^ *v2;
            *v0 = v0.rotate_left(32);
            *v2 = v2.wrapping_add(*v1);
            *v0 = v0.wrapping_add(*v3);
            *v1 = v1.rotate_left(17) ^ *v2;
            *v3 = v3.rotate_left(21) ^ *v0;
            *v2 = v2.rotate_left(32);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of the reference implementation: key 00 01 … 0f, messages 00 01 ….
    #[test]
    fn the_reference_vectors_hold() {
        let key: [u8; 16] = std::array::from_fn(|index| index as u8);
        let message: [u8; 15] = std::array::from_fn(|index| index as u8);
        assert_eq!(siphash24(&key, &message), 0xa129_ca61_49be_45e5);
        assert_eq!(siphash24(&key, &[]), 0x726f_db47_dd0e_0e31);
        assert_eq!(siphash24(&key, &message[..8]), 0x93f5_f579_9a93_2462);
    }
}
