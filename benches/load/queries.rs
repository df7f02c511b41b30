//! What is asked: names from a file or a pattern, as questions in wire form, each with
//! what its answer must be.

use std::fmt;
use std::net::Ipv4Addr;

/// Type A (RFC 1035).
pub(crate) const TYPE_A: u16 = 1;
/// Type AAAA (RFC 3596).
pub(crate) const TYPE_AAAA: u16 = 28;
/// The pseudo-record of EDNS (RFC 6891).
pub(crate) const TYPE_OPT: u16 = 41;
/// The EDNS Client Subnet option (RFC 7871).
pub(crate) const OPTION_ECS: u16 = 8;

/// Bytes of a message before the question.
pub(crate) const HEADER: usize = 12;

/// Source prefix length of the subnets asked for.
const ECS_BITS: u8 = 24;

/// Letters of `{random}`: with 12 of 26, no two queries of a run are alike.
const RANDOM_LETTERS: usize = 12;

/// What a right answer holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Expected {
    /// The response code, without its EDNS part.
    pub(crate) rcode: u8,
    /// The fewest records of the type asked.
    pub(crate) answers: u16,
    /// Whether the address depends on the client.
    pub(crate) by_client: bool,
}

/// All questions of a run.
pub(crate) struct Questions {
    /// Name, type and class of each, one after another.
    wire: Vec<u8>,
    /// Where each begins, and where the last ends.
    starts: Vec<u32>,
    asked: Vec<Asked>,
    in_order: Option<usize>,
}

struct Asked {
    expected: Expected,
    /// Where in the question random letters go.
    random_at: Option<u8>,
}

/// A line that cannot be asked.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct BadQuestion {
    line: usize,
    problem: &'static str,
}

impl fmt::Display for BadQuestion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.problem)
    }
}

impl Questions {
    /// From lines of `NAME [TYPE [RCODE [ANSWERS [client|any]]]]`; `default` fills in what a
    /// line leaves out. A line given twice is asked twice as often. `{random}` in a name is
    /// replaced by other letters in every query.
    ///
    /// # Errors
    /// The first line that is no question, or that there is none.
    pub(crate) fn parse(text: &str, default: (u16, Expected)) -> Result<Questions, BadQuestion> {
        let mut questions = Questions::empty();
        for (number, line) in text.lines().enumerate() {
            let bad = |problem| BadQuestion { line: number + 1, problem };
            let mut words = line.split_whitespace();
            let Some(name) = words.next().filter(|word| !word.starts_with('#')) else { continue };
            let (mut kind, mut expected) = default;
            if let Some(word) = words.next() {
                kind = type_code(word).ok_or(bad("type is neither A, AAAA nor a number"))?;
            }
            if let Some(word) = words.next() {
                expected.rcode = word.parse().map_err(|_| bad("rcode is no number"))?;
            }
            if let Some(word) = words.next() {
                expected.answers = word.parse().map_err(|_| bad("answers is no number"))?;
            }
            expected.by_client = match words.next() {
                None => expected.by_client,
                Some("client") => true,
                Some("any") => false,
                Some(_) => return Err(bad("neither client nor any")),
            };
            questions.push(name, kind, expected).map_err(bad)?;
        }
        questions.checked()
    }

    /// `count` names of `pattern` with `{}` replaced by 0, 1 and so on; or one with
    /// `{random}`, replaced by other letters in every query.
    ///
    /// # Errors
    /// When that makes no name.
    pub(crate) fn pattern(
        pattern: &str,
        count: usize,
        (kind, expected): (u16, Expected),
    ) -> Result<Questions, BadQuestion> {
        let bad = |problem| BadQuestion { line: 0, problem };
        let mut questions = Questions::empty();
        let count = if pattern.contains("{random}") { 1 } else { count };
        for number in 0..count {
            let name = pattern.replacen("{}", &number.to_string(), 1);
            questions.push(&name, kind, expected).map_err(bad)?;
        }
        questions.checked()
    }

    /// Asks for the names in turn instead of at random.
    pub(crate) fn in_order(&mut self) {
        self.in_order = Some(0);
    }

    /// The next question's number.
    pub(crate) fn pick(&mut self, random: &mut Random) -> usize {
        let count = self.asked.len();
        match &mut self.in_order {
            Some(next) => {
                let number = *next;
                *next = (number + 1) % count;
                number
            }
            None => random.below(count),
        }
    }

