//! Starting what was bound, and stopping it again.

use std::io;
use std::net::{Shutdown, SocketAddr};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use socket2::Socket;
use thiserror::Error;
use tokio::runtime::Handle;

use super::tcp::TcpServer;
use super::udp::{Stop, Worker};
use super::udp_batch::{allowed_processors, kernel_drops, pin_to, wait_readable};
use super::{Bound, DropCounts, Drops, Responder, ResponderFactory, TcpCounts, TcpOptions};

/// How long [`Running::stop`] waits for the UDP threads: each needs one batch.
const JOIN_WAIT: Duration = Duration::from_millis(900);

/// A UDP thread's stack; its buffers are on the heap.
const STACK_BYTES: usize = 1 << 20;

/// How to serve.
#[derive(Clone, Debug)]
pub struct StartOptions {
    /// Datagrams taken by one system call, 1 to 1,024.
    pub udp_batch: usize,
    /// Whether each UDP worker stays on one processor.
    pub pin: bool,
    /// Limits of TCP.
    pub tcp: TcpOptions,
}

impl Default for StartOptions {
    fn default() -> StartOptions {
        // Past 64 a larger batch saves nothing measurable, and delays its first reply.
        StartOptions { udp_batch: 64, pin: false, tcp: TcpOptions::default() }
    }
}

/// Why serving could not begin.
#[derive(Debug, Error)]
pub enum StartError {
    /// No thread to be had.
    #[error("cannot start thread {name}: {source}")]
    Thread {
        /// Its name.
        name: String,
        /// What the system said.
        source: io::Error,
    },
    /// The runtime cannot watch a listener.
    #[error("cannot serve TCP on {address}: {source}")]
    Tcp {
        /// Where it listens.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
}

/// The listeners at work. Dropping it stops them too.
pub struct Running {
    local: Vec<SocketAddr>,
    stop: Arc<Stop>,
    udp: Vec<UdpThread>,
    tcp: TcpServer,
}

/// A UDP thread at one look. One that had requests waiting and has served no batch by
/// the next look is stuck.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Pulse {
    /// It is no more.
    pub ended: bool,
    /// Requests wait for it.
    pub waiting: bool,
    /// Batches it has served since the start; wraps.
    pub batches: u64,
}

struct UdpThread {
    socket: Arc<Socket>,
    drops: Arc<Drops>,
    handle: Option<JoinHandle<()>>,
}

impl Bound {
    /// Starts the UDP threads, `udp-0` and so on, and TCP on `runtime`, which must have
    /// I/O and time enabled.
    ///
    /// # Errors
    /// When the system has no thread or descriptor left; what was started is stopped.
    pub fn start<F: ResponderFactory>(
        self,
        factory: &F,
        options: &StartOptions,
        runtime: &Handle,
    ) -> Result<Running, StartError> {
        let local = self.local_addrs();
        let mut sockets = Vec::new();
        let mut listeners = Vec::new();
        for address in self.addresses {
            // A worker's threads are on the same processor, whatever the address.
            let workers = address.udp.into_iter().enumerate();
            sockets.extend(workers.map(|(worker, socket)| (worker, address.local, socket)));
            listeners.push((address.local, address.tcp));
        }
        let tcp = TcpServer::start(listeners, factory, &options.tcp, runtime)
            .map_err(|(address, source)| StartError::Tcp { address, source })?;
        let mut running = Running { local, stop: Arc::default(), udp: Vec::new(), tcp };
        // Without the list nothing is pinned; with it, worker w has the w-th of them.
        let processors =
            if options.pin { allowed_processors().unwrap_or_default() } else { Vec::new() };
        for (index, (worker, local, socket)) in sockets.into_iter().enumerate() {
            let socket = Arc::new(socket);
            let drops = Arc::<Drops>::default();
            let state = Worker {
                socket: Arc::clone(&socket),
                local: local.ip(),
                batch: options.udp_batch,
                responder: factory.udp(index),
                drops: Arc::clone(&drops),
                stop: Arc::clone(&running.stop),
            };
            let processor = processors.get(worker % processors.len().max(1)).copied();
            let handle = Some(spawn(index, processor, state)?);
            running.udp.push(UdpThread { socket, drops, handle });
        }
        Ok(running)
    }
}

fn spawn<R: Responder + 'static>(
    index: usize,
    processor: Option<usize>,
    worker: Worker<R>,
) -> Result<JoinHandle<()>, StartError> {
    let name = format!("udp-{index}");
    let builder = std::thread::Builder::new().name(name.clone()).stack_size(STACK_BYTES);
    let run = move || {
        if let Some(processor) = processor
            && let Err(error) = pin_to(processor)
        {
            tracing::warn!(%error, processor, "cannot pin a UDP thread");
        }
        worker.run();
    };
    builder.spawn(run).map_err(|source| StartError::Thread { name, source })
}

impl Running {
    /// The addresses served, in the order configured.
    pub fn local_addrs(&self) -> &[SocketAddr] {
        &self.local
    }

    /// What was dropped since the start, over all UDP threads.
    pub fn drops(&self) -> DropCounts {
        let mut sum = DropCounts::default();
        for thread in &self.udp {
            sum += thread.drops.counts();
            sum.queue_full += kernel_drops(thread.socket.as_fd()).map_or(0, u64::from);
        }
        sum
    }

    /// TCP connections, now and since the start.
    pub fn tcp(&self) -> TcpCounts {
        self.tcp.counts()
    }

    /// What each UDP thread does, for who watches them.
    pub fn pulses(&self) -> Vec<Pulse> {
        let pulse = |thread: &UdpThread| Pulse {
            ended: thread.handle.as_ref().is_none_or(JoinHandle::is_finished),
            waiting: wait_readable(&[thread.socket.as_fd()], 0).unwrap_or(false),
            batches: thread.drops.batches(),
        };
        self.udp.iter().map(pulse).collect()
    }

    /// Stops taking requests, answers those already taken or queued, closes the
    /// connections and joins the threads, all within a second, for which it blocks (so
    /// not on a thread that the TCP runtime needs);
    /// false: a thread or task did not end and is left behind.
    pub fn stop(mut self) -> bool {
        self.stop_now()
    }

    fn stop_now(&mut self) -> bool {
        self.stop.set();
        for thread in &self.udp {
            // Wakes the thread out of recvmmsg. Of a socket without a peer Linux says
            // ENOTCONN, after doing it.
            let _ = thread.socket.shutdown(Shutdown::Read);
        }
        self.tcp.drain();
        let deadline = Instant::now() + JOIN_WAIT;
        let mut all = self.tcp.wait();
        for thread in &mut self.udp {
            let Some(handle) = thread.handle.take() else { continue };
            while !handle.is_finished() && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(1));
            }
            // A thread that panicked has ended, but not as it should.
            all &= handle.is_finished() && handle.join().is_ok();
        }
        all
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.stop.is_set() {
            self.stop_now();
        }
    }
}
