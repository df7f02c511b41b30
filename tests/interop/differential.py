#!/usr/bin/env python3
"""The same zones served by NSD, Knot DNS, BIND and Windrose, and their answers compared.

Zones and queries come from a seed (`zones.py`). Where the peers agree and
Windrose differs, the run fails. Where they disagree among themselves, Windrose
the split must be one of `SPLITS`, each with its reason; one that is not fails too.

Then one zone is asked in every shape a query may have (`shapes.py`).

    tests/interop/differential.py [--seed N] [--zones N] [--shapes N] [--windrose PATH] [--keep]

Exit status: 0 no difference; 1 differences, or a server is missing or refuses a zone.
"""

import argparse
import collections
import os
import random
import shutil
import socket
import struct
import sys
import tempfile

import servers
import shapes
import types_of_records
import wire
import zones

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
REPLY_TIMEOUT_S = 3
EXAMPLES_MAX = 3
# A zone that every server loads: when it is answered, all are.
READY = "ready.test."

PEERS = ("nsd", "knot", "named")


def main():
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--zones", type=int, default=150)
    arguments.add_argument("--shapes", type=int, default=3000)
    arguments.add_argument("--windrose", default=os.environ.get(
        "WINDROSE", os.path.join(ROOT, "target/debug/windrose")))
    arguments.add_argument("--keep", action="store_true", help="keep the folder with zones and logs")
    options = arguments.parse_args()
    folder = tempfile.mkdtemp(prefix="windrose-differential-")
    try:
        return run(options, folder)
    except (servers.Missing, RuntimeError) as error:
        print(f"differential: {error}", file=sys.stderr)
        return 1
    finally:
        if options.keep:
            print(f"kept: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)


def run(options, folder):
    source = random.Random(options.seed)
    cases = [zones.generate(source, index) for index in range(options.zones)]
    origins = [READY]
    servers.write(folder, f"{READY}zone", zones.smallest(READY))
    for of_case, _ in cases:
        for zone in of_case:
            servers.write(folder, f"{zone.origin}zone", zone.text())
            origins.append(zone.origin)
    for origin, text, _, _ in types_of_records.zones():
        servers.write(folder, f"{origin}zone", text)
        origins.append(origin)
    servers.write(folder, f"{shapes.ORIGIN}zone", shapes.ZONE)
    origins.append(shapes.ORIGIN)
    running = servers.start_all(folder, origins, os.path.abspath(options.windrose))
    try:
        report = Report()
        for of_case, queries in cases:
            for query in queries:
                compare(report, of_case, query, [ask(server, query) for server in running])
        for record in types_of_records.zones():
            compare_type(report, record, running)
        for _ in range(options.shapes):
            shape = shapes.Shape(source)
            report.add_shape(shape, [ask_shape(server, shape) for server in running])
    finally:
        for server in running:
            server.stop()
    return report.end(options, len(origins))


#------------ Asking ----------------------------------------------------------

SOCKETS = {}


def ask(server, query):
    name, rtype, edns, dnssec_ok, over_tcp = query
    message = wire.query(random.getrandbits(16), name, rtype, edns, dnssec_ok)
    raw = ask_tcp(server, message) if over_tcp else ask_udp(server, message)
    if raw[:2] != message[:2] or raw[12:12 + len(name)] != wire.name_to_wire(name)[:len(name)]:
        raise RuntimeError(f"{server.name}: ID or question not echoed for {query}")
    try:
        reply = wire.Reply(raw)
    except (wire.Malformed, struct.error) as error:
        raise RuntimeError(f"{server.name}: malformed reply to {query}: {error}") from error
    return reply


def ask_shape(server, shape):
    """The reply, read wholly; none is silence."""
    message = shape.encode(random.getrandbits(16))
    try:
        return wire.Reply((ask_tcp if shape.tcp else ask_udp)(server, message))
    except Silence:
        return None
    except (wire.Malformed, struct.error) as error:
        raise RuntimeError(f"{server.name}: malformed reply to {shape}: {error}") from error


class Silence(RuntimeError):
    """No reply, however often asked."""


def ask_udp(server, message):
    sock = SOCKETS.get(server.name)
    if sock is None:
        sock = SOCKETS[server.name] = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.connect(server.address)
        sock.settimeout(REPLY_TIMEOUT_S)
    for _ in range(3):
        sock.send(message)
        try:
            while True:
                reply = sock.recv(65535)
                if reply[:2] == message[:2]:
                    return reply
        except socket.timeout:
            continue
    raise Silence(f"{server.name} is silent")


def ask_tcp(server, message):
    with socket.create_connection(server.address, REPLY_TIMEOUT_S) as sock:
        sock.sendall(struct.pack("!H", len(message)) + message)
        data = b""
        while len(data) < 2 or len(data) < 2 + struct.unpack_from("!H", data)[0]:
            part = sock.recv(65535)
            if not part:
                raise Silence(f"{server.name} closed the connection")
            data += part
        return data[2:]


#------------ Comparing -------------------------------------------------------

def fields(reply, query):
    """What of a reply is compared, by name."""
    rtype = query[1]
    out = {"rcode": reply.rcode, "aa": reply.aa, "tc": reply.tc,
           "flags": (reply.ra, reply.ad, reply.cd), "opt": reply.opt}
    if reply.tc:
        return out
    if rtype == "ANY":
        # One RRset is enough (RFC 8482); it must be one that all others show too.
        out["any"] = bool(reply.answer)
        return out
    out["answer"] = frozenset(record.key() for record in reply.answer)
    out["twice"] = len(out["answer"]) != len(reply.answer)
    out["soa"] = frozenset(record.key() for record in reply.authority if record.rtype == 6)
    if not reply.aa or not reply.answer and not out["soa"]:
        out["referral"] = frozenset(r.key() for r in reply.authority if r.rtype == 2)
        out["ds"] = frozenset(r.key() for r in reply.authority if r.rtype == 43)
        hosts = {wire.show(2, r.rdata) for r in reply.authority if r.rtype == 2}
        cut = next((r.owner for r in reply.authority if r.rtype == 2), "")
        addresses = [r for r in reply.additional if r.owner in hosts]
        out["glue"] = frozenset(r.key() for r in addresses if at_or_below(r.owner, cut))
        out["other addresses"] = frozenset(r.key() for r in addresses) - out["glue"]
    return out


def wildcard_ns(zone):
    return any(owner.startswith("*.") and "NS" in rrsets for owner, rrsets in zone.names.items())


def at_or_below(name, ancestor):
    return name == ancestor or name.endswith("." + ancestor)


def compare(report, of_case, query, replies):
    """Counts the first field that differs: one difference explains the rest."""
    *peers, ours = [fields(reply, query) for reply in replies]
    report.compared += 1
    if any(wildcard_ns(zone) for zone in of_case):
        peers[2] = ours  # BIND refuses such zones: it has no say
        report.without_bind += 1
    for field, mine in ours.items():
        of_peers = [peer.get(field) for peer in peers]
        if all(value == mine for value in of_peers):
            continue
        difference = Difference(field, of_case, query, replies, of_peers, mine)
        report.add(difference)
        return


def compare_type(report, record, running):
    """One record's data, and that of the SOA beside it, as those have it who took the zone."""
    origin, text, owner, rtype = record
    for name, asked in ((owner, rtype), (origin, "SOA")):
        *peers, ours = [ask(server, (name, asked, 4096, True, True)) for server in running]
        data = [tuple(r.key() for r in reply.answer) for reply in peers if reply.rcode == "NOERROR"]
        report.compared += 1
        if data and tuple(r.key() for r in ours.answer) not in data:
            report.add_type(text, [*peers, ours])
        elif len(set(data)) > 1:
            report.splits[f"the data of {text.splitlines()[-1]}"] += 1


class Difference:
    """One field of one query on which the four do not agree."""

    def __init__(self, field, of_case, query, replies, of_peers, mine):
        self.field, self.of_case, self.query, self.replies = field, of_case, query, replies
        self.of_peers, self.mine = dict(zip(PEERS, of_peers)), mine
        self.with_us = [name for name, value in self.of_peers.items() if value == mine]
        self.name, self.rtype = query[0].lower(), query[1]

    def alone(self, peer):
        """Only this peer differs from us."""
        return self.with_us == [name for name in PEERS if name != peer]

    def zone_of(self, name):
        around = [zone.origin for zone in self.of_case if at_or_below(name, zone.origin)]
        return max(around, key=len, default=None)

    def kind(self):
        return f"{self.field}: with us {' '.join(self.with_us) or 'nobody'}"


#------------ Known splits ----------------------------------------------------

def another_zone(difference):
    """A CNAME leads from one of our zones into another; ours goes on from there."""
    def answers(reply):
        return {record.key() for record in reply.answer}

    *peers, ours = difference.replies
    crosses = any(
        difference.zone_of(wire.show(5, record.rdata)) not in (None, difference.zone_of(record.owner))
        for record in ours.answer if record.rtype == 5)
    # Origins of other cases, which NAMES in no zone of this case may lie in.
    crosses |= any(
        difference.zone_of(wire.show(5, record.rdata)) is None
        and wire.show(5, record.rdata).endswith(".test.")
        for record in ours.answer if record.rtype == 5)
    if difference.rtype == "DS":
        # For a child's apex the parent is asked (RFC 4035 3.1.4.1), as NSD does.
        crosses |= "nsd" in difference.with_us and any(r.rtype == 5 for r in ours.answer)
    return crosses and (ours.tc or "nsd" in difference.with_us or all(answers(peer) <= answers(ours) for peer in peers[1:]))


def other_address(difference):
    """Addresses of name servers: from another of our zones, or made from a wildcard."""
    if difference.field not in ("glue", "other addresses"):
        return False
    ours = {record.key() for record in difference.replies[3].additional}
    theirs = {record.key() for reply in difference.replies[:3] for record in reply.additional}
    home = difference.zone_of(difference.replies[3].authority[0].owner)
    owners = {owner for zone in difference.of_case for owner in zone.names}
    return all(difference.zone_of(key[0]) != home for key in ours - theirs) and all(
        difference.zone_of(key[0]) != home or key[0] not in owners for key in theirs - ours)


def hidden_in_parent(difference):
    """NSD alone: the name, or one below it, stands in the parent's file too."""
    child = difference.zone_of(difference.name)
    names = {difference.name}
    names |= {wire.show(5, record.rdata) for reply in difference.replies
              for record in reply.answer if record.rtype == 5}
    return difference.alone("nsd") and any(
        zone.origin != child and zones.is_below(owner, child)
        for zone in difference.of_case for owner in zone.names for child in
        {difference.zone_of(name) for name in names} if child)


def loop(difference):
    """The chain comes back to a name it went through, or grows for ever."""
    answer = difference.replies[3].answer
    owners = {record.owner for record in answer}
    if any(wire.show(5, record.rdata) in owners for record in answer if record.rtype == 5):
        return True
    # BIND follows a DNAME that grows the name, and then fails.
    cnames = [record for record in difference.replies[2].answer if record.rtype == 5]
    return len(cnames) > 10 or any(
        at_or_below(wire.show(39, record.rdata), record.owner)
        for record in answer if record.rtype == 39)


# What the peers do differently among themselves, and why we side with whom we do.
SPLITS = [
    ("BIND gives a referral the addresses below cuts only",
     "RFC 1034 4.3.2 3b wants whatever addresses are available; NSD and Knot give them",
     lambda d: d.field == "other addresses" and d.alone("named")),
    ("addresses of name servers: ours from all our zones, NSD's and Knot's from wildcards too",
     "RFC 1034 4.3.2 6: any local data may help; a wildcard below a cut is no authority "
     "to synthesise from",
     other_address),
    ("BIND's messages are longer: it compresses names only in the case they have",
     "RFC 1035 4.1.4 with RFC 4343: names are equal without case",
     lambda d: d.field == "tc" and d.alone("named")),
    ("NSD and Knot set TC on a referral whose glue is not in the zone",
     "RFC 9471 3.1 is about glue that does not fit: retrying over TCP gives the same",
     lambda d: d.field == "tc" and not d.mine and "named" in d.with_us
     and any(record.rtype == 2 for record in d.replies[3].authority)),
    ("Knot makes a DNAME from a DNAME at a wildcard",
     "RFC 4592 4.4 leaves it open; below `*` itself it is a DNAME, as NSD and BIND have it",
     lambda d: d.alone("knot") and any(r.rtype == 39 for r in d.replies[1].answer)),
    ("BIND answers a negative SOA query with an SOA of TTL 0",
     "`zero-no-soa-ttl`, for the sake of zone discovery; RFC 2308 5 has no such exception",
     lambda d: d.field == "soa" and d.rtype == "SOA" and d.alone("named")),
    ("ANY is not chased behind a DNAME, nor cut short the same way",
     "RFC 8482 4.1: a subset is enough; BIND stops at the CNAME too",
     lambda d: d.rtype == "ANY" and (d.field == "tc" or any(r.rtype == 39 for r in d.replies[3].answer))),
    ("BIND and Knot do not follow a CNAME into another of their zones",
     "RFC 1034 4.3.2 3a goes back to step 1, which looks for the zone again; NSD does",
     another_zone),
    ("DS behind a CNAME to the apex of a child zone: ours is the parent's, theirs none",
     "RFC 4035 3.1.4.1: DS is on the parent's side; where both zones are ours it is "
     "given behind a CNAME as it is when asked for by its own name",
     lambda d: d.rtype == "DS" and {5, 43} <= {r.rtype for r in d.replies[3].answer}
     and not any(r.rtype == 43 for reply in d.replies[:3] for r in reply.answer)),
    ("NSD lets names of the parent's file count in the child zone",
     "data below a cut is not the parent's (RFC 2181 6); Knot and BIND ignore it",
     hidden_in_parent),
    ("Knot makes a referral of NS at a wildcard",
     "RFC 4592 4.2 leaves it open; NSD has plain data there too, BIND refuses the zone",
     lambda d: d.alone("knot") and any(wildcard_ns(zone) for zone in d.of_case)),
    ("loops end in as many ways as there are servers",
     "each record once and NOERROR, as NSD: a resolver sees the loop by itself",
     lambda d: loop(d) and ("nsd" in d.with_us or d.with_us == ["knot"])),
]


def brief(zone):
    """A zone's text without the bulk of large RRsets."""
    lines, before, run = [], None, 0
    for line in zone.text().splitlines(keepends=True):
        head = line.split()[:4]
        run = run + 1 if head == before else 0
        before = head
        if run < 3:
            lines.append(line[:100].rstrip("\n") + "\n")
    return "".join(lines)


class Report:
    """Differences by kind, the first few of each in full."""

    def __init__(self):
        self.compared = 0
        self.without_bind = 0
        self.splits = collections.Counter()
        self.kinds = collections.Counter()
        self.examples = collections.defaultdict(list)

    def add(self, difference):
        for name, _, applies in SPLITS:
            if applies(difference):
                self.splits[name] += 1
                return
        kind = difference.kind()
        self.kinds[kind] += 1
        if len(self.examples[kind]) < EXAMPLES_MAX:
            self.examples[kind].append(difference)

    def add_shape(self, shape, replies):
        self.compared += 1
        split = shapes.differences(shape, replies)
        if split is None:
            return
        name = shapes.explanation(split)
        if name:
            self.splits[name] += 1
            return
        kind = f"shape: {split.kind()}"
        self.kinds[kind] += 1
        if self.kinds[kind] <= EXAMPLES_MAX:
            print(f"\n=== {kind}\n{shape}")
            for server, reply, value in zip((*PEERS, "windrose"), replies,
                                            (*split.peers.values(), split.mine)):
                print(f"--- {server}: {value!r}")
                print("\n".join(reply.lines() if reply else ["silence"]))

    def add_type(self, text, replies):
        self.kinds["data of a type"] += 1
        print(f"\n=== data of a type: {text.splitlines()[-1]}")
        for server, reply in zip((*PEERS, "windrose"), replies):
            print(f"--- {server}")
            print("\n".join(reply.lines()))

    def end(self, options, origins):
        print(f"seed {options.seed}: {origins} zones, {self.compared} queries, "
              f"{self.without_bind} of them of zones that BIND refuses, "
              f"{sum(self.kinds.values())} unexplained differences")
        for name, count in self.splits.most_common():
            print(f"{count:6} known: {name}")
        for kind, count in self.kinds.most_common():
            print(f"{count:6} {kind}")
            for difference in self.examples[kind]:
                self.show(difference)
        return 1 if self.kinds else 0

    def show(self, difference):
        name, rtype, edns, dnssec_ok, over_tcp = difference.query
        print(f"\n=== {difference.kind()}: {name} {rtype} edns={edns} do={dnssec_ok} tcp={over_tcp}")
        print("".join(brief(zone) for zone in difference.of_case))
        for server, reply in zip((*PEERS, "windrose"), difference.replies):
            print(f"--- {server}")
            print("\n".join(reply.lines()))


if __name__ == "__main__":
    sys.exit(main())
