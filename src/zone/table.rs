//! The hash table over every name that exists: one 16-byte slot for each.
//!
//! Open addressing with linear probing; a slot holds where its name stands in
//! the arena, 32 bits of its hash, what is there and which zone it is in, so a
//! query touches one line of the table and one of the arena. A name's
//! ancestors up to the root are always in the table too. It must not know
//! what the values mean.

use super::key::{Key, name_at, same_name};

/// The zone of names above every origin.
pub(super) const NOT_OURS: u32 = 0xff_ffff;
/// Most zones: their index has 24 bits in a slot.
pub(super) const ZONES_MAX: usize = NOT_OURS as usize;
/// Of 16 slots, at most this many are used: longer runs cost more than memory.
const LOAD_SIXTEENTHS_MAX: usize = 11;
const SLOTS_MIN: usize = 16;
const SLOTS_A_LINE: usize = 64 / size_of::<Slot>();

//------------ Kind -----------------------------------------------------------

/// What a slot's value means.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    /// The slot is free.
    Vacant = 0,
    /// An empty name.
    Plain = 1,
    /// A WIP and nothing else: the value is its index.
    Wip = 2,
    /// Anything more: the value indexes the details.
    Detail = 3,
}

const KIND_MASK: u32 = 0b11;
const WILDCARD_CHILD: u32 = 0b100;
const SUSPECT: u32 = 0b1000;
const ZONE_SHIFT: u32 = 8;

//------------ Slot -----------------------------------------------------------

/// One name.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Slot {
    /// Where the canonical name starts in the arena.
    pub(super) name: u32,
    tag: u32,
    /// See [`Kind`].
    pub(super) value: u32,
    /// Zone in the upper 24 bits, kind and flags below.
    word: u32,
}

impl Slot {
    #[inline]
    pub(super) fn kind(self) -> Kind {
        match self.word & KIND_MASK {
            0 => Kind::Vacant,
            1 => Kind::Plain,
            2 => Kind::Wip,
            _ => Kind::Detail,
        }
    }

    /// The zone's index, or [`NOT_OURS`].
    #[inline]
    pub(super) fn zone(self) -> u32 {
        self.word >> ZONE_SHIFT
    }

    /// True when `*` exists under this name.
    #[inline]
    pub(super) fn has_wildcard_child(self) -> bool {
        self.word & WILDCARD_CHILD != 0
    }

    pub(super) fn set(&mut self, kind: Kind, value: u32) {
        self.word = (self.word & !KIND_MASK) | kind as u32;
        self.value = value;
    }

    pub(super) fn set_zone(&mut self, zone: u32) {
        self.word = (self.word & ((1 << ZONE_SHIFT) - 1)) | zone << ZONE_SHIFT;
    }

    pub(super) fn set_wildcard_child(&mut self) {
        self.word |= WILDCARD_CHILD;
    }

    /// While building: something may cover this name.
    pub(super) fn is_suspect(self) -> bool {
        self.word & SUSPECT != 0
    }

    pub(super) fn set_suspect(&mut self) {
        self.word |= SUSPECT;
    }
}

//------------ Table ----------------------------------------------------------

/// All slots.
#[derive(Debug)]
pub(super) struct Table {
    slots: Vec<Slot>,
    used: usize,
}

impl Table {
    /// Room for `names` names without growing.
    pub(super) fn with_capacity(names: usize) -> Table {
        Table { slots: vec![Slot::default(); slots_for(names)], used: 0 }
    }

    /// How many names.
    pub(super) fn len(&self) -> usize {
        self.used
    }

    /// Bytes held.
    pub(super) fn memory_bytes(&self) -> usize {
        self.slots.capacity() * size_of::<Slot>()
    }

    /// The index of the slot of `name` (any case), whose hash is `hash`.
    #[inline]
    pub(super) fn find(&self, hash: u64, name: &[u8], arena: &[u8]) -> Option<usize> {
        let mut index = self.home(hash);
        loop {
            // There is always a vacant slot, so this ends.
            let slot = self.slots[index];
            if slot.kind() == Kind::Vacant {
                return None;
            }
            if slot.tag == hash as u32 && same(arena, slot.name, name) {
                return Some(index);
            }
            index = self.next(index);
        }
    }

