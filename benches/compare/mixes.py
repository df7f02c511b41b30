"""What is asked: mixes of queries, and what is right for each server."""

from world import FIRST, SITES, V4, V6, ZONE

HTTPS = 65

# Kind of name, for servers that can do it (servers.py), and whether with a client subnet.
DECIDED = ["failover", "geo", "even", "weighted", "hash"]

# What it takes to be asked for a mix, in words, for who cannot.
MEANS = {
    "failover": "no failover by health",
    "geo": "nothing decided by place",
    "aaaa": "nothing decided by place",
    "even": "one of several addresses in turn: none",
    "weighted": "no weights",
    "hash": "no hashing of clients",
    "fixed": "these names are decided here",
}


class Mix:
    """One row of the table for each server."""

    def __init__(self, name, kind, arguments, floor=()):
        self.name, self.kind = name, kind
        self.arguments, self.floor = arguments, list(floor)

    def reason_against(self, server):
        """Why a server is not asked; none: it is."""
        if server.name == "floor" or self.kind is None or self.kind in server.can:
            return None
        return MEANS.get(self.kind, "not part of its config here")

    def arguments_for(self, server):
        """The loader's arguments for one server."""
        arguments = self.arguments(server)
        if server.name == "floor":
            return [*arguments, "--floor"]
        return arguments if server.subnets else [*arguments, "--no-subnets"]


def own(name, arguments):
    """A mix of the caller's, for every server."""
    floor = ["--ecs"] if "--ecs" in arguments else []
    if "AAAA" in arguments:
        floor.append("--aaaa")
    if "--expect-answers" in arguments:
        answers = int(arguments[arguments.index("--expect-answers") + 1])
        floor += ["--records", str(answers)] if answers > 0 else []
    return Mix(name, None, lambda server: arguments, floor)


def all_mixes(world):
    """By name, in the order of the table."""
    mixes = []
    addresses = {
        "failover": [SITES[FIRST][V4]],
        "aaaa": [SITES[FIRST][V6]],
        "static": [SITES[FIRST][V4]],
        "fixed": [SITES[FIRST][V4]],
    }

    def pattern(kind, *more, names=None):
        names = names or kind
        arguments = ["--pattern", f"{names}{{}}.{ZONE}", "--count", str(world.counts[names])]
        if kind == "geo":
            arguments += ["--by-client", world.by_client]
        for address in addresses.get(kind, [facts[V4] for facts in SITES.values()]):
            arguments += ["--expect-address", address]
        return lambda server: [*arguments, *more]

    for kind in DECIDED:
        if kind in world.counts:
            mixes.append(Mix(kind, kind, pattern(kind)))
            mixes.append(Mix(f"{kind}-ecs", kind, pattern(kind, "--ecs"), ["--ecs"]))
    if world.all_down:
        return {mix.name: mix for mix in mixes}
    mixes.append(Mix("aaaa", "aaaa", pattern("aaaa", "--type", "AAAA"), ["--aaaa"]))
    mixes.append(Mix("static", "static", pattern("static")))
    if world.million:
        mixes.append(Mix("fixed", "fixed", pattern("fixed", names="geo")))
    mixes.append(Mix("nxdomain", "nxdomain", lambda server: [
        "--pattern", f"{{random}}.{ZONE}", "--expect-rcode", "3", "--expect-answers", "0"]))
    mixes.append(Mix("blend", "blend", lambda server: blend(world, server)))
    return {mix.name: mix for mix in mixes}


def blend(world, server):
    """Half with EDNS, a tenth with a client subnet."""
    every = [address for facts in SITES.values() for address in facts[:2]]
    arguments = [
        "--names", world.path("blend.txt"), "--edns-share", "0.5", "--ecs-share", "0.1",
    ]
    if server.decides:
        arguments += ["--by-client", world.by_client, "--by-client-where-told"]
    for address in every:
        arguments += ["--expect-address", address]
    return arguments


def write_blend(world):
    """Of 20 questions: 10 A of decided names, 4 A of static ones, 4 AAAA, one HTTPS of a
    decided name, which has none, and one name that does not exist."""
    count = world.counts["geo"]

    def lines():
        for number in range(count):
            yield f"geo{number}.{ZONE} A 0 1 client\n"
        for number in range(count * 4 // 10):
            yield f"static{number % world.counts['static']}.{ZONE} A 0 1\n"
            yield f"aaaa{number % world.counts['aaaa']}.{ZONE} AAAA 0 1\n"
        for number in range(count // 10):
            yield f"geo{number * 10}.{ZONE} {HTTPS} 0 0\n"
            yield f"{{random}}.{ZONE} A 3 0\n"

    world.write("blend.txt", lines())
