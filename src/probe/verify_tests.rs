#![allow(clippy::unwrap_used)] // a panic in a test is a failed test

use std::os::unix::fs::PermissionsExt;

use rcgen::{CertificateParams, KeyPair};
use tempfile::TempDir;

use super::*;
use crate::health::check::{DnsProbe, ExecProbe, FileProbe, HttpProbe, IcmpProbe, TcpProbe};

/// What is said of one check that goes to the VIPs.
fn flaws(probe: &ProbeKind) -> Vec<Flaw> {
    verify(&[Checked { probe, address: None }])
}

fn words(flaws: &[Flaw], directory: &TempDir) -> Vec<String> {
    let shown = directory.path().display().to_string();
    let severity = |flaw: &Flaw| if flaw.is_error { "error" } else { "warning" };
    let words = |flaw: &Flaw| {
        let (severity, message) = (severity(flaw), flaw.message.replace(&shown, "DIR"));
        format!("{severity} {} {}: {message}", flaw.code, flaw.key)
    };
    flaws.iter().map(words).collect()
}

fn write(directory: &TempDir, name: &str, bytes: &[u8], mode: u32) -> PathBuf {
    let path = directory.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    path
}

//------------ Programs and files ---------------------------------------------

fn of_program(directory: &TempDir, path: &Path) -> Vec<String> {
    let command = vec![path.to_str().unwrap().to_owned(), "--at".to_owned()];
    words(&flaws(&ProbeKind::Exec(ExecProbe { command, host: None })), directory)
}

#[test]
fn programs_that_the_system_would_run_pass() {
    let directory = tempfile::tempdir().unwrap();
    let none: [&str; 0] = [];
    assert_eq!(of_program(&directory, Path::new("/bin/sh")), none);
    for (name, text) in [
        ("plain.sh", "#!/bin/sh\nexit 0\n"),
        ("spaced.sh", "#! /bin/sh -e\n"),
        ("unended.sh", "#!/bin/sh"),
    ] {
        let path = write(&directory, name, text.as_bytes(), 0o755);
        assert_eq!(of_program(&directory, &path), none, "{name}");
    }
    let other = write(&directory, "other", b"MZ\x00\x01", 0o755);
    assert_eq!(of_program(&directory, &other), none);
}

#[test]
fn programs_that_it_would_not_run_are_errors() {
    let directory = tempfile::tempdir().unwrap();
    for (name, text, mode, expected) in [
        ("a", "#!/bin/sh\n", 0o644, "DIR/a is not executable"),
        ("b", "exit 0\n", 0o755, "DIR/b is neither a program nor a script"),
        ("c", "", 0o755, "DIR/c is neither a program nor a script"),
        (
            "d",
            "#!/bin/sh\r\n",
            0o755,
            "DIR/d asks for an interpreter that is not there: \"/bin/sh\\r\"",
        ),
        (
            "e",
            "#!/no/such/shell -e\n",
            0o755,
            "DIR/e asks for an interpreter that is not there: \"/no/such/shell\"",
        ),
        ("f", "#!\n", 0o755, "DIR/f asks for an interpreter that is not there: \"\""),
    ] {
        let path = write(&directory, name, text.as_bytes(), mode);
        let expected = format!("error not-executable command: {expected}");
        assert_eq!(of_program(&directory, &path), [expected]);
    }
    let gone = directory.path().join("gone");
    let expected = "error not-executable command: DIR/gone is not there";
    assert_eq!(of_program(&directory, &gone), [expected]);
    let expected = "error not-executable command: DIR is no regular file";
    assert_eq!(of_program(&directory, directory.path()), [expected]);
}

#[test]
fn a_verdicts_file_or_its_directory_must_be_there() {
    let directory = tempfile::tempdir().unwrap();
    write(&directory, "up", b"up\n", 0o644);
    for (path, expected) in [
        ("up", None),
        ("gone", Some("DIR/gone is not there")),
        ("", Some("DIR/ is no regular file")),
        ("{address}", None),
        ("by-{address}/verdict", None),
        ("none/{address}", Some("DIR/none is not there")),
        ("up/{address}/{address}", Some("DIR/up is no directory")),
    ] {
        let path = directory.path().join(path);
        let found = flaws(&ProbeKind::File(FileProbe { path, max_age_ms: None }));
        let expected: Vec<String> =
            expected.iter().map(|words| format!("error file-unreadable file: {words}")).collect();
        assert_eq!(words(&found, &directory), expected);
    }
}

//------------ TLS ------------------------------------------------------------

struct Pem {
    certificate: String,
    key: String,
}

fn pem() -> Pem {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["probe.example.com".to_owned()]).unwrap();
    Pem { certificate: params.self_signed(&key).unwrap().pem(), key: key.serialize_pem() }
}

fn of_tls(directory: &TempDir, tls: TlsProbe) -> Vec<String> {
    let probe = HttpProbe { tls: Some(tls), ..HttpProbe::default() };
    words(&flaws(&ProbeKind::Http(probe)), directory)
}

