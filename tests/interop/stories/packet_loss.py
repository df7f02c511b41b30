"""The path to one site loses 40 % of the packets: the site is taken out, and stays
out, although single probes go on succeeding.
"""

import time

from support import parts
from support.server import Windrose
from support.world import Story, report, wait_until

FRA, IAD = "127.0.11.1", "127.0.11.2"
ZONE = "gslb.example.com"
NAME = f"shop.{ZONE}"
OBSERVED_S = 40
# Of four probes through such a path one succeeds, so `rise` of them in a row do
# now and then; a return doubles what the next one takes. The bounds are wide
# enough for one run in a million to cross them.
RETURNS_MAX = 3
UP_SHARE_MAX = 0.5

CONFIG = f"""
[server]
listen = ["127.0.0.1:53"]

[zone."{ZONE}"]
nameservers = ["ns1.example.com"]
hostmaster = "hostmaster@example.com"

[datacenter.fra]
vip = "{FRA}"

[datacenter.iad]
vip = "{IAD}"

[health_check.ready]
type = "http"
interval = "1s"
confirm_interval = "250ms"
timeout = "900ms"
fall = 3
rise = 3

[wip."{NAME}"]
policy = "failover"
members = ["fra", "iad"]
health_check = "ready"
"""


class PacketLoss(Story):
    REQUIRES = ("iptables",)

    def lose(self, action):
        """Adds or removes the loss, in both directions."""
        for way in ("--source", "--destination"):
            self.tool("iptables", "--wait", action, "INPUT", "--protocol", "tcp", way, FRA,
                      "--match", "statistic", "--mode", "random", "--probability", "0.4",
                      "--jump", "DROP")

    def test_a_lossy_path_takes_a_site_out_and_keeps_it_out(self):
        parts.BackEnd(self, FRA)
        parts.BackEnd(self, IAD)
        server = Windrose(self, CONFIG).start()
        wait_until("fra is up", lambda: server.member_state(NAME, "fra") == 1, 5)
        self.lose("--append")
        start = time.monotonic()
        taken_out_s = wait_until("fra is out", lambda: server.ask(NAME).addresses() == [IAD], 20)
        probes = lambda result: server.metric("windrose_probe_results_total", result=result)  # noqa: E731
        before = {result: probes(result) for result in ("success", "timeout")}

        looks = up = 0
        while time.monotonic() - start < OBSERVED_S:
            looks += 1
            up += server.ask(NAME).addresses() == [FRA]
            time.sleep(0.1)
        returns = len(server.logged("check is up", member="fra", **{"from": "down"}))
        failures = probes("timeout") - before["timeout"]
        report(f"40 % loss took the site out after {taken_out_s:.1f} s; in {OBSERVED_S} s after it "
               f"{failures:.0f} probes failed, it came back {returns} times and was in for "
               f"{100 * up / looks:.0f} % of the time")
        self.assertGreater(failures, 5, "the path does lose packets")
        self.assertLessEqual(returns, RETURNS_MAX)
        self.assertLess(up / looks, UP_SHARE_MAX)
        self.assertFalse(server.logged("check is down", member="iad"))

        # Take it out for good, so that the return from it is seen.
        wait_until("fra is out", lambda: server.ask(NAME).addresses() == [IAD], 20)
        self.lose("--delete")
        seconds = wait_until("fra is in again", lambda: server.ask(NAME).addresses() == [FRA], 45)
        report(f"without loss it came back after {seconds:.1f} s")
