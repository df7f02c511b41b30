//! Where clients are sent: names for people, addresses for telling answers apart.

use std::collections::HashMap;
use std::net::IpAddr;

/// The local number of nobody: no address is given.
pub(super) const NOBODY: usize = 0;
/// And its name.
const NOBODY_NAME: &str = "nobody";

/// The names of all places.
#[derive(Debug)]
pub(super) struct Names {
    numbers: HashMap<String, u32>,
    names: Vec<String>,
}

impl Names {
    pub(super) fn new() -> Names {
        let mut names = Names { numbers: HashMap::new(), names: Vec::new() };
        names.number(NOBODY_NAME);
        names
    }

    pub(super) fn name(&self, number: u32) -> &str {
        &self.names[number as usize]
    }

    fn number(&mut self, name: &str) -> u32 {
        if let Some(&known) = self.numbers.get(name) {
            return known;
        }
        let next = self.names.len() as u32;
        self.names.push(name.to_owned());
        self.numbers.insert(name.to_owned(), next);
        next
    }
}

/// The places of both sides of one comparison, in small numbers. A site's addresses are
/// places of their own: a client whose address changes has moved.
pub(super) struct Places<'a> {
    names: &'a mut Names,
    locals: HashMap<(u32, IpAddr), usize>,
    /// The name of each.
    pub(super) named: Vec<u32>,
}

impl<'a> Places<'a> {
    pub(super) fn new(names: &'a mut Names) -> Places<'a> {
        let nobody = names.number(NOBODY_NAME);
        Places { names, locals: HashMap::new(), named: vec![nobody] }
    }

    /// The local number of an address of whoever is called so.
    pub(super) fn local(&mut self, name: &str, address: IpAddr) -> usize {
        let number = self.names.number(name);
        *self.locals.entry((number, address)).or_insert_with(|| {
            self.named.push(number);
            self.named.len() - 1
        })
    }
}
