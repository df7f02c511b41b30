//! Log lines on their way out: whoever logs never waits for whoever reads.
//!
//! Standard error may be a pipe or a socket whose reader hangs. A write to it then
//! blocks for as long as that takes, so one thread of its own does the writing, and
//! nobody else waits for it: what finds no room is lost, counted, and said.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

/// Lines that wait at once: a datacenter of 50,000 targets may be lost in a second.
const LINES_MAX: usize = 65_536;
/// Their bytes: as many lines of 500 each.
const BYTES_MAX: usize = 32 << 20;
/// Lines that are kept when they are written, for those who ask later.
const LAST_MAX: usize = 500;
/// Longer ones are not kept.
const LAST_LENGTH_MAX: usize = 4 << 10;
/// Written in one go, roughly.
const BATCH_BYTES: usize = 16 << 10;

/// Takes lines; clones feed the same writer.
#[derive(Clone, Debug)]
pub(super) struct Queue(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    state: Mutex<State>,
    /// There is something to write.
    filled: Condvar,
    /// There is nothing to write, and nothing being written.
    idle: Condvar,
    lines_max: usize,
}

#[derive(Debug, Default)]
struct State {
    lines: VecDeque<Vec<u8>>,
    bytes: usize,
    /// Since it was said last.
    lost: u64,
    writing: bool,
    /// The last that were put in, written or not.
    last: VecDeque<Vec<u8>>,
}

impl State {
    /// Once lines were lost, until half of the room is free again: then the lost ones
    /// were in a row, and one line says it.
    fn has_room(&self, bytes: usize, lines_max: usize) -> bool {
        let parts = if self.lost > 0 { 2 } else { 1 };
        self.lines.len() < lines_max / parts && self.bytes + bytes <= BYTES_MAX / parts
    }
}

impl Queue {
    /// Writes what is put in to `out` from now on; `say_lost` is told how many lines
    /// found no room, and may log that.
    pub(super) fn start(out: impl Write + Send + 'static, say_lost: fn(u64)) -> io::Result<Queue> {
        Queue::bounded(LINES_MAX, out, say_lost)
    }

    fn bounded(
        lines_max: usize,
        mut out: impl Write + Send + 'static,
        say_lost: fn(u64),
    ) -> io::Result<Queue> {
        let (state, filled, idle) = (Mutex::default(), Condvar::new(), Condvar::new());
        let queue = Queue(Arc::new(Inner { state, filled, idle, lines_max }));
        let taken = queue.clone();
        thread::Builder::new().name("log".to_owned()).spawn(move || {
            loop {
                let (batch, lost) = taken.take();
                // A reader that has gone is nobody's trouble, and there is no one to tell.
                let _ = out.write_all(&batch);
                if lost > 0 {
                    say_lost(lost);
                }
            }
        })?;
        Ok(queue)
    }

