//! Replies as text, by a small reader of its own: what the server writes is not
//! judged by the server's own code.

use std::fmt::Write;

const SECTIONS: [&str; 3] = ["answer", "authority", "additional"];
const RCODES: [&str; 7] =
    ["NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "YXDOMAIN"];
const TYPES: [(u16, &str); 22] = [
    (1, "A"),
    (2, "NS"),
    (5, "CNAME"),
    (6, "SOA"),
    (12, "PTR"),
    (13, "HINFO"),
    (15, "MX"),
    (16, "TXT"),
    (28, "AAAA"),
    (33, "SRV"),
    (35, "NAPTR"),
    (39, "DNAME"),
    (43, "DS"),
    (46, "RRSIG"),
    (47, "NSEC"),
    (48, "DNSKEY"),
    (52, "TLSA"),
    (64, "SVCB"),
    (65, "HTTPS"),
    (252, "AXFR"),
    (255, "ANY"),
    (257, "CAA"),
];

/// One record as read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Record {
    /// 0 answer, 1 authority, 2 additional.
    pub(crate) section: usize,
    /// Presentation form, with the final dot, case kept.
    pub(crate) owner: String,
    pub(crate) rtype: u16,
    pub(crate) class: u16,
    pub(crate) ttl: u32,
    /// Presentation form of known types, else `\# length hex`.
    pub(crate) rdata: String,
    pub(crate) raw: Vec<u8>,
}

/// A message as read, every byte accounted for.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) id: [u8; 2],
    pub(crate) flags: [u8; 2],
    /// Question as it stands in the message.
    pub(crate) question: Vec<u8>,
    pub(crate) records: Vec<Record>,
}

impl Message {
    /// The rcode, with the upper bits of OPT.
    pub(crate) fn rcode(&self) -> u16 {
        let upper = self.opt().map_or(0, |opt| (opt.ttl >> 24) as u16);
        u16::from(self.flags[1] & 0x0f) | upper << 4
    }

    pub(crate) fn opt(&self) -> Option<&Record> {
        self.records.iter().find(|record| record.rtype == 41)
    }
}

/// Reads a message wholly; the error says what is malformed.
pub(crate) fn read(message: &[u8]) -> Result<Message, String> {
    if message.len() < 12 {
        return Err("shorter than a header".into());
    }
    let count = |at: usize| u16::from_be_bytes([message[at], message[at + 1]]);
    let mut at = 12;
    for _ in 0..count(4) {
        name(message, &mut at)?;
        at += 4;
    }
    let question = message.get(12..at).ok_or("the question ends too early")?.to_vec();
    let mut records = Vec::new();
    for section in 0..3 {
        for _ in 0..count(6 + 2 * section) {
            records.push(record(message, &mut at, section)?);
        }
    }
    if at != message.len() {
        return Err(format!("{} bytes are left over", message.len() - at));
    }
    Ok(Message { id: [message[0], message[1]], flags: [message[2], message[3]], question, records })
}

/// A reply as the lines of a case file.
pub(crate) fn show(reply: &[u8], request: &[u8]) -> Result<String, String> {
    let message = read(reply)?;
    let mut text = rcode_text(message.rcode());
    let flags = [
        (message.flags[0] & 4 != 0, "aa"),
        (message.flags[0] & 2 != 0, "tc"),
        (message.flags[0] & 1 != 0, "rd"),
        (message.flags[1] & 0x80 != 0, "ra"),
        (message.flags[1] & 0x40 != 0, "z"),
        (message.flags[1] & 0x20 != 0, "ad"),
        (message.flags[1] & 0x10 != 0, "cd"),
    ];
    for (_, flag) in flags.into_iter().filter(|(set, _)| *set) {
        text += " ";
        text += flag;
    }
    if message.flags[0] & 0x80 == 0 {
        return Err("QR is not set".into());
    }
    let opcode = message.flags[0] >> 3 & 0x0f;
    if opcode != 0 {
        write!(text, " opcode={opcode}").unwrap();
    }
    if message.id[..] != request[..2] {
        return Err("the ID is not the request's".into());
    }
    text += "\n";
    if message.question.is_empty() {
        text += "no question\n";
    } else if !request[12..].starts_with(&message.question) {
        return Err("the question is not echoed byte for byte".into());
    }
    for record in &message.records {
        if record.rtype == 41 {
            text += &opt_text(record)?;
            continue;
        }
        let class =
            if record.class == 1 { String::new() } else { format!("CLASS{} ", record.class) };
        let Record { owner, ttl, rdata, .. } = record;
        let (section, rtype) = (SECTIONS[record.section], type_text(record.rtype));
        writeln!(text, "{section} {owner} {ttl} {class}{rtype} {rdata}").unwrap();
    }
    Ok(text)
}

/// The type's mnemonic or TYPE123.
pub(crate) fn type_text(number: u16) -> String {
    let known = TYPES.iter().find(|(known, _)| *known == number);
    known.map_or_else(|| format!("TYPE{number}"), |(_, text)| (*text).to_owned())
}

fn rcode_text(rcode: u16) -> String {
    match RCODES.get(usize::from(rcode)) {
        Some(text) => (*text).to_owned(),
        None if rcode == 16 => "BADVERS".to_owned(),
        None => format!("RCODE{rcode}"),
    }
}

