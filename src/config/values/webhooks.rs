//! Addresses of webhooks.

use reqwest::Url;

use super::Bad;

/// Longest address, in bytes.
const URL_LENGTH_MAX: usize = 2_048;

/// An address that events can be posted to.
pub(in crate::config) fn webhook_url(text: &str) -> Result<String, Bad> {
    let bad = |reason: String| {
        Bad::new("bad-url", format!("is no address to post to: {reason}"))
            .help("for example: \"https://hooks.example.com/windrose\"")
    };
    if text.len() > URL_LENGTH_MAX {
        return Err(bad(format!("it has more than {URL_LENGTH_MAX} bytes")));
    }
    let url = Url::parse(text).map_err(|error| bad(error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(bad(format!("the scheme is \"{}\"", url.scheme())).label("http or https"));
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err(bad("it names no host".to_owned()));
    }
    if url.fragment().is_some() {
        return Err(bad("what is behind `#` is never sent".to_owned()));
    }
    // Spaces and line ends would be dropped in silence.
    if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(bad("it has white space".to_owned()));
    }
    Ok(text.to_owned())
}

/// Whether what is posted there can be read on the way.
pub(in crate::config) fn is_open_to_others(url: &str) -> bool {
    let Ok(url) = Url::parse(url) else { return false };
    let here = url.host_str().is_some_and(|host| {
        let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
        host == "localhost" || address.is_ok_and(|address| address.to_canonical().is_loopback())
    });
    url.scheme() == "http" && !here
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_can_be_posted_to_and_what_is_not_says_why() {
        for url in ["https://hooks.example.com/a?b=c", "http://[::1]:8080", "https://u:p@h/"] {
            assert_eq!(webhook_url(url).unwrap(), url);
        }
        let long = format!("https://h/{}", "a".repeat(URL_LENGTH_MAX));
        for (url, reason) in [
            ("hooks.example.com", "relative URL without a base"),
            ("ftp://hooks.example.com", "the scheme is \"ftp\""),
            ("https://", "empty host"),
            ("https://h/#a", "what is behind `#` is never sent"),
            ("https://h/a b", "it has white space"),
            ("https://h:99999/", "invalid port number"),
            (long.as_str(), "it has more than 2048 bytes"),
        ] {
            let bad = webhook_url(url).unwrap_err();
            assert!(bad.reason.ends_with(reason), "{}", bad.reason);
        }
    }

    #[test]
    fn plain_http_is_for_this_host() {
        assert!(is_open_to_others("http://hooks.example.com/"));
        for url in ["https://hooks.example.com/", "http://127.0.0.1:1/", "http://[::1]/", "x"] {
            assert!(!is_open_to_others(url), "{url}");
        }
    }
}
