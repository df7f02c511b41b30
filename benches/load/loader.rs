//! The loop: which queries are outstanding, and what became of them.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use windrose::listen::udp_batch::{Batch, Wait, wait_readable};

use crate::account::Account;
use crate::check::{Rules, check};
use crate::queries::{EdnsShares, HEADER, Questions, Random, finish};
use crate::report::Report;

/// Datagrams per system call.
const BATCH: usize = 64;

/// The longest query: a name of 255 bytes, header, OPT with a subnet.
const QUERY_MAX: usize = 320;

/// How long to wait when nothing has come, in milliseconds.
const IDLE_WAIT_MS: i32 = 10;

/// Sockets with their outstanding queries.
pub(crate) struct Loader {
    lanes: Vec<Lane>,
    send: Batch,
    receive: Batch,
    questions: Questions,
    shares: EdnsShares,
    random: Random,
    rules: Rules,
    timeout: Duration,
    nap: Option<Duration>,
    server: SocketAddr,
}

/// One socket. A query's ID is its slot's number with the slot's turn above it, so that
/// a late reply to an earlier query is not taken for this one's.
struct Lane {
    socket: UdpSocket,
    slots: Vec<Slot>,
    free: Vec<u16>,
    slot_bits: u32,
}

struct Slot {
    turn: u16,
    /// When it was due; none: free.
    asked: Option<Instant>,
    number: usize,
    query: [u8; QUERY_MAX],
    length: usize,
    question: usize,
}

/// How many queries are under way.
pub(crate) struct UnderWay {
    /// Source ports.
    pub(crate) sockets: usize,
    /// Queries without a reply, over all of them.
    pub(crate) outstanding: usize,
    /// When one is lost.
    pub(crate) timeout: Duration,
    /// At a fixed rate: how long it sleeps when there is nothing to do; none: never.
    pub(crate) nap: Option<Duration>,
}

impl Loader {
    /// Connects the sockets; `outstanding` is rounded up to a multiple of them.
    ///
    /// # Errors
    /// When a socket cannot be had.
    pub(crate) fn new(
        server: SocketAddr,
        under_way: &UnderWay,
        questions: Questions,
        shares: EdnsShares,
        random: Random,
        rules: Rules,
    ) -> io::Result<Loader> {
        if under_way.nap.is_some() {
            // Else it sleeps 50 microseconds longer than told; then it does, no worse.
            let _ = std::fs::write("/proc/self/timerslack_ns", "1");
        }
        let &UnderWay { sockets, outstanding, timeout, nap } = under_way;
        let sockets = sockets.max(1);
        // A slot needs some bits of the ID for its turn.
        let slots = outstanding.div_ceil(sockets).clamp(1, 4096);
        let lanes = (0..sockets).map(|_| Lane::new(server, slots));
        Ok(Loader {
            lanes: lanes.collect::<io::Result<_>>()?,
            send: Batch::new(server.ip(), BATCH),
            receive: Batch::new(server.ip(), BATCH),
            questions,
            shares,
            random,
            rules,
            timeout,
            nap,
            server,
        })
    }

    /// Asks for `length`, then waits for what is outstanding, which is neither timed nor
    /// counted into the rate; `process` is accounted for from the first query to the last.
    ///
    /// # Errors
    /// When the process cannot be accounted for.
    pub(crate) fn run(
        &mut self,
        length: Duration,
        rate: Option<f64>,
        process: Option<u32>,
    ) -> Result<Report, String> {
        let account = |process: u32| {
            Account::of(process).map_err(|error| format!("processor time of {process}: {error}"))
        };
        let own = std::process::id();
        let mut report = Report::new(self.server, self.questions.len());
        let (before, own_before) = (process.map(account).transpose()?, account(own)?);
        let begun = Instant::now();
        let pace = rate.map(|rate| Pace { begun, rate });
        let mut next_sweep = begun + self.timeout;
        while begun.elapsed() < length {
            self.ask(&mut report, pace.as_ref());
            let got = self.collect(&mut report);
            match self.nap {
                _ if got > 0 => {}
                None if rate.is_some() => {}
                None => self.wait(),
                Some(nap) => std::thread::sleep(nap),
            }
            if Instant::now() > next_sweep {
                self.sweep(&mut report);
                next_sweep = Instant::now() + self.timeout / 4;
            }
        }
        report.seconds = begun.elapsed().as_secs_f64();
        let (after, own_after) = (process.map(account).transpose()?, account(own)?);
        report.server_ns = before.zip(after.as_ref()).map(|(before, after)| after.since(&before));
        report.loader_ns = own_after.since(&own_before);
        report.server_memory = after.map(|account| account.memory());
        self.drain(&mut report);
        Ok(report)
    }

