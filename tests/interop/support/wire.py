"""A small DNS client on sockets, so that a story can ask thousands of questions
and see every bit of the reply. It knows the few types that the stories use;
what other programs think of a reply is asked with dig and kdig.
"""

import dataclasses
import ipaddress
import itertools
import socket
import struct

TYPES = {
    "A": 1, "NS": 2, "CNAME": 5, "SOA": 6, "PTR": 12, "MX": 15, "TXT": 16,
    "AAAA": 28, "SRV": 33, "DNAME": 39, "OPT": 41, "CAA": 257, "ANY": 255,
}
TYPE_NAMES = {number: name for name, number in TYPES.items()}
RCODES = {0: "NOERROR", 1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 4: "NOTIMP", 5: "REFUSED"}
OPTION_ECS = 8
OPTION_EDE = 15
POINTERS_MAX = 64

_ids = itertools.count(1)


@dataclasses.dataclass(frozen=True)
class Record:
    """One record; `data` is text for the types above, else hexadecimal."""

    name: str
    type: str
    ttl: int
    data: str


@dataclasses.dataclass(frozen=True)
class Reply:
    """A reply, whole."""

    rcode: str
    authoritative: bool
    truncated: bool
    answer: list
    authority: list
    additional: list
    ecs_scope: int | None
    error_code: int | None
    """Extended DNS Error (RFC 8914)."""
    error_text: str
    bytes: bytes

    def addresses(self):
        """The A and AAAA data of the answer, in its order."""
        return [r.data for r in self.answer if r.type in ("A", "AAAA")]

    @property
    def ttl(self):
        """The least TTL of the answer."""
        return min(record.ttl for record in self.answer)


class NoReply(OSError):
    """Nothing came in time; who waits for a server to start takes it for not yet."""


def ask(server, name, rtype="A", *, port=53, tcp=False, edns=False, ecs=None,
        source=None, timeout_s=2.0):
    """Asks once: no retry hides a reply that was lost."""
    query = encode(name, rtype, edns=edns, ecs=ecs)
    return exchange(server, query, port=port, tcp=tcp, source=source, timeout_s=timeout_s)


def exchange(server, query, *, port=53, tcp=False, source=None, timeout_s=2.0):
    """Sends a query's bytes once and reads the reply."""
    send = _over_tcp if tcp else _over_udp
    return decode(send(server, port, query, source, timeout_s), query)


def encode(name, rtype="A", *, edns=False, ecs=None):
    """A query's bytes; `ecs` is a network as text, "91.0.0.0/24"."""
    labels = [label.encode() for label in name.rstrip(".").split(".") if label]
    wire_name = b"".join(bytes([len(label)]) + label for label in labels) + b"\0"
    opt = b""
    if edns or ecs is not None:
        options = _ecs_option(ecs) if ecs is not None else b""
        opt = b"\0" + struct.pack("!HHIH", TYPES["OPT"], 1232, 0, len(options)) + options
    # RD, as stub resolvers send it: resolvers need it, Windrose must not mind.
    flags = 0x0100
    header = struct.pack("!HHHHHH", next(_ids) & 0xFFFF, flags, 1, 0, 0, 1 if opt else 0)
    return header + wire_name + struct.pack("!HH", TYPES[rtype], 1) + opt


