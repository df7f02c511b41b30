//! Keys of encrypted transports and of proxies in front: tls, proxy.

use std::sync::OnceLock;

use super::{Fallback, Form, Key, Kind, Section};
use Fallback::{Absent, Is};

section! {
    /// Encrypted transports: DNS over TLS, HTTPS and QUIC.
    tls, "tls", Form::Single;
    CERTIFICATE "certificate" Kind::Text { what: "a path", example: "\"/etc/windrose/dns.crt\"" },
        Absent("no encrypted transport can be spoken"),
        "PEM file with the certificate of all encrypted transports, and those between it and a root. Needs `key`. A renewed one counts within seconds.";
    KEY "key" Kind::Text { what: "a path", example: "\"/etc/windrose/dns.key\"" },
        Absent("no encrypted transport can be spoken"),
        "PEM file with the certificate's key.";
    DOT "dot" Kind::OneOrMore(&Kind::Text { what: "an address and port", example: "\"0.0.0.0:853\"" }),
        Is("[]"),
        "Addresses for DNS over TLS (RFC 7858), at port 853 as a rule.";
    DOH "doh" Kind::OneOrMore(&Kind::Text { what: "an address and port", example: "\"0.0.0.0:443\"" }),
        Is("[]"),
        "Addresses for DNS over HTTPS (RFC 8484) with HTTP/1.1 and HTTP/2, at port 443 as a rule.";
    DOQ "doq" Kind::OneOrMore(&Kind::Text { what: "an address and port", example: "\"0.0.0.0:853\"" }),
        Is("[]"),
        "Addresses for DNS over QUIC (RFC 9250), at port 853 of UDP as a rule.";
    DOH3 "doh3" Kind::OneOrMore(&Kind::Text { what: "an address and port", example: "\"0.0.0.0:443\"" }),
        Is("[]"),
        "Addresses for DNS over HTTPS with HTTP/3, at port 443 of UDP as a rule; replies over `doh` name the first port (Alt-Svc).";
    DOH_PATH "doh_path" Kind::Text { what: "a path", example: "\"/dns-query\"" },
        Is("\"/dns-query\""),
        "Path of DNS over HTTPS; nothing is at any other.";
}

section! {
    /// Proxies in front, such as dnsdist, that tell who the client is (PROXY protocol, version 2).
    proxy, "proxy", Form::Single;
    FROM "from" Kind::OneOrMore(&Kind::Text { what: "a network", example: "\"192.0.2.0/28\"" }),
        Is("[]"),
        "Networks of the proxies: what comes from them over UDP, TCP or TLS must begin with the header, and is dropped without it; from anywhere else none is looked for. Whoever is in these networks can say to be any client.";
}
