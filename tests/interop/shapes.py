"""Queries of every shape: flags, opcodes, classes, all types, EDNS of any version, size,
flags and options, over UDP and TCP, asked of one zone on all four servers.

`differential.py` asks them; what the servers do differently stands in `SPLITS`, with the
RFC that decides.
"""

import struct

import wire

ORIGIN = "shapes.test."
ZONE = f"""$ORIGIN {ORIGIN}
$TTL 300
@ IN SOA ns hostmaster 7 3600 600 86400 60
@ IN NS ns
@ IN MX 10 mail
ns IN A 192.0.2.1
mail IN A 192.0.2.25
www IN A 192.0.2.80
www IN AAAA 2001:db8::80
www IN TXT "text"
www IN HTTPS 1 . alpn=h2
alias IN CNAME www
lost IN CNAME nothing
*.wild IN A 192.0.2.60
deep.ent IN TXT "below"
d IN DNAME www
sub IN NS ns.sub
sub IN DS 12345 13 2 {"ab" * 32}
ns.sub IN A 192.0.2.53
odd IN TYPE65280 \\# 3 010203
""" + "".join(  # BIND takes no more than a hundred records of one type
    f"big IN A 198.51.100.{number}\n" for number in range(1, 100))
NAMES = ["", "www", "alias", "lost", "x.wild", "ent", "x.d", "sub", "x.sub", "odd", "big",
         "nothing", "*.wild", "mail"]
OUTSIDE = ["example.org.", "test.", "."]
SIZES = [0, 1, 511, 512, 513, 600, 1231, 1232, 1233, 4096, 65535]
# Bits of a query's header that a client may set: AA, TC, RD; RA, Z, AD, CD.
FLAG_BITS = [0x0400, 0x0200, 0x0100, 0x0080, 0x0040, 0x0020, 0x0010]
NSID, SUBNET, EXPIRE, COOKIE, KEEPALIVE, PADDING, UNKNOWN = 3, 8, 9, 10, 11, 12, 65001
AXFR_AND_META = set(range(128, 256)) | {0, 41}


class Shape:
    """One query."""

    def __init__(self, random):
        self.name = random.choice(NAMES)
        self.name = f"{self.name}.{ORIGIN}".lstrip(".")
        if random.random() < 0.03:
            self.name = random.choice(OUTSIDE)
        self.name = "".join(random.choice([char, char.upper()]) for char in self.name)
        roll = random.random()
        known = sorted(wire.TYPES.values())
        self.rtype = (random.choice([1, 28, 5, 16, 2, 6]) if roll < 0.4 else
                      random.choice(known) if roll < 0.8 else
                      random.randrange(256) if roll < 0.9 else random.randrange(65536))
        self.rclass = 1 if random.random() < 0.96 else random.choice([0, 2, 3, 4, 254, 255, 300])
        self.opcode = 0 if random.random() < 0.96 else random.choice(
            [1, 2, 3, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15])
        self.flags = sum(bit for bit in FLAG_BITS if random.random() < 0.15)
        self.tcp = random.random() < 0.05
        self.opt = None
        self.codes = []
        if random.random() < 0.7:
            self.opt = self.options(random)

    def options(self, random):
        self.size = random.choice(SIZES) if random.random() < 0.8 else random.randrange(65536)
        self.version = 0 if random.random() < 0.93 else random.choice([1, 2, 255])
        self.dnssec_ok = random.random() < 0.4
        self.z = random.randrange(0x8000) if random.random() < 0.1 else 0
        rdata = b""
        for _ in range(random.choice([0, 0, 1, 1, 2, 3])):
            code, data = random.choice([
                (NSID, b""), (COOKIE, bytes(range(8))), (PADDING, bytes(random.randrange(20))),
                (EXPIRE, b""), (KEEPALIVE, b""), (UNKNOWN, random.randbytes(5)),
                (random.randrange(20, 65000), random.randbytes(random.randrange(9)))])
            if code in self.codes:
                continue
            self.codes.append(code)
            rdata += struct.pack("!HH", code, len(data)) + data
        return rdata

    def encode(self, message_id):
        flags = self.flags | self.opcode << 11
        message = struct.pack("!6H", message_id, flags, 1, 0, 0, 0 if self.opt is None else 1)
        message += wire.name_to_wire(self.name) + struct.pack("!2H", self.rtype, self.rclass)
        if self.opt is not None:
            high = self.version << 16 | (0x8000 if self.dnssec_ok else 0) | self.z
            message += b"\0" + struct.pack("!2HIH", wire.OPT, self.size, high, len(self.opt))
            message += self.opt
        return message

    def __str__(self):
        edns = "none" if self.opt is None else (
            f"size {self.size} version {self.version} do {self.dnssec_ok} z {self.z:x} "
            f"options {self.codes}")
        rtype = wire.TYPE_TEXTS.get(self.rtype, f"TYPE{self.rtype}")
        return (f"{self.name} {rtype} class {self.rclass} opcode {self.opcode} "
                f"flags {self.flags:04x} tcp {self.tcp} edns: {edns}")


