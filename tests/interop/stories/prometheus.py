"""Prometheus scrapes the metrics, and promtool finds nothing wrong with them."""

import json
import time
import urllib.parse
import urllib.request

from support import programs
from support.server import Windrose
from support.world import Story, report, wait_until

ZONE = "gslb.example.com"
PROMETHEUS = "127.0.0.1:9090"
SHIPPED = programs.ROOT / "config" / "deploy" / "prometheus"

CONFIG = f"""
[server]
listen = ["127.0.0.1:53"]

[zone."{ZONE}"]
nameservers = ["ns1.example.com"]
hostmaster = "hostmaster@example.com"

[datacenter.fra]
vip = "127.0.12.1"

[datacenter.iad]
vip = "127.0.12.2"

[health_check.ready]
type = "tcp"
port = 80
interval = "1s"
timeout = "500ms"
confirm_interval = "200ms"

[wip_defaults]
members = ["fra", "iad"]
policy = "failover"

[wip."shop.{ZONE}"]

[wip."dead.{ZONE}"]
health_check = "ready"
"""

SCRAPE = f"""
global:
  scrape_interval: 1s
  evaluation_interval: 1s
rule_files:
  - {SHIPPED}/windrose.rules.yml
scrape_configs:
  - job_name: windrose
    static_configs:
      - targets: ["127.0.0.1:8053"]
"""


class Prometheus(Story):
    REQUIRES = ("prometheus", "promtool")

    def api(self, path, **arguments):
        url = f"http://{PROMETHEUS}/api/v1/{path}?{urllib.parse.urlencode(arguments)}"
        with urllib.request.urlopen(url, timeout=5) as page:
            return json.load(page)["data"]

    def value(self, query):
        """A query's single value; none yet is a LookupError."""
        return float(self.api("query", query=query)["result"][0]["value"][1])

    def test_a_real_scrape(self):
        server = Windrose(self, CONFIG).start()
        config = self.write("prometheus.yml", SCRAPE)
        self.start("prometheus", "prometheus", f"--config.file={config}",
                   f"--storage.tsdb.path={self.directory}/tsdb",
                   f"--web.listen-address={PROMETHEUS}")
        wait_until("the target is up", lambda: self.value('up{job="windrose"}') == 1, 30)
        for _ in range(50):
            server.ask(f"shop.{ZONE}")
            server.ask(f"dead.{ZONE}")
        wip = f'wip="shop.{ZONE}"'
        wait_until("answers per member are seen", lambda: self.value(
            f'windrose_wip_answers_total{{{wip},member="fra"}}') == 50, 10)
        wait_until("members down are seen", lambda: self.value(
            f'windrose_member_state{{wip="dead.{ZONE}",member="fra"}}') == 2, 10)
        self.assertEqual(self.value('sum(windrose_dns_queries_total{transport="udp"})'), 100)
        responses = 'sum(windrose_dns_responses_total{transport="udp",rcode="NOERROR"})'
        self.assertEqual(self.value(responses), 100)

        # The rules that ship run on it without error, and their alerts see it.
        wait_until("the rules ran", lambda: all(
            rule["health"] == "ok" for rule in self.rules()), 10)
        wait_until("an alert sees the dead application", lambda: {
            alert["labels"]["alertname"] for alert in self.api("alerts")["alerts"]
        } >= {"WindroseAllMembersDown"}, 20)
        names = self.api("label/__name__/values")
        families = {name for name in names if name.startswith("windrose_")}
        report(f"{len(families)} windrose series names scraped, {len(self.rules())} rules sound")
        start = time.monotonic()
        server.get("/metrics")
        report(f"a scrape takes {1000 * (time.monotonic() - start):.1f} ms")

    def rules(self):
        return [rule for group in self.api("rules")["groups"] for rule in group["rules"]]

    def test_promtool_finds_nothing_wrong(self):
        server = Windrose(self, CONFIG).start()
        server.ask(f"shop.{ZONE}")
        self.assertEqual(self.tool("promtool", "check", "metrics", input=server.get("/metrics")), "")
        self.tool("promtool", "check", "config", SHIPPED / "prometheus.yml")
        self.tool("promtool", "check", "rules", SHIPPED / "windrose.rules.yml")
        self.tool("promtool", "test", "rules", SHIPPED / "windrose.rules.test.yml")
