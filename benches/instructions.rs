//! How many instructions a query costs, stage by stage and whole, counted by callgrind:
//! figures that do not depend on the machine's mood.
//!
//! `.ci/instructions` runs this and holds it against `benches/instructions.limits`.
//! Each bench is of [`QUERIES`] queries, for different names from different clients; what
//! it needs is made before the counting begins, and answered once to see that it is right.

// What the macros of gungraun make of this.
#![allow(missing_docs, unreachable_pub, unused_qualifications)]

mod support;

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::os::fd::AsFd;
use std::sync::Arc;

use gungraun::Callgrind;
use gungraun::prelude::*;
use support::{Kind, PEER, World, query};
use windrose::answer::limit::Limiter;
use windrose::answer::{Outcome, Prepared, Scratch, answer as answer_one, prepare_all};
use windrose::dns::encode::{Opt, Status, Writer};
use windrose::dns::query::Query;
use windrose::dns::types::{Rcode, rtype};
use windrose::geo::Map;
use windrose::health::table::Table;
use windrose::listen::GROUP_MAX;
use windrose::listen::udp_batch::{Batch, Wait};
use windrose::metrics::{Family, Registry, Transport, WorkerCounters};
use windrose::snapshot::Serving;
use windrose::steer::choose::{Question, Room, choose};
use windrose::steer::hash::ClientNetwork;
use windrose::steer::strategy::Record;
use windrose::zone::{Lookup, Outcome as Found};

/// Queries of each bench; `.ci/instructions` divides by it.
const QUERIES: usize = 100;
/// What the server takes from the kernel at once, unless told otherwise.
const BATCH: usize = 64;
const WIP: &str = "failover{}.gslb.example.com";

/// What a bench works with lives as long as the process: to drop it costs nothing.
fn keep<T>(value: T) -> &'static mut T {
    Box::leak(Box::new(value))
}

fn requests(kind: Kind<'static>) -> &'static [Vec<u8>] {
    keep(kind.queries(QUERIES))
}

//------------ Stages ---------------------------------------------------------

#[library_benchmark(setup = requests)]
#[bench::plain(Kind::a(WIP))]
#[bench::ecs(Kind::a(WIP).ecs())]
fn parse(requests: &'static [Vec<u8>]) -> usize {
    requests.iter().filter(|request| Query::parse(black_box(request)).is_ok()).count()
}

type Lookups = (&'static Serving, Vec<(Vec<u8>, u16)>);

fn lookups(kind: Kind<'static>) -> &'static Lookups {
    let names = requests(kind).iter().map(|request| {
        let query = Query::parse(request).expect("the bench's queries are sound");
        (query.qname.to_vec(), query.qtype)
    });
    let names = names.collect();
    let lookups = keep((&*keep(World::of(QUERIES).serving()), names));
    lookup_all(lookups);
    lookups
}

#[library_benchmark(setup = lookups)]
#[bench::wip(Kind::a(WIP))]
#[bench::existing(Kind::a("static{}.gslb.example.com"))]
#[bench::absent(Kind::a("absent{}.gslb.example.com"))]
#[bench::not_ours(Kind::a("host{}.example.net"))]
fn lookup(lookups: &'static Lookups) -> usize {
    lookup_all(lookups)
}

#[inline(always)]
fn lookup_all((serving, names): &Lookups) -> usize {
    let zones = &serving.snapshot.zones;
    let found = names.iter().filter(|(name, qtype)| {
        matches!(black_box(zones.lookup(black_box(name), *qtype)), Lookup::Found { .. })
    });
    found.count()
}

struct Geo {
    map: &'static Map,
    clients: Vec<IpAddr>,
}

fn geo_v4() -> &'static Geo {
    geo(|index| Ipv4Addr::from(index.wrapping_mul(0x9e37_79b9)).into())
}

fn geo_v6() -> &'static Geo {
    let spread = |index: u32| u128::from(index.wrapping_mul(0x9e37_79b9)) << 88;
    geo(|index| Ipv6Addr::from(0x2000 << 112 | spread(index) & ((1 << 125) - 1)).into())
}

fn geo(client: impl Fn(u32) -> IpAddr) -> &'static Geo {
    let serving = keep(World::of(1).serving());
    let maps = serving.snapshot.strategies.iter().find_map(|strategy| strategy.map.as_deref());
    let map = maps.expect("the WIPs with policy geo have one");
    keep(Geo { map, clients: (1..=QUERIES as u32).map(client).collect() })
}

