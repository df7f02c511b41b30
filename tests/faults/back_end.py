"""A back end whose every connection is handled by a function that a story changes
while it runs: first one that behaves, then one that does not.
"""

import socket
import ssl
import struct
import threading
import time

ACCEPTED_AT_ONCE = 128
# No handler outlives this, whatever its peer does.
HANDLER_S = 20


class BackEnd:
    """Listens on a place; `handle(stream)` deals with each connection in a thread of
    its own. `tls` is a server-side context, or none."""

    def __init__(self, story, place, handle, tls=None, family=socket.AF_INET):
        self.place = place
        self.family = family
        self.handle = handle
        self.tls = tls
        self.connections = 0
        self.open = 0
        self.lock = threading.Lock()
        self.listener = None
        self.listen()
        story.addCleanup(self.close)

    def listen(self):
        self.listener = socket.create_server(
            self.place, family=self.family, backlog=ACCEPTED_AT_ONCE)
        threading.Thread(target=self._accept, args=(self.listener,), daemon=True).start()

    def close(self):
        """Refuses connections from now on."""
        listener, self.listener = self.listener, None
        if listener is None:
            return
        try:
            # A close alone leaves a blocked accept listening.
            listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        listener.close()

    def _accept(self, listener):
        while True:
            try:
                stream, _ = listener.accept()
            except OSError:
                return
            with self.lock:
                self.connections += 1
                self.open += 1
            threading.Thread(target=self._serve, args=(stream, self.handle), daemon=True).start()

    def _serve(self, stream, handle):
        try:
            stream.settimeout(HANDLER_S)
            stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.tls is not None:
                stream = self.tls.wrap_socket(stream, server_side=True)
            handle(stream)
        except (OSError, ValueError):
            pass  # The peer went away, or would not speak TLS.
        finally:
            try:
                stream.close()
            except OSError:
                pass
            with self.lock:
                self.open -= 1


#------------ HTTP handlers ----------------------------------------------------


def read_request(stream):
    """The head of a request."""
    head = b""
    while b"\r\n\r\n" not in head:
        piece = stream.recv(4096)
        if not piece:
            raise ConnectionError("no whole request")
        head += piece
    return head


def says(reply):
    """Reads a request, sends `reply` and closes."""

    def handle(stream):
        read_request(stream)
        stream.sendall(reply)

    return handle


def page(body=b"ready\n", status="200 OK", headers=b""):
    """A whole response."""
    length = str(len(body)).encode()
    return (b"HTTP/1.1 " + status.encode() + b"\r\nContent-Length: " + length + b"\r\n" + headers
            + b"\r\n" + body)


healthy = says(page())


def silent(stream):
    """Takes what comes and says nothing until the peer goes."""
    deadline = time.monotonic() + HANDLER_S
    while time.monotonic() < deadline and stream.recv(4096):
        pass


def drip(before, piece, every_s=0.05):
    """Sends `before`, then `piece` again and again, slowly."""

    def handle(stream):
        read_request(stream)
        stream.sendall(before)
        deadline = time.monotonic() + HANDLER_S
        while time.monotonic() < deadline:
            stream.sendall(piece)
            time.sleep(every_s)

    return handle


def endless(before, piece):
    """As `drip`, as fast as the peer takes it."""
    return drip(before, piece, every_s=0)


def reset_after(reply):
    """Sends a part and cuts the connection with RST."""

    def handle(stream):
        read_request(stream)
        stream.sendall(reply)
        time.sleep(0.02)
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    return handle


def redirect(location):
    return says(page(b"", "302 Found", b"Location: " + location.encode() + b"\r\n"))


#------------ HTTP/2 and gRPC, by hand (RFC 9113, RFC 7541) --------------------

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, GOAWAY = 0x0, 0x1, 0x3, 0x4, 0x7
END_STREAM, END_HEADERS, ACK = 0x1, 0x4, 0x1


def frame(kind, flags=0, stream_id=0, payload=b""):
    return (len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream_id.to_bytes(4, "big")
            + payload)


def literal(name, value):
    """A header field without indexing; both texts shorter than 127 bytes."""
    return b"\x00" + bytes([len(name)]) + name + bytes([len(value)]) + value


STATUS_200 = b"\x88"  # index 8 of the static table


def read_exactly(stream, count):
    data = b""
    while len(data) < count:
        piece = stream.recv(count - len(data))
        if not piece:
            raise ConnectionError("closed")
        data += piece
    return data


def h2(answer):
    """Speaks HTTP/2 until the first request is here, then sends `answer(stream_id)`."""

    def handle(stream):
        if read_exactly(stream, len(PREFACE)) != PREFACE:
            return
        stream.sendall(frame(SETTINGS))
        asked, whole = None, False
        while not whole:
            head = read_exactly(stream, 9)
            length, kind, flags = int.from_bytes(head[:3], "big"), head[3], head[4]
            read_exactly(stream, length)
            if kind == SETTINGS and not flags & ACK:
                stream.sendall(frame(SETTINGS, ACK))
            if kind == HEADERS:
                asked = int.from_bytes(head[5:], "big")
            whole = asked is not None and kind in (HEADERS, DATA) and flags & END_STREAM
        stream.sendall(answer(asked))
        # The peer ends it.
        stream.settimeout(2)
        while stream.recv(4096):
            pass

    return handle


def h2_page(stream_id):
    return (frame(HEADERS, END_HEADERS, stream_id, STATUS_200)
            + frame(DATA, END_STREAM, stream_id, b"ready\n"))


def h2_goaway(_stream_id):
    return frame(GOAWAY, payload=(0).to_bytes(4, "big") + (2).to_bytes(4, "big"))


def h2_reset(stream_id):
    return frame(RST_STREAM, 0, stream_id, (2).to_bytes(4, "big"))


def grpc_status(status):
    """A HealthCheckResponse: 1 SERVING, 2 NOT_SERVING."""

    def answer(stream_id):
        message = bytes([0x08, status])
        body = b"\x00" + len(message).to_bytes(4, "big") + message
        head = STATUS_200 + literal(b"content-type", b"application/grpc")
        trailers = literal(b"grpc-status", b"0")
        return (frame(HEADERS, END_HEADERS, stream_id, head) + frame(DATA, 0, stream_id, body)
                + frame(HEADERS, END_HEADERS | END_STREAM, stream_id, trailers))

    return answer


def grpc_error(code, message):
    """Trailers alone: a method that is not there, say."""

    def answer(stream_id):
        head = (STATUS_200 + literal(b"content-type", b"application/grpc")
                + literal(b"grpc-status", str(code).encode())
                + literal(b"grpc-message", message.encode()))
        return frame(HEADERS, END_HEADERS | END_STREAM, stream_id, head)

    return answer


#------------ TLS --------------------------------------------------------------


def server_tls(certificate, key, alpn=(), old=False):
    """A server's context; `old`: nothing newer than TLS 1.1."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if old:
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.load_cert_chain(certificate, key)
    if alpn:
        context.set_alpn_protocols(list(alpn))
    return context
