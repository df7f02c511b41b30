//! `windrose support-bundle`: one archive with what somebody who is to help needs to see.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use flate2::Compression;
use flate2::write::GzEncoder;

use super::client::Client;
use super::{Failed, SupportArguments, counted, operate, print, print_json};
use crate::admin::types::SupportBundle;
use crate::daemon;

pub(super) fn run(arguments: &SupportArguments) -> Result<(), Failed> {
    let bundle = match &arguments.config {
        Some(path) => daemon::support_of_files(path),
        None => operate::ask(&arguments.operate, async |client: Client| {
            client.get("/api/v1/support-bundle", &[]).await
        })?,
    };
    let now_s = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
    let name = format!("windrose-support-{now_s}");
    let path = arguments.output.clone().unwrap_or_else(|| PathBuf::from(format!("{name}.tar.gz")));
    let failed = |error: std::io::Error| Failed(format!("{}: {error}", path.display()));
    let length = write(&path, &name, now_s, &bundle).map_err(failed)?;
    if arguments.operate.json {
        return print_json(&serde_json::json!({
            "file": path, "bytes": length, "parts": bundle.files.keys().collect::<Vec<_>>(),
        }));
    }
    let parts = counted(bundle.files.len() as u64, "part");
    print(&format!(
        "{}: {parts}, {} KiB\nSecrets of the config are taken out; names, addresses and log \
         lines are in. Look into it before it leaves.",
        path.display(),
        length.div_ceil(1_024)
    ))
}

/// Writes the archive, for the owner alone, and not over another file; its length.
fn write(path: &Path, name: &str, now_s: u64, bundle: &SupportBundle) -> std::io::Result<u64> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    let mut archive = tar::Builder::new(GzEncoder::new(file, Compression::default()));
    for (part, text) in &bundle.files {
        // They come from a server that may be anybody's.
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
        let part: String = part.chars().map(|c| if plain(c) { c } else { '_' }).collect();
        let part = part.replace("..", "_");
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o600);
        header.set_mtime(now_s);
        let inside = format!("{name}/{}", part.trim_start_matches('/'));
        archive.append_data(&mut header, inside, text.as_bytes())?;
    }
    let mut file = archive.into_inner()?.finish()?;
    file.flush()?;
    Ok(file.metadata()?.len())
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn an_archive_has_its_parts_below_one_directory_and_replaces_no_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("b.tar.gz");
        let mut bundle = SupportBundle::default();
        bundle.files.insert("status.json".to_owned(), "{}".to_owned());
        bundle.files.insert("../../etc/x".to_owned(), "no".to_owned());
        let length = write(&path, "windrose-support-1", 1, &bundle).unwrap();
        assert_eq!(length, std::fs::metadata(&path).unwrap().len());
        let file = flate2::read::GzDecoder::new(std::fs::File::open(&path).unwrap());
        let mut seen = Vec::new();
        for entry in tar::Archive::new(file).entries().unwrap() {
            let mut entry = entry.unwrap();
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            seen.push((entry.path().unwrap().display().to_string(), text));
        }
        seen.sort();
        assert_eq!(
            seen,
            [
                ("windrose-support-1/_/_/etc/x".to_owned(), "no".to_owned()),
                ("windrose-support-1/status.json".to_owned(), "{}".to_owned()),
            ]
        );
        write(&path, "x", 1, &bundle).unwrap_err();
    }
}
