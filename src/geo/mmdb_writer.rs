//! A small writer of MaxMind DB files, for tests: both layouts, all three record
//! sizes, both address families, IPv4 aliases, and files broken on purpose.

use std::collections::BTreeMap;

use ipnet::IpNet;

/// A value of a record.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Text(&'static str),
    Double(f64),
    Short(u16),
    Integer(u32),
    Long(u64),
    List(Vec<Value>),
    Map(Vec<(&'static str, Value)>),
}

/// What to write.
#[derive(Clone, Debug)]
pub(super) struct Writer {
    pub(super) kind: &'static str,
    pub(super) ip_version: u16,
    /// 24, 28 or 32.
    pub(super) record_bits: u16,
    /// Whether ::ffff:0:0/96, 2002::/16 and 2001::/32 lead to the IPv4 part.
    pub(super) aliases: bool,
    pub(super) networks: Vec<(IpNet, Value)>,
}

/// A node's child.
#[derive(Clone, Copy)]
enum Child {
    Nothing,
    Node(usize),
    Record(usize),
}

impl Writer {
    pub(super) fn new(kind: &'static str, networks: &[(&str, Value)]) -> Writer {
        Writer {
            kind,
            ip_version: 6,
            record_bits: 24,
            aliases: true,
            networks: networks
                .iter()
                .map(|(net, value)| (net.parse().unwrap(), value.clone()))
                .collect(),
        }
    }

    /// The file. Of nested networks, larger ones must come first.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut data = Vec::new();
        let mut offsets: BTreeMap<String, usize> = BTreeMap::new();
        let mut nodes = vec![[Child::Nothing; 2]];
        for (net, value) in &self.networks {
            let offset = *offsets.entry(format!("{value:?}")).or_insert_with(|| {
                let offset = data.len();
                write(&mut data, value);
                offset
            });
            let (bits, length) = self.path(*net);
            insert(&mut nodes, bits, length, Child::Record(offset));
        }
        if self.ip_version == 6 && self.aliases {
            let ipv4 = insert(&mut nodes, 0, 96, Child::Nothing);
            for (prefix, length) in
                [(0xffff_u128 << 32, 96), (0x2002_u128 << 112, 16), (0x2001_u128 << 112, 32)]
            {
                insert(&mut nodes, prefix, length, ipv4);
            }
        }
        let mut file = Vec::new();
        let count = nodes.len();
        for [left, right] in nodes {
            let number = |child| match child {
                Child::Nothing => count as u32,
                Child::Node(node) => node as u32,
                Child::Record(offset) => (count + 16 + offset) as u32,
            };
            write_node(&mut file, self.record_bits, number(left), number(right));
        }
        file.extend([0; 16]);
        file.extend(data);
        file.extend(b"\xab\xcd\xefMaxMind.com");
        write(&mut file, &self.metadata(count));
        file
    }

    /// The address in the top bits, and how many of them count.
    fn path(&self, net: IpNet) -> (u128, u8) {
        match net {
            IpNet::V4(net) if self.ip_version == 6 => {
                (u128::from(u32::from(net.addr())), 96 + net.prefix_len())
            }
            IpNet::V4(net) => (u128::from(u32::from(net.addr())) << 96, net.prefix_len()),
            IpNet::V6(net) => (u128::from(net.addr()), net.prefix_len()),
        }
    }

    fn metadata(&self, node_count: usize) -> Value {
        Value::Map(vec![
            ("binary_format_major_version", Value::Short(2)),
            ("binary_format_minor_version", Value::Short(0)),
            ("build_epoch", Value::Long(1_780_617_600)),
            ("database_type", Value::Text(self.kind)),
            ("description", Value::Map(vec![])),
            ("ip_version", Value::Short(self.ip_version)),
            ("languages", Value::List(vec![])),
            ("node_count", Value::Integer(node_count as u32)),
            ("record_size", Value::Short(self.record_bits)),
        ])
    }
}

/// Puts `leaf` at a path; a leaf already on the way moves to both sides below.
/// `Nothing` only asks for what is there, made a node if it is nothing.
fn insert(nodes: &mut Vec<[Child; 2]>, bits: u128, length: u8, leaf: Child) -> Child {
    let mut node = 0;
    for depth in 0..length {
        let side = (bits >> (127 - depth) & 1) as usize;
        let child = nodes[node][side];
        let last = depth + 1 == length;
        match (last, leaf, child) {
            (true, Child::Nothing, Child::Record(_) | Child::Node(_)) => return child,
            (true, Child::Node(_) | Child::Record(_), _) => {
                nodes[node][side] = leaf;
                return leaf;
            }
            (false, _, Child::Node(next)) => node = next,
            _ => {
                nodes.push([child; 2]);
                nodes[node][side] = Child::Node(nodes.len() - 1);
                node = nodes.len() - 1;
            }
        }
    }
    Child::Node(node)
}

fn write_node(file: &mut Vec<u8>, record_bits: u16, left: u32, right: u32) {
    let (a, b) = (left.to_be_bytes(), right.to_be_bytes());
    match record_bits {
        24 => {
            file.extend(&a[1..]);
            file.extend(&b[1..]);
        }
        28 => {
            file.extend(&a[1..]);
            file.push(a[0] << 4 | b[0]);
            file.extend(&b[1..]);
        }
        _ => {
            file.extend(a);
            file.extend(b);
        }
    }
}

/// Data section format: a control byte (type, size), then the payload.
fn write(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Text(text) => {
            control(out, 2, text.len());
            out.extend(text.as_bytes());
        }
        Value::Double(number) => {
            control(out, 3, 8);
            out.extend(number.to_be_bytes());
        }
        Value::Short(number) => write_integer(out, 5, (*number).into()),
        Value::Integer(number) => write_integer(out, 6, (*number).into()),
        Value::Long(number) => write_integer(out, 9, *number),
        Value::Map(entries) => {
            control(out, 7, entries.len());
            for (key, value) in entries {
                write(out, &Value::Text(key));
                write(out, value);
            }
        }
        Value::List(values) => {
            control(out, 11, values.len());
            for value in values {
                write(out, value);
            }
        }
    }
}

/// As few bytes as the number needs.
fn write_integer(out: &mut Vec<u8>, kind: u8, number: u64) {
    let bytes = &number.to_be_bytes()[number.leading_zeros() as usize / 8..];
    control(out, kind, bytes.len());
    out.extend(bytes);
}

fn control(out: &mut Vec<u8>, kind: u8, size: usize) {
    let (size, more) = if size < 29 { (size as u8, None) } else { (29, Some(size as u8 - 29)) };
    if kind < 8 {
        out.push(kind << 5 | size);
    } else {
        out.extend([size, kind - 7]);
    }
    out.extend(more);
}
