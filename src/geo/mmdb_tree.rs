//! The search tree of a MaxMind DB file, walked in address order.
//!
//! The reader we build on can iterate too, but a hostile tree whose nodes share
//! children could keep it busy for 2⁹⁶ steps. This walk counts its steps.
//! Format: <https://maxmind.github.io/MaxMind-DB/>, "Binary Search Tree Section".

use super::key::Key;

/// Levels above the IPv4 part of an IPv6 tree, which lies at ::/96.
const IPV4_DEPTH: u32 = 96;

/// Nodes visited, relative to all there are, above which a tree is refused.
/// A sound one has no node with two parents, except where IPv6 prefixes alias
/// its IPv4 part, which are skipped.
const VISITS_PER_NODE_MAX: u64 = 2;

/// A search tree.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tree<'a> {
    /// At least `node_count` nodes.
    bytes: &'a [u8],
    node_count: u32,
    /// Bits of one of a node's two records: 24, 28 or 32.
    record_bits: u16,
    ip_version: u16,
}

/// The tree is not one: its nodes form loops or share children.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Tangled;

/// Where a walk found something, and what: the tree's pointer to a record, or
/// `None` for nothing.
type Leaf<'f, K, E> = dyn FnMut(K, Option<u32>) -> Result<(), E> + 'f;

impl<'a> Tree<'a> {
    /// `None`: the bytes are too few or the sizes are not of this format.
    pub(super) fn new(
        bytes: &'a [u8],
        node_count: u32,
        record_bits: u16,
        ip_version: u16,
    ) -> Option<Tree<'a>> {
        let size = u64::from(node_count) * u64::from(record_bits) / 4;
        let sound = matches!(record_bits, 24 | 28 | 32) && node_count > 0;
        (sound && bytes.len() as u64 >= size).then_some(Tree {
            bytes,
            node_count,
            record_bits,
            ip_version,
        })
    }

    /// Gives every leaf of the IPv4 part, in order; they cover all of IPv4.
    pub(super) fn walk_v4<E: From<Tangled>>(self, leaf: &mut Leaf<'_, u32, E>) -> Result<(), E> {
        self.walk(self.ipv4_root(), None, leaf)
    }

    /// Gives every leaf of the IPv6 part, in order; they cover all of IPv6. The
    /// IPv4 part and its aliases come as nothing.
    pub(super) fn walk_v6<E: From<Tangled>>(self, leaf: &mut Leaf<'_, u128, E>) -> Result<(), E> {
        if self.ip_version == 4 {
            return leaf(0, None);
        }
        self.walk(0, Some(self.ipv4_root()), leaf)
    }

    /// The node, or leaf, where ::/96 leads.
    fn ipv4_root(self) -> u32 {
        let mut node = 0;
        if self.ip_version == 6 {
            for _ in 0..IPV4_DEPTH {
                if node >= self.node_count {
                    break;
                }
                node = self.child(node, false);
            }
        }
        node
    }

    fn walk<K: Key, E: From<Tangled>>(
        self,
        root: u32,
        skipped: Option<u32>,
        leaf: &mut Leaf<'_, K, E>,
    ) -> Result<(), E> {
        let visits_max = u64::from(self.node_count) * VISITS_PER_NODE_MAX;
        let mut visits = 0;
        // At most one waiting right child for each level.
        let mut waiting = vec![(root, K::default(), 0)];
        while let Some((node, first, depth)) = waiting.pop() {
            if node >= self.node_count {
                leaf(first, (node > self.node_count).then_some(node))?;
                continue;
            }
            if Some(node) == skipped {
                leaf(first, None)?;
                continue;
            }
            visits += 1;
            if visits > visits_max || depth >= K::BITS {
                return Err(Tangled.into());
            }
            let half = K::narrow(1 << (K::BITS - 1 - depth));
            waiting.push((self.child(node, true), first + half, depth + 1));
            waiting.push((self.child(node, false), first, depth + 1));
        }
        Ok(())
    }

    /// A node's left or right record. The node is below `node_count`.
    fn child(self, node: u32, right: bool) -> u32 {
        let size = usize::from(self.record_bits) / 4;
        let node = &self.bytes[node as usize * size..][..size];
        let big_endian =
            |bytes: &[u8]| bytes.iter().fold(0, |sum: u32, &byte| sum << 8 | u32::from(byte));
        match (self.record_bits, right) {
            // Seven bytes: the middle one holds the top four bits of each.
            (28, false) => u32::from(node[3] >> 4) << 24 | big_endian(&node[..3]),
            (28, true) => u32::from(node[3] & 0x0f) << 24 | big_endian(&node[4..]),
            (_, false) => big_endian(&node[..size / 2]),
            (_, true) => big_endian(&node[size / 2..]),
        }
    }
}
