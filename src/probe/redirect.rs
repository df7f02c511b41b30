//! Where a redirect leads: the `Location` of a response, read against the request
//! it answers (RFC 9110 §10.2.2, RFC 3986 §5).
//!
//! It says what is asked for next: scheme, `Host`, port and path. The address
//! never changes: what is probed is this VIP, wherever its names point.
//!
//! Pure.

use hyper::Uri;
use hyper::http::uri::Authority;

/// What is asked for, and under which name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Place {
    /// https
    pub tls: bool,
    /// As `Host` has it.
    pub host: String,
    pub port: u16,
    /// Path and query.
    pub path: String,
}

impl Place {
    /// Where `location` leads from here; an error says in words why nowhere.
    pub(super) fn follow(&self, location: &str) -> Result<Place, String> {
        let unusable = || format!("unusable location {location:?}");
        let location = location.split('#').next().unwrap_or_default();
        if location.is_empty() || !location.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(unusable());
        }
        let next = if let Some(rest) = location.strip_prefix("//") {
            self.at(self.tls, rest).ok_or_else(unusable)?
        } else if let Some((scheme, rest)) = scheme_of(location) {
            let tls = match scheme.to_ascii_lowercase().as_str() {
                "http" => false,
                "https" => true,
                _ => return Err(unusable()),
            };
            self.at(tls, rest.strip_prefix("//").ok_or_else(unusable)?).ok_or_else(unusable)?
        } else {
            let path = match location.as_bytes().first() {
                Some(b'/') => without_dots(location),
                Some(b'?') => format!("{}{location}", path_alone(&self.path)),
                _ => {
                    let path = path_alone(&self.path);
                    let folder = path.rfind('/').map_or("", |slash| &path[..slash]);
                    without_dots(&format!("{folder}/{location}"))
                }
            };
            Place { path, ..self.clone() }
        };
        // What the client would refuse to send is the server's fault, not ours.
        next.path.parse::<Uri>().map_err(|_| unusable())?;
        Ok(next)
    }

    /// "shop.example.com:8443/path?query"
    fn at(&self, tls: bool, text: &str) -> Option<Place> {
        let end = text.find(['/', '?']).unwrap_or(text.len());
        let (authority, path) = text.split_at(end);
        // Names and passwords in a location are not followed.
        let authority: Authority = authority.parse().ok().filter(|_| !authority.contains('@'))?;
        let default_port = if tls { 443 } else { 80 };
        let port = match authority.port() {
            Some(port) => Some(port.as_u16()).filter(|port| *port != 0)?,
            // "host:" has an empty port, "host:99999" one that is none.
            None if authority.as_str().ends_with(':') => default_port,
            None if authority.as_str().len() > authority.host().len() => return None,
            None => default_port,
        };
        let name = Some(authority.host()).filter(|name| !name.is_empty())?;
        let host = if port == default_port { name.to_owned() } else { format!("{name}:{port}") };
        let path = match path.as_bytes().first() {
            Some(b'/') => without_dots(path),
            _ => format!("/{path}"),
        };
        Some(Place { tls, host, port, path })
    }
}

/// "https" and the rest behind the colon.
fn scheme_of(location: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = location.split_once(':')?;
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    let first = scheme.as_bytes().first()?;
    (first.is_ascii_alphabetic() && scheme.bytes().all(letter)).then_some((scheme, rest))
}

fn path_alone(path: &str) -> &str {
    path.split('?').next().unwrap_or(path)
}

/// A path that begins with "/", without its "." and ".." (RFC 3986 §5.2.4).
fn without_dots(path: &str) -> String {
    let (path, query) = match path.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (path, None),
    };
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        match segment {
            "." | ".." => {
                if segment == ".." {
                    kept.pop();
                }
                if last {
                    kept.push("");
                }
            }
            segment => kept.push(segment),
        }
    }
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    format!("/{}{query}", kept.join("/"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn here() -> Place {
        let (host, path) = ("shop.example.com:8080".to_owned(), "/a/b/c?q=1".to_owned());
        Place { tls: false, host, port: 8080, path }
    }

    fn follow(location: &str) -> String {
        match here().follow(location) {
            Ok(Place { tls, host, port, path }) => {
                format!("{} {host} {port} {path}", if tls { "https" } else { "http" })
            }
            Err(words) => words,
        }
    }

    #[test]
    fn locations_are_read_as_browsers_do() {
        for (location, expected) in [
            ("https://www.example.com/x", "https www.example.com 443 /x"),
            ("HTTP://www.example.com", "http www.example.com 80 /"),
            ("https://www.example.com:8443?a=b#c", "https www.example.com:8443 8443 /?a=b"),
            ("http://[2001:db8::1]:81/", "http [2001:db8::1]:81 81 /"),
            ("https://www.example.com:/x", "https www.example.com 443 /x"),
            ("//cdn.example.com/x", "http cdn.example.com 80 /x"),
            ("/x/./y/../z", "http shop.example.com:8080 8080 /x/z"),
            ("d", "http shop.example.com:8080 8080 /a/b/d"),
            ("../d/", "http shop.example.com:8080 8080 /a/d/"),
            ("../../../..", "http shop.example.com:8080 8080 /"),
            ("?q=2", "http shop.example.com:8080 8080 /a/b/c?q=2"),
            ("/x?a=/../b", "http shop.example.com:8080 8080 /x?a=/../b"),
            ("./a:b", "http shop.example.com:8080 8080 /a/b/a:b"),
        ] {
            assert_eq!(follow(location), expected, "{location}");
        }
    }

    #[test]
    fn what_leads_nowhere_says_so() {
        for location in [
            "",
            "#top",
            "ftp://a/",
            "javascript:alert(1)",
            "http:/x",
            "http://",
            "https:///x",
            "http://user:word@a/",
            "http://a:0/",
            "http://a:99999/",
            "http://a b/",
            "/a b",
            "http://a\r\nX: y/",
            "http://[::1/",
        ] {
            assert!(
                follow(location).starts_with("unusable location"),
                "{location}: {}",
                follow(location)
            );
        }
    }

    proptest! {
        #[test]
        fn whatever_the_location_the_next_request_can_be_sent(location in "[!-~]{0,30}|https?://[!-~]{0,20}") {
            if let Ok(place) = here().follow(&location) {
                prop_assert!(place.path.starts_with('/') && place.port != 0);
                prop_assert!(place.path.parse::<Uri>().is_ok());
                prop_assert!(hyper::header::HeaderValue::from_str(&place.host).is_ok());
                prop_assert!(place.host.parse::<Authority>().is_ok());
            }
        }
    }
}
