//! RFC 3597: Handling of unknown DNS resource record types.

use crate::support::{SOA, Server};

/// Point 11, sections 2 and 5.
#[test]
fn records_of_unknown_types_are_served_as_they_are() {
    let mut server =
        Server::of_zone("u TYPE65280 \\# 3 010203\nempty TYPE65281 \\# 0\nu TYPE65281 \\# 2 ffff");
    server.gets(
        "u.example.com TYPE65280",
        "NOERROR aa\nanswer u.example.com. 3600 TYPE65280 \\# 3 010203",
    );
    server.gets(
        "u.example.com TYPE65281",
        "NOERROR aa\nanswer u.example.com. 3600 TYPE65281 \\# 2 ffff",
    );
    server.gets(
        "empty.example.com TYPE65281",
        "NOERROR aa\nanswer empty.example.com. 3600 TYPE65281 \\# 0",
    );
    server.gets("u.example.com TYPE65282", &format!("NOERROR aa\n{SOA}"));
}

/// Point 11, section 5.
#[test]
fn known_types_may_be_written_as_unknown_ones() {
    let mut server =
        Server::of_zone("a TYPE1 \\# 4 c0000250\nm TYPE15 \\# 5 000a 0161 00\nt TXT \\# 3 02 6869");
    server.gets("a.example.com A", "NOERROR aa\nanswer a.example.com. 3600 A 192.0.2.80");
    server.gets("m.example.com MX", "NOERROR aa\nanswer m.example.com. 3600 MX 10 a.");
    server.gets("t.example.com TXT", "NOERROR aa\nanswer t.example.com. 3600 TXT \"hi\"");
}

/// Point 11, section 4: only names in the data of types of RFC 1035 are compressed.
#[test]
fn names_in_data_of_newer_types_are_not_compressed() {
    let mut server = Server::of_zone(
        "x SRV 1 2 3 www\nx DNAME www\nx HTTPS 1 www\nx TYPE65280 \\# 13 076578616d706c6503636f6d00",
    );
    let www = b"\x03www\x07example\x03com\0";
    for rtype in ["SRV", "DNAME", "HTTPS"] {
        let raw = server.raw(&format!("x.example.com {rtype}"));
        assert!(raw.ends_with(www), "{rtype}: {raw:02x?}");
    }
    assert!(server.raw("x.example.com TYPE65280").ends_with(b"\x07example\x03com\0"));
    // And those of RFC 1035 are.
    let mut server = Server::of_zone("x MX 1 www");
    assert!(!server.raw("x.example.com MX").ends_with(www));
}

/// Point 11, section 3: whatever stands in the data, it is not looked at.
#[test]
fn data_of_unknown_types_goes_through_byte_for_byte() {
    for byte in [0x00_u8, 0x0c, 0x3f, 0x40, 0x7f, 0xc0, 0xff] {
        let hex = format!("{byte:02x}").repeat(200);
        let mut server = Server::of_zone(&format!("u TYPE65280 \\# 200 {hex}"));
        let reply = server.ask("u.example.com TYPE65280");
        assert_eq!(reply.records[0].raw, [byte; 200]);
    }
}
