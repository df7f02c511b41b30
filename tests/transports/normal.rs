//! A reply without what may differ between transports: its ID, and of its OPT record the
//! options of padding and keepalive. A server's cookie has a time in it, and is blanked.

const OPT: u16 = 41;
const COOKIE: u16 = 10;
const KEEPALIVE: u16 = 11;
const PADDING: u16 = 12;
const HEADER: usize = 12;
/// Of a cookie, the client's part.
const COOKIE_CLIENT: usize = 8;

pub(crate) struct Normal {
    pub(crate) bytes: Vec<u8>,
    question_end: usize,
    extended_rcode: u16,
}

impl Normal {
    pub(crate) fn rcode(&self) -> u16 {
        self.extended_rcode << 4 | u16::from(self.bytes[3] & 0x0f)
    }

    pub(crate) fn is_truncated(&self) -> bool {
        self.bytes[2] & 0x02 != 0
    }

    pub(crate) fn question(&self) -> &[u8] {
        &self.bytes[HEADER..self.question_end]
    }

    /// For failures that people read.
    pub(crate) fn shown(&self) -> String {
        self.bytes.escape_ascii().to_string()
    }
}

fn u16_at(bytes: &[u8], at: usize) -> usize {
    usize::from(u16::from_be_bytes([bytes[at], bytes[at + 1]]))
}

/// Where the name at `at` ends.
fn skip_name(bytes: &[u8], mut at: usize) -> usize {
    loop {
        match bytes[at] {
            0 => return at + 1,
            0xc0.. => return at + 2,
            length => at += 1 + usize::from(length),
        }
    }
}

pub(crate) fn of(reply: &[u8]) -> Normal {
    assert!(reply.len() >= HEADER, "{reply:?}");
    let mut bytes = reply.to_vec();
    bytes[..2].fill(0);
    let mut at = HEADER;
    for _ in 0..u16_at(reply, 4) {
        at = skip_name(reply, at) + 4;
    }
    let (question_end, mut extended_rcode) = (at, 0);
    let records: usize = [6, 8, 10].iter().map(|count| u16_at(reply, *count)).sum();
    for _ in 0..records {
        let fixed = skip_name(&bytes, at);
        let data = fixed + 10;
        let end = data + u16_at(&bytes, fixed + 8);
        if u16_at(&bytes, fixed) == usize::from(OPT) {
            extended_rcode = u16::from(bytes[fixed + 4]);
            let options = without(&bytes[data..end]);
            let length = u16::try_from(options.len()).unwrap().to_be_bytes();
            bytes.splice(fixed + 8..end, [&length[..], &options].concat());
            at = data + options.len();
        } else {
            at = end;
        }
    }
    assert_eq!(at, bytes.len(), "records end where the reply ends");
    Normal { bytes, question_end, extended_rcode }
}

fn without(mut options: &[u8]) -> Vec<u8> {
    let mut kept = Vec::new();
    while !options.is_empty() {
        let (option, rest) = options.split_at(4 + u16_at(options, 2));
        match u16_at(option, 0) as u16 {
            KEEPALIVE | PADDING => {}
            COOKIE => {
                let mut option = option.to_vec();
                option[4 + COOKIE_CLIENT..].fill(0);
                kept.extend(option);
            }
            _ => kept.extend(option),
        }
        options = rest;
    }
    kept
}
