"""DNS messages: queries written, replies read. Standard library only."""

import struct

TYPES = {
    "A": 1, "NS": 2, "CNAME": 5, "SOA": 6, "PTR": 12, "HINFO": 13, "MX": 15, "TXT": 16,
    "AAAA": 28, "SRV": 33, "DNAME": 39, "DS": 43, "SVCB": 64, "HTTPS": 65, "ANY": 255,
    "MB": 7, "MG": 8, "MR": 9, "MINFO": 14, "RP": 17, "AFSDB": 18, "X25": 19, "ISDN": 20,
    "RT": 21, "NSAP": 22, "SIG": 24, "KEY": 25, "PX": 26, "GPOS": 27, "LOC": 29, "NAPTR": 35,
    "KX": 36, "CERT": 37, "APL": 42, "SSHFP": 44, "IPSECKEY": 45, "RRSIG": 46, "NSEC": 47,
    "DNSKEY": 48, "DHCID": 49, "NSEC3": 50, "NSEC3PARAM": 51, "TLSA": 52, "SMIMEA": 53,
    "HIP": 55, "NINFO": 56, "TALINK": 58, "CDS": 59, "CDNSKEY": 60, "OPENPGPKEY": 61,
    "CSYNC": 62, "ZONEMD": 63, "SPF": 99, "NID": 104, "L32": 105, "L64": 106, "LP": 107,
    "EUI48": 108, "EUI64": 109, "URI": 256, "CAA": 257, "AVC": 258, "TYPE65280": 65280,
}
TYPE_TEXTS = {number: text for text, number in TYPES.items()}
RCODES = {0: "NOERROR", 1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 4: "NOTIMP", 5: "REFUSED",
          6: "YXDOMAIN", 9: "NOTAUTH", 16: "BADVERS", 23: "BADCOOKIE"}
OPT = 41

# Where names stand in RDATA: bytes before the first, number of names.
NAMES_IN_RDATA = {2: (0, 1), 5: (0, 1), 6: (0, 2), 7: (0, 1), 8: (0, 1), 9: (0, 1), 12: (0, 1),
                  14: (0, 2), 15: (2, 1), 17: (0, 2), 18: (2, 1), 21: (2, 1), 26: (2, 2),
                  33: (6, 1), 36: (2, 1), 39: (0, 1), 64: (2, 1), 65: (2, 1)}


def labels(text):
    """Labels of a name in presentation form; escapes are not used by the tests."""
    text = text.rstrip(".")
    return [label.encode() for label in text.split(".")] if text else []


def name_to_wire(text):
    return b"".join(bytes([len(label)]) + label for label in labels(text)) + b"\0"


def number(rtype):
    return TYPES[rtype] if rtype in TYPES else int(rtype.removeprefix("TYPE"))


def query(message_id, name, rtype, edns_size=None, dnssec_ok=False):
    """A query without RD; with OPT if `edns_size` is given."""
    message = struct.pack("!6H", message_id, 0, 1, 0, 0, 0 if edns_size is None else 1)
    message += name_to_wire(name) + struct.pack("!2H", number(rtype), 1)
    if edns_size is not None:
        message += b"\0" + struct.pack("!2HIH", OPT, edns_size, 0x8000 if dnssec_ok else 0, 0)
    return message


class Malformed(Exception):
    """A reply that is not a DNS message."""


class Record:
    """One record: owner and names of RDATA in lower case, uncompressed."""

    __slots__ = ("owner", "rtype", "ttl", "rdata")

    def __init__(self, owner, rtype, ttl, rdata):
        self.owner, self.rtype, self.ttl, self.rdata = owner, rtype, ttl, rdata

    def key(self):
        return (self.owner, self.rtype, self.ttl, self.rdata)

    def __str__(self):
        rtype = TYPE_TEXTS.get(self.rtype, f"TYPE{self.rtype}")
        return f"{self.owner} {self.ttl} {rtype} {show(self.rtype, self.rdata)}"


