//! Messages with their length in front: TCP, and TLS over it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConnection, ProtocolVersion, StreamOwned};
use windrose::metrics;

use crate::Transport;
use crate::battery::Case;
use crate::server::Server;

/// Over any stream.
pub(crate) struct Framed<S> {
    name: &'static str,
    stream: S,
}

pub(crate) type Tcp = Framed<TcpStream>;
pub(crate) type Dot = Framed<StreamOwned<ClientConnection, TcpStream>>;

fn connect(server: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(server).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

impl Tcp {
    pub(crate) fn connect(server: &Server) -> Tcp {
        Framed { name: "TCP", stream: connect(server.plain()) }
    }
}

impl Dot {
    pub(crate) fn connect(server: &Server, version: ProtocolVersion) -> Dot {
        let stream = connect(server.encrypted(metrics::Transport::Dot));
        let name = ServerName::try_from("dns.example").unwrap();
        let client = ClientConnection::new(server.client("dot", version), name).unwrap();
        let name = match version {
            ProtocolVersion::TLSv1_2 => "DNS over TLS 1.2",
            _ => "DNS over TLS 1.3",
        };
        Framed { name, stream: StreamOwned::new(client, stream) }
    }
}

impl<S: Read + Write> Framed<S> {
    /// All queries in one write; the replies in the order of their queries.
    pub(crate) fn ask_all(&mut self, cases: &[Case]) -> Vec<Vec<u8>> {
        let bytes: Vec<u8> = cases.iter().flat_map(|case| framed(&case.message)).collect();
        self.stream.write_all(&bytes).unwrap();
        self.stream.flush().unwrap();
        cases.iter().map(|_| self.receive()).collect()
    }

    fn receive(&mut self) -> Vec<u8> {
        let mut prefix = [0; 2];
        self.stream.read_exact(&mut prefix).unwrap();
        let mut reply = vec![0; usize::from(u16::from_be_bytes(prefix))];
        self.stream.read_exact(&mut reply).unwrap();
        reply
    }
}

impl<S: Read + Write> Transport for Framed<S> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn ask(&mut self, message: &[u8]) -> Vec<u8> {
        self.stream.write_all(&framed(message)).unwrap();
        self.stream.flush().unwrap();
        self.receive()
    }
}

fn framed(message: &[u8]) -> Vec<u8> {
    [&u16::try_from(message.len()).unwrap().to_be_bytes()[..], message].concat()
}