def _ecs_option(text):
    network = ipaddress.ip_network(text)
    family = 1 if network.version == 4 else 2
    sent = network.network_address.packed[: (network.prefixlen + 7) // 8]
    body = struct.pack("!HBB", family, network.prefixlen, 0) + sent
    return struct.pack("!HH", OPTION_ECS, len(body)) + body


def _socket(server, kind, source, timeout_s):
    family = socket.AF_INET6 if ":" in server else socket.AF_INET
    asking = socket.socket(family, kind)
    asking.settimeout(timeout_s)
    if source:
        asking.bind((source, 0))
    return asking


def _over_udp(server, port, query, source, timeout_s):
    with _socket(server, socket.SOCK_DGRAM, source, timeout_s) as asking:
        # A connected socket takes replies from the address asked alone.
        try:
            asking.connect((server, port))
            asking.send(query)
            return asking.recv(65535)
        except TimeoutError as error:
            raise NoReply(f"no reply from {server} port {port}") from error


def _over_tcp(server, port, query, source, timeout_s):
    with _socket(server, socket.SOCK_STREAM, source, timeout_s) as asking:
        asking.connect((server, port))
        asking.sendall(struct.pack("!H", len(query)) + query)
        length = struct.unpack("!H", read_exactly(asking, 2))[0]
        return read_exactly(asking, length)


def read_exactly(stream, length):
    """Reads so many bytes of a connection."""
    parts = b""
    while len(parts) < length:
        part = stream.recv(length - len(parts))
        if not part:
            raise NoReply("the connection ended within a reply")
        parts += part
    return parts


def decode(reply, query):
    """A reply's meaning; a reply to another query is an AssertionError."""
    ident, flags, *counts = struct.unpack("!HHHHHH", reply[:12])
    assert ident == struct.unpack("!H", query[:2])[0], "another query's reply"
    assert flags & 0x8000, "a query came back"
    offset = 12
    for _ in range(counts[0]):
        _, offset = _name(reply, offset)
        offset += 4
    sections, scope, error_code, error_text, high_rcode = [], None, None, "", 0
    for count in counts[1:]:
        records = []
        for _ in range(count):
            name, offset = _name(reply, offset)
            rtype, _, ttl, length = struct.unpack("!HHIH", reply[offset:offset + 10])
            offset += 10
            data = reply[offset:offset + length]
            if rtype == TYPES["OPT"]:
                high_rcode = ttl >> 24
                for code, body in _options(data):
                    if code == OPTION_ECS:
                        scope = body[3]
                    elif code == OPTION_EDE:
                        error_code = struct.unpack("!H", body[:2])[0]
                        error_text = body[2:].decode(errors="replace")
            else:
                text = _data(reply, offset, rtype, data)
                records.append(Record(name, TYPE_NAMES.get(rtype, str(rtype)), ttl, text))
            offset += length
        sections.append(records)
    assert offset == len(reply), f"{len(reply) - offset} bytes after the last record"
    rcode = (high_rcode << 4) | (flags & 15)
    return Reply(
        rcode=RCODES.get(rcode, str(rcode)), authoritative=bool(flags & 0x0400),
        truncated=bool(flags & 0x0200), answer=sections[0], authority=sections[1],
        additional=sections[2], ecs_scope=scope, error_code=error_code,
        error_text=error_text, bytes=reply,
    )


def _options(data):
    while data:
        code, length = struct.unpack("!HH", data[:4])
        yield code, data[4:4 + length]
        data = data[4 + length:]


def _name(message, offset):
    labels, after, jumps = [], None, 0
    while message[offset]:
        length = message[offset]
        if length >= 0xC0:
            after = after or offset + 2
            offset = ((length & 0x3F) << 8) | message[offset + 1]
            jumps += 1
            assert jumps < POINTERS_MAX, "compression pointers go round"
        else:
            labels.append(message[offset + 1:offset + 1 + length].decode("latin-1").lower())
            offset += 1 + length
    return ".".join(labels) or ".", after or offset + 1


def _data(message, offset, rtype, data):
    kind = TYPE_NAMES.get(rtype)
    if kind in ("A", "AAAA"):
        return str(ipaddress.ip_address(data))
    if kind in ("NS", "CNAME", "PTR", "DNAME"):
        return _name(message, offset)[0]
    if kind == "SOA":
        mname, after = _name(message, offset)
        rname, after = _name(message, after)
        numbers = struct.unpack("!IIIII", message[after:after + 20])
        return " ".join([mname, rname, *map(str, numbers)])
    if kind == "MX":
        return f"{struct.unpack('!H', data[:2])[0]} {_name(message, offset + 2)[0]}"
    if kind == "TXT":
        parts, rest = [], data
        while rest:
            parts.append(rest[1:1 + rest[0]].decode("latin-1"))
            rest = rest[1 + rest[0]:]
        return " ".join(parts)
    return data.hex()
