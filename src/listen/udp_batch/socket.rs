//! The socket options and the thread's processor that the safe crates lack.
//!
//! Must not know batches.
#![allow(unsafe_code)]

use std::io;
use std::mem::zeroed;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::{Duration, Instant};

use libc::c_int;

/// Has the kernel tell each request's destination: needed on wildcard sockets, so
/// that the answer leaves from the address asked.
///
/// # Errors
/// As `setsockopt(2)`.
pub fn tell_destination(socket: BorrowedFd<'_>, v6: bool) -> io::Result<()> {
    if v6 {
        set_option(socket, libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, 1)
    } else {
        set_option(socket, libc::IPPROTO_IP, libc::IP_PKTINFO, 1)
    }
}

/// Makes forged "fragmentation needed" messages powerless: path MTUs learned that way
/// are not used, and no datagram carries DF (RFC 9715 section 3.1).
///
/// # Errors
/// As `setsockopt(2)`.
pub fn ignore_path_mtu(socket: BorrowedFd<'_>, v6: bool) -> io::Result<()> {
    if v6 {
        let omit = libc::IPV6_PMTUDISC_OMIT;
        set_option(socket, libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, omit)
    } else {
        let omit = libc::IP_PMTUDISC_OMIT;
        set_option(socket, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, omit)
    }
}

/// Asks for receive and send buffers of `bytes`, beyond the system's limit where
/// privilege allows, else up to it.
pub fn size_buffers(socket: BorrowedFd<'_>, bytes: usize) {
    let bytes = c_int::try_from(bytes).unwrap_or(c_int::MAX);
    for (force, plain) in
        [(libc::SO_RCVBUFFORCE, libc::SO_RCVBUF), (libc::SO_SNDBUFFORCE, libc::SO_SNDBUF)]
    {
        if set_option(socket, libc::SOL_SOCKET, force, bytes).is_err() {
            // Best effort: without it the socket has the system's default size.
            let _ = set_option(socket, libc::SOL_SOCKET, plain, bytes);
        }
    }
}

/// Datagrams the kernel threw away since the socket was made, for want of room in its
/// receive queue or for a bad checksum; none: not told. Wraps at 2^32.
pub fn kernel_drops(socket: BorrowedFd<'_>) -> Option<u32> {
    let mut info = [0u32; MEMINFO_WORDS];
    let mut length = size_of_val(&info) as libc::socklen_t;
    // SAFETY: a pointer to that many bytes, and a pointer to their number.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_MEMINFO,
            info.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    let told = result == 0 && length as usize == size_of_val(&info);
    told.then(|| info[MEMINFO_WORDS - 1])
}

/// Words of `SO_MEMINFO` up to the drops (linux/sock_diag.h: `SK_MEMINFO_DROPS` is 8).
const MEMINFO_WORDS: usize = 9;

/// Lets clients send their first query with the first packet (RFC 7413), `queue` of them
/// before their address is proven. Without the kernel's leave, or on a kernel whose
/// `net.ipv4.tcp_fastopen` has it off for servers, they take the ordinary way.
pub fn fast_open(listener: BorrowedFd<'_>, queue: u16) {
    // Refused, it is off: nothing else depends on it.
    let _ = set_option(listener, libc::IPPROTO_TCP, libc::TCP_FASTOPEN, c_int::from(queue));
}

