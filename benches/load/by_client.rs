//! The address each client network must be given, where that depends on the client.

use std::net::Ipv4Addr;

/// Ranges of clients in order, each with its address.
pub(crate) struct ByClient {
    firsts: Vec<u32>,
    addresses: Vec<Ipv4Addr>,
    /// Of the clients whose addresses have these upper 16 bits, the range of the first:
    /// so that a search is short and stays within the processor's own cache.
    starts: Vec<u32>,
}

impl ByClient {
    /// From lines of `FIRST LAST ADDRESS`, in order; who is in none gets the address of
    /// the line `default ADDRESS`. IPv6 clients are left out: none are asked for.
    ///
    /// # Errors
    /// The first line that is none of these.
    pub(crate) fn parse(text: &str) -> Result<ByClient, String> {
        let mut default = None;
        let mut listed = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let bad = || format!("line {}: neither FIRST LAST ADDRESS nor default", number + 1);
            let words: Vec<&str> = line.split_whitespace().collect();
            match words[..] {
                [] => {}
                ["default", address] => default = Some(address.parse().map_err(|_| bad())?),
                [first, ..] if first.contains(':') => {}
                [first, last, address] => {
                    let ends = (first.parse::<Ipv4Addr>(), last.parse::<Ipv4Addr>());
                    let ((Ok(first), Ok(last)), Ok(address)) = (ends, address.parse()) else {
                        return Err(bad());
                    };
                    let (first, last) = (u32::from(first), u32::from(last));
                    let behind = listed.last().is_none_or(|&(_, before, _)| before < first);
                    if last < first || !behind {
                        return Err(format!("line {}: not behind the one before", number + 1));
                    }
                    listed.push((first, last, address));
                }
                _ => return Err(bad()),
            }
        }
        Ok(ByClient::new(&listed, default.ok_or("no default")?))
    }

    fn new(listed: &[(u32, u32, Ipv4Addr)], default: Ipv4Addr) -> ByClient {
        let mut table = ByClient { firsts: vec![0], addresses: vec![default], starts: Vec::new() };
        for &(first, last, address) in listed {
            table.push(first, address);
            if let Some(behind) = last.checked_add(1) {
                table.push(behind, default);
            }
        }
        table.starts = (0..=u16::MAX)
            .map(|upper| {
                let first = u32::from(upper) << 16;
                table.firsts.partition_point(|&other| other <= first) as u32 - 1
            })
            .collect();
        table
    }

    /// From `first` on, up to the next. Neighbours of one address are one range.
    fn push(&mut self, first: u32, address: Ipv4Addr) {
        if self.firsts.last() == Some(&first) {
            self.firsts.pop();
            self.addresses.pop();
        }
        if self.addresses.last() != Some(&address) {
            self.firsts.push(first);
            self.addresses.push(address);
        }
    }

    /// The address for `client`, and the first and last client that get the same.
    pub(crate) fn find(&self, client: Ipv4Addr) -> (Ipv4Addr, u32, u32) {
        let client = u32::from(client);
        let upper = (client >> 16) as usize;
        let start = self.starts[upper] as usize;
        let end = self.starts.get(upper + 1).map_or(self.firsts.len(), |&next| next as usize + 1);
        let at = start + self.firsts[start..end].partition_point(|&first| first <= client) - 1;
        let last = self.firsts.get(at + 1).map_or(u32::MAX, |next| next - 1);
        (self.addresses[at], self.firsts[at], last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "default 192.0.2.9\n1.0.0.0 1.0.0.255 192.0.2.1\n\
        1.0.1.0 1.0.1.127 192.0.2.1\n1.0.1.128 1.0.3.255 192.0.2.2\n\
        2001:db8:: 2001:db8::1 192.0.2.3\n255.255.255.0 255.255.255.255 192.0.2.3\n";

    #[test]
    fn a_client_gets_the_address_of_its_range() {
        let table = ByClient::parse(TEXT).unwrap();
        let found = |client: &str| {
            let (address, first, last) = table.find(client.parse().unwrap());
            format!("{address} {} {}", Ipv4Addr::from(first), Ipv4Addr::from(last))
        };
        assert_eq!(found("0.0.0.0"), "192.0.2.9 0.0.0.0 0.255.255.255");
        assert_eq!(found("1.0.0.0"), "192.0.2.1 1.0.0.0 1.0.1.127");
        assert_eq!(found("1.0.1.127"), "192.0.2.1 1.0.0.0 1.0.1.127");
        assert_eq!(found("1.0.1.128"), "192.0.2.2 1.0.1.128 1.0.3.255");
        assert_eq!(found("1.0.4.0"), "192.0.2.9 1.0.4.0 255.255.254.255");
        assert_eq!(found("127.0.0.1"), "192.0.2.9 1.0.4.0 255.255.254.255");
        assert_eq!(found("255.255.255.255"), "192.0.2.3 255.255.255.0 255.255.255.255");
    }

    #[test]
    fn what_is_no_table_is_refused() {
        for text in [
            "1.0.0.0 1.0.0.255 192.0.2.1",
            "default x",
            "default 192.0.2.1\n1.0.0.0",
            "default 192.0.2.1\n1.0.1.0 1.0.0.0 192.0.2.1",
            "default 192.0.2.1\n1.0.0.0 1.0.0.9 192.0.2.1\n1.0.0.9 1.0.0.10 192.0.2.1",
        ] {
            assert!(ByClient::parse(text).is_err(), "{text}");
        }
    }
}
