"""Faults of TCP connections: refused, dropped on the way, accepted in silence."""

import socket
import threading

from back_end import BackEnd, healthy, reset_after, silent
from bench import Fault, FaultStory
from support.world import wait_until

HTTP = 'type = "http"\npath = "/healthz"'
TCP = 'type = "tcp"\nport = 80\nsend = "PING\\r\\n"\nexpect = "+PONG"'


def pong(stream):
    stream.recv(100)
    stream.sendall(b"+PONG\r\n")


def loading(stream):
    stream.recv(100)
    stream.sendall(b"-LOADING\r\n")


class Connections(FaultStory):
    def setUp(self):
        super().setUp()
        places = {"refused": "10.1.0.1", "silent": "10.1.0.2", "reset": "10.1.0.3",
                  "blackholed": "10.1.0.4", "tcp-silent": "10.1.0.5", "tcp-wrong": "10.1.0.6",
                  "tcp-closed": "10.1.0.7"}
        self.address(*places.values())
        ends = {name: BackEnd(self, (address, 80), pong if name.startswith("tcp") else healthy)
                for name, address in places.items()}

        def becomes(name, handle):
            return lambda: setattr(ends[name], "handle", handle)

        self.ends = ends
        self.serve(
            Fault("refused", "10.1.0.1", HTTP, ends["refused"].close, "refused",
                  "connection refused"),
            Fault("silent", "10.1.0.2", HTTP, becomes("silent", silent), "timeout",
                  "no response within 600 ms", slow=True),
            Fault("reset", "10.1.0.3", HTTP, becomes("reset", reset_after(b"")), "reset",
                  "reset"),
            Fault("blackholed", "10.1.0.4", HTTP, lambda: self.drop("ip daddr 10.1.0.4"),
                  "timeout", "no connection within 600 ms", slow=True),
            Fault("tcp-silent", "10.1.0.5", TCP, becomes("tcp-silent", silent), "timeout",
                  "expected text not received within 600 ms", slow=True),
            Fault("tcp-wrong", "10.1.0.6", TCP,
                  becomes("tcp-wrong", loading),
                  "body", "expected text not in the 10 bytes received"),
            Fault("tcp-closed", "10.1.0.7", TCP, becomes("tcp-closed", lambda stream: stream.recv(9)),
                  "body", "expected text not in the 0 bytes received"),
        )

    def test_each_is_called_down_in_time_and_by_its_kind(self):
        self.judge_all()
        self.restore()
        self.ends["refused"].listen()
        for name in ("silent", "reset", "tcp-silent", "tcp-wrong", "tcp-closed"):
            self.ends[name].handle = pong if name.startswith("tcp") else healthy
        for fault in self.faults:
            wait_until(f"{fault.name} is up again", lambda: self.state(fault) == "up", 10)


class Rejected(FaultStory):
    """A filter at the target says that it does not let anybody in."""

    def udp_server(self, address):
        """Answers each query with NOERROR and nothing else."""
        listener = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        listener.bind((address, 53))
        self.addCleanup(listener.close)

        def answer():
            while True:
                try:
                    query, peer = listener.recvfrom(512)
                    listener.sendto(query[:2] + b"\x84\x00" + query[4:], peer)
                except OSError:
                    return

        threading.Thread(target=answer, daemon=True).start()

    def test_it_is_called_down_at_once_in_both_families(self):
        self.address("10.1.1.1", "10.1.1.2", "fd01::1")
        for place in ("10.1.1.1", "10.1.1.2"):
            BackEnd(self, (place, 80), healthy)
        self.udp_server("fd01::1")
        dns = 'type = "dns"\nquery_name = "a.example.com"'

        def rejects(place, code):
            version, icmp = ("ip6", "icmpv6") if ":" in place else ("ip", "icmp")
            # On loopback the word of it goes to the same address.
            rule = f"{version} daddr {place} meta l4proto {{ tcp, udp }}"
            return lambda: self.drop(rule, f"reject with {icmp} type {code}")

        self.serve(
            Fault("filtered4", "10.1.1.1", HTTP, rejects("10.1.1.1", "admin-prohibited"),
                  "unreachable", "connect: "),
            Fault("protocol4", "10.1.1.2", HTTP, rejects("10.1.1.2", "prot-unreachable"),
                  "unreachable", "connect: protocol not available"),
            # Not over TCP: on loopback the word comes while connect() still holds the
            # socket, which then waits for a second, longer than a probe does here.
            Fault("filtered6", "fd01::1", dns, rejects("fd01::1", "admin-prohibited"),
                  "unreachable", "answer: permission denied"),
        )
        self.judge_all()
