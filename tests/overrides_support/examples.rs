//! The rules by example, where a random world would hardly come by.

use windrose::config::model::Safety;
use windrose::geo::BaseTable;
use windrose::health::table::{Override, State, Word};
use windrose::overrides::{Book, Entry, Kind, Stage, Step, Target, judge, overlay, tick};
use windrose::snapshot::Serving;

use crate::config_support::MemoryFiles;
use crate::dns_support::serving;

const NOW_S: u64 = 1_800_000_000;

/// Three sites, of which pay has two.
const CONFIG: &str = r#"
[zone."example.com"]
nameservers = ["ns1.example.net"]
hostmaster = "hostmaster@example.net"

[datacenter.fra]
vip = "192.0.2.1"
[datacenter.ams]
vip = "192.0.2.2"
[datacenter.iad]
vip = "192.0.2.3"

[wip_defaults]
policy = "failover"
ttl = "30s"
health_check = "up"

[health_check.up]
type = "http"

[wip."shop.example.com"]
members = ["fra", "ams", "iad"]
[wip."pay.example.com"]
members = ["fra", "ams"]
"#;

fn serve() -> Serving {
    let mut files = MemoryFiles::default();
    files.insert("windrose.toml", CONFIG);
    serving::load("windrose.toml", &files, BaseTable::from_networks(&[])).unwrap()
}

fn site(name: &str) -> Target {
    Target::new(Some(name), None, None).unwrap()
}

fn say(kind: Kind, target: Target) -> Entry {
    Entry {
        id: 0,
        kind,
        target,
        reason: "maintenance".to_owned(),
        actor: "kim".to_owned(),
        created_at_s: NOW_S,
        at_s: None,
        until_s: None,
        break_glass: None,
        stage: Stage::Planned,
    }
}

fn drain(name: &str) -> Entry {
    say(Kind::Drain, site(name))
}

/// Says it whatever the rules say.
fn anyway(serving: &Serving, book: &Book, entry: Entry, safety: &Safety) -> Book {
    judge(serving, book, &book.set(entry), NOW_S, safety).book
}

fn details(serving: &Serving, book: &Book, entry: Entry, safety: &Safety) -> Vec<String> {
    let judgement = judge(serving, book, &book.set(entry), NOW_S, safety);
    judgement.broken.into_iter().map(|b| format!("{}: {}", b.rule, b.detail)).collect()
}

fn set_member(serving: &Serving, member: &str, up: bool) {
    serving::set_member(serving, member, if up { "up" } else { "down" }).unwrap();
}

#[test]
fn a_refusal_says_which_rule_and_what_would_be() {
    let serving = serve();
    let safety = Safety { min_datacenters: 3, max_datacenters_changed: 1, ..Safety::default() };
    let drained = anyway(&serving, &Book::default(), drain("fra"), &Safety::default());
    assert_eq!(
        details(&serving, &drained, drain("ams"), &safety),
        [
            "min_members: 1 WIP would have fewer than 1 available member: pay.example.com",
            "min_datacenters: 1 datacenter would be in service (iad); at least 3 must be",
            "max_datacenters_changed: operators would have taken members out of 2 datacenters \
             within 600 s (ams, fra); at most 1 are allowed",
        ]
    );
    let all = say(Kind::ForceDown, site("*"));
    assert_eq!(
        details(&serving, &Book::default(), all, &Safety { min_members: 2, ..safety })[0],
        "min_members: 2 WIPs would have fewer than 2 available members: shop.example.com, \
         pay.example.com"
    );
}

/// A family whose last member leaves has nobody, whoever is left for the other.
#[test]
fn a_drain_may_not_leave_a_family_with_nobody() {
    let both = |text: &str, n: u8| {
        text.replace(&format!("\"192.0.2.{n}\""), &format!("[\"192.0.2.{n}\", \"2001:db8::{n}\"]"))
    };
    let mut files = MemoryFiles::default();
    files.insert("windrose.toml", both(&both(CONFIG, 1), 3));
    let serving = serving::load("windrose.toml", &files, BaseTable::from_networks(&[])).unwrap();
    set_member(&serving, "ams", false);
    // Of fra only IPv4 is up, of iad only IPv6.
    let snapshot = &serving.snapshot;
    let shop = (0..).find(|wip| snapshot.wip_name(*wip) == "shop.example.com").unwrap();
    let entry = &snapshot.wips[shop as usize];
    let strategy = snapshot.strategy(entry);
    let verdicts = snapshot.verdicts(entry, strategy);
    let down = Word::new(State::Down, false, Override::None, 0, NOW_S as u32);
    for (vip, &verdict) in strategy.vips.iter().zip(verdicts) {
        let is_up = ["192.0.2.1", "2001:db8::3"].contains(&&*vip.record.address().to_string());
        serving.health.set(verdict, if is_up { Word::UP } else { down });
    }
    let of_shop = |name| say(Kind::Drain, Target::new(Some(name), Some("shop.*"), None).unwrap());
    for name in ["fra", "iad"] {
        assert_eq!(
            details(&serving, &Book::default(), of_shop(name), &Safety::default()),
            ["min_members: 1 WIP would have fewer than 1 available member for IPv4 or for IPv6: \
              shop.example.com"],
        );
    }
    let none = Safety { min_members: 0, ..Safety::default() };
    assert_eq!(details(&serving, &Book::default(), of_shop("fra"), &none), [""; 0]);
}