    /// Writes question `number` to `out`; how long it is.
    pub(crate) fn write(&self, number: usize, random: &mut Random, out: &mut [u8]) -> usize {
        let question = &self.wire[self.starts[number] as usize..self.starts[number + 1] as usize];
        out[..question.len()].copy_from_slice(question);
        if let Some(at) = self.asked[number].random_at.map(usize::from) {
            let mut bits = random.next();
            for letter in &mut out[at..at + RANDOM_LETTERS] {
                *letter = b'a' + (bits % 26) as u8;
                bits /= 26;
            }
        }
        question.len()
    }

    /// What the answer to question `number` must be.
    pub(crate) fn expected(&self, number: usize) -> Expected {
        self.asked[number].expected
    }

    /// How many questions there are.
    pub(crate) fn len(&self) -> usize {
        self.asked.len()
    }

    fn empty() -> Questions {
        Questions { wire: Vec::new(), starts: vec![0], asked: Vec::new(), in_order: None }
    }

    fn checked(self) -> Result<Questions, BadQuestion> {
        let none = BadQuestion { line: 0, problem: "there is no question" };
        if self.asked.is_empty() { Err(none) } else { Ok(self) }
    }

    fn push(&mut self, name: &str, kind: u16, expected: Expected) -> Result<(), &'static str> {
        let start = self.wire.len();
        let letters = "x".repeat(RANDOM_LETTERS);
        let lettered = name.replacen("{random}", &letters, 1);
        for label in lettered.trim_end_matches('.').split('.').filter(|label| !label.is_empty()) {
            let length = u8::try_from(label.len()).ok().filter(|&length| length < 64);
            self.wire.push(length.ok_or("label longer than 63")?);
            self.wire.extend_from_slice(label.as_bytes());
        }
        self.wire.push(0);
        if self.wire.len() - start > 255 {
            return Err("name longer than 255");
        }
        self.wire.extend_from_slice(&kind.to_be_bytes());
        self.wire.extend_from_slice(&1u16.to_be_bytes());
        self.starts.push(u32::try_from(self.wire.len()).map_err(|_| "more than 4 GiB")?);
        let mut parts = self.wire[start..].windows(RANDOM_LETTERS);
        let random_at = if lettered == name {
            None
        } else {
            parts.position(|part| part == letters.as_bytes()).map(|at| at as u8)
        };
        self.asked.push(Asked { expected, random_at });
        Ok(())
    }
}

/// A type by its name or number.
pub(crate) fn type_code(word: &str) -> Option<u16> {
    match word.to_ascii_uppercase().as_str() {
        "A" => Some(TYPE_A),
        "AAAA" => Some(TYPE_AAAA),
        number => number.parse().ok(),
    }
}

/// What goes into the additional section.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Edns {
    /// Nothing.
    None,
    /// OPT with a size of 1,232.
    Plain,
    /// The same with the subnet of a random client, a /24.
    Ecs,
}

/// How often queries carry what, in parts of a thousand.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EdnsShares {
    /// OPT, with a subnet or without.
    pub(crate) opt: usize,
    /// OPT with a subnet.
    pub(crate) subnet: usize,
}

impl EdnsShares {
    /// For the next query.
    pub(crate) fn pick(self, random: &mut Random) -> Edns {
        let drawn = random.below(1000);
        if drawn < self.subnet {
            Edns::Ecs
        } else if drawn < self.opt {
            Edns::Plain
        } else {
            Edns::None
        }
    }
}

/// Writes the query `id` around the question of `length` bytes that is in `out` behind
/// the header's place; how long it is.
pub(crate) fn finish(
    id: u16,
    length: usize,
    edns: Edns,
    random: &mut Random,
    out: &mut [u8],
) -> usize {
    let additional = u8::from(edns != Edns::None);
    out[..2].copy_from_slice(&id.to_be_bytes());
    out[2..HEADER].copy_from_slice(&[0, 0, 0, 1, 0, 0, 0, 0, 0, additional]);
    let at = HEADER + length;
    let opt: &mut [u8] = match edns {
        Edns::None => return at,
        Edns::Plain => &mut [0, 0, 41, 0x04, 0xd0, 0, 0, 0, 0, 0, 0],
        Edns::Ecs => {
            let [a, b, c, _] = random_client(random).octets();
            &mut [0, 0, 41, 0x04, 0xd0, 0, 0, 0, 0, 0, 11, 0, 8, 0, 7, 0, 1, ECS_BITS, 0, a, b, c]
        }
    };
    out[at..at + opt.len()].copy_from_slice(opt);
    at + opt.len()
}

/// A unicast address outside 0/8 and 127/8.
fn random_client(random: &mut Random) -> Ipv4Addr {
    loop {
        let address = Ipv4Addr::from(random.next() as u32);
        if (1..224).contains(&address.octets()[0]) && !address.is_loopback() {
            return address;
        }
    }
}

