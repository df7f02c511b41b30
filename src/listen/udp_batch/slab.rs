//! Memory that the kernel and one thread write, and nobody else is near to.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};

/// Elements reached through a raw pointer alone, so that the kernel's view of them and
/// ours are one. They begin on a cache line and share none with anything else, in pairs
/// of lines as some processors fetch them.
pub(super) struct Slab<T> {
    start: *mut T,
    pub(super) len: usize,
    /// What the allocator gave, and was asked for.
    memory: *mut u8,
    layout: Layout,
}

/// Two lines of 64 bytes.
const LINE_PAIR: usize = 128;

impl Slab<u8> {
    /// Zeroes, from memory that is not there until it is used: most of the room for long
    /// messages never is.
    pub(super) fn bytes(len: usize) -> Slab<u8> {
        Slab::zeroed(len)
    }
}

impl<T> Slab<T> {
    pub(super) fn filled(len: usize, mut make: impl FnMut() -> T) -> Slab<T> {
        const { assert!(!std::mem::needs_drop::<T>()) };
        let slab = Slab::<T>::zeroed(len);
        for i in 0..len {
            // SAFETY: i < len; nothing was there that would have to be dropped.
            unsafe { slab.at(i).write(make()) };
        }
        slab
    }

    /// Room for `len` elements, all bits zero. Aligned by hand: an aligned allocation of
    /// zeroes would write them, and so have all of its pages.
    fn zeroed(len: usize) -> Slab<T> {
        const { assert!(LINE_PAIR.is_multiple_of(align_of::<T>())) };
        // Up to one pair is lost in front, and one behind, where the last may be begun.
        let size = size_of::<T>() * len + 2 * LINE_PAIR;
        let layout = Layout::array::<u8>(size).expect("a batch is some megabytes at most");
        // SAFETY: the size is not 0.
        let memory = unsafe { alloc_zeroed(layout) };
        if memory.is_null() {
            handle_alloc_error(layout);
        }
        // SAFETY: less than a pair from the start of at least two.
        let start = unsafe { memory.add(memory.align_offset(LINE_PAIR)) };
        Slab { start: start.cast(), len, memory, layout }
    }

    /// # Safety
    /// `i` is below `len`.
    pub(super) unsafe fn at(&self, i: usize) -> *mut T {
        debug_assert!(i < self.len);
        // SAFETY: the caller's promise.
        unsafe { self.start.add(i) }
    }

    /// # Safety
    /// `from + len` is within the slab, and no other reference into that part lives
    /// as long as this one.
    #[allow(clippy::mut_from_ref)] // a part of memory that is ours but never borrowed
    pub(super) unsafe fn slice<'a>(&self, from: usize, len: usize) -> &'a mut [T] {
        debug_assert!(from + len <= self.len);
        // SAFETY: the caller's promise; all elements were initialised.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(from), len) }
    }
}

impl<T> Drop for Slab<T> {
    fn drop(&mut self) {
        // SAFETY: both are of the one allocation; elements need no drop.
        unsafe { dealloc(self.memory, self.layout) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever is allocated next to it, by whomever.
    #[test]
    fn a_slab_shares_no_line_with_anything_else() {
        for len in [1, 2, 3, 64, 1_000] {
            let slab = Slab::filled(len, || [7u8; 28]);
            let memory = slab.memory as usize..slab.memory as usize + slab.layout.size();
            let first = slab.start as usize;
            let end = (first + len * 28).next_multiple_of(LINE_PAIR);
            assert!(first.is_multiple_of(LINE_PAIR));
            assert!(memory.start <= first && end <= memory.end, "{len}");
        }
    }

    #[test]
    fn elements_are_what_was_made() {
        let mut next = 0u32;
        let slab = Slab::filled(100, || {
            next += 1;
            next
        });
        // SAFETY: all of it, once.
        let elements = unsafe { slab.slice(0, 100) };
        assert!(elements.iter().copied().eq(1..=100));
        let zeroes = Slab::bytes(300);
        // SAFETY: all of it, once.
        assert_eq!(unsafe { zeroes.slice(0, 300) }, [0; 300]);
    }
}
