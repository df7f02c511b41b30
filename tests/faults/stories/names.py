"""Faults of DNS back ends, of ping, and of the resolver that names probe targets."""

import socket
import threading

from back_end import BackEnd, healthy
from bench import Fault, FaultStory, INTERVAL_S
from support.world import report, wait_until

DNS = 'type = "dns"\nquery_name = "www.example.org"\nexpect_answer = "192.0.2.1"'
LAME = DNS + "\nexpect_authoritative = true"
AUTHORITATIVE, TRUNCATED, RECURSION = 0x0400, 0x0200, 0x0080


def reply(query, addresses=(), rcode=0, flags=AUTHORITATIVE):
    """A reply to a query of one question, without EDNS."""
    head = query[:2] + (0x8000 | flags | rcode).to_bytes(2, "big")
    end = query.index(b"\x00", 12) + 5
    counts = b"\x00\x01" + len(addresses).to_bytes(2, "big") + b"\x00\x00\x00\x00"
    records = b"".join(b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x1e\x00\x04"
                       + socket.inet_aton(address) for address in addresses)
    return head + counts + query[12:end] + records


def good(query):
    return reply(query, ["192.0.2.1"])


class NameServer:
    """Answers each UDP query with `answer(query)`; none: silence. TCP is refused."""

    def __init__(self, story, address, answer):
        self.answer = answer
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((address, 53))
        threading.Thread(target=self.run, daemon=True).start()
        story.addCleanup(self.close)

    def run(self):
        while True:
            try:
                query, client = self.socket.recvfrom(4096)
                if not query:
                    return  # shut down
                message = self.answer(query)
                if message:
                    self.socket.sendto(message, client)
            except OSError:
                return

    def close(self):
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.socket.close()


class Dns(FaultStory):
    def test_each_is_called_down_in_time_and_by_its_kind(self):
        cases = [
            ("wrong-answer", DNS, lambda q: reply(q, ["192.0.2.66"]), "body", "192.0.2.66", False),
            ("no-answer", DNS, reply, "body", "192.0.2.1", False),
            ("refuses", DNS, lambda q: reply(q, rcode=5), "status", "REFUSED", False),
            ("servfail", DNS, lambda q: reply(q, rcode=2), "status", "SERVFAIL", False),
            ("lame", LAME, lambda q: reply(q, ["192.0.2.1"], flags=RECURSION),
             "status|protocol", "authoritative", False),
            # And nothing answers over TCP.
            ("truncated", DNS, lambda q: reply(q, flags=AUTHORITATIVE | TRUNCATED), "refused",
             "refused", False),
            ("mute", DNS, lambda q: None, "timeout", "no answer", True),
            ("garbage", DNS, lambda q: b"\x00" * 40, "timeout", "no answer", True),
            ("spoofed", DNS, lambda q: bytes([q[0] ^ 1]) + good(q)[1:], "timeout",
             "no answer", True),
        ]
        faults, servers = [], {}
        for number, (name, check, bad, kind, detail, slow) in enumerate(cases, 1):
            address = f"10.5.0.{number}"
            self.address(address)
            end = servers[name] = NameServer(self, address, good)
            faults.append(Fault(name, address, check, lambda end=end, bad=bad:
                                setattr(end, "answer", bad), kind, detail, slow))
        self.address("10.5.0.99")
        gone = NameServer(self, "10.5.0.99", good)
        faults.append(Fault("closed", "10.5.0.99", DNS, gone.close, "refused", "refused"))
        self.serve(*faults)
        self.judge_all()


class Icmp(FaultStory):
    def test_a_filtered_ping_is_a_timeout(self):
        self.address("10.5.1.1", "10.5.1.2", "fd00:5::1")
        check = 'type = "icmp"'
        self.serve(
            Fault("filtered", "10.5.1.1", check, lambda: self.drop("ip daddr 10.5.1.1"), "timeout",
                  "no (echo )?reply", True),
            Fault("filtered-six", "fd00:5::1", check,
                  lambda: self.nft("add rule inet faults input ip6 daddr fd00:5::1 drop"),
                  "timeout", "no (echo )?reply", True),
        )
        self.judge_all()
        self.restore()
        for fault in self.faults:
            wait_until(f"{fault.name} is up again", lambda: self.state(fault) == "up", 10)


class Resolver(FaultStory):
    """A probe target that is a host name, and a resolver that goes away."""

    def test_a_resolver_that_is_down_makes_nothing_down(self):
        self.address("10.5.2.1", "10.5.2.53")
        BackEnd(self, ("10.5.2.1", 80), healthy)
        resolver = NameServer(self, "10.5.2.53", lambda q: reply(
            q, ["10.5.2.1"] if q[-3] == 1 else [], flags=RECURSION))
        self.use_resolver("10.5.2.53")
        check = 'type = "http"\naddress = "back-end.example.org"'
        fault = Fault("named", "10.5.2.1", check, resolver.close, "resolve", "")
        self.serve(fault)
        self.break_all()
        took_s = wait_until("named is unknown", lambda: self.state(fault) == "unknown",
                            60 + 4 * INTERVAL_S)
        report(f"unknown {took_s:.1f} s after the resolver went")
        self.assertFalse(self.downs(fault))
        self.assertEqual(self.server.ask(fault.wip).addresses(), ["10.5.2.1"])
        self.assertGreater(self.server.metric(
            "windrose_probe_results_total", check="named", result="resolve"), 0)
        NameServer(self, "10.5.2.53", lambda q: reply(
            q, ["10.5.2.1"] if q[-3] == 1 else [], flags=RECURSION))
        wait_until("named is up again", lambda: self.state(fault) == "up", 60)
        self.assertFalse(self.downs(fault))
