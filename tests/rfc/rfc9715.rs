//! RFC 9715: IP fragmentation avoidance in DNS over UDP.

use crate::support::Server;

/// Point 14, section 3.1.
#[test]
fn no_udp_answer_is_larger_than_1232_bytes_or_than_the_client_takes() {
    let records: String =
        (1..=120).map(|size| format!("$GENERATE 1-{size} n{size} A 198.51.100.$\n")).collect();
    let mut server = Server::of_zone(&records);
    let mut largest = 0;
    for size in [0, 512, 513, 700, 1231, 1232, 1233, 1500, 4096, 65535] {
        for count in 1..=120 {
            let reply = server.raw(&format!("n{count}.example.com A size={size}"));
            assert!(reply.len() <= size.clamp(512, 1232), "{} bytes at {size}", reply.len());
            largest = largest.max(reply.len());
        }
    }
    assert!(largest > 1200, "{largest}");
}

/// Point 14, section 3.1: what does not fit is there over TCP.
#[test]
fn what_was_truncated_is_whole_over_tcp() {
    let mut server = Server::of_zone("$GENERATE 1-250 big A 198.51.100.$");
    server.gets("big.example.com A size=65535", "NOERROR aa tc\nopt size=1232");
    let whole = server.ask("big.example.com A size=512 tcp");
    assert_eq!(whole.records.iter().filter(|record| record.rtype == 1).count(), 250);
    assert_eq!(whole.flags[0] & 2, 0);
}
