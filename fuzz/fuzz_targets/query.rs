//! What is read as a query is one to another reader too, with the same name,
//! type and class. It is stricter where records are passed over here: their data
//! and their owners' pointers are not looked at.
#![no_main]

use hickory_proto::op::Message;
use libfuzzer_sys::fuzz_target;
use windrose::dns::name;
use windrose::dns::query::Query;

fuzz_target!(|data: &[u8]| {
    let Ok(query) = Query::parse(data) else { return };
    let Ok(theirs) = Message::from_vec(data) else {
        assert_ne!(data[6..12], [0; 6], "a lone question is refused by the other reader");
        return;
    };
    assert_eq!(theirs.queries.len(), 1);
    let asked = &theirs.queries[0];
    assert_eq!(u16::from(asked.query_type()), query.qtype);
    assert_eq!(u16::from(asked.query_class()), query.qclass);
    assert!(asked.name().iter().eq(name::labels(query.qname)));
    assert_eq!(theirs.edns.is_some(), query.edns.is_some());
    if let (Some(theirs), Some(ours)) = (&theirs.edns, &query.edns) {
        assert_eq!(theirs.flags().dnssec_ok, ours.dnssec_ok);
        assert_eq!(theirs.version(), ours.version);
    }
});
