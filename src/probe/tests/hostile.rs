//! Peers that answer with noise: whatever they send, a probe ends by its deadline,
//! does not pass, and blames them and not us.

use tokio::net::UdpSocket;
use tokio::task::JoinSet;

use super::*;
use crate::health::check::{DnsProbe, GrpcProbe, HttpVersion};

const TIMEOUT_MS: u32 = 1_000;

/// Repeats itself for a seed (xorshift).
#[derive(Clone)]
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.next() as u8).collect()
    }

    /// Frames that HTTP/2 could mean something by.
    fn frames(&mut self) -> Vec<u8> {
        let mut frames = vec![0, 0, 0, 4, 0, 0, 0, 0, 0];
        for _ in 0..8 {
            let length = self.next() as u8 % 64;
            let (kind, flags, stream) =
                (self.next() as u8 % 11, self.next() as u8, self.next() % 4);
            frames.extend_from_slice(&[0, 0, length, kind, flags, 0, 0, 0, stream as u8]);
            frames.extend(self.bytes(usize::from(length)));
        }
        frames
    }

    /// Noise alone, or behind what the protocol begins with.
    fn reply(&mut self) -> Vec<u8> {
        let length = self.next() as usize % 2_000;
        let beginning = match self.next() % 6 {
            0 => b"HTTP/1.1 200 OK\r\n".to_vec(),
            1 => b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec(),
            2 => self.frames(),
            3 => (length as u16).to_be_bytes().to_vec(),
            4 => b"\x16\x03\x03\x00\x7a\x02\x00\x00\x76\x03\x03".to_vec(),
            _ => vec![],
        };
        [beginning, self.bytes(length)].concat()
    }
}

/// Answers every connection with noise, and then closes, cuts, holds or floods it.
async fn noisy(seed: u64) -> u16 {
    serve(move |mut stream| async move {
        let mut noise = Noise(seed);
        let mut buffer = [0; 512];
        let _ = stream.read(&mut buffer).await;
        let _ = stream.write_all(&noise.reply()).await;
        match noise.next() % 4 {
            0 => {}
            1 => stream.set_zero_linger().unwrap(),
            2 => tokio::time::sleep(Duration::from_secs(60)).await,
            _ => while stream.write_all(&noise.bytes(4_096)).await.is_ok() {},
        }
    })
    .await
    .port()
}

/// Answers every query with noise, some of it behind its header and question.
async fn noisy_udp(seed: u64) -> u16 {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let port = socket.local_addr().unwrap().port();
    tokio::spawn(async move {
        let mut noise = Noise(seed);
        let mut buffer = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
            for number in 0..20 {
                let (keep, more) = (noise.next() as usize, noise.next() as usize);
                let mut reply = buffer[..keep % (length + 1)].to_vec();
                if number % 2 == 0 {
                    reply = buffer[..length].to_vec();
                    reply[2] = 0x80;
                    reply[7] = noise.next() as u8;
                }
                reply.extend(noise.bytes(more % 600));
                let _ = socket.send_to(&reply, from).await;
            }
        }
    });
    port
}

fn probes(port: u16, udp: u16) -> Vec<ProbeKind> {
    let text = "a text that noise does not hold";
    let http = |version| {
        let expect_body = Some(TextMatch::Text(text.to_owned()));
        ProbeKind::Http(HttpProbe { version, expect_body, ..http_probe(port) })
    };
    let tls = Some(crate::health::check::TlsProbe::default());
    let dns = |tcp, port| {
        let expect_answers = vec!["192.0.2.1".to_owned()];
        let name = "shop.example.com".to_owned();
        ProbeKind::Dns(DnsProbe {
            port,
            tcp,
            name,
            rtype: 1,
            expect_answers,
            ..DnsProbe::default()
        })
    };
    vec![
        http(HttpVersion::Http1),
        http(HttpVersion::Http2),
        ProbeKind::Http(HttpProbe { tls: tls.clone(), ..http_probe(port) }),
        tcp_probe(port, Some("PING\r\n"), Some(text)),
        ProbeKind::Grpc(GrpcProbe { port, ..GrpcProbe::default() }),
        ProbeKind::Grpc(GrpcProbe { port, tls, ..GrpcProbe::default() }),
        dns(true, port),
        dns(false, udp),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn noise_never_passes_and_ends_by_the_deadline_as_the_peers_fault() {
    let mut kinds = std::collections::BTreeMap::new();
    for seed in 1..=24_u64 {
        let seed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut running = JoinSet::new();
        for probe in probes(noisy(seed).await, noisy_udp(seed).await) {
            let mut target = target(probe);
            target.timeout_ms = TIMEOUT_MS;
            running.spawn(async move {
                let plan = Plan { targets: vec![target.clone()], ..Plan::default() };
                let (tools, commons) = (tools(&plan), Commons::default());
                let started = Instant::now();
                let mut progress = Progress::default();
                let result =
                    attempt(&target, &tools, &commons, Clock::start(), &mut progress).await;
                (target.identity.probe, result, started.elapsed())
            });
        }
        while let Some(ended) = running.join_next().await {
            let (probe, result, elapsed) = ended.expect("no probe panics");
            let failure = result.expect_err("noise is no answer");
            // A machine that is busy elsewhere is another matter.
            let stood_still = failure.detail.starts_with("the prober stood still");
            assert!(failure.kind.judges() || stood_still, "{seed}: {failure} of {probe:?}");
            assert!(elapsed < Duration::from_secs(10), "{seed}: {elapsed:?} of {probe:?}");
            *kinds.entry(failure.kind).or_insert(0) += 1;
        }
    }
    assert!(kinds.contains_key(&FailureKind::Protocol), "{kinds:?}");
    assert!(kinds.contains_key(&FailureKind::Timeout), "{kinds:?}");
}
