"""Health from outside: the TTL sinks while a member is in doubt, several checks
and a site's own check, what is ready when, and history that outlives a reload.
"""

import signal
import socket
import threading

from support import parts
from support.server import Windrose
from support.world import Story, report, wait_until

FRA, IAD = "127.0.14.1", "127.0.14.2"
ZONE = "gslb.example.com"
TTL_S = 30

HEAD = f"""
[server]
listen = ["127.0.0.1:53"]

[zone."{ZONE}"]
nameservers = ["ns1.example.com"]
hostmaster = "hostmaster@example.com"

[datacenter.fra]
vip = "{FRA}"
%s

[datacenter.iad]
vip = "{IAD}"

[health_check.web]
type = "http"
host = "app.example.com"
interval = "2s"
timeout = "1s"
confirm_interval = "%s"

[health_check.router]
type = "tcp"
port = 179
interval = "1s"
timeout = "500ms"
confirm_interval = "200ms"

[health_check.cache]
type = "tcp"
port = 6379
send = "PING\\r\\n"
expect = "+PONG"
interval = "1s"
timeout = "500ms"
confirm_interval = "200ms"

[wip_defaults]
policy = "failover"
members = ["fra", "iad"]
health_check = "web"
ttl = "{TTL_S}s"
ttl_min = "1s"

[wip."shop.{ZONE}"]
"""

SEVERAL = f"""
[wip."all.{ZONE}"]
health_check = ["web", "cache"]

[wip."any.{ZONE}"]
health_check = ["web", "cache"]
require = "any"
"""


def config(site="", confirm="500ms", more=""):
    return HEAD % (site, confirm) + more


class Lines:
    """A TCP back end that replies to whatever it is sent; `says` may be changed."""

    def __init__(self, story, address, port, says):
        self.says = says
        self.listener = socket.create_server((address, port))
        threading.Thread(target=self.run, daemon=True).start()
        story.addCleanup(self.stop)

    def run(self):
        while True:
            try:
                stream, _ = self.listener.accept()
            except OSError:
                return
            with stream:
                stream.settimeout(1)
                try:
                    if self.says:
                        stream.recv(100)
                        stream.sendall(self.says)
                except OSError:
                    pass

    def stop(self):
        # A close alone leaves a blocked accept listening.
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()


class Health(Story):
    def setUp(self):
        super().setUp()
        self.fra = parts.BackEnd(self, FRA)
        self.iad = parts.BackEnd(self, IAD)

    def answer(self, name="shop"):
        return self.server.ask(f"{name}.{ZONE}").addresses()

    def test_the_ttl_sinks_while_a_member_is_in_doubt(self):
        self.server = Windrose(self, config(confirm="1s")).start()
        self.assertEqual(self.server.ask(f"shop.{ZONE}").ttl, TTL_S)
        self.fra.status = 500
        seen = []

        def moved():
            reply = self.server.ask(f"shop.{ZONE}")
            if not seen or seen[-1] != (reply.addresses(), reply.ttl):
                seen.append((reply.addresses(), reply.ttl))
            return reply.addresses() == [IAD], seen

        wait_until("it moves", moved, 10)
        # Calm, two failures missing, one missing, and the other site, calm.
        self.assertEqual(seen, [([FRA], TTL_S), ([FRA], 2), ([FRA], 1), ([IAD], TTL_S)])
        self.fra.status = 200
        seen.clear()

        def back():
            reply = self.server.ask(f"shop.{ZONE}")
            if not seen or seen[-1] != (reply.addresses(), reply.ttl):
                seen.append((reply.addresses(), reply.ttl))
            return reply.addresses() == [FRA], seen

        wait_until("it returns", back, 10)
        # The member skipped before is about to return: what names the other ends soon.
        self.assertEqual(seen, [([IAD], TTL_S), ([IAD], 1), ([FRA], TTL_S)])
        report("TTL with two results missing 2 s, with one 1 s, calm 30 s, both ways")

    def test_several_checks_and_a_sites_own(self):
        caches = [Lines(self, address, 6379, b"+PONG\r\n") for address in (FRA, IAD)]
        router = Lines(self, FRA, 179, b"")
        self.server = Windrose(self, config('health_check = "router"', more=SEVERAL)).start()
        names = ("shop", "all", "any")
        answers = lambda: [self.answer(name) for name in names]  # noqa: E731
        self.assertEqual(answers(), [[FRA], [FRA], [FRA]])
        caches[0].says = b"-LOADING\r\n"
        wait_until("all needs the cache", lambda: answers() == [[FRA], [IAD], [FRA]], 6)
        self.fra.status = 500
        wait_until("any has nothing left", lambda: answers() == [[IAD], [IAD], [IAD]], 8)
        caches[0].says = b"+PONG\r\n"
        wait_until("any has the cache", lambda: answers() == [[IAD], [IAD], [FRA]], 6)
        self.fra.status = 200
        wait_until("all have both", lambda: answers() == [[FRA], [FRA], [FRA]], 8)
        # Without its router the site is out, whatever its applications say.
        router.stop()
        wait_until("the site is out", lambda: answers() == [[IAD], [IAD], [IAD]], 6)
        text = self.server.command("explain", f"shop.{ZONE}")
        self.assertIn("router", text)
        self.assertEqual(self.server.member_state(f"shop.{ZONE}", "iad"), 1)

    def test_history_outlives_a_reload(self):
        self.server = Windrose(self, config()).start()
        self.fra.stop()
        wait_until("fra is out", lambda: self.answer() == [IAD], 10)
        transitions = len(self.server.logged("member is"))
        # Another name on the same probe, another TTL, other thresholds.
        more = f'[wip."late.{ZONE}"]\n'
        self.server.write(config(more=more).replace(f'ttl = "{TTL_S}s"', 'ttl = "20s"')
                          .replace('timeout = "1s"', 'timeout = "1s"\nrise = 3'))
        wait_until("it is loaded", lambda: self.answer("late") == [IAD], 5)
        self.assertEqual(self.answer(), [IAD])
        # A changed probe of the same member inherits its verdict.
        self.server.write(config(more=more).replace('host = "app', 'path = "/new"\nhost = "app'))
        wait_until("two loads", lambda: len(self.server.logged("config loaded")) == 2, 5)
        self.assertEqual((self.answer(), self.answer("late")), ([IAD], [IAD]))
        self.server.process.signal(signal.SIGHUP)
        wait_until("three loads", lambda: len(self.server.logged("config loaded")) == 3, 5)
        self.assertEqual(len(self.server.logged("member is")), transitions, "no flap by loading")
        self.assertEqual(self.server.member_state(f"shop.{ZONE}", "fra"), 2)
        self.fra.start()
        wait_until("fra is in", lambda: self.answer() == [FRA], 10)

    def test_ready_after_first_verdicts_and_answering_before(self):
        # A back end that accepts and says nothing holds the first verdict up.
        self.fra.stop()
        silent = socket.create_server((FRA, 80))
        self.addCleanup(silent.close)
        self.server = Windrose(self, config()).start(ready=False)
        first = wait_until("an answer", lambda: self.answer() == [FRA], 5)
        reply = self.server.ask(f"shop.{ZONE}")
        self.assertEqual(reply.ttl, 1, "not judged yet: short")
        with self.assertRaises(OSError, msg="503 before first verdicts"):
            self.server.get("/readyz")
        ready = wait_until("it is ready", lambda: self.server.get("/readyz"), 12)
        self.assertEqual(self.answer(), [IAD])
        report(f"answering {first:.2f} s after the start, ready {ready:.1f} s later, "
               "when a silent back end was judged")