#[test]
fn a_ca_file_holds_certificates_where_it_is_used() {
    let directory = tempfile::tempdir().unwrap();
    let good = write(&directory, "good.pem", pem().certificate.as_bytes(), 0o644);
    let empty = write(&directory, "empty.pem", b"", 0o644);
    let broken = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let broken = write(&directory, "broken.pem", broken, 0o644);
    let of = |ca_file: &Path, verify| {
        let ca_file = Some(ca_file.to_owned());
        of_tls(&directory, TlsProbe { verify, ca_file, ..TlsProbe::default() })
    };
    let none: [&str; 0] = [];
    assert_eq!(of(&good, true), none);
    assert_eq!(of(&empty, false), none, "it is not used");
    let expected = "error bad-certificate ca_file: ca_file DIR/empty.pem: no certificate in it";
    assert_eq!(of(&empty, true), [expected]);
    let said = of(&broken, true);
    let expected = "error bad-certificate ca_file: ca_file DIR/broken.pem: ";
    assert!(said.len() == 1 && said[0].starts_with(expected), "{said:?}");
    let said = of(&directory.path().join("gone.pem"), true);
    let expected = "error bad-certificate ca_file: ca_file DIR/gone.pem: No such file";
    assert!(said.len() == 1 && said[0].starts_with(expected), "{said:?}");
}

#[test]
fn a_client_certificate_goes_with_its_own_key() {
    let directory = tempfile::tempdir().unwrap();
    let (own, other) = (pem(), pem());
    let certificate = write(&directory, "client.pem", own.certificate.as_bytes(), 0o644);
    let key = write(&directory, "client.key", own.key.as_bytes(), 0o600);
    let foreign = write(&directory, "other.key", other.key.as_bytes(), 0o600);
    let of = |certificate: &Path, key: &Path| {
        let client =
            Some(ClientCertificate { certificate: certificate.to_owned(), key: key.to_owned() });
        of_tls(&directory, TlsProbe { verify: false, client, ..TlsProbe::default() })
    };
    let none: [&str; 0] = [];
    assert_eq!(of(&certificate, &key), none);
    let expected = "error bad-certificate client_key: client_key DIR/other.key: \
                    not the key of the client_certificate";
    assert_eq!(of(&certificate, &foreign), [expected]);
    let expected = "error bad-certificate client_certificate: client_certificate DIR/client.key: \
                    no certificate in it";
    assert_eq!(of(&key, &key), [expected]);
    let expected =
        "error bad-certificate client_key: client_key DIR/client.pem: no private key in it";
    assert_eq!(of(&certificate, &certificate), [expected]);
}

//------------ Network --------------------------------------------------------

#[test]
fn a_source_that_this_host_has_not_is_a_warning_of_each_check() {
    let route = Route { source_ipv4: Some("192.0.2.77".parse().unwrap()), ..Route::default() };
    let own = Route { source_ipv4: Some("127.0.0.1".parse().unwrap()), ..Route::default() };
    let tcp = ProbeKind::Tcp(TcpProbe { route: route.clone(), ..TcpProbe::default() });
    let icmp = ProbeKind::Icmp(IcmpProbe { route });
    let fine = ProbeKind::Icmp(IcmpProbe { route: own });
    let checks: Vec<Checked<'_>> =
        [&tcp, &fine, &icmp].map(|probe| Checked { probe, address: None }).into();
    let found = verify(&checks);
    let seen: Vec<(usize, bool, &str)> =
        found.iter().map(|flaw| (flaw.check, flaw.is_error, flaw.message.as_str())).collect();
    let message = "192.0.2.77 is no address of this host";
    assert_eq!(seen, [(0, false, message), (2, false, message)]);
}

#[test]
fn data_that_the_probe_could_not_compare_is_an_error() {
    let dns = |rtype, text: &str| {
        let expect_answers = vec![text.to_owned()];
        flaws(&ProbeKind::Dns(DnsProbe { rtype, expect_answers, ..DnsProbe::default() })).len()
    };
    assert_eq!(dns(1, "192.0.2.1"), 0);
    assert_eq!(dns(15, "10 mail.example.com"), 0);
    assert_eq!(dns(1, "mail.example.com"), 1);
}

#[test]
fn hosts_are_looked_up_once_each_and_doubt_is_no_error() {
    fn lookup(host: &str) -> io::Result<Vec<IpAddr>> {
        let words = |words: &str| {
            Err(io::Error::other(format!("failed to lookup address information: {words}")))
        };
        match host {
            "good.example" => Ok(vec![IpAddr::from([192, 0, 2, 1])]),
            "gone.example" => words("Name or service not known"),
            _ => words("Temporary failure in name resolution"),
        }
    }
    let probe = ProbeKind::Tcp(TcpProbe::default());
    let hosts = ["good.example", "gone.example", "busy.example", "gone.example"]
        .map(|host| ProbeAddress::Host(host.to_owned()));
    let checks: Vec<Checked<'_>> =
        hosts.iter().map(|host| Checked { probe: &probe, address: Some(host) }).collect();
    let mut verifier = Verifier::default();
    verifier.hosts(&checks, Duration::from_secs(600), lookup);
    let seen: Vec<(usize, bool, &str)> =
        verifier.flaws.iter().map(|flaw| (flaw.check, flaw.is_error, flaw.code)).collect();
    let expected =
        [(1, true, "unknown-host"), (2, false, "host-not-resolved"), (3, true, "unknown-host")];
    assert_eq!(seen, expected);
}
