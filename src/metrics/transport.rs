//! How requests come: the `transport` label.

/// How a request came.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Transport {
    /// One datagram, the sender's address unproven.
    Udp,
    /// RFC 7766: the sender's address is proven by the handshake.
    Tcp,
    /// DNS over TLS (RFC 7858).
    Dot,
    /// DNS over HTTPS (RFC 8484), HTTP/1.1 and HTTP/2.
    Doh,
    /// DNS over QUIC (RFC 9250).
    Doq,
    /// DNS over HTTPS, HTTP/3.
    Doh3,
}

impl Transport {
    /// All, in the order of their numbers.
    pub const ALL: [Transport; 6] = [
        Transport::Udp,
        Transport::Tcp,
        Transport::Dot,
        Transport::Doh,
        Transport::Doq,
        Transport::Doh3,
    ];

    /// The `transport` label.
    pub fn label(self) -> &'static str {
        match self {
            Transport::Udp => "udp",
            Transport::Tcp => "tcp",
            Transport::Dot => "dot",
            Transport::Doh => "doh",
            Transport::Doq => "doq",
            Transport::Doh3 => "doh3",
        }
    }

    /// Whether it comes over UDP, as QUIC does; else over TCP.
    pub fn is_datagram(self) -> bool {
        matches!(self, Transport::Udp | Transport::Doq | Transport::Doh3)
    }

    /// Whether nobody on the way can read it.
    pub fn is_encrypted(self) -> bool {
        !matches!(self, Transport::Udp | Transport::Tcp)
    }
}

impl std::fmt::Display for Transport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Transport::Udp => "UDP",
            Transport::Tcp => "TCP",
            Transport::Dot => "DNS over TLS",
            Transport::Doh => "DNS over HTTPS",
            Transport::Doq => "DNS over QUIC",
            Transport::Doh3 => "DNS over HTTP/3",
        })
    }
}
