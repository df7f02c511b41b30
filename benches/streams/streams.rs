//! A closed-loop loader over streams: so many connections, each with so many queries
//! outstanding, over TCP or TLS; or so many connections that ask once and then idle.
//!
//! docs/BENCHMARKING.md says how `benches/streams/run` uses it.
#![allow(clippy::print_stdout)] // a command-line tool

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Parser;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Asks a DNS server over persistent connections as fast as it answers.
#[derive(Parser)]
#[command(name = "streams")]
struct Arguments {
    /// The server.
    #[arg(long)]
    server: SocketAddr,
    /// Ask over TLS.
    #[arg(long)]
    tls: bool,
    /// The name asked, of type A.
    #[arg(long)]
    name: String,
    /// Connections.
    #[arg(long, default_value_t = 16)]
    connections: usize,
    /// Queries without a reply on each.
    #[arg(long, default_value_t = 10)]
    depth: usize,
    /// Measured, in seconds.
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// Before that.
    #[arg(long, default_value_t = 0.5)]
    warmup: f64,
    /// Connections ask once, and then idle for so long.
    #[arg(long)]
    idle: bool,
}

fn main() -> io::Result<()> {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let replies = runtime.block_on(run(Arc::new(arguments)))?;
    println!("{replies}");
    Ok(())
}

/// Replies in the measured time, by the second.
async fn run(arguments: Arc<Arguments>) -> io::Result<u64> {
    let begun = Instant::now() + Duration::from_secs_f64(arguments.warmup);
    let end = begun + Duration::from_secs_f64(arguments.seconds);
    let tls = TlsConnector::from(Arc::new(client()));
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..arguments.connections {
        let stream = TcpStream::connect(arguments.server).await?;
        stream.set_nodelay(true)?;
        let (arguments, tls) = (Arc::clone(&arguments), tls.clone());
        tasks.spawn(async move {
            if !arguments.tls {
                return ask(stream, &arguments, begun, end).await;
            }
            let name = ServerName::try_from("dns.example").map_err(io::Error::other)?;
            ask(tls.connect(name, stream).await?, &arguments, begun, end).await
        });
    }
    let mut replies = 0;
    while let Some(count) = tasks.join_next().await {
        replies += count.map_err(io::Error::other)??;
    }
    Ok((replies as f64 / arguments.seconds) as u64)
}

/// Right replies between `begun` and `end`.
async fn ask<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    arguments: &Arguments,
    begun: Instant,
    end: Instant,
) -> io::Result<u64> {
    let query = query(&arguments.name);
    let depth = if arguments.idle { 1 } else { arguments.depth };
    stream.write_all(&query.repeat(depth)).await?;
    stream.flush().await?;
    let (mut input, mut counted) = (Vec::with_capacity(1 << 16), 0);
    loop {
        if stream.read_buf(&mut input).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let (mut used, mut whole) = (0, 0);
        while let Some((prefix, rest)) = input[used..].split_first_chunk::<2>() {
            let length = usize::from(u16::from_be_bytes(*prefix));
            let Some(reply) = rest.get(..length) else { break };
            // QR, NOERROR, the ID, an answer at least.
            let is_right = reply.len() > 12
                && reply[..2] == query[2..4]
                && reply[2] & 0x80 != 0
                && reply[3] & 0x0f == 0
                && reply[6..8] != [0, 0];
            if !is_right {
                return Err(io::Error::other("a wrong reply"));
            }
            used += 2 + length;
            whole += 1;
        }
        input.drain(..used);
        let now = Instant::now();
        if arguments.idle {
            tokio::time::sleep(end.saturating_duration_since(now)).await;
            return Ok(1);
        }
        if now >= end {
            return Ok(counted);
        }
        if now >= begun {
            counted += whole as u64;
        }
        stream.write_all(&query.repeat(whole)).await?;
        stream.flush().await?;
    }
}

/// A query of type A with its length in front.
fn query(name: &str) -> Vec<u8> {
    let mut message = vec![0x12, 0x34, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.').filter(|label| !label.is_empty()) {
        message.push(label.len() as u8);
        message.extend_from_slice(label.as_bytes());
    }
    message.extend([0, 0, 1, 0, 1]);
    [&(message.len() as u16).to_be_bytes()[..], &message].concat()
}

/// Who measures trusts whom he started.
#[derive(Debug)]
struct Anyone;

fn client() -> ClientConfig {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider has both versions")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anyone))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"dot".to_vec()];
    config
}

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        rustls::crypto::aws_lc_rs::default_provider()
            .signature_verification_algorithms
            .supported_schemes()
    }
}