def fields(reply):
    """What of a reply is compared; the first field that differs counts."""
    if reply is None:
        return {"rcode": "silence"}
    out = {"rcode": reply.rcode, "opcode": reply.opcode, "aa": reply.aa, "rd": reply.rd,
           "bits": (reply.ra, reply.z, reply.ad, reply.cd), "opt": reply.opt}
    if reply.opt:
        # Version, flags.
        out["opt fields"] = (reply.opt_version, reply.opt_flags)
    out["question"] = reply.question
    out["tc"] = reply.tc
    if not reply.tc and reply.rcode in ("NOERROR", "NXDOMAIN"):
        out["answer"] = frozenset(record.key() for record in reply.answer)
        # With AA, NS in authority is a courtesy.
        of_cut = (6, 43) if reply.aa else (2, 6, 43)
        out["authority"] = frozenset(r.key() for r in reply.authority if r.rtype in of_cut)
    return out


class Split:
    """One field of one query on which the four do not agree."""

    def __init__(self, field, shape, of_all):
        self.field, self.shape = field, shape
        self.nsd, self.knot, self.named, self.mine = of_all
        self.peers = {"nsd": self.nsd, "knot": self.knot, "named": self.named}
        self.with_us = [name for name, value in self.peers.items() if value == self.mine]

    def kind(self):
        return f"{self.field}: {self.mine!r}; with us {' '.join(self.with_us) or 'nobody'}"


# What the servers do differently, the RFC that decides, and when it applies.
SPLITS = [
    ("types that are no data: NSD and Knot deny them as if they were",
     "RFC 6895 3.1: OPT, TSIG, TKEY, MAILA, MAILB and the rest of 128 to 255 are no data; "
     "FORMERR, or NOTIMP for functions that are not there, as BIND has most of them",
     lambda s: s.shape.rtype in AXFR_AND_META and s.field in ("rcode", "aa", "opt", "tc")
     and s.mine in ("FORMERR", "NOTIMP", "REFUSED", False)),
    ("BADVERS: NSD leaves bits of the query in its reply",
     "RFC 6891 6.1.3: the rcode and the highest version that is spoken, no answer",
     lambda s: s.shape.opt is not None and s.shape.version != 0 and s.with_us[:2] != ["nsd"]
     and s.field in ("bits", "aa", "tc", "opt fields", "rd") and "knot" in s.with_us),
    ("BIND gives CD back",
     "RFC 4035 3.1.6: an authoritative server clears it",
     lambda s: s.field == "bits" and s.named[3] and s.named[:3] == s.mine[:3]
     and ("nsd" in s.with_us or "knot" in s.with_us)),
    ("BIND truncates with AD set",
     "RFC 4035 3.1.6: AD is for data that was validated",
     lambda s: s.field == "bits" and s.named[2] and s.with_us == ["nsd", "knot"]),
    ("unknown opcodes: Knot and BIND look at what stands behind the header, and echo it",
     "RFC 8906 8.1.4 wants NOTIMP; behind an unknown opcode's header there need be no question "
     "and no OPT, so neither is looked at",
     lambda s: s.shape.opcode != 0 and s.mine in (
         "NOTIMP", False, True, b"", (False, False, False, False))),
    ("other classes: each refuses in its own way, and some answer class ANY",
     "RFC 1035 3.2.4, 7.3: one class is served, so REFUSED; the question is echoed, because "
     "resolvers match replies by it",
     lambda s: s.shape.rclass != 1 and s.field in ("rcode", "question", "opt", "bits", "rd")),
    ("Knot takes a size of 1 for a malformed OPT record",
     "RFC 6891 6.2.3: sizes below 512 count as 512",
     lambda s: s.shape.opt is not None and s.shape.size < 512 and s.field == "rcode"
     and s.knot == "FORMERR" and "named" in s.with_us),
    ("transfers of what is no zone of the server: theirs NOTAUTH, ours REFUSED",
     "RFC 5936 2.2.1 has both: who may not transfer is told no more",
     lambda s: s.shape.rtype in (251, 252) and s.mine in ("REFUSED", "NOTAUTH")),
    ("KEY, SIG, NSEC, NSEC3 at the name of a CNAME: not everybody follows it",
     "they may stand beside a CNAME (RFC 4035 2.5); where they do not, RFC 1034 4.3.2 3a "
     "follows the CNAME as for any type",
     lambda s: s.shape.rtype in (24, 25, 30, 46, 47, 50)
     and ("nsd" in s.with_us or s.with_us == ["knot", "named"])),
    ("ANY: each gives another subset, BIND all; behind a DNAME BIND and we say no more",
     "RFC 8482 4.1: a subset is enough",
     lambda s: s.shape.rtype == 255 and (
         s.field in ("answer", "authority", "tc") or s.field == "rcode" and "named" in s.with_us)),
    ("BIND answers a negative SOA query with an SOA of TTL 0",
     "`zero-no-soa-ttl`, for the sake of zone discovery; RFC 2308 5 has no such exception",
     lambda s: s.shape.rtype == 6 and s.field == "authority" and s.with_us == ["nsd", "knot"]),
    ("BIND's messages are longer: it compresses names only in the case they have",
     "RFC 1035 4.1.4 with RFC 4343: names are equal without case",
     lambda s: s.field == "tc" and s.with_us == ["nsd", "knot"]),
]


def differences(shape, replies):
    """The first field that differs, or none."""
    *peers, ours = [fields(reply) for reply in replies]
    for field, mine in ours.items():
        of_peers = [peer.get(field) for peer in peers]
        if any(value != mine for value in of_peers):
            return Split(field, shape, (*of_peers, mine))
    return None


def explanation(split):
    """Which of `SPLITS` it is, or none."""
    return next((name for name, _, applies in SPLITS if applies(split)), None)
