"""Addresses: answers come from the one that was asked; a start that cannot work
says why in one line and ends; a stop is quick.
"""

import os
import shutil
import signal
import socket
import time

from support import programs, wire
from support.server import Windrose, run_windrose
from support.world import Story, report, wait_until

ZONE = "gslb.example.com"
NAME = f"shop.{ZONE}"
VIP = "203.0.113.10"


def config(listen='"0.0.0.0:53", "[::]:53"', server="", admin='"127.0.0.1:8053"', more=""):
    return f"""
[server]
listen = [{listen}]
{server}

[admin]
listen = {admin}

[zone."{ZONE}"]
nameservers = ["ns1.example.com"]
hostmaster = "hostmaster@example.com"

[datacenter.fra]
vip = "{VIP}"

[wip."{NAME}"]
members = ["fra"]
{more}
"""


class Answering(Story):
    REQUIRES = ("dig", "kdig")

    def test_wildcard_binds_answer_from_the_address_asked(self):
        addresses = ["127.0.0.1", "127.0.0.5", "192.0.2.7", "198.51.100.7", "::1", "2001:db8::5"]
        self.address("192.0.2.7", "2001:db8::5")
        Windrose(self, config()).start()
        self.address("198.51.100.7")  # one that came after the start
        for address in addresses:
            for tcp in (False, True):
                with self.subTest(f"{address} {'tcp' if tcp else 'udp'}"):
                    reply = wire.ask(address, NAME, tcp=tcp)
                    self.assertEqual(reply.addresses(), [VIP])
            for way in ("+notcp", "+tcp"):
                for tool in ("dig", "kdig"):
                    short = self.tool(tool, f"@{address}", NAME, way, "+short")
                    self.assertEqual(short.strip(), VIP, f"{tool} {way} {address}")

    def test_several_questions_on_one_connection(self):
        Windrose(self, config()).start()
        queries = [wire.encode(NAME, "A", edns=True) for _ in range(50)]
        with socket.create_connection(("127.0.0.1", 53), 5) as stream:
            # All at once, the first cut in the middle of its length.
            whole = b"".join(len(query).to_bytes(2, "big") + query for query in queries)
            stream.sendall(whole[:1])
            time.sleep(0.05)
            stream.sendall(whole[1:])
            for query in queries:
                length = int.from_bytes(wire.read_exactly(stream, 2), "big")
                reply = wire.decode(wire.read_exactly(stream, length), query)
                self.assertEqual(reply.addresses(), [VIP])

    def test_a_stop_is_quick_and_clean(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            server = Windrose(self, config()).start()
            idle = socket.create_connection(("127.0.0.1", 53))
            admin = socket.create_connection(("127.0.0.1", 8053))
            start = time.monotonic()
            server.process.signal(number)
            status = server.process.child.wait(10)
            report(f"{signal.Signals(number).name}: ended after {time.monotonic() - start:.2f} s")
            self.assertEqual(status, 0)
            self.assertLess(time.monotonic() - start, 3)
            idle.close()
            admin.close()


class CannotStart(Story):
    REQUIRES = ("setpriv",)

    def refused(self, text, *words, command=()):
        """Runs `serve`, which must end with status 1 and one line with the words."""
        path = self.write("windrose.toml", text)
        if command:
            process = self.start("refused", *command, programs.windrose(), "serve", "--config", path)
            status = process.child.wait(20)
            errors = process.output()
        else:
            status, _, errors = run_windrose("serve", "--config", path)
        self.assertEqual(status, 1, errors)
        lines = [line for line in errors.splitlines() if not line.startswith("{")]
        self.assertEqual(len(lines), 1, errors)
        for word in words:
            self.assertIn(word, lines[0])
        self.assertNotIn("panicked", errors)

    def test_a_port_in_use(self):
        for kind, listen in ((socket.SOCK_DGRAM, '"127.0.0.9:53"'),
                             (socket.SOCK_STREAM, '"127.0.0.9:53"')):
            with socket.socket(socket.AF_INET, kind) as taken:
                taken.bind(("127.0.0.9", 53))
                if kind == socket.SOCK_STREAM:
                    taken.listen()
                self.refused(config(listen), "127.0.0.9:53", "in use")
        with socket.create_server(("127.0.0.1", 8053)):
            self.refused(config(), "127.0.0.1:8053", "in use")

    def test_a_second_server_does_not_share_the_first_ones_port(self):
        # Its sockets share ports among its own threads, so the kernel would let it.
        Windrose(self, config()).start()
        self.refused(config(admin='"off"'), "in use")

    def test_an_address_this_host_does_not_have(self):
        self.refused(config('"192.0.2.123:53"'), "192.0.2.123:53")

    def test_a_port_that_is_not_allowed(self):
        self.refused(config('"127.0.0.1:53"'), "127.0.0.1:53", "permi",
                     command=("setpriv", "--bounding-set=-all"))

    def test_a_bad_config(self):
        path = self.write("windrose.toml", config(more='polcy = "geo"'))
        for command in ("serve", "check"):
            status, output, errors = run_windrose(command, "--config", path)
            self.assertEqual(status, 1)
            self.assertIn("windrose.toml:", output + errors)
            self.assertIn("polcy", output + errors)
            self.assertIn("policy", output + errors)
        status, output, errors = run_windrose("serve", "--config", self.directory / "none.toml")
        self.assertEqual(status, 1)
        self.assertIn("none.toml", output + errors)
        self.assertEqual(run_windrose("serve", "--confg", path)[0], 2)

    def test_a_missing_geo_file(self):
        path = self.write("windrose.toml", config(more='[geo]\ndatabases = ["gone.mmdb"]'))
        for command in ("serve", "check"):
            status, output, errors = run_windrose(command, "--config", path)
            self.assertEqual(status, 1)
            self.assertIn("gone.mmdb", output + errors)

    def test_a_state_directory_that_cannot_be_read_stops_the_start(self):
        """It may hold overrides: what somebody drained must not come back unasked."""
        state = self.directory / "state"
        state.mkdir()
        os.chmod(state, 0)
        path = self.write("windrose.toml", config('"127.0.0.1:5353"', f'state_dir = "{state}"'))
        process = self.start("state unreadable", "setpriv", "--bounding-set=-all",
                             programs.windrose(), "serve", "--config", path)
        self.assertEqual(process.child.wait(20), 1)
        self.assertIn(f"{state}/overrides.json cannot be used", process.output())

    def test_trouble_with_the_state_directory_is_said_and_stops_nothing(self):
        state = self.directory / "state"
        for what in ("garbage", "a file in its place"):
            with self.subTest(what):
                if state.is_dir():
                    shutil.rmtree(state)
                if what == "a file in its place":
                    state.write_text("no directory")
                else:
                    state.mkdir(exist_ok=True)
                    (state / "serials.json").write_text("\0 garbage {")
                path = self.write("windrose.toml", config(
                    '"127.0.0.1:5353"', f'state_dir = "{state}"'))
                process = self.start(f"state {what}", "setpriv", "--bounding-set=-all",
                                     programs.windrose(), "serve", "--config", path)
                wait_until("it answers", lambda: wire.ask("127.0.0.1", NAME, port=5353), 10)
                wait_until("it says so", lambda: str(state) in process.output(), 5)
                self.assertEqual(process.stop(), 0)
