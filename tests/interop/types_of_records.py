"""A zone for each record in presentation form: what the four make of its data.

Left out, because Windrose takes them as `\\#` alone or not at all: SIG, which is
obsolete, and escaped commas in the values of SVCB.

One zone a record, because a server that does not know a type refuses the whole
zone, and then has no say.
"""

RECORDS = """
A 192.0.2.1
NS host.example.
CNAME host.example.
SOA-LIKE
MX 10 mail
TXT "one" two "th\\"ree" "fo\\\\ur" "\\200\\000"
TXT ""
TXT ( "over"
 "lines" ) ; with a comment
TXT "semi;colon" a\\;b
AAAA 2001:db8::1
AAAA ::ffff:192.0.2.1
AAAA 1:2:3:4:5:6:7:8
AAAA 1::8
PTR relative
PTR a\\.b.example.
PTR \\097bc.example.
HINFO "CPU" "OS"
HINFO CPU OS
MINFO a.example. b.example.
RP mbox.example. txt.example.
AFSDB 1 host.example.
X25 "311061700956"
ISDN "150862028003217" "004"
ISDN "150862028003217"
RT 10 relay.example.
NSAP 0x47000580005a0000000001e133ffffff00016100
PX 10 a.example. b.example.
GPOS -32.6882 116.8652 10.0
LOC 52 22 23.000 N 4 53 32.000 E -2.00m 0.00m 10000m 10m
LOC 42 21 54 N 71 06 18 W -24m 30m
LOC 42 21 43.952 N 71 5 6.344 W -24m 1m 200m
LOC 52 14 05 N 00 08 50 E 10m
LOC 32 7 19 S 116 2 25 E 10m
LOC 60 9 N 24 39 E 10 20 2000 20
SRV 0 5 443 host.example.
NAPTR 100 50 "s" "http+I2L+I2C+I2R" "" _http._tcp.example.
NAPTR 100 10 "" "" "!^urn:cid:.+@([^\\\\.]+\\\\.)(.*)$!\\\\2!i" .
KX 10 kx.example.
CERT 1 0 5 AQIDBA==
CERT PKIX 0 RSASHA256 AQIDBA==
DNAME target.example.
APL 1:192.168.32.0/21 !1:192.168.38.0/28
APL 2:FF00:0:0:0:0:0:0:0/8
APL 1:0.0.0.0/0
DS 60485 5 1 2BB183AF5F22588179A53B0A98631FAD1A292118
DS 60485 ECDSAP256SHA256 2 2BB183AF5F22588179A53B0A98631FAD1A2921182BB183AF5F22588179A53B0A
CDS 0 0 0 00
CDNSKEY 0 3 0 AA==
SSHFP 2 1 123456789abcdef67890123456789abcdef67890
SSHFP 4 2 123456789abcdef67890123456789abcdef67890123456789abcdef67890abcd
IPSECKEY 10 1 2 192.0.2.38 AQNRU3mG7TVTO2BkR47usntb102uFJtugbo6BSGvgqt4AQ==
IPSECKEY 10 0 2 . AQNRU3mG7TVTO2BkR47usntb102uFJtugbo6BSGvgqt4AQ==
IPSECKEY 10 3 2 mygateway.example. AQNRU3mG7TVTO2BkR47usntb102uFJtugbo6BSGvgqt4AQ==
IPSECKEY 10 2 2 2001:db8::1 AQNRU3mG7TVTO2BkR47usntb102uFJtugbo6BSGvgqt4AQ==
DNSKEY 256 3 5 AQPSKmynfzW4kyBv015MUG2DeIQ3 Cbl+BBZH4b/0PY1kxkmvHjcZc8no
DHCID AAIBY2/AuCccgoJbsaxcQc9TUapptP69lOjxfNuVAA2kjEA=
TLSA 3 1 1 d2abde240d7cd3ee6b4b28c54df034b97983a1d16e8a410e4561cb106618e971
SMIMEA 3 0 1 d2abde240d7cd3ee6b4b28c54df034b97983a1d16e8a410e4561cb106618e971
HIP 2 200100107B1A74DF365639CC39F1D578 AwEAAbdxyhNuSutc5EMzxTs9LBPCIkOFH8cIvM4p9+LrV4e19WzK00+CI6zBCQTdtWsuxKbWIy87UOoJTwkUs7lBu+Upr1gsNrut79ryra+bSRGQb1slImA8YVJyuIDsj7kwzG7jnERNqnWxZ48AWkskmdHaVDP4BcelrTI3rMXdXF5D rvs.example.
HIP 2 200100107B1A74DF365639CC39F1D578 AwEAAQ==
OPENPGPKEY AQIDBAUGBwg=
CSYNC 66 3 A NS AAAA
ZONEMD 2018031500 1 1 FEBE3D4CE2EC2FFA4BA99D46CD69D6D29711E55217057BEE7EB1A7B641A47BA7FED2DD5B97AE499FAFA4F22C6BD647DE
SVCB 0 alias.example.
SVCB 1 . alpn=h2,h3 port=8443 ipv4hint=192.0.2.1,192.0.2.2 ipv6hint=2001:db8::1
SVCB 16 foo.example. mandatory=alpn,ipv4hint alpn="h2,h3-19" ipv4hint=192.0.2.1
SVCB 1 foo.example. key667="hello\\210qoo"
SVCB 1 . no-default-alpn alpn=h2
SVCB 1 . key65333=ex1 key444=ex2 port=1
SVCB 1 . ech=AEj+DQBEAQAgACA=
HTTPS 1 . alpn=h2
HTTPS 1 svc ipv6hint="2001:db8::1,2001:db8::53:1"
HTTPS 1 . dohpath=/dns-query{?dns} alpn=h2
NID 10 0014:4fff:ff20:ee64
L32 10 10.1.2.0
L64 10 2001:0DB8:1140:1000
LP 10 l64-subnet1.example.
EUI48 00-00-5e-00-53-2a
EUI64 00-00-5e-ef-10-00-00-2a
URI 10 1 "ftp://ftp1.example.com/public"
CAA 0 issue "ca.example.net; account=230123"
CAA 128 tbs "Unknown"
CAA 0 issue ";"
AVC "app-name:WOLFGANG|app-class:OAM"
SPF "v=spf1 -all"
MB host.example.
MG host.example.
MR host.example.
NINFO "about"
TALINK h0.example. h2.example.
RRSIG A 5 3 86400 20030322173103 20030220173103 2642 example. oJB1W6WNGv+ldvQ3WDG0MQkg5IEhjRip8WTr
RRSIG TYPE65280 13 2 3600 1700000000 1600000000 1 example. AQID
NSEC host.example. A MX RRSIG NSEC TYPE1234
NSEC . A
NSEC3 1 1 12 aabbccdd 2vptu5timamqttgl4luu9kg21e0aor3s A RRSIG
NSEC3PARAM 1 0 12 -
KEY 0 3 5 AQPSKmynfzW4kyBv015MUG2D
TYPE65280 \\# 4 0a000001
TYPE65280 \\# 4 0a 00 00 01
TYPE65280 \\# 0
TYPE1 \\# 4 0A000001
A \\# 4 c0000201
MX \\# 8 000a 046d6169 6c00
CLASS-IN
"""


def zones():
    """(origin, text, owner, type as written) for each record."""
    out = []
    entries = RECORDS.strip("\n").replace("\n \"", "\x00\"").split("\n")
    for index, entry in enumerate(entries):
        entry = entry.replace("\x00", "\n ")
        origin = f"t{index}.types.test."
        owner = f"r.{origin}"
        line = f"r 300 IN {entry}"
        if entry == "SOA-LIKE":
            # Times with units, and a mailbox with an escaped dot.
            owner, entry, line = origin, "SOA", "@ 1h IN TXT \"SOA has units\""
        elif entry == "CLASS-IN":
            entry, line = "A", "r IN 1w2d3h4m5s A 192.0.2.9"
        soa = f"@ 60 IN SOA ns first\\.last 1 1h 10m 2w 1m"
        text = f"$ORIGIN {origin}\n{soa}\n@ 60 IN NS ns\nns 60 IN A 192.0.2.1\n{line}\n"
        out.append((origin, text, owner, entry.split()[0]))
    return out
