//! RFC 9018: Interoperable DNS server cookies. The vectors are those of its appendix A.

use crate::support::Server;

const SECRET: &str = "e5e973e5a6b2a43f48e7dc849e37bfcf";
const OLD_SECRET: &str = "dd3bdf9344b678b185a6f5cb60fca715";
const NEW_SECRET: &str = "445536bcd2513298075a5d379663c962";

/// A server with a file of secrets.
fn server(secrets: &[&str], now_s: u32) -> Server {
    let file = format!("# the one in use first\n{}\n", secrets.join("\n"));
    let config = "[cookies]\npolicy = \"always\"\nsecret_file = \"cookies\"";
    let mut server = Server::configured(config, &[("cookies", &file)]);
    server.set_time(now_s);
    server
}

/// Rcode, and the cookie, of the reply to one with this cookie.
fn given(server: &mut Server, cookie: &str, client: &str) -> (u16, String) {
    let reply = server.ask(&format!("www.example.com A option=10:{cookie} client={client}"));
    let raw = &reply.opt().unwrap().raw;
    assert_eq!(raw[..4], [0, 10, 0, 24]);
    (reply.rcode(), raw[4..28].iter().map(|byte| format!("{byte:02x}")).collect())
}

const BADCOOKIE: u16 = 23;

/// Point 15, appendix A.1.
#[test]
fn a_new_cookie_is_the_one_of_the_appendix() {
    let reply = given(&mut server(&[SECRET], 1_559_731_985), "2464c4abcf10c957", "198.51.100.100");
    assert_eq!(reply, (BADCOOKIE, "2464c4abcf10c957010000005cf79f111f8130c3eee29480".to_owned()));
}

/// Point 15, appendix A.2.
#[test]
fn a_cookie_of_forty_minutes_is_valid_and_renewed() {
    let cookie = "2464c4abcf10c957010000005cf79f111f8130c3eee29480";
    let reply = given(&mut server(&[SECRET], 1_559_734_385), cookie, "198.51.100.100");
    assert_eq!(reply, (0, "2464c4abcf10c957010000005cf7a871d4a564a1442aca77".to_owned()));
}

/// Point 15, appendix A.3: reserved bytes are part of the hash, whatever they are, and
/// zero in what is made. The cookie is older than the hour of section 4.3 by then.
#[test]
fn reserved_bytes_are_taken_as_they_come() {
    let cookie = "fc93fc62807ddb8601abcdef5cf78f71a314227b6679ebf5";
    let made_s = 0x5cf7_8f71;
    let (rcode, echoed) = given(&mut server(&[SECRET], made_s), cookie, "203.0.113.203");
    assert_eq!((rcode, echoed.as_str()), (0, cookie));
    let reply = given(&mut server(&[SECRET], 1_559_734_700), cookie, "203.0.113.203");
    assert_eq!(reply, (BADCOOKIE, "fc93fc62807ddb86010000005cf7a9acf73a7810aca2381e".to_owned()));
}

/// Point 15, appendix A.4 and section 5.
#[test]
fn a_cookie_of_the_secret_before_is_valid_and_replaced() {
    let cookie = "22681ab97d52c298010000005cf7c57926556bd0934c72f8";
    let client = "2001:db8:220:1:59de:d0f4:8769:82b8";
    let reply = given(&mut server(&[NEW_SECRET, OLD_SECRET], 1_559_741_961), cookie, client);
    assert_eq!(reply, (0, "22681ab97d52c298010000005cf7c609a6bb79d16625507a".to_owned()));
    let reply = given(&mut server(&[NEW_SECRET], 1_559_741_961), cookie, client);
    assert_eq!(reply.0, BADCOOKIE);
}

/// Point 15, section 5: at each step of a rotation every server takes the cookies of
/// every other, those that are a step behind included.
#[test]
fn a_rotation_has_no_gap() {
    let steps: [&[&str]; 4] =
        [&[OLD_SECRET], &[OLD_SECRET, NEW_SECRET], &[NEW_SECRET, OLD_SECRET], &[NEW_SECRET]];
    let now_s = 1_800_000_000;
    for (one, other) in steps.iter().zip(&steps[1..]) {
        for (maker, taker) in [(one, other), (other, one), (one, one), (other, other)] {
            let (_, cookie) = given(&mut server(maker, now_s), "0102030405060708", "192.0.2.1");
            let (rcode, _) = given(&mut server(taker, now_s), &cookie, "192.0.2.1");
            assert_eq!(rcode, 0, "{maker:?} gave it to {taker:?}");
        }
    }
}

/// Point 15, section 4.3.
#[test]
fn a_cookie_is_good_for_an_hour_and_five_minutes_ahead() {
    let made_s = 1_800_000_000;
    let (_, cookie) = given(&mut server(&[SECRET], made_s), "0102030405060708", "192.0.2.1");
    for (offset_s, rcode) in
        [(-301, BADCOOKIE), (-300, 0), (0, 0), (3_600, 0), (3_601, BADCOOKIE), (1 << 30, BADCOOKIE)]
    {
        let mut later = server(&[SECRET], made_s.saturating_add_signed(offset_s));
        assert_eq!(given(&mut later, &cookie, "192.0.2.1").0, rcode, "{offset_s} s");
    }
}
