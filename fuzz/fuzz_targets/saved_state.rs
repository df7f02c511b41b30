//! Any bytes as kept health state: a whole history, which comes back as it is when
//! it is written again, or an error.

use windrose::health::saved::Saved;

pub(crate) fn run(data: &[u8]) {
    if let Ok(saved) = Saved::decode(data) {
        check(&saved);
    }
    // Behind a right checksum: the rest of the decoder.
    let mut forged = data.to_vec();
    forged.extend(xxhash_rust::xxh3::xxh3_128(data).to_le_bytes());
    if let Ok(saved) = Saved::decode(&forged) {
        check(&saved);
    }
}

fn check(saved: &Saved) {
    assert_eq!(&Saved::decode(&saved.encode()).unwrap(), saved);
}
