//! Datagrams by the batch: `recvmmsg`, `sendmmsg`. The project's only `unsafe` is here
//! and in `socket`.
//!
//! A [`Batch`] owns every buffer the kernel reads or writes, allocated once. Each
//! request has a slot; replies are packed one after another, so that a batch of
//! small replies touches a few pages however large one reply may be.
//!
//! ```text
//! slot i     request bytes │ sender │ control data (address asked)
//! reply k ─► packed bytes  │ sender of slot i │ control data of slot i, sent back
//! ```
//!
//! Must not know DNS, threads or counters.
// Each use says why it holds. They rest on one invariant: the headers point
// into the batch's own `Slab`s, which live at fixed heap addresses as long as it
// does and are only ever reached through their raw pointers.
#![allow(unsafe_code)]

mod slab;
mod socket;
pub(super) mod wake;

use std::io;
use std::mem::{MaybeUninit, offset_of, zeroed};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::null_mut;

use libc::{c_int, c_uint, c_void, iovec, mmsghdr, sockaddr_in, sockaddr_in6};

use super::{GROUP_MAX, Meta, Replies, Request, Transport};

pub use super::request::{Refused, Sent, Wait};
use slab::Slab;
use socket::wait_writable;
pub use socket::{
    allowed_processors, fast_open, give_way, ignore_path_mtu, kernel_drops, pin_to, size_buffers,
    tell_destination, wait_readable,
};

/// The longest request taken, in bytes. Longer ones are dropped: we advertise
/// 1,232, and half a message must not be mistaken for a whole one.
pub const REQUEST_MAX: usize = 4096;

/// Room for one reply, in bytes.
pub const REPLY_MAX: usize = 4096;

/// One cache line more than a request: at a distance of 4,096 all requests would
/// begin in the same set of the first-level cache and evict one another.
const REQUEST_STRIDE: usize = REQUEST_MAX + 64;

/// Replies begin on a cache line.
const REPLY_ALIGN: usize = 64;

/// The most datagrams in a batch: `UIO_MAXIOV`, where the kernel cuts it.
pub const BATCH_MAX: usize = 1024;

/// How long a full send queue may hold up one batch, in milliseconds. What is
/// still unsent then is dropped: a resolver that waited longer has asked again.
const SEND_WAIT_MS: c_int = 10;

/// Buffers for up to `capacity` datagrams received and as many to send.
pub struct Batch {
    /// The address the socket is bound to; none: a wildcard, which the control
    /// data of each request tells.
    local: Option<IpAddr>,
    received: usize,
    queued: usize,
    reply_bytes_used: usize,
    requests: Slab<u8>,
    replies: Slab<u8>,
    names: Slab<Name>,
    controls: Slab<Control>,
    receive_headers: Slab<mmsghdr>,
    send_iovecs: Slab<iovec>,
    send_headers: Slab<mmsghdr>,
    /// Pointed to by `receive_headers`, read by the kernel alone.
    _receive_iovecs: Slab<iovec>,
}

// SAFETY: the raw pointers lead to heap memory the batch owns alone; nothing in it
// is tied to a thread.
unsafe impl Send for Batch {}

impl Batch {
    /// A batch of 1 to [`BATCH_MAX`] datagrams (`capacity` is clamped) for a socket
    /// bound to `local`; an unspecified address is a wildcard socket, which must
    /// have been through [`tell_destination`].
    pub fn new(local: IpAddr, capacity: usize) -> Batch {
        let capacity = capacity.clamp(1, BATCH_MAX);
        let local = (!local.is_unspecified()).then_some(local);
        let requests = Slab::bytes(capacity * REQUEST_STRIDE);
        let names = Slab::filled(capacity, Name::empty);
        let controls = Slab::filled(capacity, Control::empty);
        let receive_iovecs = Slab::filled(capacity, empty_iovec);
        let receive_headers = Slab::filled(capacity, empty_header);
        for i in 0..capacity {
            // SAFETY: every index is below its slab's length; nothing else refers
            // to these elements yet.
            unsafe {
                let iov = receive_iovecs.at(i);
                (*iov).iov_base = requests.at(i * REQUEST_STRIDE).cast();
                (*iov).iov_len = REQUEST_MAX;
                let header = &mut (*receive_headers.at(i)).msg_hdr;
                header.msg_iov = iov;
                header.msg_iovlen = 1;
                header.msg_name = names.at(i).cast();
                if local.is_none() {
                    header.msg_control = controls.at(i).cast();
                }
            }
        }
        let mut batch = Batch {
            local,
            received: capacity,
            queued: 0,
            reply_bytes_used: 0,
            requests,
            replies: Slab::bytes(capacity * REPLY_MAX),
            names,
            controls,
            receive_headers,
            send_iovecs: Slab::filled(capacity, empty_iovec),
            send_headers: Slab::filled(capacity, empty_header),
            _receive_iovecs: receive_iovecs,
        };
        batch.recycle();
        batch
    }

