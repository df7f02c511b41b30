//! RFC 1035: Domain names, implementation and specification: the messages.

use std::net::IpAddr;

use windrose::answer::Peer;
use windrose::metrics::Transport;

use crate::support::Server;

const WORLD: &str = "
www A 192.0.2.80
$GENERATE 1-30 thirty A 198.51.100.$
";
/// `www.example.com A IN`.
const QUESTION: &[u8] = b"\x03www\x07example\x03com\0\0\x01\0\x01";

fn peer() -> Peer {
    Peer { address: IpAddr::from([192, 0, 2, 53]), transport: Transport::Udp }
}

/// A message of this header, without its ID, and what follows.
fn message(flags: u16, counts: [u16; 4], body: &[u8]) -> Vec<u8> {
    let mut message = vec![0xab, 0xcd];
    message.extend(flags.to_be_bytes());
    message.extend(counts.iter().flat_map(|count| count.to_be_bytes()));
    message.extend(body);
    message
}

/// Header and rcode alone.
#[track_caller]
fn is_bare(server: &mut Server, request: &[u8], rcode: u8) {
    let reply = server.send(request, peer()).unwrap();
    assert_eq!(reply.len(), 12, "{request:02x?}");
    assert_eq!(reply[3] & 0x0f, rcode, "{request:02x?}");
}

/// Point 1, section 4.1.1.
#[test]
fn answers_are_authoritative_and_recursion_is_never_available() {
    let mut server = Server::of_zone(WORLD);
    let answer = "answer www.example.com. 3600 A 192.0.2.80";
    server.gets("www.example.com A", &format!("NOERROR aa\n{answer}"));
    server.gets("www.example.com A rd", &format!("NOERROR aa rd\n{answer}"));
    server.gets("www.example.com A rd ra", &format!("NOERROR aa rd\n{answer}"));
    // AA and TC of a query mean nothing.
    server.gets("www.example.com A aa tc", &format!("NOERROR aa\n{answer}"));
}

/// Point 1, section 4.1.1: whatever the ID, whatever the question's case.
#[test]
fn id_and_question_are_echoed_byte_for_byte() {
    let mut server = Server::of_zone(WORLD);
    for id in [0, 1, 0x8000, 0xffff_u16] {
        for name in ["www.example.com", "WWW.EXAMPLE.COM", "wWw.nOt.eXaMpLe.CoM"] {
            let mut question = Vec::new();
            for label in name.split('.') {
                question.push(label.len() as u8);
                question.extend(label.as_bytes());
            }
            question.extend(b"\0\0\x01\0\x01");
            let mut request = message(0x0100, [1, 0, 0, 0], &question);
            request[..2].copy_from_slice(&id.to_be_bytes());
            let reply = server.send(&request, peer()).unwrap();
            assert_eq!(reply[..2], id.to_be_bytes());
            assert_eq!(reply[12..12 + question.len()], question);
        }
    }
}

/// Point 2, section 4.1.1.
#[test]
fn responses_and_messages_shorter_than_a_header_meet_silence() {
    let mut server = Server::of_zone(WORLD);
    let query = message(0, [1, 0, 0, 0], QUESTION);
    for length in 0..12 {
        assert_eq!(server.send(&query[..length], peer()), None, "{length} bytes");
    }
    for opcode in 0..16 {
        let flags = 0x8000 | opcode << 11;
        assert_eq!(server.send(&message(flags, [1, 0, 0, 0], QUESTION), peer()), None);
        assert_eq!(server.send(&message(flags, [0; 4], &[]), peer()), None);
        assert_eq!(server.send(&message(flags, [0xffff; 4], &[0; 200]), peer()), None);
    }
}

/// Point 4, section 4.1.4: nothing stands before the question that could be pointed at.
#[test]
fn a_compression_pointer_in_the_question_is_a_format_error() {
    let mut server = Server::of_zone(WORLD);
    for pointer in [0xc000, 0xc00b, 0xc00c, 0xc00d, 0xc00e, 0xc010, 0xc0ff, 0xffff_u16] {
        let [high, low] = pointer.to_be_bytes();
        is_bare(&mut server, &message(0, [1, 0, 0, 0], &[high, low, 0, 1, 0, 1]), 1);
        let behind_a_label = [3, b'w', b'w', b'w', high, low, 0, 1, 0, 1];
        is_bare(&mut server, &message(0, [1, 0, 0, 0], &behind_a_label), 1);
    }
}

