"""DNS cookies with one secret: of two of ours, of BIND's and of Knot's, each taken by the
others; and a rotation in which no cookie is refused.
"""

import re

from support import parts, programs
from support.server import Windrose
from support.world import Story, wait_until

NAME = "www.example.com"
OLD, NEW = "00112233445566778899aabbccddeeff", "e5e973e5a6b2a43f48e7dc849e37bfcf"
ZONE = """$TTL 60
@ SOA ns1 hostmaster 1 7200 900 1209600 60
@ NS ns1
ns1 A 192.0.2.1
www A 192.0.2.80
"""


def config(address, admin, secrets):
    return f"""
[server]
listen = "{address}:53"
[cookies]
secret_file = "{secrets}"
policy = "always"
[admin]
listen = "{admin}"
[zone."example.com"]
nameservers = ["ns1.example.com"]
hostmaster = "hostmaster@example.com"
records = ["ns1 A 192.0.2.1", "www A 192.0.2.80"]
"""


class Cookies(Story):
    REQUIRES = ("dig", "kdig", "named", "knotd")

    def windrose(self, number, *secrets):
        name, admin = f"windrose{number}", f"127.0.0.1:805{number}"
        file = self.write(f"{name}.secrets", "\n".join(secrets) + "\n")
        file.chmod(0o640)
        address = f"127.0.0.{number}"
        text = config(address, admin, file)
        return Windrose(self, text, name=name, admin=admin, address=address).start()

    def ask(self, address, cookie=""):
        """Rcode, and the cookie given."""
        cookie = f"+cookie={cookie}" if cookie else "+cookie"
        said = self.tool("dig", f"@{address}", "-b", "127.0.0.1", NAME, cookie, "+nobadcookie", "+tries=1")
        rcode = re.search(r"status: (\w+)", said)[1]
        return rcode, re.search(r"COOKIE: ([0-9a-f]{48})", said)[1]

    def taken(self, cookie, *addresses):
        for address in addresses:
            with self.subTest(address):
                self.assertEqual(self.ask(address, cookie)[0], "NOERROR")

    def test_servers_with_one_secret_take_the_cookies_of_one_another(self):
        self.windrose(1, OLD)
        self.windrose(2, OLD)
        self.address("127.0.0.3")  # BIND listens on what interfaces have
        self.start_bind("127.0.0.3")
        self.start_knot("127.0.0.4")
        addresses = [f"127.0.0.{number}" for number in range(1, 5)]
        for address in addresses:
            rcode, cookie = self.ask(address)
            self.assertEqual(rcode, "BADCOOKIE", address)
            self.taken(cookie, *addresses)
        self.windrose(5, NEW)
        self.assertEqual(self.ask("127.0.0.5", cookie)[0], "BADCOOKIE", "another secret")
        # Clients that keep cookies come back with what they got, all by themselves.
        for tool in ("dig", "kdig"):
            said = self.tool(tool, "@127.0.0.1", NAME, "+cookie")
            self.assertRegex(said, r"status: NOERROR", tool)

    def test_a_rotation_has_no_gap(self):
        servers = [self.windrose(1, OLD), self.windrose(2, OLD)]
        kept = [self.ask(server.address)[1] for server in servers]
        for secrets in ([OLD, NEW], [NEW, OLD]):
            for server in servers:
                loads = server.metric("windrose_config_generation")
                self.write(f"{server.name}.secrets", "\n".join(secrets) + "\n").chmod(0o640)
                wait_until("the file is loaded",
                           lambda: server.metric("windrose_config_generation") > loads, 20)
                # The other server is a step behind, or ahead.
                kept.append(self.ask(server.address)[1])
                for cookie in kept:
                    self.taken(cookie, *(server.address for server in servers))
        self.assertFalse(servers[0].logged("secret-readable"))

    def start_bind(self, address):
        zone = self.write("bind/zone", ZONE)
        conf = self.write("bind/named.conf", f"""
options {{
    directory "{self.directory}/bind"; pid-file none; session-keyfile none; lock-file none;
    listen-on {{ {address}; }}; listen-on-v6 {{ none; }};
    recursion no; dnssec-validation no; notify no;
    answer-cookie yes; require-server-cookie yes;
    cookie-algorithm siphash24; cookie-secret "{OLD}";
}};
controls {{ }};
zone "example.com" {{ type primary; file "{zone}"; }};
""")
        self.start("bind", parts.unconfined(self, "named"), "-g", "-n", "1", "-c", conf)
        self.until_up(address)

    def start_knot(self, address):
        zone = self.write("knot/zone", ZONE)
        conf = self.write("knot/knot.conf", f"""
server:
  rundir: "{self.directory}/knot"
  listen: {address}@53
  udp-workers: 1
  tcp-workers: 1
  background-workers: 1
database:
  storage: "{self.directory}/knot"
mod-cookies:
  - id: default
    secret: 0x{OLD}
    badcookie-slip: 1
template:
  - id: default
    global-module: mod-cookies/default
    journal-content: none
zone:
  - domain: example.com
    file: "{zone}"
""")
        self.start("knot", programs.find("knotd"), "-c", conf)
        self.until_up(address)

    def until_up(self, address):
        wait_until(f"{address} answers", lambda: parts.answers(address, "example.com"), 20)
