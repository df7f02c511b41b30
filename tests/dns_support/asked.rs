//! Requests from words: a name, a type, and how it is asked.

use std::net::IpAddr;

use windrose::answer::Peer;
use windrose::dns::Name;
use windrose::metrics::Transport;

use super::message;

/// A request and how it comes.
pub(crate) struct Asked {
    pub(crate) message: Vec<u8>,
    pub(crate) peer: Peer,
    udp_size: Option<u16>,
}

/// A query while its words are read.
struct Words {
    flags: [u8; 2],
    class: u16,
    udp_size: Option<u16>,
    version: u8,
    edns_flags: u16,
    options: Vec<u8>,
    tail: Vec<u8>,
    client: IpAddr,
    transport: Transport,
}

impl Asked {
    /// A name, a type and [`Words::word`]s; `-` and words for no question; `hex` and
    /// bytes for any message.
    pub(crate) fn read(text: &str) -> Result<Asked, String> {
        let mut words = Words {
            flags: [0, 0],
            class: 1,
            udp_size: None,
            version: 0,
            edns_flags: 0,
            options: Vec::new(),
            tail: Vec::new(),
            client: [192, 0, 2, 53].into(),
            transport: Transport::Udp,
        };
        let (text, is_bare) = match text.strip_prefix("- ") {
            Some(rest) => (format!(". A {rest}"), true),
            None => (text.to_owned(), false),
        };
        let text = text.as_str();
        if let Some(rest) = text.strip_prefix("hex") {
            let peer = Peer { address: words.client, transport: words.transport };
            return Ok(Asked { message: read_hex(rest)?, peer, udp_size: None });
        }
        let mut parts = text.split_whitespace();
        let name =
            Name::parse(parts.next().ok_or("no name")?).map_err(|error| error.to_string())?;
        let rtype = parts.next().ok_or("no type")?;
        let rtype = rtype_of(rtype).ok_or_else(|| format!("no such type: {rtype}"))?;
        for word in parts {
            words.word(word).ok_or_else(|| format!("not understood: {word}"))?;
        }
        let additional = u8::from(words.udp_size.is_some());
        let mut message =
            vec![0xab, 0xcd, words.flags[0], words.flags[1], 0, 1, 0, 0, 0, 0, 0, additional];
        if is_bare {
            message[5] = 0;
        } else {
            message.extend(name.wire());
            message.extend(rtype.to_be_bytes());
            message.extend(words.class.to_be_bytes());
        }
        if let Some(size) = words.udp_size {
            message.extend([0, 0, 41]);
            message.extend(size.to_be_bytes());
            message.extend([0, words.version]);
            message.extend(words.edns_flags.to_be_bytes());
            message.extend((words.options.len() as u16).to_be_bytes());
            message.extend(&words.options);
        }
        message.extend(&words.tail);
        let peer = Peer { address: words.client, transport: words.transport };
        Ok(Asked { message, peer, udp_size: words.udp_size })
    }

    /// Most bytes its reply may have (RFC 9715: min(1232, the client's size),
    /// 512 where that is less or absent).
    pub(crate) fn largest(&self) -> usize {
        match self.peer.transport {
            Transport::Udp => usize::from(self.udp_size.unwrap_or(512).clamp(512, 1232)),
            _ => 65_535,
        }
    }
}

impl Words {
    /// One word behind a query's name and type:
    ///
    /// `rd` `ad` `cd` `z` flags; `ch` or `class=4` the class; `tcp`, `dot`, `doh`
    /// or `doq`; `client=192.0.2.1`; `edns` or `size=4096`; `version=1`; `do`;
    /// `ednsflags=4000` in hex; `nsid`; `ecs=192.0.2.0/24`; `option=10:0102`
    /// a code and hex; `tail=00` bytes behind everything.
    fn word(&mut self, word: &str) -> Option<()> {
        let (key, value) = word.split_once('=').unwrap_or((word, ""));
        match key {
            "rd" => self.flags[0] |= 1,
            "tc" => self.flags[0] |= 2,
            "aa" => self.flags[0] |= 4,
            "cd" => self.flags[1] |= 0x10,
            "ad" => self.flags[1] |= 0x20,
            "z" => self.flags[1] |= 0x40,
            "ra" => self.flags[1] |= 0x80,
            "ch" => self.class = 3,
            "class" => self.class = value.parse().ok()?,
            "tcp" => self.transport = Transport::Tcp,
            "dot" => self.transport = Transport::Dot,
            "doh" => self.transport = Transport::Doh,
            "doq" => self.transport = Transport::Doq,
            "client" => self.client = value.parse().ok()?,
            "tail" => self.tail = read_hex(value).ok()?,
            "size" => self.udp_size = Some(value.parse().ok()?),
            _ => {
                self.udp_size.get_or_insert(4096);
                match key {
                    "edns" => {}
                    "version" => self.version = value.parse().ok()?,
                    "do" => self.edns_flags |= 0x8000,
                    "ednsflags" => self.edns_flags |= u16::from_str_radix(value, 16).ok()?,
                    "nsid" => self.option(3, &[]),
                    "ecs" => self.subnet(value)?,
                    "option" => {
                        let (code, data) = value.split_once(':')?;
                        self.option(code.parse().ok()?, &read_hex(data).ok()?);
                    }
                    _ => return None,
                }
            }
        }
        Some(())
    }

    fn option(&mut self, code: u16, data: &[u8]) {
        self.options.extend(code.to_be_bytes());
        self.options.extend((data.len() as u16).to_be_bytes());
        self.options.extend(data);
    }

    fn subnet(&mut self, text: &str) -> Option<()> {
        let network: ipnet::IpNet = text.parse().ok()?;
        let (family, octets) = match network.addr() {
            IpAddr::V4(address) => (1, address.octets().to_vec()),
            IpAddr::V6(address) => (2, address.octets().to_vec()),
        };
        let mut data = vec![0, family, network.prefix_len(), 0];
        data.extend(&octets[..usize::from(network.prefix_len()).div_ceil(8)]);
        self.option(8, &data);
        Some(())
    }
}

fn rtype_of(text: &str) -> Option<u16> {
    let known = (0..=260).find(|&number| message::type_text(number) == text);
    known.or_else(|| text.strip_prefix("TYPE")?.parse().ok())
}

fn read_hex(text: &str) -> Result<Vec<u8>, String> {
    let digits: String = text.split_whitespace().collect();
    let pair =
        |at: usize| digits.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
    (0..digits.len())
        .step_by(2)
        .map(|at| pair(at).ok_or_else(|| format!("not hex: {text}")))
        .collect()
}