// ---- Random ----------------------------------------------------------------------------

/// xorshift64*: the same run for the same seed.
pub(crate) struct Random(u64);

impl Random {
    /// From any seed.
    pub(crate) fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// The next 64 bits.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// One of 0 to `count` - 1.
    pub(crate) fn below(&mut self, count: usize) -> usize {
        ((u128::from(self.next()) * count as u128) >> 64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEFAULT: (u16, Expected) = (TYPE_A, Expected { rcode: 0, answers: 1, by_client: false });

    fn written(questions: &Questions, number: usize, random: &mut Random) -> Vec<u8> {
        let mut out = [0; 300];
        let length = questions.write(number, random, &mut out);
        out[..length].to_vec()
    }

    #[test]
    fn lines_say_what_is_asked_and_expected() {
        let text = "# comment\n\nw.example\nx.example. AAAA 3 0\n. 2 0 13 client\n";
        let questions = Questions::parse(text, DEFAULT).unwrap();
        let random = &mut Random::new(1);
        assert_eq!(questions.len(), 3);
        assert_eq!(written(&questions, 0, random), b"\x01w\x07example\0\0\x01\0\x01");
        assert_eq!(written(&questions, 1, random), b"\x01x\x07example\0\0\x1c\0\x01");
        assert_eq!(written(&questions, 2, random), b"\0\0\x02\0\x01");
        assert_eq!(questions.expected(0), DEFAULT.1);
        let none = Expected { rcode: 3, answers: 0, by_client: false };
        assert_eq!(questions.expected(1), none);
        assert_eq!(questions.expected(2), Expected { rcode: 0, answers: 13, by_client: true });
    }

    #[test]
    fn what_cannot_be_asked_is_told_with_its_line() {
        let long = "x".repeat(64);
        let longer = ["abcdefghi"; 26].join(".");
        for (text, line) in
            [("", 0), ("a\nb FOO", 2), ("a A x", 1), ("a A 0 1 some", 1), (&long, 1), (&longer, 1)]
        {
            assert_eq!(Questions::parse(text, DEFAULT).err().map(|bad| bad.line), Some(line));
        }
    }

    #[test]
    fn patterns_make_numbers_or_letters() {
        let random = &mut Random::new(7);
        let mut numbered = Questions::pattern("w{}.example", 3, DEFAULT).unwrap();
        numbered.in_order();
        let picked: Vec<usize> = (0..4).map(|_| numbered.pick(random)).collect();
        assert_eq!(picked, [0, 1, 2, 0]);
        assert_eq!(written(&numbered, 2, random), b"\x02w2\x07example\0\0\x01\0\x01");
        let lettered = Questions::pattern("{random}.example", 3, DEFAULT).unwrap();
        assert_eq!(lettered.len(), 1);
        let names: std::collections::BTreeSet<_> =
            (0..1000).map(|_| written(&lettered, 0, random)).collect();
        assert_eq!(names.len(), 1000);
        assert!(names.iter().all(|name| name[1..13].iter().all(u8::is_ascii_lowercase)));
        let mixed = Questions::parse("xxxxxxxxxxxx.example\na-{random}.example", DEFAULT).unwrap();
        assert_eq!(&written(&mixed, 0, random)[1..13], b"xxxxxxxxxxxx");
        let (one, other) = (written(&mixed, 1, random), written(&mixed, 1, random));
        assert_eq!((&one[..3], &one[15..]), (&other[..3], &other[15..]));
        assert_ne!(one, other);
    }

    #[test]
    fn shares_are_those_told() {
        let random = &mut Random::new(5);
        let shares = EdnsShares { opt: 500, subnet: 100 };
        let count = |kind, picked: &[Edns]| picked.iter().filter(|&&other| other == kind).count();
        let picked: Vec<Edns> = (0..10_000).map(|_| shares.pick(random)).collect();
        assert!((850..1150).contains(&count(Edns::Ecs, &picked)));
        assert!((3800..4200).contains(&count(Edns::Plain, &picked)));
        for (opt, subnet, kind) in
            [(0, 0, Edns::None), (1000, 0, Edns::Plain), (1000, 1000, Edns::Ecs)]
        {
            let shares = EdnsShares { opt, subnet };
            assert!((0..10_000).all(|_| shares.pick(random) == kind));
        }
    }

    #[test]
    fn random_names_are_picked_evenly() {
        let random = &mut Random::new(3);
        let mut counts = [0; 10];
        for _ in 0..10_000 {
            counts[random.below(10)] += 1;
        }
        assert!(counts.iter().all(|count| (850..1150).contains(count)), "{counts:?}");
    }
}
