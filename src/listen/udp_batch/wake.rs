//! Waking a thread out of a system call that blocks, without touching its socket.
//!
//! A socket that another process reads too must not be shut down to wake whoever waits
//! on it: that would end it for both. So the thread is sent a signal, whose handler does
//! nothing: the call ends with EINTR, and the thread looks whether it is to stop. What a
//! call has received by then it returns, so that no datagram is lost to a signal. One
//! that comes between the look and the call wakes nobody, so whoever wakes goes on until
//! the thread has ended.
//!
//! The signal is SIGURG: sent by nobody else (no socket here has an owner), and where
//! the handler is missing it is ignored.
//!
//! Must not know what the threads do.
#![allow(unsafe_code)]

use std::io;
use std::mem::zeroed;
use std::os::unix::thread::JoinHandleExt;
use std::ptr::null_mut;
use std::thread::JoinHandle;

use libc::c_int;

extern "C" fn nothing(_signal: c_int) {}

/// Makes system calls of this thread end when it is woken.
///
/// # Errors
/// As `sigaction(2)` and `pthread_sigmask(3)`.
pub(in crate::listen) fn may_be_woken() -> io::Result<()> {
    // SAFETY: all zeroes is an action without flags and with an empty mask; without
    // SA_RESTART, so that calls are not begun again.
    let mut action: libc::sigaction = unsafe { zeroed() };
    action.sa_sigaction = nothing as extern "C" fn(c_int) as libc::sighandler_t;
    // SAFETY: a pointer to a whole action, whose handler touches nothing and so is safe
    // at any point of any thread; the old one is not asked for.
    if unsafe { libc::sigaction(libc::SIGURG, &raw const action, null_mut()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // Whoever started this process may have blocked it.
    // SAFETY: all zeroes is storage for a set, which `sigemptyset` then makes one; the
    // pointers are to that set.
    let result = unsafe {
        let mut set: libc::sigset_t = zeroed();
        libc::sigemptyset(&raw mut set);
        libc::sigaddset(&raw mut set, libc::SIGURG);
        libc::pthread_sigmask(libc::SIG_UNBLOCK, &raw const set, null_mut())
    };
    if result == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(result)) }
}

/// Ends the system call that the thread waits in, if it waits in one now.
pub(in crate::listen) fn wake<T>(thread: &JoinHandle<T>) {
    // SAFETY: the handle was neither joined nor dropped, so the thread's number is its own,
    // even after its end. A failure means that it has ended.
    unsafe { libc::pthread_kill(thread.as_pthread_t(), libc::SIGURG) };
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn a_thread_is_woken_out_of_a_receive_and_its_socket_goes_on() {
        let socket = Arc::new(UdpSocket::bind("127.0.0.1:0").unwrap());
        let stop = Arc::new(AtomicBool::new(false));
        let (on_thread, told) = (Arc::clone(&socket), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            may_be_woken().unwrap();
            let mut buffer = [0; 8];
            while !told.load(Ordering::Relaxed) {
                let error = on_thread.recv(&mut buffer).unwrap_err();
                assert_eq!(error.kind(), io::ErrorKind::Interrupted);
            }
        });
        stop.store(true, Ordering::Relaxed);
        let begun = Instant::now();
        while !thread.is_finished() {
            wake(&thread);
            assert!(begun.elapsed() < Duration::from_secs(10), "it does not wake");
            std::thread::sleep(Duration::from_millis(1));
        }
        // An ended thread is none that could be harmed.
        wake(&thread);
        thread.join().unwrap();
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client.send_to(b"later", socket.local_addr().unwrap()).unwrap();
        let mut buffer = [0; 8];
        assert_eq!(socket.recv(&mut buffer).unwrap(), 5);
    }
}
