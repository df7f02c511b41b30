//! Requests from a random number generator: queries as they should be, and then
//! less and less so.

use super::Random;
use super::rich::NAMES;

const TYPES: [u16; 30] = [
    0, 1, 2, 5, 6, 12, 13, 15, 16, 28, 33, 35, 39, 41, 43, 46, 48, 64, 65, 128, 200, 249, 250, 251,
    252, 253, 254, 255, 257, 65280,
];

/// A well-formed query, EDNS and options included more often than not.
pub(crate) fn query(random: &mut Random) -> Vec<u8> {
    let mut message = vec![random.next() as u8, random.next() as u8];
    message.push((random.next() & 0x07) as u8);
    message.push((random.next() & 0x70) as u8);
    let edns = random.below(4) != 0;
    message.extend([0, 1, 0, 0, 0, 0, 0, u8::from(edns)]);
    name(&mut message, random);
    let rtype = if random.below(3) == 0 { 1 } else { *random.pick(&TYPES) };
    message.extend(rtype.to_be_bytes());
    let class: u16 = match random.below(20) {
        0 => 3,
        1 => 255,
        _ => 1,
    };
    message.extend(class.to_be_bytes());
    if edns {
        opt(&mut message, random);
    }
    message
}

/// A query with a few bytes changed, put in, taken out or cut off; or no query at all.
pub(crate) fn spoiled(random: &mut Random) -> Vec<u8> {
    if random.below(16) == 0 {
        return (0..random.below(80)).map(|_| random.next() as u8).collect();
    }
    let mut message = query(random);
    for _ in 0..=random.below(3) {
        let at = random.below(message.len().max(1));
        match random.below(7) {
            0 => message.truncate(at),
            1 => message.insert(at.min(message.len()), random.next() as u8),
            2 if at < message.len() => drop(message.remove(at)),
            3 => message.push(random.next() as u8),
            // Counts, lengths and pointers are where it hurts.
            4 if message.len() > 12 => message[4 + random.below(8)] = random.below(4) as u8,
            5 if at < message.len() => message[at] = *random.pick(&[0, 1, 0x3f, 0x40, 0xc0, 0xff]),
            _ if at < message.len() => message[at] ^= 1 << random.below(8),
            _ => {}
        }
    }
    message
}

fn name(message: &mut Vec<u8>, random: &mut Random) {
    let known = *random.pick(&NAMES);
    let mut labels: Vec<Vec<u8>> = known
        .split('.')
        .filter(|label| !label.is_empty())
        .map(|label| label.as_bytes().to_vec())
        .collect();
    for _ in 0..random.below(3).saturating_sub(1) {
        let length = *random.pick(&[1, 1, 2, 8, 63]);
        labels.insert(0, (0..length).map(|_| random.next() as u8).collect());
    }
    let mut length = 1;
    for label in labels.iter().rev() {
        length += 1 + label.len();
    }
    if length > 255 {
        labels.remove(0);
    }
    for label in labels {
        message.push(label.len() as u8);
        let flip = random.next();
        message.extend(label.iter().enumerate().map(|(at, &byte)| {
            if byte.is_ascii_alphabetic() && flip >> (at % 64) & 1 == 1 {
                byte ^ 0x20
            } else {
                byte
            }
        }));
    }
    message.push(0);
}

fn opt(message: &mut Vec<u8>, random: &mut Random) {
    message.extend([0, 0, 41]);
    let size: u16 = *random.pick(&[0, 511, 512, 513, 600, 1232, 1400, 4096, 65535]);
    message.extend(size.to_be_bytes());
    let version = u8::from(random.below(30) == 0);
    message.extend([0, version, (random.next() & 0x80) as u8, 0]);
    let length_at = message.len();
    message.extend([0, 0]);
    for _ in 0..random.below(4) {
        let (code, data): (u16, Vec<u8>) = match random.below(6) {
            0 => (3, Vec::new()),
            1 | 2 => (8, subnet(random)),
            3 => {
                let length = *random.pick(&[0, 8, 8, 8, 9, 16, 24, 24, 40, 41]);
                (10, (0..length).map(|_| random.next() as u8).collect())
            }
            4 => (*random.pick(&[11, 12, 15, 18]), vec![0; random.below(3)]),
            _ => (random.next() as u16, vec![0; random.below(20)]),
        };
        message.extend(code.to_be_bytes());
        message.extend((data.len() as u16).to_be_bytes());
        message.extend(data);
    }
    let length = (message.len() - length_at - 2) as u16;
    message[length_at..length_at + 2].copy_from_slice(&length.to_be_bytes());
}

fn subnet(random: &mut Random) -> Vec<u8> {
    let (family, longest, first): (u8, usize, &[u8]) = match random.below(4) {
        0 => (2, 128, &[0x20, 0x01, 0x0d, 0xb8]),
        1 => (1, 32, &[10, 1, 2, 3]),
        2 => (1, 32, &[81, 1, 2, 3]),
        _ => (1, 32, &[23, 9]),
    };
    let source = random.below(longest + 1);
    let mut bytes: Vec<u8> = first.to_vec();
    bytes.resize(source.div_ceil(8), 7);
    if !source.is_multiple_of(8)
        && let Some(last) = bytes.last_mut()
    {
        *last &= 0xff << (8 - source % 8);
    }
    [vec![0, family, source as u8, 0], bytes].concat()
}
