//! Master files as text: records in RFC 3597 form, or errors with their place.

use proptest::prelude::*;

use super::*;

fn origin() -> Name {
    Name::parse("example.com").unwrap()
}

/// Each record as "owner ttl type hex".
fn records(text: &str) -> Vec<String> {
    let records = parse(text.as_bytes(), &origin(), 3600);
    let records = records.unwrap_or_else(|errors| panic!("{errors:?}\n{text}"));
    records
        .iter()
        .map(|record| {
            let hex: String = record.rdata.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("{} {} {} {hex}", record.owner, record.ttl_s, record.rtype)
        })
        .collect()
}

fn errors(text: &str) -> Vec<String> {
    let errors = parse(text.as_bytes(), &origin(), 3600).expect_err(text);
    errors.iter().map(ToString::to_string).collect()
}

/// The data of one record in hexadecimal.
fn data(text: &str) -> String {
    let records = records(&format!("x 1 IN {text}\n"));
    assert_eq!(records.len(), 1, "{text}");
    records[0].rsplit(' ').next().unwrap().to_owned()
}

#[test]
fn owners_ttls_and_classes_are_passed_on_as_rfc_1035_has_it() {
    let text = "\
@ IN 10 A 192.0.2.1
  A 192.0.2.2 ; the owner and TTL before it
b 20 IN A 192.0.2.3
\tIN AAAA ::1
$TTL 1h30m
c A 192.0.2.4
C.D 5 A 192.0.2.5
c A 192.0.2.6
$ORIGIN sub
@ A 192.0.2.7
a.b.example.com. A 192.0.2.8
$origin deep.sub.example.com.
x CNAME @
";
    assert_eq!(
        records(text),
        [
            "example.com 10 1 c0000201",
            "example.com 10 1 c0000202",
            "b.example.com 20 1 c0000203",
            "b.example.com 20 28 00000000000000000000000000000001",
            "c.example.com 5400 1 c0000204",
            "C.D.example.com 5 1 c0000205",
            "c.example.com 5400 1 c0000206",
            "sub.example.com 5400 1 c0000207",
            "a.b.example.com 5400 1 c0000208",
            "x.deep.sub.example.com 5400 5 046465657003737562076578616d706c6503636f6d00",
        ]
    );
    assert_eq!(records("a A 192.0.2.1"), ["a.example.com 3600 1 c0000201"]);
    assert_eq!(records("a CLASS1 TYPE1 192.0.2.1"), ["a.example.com 3600 1 c0000201"]);
}

#[test]
fn parentheses_quotes_escapes_and_comments_are_read() {
    let soa =
        "@ SOA ns ( h\\.m.example.com. ; (\n 1 ; serial\n\n 2h\n1m 1w)\t 300 ; end\nb A 1.2.3.4";
    let soa = records(soa);
    assert_eq!(soa.len(), 2);
    assert!(
        soa[0].ends_with("00000001000 01c200000003c00093a800000012c".replace(' ', "").as_str())
    );
    assert!(soa[0].contains("03682e6d076578616d706c65"), "{}", soa[0]);
    assert_eq!(
        data("TXT \"a b;(\\\"\" c\\;d \\065\\000"),
        "0661 20 62 3b 28 22 03 63 3b 64 02 41 00".replace(' ', "")
    );
    assert_eq!(data("TXT \"\""), "00");
    assert_eq!(data("TXT \"a\"\"b\""), "01610162");
    assert_eq!(data("TXT \u{fc}"), "02c3bc");
    assert_eq!(
        records("\u{feff}a\\.b\\000.c A 1.2.3.4\r\n\r\n"),
        ["a\\.b\\000.c.example.com 3600 1 01020304"]
    );
}