/// Point 4, sections 2.3.4 and 3.1; kinds 01 and 10 of labels do not exist (RFC 6891 5).
#[test]
fn labels_over_63_bytes_and_names_over_255_are_format_errors() {
    let mut server = Server::of_zone(WORLD);
    for kind in [0x40, 0x41, 0x7f, 0x80, 0xbf] {
        let body = [vec![kind], vec![b'a'; 200], vec![0, 0, 1, 0, 1]].concat();
        is_bare(&mut server, &message(0, [1, 0, 0, 0], &body), 1);
    }
    let name_of = |length: usize| {
        // Labels of one byte, and one of two where the length is even.
        let mut name = if length.is_multiple_of(2) { vec![2, b'b', b'b'] } else { Vec::new() };
        while name.len() + 1 < length {
            name.extend([1, b'a']);
        }
        name.push(0);
        assert_eq!(name.len(), length);
        [name, vec![0, 1, 0, 1]].concat()
    };
    let longest = server.send(&message(0, [1, 0, 0, 0], &name_of(255)), peer()).unwrap();
    assert_eq!(longest[3] & 0x0f, 5, "255 bytes are a name like another");
    for length in [256, 257, 300, 1000] {
        is_bare(&mut server, &message(0, [1, 0, 0, 0], &name_of(length)), 1);
    }
}

/// Point 4, section 4.1.
#[test]
fn a_message_cut_off_anywhere_is_a_format_error() {
    let mut server = Server::of_zone(WORLD);
    let opt = [0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 4, 0, 3, 0, 0];
    let whole = message(0, [1, 0, 0, 1], &[QUESTION, &opt].concat());
    assert_eq!(server.send(&whole, peer()).unwrap()[3] & 0x0f, 0);
    for length in 12..whole.len() {
        let reply = server.send(&whole[..length], peer()).unwrap();
        assert_eq!(reply[3] & 0x0f, 1, "{length} bytes of {}", whole.len());
    }
}

/// Point 4, section 4.1.
#[test]
fn bytes_behind_the_last_record_are_a_format_error() {
    let mut server = Server::of_zone(WORLD);
    for query in [
        "www.example.com A tail=00",
        "www.example.com A edns tail=00",
        "www.example.com A tail=c00c00010001",
        "www.example.com A tcp tail=0000",
    ] {
        assert_eq!(server.ask(query).rcode(), 1, "{query}");
    }
}

/// Point 4, section 4.1.3: of a record and of OPT.
#[test]
fn rdlength_past_the_end_is_a_format_error() {
    let mut server = Server::of_zone(WORLD);
    for rtype in [1, 16, 41, 250, 65280_u16] {
        for length in [1, 4, 0x7fff, 0xffff_u16] {
            let mut body = QUESTION.to_vec();
            body.push(0);
            body.extend(rtype.to_be_bytes());
            body.extend([0, 1, 0, 0, 0, 0]);
            body.extend(length.to_be_bytes());
            let reply = server.send(&message(0, [1, 0, 0, 1], &body), peer()).unwrap();
            assert_eq!(reply[3] & 0x0f, 1, "type {rtype}, RDLENGTH {length}");
        }
    }
}

/// Point 4, section 4.1.4: owners of records that are passed over are not followed.
#[test]
fn pointer_loops_behind_the_question_cost_no_more_than_their_bytes() {
    let mut server = Server::of_zone(WORLD);
    // 4,000 records, each owner a pointer to itself or to the one before.
    let mut body = QUESTION.to_vec();
    for number in 0..4000_u16 {
        let here = 12 + QUESTION.len() as u16 + number.saturating_sub(number % 2) * 12;
        body.extend((0xc000 | here & 0x3fff).to_be_bytes());
        body.extend([0, 1, 0, 1, 0, 0, 0, 0, 0, 0]);
    }
    let request = message(0, [1, 0, 0, 4000], &body);
    let over_tcp = Peer { transport: Transport::Tcp, ..peer() };
    let reply = server.send(&request, over_tcp).unwrap();
    assert!([0, 1].contains(&(reply[3] & 0x0f)), "{reply:02x?}");
}

/// Point 14, section 4.2.1.
#[test]
fn without_edns_a_udp_answer_has_at_most_512_bytes() {
    let mut server = Server::of_zone(WORLD);
    server.gets("thirty.example.com A", "NOERROR aa tc");
    assert_eq!(server.ask("thirty.example.com A tcp").records.len(), 30);
}

/// Point 5, section 3.2.4.
#[test]
fn classes_that_are_not_served_are_refused() {
    let mut server = Server::of_zone(WORLD);
    for class in [0, 2, 3, 4, 254, 255, 65280, 65535] {
        for name in ["www.example.com", "no.example.com", "example.net", "version.bind"] {
            server.gets(&format!("{name} A class={class}"), "REFUSED");
            server.gets(&format!("{name} TXT class={class}"), "REFUSED");
        }
    }
}
