//! Numbers of the DNS parameters registry that the server treats specially.

/// RR types (RFC 1035 3.2.2 and later ones).
pub mod rtype {
    /// IPv4 address.
    pub const A: u16 = 1;
    /// Authoritative server.
    pub const NS: u16 = 2;
    /// Mail destination (obsolete).
    pub const MD: u16 = 3;
    /// Mail forwarder (obsolete).
    pub const MF: u16 = 4;
    /// Alias.
    pub const CNAME: u16 = 5;
    /// Start of authority.
    pub const SOA: u16 = 6;
    /// Mailbox.
    pub const MB: u16 = 7;
    /// Mail group member.
    pub const MG: u16 = 8;
    /// Mail rename.
    pub const MR: u16 = 9;
    /// Pointer.
    pub const PTR: u16 = 12;
    /// Host information.
    pub const HINFO: u16 = 13;
    /// Mailbox information.
    pub const MINFO: u16 = 14;
    /// Mail exchange.
    pub const MX: u16 = 15;
    /// Text.
    pub const TXT: u16 = 16;
    /// IPv6 address (RFC 3596).
    pub const AAAA: u16 = 28;
    /// Service (RFC 2782).
    pub const SRV: u16 = 33;
    /// Subtree alias (RFC 6672).
    pub const DNAME: u16 = 39;
    /// EDNS pseudo-record (RFC 6891).
    pub const OPT: u16 = 41;
    /// Delegation signer (RFC 4034).
    pub const DS: u16 = 43;
    /// Service binding (RFC 9460).
    pub const SVCB: u16 = 64;
    /// Service binding for HTTP (RFC 9460).
    pub const HTTPS: u16 = 65;
    /// Secret key (RFC 2930): a meta type.
    pub const TKEY: u16 = 249;
    /// Transaction signature (RFC 8945): a meta type.
    pub const TSIG: u16 = 250;
    /// Incremental transfer (RFC 1995).
    pub const IXFR: u16 = 251;
    /// Whole transfer (RFC 5936).
    pub const AXFR: u16 = 252;
    /// Mailbox records (obsolete).
    pub const MAILB: u16 = 253;
    /// Mail agents (obsolete).
    pub const MAILA: u16 = 254;
    /// All types.
    pub const ANY: u16 = 255;

    /// True for a type that no record can have: OPT and the meta and query
    /// types 128–255 (RFC 6895 3.1), ANY aside.
    pub fn is_meta(rtype: u16) -> bool {
        rtype == OPT || (128..=254).contains(&rtype) || rtype == 0
    }

    /// The number of a type written as "AAAA" or "TYPE28" (RFC 3597 5), in any case.
    pub fn parse(text: &str) -> Option<u16> {
        let text = text.to_ascii_uppercase();
        let known = NAMES.iter().find(|(mnemonic, _)| *mnemonic == text);
        known.map(|&(_, number)| number).or_else(|| text.strip_prefix("TYPE")?.parse().ok())
    }

    /// A type's mnemonic, or "TYPE" and its number.
    pub fn text(rtype: u16) -> String {
        let known = NAMES.iter().find(|(_, number)| *number == rtype);
        known.map_or_else(|| format!("TYPE{rtype}"), |(mnemonic, _)| (*mnemonic).to_owned())
    }

    /// Mnemonics of the types people ask about.
    const NAMES: [(&str, u16); 24] = [
        ("A", A),
        ("NS", NS),
        ("CNAME", CNAME),
        ("SOA", SOA),
        ("PTR", PTR),
        ("HINFO", HINFO),
        ("MX", MX),
        ("TXT", TXT),
        ("AAAA", AAAA),
        ("LOC", 29),
        ("SRV", SRV),
        ("NAPTR", 35),
        ("DNAME", DNAME),
        ("DS", DS),
        ("SSHFP", 44),
        ("RRSIG", 46),
        ("NSEC", 47),
        ("DNSKEY", 48),
        ("TLSA", 52),
        ("SVCB", SVCB),
        ("HTTPS", HTTPS),
        ("CAA", 257),
        ("AXFR", AXFR),
        ("ANY", ANY),
    ];
}

/// Classes.
pub mod class {
    /// The Internet.
    pub const IN: u16 = 1;
    /// Chaosnet: the server's own names.
    pub const CH: u16 = 3;
}

/// Opcodes.
pub mod opcode {
    /// A standard query.
    pub const QUERY: u8 = 0;
}

/// Response codes, those of EDNS included.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Rcode(pub u16);

impl Rcode {
    /// No error.
    pub const NOERROR: Rcode = Rcode(0);
    /// The query could not be read.
    pub const FORMERR: Rcode = Rcode(1);
    /// The server failed.
    pub const SERVFAIL: Rcode = Rcode(2);
    /// The name does not exist.
    pub const NXDOMAIN: Rcode = Rcode(3);
    /// Not implemented.
    pub const NOTIMP: Rcode = Rcode(4);
    /// Not for this client or this server.
    pub const REFUSED: Rcode = Rcode(5);
    /// A DNAME made a name too long (RFC 6672 2.2).
    pub const YXDOMAIN: Rcode = Rcode(6);
    /// An EDNS version that is not spoken (RFC 6891 6.1.3).
    pub const BADVERS: Rcode = Rcode(16);
    /// A cookie is asked for that is ours and fresh (RFC 7873 8).
    pub const BADCOOKIE: Rcode = Rcode(23);

    /// The registry's mnemonic, or "RCODE" with the number elsewhere.
    pub fn mnemonic(self) -> &'static str {
        match self.0 {
            0 => "NOERROR",
            1 => "FORMERR",
            2 => "SERVFAIL",
            3 => "NXDOMAIN",
            4 => "NOTIMP",
            5 => "REFUSED",
            6 => "YXDOMAIN",
            16 => "BADVERS",
            23 => "BADCOOKIE",
            _ => "RCODE",
        }
    }
}