fn set_option(socket: BorrowedFd<'_>, level: c_int, name: c_int, value: c_int) -> io::Result<()> {
    // SAFETY: a pointer to one c_int, and its size.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            name,
            (&raw const value).cast(),
            size_of::<c_int>() as libc::socklen_t,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Waits up to `timeout_ms` until one of the sockets can be read; false: none.
///
/// # Errors
/// As `poll(2)`.
pub fn wait_readable(sockets: &[BorrowedFd<'_>], timeout_ms: c_int) -> io::Result<bool> {
    poll(sockets, libc::POLLIN, timeout_ms)
}

/// Waits up to `timeout_ms` until the socket can be written to. Whatever comes of it, the
/// next call shows; a thread that is woken meanwhile waits on.
pub(super) fn wait_writable(socket: BorrowedFd<'_>, timeout_ms: c_int) {
    let begun = Instant::now();
    let mut left_ms = timeout_ms;
    while left_ms > 0
        && poll(&[socket], libc::POLLOUT, left_ms)
            .is_err_and(|error| error.kind() == io::ErrorKind::Interrupted)
    {
        let elapsed_ms = c_int::try_from(begun.elapsed().as_millis()).unwrap_or(c_int::MAX);
        left_ms = timeout_ms.saturating_sub(elapsed_ms);
    }
}

fn poll(sockets: &[BorrowedFd<'_>], events: i16, timeout_ms: c_int) -> io::Result<bool> {
    let mut polled: Vec<libc::pollfd> = sockets
        .iter()
        .map(|socket| libc::pollfd { fd: socket.as_raw_fd(), events, revents: 0 })
        .collect();
    // SAFETY: a pointer to that many pollfds.
    let ready = unsafe { libc::poll(polled.as_mut_ptr(), polled.len() as _, timeout_ms) };
    if ready < 0 { Err(io::Error::last_os_error()) } else { Ok(ready > 0) }
}

/// The processors this thread may run on, in ascending order.
///
/// # Errors
/// As `sched_getaffinity(2)`.
pub fn allowed_processors() -> io::Result<Vec<usize>> {
    // SAFETY: all zeroes is the empty set.
    let mut set: libc::cpu_set_t = unsafe { zeroed() };
    // SAFETY: a pointer to one set, and its size; 0 is this thread.
    let result = unsafe { libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &raw mut set) };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    let all = 0..libc::CPU_SETSIZE as usize;
    // SAFETY: every index is below CPU_SETSIZE.
    Ok(all.filter(|&cpu| unsafe { libc::CPU_ISSET(cpu, &set) }).collect())
}

/// Keeps this thread on one processor.
///
/// # Errors
/// As `sched_setaffinity(2)`; `InvalidInput` for a processor no set can name.
pub fn pin_to(processor: usize) -> io::Result<()> {
    if processor >= libc::CPU_SETSIZE as usize {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // SAFETY: all zeroes is the empty set; the index was checked; a pointer to one
    // set, and its size.
    let result = unsafe {
        let mut set: libc::cpu_set_t = zeroed();
        libc::CPU_SET(processor, &mut set);
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set)
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// The lowest priority there is.
const NICENESS_MAX: i32 = 19;

/// `struct sched_attr`, as its first version is (`sched_setattr(2)`).
#[repr(C)]
struct SchedulingAttributes {
    size: u32,
    policy: u32,
    flags: u64,
    nice: i32,
    priority: u32,
    /// For the normal policy a thread's slice, from Linux 6.12 on; unheeded before.
    runtime_ns: u64,
    deadline_ns: u64,
    period_ns: u64,
}

/// Makes this thread one that others come before: `niceness` is added to what it has, `slice` the longest that a thread which wakes waits for it. It cannot be
/// taken back without privilege.
///
/// # Errors
/// As `sched_setattr(2)`.
pub fn give_way(niceness: i32, slice: Duration) -> io::Result<()> {
    // SAFETY: no pointer is passed; 0 is this thread.
    let current = unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) };
    let attributes = SchedulingAttributes {
        size: size_of::<SchedulingAttributes>() as u32,
        policy: libc::SCHED_BATCH as u32,
        flags: 0,
        nice: (current + niceness).min(NICENESS_MAX),
        priority: 0,
        runtime_ns: slice.as_nanos() as u64,
        deadline_ns: 0,
        period_ns: 0,
    };
    // SAFETY: a pointer to whole attributes that say their own size; the kernel reads
    // them and keeps nothing.
    let result = unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attributes, 0) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
