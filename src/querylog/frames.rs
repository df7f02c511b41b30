//! Frame Streams: how dnstap's messages stand in a stream, and the handshake before them.

use std::io::{self, Read, Write};

/// What the frames hold.
const CONTENT_TYPE: &[u8] = b"protobuf:dnstap.Dnstap";
/// The one field of control frames.
const FIELD_CONTENT_TYPE: u32 = 1;
/// Longest control frame that is read.
const CONTROL_MAX: u32 = 512;

/// Kinds of control frames.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Control {
    Accept = 1,
    Start = 2,
    Stop = 3,
    Ready = 4,
    Finish = 5,
}

/// Appends a data frame that `write` writes.
pub(super) fn data(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    write(out);
    let length = (out.len() - start - 4) as u32;
    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
}

/// A control frame, with the content type where one goes along.
pub(super) fn control(kind: Control) -> Vec<u8> {
    let has_type = matches!(kind, Control::Accept | Control::Start | Control::Ready);
    let length = 4 + if has_type { 8 + CONTENT_TYPE.len() } else { 0 };
    let mut out = Vec::with_capacity(8 + length);
    let mut number = |number: u32| out.extend_from_slice(&number.to_be_bytes());
    number(0);
    number(length as u32);
    number(kind as u32);
    if has_type {
        number(FIELD_CONTENT_TYPE);
        number(CONTENT_TYPE.len() as u32);
        out.extend_from_slice(CONTENT_TYPE);
    }
    out
}

/// Says what is to come, and waits until the reader takes it.
pub(super) fn greet(stream: &mut (impl Read + Write)) -> io::Result<()> {
    stream.write_all(&control(Control::Ready))?;
    expect(stream, Control::Accept)?;
    stream.write_all(&control(Control::Start))
}

/// Reads one control frame, which must be of that kind, and of our content type if it
/// names any.
pub(super) fn expect(stream: &mut impl Read, kind: Control) -> io::Result<()> {
    let wrong = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    let escape = number(stream)?;
    let length = number(stream)?;
    if escape != 0 || !(4..=CONTROL_MAX).contains(&length) {
        return Err(wrong("it does not speak Frame Streams"));
    }
    if number(stream)? != kind as u32 {
        return Err(wrong("it does not take a stream in both directions"));
    }
    let mut fields = vec![0; length as usize - 4];
    stream.read_exact(&mut fields)?;
    let named = fields.windows(4).any(|word| word == FIELD_CONTENT_TYPE.to_be_bytes());
    let ours = fields.windows(CONTENT_TYPE.len()).any(|text| text == CONTENT_TYPE);
    if kind == Control::Accept && named && !ours {
        return Err(wrong("it takes something other than dnstap"));
    }
    Ok(())
}

fn number(stream: &mut impl Read) -> io::Result<u32> {
    let mut bytes = [0; 4];
    stream.read_exact(&mut bytes)?;
    Ok(u32::from_be_bytes(bytes))
}