    /// Fills every free slot, or as many as are due.
    fn ask(&mut self, report: &mut Report, pace: Option<&Pace>) {
        let Loader { lanes, send, questions, shares, random, .. } = self;
        for lane in lanes {
            let now = Instant::now();
            while let Some(&slot) = lane.free.last() {
                let due = match pace {
                    Some(pace) => pace.due(report.queries),
                    None => now,
                };
                let filled = due <= now
                    && send.push(|out| lane.fill(slot, due, questions, *shares, random, out));
                if !filled {
                    break;
                }
                lane.free.pop();
                report.queries += 1;
            }
            let sent = send.send(lane.socket.as_fd());
            // Their slots come free when they are swept as lost.
            report.send_failures += sent.failed + sent.full;
        }
    }

    /// Takes every reply that has come; how many.
    fn collect(&mut self, report: &mut Report) -> usize {
        let mut got = 0;
        for lane in &mut self.lanes {
            // Refused while nobody listens, or nothing there: the same here.
            let Ok(count) = self.receive.receive(lane.socket.as_fd(), Wait::No) else { continue };
            got += count;
            let now = Instant::now();
            let (questions, rules) = (&self.questions, &self.rules);
            self.receive.answer_each(|reply, _, _| {
                lane.settle(reply, now, questions, rules, report);
                0
            });
        }
        got
    }

    fn wait(&self) {
        let sockets: Vec<BorrowedFd<'_>> =
            self.lanes.iter().map(|lane| lane.socket.as_fd()).collect();
        // Interrupted or not, the next round looks again.
        let _ = wait_readable(&sockets, IDLE_WAIT_MS);
    }

    /// Gives up what has waited too long.
    fn sweep(&mut self, report: &mut Report) {
        for lane in &mut self.lanes {
            for (index, slot) in lane.slots.iter_mut().enumerate() {
                if slot.asked.is_some_and(|asked| asked.elapsed() > self.timeout) {
                    slot.asked = None;
                    lane.free.push(index as u16);
                    report.lost += 1;
                }
            }
        }
    }

    /// Waits for the last replies: they are checked, and lost ones counted.
    fn drain(&mut self, report: &mut Report) {
        let replies = report.replies;
        let begun = Instant::now();
        while self.lanes.iter().any(|lane| lane.free.len() < lane.slots.len()) {
            if self.collect(report) == 0 {
                self.wait();
            }
            if begun.elapsed() > self.timeout {
                self.sweep(report);
            }
        }
        report.replies = replies;
    }
}

/// When queries are due at a fixed rate.
struct Pace {
    begun: Instant,
    rate: f64,
}

impl Pace {
    fn due(&self, number: u64) -> Instant {
        self.begun + Duration::from_secs_f64(number as f64 / self.rate)
    }
}

// ---- Lane ------------------------------------------------------------------------------

impl Lane {
    fn new(server: SocketAddr, slots: usize) -> io::Result<Lane> {
        let socket = UdpSocket::bind(if server.is_ipv6() { "[::]:0" } else { "0.0.0.0:0" })?;
        socket.connect(server)?;
        let slot = || Slot {
            turn: 0,
            asked: None,
            number: 0,
            query: [0; QUERY_MAX],
            length: 0,
            question: 0,
        };
        Ok(Lane {
            socket,
            slots: std::iter::repeat_with(slot).take(slots).collect(),
            free: (0..slots as u16).rev().collect(),
            slot_bits: slots.next_power_of_two().trailing_zeros(),
        })
    }

    /// Writes the next query into `slot` and `out`; how long it is.
    fn fill(
        &mut self,
        index: u16,
        due: Instant,
        questions: &mut Questions,
        shares: EdnsShares,
        random: &mut Random,
        out: &mut [u8],
    ) -> usize {
        let slot = &mut self.slots[usize::from(index)];
        slot.turn = slot.turn.wrapping_add(1);
        slot.asked = Some(due);
        slot.number = questions.pick(random);
        slot.question = questions.write(slot.number, random, &mut slot.query[HEADER..]);
        let id = index | slot.turn.wrapping_shl(self.slot_bits);
        slot.length = finish(id, slot.question, shares.pick(random), random, &mut slot.query);
        out[..slot.length].copy_from_slice(&slot.query[..slot.length]);
        slot.length
    }

    /// Checks a reply and frees its slot.
    fn settle(
        &mut self,
        reply: &[u8],
        now: Instant,
        questions: &Questions,
        rules: &Rules,
        report: &mut Report,
    ) {
        let index = reply.first_chunk().map_or(0, |id| u16::from_be_bytes(*id));
        let index = index & ((1u32 << self.slot_bits) - 1) as u16;
        let slot = self.slots.get_mut(usize::from(index));
        let Some((slot, asked)) = slot
            .filter(|slot| reply.get(..2) == slot.query.get(..2))
            .and_then(|slot| slot.asked.take().map(|asked| (slot, asked)))
        else {
            report.strays += 1;
            return;
        };
        self.free.push(index);
        let query = &slot.query[..slot.length];
        let expected = questions.expected(slot.number);
        let (rcode, result) = check(reply, query, slot.question, expected, rules);
        report.replies += 1;
        report.rcodes[usize::from(rcode)] += 1;
        if let Err(wrong) = result {
            report.wrong[wrong as usize] += 1;
        }
        report.latency.add(now.saturating_duration_since(asked).as_nanos() as u64);
    }
}
