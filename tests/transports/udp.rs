//! Datagrams.

use std::net::UdpSocket;
use std::time::Duration;

use crate::Transport;
use crate::server::Server;

pub(crate) struct Udp(UdpSocket);

impl Udp {
    pub(crate) fn connect(server: &Server) -> Udp {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(server.plain()).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        Udp(socket)
    }
}

impl Transport for Udp {
    fn name(&self) -> &'static str {
        "UDP"
    }

    fn ask(&mut self, message: &[u8]) -> Vec<u8> {
        self.0.send(message).unwrap();
        let mut reply = vec![0; 65_535];
        let length = self.0.recv(&mut reply).unwrap();
        reply.truncate(length);
        reply
    }

    fn truncates(&self) -> bool {
        true
    }
}