    /// How many datagrams fit.
    pub fn capacity(&self) -> usize {
        self.names.len
    }

    /// Forgets the last batch and takes up to `capacity` datagrams; how many is
    /// returned. An empty one without a sender stands for "the socket was shut down".
    ///
    /// # Errors
    /// As `recvmmsg(2)`: `WouldBlock` when there is none and none was waited for.
    pub fn receive(&mut self, socket: BorrowedFd<'_>, wait: Wait) -> io::Result<usize> {
        self.recycle();
        let flags = match wait {
            Wait::ForOne => libc::MSG_WAITFORONE,
            Wait::No => libc::MSG_DONTWAIT,
        };
        // SAFETY: `capacity` headers, each pointing to buffers of the stated
        // lengths; see the invariant at the top.
        let count = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                self.receive_headers.at(0),
                self.receive_headers.len as c_uint,
                flags as _,
                null_mut(),
            )
        };
        // Negative: the only value that does not convert.
        let count = usize::try_from(count).map_err(|_| io::Error::last_os_error())?;
        self.received = count.min(self.capacity());
        Ok(self.received)
    }

    /// Offers each received request to `answer` with room for a reply, and queues
    /// the reply unless its length is 0 (or past the room).
    pub fn answer_each(
        &mut self,
        mut answer: impl FnMut(&[u8], &Meta, &mut [u8]) -> usize,
    ) -> Refused {
        self.answer_groups(|requests, replies| {
            for request in requests {
                replies.put(|out| answer(request.bytes, &request.meta, out));
            }
        })
    }

    /// Offers the received requests to `answer` in groups of up to [`GROUP_MAX`], each
    /// with the place of its replies. Requests left without one get none.
    pub fn answer_groups(
        &mut self,
        mut answer: impl FnMut(&[Request<'_>], &mut Replies<'_>),
    ) -> Refused {
        let mut refused = Refused::default();
        let mut next = 0;
        while next < self.received {
            let mut slots = [0; GROUP_MAX];
            let mut requests = [const { MaybeUninit::uninit() }; GROUP_MAX];
            let mut count = 0;
            while count < GROUP_MAX && next < self.received {
                // SAFETY: next < received.
                if let Some(request) = unsafe { self.request(next, &mut refused) } {
                    slots[count] = next;
                    requests[count].write(request);
                    count += 1;
                }
                next += 1;
            }
            // SAFETY: the first `count` were written.
            let requests = unsafe { requests[..count].assume_init_ref() };
            answer(requests, &mut Replies::new(self, &slots[..count]));
        }
        refused
    }

    /// The request in slot `i`, or why there is none to answer.
    ///
    /// # Safety
    /// `i` is below `received`; the request is not used once the batch receives again.
    unsafe fn request<'r>(&self, i: usize, refused: &mut Refused) -> Option<Request<'r>> {
        // SAFETY: i < received ≤ capacity, so slot i is ours; nothing writes requests
        // but the kernel, while receiving.
        unsafe {
            let header = &*self.receive_headers.at(i);
            if header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0 {
                refused.oversized += 1;
                return None;
            }
            let client = (*self.names.at(i)).address(header.msg_hdr.msg_namelen);
            let local = match self.local {
                Some(local) => Some(local),
                None => (*self.controls.at(i)).take_destination(&header.msg_hdr),
            };
            let (Some(client), Some(local)) = (client, local) else {
                // Of a socket that was shut down nothing was refused.
                refused.unaddressed += u64::from(header.msg_hdr.msg_namelen != 0);
                return None;
            };
            if client.port() == 0 {
                refused.port_zero += 1;
                return None;
            }
            let length = (header.msg_len as usize).min(REQUEST_MAX);
            let bytes = self.requests.slice(i * REQUEST_STRIDE, length);
            let meta = Meta { client, local: Some(local), transport: Transport::Udp };
            Some(Request { bytes, meta })
        }
    }

    /// Queues the reply that `fill` writes to the request in `slot`, unless its length is
    /// 0 or past the room.
    #[inline]
    pub(super) fn reply_to(&mut self, slot: usize, fill: impl FnOnce(&mut [u8]) -> usize) {
        if slot >= self.received || self.queued == self.capacity() {
            return;
        }
        // SAFETY: queued < capacity, so REPLY_MAX bytes are left (see `next_header`),
        // in a slab that holds no request; the slot was received.
        unsafe {
            let length = fill(self.replies.slice(self.reply_bytes_used, REPLY_MAX));
            if length != 0 && length <= REPLY_MAX {
                self.queue_reply(slot, length);
            }
        }
    }

    /// Queues a datagram of the length `fill` returns, for a connected socket;
    /// false: the batch is full. Nothing received is answered from the same batch.
    pub fn push(&mut self, fill: impl FnOnce(&mut [u8]) -> usize) -> bool {
        if self.queued == self.capacity() {
            return false;
        }
        // SAFETY: queued < capacity, so REPLY_MAX bytes are left (see `next_header`).
        unsafe {
            let length = fill(self.replies.slice(self.reply_bytes_used, REPLY_MAX));
            let header = self.next_header(length.min(REPLY_MAX));
            header.msg_name = null_mut();
            header.msg_namelen = 0;
            header.msg_control = null_mut();
            header.msg_controllen = 0;
        }
        true
    }

    /// Sends what is queued and empties the queue. Waits for a full queue once,
    /// for 10 ms at most, and never for anything else.
    pub fn send(&mut self, socket: BorrowedFd<'_>) -> Sent {
        let mut report = Sent::default();
        let mut waited = false;
        let mut first = 0;
        while first < self.queued {
            // SAFETY: `queued - first` headers from `first` on were filled by
            // `next_header`; see the invariant at the top.
            let count = unsafe {
                libc::sendmmsg(
                    socket.as_raw_fd(),
                    self.send_headers.at(first),
                    (self.queued - first) as c_uint,
                    libc::MSG_DONTWAIT as _,
                )
            };
            if let Ok(count) = usize::try_from(count) {
                // None sent and no error does not happen; it must not loop either.
                report.sent += count as u64;
                first += count.max(1);
                continue;
            }
            let error = io::Error::last_os_error();
            match error.kind() {
                io::ErrorKind::Interrupted => {}
                io::ErrorKind::WouldBlock if !waited => {
                    waited = true;
                    wait_writable(socket, SEND_WAIT_MS);
                }
                io::ErrorKind::WouldBlock => {
                    report.full += (self.queued - first) as u64;
                    first = self.queued;
                }
                // The error is the first datagram's: go on behind it.
                _ => {
                    report.failed += 1;
                    first += 1;
                }
            }
        }
        self.queued = 0;
        self.reply_bytes_used = 0;
        report
    }

    /// Makes the slots used last ready for the kernel again.
    fn recycle(&mut self) {
        for i in 0..self.received {
            // SAFETY: received ≤ capacity.
            let header = unsafe { &mut (*self.receive_headers.at(i)).msg_hdr };
            header.msg_namelen = size_of::<Name>() as u32;
            header.msg_flags = 0;
            if self.local.is_none() {
                header.msg_controllen = size_of::<Control>() as _;
            }
        }
        self.received = 0;
        self.queued = 0;
        self.reply_bytes_used = 0;
    }

    /// Queues `length` bytes at the reply cursor for the sender of slot `i`.
    ///
    /// # Safety
    /// `i` is a received slot; `queued` < capacity and `length` ≤ [`REPLY_MAX`].
    unsafe fn queue_reply(&mut self, i: usize, length: usize) {
        // SAFETY: the caller's promise.
        unsafe {
            let received = &(*self.receive_headers.at(i)).msg_hdr;
            let (name, name_length) = (received.msg_name, received.msg_namelen);
            let (control, control_length) = (received.msg_control, received.msg_controllen);
            let wildcard = self.local.is_none();
            let header = self.next_header(length);
            header.msg_name = name;
            header.msg_namelen = name_length;
            header.msg_control = control;
            header.msg_controllen = if wildcard { control_length } else { 0 };
        }
    }

    /// The next header to send, its data set to `length` bytes at the reply cursor,
    /// which moves on.
    ///
    /// # Safety
    /// `queued` < capacity and `length` ≤ [`REPLY_MAX`].
    unsafe fn next_header(&mut self, length: usize) -> &mut libc::msghdr {
        // SAFETY: the caller's promise. A reply takes REPLY_MAX bytes at most, so
        // fewer than `capacity` of them leave room for one more.
        unsafe {
            let iov = self.send_iovecs.at(self.queued);
            (*iov).iov_base = self.replies.at(self.reply_bytes_used).cast();
            (*iov).iov_len = length;
            let header = &mut (*self.send_headers.at(self.queued)).msg_hdr;
            header.msg_iov = iov;
            header.msg_iovlen = 1;
            self.queued += 1;
            self.reply_bytes_used += length.next_multiple_of(REPLY_ALIGN);
            header
        }
    }
}

