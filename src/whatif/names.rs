//! Which names two configs have, and who stands at each in both.

use std::collections::HashMap;

use crate::config::model::Wips;
use crate::dns::name;
use crate::snapshot::Snapshot;

/// A name and the WIP that stands there before and after.
#[derive(Clone, Copy, Debug)]
pub(super) struct Named<'a> {
    /// In canonical wire form.
    pub(super) wire: &'a [u8],
    /// Indices of WIPs; none: the name is not there.
    pub(super) wips: [Option<u32>; 2],
    /// True where no WIP of this very name is on either side.
    pub(super) is_alias: bool,
}

impl Named<'_> {
    /// What lists are sorted by: as people read it, label by label.
    pub(super) fn order(&self) -> impl Iterator<Item = &[u8]> {
        name::labels(self.wire)
    }

    /// As people write it.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = name::write_presentation(self.wire, &mut text);
        text
    }
}

/// Calls `visit` with every WIP of either snapshot, and with aliases that come, go or
/// change to another WIP; until it says false.
pub(super) fn for_each<'a>(
    before: &'a Snapshot,
    after: &'a Snapshot,
    visit: &mut dyn FnMut(Named<'a>) -> bool,
) {
    let (old, new) = (&before.config.wips, &after.config.wips);
    if std::ptr::eq(before, after) {
        let named = |(wip, wire, _)| Named { wire, wips: [Some(wip); 2], is_alias: false };
        let _ = old.iter().map(named).all(visit);
        return;
    }
    let in_old = everything(old);
    let in_new = everything(new);
    let of_old = old.iter().map(|(wip, wire, _)| Named {
        wire,
        wips: [Some(wip), in_new.get(wire).copied()],
        is_alias: false,
    });
    let of_new = new.iter().filter_map(|(wip, wire, _)| {
        // One that was a WIP is among the old ones.
        let was = in_old.get(wire).copied();
        let is_known = was.is_some_and(|was| old.name(was) == wire);
        (!is_known).then_some(Named { wire, wips: [was, Some(wip)], is_alias: false })
    });
    let old_aliases = old.aliases().filter_map(|(alias, wip)| {
        let now = in_new.get(alias.wire()).copied();
        let is_same = now.is_some_and(|now| new.name(now) == old.name(wip));
        let is_wip = now.is_some_and(|now| new.name(now) == alias.wire());
        let wips = [Some(wip), now];
        (!is_same && !is_wip).then_some(Named { wire: alias.wire(), wips, is_alias: true })
    });
    let new_aliases = new.aliases().filter_map(|(alias, wip)| {
        let wips = [None, Some(wip)];
        let is_new = !in_old.contains_key(alias.wire());
        is_new.then_some(Named { wire: alias.wire(), wips, is_alias: true })
    });
    let _ = of_old.chain(of_new).chain(old_aliases).chain(new_aliases).all(visit);
}

/// Who stands at each name, aliases included.
fn everything(wips: &Wips) -> HashMap<&[u8], u32> {
    let own = wips.iter().map(|(wip, wire, _)| (wire, wip));
    own.chain(wips.aliases().map(|(alias, wip)| (alias.wire(), wip))).collect()
}