#[library_benchmark]
#[bench::v4(geo_v4())]
#[bench::v6(geo_v6())]
fn geo_lookup(geo: &'static Geo) -> u32 {
    geo.clients.iter().map(|&client| geo.map.lookup(black_box(client)).0).fold(0, u32::wrapping_add)
}

struct Decisions {
    questions: Vec<Question<'static>>,
    room: Room,
}

fn decisions(pattern: &'static str, qtype: u16) -> &'static mut Decisions {
    let serving: &Serving = keep(World::of(QUERIES).serving());
    let health: &'static Table = &serving.health;
    let requests = requests(Kind { pattern, qtype, subnet: false });
    let questions = requests.iter().zip(0u32..).map(|(request, index)| {
        let query = Query::parse(request).expect("the bench's queries are sound");
        let found = serving.snapshot.zones.lookup(query.qname, qtype);
        let Lookup::Found { outcome: Found::Wip { wip, .. }, .. } = found else {
            panic!("no WIP is at {pattern}");
        };
        let entry = &serving.snapshot.wips[wip as usize];
        let strategy = serving.snapshot.strategy(entry);
        let client = Ipv4Addr::from(index.wrapping_mul(0x9e37_79b9));
        Question {
            strategy,
            verdicts: serving.snapshot.verdicts(entry, strategy),
            table: health,
            laid: &[],
            row: &strategy.rows[index as usize % strategy.rows.len()],
            network: ClientNetwork::of(client.into()),
            turn: index,
            rtype: qtype,
        }
    });
    let decisions = keep(Decisions { questions: questions.collect(), room: Room::default() });
    assert_eq!(decide_all(decisions), QUERIES, "one address is answered to each");
    decisions
}

#[library_benchmark(setup = decisions)]
#[bench::failover("failover{}.gslb.example.com", rtype::A)]
#[bench::failover_aaaa("failover{}.gslb.example.com", rtype::AAAA)]
#[bench::geo("geo{}.gslb.example.com", rtype::A)]
#[bench::round_robin("round-robin{}.gslb.example.com", rtype::A)]
#[bench::weighted("weighted{}.gslb.example.com", rtype::A)]
#[bench::hash("hash{}.gslb.example.com", rtype::A)]
fn decide(decisions: &'static mut Decisions) -> usize {
    decide_all(decisions)
}

#[inline(always)]
fn decide_all(Decisions { questions, room }: &mut Decisions) -> usize {
    let decided = questions.iter().map(|question| {
        black_box(choose(black_box(question), room));
        room.chosen().len()
    });
    decided.sum()
}

struct Replies {
    queries: Vec<Query<'static>>,
    record: Record,
    out: Vec<u8>,
}

fn replies(kind: Kind<'static>) -> &'static mut Replies {
    let queries = requests(kind).iter().map(|request| {
        let query = Query::parse(request);
        query.expect("the bench's queries are sound")
    });
    let address = match kind.qtype {
        rtype::AAAA => IpAddr::V6(Ipv6Addr::LOCALHOST),
        _ => IpAddr::V4(Ipv4Addr::LOCALHOST),
    };
    let record = Record::new(address);
    let replies = keep(Replies { queries: queries.collect(), record, out: vec![0; 4_096] });
    encode_all(replies);
    replies
}

#[library_benchmark(setup = replies)]
#[bench::a(Kind::a(WIP))]
#[bench::a_ecs(Kind::a(WIP).ecs())]
#[bench::aaaa(Kind { qtype: rtype::AAAA, ..Kind::a(WIP) })]
fn encode(replies: &'static mut Replies) -> usize {
    encode_all(replies)
}

#[inline(always)]
fn encode_all(Replies { queries, record, out }: &mut Replies) -> usize {
    let lengths = queries.iter().map(|query| {
        let opt = Opt { query: query.edns, scope: 24, ..Opt::default() };
        let mut writer = Writer::new(out, 1_232, query.header, query.question);
        writer.reserve(opt.length());
        let full = black_box(&*record).put(&mut writer, 30).is_err();
        let status = Status { rcode: Rcode::NOERROR, authoritative: true, truncated: full };
        writer.finish(status, &opt)
    });
    lengths.sum()
}

//------------ Whole answers --------------------------------------------------

/// What is asked, and the right response code and number of answers.
#[derive(Clone, Copy)]
struct Case {
    world: World,
    kind: Kind<'static>,
    rcode: Rcode,
    answers: u8,
    /// What makes of a sound query the one that is asked.
    spoil: fn(Vec<u8>) -> Vec<u8>,
}

impl Case {
    fn one(pattern: &'static str) -> Case {
        let world = World::of(QUERIES);
        Case {
            world,
            kind: Kind::a(pattern),
            rcode: Rcode::NOERROR,
            answers: 1,
            spoil: |message| message,
        }
    }

    fn none(pattern: &'static str, rcode: Rcode) -> Case {
        Case { rcode, answers: 0, ..Case::one(pattern) }
    }

    fn ecs(self) -> Case {
        Case { kind: self.kind.ecs(), ..self }
    }

    fn qtype(self, qtype: u16) -> Case {
        Case { kind: Kind { qtype, ..self.kind }, ..self }
    }

    fn aaaa(self) -> Case {
        self.qtype(rtype::AAAA)
    }

    /// A query for a WIP that is refused once it is spoilt.
    fn refused(rcode: Rcode, spoil: fn(Vec<u8>) -> Vec<u8>) -> Case {
        Case { spoil, ..Case::none(WIP, rcode) }
    }

    /// Under a config that has these lines too.
    fn with(self, more: &'static str) -> Case {
        Case { world: World { more, ..self.world }, ..self }
    }

    fn down(self) -> Case {
        Case { world: World { up: false, ..self.world }, ..self }
    }

    fn without_counters(self) -> Case {
        Case { world: World { per_wip: false, ..self.world }, ..self }
    }

    fn ecs_off(self) -> Case {
        Case { world: World { ecs: false, ..self.world }, ..self }
    }
}

struct Asked {
    serving: Serving,
    scratch: Scratch,
    requests: Vec<Vec<u8>>,
    out: Vec<u8>,
}

fn spoilt(case: Case) -> Vec<Vec<u8>> {
    case.kind.queries(QUERIES).into_iter().map(case.spoil).collect()
}

// What is refused, by what is wrong with it.

fn opcode(mut message: Vec<u8>) -> Vec<u8> {
    message[2] |= 2 << 3;
    message
}

fn two_questions(mut message: Vec<u8>) -> Vec<u8> {
    message[5] = 2;
    message
}

fn pointer(mut message: Vec<u8>) -> Vec<u8> {
    message[12] = 0xc0;
    message
}

fn trailing_byte(mut message: Vec<u8>) -> Vec<u8> {
    message.push(0);
    message
}

fn edns_version(mut message: Vec<u8>) -> Vec<u8> {
    message[11] = 1;
    message.extend([0, 0, 41, 4, 208, 0, 1, 0, 0, 0, 0]);
    message
}

fn class_chaos(mut message: Vec<u8>) -> Vec<u8> {
    *message.last_mut().expect("a query ends with its class") = 3;
    message
}

fn class_any(mut message: Vec<u8>) -> Vec<u8> {
    *message.last_mut().expect("a query ends with its class") = 255;
    message
}

/// Everything is answered once, which also takes what a first time costs out of the count.
fn asked(case: Case) -> &'static mut Asked {
    let asked = keep(Asked {
        serving: case.world.serving(),
        scratch: Scratch::default(),
        requests: spoilt(case),
        out: vec![0; 4_096],
    });
    let Asked { serving, scratch, requests, out } = &mut *asked;
    for request in requests.iter() {
        let state = &serving.workers[0];
        let outcome = answer_one(serving, state, scratch, request, PEER, out);
        let replied = matches!(outcome, Outcome::Reply { rcode, .. } if rcode == case.rcode);
        assert!(replied, "{:?}: {outcome:?}", case.kind);
        assert_eq!(out[6..8], [0, case.answers], "{:?}", case.kind);
    }
    asked
}

// In groups, as over UDP.
#[library_benchmark(setup = asked)]
#[bench::failover(Case::one("failover{}.gslb.example.com"))]
#[bench::failover_ecs(Case::one("failover{}.gslb.example.com").ecs())]
#[bench::failover_aaaa(Case::one("failover{}.gslb.example.com").aaaa())]
#[bench::geo(Case::one("geo{}.gslb.example.com"))]
#[bench::geo_ecs(Case::one("geo{}.gslb.example.com").ecs())]
#[bench::geo_aaaa(Case::one("geo{}.gslb.example.com").aaaa())]
#[bench::round_robin(Case::one("round-robin{}.gslb.example.com"))]
#[bench::round_robin_ecs(Case::one("round-robin{}.gslb.example.com").ecs())]
#[bench::round_robin_aaaa(Case::one("round-robin{}.gslb.example.com").aaaa())]
#[bench::weighted(Case::one("weighted{}.gslb.example.com"))]
#[bench::weighted_ecs(Case::one("weighted{}.gslb.example.com").ecs())]
#[bench::weighted_aaaa(Case::one("weighted{}.gslb.example.com").aaaa())]
#[bench::hash(Case::one("hash{}.gslb.example.com"))]
#[bench::hash_ecs(Case::one("hash{}.gslb.example.com").ecs())]
#[bench::hash_aaaa(Case::one("hash{}.gslb.example.com").aaaa())]
#[bench::fixed(Case::one("static{}.gslb.example.com"))]
#[bench::fixed_ecs(Case::one("static{}.gslb.example.com").ecs())]
#[bench::nxdomain(Case::none("absent{}.gslb.example.com", Rcode::NXDOMAIN))]
#[bench::nodata(Case::none("static{}.gslb.example.com", Rcode::NOERROR).qtype(rtype::TXT))]
#[bench::nodata_wip(Case::none("geo{}.gslb.example.com", Rcode::NOERROR).qtype(rtype::TXT))]
#[bench::refused(Case::none("host{}.example.net", Rcode::REFUSED))]
#[bench::nxdomain_deep(Case::none("a.b.c.d.e.f.g.absent{}.gslb.example.com", Rcode::NXDOMAIN))]
#[bench::refused_opcode(Case::refused(Rcode::NOTIMP, opcode))]
#[bench::refused_two_questions(Case::refused(Rcode::FORMERR, two_questions))]
#[bench::refused_pointer(Case::refused(Rcode::FORMERR, pointer))]
#[bench::refused_trailing_byte(Case::refused(Rcode::FORMERR, trailing_byte))]
#[bench::refused_edns_version(Case::refused(Rcode::BADVERS, edns_version))]
#[bench::refused_chaos(Case::refused(Rcode::REFUSED, class_chaos))]
#[bench::refused_class(Case::refused(Rcode::REFUSED, class_any))]
#[bench::refused_transfer(Case::none(WIP, Rcode::NOTIMP).qtype(rtype::AXFR))]
#[bench::refused_type(Case::none(WIP, Rcode::NOTIMP).qtype(rtype::MAILA))]
#[bench::refused_meta(Case::none(WIP, Rcode::FORMERR).qtype(rtype::TSIG))]
#[bench::refused_access(Case::none(WIP, Rcode::REFUSED).with("access.deny = '91.0.0.0/8'"))]
#[bench::failover_access_list(Case::one(WIP).with("access.deny = '10.0.0.0/8'"))]
#[bench::failover_down(Case::one("failover{}.gslb.example.com").down())]
#[bench::geo_down(Case::one("geo{}.gslb.example.com").down())]
#[bench::failover_per_wip_off(Case::one("failover{}.gslb.example.com").without_counters())]
#[bench::geo_ecs_off(Case::one("geo{}.gslb.example.com").ecs().ecs_off())]
fn answer(asked: &'static mut Asked) -> usize {
    let Asked { serving, scratch, requests, out } = asked;
    let state = &serving.workers[0];
    let mut length = 0;
    for group in requests.chunks(GROUP_MAX) {
        let mut prepared = [const { None::<Prepared<'_>> }; GROUP_MAX];
        let messages = group.iter().map(|request| (black_box(request.as_slice()), PEER));
        prepare_all(serving, state, messages, &mut prepared);
        for prepared in prepared.iter().flatten() {
            length += length_of(prepared.answer(serving, state, scratch, out));
        }
    }
    length
}

// One by one, as over TCP.
#[library_benchmark(setup = asked)]
#[bench::failover(Case::one("failover{}.gslb.example.com"))]
#[bench::geo_ecs(Case::one("geo{}.gslb.example.com").ecs())]
#[bench::nxdomain(Case::none("absent{}.gslb.example.com", Rcode::NXDOMAIN))]
fn answer_single(asked: &'static mut Asked) -> usize {
    let Asked { serving, scratch, requests, out } = asked;
    let state = &serving.workers[0];
    let lengths = requests.iter().map(|request| {
        length_of(answer_one(serving, state, scratch, black_box(request), PEER, out))
    });
    lengths.sum()
}

const LIMITED: &str = "rate_limit.responses_per_second = 100";

fn limited(case: Case) -> &'static mut (&'static mut Asked, Limiter) {
    let asked = asked(case);
    let rules = asked.serving.snapshot.rate_rules.clone().expect("the config limits");
    let mut limiter = Limiter::new(rules, 1, Arc::default());
    limiter.set_time(1_000_000_000);
    keep((asked, limiter))
}

// In groups, with response rate limiting; `one_name` is held back.
#[library_benchmark(setup = limited)]
#[bench::failover(Case::one(WIP).with(LIMITED))]
#[bench::nxdomain(Case::none("absent{}.gslb.example.com", Rcode::NXDOMAIN).with(LIMITED))]
#[bench::one_name(Case::one("failover1.gslb.example.com").with("rate_limit.responses_per_second = 1"))]
fn answer_limited((asked, limiter): &'static mut (&'static mut Asked, Limiter)) -> usize {
    let Asked { serving, scratch, requests, out } = &mut **asked;
    let state = &serving.workers[0];
    let mut length = 0;
    for group in requests.chunks(GROUP_MAX) {
        let mut prepared = [const { None::<Prepared<'_>> }; GROUP_MAX];
        let messages = group.iter().map(|request| (black_box(request.as_slice()), PEER));
        prepare_all(serving, state, messages, &mut prepared);
        for prepared in prepared.iter().flatten() {
            let outcome = prepared.answer(serving, state, scratch, out);
            let (outcome, limited) = prepared.limit(limiter, serving, state, scratch, outcome, out);
            black_box(limited);
            length += length_of(outcome);
        }
    }
    length
}

fn length_of(outcome: Outcome) -> usize {
    match outcome {
        Outcome::Reply { length, .. } => length,
        Outcome::Drop(_) => 0,
    }
}

//------------ Around the answer ----------------------------------------------

fn counters() -> &'static WorkerCounters {
    keep(Registry::new().worker())
}

// What the responder counts of each query.
#[library_benchmark]
#[bench::query_and_response(counters())]
fn count(counters: &'static WorkerCounters) {
    for _ in 0..QUERIES {
        counters.query(Transport::Udp, Family::of(black_box(PEER.address)));
        counters.response(Transport::Udp, black_box(Rcode::NOERROR.0));
    }
}

struct Wire {
    batch: Batch,
    server: UdpSocket,
    /// Its queue holds the queries, and takes the replies.
    _client: UdpSocket,
}

fn wire(listen: &'static str) -> &'static mut Wire {
    let server = UdpSocket::bind(listen).expect("a port can be had");
    let client = UdpSocket::bind("127.0.0.1:0").expect("a port can be had");
    let port = server.local_addr().expect("it is bound").port();
    let request = query("failover0.gslb.example.com", rtype::A, None);
    let address = server.local_addr().expect("it is bound").ip();
    let mut batch = Batch::new(address, BATCH);
    let send = || {
        for _ in 0..BATCH {
            client.send_to(&request, ("127.0.0.1", port)).expect("loopback takes it");
        }
    };
    send();
    assert_eq!(echo(&mut batch, &server), BATCH, "a whole batch is answered");
    send();
    keep(Wire { batch, server, _client: client })
}

// The loop of a UDP thread with an answer that costs nothing, for one batch; what the
// kernel does is not counted.
#[library_benchmark(setup = wire)]
#[bench::of_64("127.0.0.1:0")]
fn batch(wire: &'static mut Wire) -> usize {
    echo(&mut wire.batch, &wire.server)
}

#[inline(always)]
fn echo(batch: &mut Batch, server: &UdpSocket) -> usize {
    if batch.receive(server.as_fd(), Wait::No).is_err() {
        return 0;
    }
    batch.answer_each(|request, meta, out| {
        black_box(meta);
        out[0] = request[0];
        12
    });
    batch.send(server.as_fd()).sent as usize
}

//------------ Groups ---------------------------------------------------------

/// The memory functions of the C library are chosen by the processor's features: without
/// these, all machines choose the same ones.
const SAME_ON_ALL_MACHINES: &str = "glibc.cpu.hwcaps=-AVX512F,-AVX512VL,-AVX512BW,-AVX2,-AVX,\
    -AVX_Fast_Unaligned_Load,-Fast_Unaligned_Copy,-ERMS,-FSRM,-RTM,-SSSE3,-SSE4_1,-SSE4_2,\
    -BMI1,-BMI2,-LZCNT,-MOVBE";

library_benchmark_group!(name = stages, benchmarks = [parse, lookup, geo_lookup, decide, encode]);
library_benchmark_group!(name = whole, benchmarks = [answer, answer_single, answer_limited]);
library_benchmark_group!(name = around, benchmarks = [count, batch]);

main!(
    config = LibraryBenchmarkConfig::default()
        .env("GLIBC_TUNABLES", SAME_ON_ALL_MACHINES)
        .tool(Callgrind::with_args(["--cache-sim=no"])),
    library_benchmark_groups = [stages, whole, around]
);
