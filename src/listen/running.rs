//! Starting what was bound, and stopping it again.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use socket2::Socket;
use thiserror::Error;
use tokio::runtime::Handle;
use tokio_rustls::TlsAcceptor;

use super::doh::Site;
use super::encrypted::BoundSocket;
use super::proxy::Proxies;
use super::quic::QuicListening;
use super::tcp::{Listeners, Listening, TcpServer};
use super::udp::{Stop, Worker};
use super::udp_batch::{allowed_processors, kernel_drops, pin_to, wait_readable, wake};
use super::{
    Bound, DropCounts, Drops, Moved, Offered, OfferedSocket, Responder, ResponderFactory,
    TcpCounts, TcpOptions, Transport, doh_connection, doh3, doq,
};
use crate::tls::Certificate;

/// How long [`Running::stop`] waits for the UDP threads: each needs one batch.
const JOIN_WAIT: Duration = Duration::from_millis(900);

/// How often a thread that is to stop is woken.
const WAKE_EVERY: Duration = Duration::from_millis(1);

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
    /// With which encrypted transports are spoken.
    pub certificate: Option<Arc<Certificate>>,
    /// Path of DNS over HTTPS.
    pub doh_path: String,
    /// Sources that say who their client is.
    pub proxies: Option<Arc<Proxies>>,
}

