"""What strangers send: mangled packets, half messages, connections that say
nothing. Nothing is answered that should not be, and everybody else is.
"""

import random
import socket
import struct
import time

from support import wire
from support.server import Windrose
from support.world import Story, report, wait_until

ZONE = "gslb.example.com"
NAME = f"shop.{ZONE}"
VIP = "203.0.113.10"
PACKETS = 20_000
SEED = 20_261_122
CONNECTIONS_MAX = 40

CONFIG = f"""
[server]
listen = ["127.0.0.1:53"]
tcp_connections_max = {CONNECTIONS_MAX}
tcp_idle_timeout = "2s"

[zone."{ZONE}"]
nameservers = ["ns1.example.com"]
hostmaster = "hostmaster@example.com"
records = ["*.wild IN TXT text", "sub IN NS ns.sub", "ns.sub IN A 192.0.2.9"]

[datacenter.fra]
vip = "{VIP}"

[wip."{NAME}"]
members = ["fra"]
"""


class Hostile(Story):
    def setUp(self):
        super().setUp()
        self.server = Windrose(self, CONFIG).start()

    def sound(self):
        """It answers, and nothing went wrong inside."""
        self.assertEqual(self.server.ask(NAME).addresses(), [VIP])
        self.assertTrue(self.server.process.alive())
        self.assertNotIn("panicked", self.server.process.output())

    def balance(self):
        """Requests read, and the outcomes counted for them."""
        metric = self.server.metric
        read = metric("windrose_dns_queries_total")
        outcomes = metric("windrose_dns_responses_total") + sum(
            metric("windrose_dns_dropped_total", reason=reason) for reason in ("short", "response"))
        return read, outcomes

    def test_mangled_packets(self):
        source = random.Random(SEED)
        print(f"seed {SEED}")
        good = [wire.encode(name, rtype, edns=True, ecs=ecs) for name, rtype, ecs in (
            (NAME, "A", "91.0.0.0/24"), (f"x.wild.{ZONE}", "TXT", None), (ZONE, "SOA", None),
            (f"a.sub.{ZONE}", "AAAA", None), ("elsewhere.org", "A", "2001:db8::/48"))]
        replies = sent = 0
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
            asking.connect(("127.0.0.1", 53))
            asking.setblocking(False)
            for _ in range(PACKETS):
                packet = mangle(bytearray(source.choice(good)), source)
                try:
                    asking.send(packet)
                    sent += 1
                except OSError:
                    continue
                replies += self.drain(asking)
                if sent % 200 == 0:
                    time.sleep(0.002)  # keeps within the kernel's buffers
            wait_until("all are counted", lambda: len(set(self.balance())) == 1, 5)
            time.sleep(0.1)
            replies += self.drain(asking)
        report(f"{sent} mangled packets, {replies} replies")
        self.assertGreater(replies, sent / 4)
        self.sound()

    def drain(self, asking):
        """Reads the replies there are; each must be a response with a whole header."""
        count = 0
        while True:
            try:
                reply = asking.recv(65535)
            except BlockingIOError:
                return count
            count += 1
            self.assertGreaterEqual(len(reply), 12)
            self.assertTrue(reply[2] & 0x80, "a reply says that it is one")
            self.assertLessEqual(len(reply), 4096)

    def test_responses_and_scraps_get_no_reply(self):
        query = wire.encode(NAME)
        response = query[:2] + bytes([query[2] | 0x80]) + query[3:]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
            asking.connect(("127.0.0.1", 53))
            asking.settimeout(0.3)
            for packet in (response, b"", b"\0", query[:11], b"\xff" * 12):
                asking.send(packet)
                with self.assertRaises(TimeoutError):
                    asking.recv(65535)
        self.sound()

    def test_connections_that_say_nothing_do_not_shut_others_out(self):
        held = []
        for number in range(CONNECTIONS_MAX + 20):
            try:
                stream = socket.create_connection(("127.0.0.1", 53), 2)
                if number % 2:
                    stream.sendall(struct.pack("!H", 500) + b"half a message")
                held.append(stream)
            except OSError:
                break
        self.assertEqual(self.server.ask(NAME).addresses(), [VIP], "UDP is not touched")
        start = time.monotonic()
        wait_until("TCP serves", lambda: self.server.ask(NAME, tcp=True).addresses() == [VIP], 6)
        report(f"{len(held)} silent connections: another was served after "
               f"{time.monotonic() - start:.2f} s")
        self.assertLessEqual(self.server.metric("windrose_connections", transport="tcp"), CONNECTIONS_MAX)
        wait_until("the silent ones are closed", lambda: self.server.metric(
            "windrose_connections", transport="tcp") <= 1, 8)
        for stream in held:
            stream.close()
        self.sound()

    def test_garbage_on_connections(self):
        source = random.Random(SEED)
        for port in (53, 8053):
            for _ in range(200):
                with socket.create_connection(("127.0.0.1", port), 2) as stream:
                    stream.settimeout(0.01)
                    try:
                        stream.sendall(source.randbytes(source.randint(0, 600)))
                        stream.recv(100)
                    except OSError:
                        pass
        self.sound()
        self.assertTrue(self.server.get("/readyz"))


def mangle(packet, source):
    """A query with some bytes changed, cut off, doubled or made up."""
    for _ in range(source.randint(1, 4)):
        what = source.randint(0, 5)
        at = source.randrange(len(packet)) if packet else 0
        if what == 0 and packet:
            packet[at] = source.randrange(256)
        elif what == 1 and packet:
            packet[at] ^= 1 << source.randrange(8)
        elif what == 2:
            del packet[at:]
        elif what == 3:
            packet[at:at] = source.randbytes(source.randint(1, 20))
        elif what == 4:
            packet += packet[12:]
        elif packet[2:]:
            # A compression pointer, somewhere to anywhere.
            packet[at:at + 2] = struct.pack("!H", 0xC000 | source.randrange(64))
    return bytes(packet)
