"""Windrose itself, as an operator holds it: a config file, a process, its
metrics, its API and its command line.
"""

import json
import re
import subprocess
import urllib.request

from . import programs, wire
from .world import wait_until

READY_WITHIN_S = 20
ADMIN = "127.0.0.1:8053"


class Windrose:
    """A server; `config` is the text of its windrose.toml."""

    def __init__(self, story, config, name="windrose", admin=ADMIN, address="127.0.0.1", port=53):
        self.story = story
        self.name = name
        self.admin = admin
        self.url = f"http://{admin}"
        self.address = address
        self.port = port
        self.path = story.write(f"{name}/windrose.toml", config)
        self.process = None

    def start(self, ready=True, environment=None):
        """Starts it, and waits until it says it is ready."""
        self.process = self.story.start(
            self.name, "windrose", "serve", "--config", self.path, environment=environment)
        if ready:
            wait_until(f"{self.name} is ready", self._ready, READY_WITHIN_S)
        return self

    def _ready(self):
        if not self.process.alive():
            raise SystemExit(f"{self.name} ended:\n{self.process.output()}")
        try:
            return self.get("/readyz") is not None
        except OSError as error:
            return False, repr(error)

    def get(self, path):
        """A page of the admin listener."""
        with urllib.request.urlopen(self.url + path, timeout=5) as page:
            return page.read().decode()

    def ask(self, name, rtype="A", **options):
        return wire.ask(self.address, name, rtype, port=self.port, **options)

    def status(self):
        return json.loads(self.get("/api/v1/status"))

    def metric(self, family, **labels):
        """A metric's value; the sum over all series that have these labels."""
        total, found = 0.0, False
        for line in self.get("/metrics").splitlines():
            match = re.fullmatch(r"(\w+)(?:\{(.*)\})? (\S+)", line)
            if match and match[1] == family:
                has = dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', match[2] or ""))
                if all(has.get(label) == value for label, value in labels.items()):
                    total, found = total + float(match[3]), True
        if not found:
            raise programs.NotYet(f"no series {family} {labels}")
        return total

    def log(self):
        """Its log: one object a line."""
        lines = []
        for line in self.process.output().splitlines():
            if line.startswith("{"):
                lines.append(json.loads(line))
        return lines

    def logged(self, text, **fields):
        """The log's lines whose message holds a text and that have these fields."""
        return [line for line in self.log()
                if text in line["message"]
                and all(line.get(name) == value for name, value in fields.items())]

    def command(self, *arguments, check=True):
        """Runs `windrose` against this server."""
        return self.story.tool("windrose", *arguments, "--server", self.url, check=check)

    def write(self, text):
        """Puts a config in the place of the one before, as editors do: by a rename."""
        aside = self.path.with_suffix(".new")
        aside.write_text(text)
        aside.rename(self.path)

    def member_state(self, wip, member):
        """State by `windrose_member_state`: 0 unknown, 1 up, 2 down."""
        return int(self.metric("windrose_member_state", wip=wip, member=member))


def run_windrose(*arguments, timeout_s=20, environment=None):
    """Runs the command line to its end: (status, standard output, standard error)."""
    done = subprocess.run(
        [programs.windrose(), *map(str, arguments)], capture_output=True, text=True,
        stdin=subprocess.DEVNULL, timeout=timeout_s, env=environment,
    )
    return done.returncode, done.stdout, done.stderr
