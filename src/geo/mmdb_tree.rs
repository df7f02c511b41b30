//! The search tree of a MaxMind DB file, walked in address order.
//!
//! A hostile tree whose nodes share children could keep a walk busy for 2⁹⁶ steps:
//! this one counts them.
//! Format: <https://maxmind.github.io/MaxMind-DB/>, "Binary Search Tree Section".

use super::key::Key;
use super::mmdb_data::Fault;
use super::pages::{DatabaseBytes, Pages};

/// Levels above the IPv4 part of an IPv6 tree, which lies at ::/96.
const IPV4_DEPTH: u32 = 96;

/// Nodes visited, relative to all there are, above which a tree is refused.
/// A sound one has no node with two parents, except where IPv6 prefixes alias
/// its IPv4 part, which are skipped.
const VISITS_PER_NODE_MAX: u64 = 2;

/// A search tree.
pub(super) struct Tree<'a> {
    /// At least `node_count` nodes.
    pages: Pages<'a>,
    node_count: u32,
    /// Bits of one of a node's two records: 24, 28 or 32.
    record_bits: u16,
    ip_version: u16,
}

/// Where a walk found something, and what: the tree's pointer to a record, or
/// `None` for nothing.
type Leaf<'f, K> = dyn FnMut(K, Option<u32>) -> Result<(), Fault> + 'f;

impl<'a> Tree<'a> {
    /// `None`: the bytes are too few or the sizes are not of this format.
    pub(super) fn new(
        from: &'a dyn DatabaseBytes,
        node_count: u32,
        record_bits: u16,
        ip_version: u16,
    ) -> Option<Tree<'a>> {
        let sound = matches!(record_bits, 24 | 28 | 32) && node_count > 0;
        let tree = Tree { pages: Pages::new(from), node_count, record_bits, ip_version };
        (sound && tree.pages.length() >= tree.length()).then_some(tree)
    }

    /// How many bytes it takes.
    pub(super) fn length(&self) -> u64 {
        u64::from(self.node_count) * u64::from(self.record_bits) / 4
    }

    /// Gives every leaf of the IPv4 part, in order; they cover all of IPv4.
    pub(super) fn walk_v4(&mut self, leaf: &mut Leaf<'_, u32>) -> Result<(), Fault> {
        let root = self.ipv4_root()?;
        self.walk(root, None, leaf)
    }

    /// Gives every leaf of the IPv6 part, in order; they cover all of IPv6. The
    /// IPv4 part and its aliases come as nothing.
    pub(super) fn walk_v6(&mut self, leaf: &mut Leaf<'_, u128>) -> Result<(), Fault> {
        if self.ip_version == 4 {
            return leaf(0, None);
        }
        let skipped = self.ipv4_root()?;
        self.walk(0, Some(skipped), leaf)
    }

    /// The node, or leaf, where ::/96 leads.
    fn ipv4_root(&mut self) -> Result<u32, Fault> {
        let mut node = 0;
        if self.ip_version == 6 {
            for _ in 0..IPV4_DEPTH {
                if node >= self.node_count {
                    break;
                }
                [node, _] = self.children(node)?;
            }
        }
        Ok(node)
    }

    fn walk<K: Key>(
        &mut self,
        root: u32,
        skipped: Option<u32>,
        leaf: &mut Leaf<'_, K>,
    ) -> Result<(), Fault> {
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
                return Err(Fault::damaged("its search tree refers to itself"));
            }
            let half = K::narrow(1 << (K::BITS - 1 - depth));
            let [left, right] = self.children(node)?;
            waiting.push((right, first + half, depth + 1));
            waiting.push((left, first, depth + 1));
        }
        Ok(())
    }

    /// A node's left and right record. The node is below `node_count`.
    fn children(&mut self, node: u32) -> Result<[u32; 2], Fault> {
        let size = usize::from(self.record_bits) / 4;
        let mut bytes = [0; 8];
        self.pages.read(u64::from(node) * size as u64, &mut bytes[..size])?;
        let [a, b, c, d, e, f, g, _] = bytes;
        Ok(match self.record_bits {
            24 => [u32::from_be_bytes([0, a, b, c]), u32::from_be_bytes([0, d, e, f])],
            // Seven bytes: the middle one holds the top four bits of each.
            28 => [u32::from_be_bytes([d >> 4, a, b, c]), u32::from_be_bytes([d & 0x0f, e, f, g])],
            _ => [u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, bytes[7]])],
        })
    }
}
