//! Any bytes as a MaxMind DB: a table that answers for every client, or an error.

use windrose::geo::BaseTable;

pub(crate) fn run(data: &[u8]) {
    let Ok(table) = BaseTable::from_databases(&[("fuzz.mmdb".to_owned(), data)]) else { return };
    for client in ["0.0.0.0", "81.1.2.3", "255.255.255.255", "::", "2001:db8::1", "ffff::"] {
        let client = client.parse().unwrap();
        let (class, network) = table.lookup(client);
        assert!(network.contains(&client), "{client} is not in {network}");
        table.place(class);
    }
}