#[cfg(test)]
impl Batch {
    /// Makes the sender of slot `i` one without a port.
    fn forge_port_zero(&mut self, i: usize) {
        assert!(i < self.received);
        // SAFETY: the slot exists; every bit pattern is an IPv4 address.
        unsafe { (*self.names.at(i)).v4.sin_port = 0 };
    }
}

// ---- Name ----------------------------------------------------------------------------

/// A socket address as the kernel writes it; both begin with the family.
#[repr(C)]
union Name {
    v4: sockaddr_in,
    v6: sockaddr_in6,
}

impl Name {
    fn empty() -> Name {
        // SAFETY: all zeroes is a value of both.
        unsafe { zeroed() }
    }

    /// The address, if the kernel wrote `length` bytes of one.
    fn address(&self, length: u32) -> Option<SocketAddr> {
        // SAFETY: every bit pattern is a value of both, so reading either is sound;
        // the family and the length say which one is meant.
        unsafe {
            match c_int::from(self.v4.sin_family) {
                libc::AF_INET if length as usize >= size_of::<sockaddr_in>() => {
                    let ip = Ipv4Addr::from(self.v4.sin_addr.s_addr.to_ne_bytes());
                    Some(SocketAddrV4::new(ip, u16::from_be(self.v4.sin_port)).into())
                }
                libc::AF_INET6 if length as usize >= size_of::<sockaddr_in6>() => {
                    let ip = Ipv6Addr::from(self.v6.sin6_addr.s6_addr);
                    let port = u16::from_be(self.v6.sin6_port);
                    Some(SocketAddrV6::new(ip, port, 0, self.v6.sin6_scope_id).into())
                }
                _ => None,
            }
        }
    }
}

