"""What a server of the comparison is; the floor, Windrose, and those of the caller.
The others are in peers.py.
"""

import os
import shlex
import shutil
import socket
import subprocess

from world import CONTINENTS, FILES, NAMES_PER_FILE, SITES, TTL_S, V4, V6, WEIGHT, ZONE

PATH = os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin"

STATIC = {"static", "fixed", "nxdomain", "blend"}


class Server:
    """`can` are kinds of mixes by their first word (mixes.py); the rest is in `cannot`,
    with reasons for docs."""

    name = program = ""
    packages = ()
    can = STATIC
    # Whether client subnets are echoed.
    subnets = True
    # Whether geo names are decided.
    decides = False
    # Whether it decides them, but not a million of them.
    only_few = False
    # Whether it probes, and so can find all members down.
    probes = False

    def __init__(self, world, port):
        self.world, self.port = world, port
        self.address = f"127.0.0.1:{port}"
        self.folder = world.path(self.name)

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, parts):
        return self.world.write(f"{self.name}/{name}", parts)

    def configure(self):
        """Writes the config; `command` then starts it in the foreground."""
        raise NotImplementedError

    def command(self):
        raise NotImplementedError

    def finds_all_down(self):
        """Whether it has found all members down, as it says itself; only where `probes`."""
        raise NotImplementedError

    def version(self):
        """What the program says of itself, in a line."""
        return self.said("-V")

    def said(self, *arguments):
        done = subprocess.run([find(self.program), *arguments], capture_output=True, text=True)
        lines = (done.stdout + done.stderr).strip().splitlines()
        return lines[0].strip() if lines else "?"


def find(program):
    return shutil.which(program, path=PATH)


#------------ Floor -----------------------------------------------------------

class Floor(Server):
    """Started anew for each mix: its answer is as long as the right one."""

    name = "floor"
    decides = True

    def __init__(self, world, port, program):
        super().__init__(world, port)
        self.program, self.arguments = program, []

    def configure(self):
        os.makedirs(self.folder, exist_ok=True)

    def command(self):
        return [self.program, "--listen", self.address, *self.arguments]


#------------ Windrose --------------------------------------------------------

class Windrose(Server):
    name = "windrose"
    can = STATIC - {"fixed"} | {"geo", "even", "weighted", "failover", "hash", "aaaa"}
    decides = probes = True

    def __init__(self, world, port, program):
        super().__init__(world, port)
        self.program = program

    def configure(self):
        head = f"""[server]
listen  = ["{self.address}"]
workers = 1

[admin]
listen = "off"

[zone."{ZONE}"]
file = "static.zone"

[health_check.shared]
type     = "tcp"
address  = "127.0.0.1"
port     = {self.world.health_port}
interval = "1s"
timeout  = "500ms"

[wip_defaults]
members      = [{", ".join(f'"{site}"' for site in SITES)}]
health_check = "shared"
ttl          = "{TTL_S}s"
"""
        for site, facts in SITES.items():
            serves = ", ".join(f'"continent:{code}"' for code in facts[CONTINENTS])
            head += f"""
[datacenter.{site}]
vip    = ["{facts[V4]}", "{facts[V6]}"]
weight = {facts[WEIGHT]}
serves = [{serves}]
"""
        if self.world.million:
            head = f'include = ["wips/*.toml"]\n\n{head}'
            for number in range(FILES):
                first = number * NAMES_PER_FILE
                labels = (f"geo{first + offset}" for offset in range(NAMES_PER_FILE))
                self.write(f"wips/{number:04}.toml", (self.wip(label, "geo") for label in labels))
        kinds = {kind: policy for kind, policy in self.world.policies.items()
                 if not (self.world.million and kind == "geo")}
        wips = (self.wip(label, policy) for kind, policy in kinds.items()
                for label in self.world.numbered(kind))
        self.write("windrose.toml", [head, *wips])
        self.world.zone_file(f"{self.name}/static.zone", lambda kind, label: "")

    @staticmethod
    def wip(label, policy):
        said = "" if policy == "geo" else f'policy = "{policy}"\n'
        return f'\n[wip."{label}.{ZONE}"]\n{said}'

    def command(self):
        return [self.program, "serve", "--config", self.path("windrose.toml")]

    def finds_all_down(self):
        """By the Extended DNS Error of its answer."""
        labels = f"geo0.{ZONE}".encode().split(b".")
        name = b"".join(bytes([len(label)]) + label for label in labels) + b"\0"
        opt = b"\0\0\x29\x04\xd0\0\0\0\0\0\0"
        query = b"\0\1\0\0\0\1\0\0\0\0\0\1" + name + b"\0\1\0\1" + opt
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
            asking.connect(("127.0.0.1", self.port))
            asking.settimeout(1)
            asking.send(query)
            try:
                return b"all members down" in asking.recv(4096)
            except OSError:
                return False

    def version(self):
        return self.said("--version")


#------------ Given ------------------------------------------------------------

class Given(Server):
    """A server of --server; what it can do is its owner's to know."""

    decides = True

    def __init__(self, world, text, kinds):
        self.name, address, *self.given = shlex.split(text)
        self.can = kinds
        super().__init__(world, int(address.rpartition(":")[2]))
        self.address = address

    def configure(self):
        os.makedirs(self.folder, exist_ok=True)

    def command(self):
        program = self.given[0]
        return [os.path.abspath(program) if "/" in program else program, *self.given[1:]]

    def version(self):
        return shlex.join(self.given)
