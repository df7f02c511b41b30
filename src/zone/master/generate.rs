//! `$GENERATE start-stop[/step] owner [TTL] [class] type data`, as BIND has it:
//! `$` is the number, `${offset,width,base}` a changed one, `\$` a dollar sign.

use super::MasterError;
use super::tokens::Token;

/// Most records of one directive: it is for subnets, not for whole zones.
const RECORDS_MAX: u64 = 65_536;
/// Widest number.
const WIDTH_MAX: usize = 255;

/// The lines that the directive stands for.
pub(super) fn lines(name: Token<'_>, rest: &[Token<'_>]) -> Result<Vec<Vec<u8>>, MasterError> {
    let (&range, template) =
        rest.split_first().ok_or_else(|| name.error("$GENERATE needs a range: start-stop"))?;
    let (start, stop, step) = read_range(range)?;
    if template.is_empty() {
        return Err(range.error("$GENERATE needs a record behind its range"));
    }
    if (stop - start) / step >= RECORDS_MAX {
        return Err(range.error(format!("more than {RECORDS_MAX} records")));
    }
    (start..=stop).step_by(step as usize).map(|number| line(number, template)).collect()
}

fn read_range(token: Token<'_>) -> Result<(u64, u64, u64), MasterError> {
    let bad = || token.error(format!("{} is not start-stop or start-stop/step", token.shown()));
    let number = |text: &str| text.parse::<u32>().map(u64::from).map_err(|_| bad());
    let word = token.word().ok_or_else(bad)?;
    let (range, step) = word.split_once('/').unwrap_or((word, "1"));
    let (start, stop) = range.split_once('-').ok_or_else(bad)?;
    let (start, stop, step) = (number(start)?, number(stop)?, number(step)?);
    if start > stop || step == 0 {
        return Err(bad());
    }
    Ok((start, stop, step))
}

fn line(number: u64, template: &[Token<'_>]) -> Result<Vec<u8>, MasterError> {
    let mut line = Vec::new();
    for (index, token) in template.iter().enumerate() {
        if index > 0 && !token.glued {
            line.push(b' ');
        }
        if token.quoted {
            line.push(b'"');
        }
        substitute(number, *token, &mut line)?;
        if token.quoted {
            line.push(b'"');
        }
    }
    line.push(b'\n');
    Ok(line)
}

fn substitute(number: u64, token: Token<'_>, line: &mut Vec<u8>) -> Result<(), MasterError> {
    let mut rest = token.raw;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match (byte, rest.first()) {
            // An escape is kept, `\$` as well: names and strings undo it.
            (b'\\', Some(&escaped)) => {
                line.extend([byte, escaped]);
                rest = &rest[1..];
            }
            (b'$', Some(b'$')) => {
                line.push(b'$');
                rest = &rest[1..];
            }
            (b'$', Some(b'{')) => {
                let end = rest.iter().position(|&byte| byte == b'}');
                let end = end.ok_or_else(|| token.error("${ without its }"))?;
                let modifier = String::from_utf8_lossy(&rest[1..end]).into_owned();
                let shown = modified(number, &modifier).ok_or_else(|| {
                    token.error(format!("${{{modifier}}} is not ${{offset,width,base}}"))
                })?;
                line.extend(shown.into_bytes());
                rest = &rest[end + 1..];
            }
            (b'$', _) => line.extend(number.to_string().into_bytes()),
            _ => line.push(byte),
        }
    }
    Ok(())
}

/// `offset[,width[,base]]`, base one of d, o, x, X, n, N.
fn modified(number: u64, modifier: &str) -> Option<String> {
    let mut parts = modifier.split(',');
    let offset: i64 = parts.next()?.parse().ok()?;
    let width: usize = parts.next().map_or(Some(0), |width| width.parse().ok())?;
    let base = parts.next().unwrap_or("d");
    if parts.next().is_some() || width > WIDTH_MAX {
        return None;
    }
    let value = u64::try_from(i64::try_from(number).ok()?.checked_add(offset)?).ok()?;
    Some(match base {
        "d" => format!("{value:0width$}"),
        "o" => format!("{value:0width$o}"),
        "x" => format!("{value:0width$x}"),
        "X" => format!("{value:0width$X}"),
        "n" => nibbles(&format!("{value:x}"), width),
        "N" => nibbles(&format!("{value:X}"), width),
        _ => return None,
    })
}

/// Hexadecimal digits from the last to the first, with dots; `width` counts both.
fn nibbles(digits: &str, width: usize) -> String {
    let mut shown: Vec<String> = digits.chars().rev().map(String::from).collect();
    while 2 * shown.len() < width + 1 && 2 * shown.len() - 1 < width {
        shown.push("0".into());
    }
    shown.join(".")
}