// ---- Control -------------------------------------------------------------------------

/// Room for one control message: where a request was sent to, and, given back with the
/// reply, where that leaves from.
#[repr(C)]
struct Control {
    header: libc::cmsghdr,
    info: Info,
}

#[repr(C)]
union Info {
    v4: libc::in_pktinfo,
    v6: libc::in6_pktinfo,
}

impl Control {
    fn empty() -> Control {
        // SAFETY: all zeroes is a value of each part.
        unsafe { zeroed() }
    }

    /// The address the request was sent to. Unties the reply from the interface the
    /// request came by, so that routing decides, except for link-local addresses,
    /// which mean nothing without one.
    #[allow(clippy::unnecessary_cast)] // the lengths' type differs between C libraries
    fn take_destination(&mut self, message: &libc::msghdr) -> Option<IpAddr> {
        let room = offset_of!(Control, info);
        let written = message.msg_controllen as usize;
        if message.msg_flags & libc::MSG_CTRUNC != 0 || written < room {
            return None;
        }
        let data = (self.header.cmsg_len as usize).min(written) - room.min(written);
        match (self.header.cmsg_level, self.header.cmsg_type) {
            (libc::IPPROTO_IP, libc::IP_PKTINFO) if data >= size_of::<libc::in_pktinfo>() => {
                // SAFETY: every bit pattern is a value of each part.
                let info = unsafe { &mut self.info.v4 };
                info.ipi_ifindex = 0;
                // Also of a request to a broadcast address this is one of ours.
                Some(Ipv4Addr::from(info.ipi_spec_dst.s_addr.to_ne_bytes()).into())
            }
            (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) if data >= size_of::<libc::in6_pktinfo>() => {
                // SAFETY: as above.
                let info = unsafe { &mut self.info.v6 };
                let address = Ipv6Addr::from(info.ipi6_addr.s6_addr);
                if !address.is_unicast_link_local() {
                    info.ipi6_ifindex = 0;
                }
                Some(address.into())
            }
            _ => None,
        }
    }
}

fn empty_iovec() -> iovec {
    iovec { iov_base: null_mut::<c_void>(), iov_len: 0 }
}

fn empty_header() -> mmsghdr {
    // SAFETY: null pointers and zero lengths: a valid message of nothing.
    unsafe { zeroed() }
}

#[cfg(test)]
mod tests;
