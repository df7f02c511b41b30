"""Faults of HTTP/2 and gRPC back ends."""

from back_end import (BackEnd, grpc_error, grpc_status, h2, h2_goaway, h2_page, h2_reset,
                      healthy, silent)
from bench import Fault, FaultStory

H2 = 'type = "http"\nhttp_version = "2"\nport = 80'
GRPC = 'type = "grpc"\nport = 80\nservice = "shop"'


class Http2(FaultStory):
    def test_each_is_called_down_in_time_and_by_its_kind(self):
        cases = [
            ("goaway", H2, h2(h2_page), h2(h2_goaway), "protocol", "GOAWAY", False),
            ("rst-stream", H2, h2(h2_page), h2(h2_reset), "reset", "RST_STREAM", False),
            ("h2-silent", H2, h2(h2_page), silent, "timeout", "no response", True),
            ("h1-only", H2, h2(h2_page), healthy, "protocol", "", False),
            ("not-serving", GRPC, h2(grpc_status(1)), h2(grpc_status(2)), "status", "NOT_SERVING",
             False),
            ("unknown-status", GRPC, h2(grpc_status(1)), h2(grpc_status(0)), "status", "UNKNOWN",
             False),
            ("no-service", GRPC, h2(grpc_status(1)), h2(grpc_error(5, "unknown service")),
             "status", "5.*unknown service|NOT_FOUND", False),
            ("no-health", GRPC, h2(grpc_status(1)), h2(grpc_error(12, "")), "status",
             "12|UNIMPLEMENTED", False),
            ("grpc-page", GRPC, h2(grpc_status(1)), h2(h2_page), "protocol", "", False),
        ]
        faults = []
        for number, (name, check, good, bad, kind, detail, slow) in enumerate(cases, 1):
            address = f"10.4.0.{number}"
            self.address(address)
            end = BackEnd(self, (address, 80), good)
            faults.append(Fault(name, address, check, lambda end=end, bad=bad:
                                setattr(end, "handle", bad), kind, detail, slow))
        self.serve(*faults)
        self.judge_all()
