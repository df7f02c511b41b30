"""A member that was lost and is up again: held until an operator or time lets it in,
and then with a share of clients that grows.
"""

import json

from support import parts
from support.server import Windrose
from support.world import Story, report, wait_until

FRA, IAD = "127.0.14.11", "127.0.14.12"
ZONE = "gslb.example.com"
RAMP_S = 20

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

[health_check.web]
type = "http"
host = "app.example.com"
interval = "1s"
timeout = "500ms"
confirm_interval = "200ms"

[wip_defaults]
policy = "failover"
members = ["fra", "iad"]
health_check = "web"
ttl_min = "1s"

[wip."auto.{ZONE}"]

[wip."manual.{ZONE}"]
failback = "manual"

[wip."after.{ZONE}"]
failback = "after:5s"

[wip."ramp.{ZONE}"]
ramp = "{RAMP_S}s"
"""

UP, DOWN, HELD = 1, 2, 6
CLIENTS = [f"10.{index // 256}.{index % 256}.0/24" for index in range(500)]


class ComingBack(Story):
    def test_held_members_and_ramps(self):
        self.address(FRA, IAD)
        sites = {address: parts.Backend(self, address) for address in (FRA, IAD)}
        server = Windrose(self, CONFIG).start()
        names = [f"{which}.{ZONE}" for which in ("auto", "manual", "after", "ramp")]

        def answers(name, expected):
            return lambda: (
                server.ask(name).addresses() == [expected], server.ask(name).addresses())

        for name in names:
            wait_until(f"{name} is at {FRA}", answers(name, FRA), 10)

        sites[FRA].stop()
        for name in names:
            wait_until(f"{name} moves to {IAD}", answers(name, IAD), 10)
        sites[FRA].start()
        wait_until("auto is back", answers(names[0], FRA), 10)

        # Manual: up, and out of answers.
        wait_until("fra is held", lambda: server.member_state(names[1], "fra") == HELD, 10)
        self.assertEqual(server.ask(names[1]).addresses(), [IAD])
        explained = server.command("explain", names[1]).stdout
        self.assertIn("up, held (failback manual)", explained)
        report("manual: held while up")