#[test]
fn what_lowers_no_count_passes_even_below_the_least() {
    let serving = serve();
    set_member(&serving, "ams", false);
    let safety = Safety { min_members: 3, min_datacenters: 3, ..Safety::default() };
    // ams is down: draining it takes nobody out.
    let book = Book::default().set(drain("ams"));
    let judgement = judge(&serving, &Book::default(), &book, NOW_S, &safety);
    assert_eq!(judgement.broken, []);
    assert_eq!((judgement.effect.members_changed, judgement.effect.wips_changed), (2, 2));
    let shop = &judgement.effect.wips[0];
    assert_eq!((shop.available_before, shop.available_after), (2, 2));
    assert!(judgement.book.changed.is_empty(), "nobody was taken out");
}

#[test]
fn a_datacenter_that_has_changed_may_change_again() {
    let serving = serve();
    let safety = Safety { max_datacenters_changed: 1, ..Safety::default() };
    let of_shop = |name| say(Kind::Drain, Target::new(Some(name), Some("shop.*"), None).unwrap());
    // Two have changed already, by a broken glass.
    let book = anyway(&serving, &Book::default(), of_shop("fra"), &safety);
    let book = anyway(&serving, &book, of_shop("ams"), &safety);
    assert_eq!(book.changed.len(), 2);
    assert_eq!(details(&serving, &book, drain("ams"), &safety), [""; 0]);
    assert_eq!(details(&serving, &book, drain("iad"), &safety).len(), 2);
    // And once the window has passed, another may.
    let later = judge(
        &serving,
        &book,
        &book.set(of_shop("iad")),
        NOW_S + 600,
        &Safety { min_members: 0, ..safety },
    );
    assert_eq!(later.broken, []);
    let names: Vec<&str> = later.book.changed.iter().map(|c| c.datacenter.as_str()).collect();
    assert_eq!(names, ["iad"]);
}

#[test]
fn a_planned_drain_is_accepted_with_a_warning_and_judged_when_it_starts() {
    let serving = serve();
    let safety = Safety::default();
    let drained = anyway(&serving, &Book::default(), drain("fra"), &safety);
    let later = Entry { at_s: Some(NOW_S + 100), ..drain("ams") };
    let judgement = judge(&serving, &drained, &drained.set(later), NOW_S, &safety);
    assert_eq!((judgement.broken.len(), judgement.foreseen.len()), (0, 1));
    assert_eq!(judgement.effect.wips[1].available_after, 0, "shown as if it began now");
    let book = judgement.book;
    assert!(tick(&serving, &book, NOW_S + 99, &safety).is_none());
    let (refused, happened) = tick(&serving, &book, NOW_S + 100, &safety).unwrap();
    assert_eq!((happened.len(), happened[0].what), (1, Step::Refused));
    let Stage::Refused { why } = &happened[0].entry.stage else { panic!("{happened:?}") };
    assert_eq!(why, "min_members: 1 WIP would have fewer than 1 available member: pay.example.com");
    // Whatever comes, it is not tried again.
    let (cleared, _) = refused.clear(&site("fra"));
    assert!(tick(&serving, &cleared, NOW_S + 1_000, &safety).is_none());
    assert!(overlay(&serving.snapshot, &cleared, NOW_S + 1_000).overlay.is_empty());
}

#[test]
fn a_glass_that_is_broken_holds_for_the_start_too() {
    let serving = serve();
    let everything = Entry {
        at_s: Some(NOW_S + 10),
        break_glass: Some("the building is on fire".to_owned()),
        ..say(Kind::Drain, site("*"))
    };
    let book = Book::default().set(everything);
    let (book, happened) = tick(&serving, &book, NOW_S + 10, &Safety::default()).unwrap();
    assert_eq!((happened[0].what, happened[0].broken.len()), (Step::Started, 1));
    assert_eq!(book.entries[0].stage, Stage::InForce);
    assert_eq!(book.changed.len(), 3);
}

