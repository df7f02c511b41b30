"""The wall clock jumps, back by a day and forward by another: answers, probes and
loads go on, and serials never go back.
"""

from support import parts
from support.clock import WallClock
from support.server import Windrose
from support.world import Story, report, wait_until

FRA, IAD = "127.0.15.1", "127.0.15.2"
ZONE = "gslb.example.com"
NAME = f"shop.{ZONE}"
DAY_S = 86_400


def config(text):
    return f"""
[server]
listen = ["127.0.0.1:53"]
state_dir = "state"

[zone."{ZONE}"]
nameservers = ["ns1.example.com"]
hostmaster = "hostmaster@example.com"
records = ["@ IN TXT {text}"]

[datacenter.fra]
vip = "{FRA}"

[datacenter.iad]
vip = "{IAD}"

[health_check.ready]
type = "http"
interval = "500ms"
confirm_interval = "200ms"
timeout = "400ms"

[wip."{NAME}"]
policy = "failover"
members = ["fra", "iad"]
health_check = "ready"
"""


class Clock(Story):
    REQUIRES = ("faketime",)

    def setUp(self):
        super().setUp()
        self.wall = WallClock(self)
        self.fra = parts.BackEnd(self, FRA)
        parts.BackEnd(self, IAD)

    def serial(self):
        (soa,) = self.server.ask(ZONE, "SOA").answer
        return int(soa.data.split()[2])

    def load(self, text):
        """Changes the zone's content; returns the serial it got."""
        self.server.write(config(text))
        wait_until(f"{text} is loaded", lambda: [
            record.data for record in self.server.ask(ZONE, "TXT").answer] == [text], 5)
        return self.serial()

    def follows_health(self, when):
        """A back end's failure and return are seen in time."""
        self.fra.status = 500
        down = wait_until(f"{when}: it goes", lambda: self.server.ask(NAME).addresses() == [IAD], 4)
        self.fra.status = 200
        up = wait_until(f"{when}: it returns", lambda: self.server.ask(NAME).addresses() == [FRA], 6)
        report(f"{when}: out after {down:.2f} s, in after {up:.2f} s")

    def test_the_wall_clock_jumps(self):
        self.server = Windrose(self, config("one")).start(environment=self.wall.environment)
        serials = [self.serial()]
        serials.append(self.load("two"))
        self.follows_health("before")
        logged = self.server.log()[-1]["timestamp"]
        self.wall.set(-DAY_S)
        serials.append(self.load("three"))
        # The answers change a moment before the log says so.
        wait_until("the clock has gone back",
                   lambda: self.server.log()[-1]["timestamp"] < logged, 2)
        self.follows_health("a day back")
        self.assertLess(self.server.metric("windrose_probe_lag_seconds"), 2)
        self.assertEqual(self.server.metric("windrose_member_state", wip=NAME, member="iad"), 1)
        self.assertTrue(self.server.get("/readyz"))
        # Over a restart in the past, too: the state directory remembers.
        self.assertEqual(self.server.process.stop(), 0)
        self.server.start(environment=self.wall.environment)
        self.assertEqual(self.serial(), serials[-1])
        serials.append(self.load("four"))
        self.wall.set(DAY_S)
        serials.append(self.load("five"))
        self.follows_health("a day ahead")
        self.assertEqual(serials, sorted(set(serials)), "strictly increasing")
