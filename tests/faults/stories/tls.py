"""Faults of TLS: certificates that expired, are for another name or of an unknown
authority; handshakes that stall; versions that are too old."""

from back_end import BackEnd, healthy, server_tls, silent
from bench import Authority, Fault, FaultStory

CHECK = 'type = "https"\npath = "/healthz"\nca_file = "../ca.pem"'


class Tls(FaultStory):
    REQUIRES = ("nft", "openssl", "faketime")

    def test_each_is_called_down_in_time_and_by_its_kind(self):
        ours, other = Authority(self), Authority(self, "other")
        names = ["expired", "misnamed", "unknown-issuer", "stalled", "old-version", "plain",
                 "cut"]
        good = {name: ours.certificate(name, f"{name}.gslb.example.com") for name in names}
        ends = {}
        for number, name in enumerate(names, 1):
            self.address(f"10.3.0.{number}")
            ends[name] = BackEnd(self, (f"10.3.0.{number}", 443), healthy,
                                 tls=server_tls(*good[name]))
        expired = ours.certificate("gone", "expired.gslb.example.com", days=1,
                                   not_after="-5 days")
        misnamed = ours.certificate("strange", "somebody-else.example")
        unknown = other.certificate("unknown", "unknown-issuer.gslb.example.com")

        def shows(name, pair):
            return lambda: setattr(ends[name], "tls", server_tls(*pair))

        def plainly(name, handle):
            def change():
                ends[name].tls, ends[name].handle = None, handle
            return change

        faults = {
            "expired": (shows("expired", expired), "tls", "certificate expired", False),
            "misnamed": (shows("misnamed", misnamed), "tls",
                         "not for misnamed.gslb.example.com; it names somebody-else.example",
                         False),
            "unknown-issuer": (shows("unknown-issuer", unknown), "tls", "unknown issuer", False),
            "stalled": (plainly("stalled", silent), "timeout", "no TLS handshake", True),
            "old-version": (lambda: setattr(ends["old-version"], "tls",
                                            server_tls(*good["old-version"], old=True)),
                            "tls", "", False),
            "plain": (plainly("plain", lambda stream: (stream.recv(999), stream.sendall(
                b"HTTP/1.1 400 Bad Request\r\n\r\n"))), "tls", "does not speak TLS", False),
            "cut": (plainly("cut", lambda stream: stream.recv(999)), "tls",
                    "closed during the handshake", False),
        }
        self.serve(*(Fault(name, f"10.3.0.{number}", CHECK, *faults[name])
                     for number, name in enumerate(names, 1)))
        self.judge_all()
