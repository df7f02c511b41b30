//! What is written comes back, and what was cut or changed does not.

use proptest::prelude::*;

use super::*;

fn kept(seed: u32) -> KeptTarget {
    KeptTarget {
        machine: KeptMachine {
            eligible: seed & 1 == 0,
            known: seed & 2 == 0,
            failures: seed as u8,
            successes: (seed >> 1) as u8,
            doublings: (seed >> 2) as u8,
            flap_left_ms: seed % 600_000,
        },
        stale: seed & 8 == 0,
        since_s: seed ^ 0x5555,
        lost_at_s: seed.wrapping_mul(3),
        transitions: [seed, seed / 2, u32::MAX],
    }
}

fn saved(targets: u32, holds: u32) -> Saved {
    let key = |number: u32| xxh3_128(&number.to_le_bytes());
    let hold = |number: u32| SavedHold {
        verdict: key(number),
        judged: key(!number),
        kind: 1,
        since_s: number,
    };
    Saved {
        written_at_s: 1_800_000_000,
        targets: (0..targets).map(|number| (key(number), kept(number))).collect(),
        holds: (0..holds).map(hold).collect(),
    }
}

/// The file with its checksum made right after `change`.
fn forged(saved: &Saved, change: impl Fn(&mut Vec<u8>)) -> Vec<u8> {
    let mut bytes = saved.encode();
    bytes.truncate(bytes.len() - 16);
    change(&mut bytes);
    let checksum = xxh3_128(&bytes);
    bytes.extend(checksum.to_le_bytes());
    bytes
}

#[test]
fn what_was_written_is_read() {
    for saved in [Saved::default(), saved(1, 0), saved(0, 1), saved(100, 7)] {
        assert_eq!(Saved::decode(&saved.encode()).unwrap(), saved);
    }
}

#[test]
fn a_file_cut_anywhere_is_refused() {
    let bytes = saved(10, 3).encode();
    for length in 0..bytes.len() {
        let reason = Saved::decode(&bytes[..length]).unwrap_err();
        assert_eq!(reason, Unusable::Cut(length));
    }
}

#[test]
fn a_flipped_bit_anywhere_is_seen() {
    let whole = saved(10, 3).encode();
    for at in 0..whole.len() {
        for bit in 0..8 {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << bit;
            assert!(Saved::decode(&bytes).is_err(), "bit {bit} of byte {at}");
        }
    }
}

#[test]
fn two_halves_of_two_files_are_no_file() {
    let (old, new) = (saved(10, 3).encode(), Saved { written_at_s: 5, ..saved(10, 3) }.encode());
    for at in MAGIC.len() + VERSION.len() + 8..old.len() - 16 {
        let mixed = [&new[..at], &old[at..]].concat();
        assert_eq!(Saved::decode(&mixed), Err(Unusable::Checksum), "at {at}");
    }
}

#[test]
fn reasons_are_told_apart() {
    for (bytes, reason) in [
        (&b"{}"[..], Unusable::Foreign),
        (b"windrose serials 1\n", Unusable::Foreign),
        (b"", Unusable::Cut(0)),
        (b"windrose health 2\n...", Unusable::Version("2".to_owned())),
        (b"windrose health 10\n...", Unusable::Version("10".to_owned())),
        (b"windrose health \x1b[31m\n", Unusable::Version("\\u{1b}[31m".to_owned())),
    ] {
        assert_eq!(Saved::decode(bytes).unwrap_err(), reason, "{bytes:?}");
    }
}

#[test]
fn right_checksums_over_wrong_contents_are_refused() {
    let small = saved(2, 1);
    let section_at = MAGIC.len() + VERSION.len() + 8;
    let set = |at: usize, value: u8| forged(&small, |bytes| bytes[at] = value);
    for (what, bytes) in [
        ("more targets than there are", set(section_at + 6, 3)),
        ("billions of them", set(section_at + 9, 255)),
        ("entries without length", set(section_at + 4, 0)),
        ("shorter entries", set(section_at + 4, 43)),
        ("another number in all", forged(&small, |bytes| *bytes.last_mut().unwrap() = 9)),
        ("no time", forged(&small, |bytes| drop(bytes.drain(section_at - 8..bytes.len() - 12)))),
    ] {
        assert!(matches!(Saved::decode(&bytes), Err(Unusable::Content(_))), "{what}");
    }
}

#[test]
fn sections_and_fields_of_a_later_release_are_passed_over() {
    let small = saved(1, 1);
    let section_at = MAGIC.len() + VERSION.len() + 8;
    let bytes = forged(&small, |bytes| {
        // Two bytes more at the end of the only target.
        bytes.splice(section_at + 10 + 44..section_at + 10 + 44, [1, 2]);
        bytes[section_at + 4] = 46;
        // A section before the others.
        let newer = [&b"ramp"[..], &[3, 0, 2, 0, 0, 0], b"abcdef"].concat();
        bytes.splice(section_at..section_at, newer);
        let count_at = bytes.len() - 8;
        bytes[count_at] = 4;
    });
    assert_eq!(Saved::decode(&bytes).unwrap(), small);
}

#[test]
fn a_hundred_thousand_targets_are_less_than_ten_megabytes() {
    let bytes = saved(100_000, 0).encode();
    assert!(bytes.len() < 5_000_000, "{}", bytes.len());
    assert_eq!(Saved::decode(&bytes).unwrap().targets.len(), 100_000);
}

proptest! {
    #[test]
    fn any_bytes_are_a_history_or_an_error(bytes: Vec<u8>, behind: bool) {
        let bytes = if behind { [MAGIC, VERSION, &bytes].concat() } else { bytes };
        prop_assert!(Saved::decode(&bytes).is_err());
    }

    #[test]
    fn any_content_under_a_right_checksum_is_read_or_refused(
        changes in prop::collection::vec((0_usize..400, any::<u8>()), 1..8),
    ) {
        let bytes = forged(&saved(3, 2), |bytes| {
            for (at, value) in &changes {
                let at = at % bytes.len();
                bytes[at] = *value;
            }
        });
        if let Ok(saved) = Saved::decode(&bytes) {
            prop_assert!(saved.targets.len() * 44 + saved.holds.len() * 21 <= bytes.len());
        }
    }
}