#[test]
fn data_of_every_known_type_is_read() {
    let name = "016e00";
    for (text, expected) in [
        ("NS n.", name),
        ("PTR n.", name),
        ("DNAME n.", name),
        ("MX 10 n.", "000a016e00"),
        ("AFSDB 1 n.", "0001016e00"),
        ("RP n. .", "016e0000"),
        ("SRV 1 2 3 n.", "000100020003016e00"),
        ("NAPTR 1 2 \"s\" \"SIP+D2U\" \"\" n.", "00010002017307 5349502b44325500016e00"),
        ("HINFO PC \"OS 1\"", "025043044f532031"),
        ("X25 311061700956", "0c333131303631373030393536"),
        ("ISDN 150862028003217", "0f313530383632303238303033323137"),
        ("ISDN 15 004", "02313503303034"),
        ("GPOS -32.6882 116.8652 10.0", "082d33322e3638383208 3131362e3836353204 31302e30"),
        ("NSAP 0x47.0005.80005a", "47000580005a"),
        ("NSAP-PTR n.", name),
        ("PX 1 n. .", "0001016e0000"),
        ("KX 1 n.", "0001016e00"),
        ("CERT PKIX 1 RSASHA256 AQID", "0001000108010203"),
        ("CERT 65534 1 0 AQID", "fffe000100010203"),
        ("APL 1:192.168.32.0/21 !1:192.168.38.0/28", "00011503c0a820 00011c83c0a826"),
        ("APL 2:ff00::/8 1:0.0.0.0/0", "00020801ff 00010000"),
        ("APL", ""),
        (
            "DS 60485 5 1 2BB183AF5F22588179A53B0A 98631FAD1A292118",
            "ec4505012bb183af5f22588179a53b0a98631fad1a292118",
        ),
        (
            "SSHFP 2 1 123456789abcdef67890123456789abcdef67890",
            "0201123456789abcdef67890123456789abcdef67890",
        ),
        ("DNSKEY 256 3 5 AQID", "01000305010203"),
        ("CDNSKEY 0 3 0 AA==", "0000030000"),
        ("CDS 0 0 0 00", "0000000000"),
        ("DHCID AQID", "010203"),
        (
            "NSEC n. A MX TYPE1234",
            "016e00 0002 4001 041b 000000000000000000000000000000000000000000000000000020",
        ),
        (
            "NSEC3 1 1 12 aabbccdd 2vptu5timamqttgl4luu9kg21e0aor3s A",
            "0101000c04aabbccdd14 17f3df17b2b2adaef615257de4d2020b80ac6c7c 000140",
        ),
        ("NSEC3PARAM 1 0 0 -", "0100000000"),
        ("TLSA 3 1 1 aabb", "030101aabb"),
        ("SMIMEA 3 1 1 aabb", "030101aabb"),
        ("CAA 0 issue \"ca.example\"", "00056973737565 63612e6578616d706c65"),
        ("CAA 128 tbs unknown", "80037462 73 756e6b6e6f776e"),
        ("URI 10 1 \"https://e\"", "000a000168747470733a2f2f65"),
        ("SPF \"v=spf1\"", "06763d73706631"),
        ("EUI48 00-00-5e-00-53-2a", "00005e00532a"),
        ("EUI64 00-00-5e-ef-10-00-00-2a", "00005eef1000002a"),
        ("NID 10 0014:4fff:ff20:ee64", "000a00144fffff20ee64"),
        ("L32 10 10.1.2.0", "000a0a010200"),
        ("L64 10 2001:DB8:1140:1000", "000a20010db811401000"),
        ("LP 10 n.", "000a016e00"),
        ("CSYNC 66 3 A NS AAAA", "000000420003 0004 60000008"),
        ("OPENPGPKEY AQID", "010203"),
        ("ZONEMD 1 1 1 aabbccddeeff00112233445566", "000000010101aabbccddeeff00112233445566"),
        ("IPSECKEY 10 1 2 192.0.2.38 AQID", "0a0102c0000226010203"),
        ("IPSECKEY 10 0 2 . AQID", "0a0002010203"),
        ("SVCB 0 n.", "0000016e00"),
        ("SVCB 1 . port=53", "0001000003 0002 0035"),
        (
            "HTTPS 1 . alpn=\"h2,h3\" ipv4hint=192.0.2.1",
            "000100 0001 0006 026832 026833 0004 0004 c0000201",
        ),
        ("HTTPS 1 . ipv4hint=192.0.2.1 alpn=h2", "000100 0001 0003 026832 0004 0004 c0000201"),
        ("HTTPS 16 foo. alpn=h2 mandatory=alpn", "0010 03666f6f00 0000 0002 0001 0001 0003 026832"),
        ("SVCB 1 . key667=\"hello\\210qoo\"", "000100 029b 0009 68656c6c6fd2716f6f"),
        ("LOC 42 21 54 N 71 06 18 W -24m 30m", "00 33 16 13 89172dd0 70be15f0 00988d20"),
        (
            "RRSIG A 5 3 86400 20030322173103 20030220173103 2642 n. AQID",
            "0001050300015180 3e7c9dd7 3e5510d7 0a52 016e00 010203",
        ),
        ("AVC \"a\"", "0161"),
        ("TYPE65280 \\# 4 01020304", "01020304"),
        ("TYPE65280 \\# 4 0102 0304", "01020304"),
        ("TYPE65280 \\# 0", ""),
        ("TYPE1 \\# 4 c0000201", "c0000201"),
        ("A \\# 4 c0000201", "c0000201"),
        ("WKS \\# 5 c000020106", "c000020106"),
    ] {
        assert_eq!(data(text), expected.replace(' ', ""), "{text}");
    }
}