fn opt_text(record: &Record) -> Result<String, String> {
    if record.owner != "." {
        return Err("OPT does not belong to the root".into());
    }
    let mut text = format!("opt size={}", record.class);
    let [_, version, flags, rest] = record.ttl.to_be_bytes();
    if version != 0 {
        write!(text, " version={version}").unwrap();
    }
    if flags & 0x80 != 0 {
        text += " do";
    }
    if flags & 0x7f != 0 || rest != 0 {
        text += " z";
    }
    let mut options = record.raw.as_slice();
    while !options.is_empty() {
        let (code, length) = match options {
            [a, b, c, d, ..] => {
                (u16::from_be_bytes([*a, *b]), usize::from(*c) << 8 | usize::from(*d))
            }
            _ => return Err("an option ends too early".into()),
        };
        let data = options.get(4..4 + length).ok_or("an option ends too early")?;
        options = &options[4 + length..];
        match code {
            3 => write!(text, " nsid={:?}", String::from_utf8_lossy(data)).unwrap(),
            8 => {
                let hex = hex(&data[4..]);
                write!(text, " ecs={}:{hex}/{}/{}", data[1], data[2], data[3]).unwrap();
            }
            15 => write!(
                text,
                " ede={}:{:?}",
                u16::from_be_bytes([data[0], data[1]]),
                String::from_utf8_lossy(&data[2..])
            )
            .unwrap(),
            other => write!(text, " option{other}={}", hex(data)).unwrap(),
        }
    }
    Ok(text + "\n")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn record(message: &[u8], at: &mut usize, section: usize) -> Result<Record, String> {
    let owner = name(message, at)?;
    let fixed = message.get(*at..*at + 10).ok_or("a record ends too early")?;
    let rtype = u16::from_be_bytes([fixed[0], fixed[1]]);
    let class = u16::from_be_bytes([fixed[2], fixed[3]]);
    let ttl = u32::from_be_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]);
    let length = usize::from(u16::from_be_bytes([fixed[8], fixed[9]]));
    let start = *at + 10;
    let raw = message.get(start..start + length).ok_or("RDLENGTH is past the end")?.to_vec();
    *at = start + length;
    let rdata = rdata(message, start, rtype, &raw)?;
    Ok(Record { section, owner, rtype, class, ttl, rdata, raw })
}

/// RDATA in presentation form; its names must end where RDLENGTH says.
fn rdata(message: &[u8], start: usize, rtype: u16, raw: &[u8]) -> Result<String, String> {
    let mut at = start;
    let mut text = String::new();
    let (lead, names, tail) = match rtype {
        2 | 5 | 12 | 39 => (0, 1, 0),
        6 => (0, 2, 5),
        15 => (1, 1, 0),
        33 => (3, 1, 0),
        1 if raw.len() == 4 => {
            return Ok(std::net::Ipv4Addr::from(<[u8; 4]>::try_from(raw).unwrap()).to_string());
        }
        28 if raw.len() == 16 => {
            return Ok(std::net::Ipv6Addr::from(<[u8; 16]>::try_from(raw).unwrap()).to_string());
        }
        13 | 16 => return strings(raw),
        _ => return Ok(format!("\\# {} {}", raw.len(), hex(raw)).trim_end().to_owned()),
    };
    for _ in 0..lead {
        let number = message.get(at..at + 2).ok_or("RDATA ends too early")?;
        write!(text, "{} ", u16::from_be_bytes([number[0], number[1]])).unwrap();
        at += 2;
    }
    for _ in 0..names {
        text += &name(message, &mut at)?;
        text += " ";
    }
    for _ in 0..tail {
        let number = message.get(at..at + 4).ok_or("RDATA ends too early")?;
        write!(text, "{} ", u32::from_be_bytes(number.try_into().unwrap())).unwrap();
        at += 4;
    }
    if at != start + raw.len() {
        return Err(format!("RDATA of type {rtype} is not as long as RDLENGTH says"));
    }
    Ok(text.trim_end().to_owned())
}

fn strings(mut raw: &[u8]) -> Result<String, String> {
    let mut parts = Vec::new();
    while let Some((&length, rest)) = raw.split_first() {
        let string = rest.get(..usize::from(length)).ok_or("a string ends too early")?;
        parts.push(format!("{:?}", String::from_utf8_lossy(string)));
        raw = &rest[usize::from(length)..];
    }
    Ok(parts.join(" "))
}

/// The name at `at`, which moves behind it. Pointers must point backwards.
fn name(message: &[u8], at: &mut usize) -> Result<String, String> {
    let mut text = String::new();
    let (mut here, mut jumped, mut wire_length) = (*at, false, 1);
    loop {
        let length = usize::from(*message.get(here).ok_or("a name ends too early")?);
        match length {
            0 => {
                here += 1;
                break;
            }
            1..=63 => {
                let label =
                    message.get(here + 1..here + 1 + length).ok_or("a label ends too early")?;
                for &byte in label {
                    match byte {
                        b'.' | b'\\' => write!(text, "\\{}", char::from(byte)).unwrap(),
                        0x21..=0x7e => text.push(char::from(byte)),
                        _ => write!(text, "\\{byte:03}").unwrap(),
                    }
                }
                text.push('.');
                here += 1 + length;
                wire_length += 1 + length;
                if wire_length > 255 {
                    return Err("a name is longer than 255 bytes".into());
                }
            }
            0xc0.. => {
                let low = usize::from(*message.get(here + 1).ok_or("a pointer ends too early")?);
                let target = (length & 0x3f) << 8 | low;
                if target >= here {
                    return Err("a pointer points forwards".into());
                }
                if !jumped {
                    *at = here + 2;
                    jumped = true;
                }
                here = target;
                continue;
            }
            _ => return Err("a label of an unknown kind".into()),
        }
    }
    if !jumped {
        *at = here;
    }
    Ok(if text.is_empty() { ".".into() } else { text })
}
