//! One config that has everything an answer can come from: static data with
//! chains, cuts and wildcards, WIPs of every policy, sites' own names.

use windrose::geo::BaseTable;
use windrose::snapshot::Serving;

use super::serving;
use crate::config_support::MemoryFiles;

/// Names worth asking for, those of the config and near them.
pub(crate) const NAMES: [&str; 53] = [
    "example.com",
    "www.example.com",
    "WWW.Example.COM",
    "big.example.com",
    "huge.example.com",
    "text.example.com",
    "mx.example.com",
    "srv.example.com",
    "c1.example.com",
    "c2.example.com",
    "loop.example.com",
    "x.example.com",
    "ent.example.com",
    "deep.ent.example.com",
    "*.w.example.com",
    "a.w.example.com",
    "a.b.w.example.com",
    "no.w.example.com",
    "a.no.w.example.com",
    "a.d.example.com",
    "www.d.example.com",
    "d.example.com",
    "x.grow.example.com",
    "x.dd1.example.com",
    "x.shrink.shrink.one.example.com",
    "x.wide.example.com",
    "sub.example.com",
    "a.sub.example.com",
    "ns1.sub.example.com",
    "many.example.com",
    "a.many.example.com",
    "child.example.com",
    "a.child.example.com",
    "towip.example.com",
    "gslb.example.com",
    "geo.gslb.example.com",
    "rr.gslb.example.com",
    "weighted.gslb.example.com",
    "hash.gslb.example.com",
    "tiers.gslb.example.com",
    "down.gslb.example.com",
    "refuse.gslb.example.com",
    "all.gslb.example.com",
    "a.star.gslb.example.com",
    "shop.example.com",
    "apps.fra.gslb.example.com",
    "x.apps.fra.gslb.example.com",
    "login.apps.fra.gslb.example.com",
    "example.net",
    ".",
    "id.server",
    "version.bind",
    "hostname.bind",
];

const CONFIG: &str = r#"
[server]
identity = "a-name-server-with-a-name-of-just-sixty-four-bytes.example.net.."
chaos_version = "windrose"
[zone."example.com"]
file = "example.com.zone"
[zone."child.example.com"]
nameservers = ["ns1.child.example.com"]
hostmaster = "hostmaster@example.com"
serial = 1
records = ["ns1 A 192.0.2.3", "* TXT \"child\"", "up CNAME c1.example.com."]
[zone."gslb.example.com"]
nameservers = ["ns1.example.com", "ns2.example.com"]
hostmaster = "hostmaster@example.com"
serial = 1
records = ["geo TXT \"beside\"", "_acme.login.apps.fra TXT \"t\"", "cname CNAME geo"]
[zone."shop.example.com"]
nameservers = ["ns1.example.com"]
hostmaster = "hostmaster@example.com"
serial = 1
[datacenter.fra]
vip = ["203.0.113.10", "203.0.113.11", "2001:db8:f::10", { address = "10.0.0.10", for = ["10.0.0.0/8"] }]
location = { country = "DE" }
serves = ["10.0.0.0/8", "country:DE", "2001:db8::/32"]
wildcard = "apps.fra.gslb.example.com"
[datacenter.iad]
vip = ["198.51.100.10", "2001:db8:1::10"]
location = { latitude = 38.94, longitude = -77.45 }
[datacenter.sin]
vip = "198.51.100.20"
location = { country = "SG" }
[health_check.port]
type = "tcp"
port = 443
[wip_defaults]
members = ["fra", "iad", "sin"]
health_check = "port"
[pool.one]
policy = "weighted"
members = [{ datacenter = "fra", weight = 3 }, "iad"]
[pool.two]
policy = "round-robin"
members = ["sin"]
[wip."geo.gslb.example.com"]
aliases = ["shop.example.com"]
[wip."rr.gslb.example.com"]
policy = "round-robin"
max_answers = 3
[wip."weighted.gslb.example.com"]
policy = "weighted"
max_answers = 2
[wip."hash.gslb.example.com"]
policy = "hash"
[wip."tiers.gslb.example.com"]
policy = "geo"
pools = ["one", "two"]
[wip."down.gslb.example.com"]
members = ["lone"]
policy = "failover"
on_all_down = { addresses = ["192.0.2.80", "2001:db8::80"] }
[wip."refuse.gslb.example.com"]
members = ["lone"]
policy = "failover"
on_all_down = "refuse"
[wip."all.gslb.example.com"]
members = ["lone"]
[wip."*.star.gslb.example.com"]
check_host = "star.example.com"
[datacenter.lone]
vip = "192.0.2.77"
location = { country = "FR" }
"#;

const ZONE: &str = r#"
$TTL 3600
@        SOA ns1 hostmaster 1 7200 900 1209600 300
@        NS ns1
@        NS ns2.example.net.
@        MX 10 mail
ns1      A 192.0.2.1
mail     A 192.0.2.25
www      A 192.0.2.80
www      AAAA 2001:db8::80
www      HTTPS 1 . alpn=h2
$GENERATE 1-60 big A 198.51.100.$
$GENERATE 1-2000 huge TXT "number $ of a very large set of strings that go on and on"
text     TXT "one" "two"
text     TYPE65280 \# 4 01020304
$GENERATE 1-40 mx MX $ host$
$GENERATE 1-40 host$ A 198.51.100.$
$GENERATE 1-20 srv SRV 0 0 $ mail
c1       CNAME c2
c2       CNAME www
loop     CNAME loop2
loop2    CNAME loop
deep.ent TXT "below an empty non-terminal"
*.w      A 192.0.2.60
*.w      MX 5 a.w
no.w     TXT "here"
d        DNAME @
grow     DNAME x.grow
shrink.one DNAME one
dd1      DNAME dd2
dd2      DNAME dd1
wide     DNAME aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb.ccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc.example.net.
sub      NS ns1.sub
sub      NS ns2.many
sub      DS 1 13 2 abababababababababababababababababababababababababababababababab
ns1.sub  A 192.0.2.10
ns1.sub  AAAA 2001:db8::10
$GENERATE 1-40 many NS ns$.many
$GENERATE 1-40 ns$.many A 198.51.100.$
child    NS ns1.child
towip    CNAME geo.gslb
"#;

/// The server that serves it, with one site down and one WIP without any member up.
pub(crate) fn serving() -> Serving {
    let mut files = MemoryFiles::default();
    files.insert("windrose.toml", CONFIG);
    files.insert("example.com.zone", ZONE);
    let places = [("81.0.0.0/8", "country=DE"), ("23.0.0.0/8", "country=US asn=64512")];
    let places: Vec<_> = places
        .iter()
        .map(|(network, place)| (network.parse().unwrap(), serving::place(place).unwrap()))
        .collect();
    let places = BaseTable::from_networks(&places);
    let serving = serving::load("windrose.toml", &files, places).unwrap();
    serving::set_member(&serving, "iad", "down").unwrap();
    serving::set_member(&serving, "lone", "down").unwrap();
    serving
}