    /// Reads the slot that [`Table::find`] begins at, and the line where it goes on:
    /// a name that is not there is looked for over some six slots, four to a line.
    #[inline]
    pub(super) fn touch(&self, hash: u64) -> u32 {
        let home = self.home(hash);
        let further = self.slots.get(home + SLOTS_A_LINE - 1).map_or(0, |slot| slot.tag);
        self.slots[home].tag ^ further
    }

    /// The first slot whose tag is that of `hash`: nearly always the one that
    /// [`Table::find`] finds, but the name is not compared.
    #[inline]
    pub(super) fn find_tag(&self, hash: u64) -> Option<usize> {
        let mut index = self.home(hash);
        loop {
            let slot = self.slots[index];
            if slot.kind() == Kind::Vacant {
                return None;
            }
            if slot.tag == hash as u32 {
                return Some(index);
            }
            index = self.next(index);
        }
    }

    /// Whether the name of slot `index` is `name` but for case.
    #[inline]
    pub(super) fn is_name(&self, index: usize, name: &[u8], arena: &[u8]) -> bool {
        same(arena, self.slots[index].name, name)
    }

    #[inline]
    pub(super) fn slot(&self, index: usize) -> Slot {
        self.slots[index]
    }

    pub(super) fn slot_mut(&mut self, index: usize) -> &mut Slot {
        &mut self.slots[index]
    }

    /// All slots, free ones too.
    pub(super) fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// Marks every name there is so far.
    pub(super) fn suspect_all(&mut self) {
        for slot in self.slots.iter_mut().filter(|slot| slot.kind() != Kind::Vacant) {
            slot.set_suspect();
        }
    }

    /// Makes room for `more` further names. Slots may move.
    pub(super) fn reserve(&mut self, more: usize, arena: &[u8]) {
        let names = self.used + more;
        if slots_for(names) <= self.slots.len() {
            return;
        }
        self.rebuild(names + names / 2, arena);
    }

    /// Frees slots that no name will need. Slots may move.
    pub(super) fn shrink(&mut self, arena: &[u8]) {
        if slots_for(self.used) < self.slots.len() / 2 {
            self.rebuild(self.used, arena);
        }
    }

    /// Adds a name that is not there yet; room was reserved.
    pub(super) fn insert(&mut self, hash: u64, name: u32, zone: u32) -> usize {
        let mut slot = Slot { name, tag: hash as u32, ..Slot::default() };
        slot.set(Kind::Plain, 0);
        slot.set_zone(zone);
        self.place(hash, slot)
    }

    fn place(&mut self, hash: u64, slot: Slot) -> usize {
        let mut index = self.home(hash);
        while self.slots[index].kind() != Kind::Vacant {
            index = self.next(index);
        }
        self.slots[index] = slot;
        self.used += 1;
        index
    }

    fn rebuild(&mut self, names: usize, arena: &[u8]) {
        let old = std::mem::replace(self, Table::with_capacity(names));
        for slot in old.slots {
            if slot.kind() != Kind::Vacant {
                let key = Key::new(name_at(&arena[slot.name as usize..]));
                let hash = key.expect("the arena holds whole, checked names").hash();
                self.place(hash, slot);
            }
        }
    }

    /// Where a hash would stand: its upper bits scaled to the table's size.
    #[inline]
    fn home(&self, hash: u64) -> usize {
        ((u128::from(hash) * self.slots.len() as u128) >> 64) as usize
    }

    #[inline]
    fn next(&self, index: usize) -> usize {
        if index + 1 == self.slots.len() { 0 } else { index + 1 }
    }
}

fn slots_for(names: usize) -> usize {
    (names * 16 / LOAD_SIXTEENTHS_MAX + 1).max(SLOTS_MIN)
}

/// Names end in the root label, so none is a prefix of another.
#[inline]
fn same(arena: &[u8], at: u32, name: &[u8]) -> bool {
    let at = at as usize;
    arena.get(at..at + name.len()).is_some_and(|stored| same_name(stored, name))
}