#[test]
fn every_error_is_reported_with_its_place_and_the_rest_is_read() {
    let text = "\
@ A 192.0.2.256
a TXT
b IN CH A 192.0.2.1
c CH A 192.0.2.1
d BOGUS x
e 4294967295 A 192.0.2.1
other.example. A 192.0.2.1
f TXT \"never closed
g A 192.0.2.1 192.0.2.2
$INCLUDE file
$BOGUS
$TTL
h..i A 192.0.2.1
j NS k..l
m TYPE65280 \\# 3 01020304
n NS \\# 2 016e
o A ) 192.0.2.1
p TXT \\999
q A 1.1.1.1
r TYPE65281 data
s MX ten mail
t TXT (a
u A 1.1.1.1
";
    assert_eq!(
        errors(text),
        [
            "line 1, column 5: 192.0.2.256 is not an IPv4 address",
            "line 2, column 3: the record's data ends too early",
            "line 3, column 6: CH is not a TTL, a class or a record type",
            "line 4, column 3: only class IN is served",
            "line 5, column 3: BOGUS is not a TTL, a class or a record type",
            "line 6, column 3: a TTL is at most 2147483647 seconds (RFC 2181 8)",
            "line 7, column 1: other.example is outside of the zone example.com",
            "line 8, column 7: a quote that does not end on its line",
            "line 9, column 15: 192.0.2.2 is more than belongs here",
            "line 10, column 1: $INCLUDE is not supported: put the records into this file",
            "line 11, column 1: unknown directive $BOGUS; known are $ORIGIN, $TTL and $GENERATE",
            "line 12, column 1: $TTL needs a value",
            "line 13, column 1: h..i: a label is empty (two dots in a row, or a dot in front)",
            "line 14, column 6: k..l: a label is empty (two dots in a row, or a dot in front)",
            "line 15, column 16: \\# says 3 bytes and 4 follow (RFC 3597 5)",
            "line 16, column 6: not the data of a NS record",
            "line 17, column 5: a closing parenthesis without its opening",
            "line 18, column 7: a backslash must be followed by a character or by three digits up to 255",
            "line 20, column 13: the data of TYPE65281 records must be given as \\# (RFC 3597 5)",
            "line 21, column 6: ten is not a whole number of 16 bits",
            "line 22, column 7: a parenthesis that is never closed",
        ]
    );
    assert_eq!(errors("  A 192.0.2.1").len(), 1);
    assert_eq!(errors(&"bad\n".repeat(5_000)).len(), ERRORS_MAX);
}

#[test]
fn bad_data_is_refused_with_a_reason() {
    for text in [
        "A 1.2.3",
        "AAAA 1.2.3.4",
        "MX 10",
        "MX 65536 a",
        "TXT",
        "SRV 1 2 3",
        "SOA a b 1 2 3 4",
        "SOA a b 1 2 3 4 5 6",
        "SOA a b 1 2 3 4 5x",
        "DS 1 8 2 abc",
        "DS 1 8 2",
        "DS 1 8 2 xyz",
        "CAA 0 bad-tag x",
        "CAA 256 issue x",
        "DNSKEY 256 3 8 A",
        "CERT 1 1 1 AQI",
        "CERT 1 1 1",
        "NSEC n. BOGUS",
        "LOC 91 N 0 E 0m",
        "LOC 90 0 0.001 N 0 E 0m",
        "LOC 1 60 N 0 E 0m",
        "LOC 1 N 2 E",
        "EUI48 00-00-5e-00-53",
        "EUI48 0-0-5e-0-53-2a",
        "NID 10 0014:4fff:20:ee64:1",
        "L64 1 ::1",
        "APL 1:1.2.3.4/33",
        "APL 3:1.2.3.4/3",
        "APL x",
        "NSAP 47",
        "HINFO a",
        "SVCB 1",
        "SVCB 1 . port=x",
        "SVCB 1 . alpn=h2 alpn=h3",
        "HTTPS 1 a..b",
        "NAPTR 1 2 a b c",
        "RRSIG A 5 3 86400 x y 1 n. AQID",
        "OPT \\# 0",
        "AXFR \\# 0",
        "TSIG \\# 0",
        "TYPE0 \\# 0",
        "TXT \\# 0",
        "TXT \\# 2 0561",
        "A \\# 3 010203",
        "MX \\# 2 000a",
        "NS \\# 2 c00c",
        "SVCB \\# 7 00010000030001",
        "CAA \\# 1 00",
        "TYPE65536 \\# 0",
        "TYPE65280 \\#",
        "TYPE65280 \\# 1 0",
        "TYPE65280 \\# x",
        "TYPE65280 \\# 65536 00",
        "NULL x",
    ] {
        let errors = errors(&format!("x 1 IN {text}\n"));
        assert_eq!(errors.len(), 1, "{text}");
        assert!(errors[0].starts_with("line 1, column "), "{text}: {}", errors[0]);
    }
    let long = "a".repeat(256);
    assert!(errors(&format!("x TXT {long}"))[0].contains("a string of 256 bytes"));
    let long = format!("x TXT {}", "aaaaaaaaa ".repeat(7_000));
    assert!(errors(&long)[0].contains("longer than 65,535 bytes"));
}

