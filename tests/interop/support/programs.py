"""The programs of others: where they are, and which Debian package has them."""

import os
import shutil
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]

PACKAGES = {
    "curl": "curl",
    "dig": "bind9-dnsutils",
    "dnsdist": "dnsdist",
    "dnspython": "python3-dnspython",
    "dnstap-read": "bind9-dnsutils",
    "dnsviz": "dnsviz",
    "drill": "ldnsutils",
    "faketime": "faketime",
    "ip": "iproute2",
    "iptables": "iptables",
    "kdig": "knot-dnsutils",
    "knotd": "knot",
    "ldns-read-zone": "ldnsutils",
    "named": "bind9",
    "named-checkzone": "bind9-utils",
    "nft": "nftables",
    "nginx": "nginx-light",
    "npm": "npm",
    "nsd": "nsd",
    "openssl": "openssl",
    "pgrep": "procps",
    "prlimit": "util-linux",
    "prometheus": "prometheus",
    "promtool": "prometheus",
    "setpriv": "util-linux",
    "sysctl": "procps",
    "unbound": "unbound",
    "unshare": "util-linux",
    "zonemaster-cli": "zonemaster-cli",
}
# Libraries of Debian's Python, by a file that says they are there.
LIBRARIES = {"dnspython": "/usr/lib/python3/dist-packages/dns/__init__.py"}
# Daemons are often outside an ordinary user's PATH.
PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin", "/sbin"])


class NotYet(Exception):
    """What is looked for is not there yet."""


class Missing(Exception):
    """A program is not installed."""


def windrose():
    """The binary under test."""
    path = Path(os.environ.get("WINDROSE_BINARY", ROOT / "target/debug/windrose"))
    if not path.is_file():
        raise Missing(f"{path} is not there: run `cargo build`")
    return str(path.resolve())


def look(program):
    """The path of a program or a library; none where it is not."""
    if program in LIBRARIES:
        path = LIBRARIES[program]
        return path if Path(path).is_file() else None
    return shutil.which(program, path=PATH)


def find(program):
    """The path of a program."""
    if program == "windrose":
        return windrose()
    path = look(program)
    if path is None:
        package = PACKAGES.get(program, "?")
        raise Missing(f"{program} is not installed (Debian package {package})")
    return path


def demand(programs):
    """Fails unless all of them are there."""
    for program in programs:
        find(program)


def missing_packages(programs):
    """The packages to install for those that are not there."""
    absent = [name for name in programs if look(name) is None]
    return sorted({PACKAGES[name] for name in absent})