#[test]
fn an_end_that_would_do_harm_waits_until_it_would_not() {
    let serving = serve();
    let safety = Safety::default();
    let forced = Entry { until_s: Some(NOW_S + 10), ..say(Kind::ForceUp, site("fra")) };
    let book = anyway(&serving, &Book::default(), forced, &safety);
    set_member(&serving, "fra", false);
    set_member(&serving, "ams", false);
    let (book, happened) = tick(&serving, &book, NOW_S + 10, &safety).unwrap();
    assert_eq!(happened[0].what, Step::Overdue);
    assert!(matches!(book.entries[0].stage, Stage::Overdue { .. }));
    let compiled = overlay(&serving.snapshot, &book, NOW_S + 10);
    assert_eq!(compiled.next_change_s, Some(NOW_S + 15), "it is tried again");
    assert_eq!(compiled.deciders.count(1), 2, "and stays in force");
    assert!(tick(&serving, &book, NOW_S + 15, &safety).is_none(), "it is told of once");
    set_member(&serving, "ams", true);
    let (book, happened) = tick(&serving, &book, NOW_S + 20, &safety).unwrap();
    assert_eq!((happened[0].what, book.entries.len()), (Step::Ended, 0));
}

#[test]
fn what_gives_back_comes_before_what_takes_in_one_second() {
    let serving = serve();
    let safety = Safety::default();
    let until = Entry { until_s: Some(NOW_S + 10), ..drain("fra") };
    let then = Entry { at_s: Some(NOW_S + 10), ..drain("ams") };
    let book = Book::default().set(then).set(until);
    let (_, happened) = tick(&serving, &book, NOW_S + 10, &safety).unwrap();
    let steps: Vec<Step> = happened.iter().map(|h| h.what).collect();
    assert_eq!(steps, [Step::Ended, Step::Started]);
}

#[test]
fn of_two_that_start_together_the_second_is_refused() {
    let serving = serve();
    let at = |entry| Entry { at_s: Some(NOW_S + 10), ..entry };
    let book = Book::default().set(at(drain("fra"))).set(at(drain("ams")));
    let (book, happened) = tick(&serving, &book, NOW_S + 10, &Safety::default()).unwrap();
    let steps: Vec<Step> = happened.iter().map(|h| h.what).collect();
    assert_eq!(steps, [Step::Started, Step::Refused]);
    assert_eq!((book.revision, book.entries[0].stage.clone()), (3, Stage::InForce));
}

#[test]
fn what_was_said_last_wins_though_it_began_first() {
    let serving = serve();
    let planned = Entry { at_s: Some(NOW_S + 10), ..drain("fra") };
    let newer = say(Kind::ForceUp, Target::new(None, Some("shop.*"), Some("fra")).unwrap());
    let book = Book::default().set(planned).set(newer);
    let (book, _) = tick(&serving, &book, NOW_S + 10, &Safety::default()).unwrap();
    let compiled = overlay(&serving.snapshot, &book, NOW_S + 10);
    let deciders: Vec<Option<u64>> = (0..2)
        .map(|wip| compiled.deciders.of(wip, serving.snapshot.wips[wip as usize].strategy, 0))
        .collect();
    assert_eq!(deciders, [Some(2), Some(1)]);
}

#[test]
fn what_was_to_start_and_end_unseen_is_gone() {
    let serving = serve();
    let planned = Entry { at_s: Some(NOW_S + 10), until_s: Some(NOW_S + 20), ..drain("fra") };
    let book = Book::default().set(planned);
    let (book, happened) = tick(&serving, &book, NOW_S + 30, &Safety::default()).unwrap();
    assert_eq!((happened[0].what, book.entries.len()), (Step::Missed, 0));
}

#[test]
fn a_drain_is_announced_one_ttl_ahead() {
    let serving = serve();
    let book = Book::default().set(Entry { at_s: Some(NOW_S + 100), ..drain("fra") });
    let compiled = overlay(&serving.snapshot, &book, NOW_S);
    assert_eq!(compiled.next_change_s, Some(NOW_S + 70));
    assert!(compiled.overlay.is_empty() && compiled.announced.is_empty());
    let compiled = overlay(&serving.snapshot, &book, NOW_S + 70);
    assert!(compiled.announced.contains(&1));
    assert_eq!(compiled.next_change_s, Some(NOW_S + 100));
    let entry = &serving.snapshot.wips[0];
    let row = compiled.overlay.row(0, entry.strategy);
    assert_eq!(
        (row[0].leaves_soon, row[0].over, row[1].leaves_soon),
        (true, Override::None, false)
    );
}

#[test]
fn health_under_a_drain_is_as_probes_find_it() {
    let serving = serve();
    let book = Book::default().set(drain("fra"));
    let compiled = overlay(&serving.snapshot, &book, NOW_S);
    let laid = serving.with_overlay(std::sync::Arc::new(compiled.overlay));
    let of = |serving: &Serving| -> Word { serving.words(0).next().unwrap() };
    assert_eq!((of(&laid).state(), of(&laid).effective()), (State::Up, "drained"));
    set_member(&serving, "fra", false);
    assert_eq!((of(&laid).state(), of(&laid).effective()), (State::Down, "drained"));
}
