//! Messages on a stream: two bytes of length, then so many of message (RFC 1035 4.2.2).
//!
//! Pure: bytes in, bytes out. Must not know sockets, nor what a message holds.

/// The length in front of each message, in bytes.
pub const PREFIX: usize = 2;

/// What a stream's bytes begin with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Frame<'s> {
    /// A whole message, without its length.
    Message(&'s [u8]),
    /// Part of one, or nothing.
    Partial,
    /// A length of 0. No DNS message is empty: whoever sends this counts differently.
    Empty,
}

/// What `stream` begins with.
#[inline]
pub fn first(stream: &[u8]) -> Frame<'_> {
    let Some((prefix, rest)) = stream.split_first_chunk::<PREFIX>() else { return Frame::Partial };
    match usize::from(u16::from_be_bytes(*prefix)) {
        0 => Frame::Empty,
        length => rest.get(..length).map_or(Frame::Partial, Frame::Message),
    }
}

/// Writes a message behind `output`; it has at most 65,535 bytes.
pub fn put(message: &[u8], output: &mut Vec<u8>) {
    output.extend_from_slice(&(message.len() as u16).to_be_bytes());
    output.extend_from_slice(message);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_given_when_it_is_whole() {
        let stream = [0, 3, b'a', b'b', b'c', 0];
        for length in 0..5 {
            assert_eq!(first(&stream[..length]), Frame::Partial, "{length} bytes");
        }
        assert_eq!(first(&stream[..5]), Frame::Message(b"abc"));
        assert_eq!(first(&stream), Frame::Message(b"abc"));
        assert_eq!(first(&stream[5..]), Frame::Partial);
        assert_eq!(first(&[0, 0, 1]), Frame::Empty);
    }

    #[test]
    fn what_was_put_comes_back() {
        for length in [1, 2, 255, 256, 65_535] {
            let (message, mut output) = (vec![7; length], Vec::new());
            put(&message, &mut output);
            assert_eq!(first(&output), Frame::Message(&message));
        }
    }
}
