"""What watches the server: webhooks, whose signatures are checked with Python's own hmac,
and the query log, read by BIND's dnstap-read and by a reader that stops reading.
"""

import base64
import hashlib
import hmac
import http.server
import json
import signal
import socket
import struct
import threading
import time

from support import parts
from support.server import Windrose, run_windrose
from support.world import Story, report, wait_until

ZONE = "gslb.example.com"
FRA, IAD = "127.0.15.1", "127.0.15.2"
HOOK = ("127.0.0.1", 8099)
SECRET = "hunter2 is no secret any more"
CONTENT_TYPE = b"protobuf:dnstap.Dnstap"

CONFIG = f"""
[server]
listen = ["127.0.0.1:53"]
identity = "gtm1"

[zone."{ZONE}"]
nameservers = ["ns1.example.com"]
hostmaster = "hostmaster@example.com"

[datacenter.fra]
vip = "{FRA}"

[datacenter.iad]
vip = "{IAD}"

[health_check.web]
type = "http"
host = "app.example.com"
interval = "1s"
timeout = "500ms"
confirm_interval = "200ms"

[wip."shop.{ZONE}"]
members = ["fra", "iad"]
policy = "failover"
health_check = "web"
"""


class Receiver:
    """Keeps what is posted to it; `statuses` are the answers, the last one for ever."""

    def __init__(self, story, statuses=(204,)):
        receiver = self
        self.seen = []
        self.statuses = list(statuses)

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.seen.append((dict(self.headers), body))
                more = len(receiver.statuses) > 1
                self.send_response(receiver.statuses.pop(0) if more else receiver.statuses[0])
                self.end_headers()

            def log_message(self, *_):
                """Kept in `seen`."""

        self.server = http.server.ThreadingHTTPServer(HOOK, Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        story.addCleanup(self.server.server_close)
        story.addCleanup(self.server.shutdown)

    def events(self):
        """All events, each delivery once, in the order they came."""
        events, ids = [], set()
        for _, body in self.seen:
            delivery = json.loads(body)
            if delivery["id"] not in ids:
                ids.add(delivery["id"])
                events += delivery["events"]
        return events


def is_signed(headers, body, secret):
    headers = {name.lower(): value for name, value in headers.items()}
    text = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    digest = hmac.new(secret.encode(), text, hashlib.sha256).digest()
    wanted = "v1," + base64.b64encode(digest).decode()
    fresh = abs(time.time() - int(headers["webhook-timestamp"])) < 300
    return fresh and hmac.compare_digest(headers["webhook-signature"], wanted)


class Webhooks(Story):
    def test_losses_are_told_in_order_signed_and_again_until_they_are_taken(self):
        back_ends = [parts.BackEnd(self, FRA), parts.BackEnd(self, IAD)]
        receiver = Receiver(self, [500, 503, 204])
        secret = self.write("windrose/secret", SECRET + "\n")
        hook = (f'[webhook.oncall]\nurl = "http://{HOOK[0]}:{HOOK[1]}/{SECRET.replace(" ", "")}"\n'
                f'secret_file = "{secret}"\nheaders = {{ X-Token = "{SECRET}" }}\n')
        server = Windrose(self, CONFIG + hook).start()
        status, _, error = run_windrose("webhook", "test", "oncall", "--server", server.url)
        self.assertEqual(status, 1)
        self.assertIn("did not take it: 500", error)
        self.assertEqual(server.metric("windrose_webhook_deliveries_total", result="delivered"), 0)
        for back_end in back_ends:
            back_end.stop()
        wait_until("nobody is left, and that is told", lambda: [
            (event["event"], event.get("member") or event.get("wip"), event.get("available"))
            for event in receiver.events() if event["event"] != "test"
        ][:3] == [("available", "fra", False), ("available", "iad", False),
                  ("fail_open", f"shop.{ZONE}", None)] or (False, receiver.events()), 20)
        for headers, body in receiver.seen:
            self.assertTrue(is_signed(headers, body, SECRET))
            self.assertFalse(is_signed(headers, body + b" ", SECRET))
            self.assertEqual(json.loads(body)["identity"], "gtm1")
        back_ends[0].start()
        wait_until("one is back, and that is told", lambda: any(
            event["event"] == "fail_open" and not event["active"] for event in receiver.events()), 20)
        times = [event["at_us"] for event in receiver.events() if event["event"] == "available"]
        self.assertEqual(times, sorted(times))
        self.assertIn("took it: 204", server.command("webhook", "test", "oncall"))
        self.assertEqual(json.loads(receiver.seen[-1][1])["events"][0]["event"], "test")
        status, _, error = run_windrose("webhook", "test", "none", "--server", server.url)
        self.assertEqual(status, 1)
        self.assertIn("there is no webhook", error)
        shown = (server.get("/api/v1/webhooks") + server.get("/metrics") + server.process.output()
                 + server.command("webhook", "status"))
        self.assertNotIn("hunter2", shown)
        report(f"{len(receiver.seen)} deliveries, all signed")

    def test_a_receiver_that_hangs_moves_nothing(self):
        back_ends = [parts.BackEnd(self, FRA), parts.BackEnd(self, IAD)]
        hole = socket.create_server(HOOK)
        self.addCleanup(hole.close)
        hook = (f'[webhook.oncall]\nurl = "http://{HOOK[0]}:{HOOK[1]}/"\ntimeout = "20s"\n'
                'events = ["check", "member"]\n')
        server = Windrose(self, CONFIG + hook).start()
        back_ends[0].stop()
        wait_until("answers follow", lambda: server.ask(f"shop.{ZONE}").addresses() == [IAD], 20)
        wait_until("it waits", lambda: server.metric("windrose_webhook_queue") >= 2, 10)
        begun = time.monotonic()
        server.process.signal(signal.SIGTERM)
        wait_until("it ends", lambda: not server.process.alive(), 8)
        report(f"a stop takes {time.monotonic() - begun:.1f} s with a delivery under way")


def read_exactly(connection, length):
    data = b""
    while len(data) < length:
        part = connection.recv(length - len(data))
        if not part:
            raise EOFError
        data += part
    return data


class Reader:
    """A dnstap reader at a unix socket, that can stop reading."""

    def __init__(self, story, path):
        self.frames = 0
        self.reads = threading.Event()
        self.reads.set()
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen()
        story.addCleanup(self.listener.close)
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        try:
            connection, _ = self.listener.accept()
            self.control(connection, 4)
            accept = struct.pack("!III", 1, 1, len(CONTENT_TYPE)) + CONTENT_TYPE
            connection.sendall(struct.pack("!II", 0, len(accept)) + accept)
            self.control(connection, 2)
            while True:
                self.reads.wait()
                (length,) = struct.unpack("!I", read_exactly(connection, 4))
                if length == 0:
                    return
                read_exactly(connection, length)
                self.frames += 1
        except (OSError, EOFError):
            return

    def control(self, connection, kind):
        escape, length = struct.unpack("!II", read_exactly(connection, 8))
        frame = read_exactly(connection, length)
        assert escape == 0 and struct.unpack("!I", frame[:4])[0] == kind, frame
        assert CONTENT_TYPE in frame


class QueryLog(Story):
    REQUIRES = ("dnstap-read",)

    def test_bind_reads_what_was_asked_and_answered(self):
        parts.BackEnd(self, FRA)
        path = self.directory / "queries.dnstap"
        log = f'[query_log]\nfile = "{path}"\nmessages = ["query", "response"]\n'
        server = Windrose(self, CONFIG + log).start()
        for _ in range(20):
            server.ask(f"shop.{ZONE}")
        server.ask(f"none.{ZONE}", "AAAA", tcp=True)
        wait_until("all is written", lambda: server.metric("windrose_query_log_written_total") == 42, 10)
        self.assertEqual(server.metric("windrose_query_log_dropped_total"), 0)
        server.process.signal(signal.SIGTERM)
        wait_until("it has ended", lambda: not server.process.alive(), 10)
        lines = self.tool("dnstap-read", path).splitlines()
        self.assertEqual(len(lines), 42, lines)
        asked = [line for line in lines if f" AQ 127.0.0.1:" in line]
        answered = [line for line in lines if f" AR 127.0.0.1:" in line]
        self.assertEqual((len(asked), len(answered)), (21, 21), lines)
        self.assertEqual(sum(f"shop.{ZONE}/IN/A" in line for line in lines), 40)
        self.assertEqual(sum(" TCP " in line for line in lines), 2)
        whole = self.tool("dnstap-read", "-y", path)
        self.assertIn("identity: gtm1", whole)
        self.assertIn("version: windrose ", whole)
        self.assertIn(f"shop.{ZONE}.", whole)
        self.assertIn(FRA, whole)
        self.assertIn("status: NXDOMAIN", whole)

    def test_a_reader_that_stops_reading_costs_nobody_an_answer(self):
        parts.BackEnd(self, FRA)
        path = self.directory / "dnstap.sock"
        reader = Reader(self, path)
        server = Windrose(self, CONFIG + f'[query_log]\nsocket = "{path}"\n').start()
        server.ask(f"shop.{ZONE}")
        wait_until("it is read", lambda: reader.frames >= 1, 10)
        reader.reads.clear()
        name = f"shop.{ZONE}"
        asked = 0
        begun = time.monotonic()
        while time.monotonic() - begun < 3:
            self.assertEqual(server.ask(name).rcode, "NOERROR")
            asked += 1
        self.assertEqual(server.get("/healthz"), "ok\n")
        reader.reads.set()
        wait_until("it goes on", lambda: reader.frames >= asked // 2, 10)
        report(f"{asked} answers in 3 s beside a reader that reads nothing")
