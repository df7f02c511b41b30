//! The queries: what each is called, its bytes, and the response code that it has.

/// One query.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) message: Vec<u8>,
    /// Of the header and the OPT record together.
    pub(crate) rcode: u16,
}

const IN: u16 = 1;
const CH: u16 = 3;
const ANY: u16 = 255;

const NOERROR: u16 = 0;
const FORMERR: u16 = 1;
const NXDOMAIN: u16 = 3;
const NOTIMP: u16 = 4;
const REFUSED: u16 = 5;
const BADVERS: u16 = 16;

/// The wire form of a name of plain labels.
pub(crate) fn name(text: &str) -> Vec<u8> {
    let labels = text.split('.').filter(|label| !label.is_empty());
    let wire = labels.flat_map(|label| [&[label.len() as u8], label.as_bytes()].concat());
    wire.chain([0]).collect()
}

/// A query with one question.
pub(crate) fn query(of: &str, kind: u16, class: u16) -> Vec<u8> {
    let header = [0x12, 0x34, 0x01, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    [&header[..], &name(of), &kind.to_be_bytes(), &class.to_be_bytes()].concat()
}

/// The same with an OPT record that takes 1,232 bytes.
fn with_opt(mut query: Vec<u8>, version: u8, flags: u16, options: &[u8]) -> Vec<u8> {
    query[11] += 1;
    let [high, low] = flags.to_be_bytes();
    query.extend([0, 0, 41, 4, 208, 0, version, high, low]);
    query.extend(u16::try_from(options.len()).unwrap().to_be_bytes());
    query.extend(options);
    query
}

fn option(code: u16, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(value.len()).unwrap().to_be_bytes();
    [&code.to_be_bytes()[..], &length, value].concat()
}

fn changed(mut message: Vec<u8>, at: usize, byte: u8) -> Vec<u8> {
    message[at] = byte;
    message
}

/// All of them. Each gets a reply.
pub(crate) fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    let mut case = |name: &str, message: Vec<u8>, rcode: u16| {
        cases.push(Case { name: name.to_owned(), message, rcode });
    };
    let apex = "gslb.example.com";
    let shop = "shop.gslb.example.com";
    for (kind, number) in [
        ("A", 1),
        ("AAAA", 28),
        ("NS", 2),
        ("SOA", 6),
        ("TXT", 16),
        ("MX", 15),
        ("HTTPS", 65),
        ("CNAME", 5),
        ("ANY", 255),
        ("TYPE65280", 65_280),
    ] {
        for of in [apex, shop, "www.gslb.example.com", "a.wild.gslb.example.com"] {
            let plain = query(of, number, IN);
            case(&format!("{of} {kind}"), plain.clone(), NOERROR);
            case(&format!("{of} {kind} with EDNS"), with_opt(plain, 0, 0, &[]), NOERROR);
        }
    }
    case("large TXT", query("large.gslb.example.com", 16, IN), NOERROR);
    let large = with_opt(query("large.gslb.example.com", 16, IN), 0, 0x8000, &[]);
    case("large TXT with DO", large, NOERROR);
    case("a chain of CNAMEs", query("chain.gslb.example.com", 1, IN), NOERROR);
    case("a delegation", query("host.sub.gslb.example.com", 1, IN), NOERROR);
    case("mixed case", query("sHoP.GsLb.ExAmPlE.cOm", 1, IN), NOERROR);
    case("no such name", query("absent.gslb.example.com", 1, IN), NXDOMAIN);
    let absent = with_opt(query("absent.gslb.example.com", 1, IN), 0, 0x8000, &[]);
    case("no such name with DO", absent, NXDOMAIN);
    case("an empty non-terminal", query("empty.gslb.example.com", 1, IN), NOERROR);
    let longest = format!("{0}.{0}.{0}.{1}.{apex}", "l".repeat(63), "m".repeat(43));
    assert_eq!(name(&longest).len(), 254);
    case("a long name", query(&longest, 1, IN), NXDOMAIN);
    case("another zone", query("example.org", 1, IN), REFUSED);
    case("the root", query("", 2, IN), REFUSED);
    case("class CH", query("version.bind", 16, CH), REFUSED);
    case("class ANY", query(shop, 1, ANY), REFUSED);
    let subnet = option(8, &[0, 1, 24, 0, 203, 0, 113]);
    let options = [
        ("NSID", option(3, &[])),
        ("a client subnet", subnet.clone()),
        ("an unknown option", option(65_001, b"what is it")),
        ("keepalive", option(11, &[])),
        ("padding", option(12, &[0; 31])),
        ("many options", [option(3, &[]), option(12, &[0; 9]), subnet].concat()),
    ];
    for (what, options) in options {
        case(what, with_opt(query(shop, 1, IN), 0, 0, &options), NOERROR);
    }
    case("a bad subnet", with_opt(query(shop, 1, IN), 0, 0, &option(8, &[0, 9, 1])), FORMERR);
    case("EDNS version 1", with_opt(query(shop, 1, IN), 1, 0, &[]), BADVERS);
    case("unknown EDNS flags", with_opt(query(shop, 1, IN), 0, 0x4321, &[]), NOERROR);
    case("opcode STATUS", changed(query(shop, 1, IN), 2, 0x10), NOTIMP);
    case("no question", changed(query(shop, 1, IN)[..12].to_vec(), 5, 0), FORMERR);
    case("two questions", changed(query(shop, 1, IN), 5, 2), FORMERR);
    case("bytes behind the end", [query(shop, 1, IN), vec![0]].concat(), FORMERR);
    case("a question cut short", query(shop, 1, IN)[..20].to_vec(), FORMERR);
    case(
        "a pointer in the question",
        [&query(shop, 1, IN)[..12], &[0xc0, 12, 0, 1, 0, 1]].concat(),
        FORMERR,
    );
    cases
}