    /// The next lines, and how many were lost after them; waits for either.
    fn take(&self) -> (Vec<u8>, u64) {
        let mut state = self.state();
        state.writing = false;
        while state.lines.is_empty() && state.lost == 0 {
            self.0.idle.notify_all();
            state = self.0.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.writing = true;
        let mut batch = Vec::new();
        while batch.len() < BATCH_BYTES
            && let Some(line) = state.lines.pop_front()
        {
            state.bytes -= line.len();
            batch.extend_from_slice(&line);
        }
        let lost = if state.has_room(0, self.0.lines_max) { state.lost } else { 0 };
        state.lost -= lost;
        (batch, lost)
    }

    fn put(&self, line: &[u8]) {
        let mut state = self.state();
        if line.len() <= LAST_LENGTH_MAX {
            if state.last.len() == LAST_MAX {
                state.last.pop_front();
            }
            state.last.push_back(line.to_vec());
        }
        if !state.has_room(line.len(), self.0.lines_max) {
            state.lost = state.lost.saturating_add(1);
            return;
        }
        let was_empty = state.lines.is_empty();
        state.bytes += line.len();
        state.lines.push_back(line.to_vec());
        drop(state);
        if was_empty {
            self.0.filled.notify_one();
        }
    }

    /// Waits until all is written, but no longer than `within`.
    pub(super) fn flush(&self, within: Duration) {
        let busy = |state: &mut State| state.writing || !state.lines.is_empty() || state.lost > 0;
        let idle = self.0.idle.wait_timeout_while(self.state(), within, busy);
        drop(idle);
    }

    /// What was put in last.
    pub(super) fn last_lines(&self) -> String {
        let last = self.state().last.iter().flatten().copied().collect();
        String::from_utf8(last).unwrap_or_default()
    }

    /// Never held while anything is written.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The formatter hands over a line at a time.
impl Write for Queue {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.put(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'w> MakeWriter<'w> for Queue {
    type Writer = Queue;

    fn make_writer(&'w self) -> Queue {
        self.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::mpsc;
    use std::time::Instant;

    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    /// A reader that takes a write only when told.
    struct Slow {
        tell: mpsc::Receiver<()>,
        read: mpsc::Sender<Vec<u8>>,
    }

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.tell.recv();
            let _ = self.read.send(bytes.to_vec());
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn slow(lines_max: usize, say: fn(u64)) -> (Queue, mpsc::Sender<()>, mpsc::Receiver<Vec<u8>>) {
        let (go, tell) = mpsc::channel();
        let (read, seen) = mpsc::channel();
        (Queue::bounded(lines_max, Slow { tell, read }, say).unwrap(), go, seen)
    }

    #[test]
    fn a_reader_that_hangs_holds_up_nobody_and_lost_lines_are_counted() {
        static LOST: AtomicU64 = AtomicU64::new(0);
        let (queue, go, seen) = slow(10, |lost| {
            LOST.fetch_add(lost, Ordering::Relaxed);
        });
        queue.put(b"first\n");
        // In the writer's hands, which hang.
        while !queue.state().writing {
            thread::sleep(Duration::from_millis(1));
        }
        for number in 0..25 {
            queue.put(format!("{number}\n").as_bytes());
        }
        let asked = Instant::now();
        queue.flush(Duration::from_millis(10));
        assert!(asked.elapsed() < LONG, "a stop waits so long and no longer");
        drop(go);
        queue.flush(LONG);
        let text: Vec<u8> = seen.try_iter().flatten().collect();
        let kept: String = (0..10).map(|number| format!("{number}\n")).collect();
        assert_eq!(String::from_utf8(text).unwrap(), format!("first\n{kept}"));
        assert_eq!(LOST.load(Ordering::Relaxed), 15);
        queue.put(b"again\n");
        queue.flush(LONG);
        assert_eq!(seen.try_iter().next().unwrap(), b"again\n");
    }

    #[test]
    fn lines_arrive_whole_in_order_and_before_a_flush_ends() {
        let (queue, go, seen) = slow(LINES_MAX, |_| {});
        drop(go);
        let lines: Vec<String> = (0..5_000).map(|number| format!("line {number}\n")).collect();
        for line in &lines {
            queue.put(line.as_bytes());
        }
        queue.flush(LONG);
        let text: Vec<u8> = seen.try_iter().flatten().collect();
        assert!(String::from_utf8(text).unwrap() == lines.concat());
        assert!(queue.last_lines() == lines[lines.len() - LAST_MAX..].concat());
    }

    #[test]
    fn few_long_lines_fill_it_too() {
        let (queue, _go, _seen) = slow(LINES_MAX, |_| {});
        let line = vec![b'x'; BYTES_MAX / 3];
        for _ in 0..10 {
            queue.put(&line);
        }
        let state = queue.state();
        assert!(state.bytes <= BYTES_MAX && state.lost >= 6, "{} {}", state.bytes, state.lost);
    }
}