#[test]
fn generate_counts() {
    let text =
        "$GENERATE 1-3 host-$ A 192.0.2.$\n$GENERATE 8-12/4 ${-8,3,x}.x 60 CNAME ${0,3}.\\$$$\n";
    assert_eq!(
        records(text),
        [
            "host-1.example.com 3600 1 c0000201",
            "host-2.example.com 3600 1 c0000202",
            "host-3.example.com 3600 1 c0000203",
            "000.x.example.com 60 5 03303038022424076578616d706c6503636f6d00",
            "004.x.example.com 60 5 03303132022424076578616d706c6503636f6d00",
        ]
    );
    assert_eq!(
        records("$GENERATE 10-10 ${0,7,n}.x TXT a")[0],
        "a.0.0.0.x.example.com 3600 16 0161"
    );
    for (text, message) in [
        ("$GENERATE 1-70000 a$ A 1.1.1.1", "line 1, column 11: more than 65536 records"),
        (
            "$GENERATE 3-1 a A 1.1.1.1",
            "line 1, column 11: 3-1 is not start-stop or start-stop/step",
        ),
        ("$GENERATE 1-2 ${x} A 1.1.1.1", "line 1, column 15: ${x} is not ${offset,width,base}"),
        ("$GENERATE 1-2 ${ A 1.1.1.1", "line 1, column 15: ${ without its }"),
        ("$GENERATE", "line 1, column 1: $GENERATE needs a range: start-stop"),
    ] {
        assert_eq!(errors(text), [message]);
    }
    let bad = errors("$GENERATE 255-257 a$ A 192.0.2.$");
    assert_eq!(
        bad,
        [
            "line 1, column 1: the generated record \"a256 A 192.0.2.256\n\": 192.0.2.256 is not an IPv4 address"
        ]
    );
}

//------------ Anything at all ------------------------------------------------

/// Text made of what master files are made of, and of what they are not.
fn text() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        4 => prop::sample::select(&[
            "a", "@", "*", "b.c", "x.", ".", "..", "\n", "\n", "\n ", " ", " ", "\t", "(", ")",
            "\"", "\"", ";", "\\", "\\.", "\\065", "\\#", "$", "$TTL ", "$ORIGIN ", "$GENERATE 1-3 ",
            "IN ", "60 ", "1h ", "A 1.2.3.4", "AAAA ::1", "NS ", "MX 1 ", "TXT ", "SOA a b 1 2 3 4 5",
            "SVCB 1 . ", "HTTPS 1 . alpn=", "key1=", "mandatory=", "ipv6hint=", "ech=", "NSEC a ",
            "NSEC3 1 1 1 - ", "IPSECKEY 1 3 1 ", "RRSIG A 8 1 1 1 1 1 ", "CAA 0 issue ", "DNSKEY 1 3 8 ",
            "DS 1 8 2 ", "ZONEMD 1 1 1 ", "TLSA 1 1 1 ", "LOC 1 N 1 E ", "TYPE65280 ", "0", "1", "99999",
            "AA==", "é", "\u{0}", "=", ",", "-",
        ][..]).prop_map(|part| part.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..4),
    ];
    prop::collection::vec(part, 0..40).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        cases: 2_000,
        ..ProptestConfig::default()
    })]

    #[test]
    fn no_text_panics_and_records_are_well_formed(text in text()) {
        match parse(&text, &origin(), 3600) {
            Ok(records) => for record in records {
                prop_assert!(record.owner.is_at_or_below(&origin()));
                prop_assert_eq!(rdata::check(record.rtype, &record.rdata), Ok(()));
                prop_assert_eq!(crate_reader::check(record.rtype, &record.rdata), Ok(()));
                prop_assert!(record.ttl_s <= TTL_S_MAX);
            },
            Err(errors) => {
                let lines = text.iter().filter(|&&byte| byte == b'\n').count() + 1;
                for error in errors {
                    prop_assert!((1..=lines).contains(&(error.line as usize)));
                    prop_assert!(error.column >= 1 && !error.message.is_empty());
                }
            }
        }
    }

    #[test]
    fn records_come_back_from_their_generic_form(text in text()) {
        for record in parse(&text, &origin(), 3600).unwrap_or_default() {
            let hex: String = record.rdata.iter().map(|byte| format!("{byte:02x}")).collect();
            let length = record.rdata.len();
            let generic =
                format!("{}. {} TYPE{} \\# {length} {hex}", record.owner, record.ttl_s, record.rtype);
            prop_assert_eq!(parse(generic.as_bytes(), &origin(), 0), Ok(vec![record]));
        }
    }
}
