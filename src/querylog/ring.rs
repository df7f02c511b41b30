//! A ring of words between one writer and one reader, without a lock.
//!
//! The words are atomic, so that no `unsafe` is needed; on the machines that this runs on a
//! relaxed store of one is a plain store. The writer publishes a record by moving `head`
//! behind it, the reader frees it by moving `tail`. Who writes and who reads is for those
//! who hold the two ends: see `tap` and `writer`.

use std::sync::atomic::{AtomicU64, Ordering};

use super::Line;

/// Words of a ring: 4 MiB, some ten thousand requests with their replies.
const WORDS: usize = 1 << 19;

#[derive(Debug)]
pub(super) struct Ring {
    words: Box<[AtomicU64]>,
    /// Words written since the start; the writer's.
    head: Line<AtomicU64>,
    /// Words read since the start; the reader's.
    tail: Line<AtomicU64>,
}

impl Ring {
    pub(super) fn new() -> Ring {
        Ring::of(WORDS)
    }

    /// Of a power of two of words.
    pub(super) fn of(words: usize) -> Ring {
        let words = words.next_power_of_two();
        Ring {
            words: (0..words).map(|_| AtomicU64::new(0)).collect(),
            head: Line::default(),
            tail: Line::default(),
        }
    }

    pub(super) fn head(&self) -> u64 {
        self.head.0.load(Ordering::Acquire)
    }

    pub(super) fn tail(&self) -> u64 {
        self.tail.0.load(Ordering::Acquire)
    }

    /// The writer is done up to there.
    pub(super) fn publish(&self, head: u64) {
        self.head.0.store(head, Ordering::Release);
    }

    /// The reader is done up to there.
    pub(super) fn free(&self, tail: u64) {
        self.tail.0.store(tail, Ordering::Release);
    }

    pub(super) fn capacity(&self) -> u64 {
        self.words.len() as u64
    }

    #[inline]
    pub(super) fn set(&self, at: u64, word: u64) {
        self.words[at as usize & (self.words.len() - 1)].store(word, Ordering::Relaxed);
    }

    #[inline]
    pub(super) fn get(&self, at: u64) -> u64 {
        self.words[at as usize & (self.words.len() - 1)].load(Ordering::Relaxed)
    }

    /// Writes `bytes` from the word `at` on; the word behind them.
    #[inline]
    pub(super) fn set_bytes(&self, at: u64, bytes: &[u8]) -> u64 {
        let mut at = at;
        let mut chunks = bytes.chunks_exact(8);
        for chunk in &mut chunks {
            let word: [u8; 8] = chunk.try_into().unwrap_or_default();
            self.set(at, u64::from_le_bytes(word));
            at += 1;
        }
        let rest = chunks.remainder();
        if !rest.is_empty() {
            let mut word = [0; 8];
            word[..rest.len()].copy_from_slice(rest);
            self.set(at, u64::from_le_bytes(word));
            at += 1;
        }
        at
    }

    /// Appends `length` bytes from the word `at` on; the word behind them.
    pub(super) fn get_bytes(&self, at: u64, length: usize, out: &mut Vec<u8>) -> u64 {
        let end = out.len() + length;
        let mut at = at;
        while out.len() < end {
            let word = self.get(at).to_le_bytes();
            let part = word.len().min(end - out.len());
            out.extend_from_slice(&word[..part]);
            at += 1;
        }
        at
    }
}