class Reply:
    """A reply read wholly; trailing bytes are an error."""

    def __init__(self, message):
        if len(message) < 12:
            raise Malformed("short")
        self.size = len(message)
        self.id, flags, *counts = struct.unpack_from("!6H", message)
        self.aa, self.tc = bool(flags & 0x400), bool(flags & 0x200)
        self.ra, self.ad, self.cd = bool(flags & 0x80), bool(flags & 0x20), bool(flags & 0x10)
        self.rd, self.z, self.opcode = bool(flags & 0x100), bool(flags & 0x40), flags >> 11 & 15
        rcode = flags & 15
        at = 12
        for _ in range(counts[0]):
            _, at = read_name(message, at)
            at += 4
        self.question = message[12:at]
        self.sections = [[], [], []]
        self.opt = False
        for section, count in enumerate(counts[1:]):
            for _ in range(count):
                owner, at = read_name(message, at)
                rtype, rclass, ttl, length = struct.unpack_from("!2HIH", message, at)
                at += 10
                if at + length > len(message):
                    raise Malformed("RDLENGTH past the end")
                if rtype == OPT:
                    self.opt = True
                    self.opt_version, self.opt_flags = ttl >> 16 & 255, ttl & 0xFFFF
                    rcode |= ttl >> 24 << 4
                else:
                    rdata = read_rdata(message, at, rtype, length)
                    self.sections[section].append(Record(owner, rtype, ttl, rdata))
                at += length
        if at != len(message):
            raise Malformed(f"{len(message) - at} bytes left over")
        self.rcode = RCODES.get(rcode, str(rcode))
        self.answer, self.authority, self.additional = self.sections

    def lines(self):
        flags = "".join(f" {flag}" for flag in ("aa", "tc", "ra", "ad", "cd") if getattr(self, flag))
        yield f"{self.rcode}{flags} {self.size} bytes"
        for section, records in zip(("answer", "authority", "additional"), self.sections):
            for record in records:
                yield f"{section} {record}"


def read_name(message, at):
    """The name at `at` in lower case with a final dot, and where it ends."""
    parts, end, length = [], None, 1
    while True:
        if at >= len(message):
            raise Malformed("a name ends too early")
        size = message[at]
        if size == 0:
            at += 1
            break
        if size >= 0xC0:
            if at + 1 >= len(message):
                raise Malformed("a pointer ends too early")
            target = (size & 0x3F) << 8 | message[at + 1]
            if target >= at:
                raise Malformed("a pointer points forwards")
            end = at + 2 if end is None else end
            at = target
            continue
        if size > 63:
            raise Malformed("a label of an unknown kind")
        parts.append(message[at + 1:at + 1 + size].lower().decode("latin-1"))
        length += size + 1
        if length > 255:
            raise Malformed("a name over 255 bytes")
        at += 1 + size
    return ".".join(parts) + ".", at if end is None else end


def read_rdata(message, at, rtype, length):
    """RDATA with its names uncompressed and in lower case, as bytes."""
    lead, names = NAMES_IN_RDATA.get(rtype, (length, 0))
    end = at + length
    out = message[at:at + lead]
    at += lead
    for _ in range(names):
        name, at = read_name(message, at)
        out += name_to_wire(name)
    if at > end:
        raise Malformed("RDATA is longer than RDLENGTH says")
    return out + message[at:end]


def show(rtype, rdata):
    lead, names = NAMES_IN_RDATA.get(rtype, (0, 0))
    if rtype == 1:
        return ".".join(str(byte) for byte in rdata)
    if rtype == 28:
        return rdata.hex(":", 2)
    if not names:
        return rdata.hex()
    text, at = rdata[:lead].hex(), lead
    for _ in range(names):
        name, at = read_name(rdata, at)
        text += " " + name
    return (text + " " + rdata[at:].hex()).strip()
