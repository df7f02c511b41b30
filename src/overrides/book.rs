//! The book: all that operators have said and not taken back.

use serde::{Deserialize, Serialize};

use super::entry::{Entry, Stage};
use super::target::Target;

/// All overrides, oldest first, and which datacenters were lately made smaller.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Book {
    /// Grows with every change.
    pub revision: u64,
    /// Oldest first, no two of exactly the same target.
    pub entries: Vec<Entry>,
    /// Datacenters that operators took members out of, for the rule about how many may
    /// change within a while. Older ones than that are left out.
    #[serde(default)]
    pub changed: Vec<Changed>,
}

/// A datacenter that an operator took members out of.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Changed {
    /// Its name.
    pub datacenter: String,
    /// When it last happened, unix seconds.
    pub at_s: u64,
}

impl Book {
    /// The book with one more entry, which takes the place of what was said of exactly
    /// its target. The entry's number and stage are set here: it is planned if its start
    /// is later than when it is said.
    pub fn set(&self, entry: Entry) -> Book {
        let (mut book, _) = self.clear(&entry.target);
        book.revision = self.revision + 1;
        let planned = entry.at_s.is_some_and(|at_s| at_s > entry.created_at_s);
        let stage = if planned { Stage::Planned } else { Stage::InForce };
        book.entries.push(Entry { id: book.revision, stage, ..entry });
        book
    }

    /// The book without what was said of exactly this target, and what that was. Without
    /// any it is the same book.
    pub fn clear(&self, target: &Target) -> (Book, Vec<Entry>) {
        let mut book = self.clone();
        let removed: Vec<Entry> =
            book.entries.extract_if(.., |entry| entry.target == *target).collect();
        if !removed.is_empty() {
            book.revision += 1;
        }
        (book, removed)
    }

    /// The entry of that number.
    pub fn entry(&self, id: u64) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.id == id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::overrides::Kind;

    fn entry(wip: &str, kind: Kind) -> Entry {
        Entry {
            id: 0,
            kind,
            target: Target::new(None, Some(wip), None).unwrap(),
            reason: "test".to_owned(),
            actor: "test".to_owned(),
            created_at_s: 1_000,
            at_s: None,
            until_s: None,
            break_glass: None,
            stage: Stage::Planned,
        }
    }

    #[test]
    fn what_is_said_anew_of_the_same_target_replaces() {
        let book = Book::default()
            .set(entry("a.example", Kind::Drain))
            .set(entry("b.example", Kind::Drain))
            .set(entry("A.example.", Kind::ForceUp));
        let said: Vec<_> = book.entries.iter().map(|entry| (entry.id, entry.kind)).collect();
        assert_eq!(said, [(2, Kind::Drain), (3, Kind::ForceUp)]);
        assert_eq!((book.revision, &book.entries[1].stage), (3, &Stage::InForce));
    }

    #[test]
    fn a_later_start_is_planned() {
        let later = Entry { at_s: Some(1_001), ..entry("a.example", Kind::Drain) };
        let now = Entry { at_s: Some(1_000), ..entry("b.example", Kind::Drain) };
        let book = Book::default().set(later).set(now);
        assert_eq!(book.entries[0].stage, Stage::Planned);
        assert_eq!(book.entries[1].stage, Stage::InForce);
    }

    #[test]
    fn clear_takes_exactly_that_target() {
        let book = Book::default()
            .set(entry("a.example", Kind::Drain))
            .set(entry("*.example", Kind::Drain));
        let (cleared, removed) = book.clear(&entry("*.example", Kind::Drain).target);
        assert_eq!((removed.len(), removed[0].id, cleared.revision), (1, 2, 3));
        assert_eq!(cleared.entries.len(), 1);
        let (same, nothing) = cleared.clear(&entry("a.*", Kind::Drain).target);
        assert_eq!((same, nothing), (cleared, vec![]));
    }

    #[test]
    fn a_book_survives_being_written_and_read() {
        let book = Book {
            changed: vec![Changed { datacenter: "fra".to_owned(), at_s: 7 }],
            ..Book::default().set(Entry {
                until_s: Some(2_000),
                break_glass: Some("fire".to_owned()),
                ..entry("a.example", Kind::ForceDown)
            })
        };
        let text = serde_json::to_string(&book).unwrap();
        assert_eq!(serde_json::from_str::<Book>(&text).unwrap(), book);
    }
}
