"""Writes MaxMind DB files, for the servers that take nothing else.

Only what is needed here: records of 32 bits, an IPv6 tree with IPv4 in ::/96, and
data made of maps and strings. The format: https://maxmind.github.io/MaxMind-DB/
"""

import ipaddress

MARKER = b"\xab\xcd\xefMaxMind.com"
# Between the tree and the data.
SEPARATOR = bytes(16)

STRING, MAP, ARRAY = 2, 7, 11
UINT16, UINT32, UINT64 = 5, 6, 9


def database(ranges, built_s):
    """The bytes of a database: `ranges` are (first, last, value) with addresses of
    `ipaddress` and values of maps and strings; `built_s` is when, in Unix time."""
    data, offsets = bytearray(), {}
    tree = Tree()
    for first, last, value in ranges:
        encoded = encode(value)
        if encoded not in offsets:
            offsets[encoded] = len(data)
            data += encoded
        for network in ipaddress.summarize_address_range(first, last):
            tree.insert(network, offsets[encoded])
    return tree.bytes() + SEPARATOR + bytes(data) + MARKER + encode(metadata(tree, built_s))


def metadata(tree, built_s):
    return {
        "binary_format_major_version": Number(UINT16, 2),
        "binary_format_minor_version": Number(UINT16, 0),
        "build_epoch": Number(UINT64, built_s),
        "database_type": "GeoLite2-Country",
        "description": {"en": "Continents, for benches/compare"},
        "ip_version": Number(UINT16, 6),
        "languages": ["en"],
        "node_count": Number(UINT32, len(tree.left)),
        "record_size": Number(UINT16, 32),
    }


class Number:
    """An unsigned number of one of the format's sizes."""

    def __init__(self, kind, value):
        self.kind, self.value = kind, value


class Tree:
    """Nodes of two branches: None, a node's number, or ~offset of data."""

    def __init__(self):
        self.left, self.right = [None], [None]

    def insert(self, network, offset):
        bits, length = int(network.network_address), network.prefixlen
        if network.version == 4:
            length += 96
        node = 0
        for depth in range(length):
            side = self.right if bits >> (127 - depth) & 1 else self.left
            if depth == length - 1:
                side[node] = ~offset
            elif side[node] is None:
                side[node] = len(self.left)
                node = side[node]
                self.left.append(None)
                self.right.append(None)
            else:
                node = side[node]

    def bytes(self):
        count = len(self.left)

        def record(value):
            if value is None:
                value = count
            elif value < 0:
                value = count + len(SEPARATOR) + ~value
            return value.to_bytes(4, "big")

        sides = zip(self.left, self.right)
        return b"".join(record(left) + record(right) for left, right in sides)


def encode(value):
    if isinstance(value, str):
        text = value.encode()
        return control(STRING, len(text)) + text
    if isinstance(value, dict):
        pairs = (encode(key) + encode(inner) for key, inner in value.items())
        return control(MAP, len(value)) + b"".join(pairs)
    if isinstance(value, list):
        return control(ARRAY, len(value)) + b"".join(map(encode, value))
    size = (value.value.bit_length() + 7) // 8
    return control(value.kind, size) + value.value.to_bytes(size, "big")


def control(kind, size):
    """The byte or bytes before a value; every one here is short."""
    assert size < 285, "longer sizes are not written"
    more = bytes([size - 29]) if size >= 29 else b""
    size = min(size, 29)
    if kind > 7:
        return bytes([size, kind - 7]) + more
    return bytes([kind << 5 | size]) + more