impl Default for StartOptions {
    fn default() -> StartOptions {
        // Past 64 a larger batch saves nothing measurable, and delays its first reply.
        StartOptions {
            udp_batch: 64,
            pin: false,
            tcp: TcpOptions::default(),
            certificate: None,
            doh_path: "/dns-query".to_owned(),
            proxies: None,
        }
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
    /// An encrypted transport cannot be spoken.
    #[error("cannot speak {transport} on {address}: {why}")]
    Encrypted {
        /// What was to be spoken.
        transport: Transport,
        /// Where it listens.
        address: SocketAddr,
        /// What is missing.
        why: String,
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
    /// What each address was asked as and its TCP listener, to be handed over; gone when
    /// that is over, for an address must not seem to listen on.
    asked: Mutex<Vec<(SocketAddr, TcpListener)>>,
    /// The same of encrypted transports.
    encrypted: Mutex<Vec<BoundSocket>>,
    encrypted_local: Vec<(Transport, SocketAddr)>,
    certificate: Option<Arc<Certificate>>,
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
    /// Index of its address.
    address: usize,
    socket: Arc<Socket>,
    drops: Arc<Drops>,
    handle: Mutex<Option<JoinHandle<()>>>,
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
        let mut asked = Vec::new();
        let failed = |(address, source)| StartError::Tcp { address, source };
        for (index, address) in self.addresses.into_iter().enumerate() {
            // A worker's threads are on the same processor, whatever the address.
            let workers = address.udp.into_iter().enumerate();
            sockets.extend(workers.map(|(worker, socket)| (index, worker, socket)));
            let copy = address.tcp.try_clone().map_err(|error| failed((address.local, error)))?;
            asked.push((address.asked, copy));
            let (address, listener) = (address.local, address.tcp);
            listeners.push(Listening { address, listener, transport: Transport::Tcp, tls: None });
        }
        let mut kept = Vec::new();
        let mut quic = Vec::new();
        let is_http3 = |bound: &&BoundSocket| bound.transport == Transport::Doh3;
        let http3_port = self.encrypted.iter().find(is_http3).map(|bound| bound.local.port());
        let site = Arc::new(Site::new(options.doh_path.clone(), http3_port));
        for bound in self.encrypted {
            let address = bound.local;
            kept.push(bound.copy().map_err(|error| failed((address, error)))?);
            let tls = tls_of(&bound, options.certificate.as_ref())?;
            let (address, transport) = (bound.local, bound.transport);
            if transport.is_datagram() {
                let socket = bound.into_datagrams();
                quic.push(QuicListening { address, socket, transport, tls });
            } else {
                let tls = Some(TlsAcceptor::from(tls));
                listeners.push(Listening {
                    address,
                    listener: bound.into_listener(),
                    transport,
                    tls,
                });
            }
        }
        let proxies = &options.proxies;
        let listeners = Listeners { tcp: listeners, quic, site, proxies: proxies.clone() };
        let tcp = TcpServer::start(listeners, factory, &options.tcp, runtime);
        let mut running = Running {
            local,
            stop: Arc::default(),
            udp: Vec::new(),
            tcp: tcp.map_err(failed)?,
            asked: Mutex::new(asked),
            encrypted_local: kept.iter().map(|bound| (bound.transport, bound.local)).collect(),
            encrypted: Mutex::new(kept),
            certificate: options.certificate.clone(),
        };
        // Without the list nothing is pinned; with it, worker w has the w-th of them.
        let processors =
            if options.pin { allowed_processors().unwrap_or_default() } else { Vec::new() };
        for (index, (address, worker, socket)) in sockets.into_iter().enumerate() {
            let socket = Arc::new(socket);
            let drops = Arc::<Drops>::default();
            let state = Worker {
                socket: Arc::clone(&socket),
                local: running.local[address].ip(),
                batch: options.udp_batch,
                responder: factory.udp(index),
                proxies: proxies.clone(),
                drops: Arc::clone(&drops),
                stop: Arc::clone(&running.stop),
            };
            let processor = processors.get(worker % processors.len().max(1)).copied();
            let handle = Mutex::new(Some(spawn(index, processor, state)?));
            running.udp.push(UdpThread { address, socket, drops, handle });
        }
        Ok(running)
    }
}

/// TLS of an encrypted transport, with its protocols (ALPN).
fn tls_of(
    bound: &BoundSocket,
    certificate: Option<&Arc<Certificate>>,
) -> Result<Arc<rustls::ServerConfig>, StartError> {
    let (transport, address) = (bound.transport, bound.local);
    let failed = |why: String| StartError::Encrypted { transport, address, why };
    let certificate = certificate.ok_or_else(|| failed("no certificate".to_owned()))?;
    let protocols: &[&[u8]] = match transport {
        Transport::Doh => &doh_connection::PROTOCOLS,
        Transport::Doq => &[doq::PROTOCOL],
        Transport::Doh3 => &[doh3::PROTOCOL],
        _ => &[b"dot"],
    };
    certificate.server_config(protocols).map_err(|error| failed(error.to_string()))
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

    /// The addresses of encrypted transports, in the order configured.
    pub fn encrypted_addrs(&self) -> &[(Transport, SocketAddr)] {
        &self.encrypted_local
    }

    /// TCP connections, now and since the start.
    pub fn tcp(&self) -> TcpCounts {
        let of_tcp = |(of, counts)| (of == Transport::Tcp).then_some(counts);
        self.connections().into_iter().find_map(of_tcp).unwrap_or_default()
    }

    /// Connections of each transport that has them, likewise.
    pub fn connections(&self) -> Vec<(Transport, TcpCounts)> {
        self.tcp.counts()
    }

    /// The certificate of encrypted transports.
    pub fn certificate(&self) -> Option<&Arc<Certificate>> {
        self.certificate.as_ref()
    }

    /// What each UDP thread does, for who watches them.
    pub fn pulses(&self) -> Vec<Pulse> {
        let ended = |thread: &UdpThread| {
            let handle = thread.handle.lock().unwrap_or_else(PoisonError::into_inner);
            handle.as_ref().is_none_or(JoinHandle::is_finished)
        };
        let pulse = |thread: &UdpThread| Pulse {
            ended: ended(thread),
            waiting: wait_readable(&[thread.socket.as_fd()], 0).unwrap_or(false),
            batches: thread.drops.batches(),
        };
        self.udp.iter().map(pulse).collect()
    }

    /// Stops taking requests, answers those already taken or queued, closes the
    /// connections and joins the threads, all within a second, for which it blocks (so
    /// not on a thread that the TCP runtime needs);
    /// false: a thread or task did not end and is left behind.
    pub fn stop(self) -> bool {
        self.stop_now()
    }

    /// Calls `offer` with the sockets of every address, in the order configured: of plain
    /// DNS, and of encrypted transports.
    pub fn offered<T>(&self, offer: impl FnOnce(&[Offered<'_>], &[OfferedSocket<'_>]) -> T) -> T {
        let (asked, encrypted) = (self.asked(), self.encrypted());
        let encrypted: Vec<_> = encrypted.iter().map(BoundSocket::offered).collect();
        let offered: Vec<Offered<'_>> = asked
            .iter()
            .enumerate()
            .map(|(index, (asked, listener))| {
                let of_address = self.udp.iter().filter(|thread| thread.address == index);
                let udp = of_address.map(|thread| thread.socket.as_fd()).collect();
                Offered { asked: *asked, udp, tcp: listener.as_fd() }
            })
            .collect();
        offer(&offered, &encrypted)
    }

    /// As [`Running::stop`], for sockets that another process serves already: what they
    /// queue is its, connections go to `take` between two of their messages, and what
    /// cannot within `limit` is closed.
    pub fn hand_over(&self, limit: Duration, take: impl FnMut(Moved)) -> bool {
        self.stop.set();
        self.tcp.hand_over();
        let threads = self.join_threads(Instant::now() + JOIN_WAIT);
        self.forget_sockets();
        self.tcp.wait_for_moved(limit, take) & threads
    }

    /// Goes on with a connection of the process before. Closed, if there is no room.
    pub fn adopt(&self, moved: Moved) {
        self.tcp.adopt(moved);
    }

    /// The same for listeners that others hold too.
    pub fn stop_now(&self) -> bool {
        self.stop.set();
        self.forget_sockets();
        self.tcp.drain();
        let deadline = Instant::now() + JOIN_WAIT;
        self.each_thread(wake::wake);
        self.tcp.wait() & self.join_threads(deadline)
    }

    /// Wakes the threads until they have ended; false: one did not, or not as it should.
    fn join_threads(&self, deadline: Instant) -> bool {
        self.each_thread(wake::wake);
        let mut all = true;
        for thread in &self.udp {
            let handle = thread.handle.lock().unwrap_or_else(PoisonError::into_inner).take();
            let Some(handle) = handle else { continue };
            while !handle.is_finished() && Instant::now() < deadline {
                std::thread::sleep(WAKE_EVERY);
                wake::wake(&handle);
            }
            all &= handle.is_finished() && handle.join().is_ok();
        }
        all
    }

    fn each_thread(&self, act: fn(&JoinHandle<()>)) {
        for thread in &self.udp {
            let handle = thread.handle.lock().unwrap_or_else(PoisonError::into_inner);
            handle.iter().for_each(act);
        }
    }

    fn forget_sockets(&self) {
        self.asked().clear();
        self.encrypted().clear();
    }

    fn encrypted(&self) -> MutexGuard<'_, Vec<BoundSocket>> {
        self.encrypted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn asked(&self) -> MutexGuard<'_, Vec<(SocketAddr, TcpListener)>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.stop.is_set() {
            self.stop_now();
        }
    }
}
