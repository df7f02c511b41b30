//! What a reload changed in who is answered, for people and streams.
//!
//! Verdicts have no names that outlive a plan, but their targets' probes have. A
//! verdict is compared with those that its targets were in before, where these all
//! said the same: what cannot be told apart is passed over.
//!
//! It must not know why anything changed.

use std::collections::HashMap;

use super::super::event::{Event, ProbeKey};
use super::super::plan::VerdictId;
use super::super::track::Tracked;
use super::Engine;

impl Engine {
    /// The verdicts whose availability is not what it was in `previous`, whose place
    /// this engine took just now.
    pub fn changed_since(&self, previous: &Engine) -> Vec<Event> {
        let before = previous.availability(|tracked| tracked.key);
        let after = self.availability(|tracked| tracked.heir_of.unwrap_or(tracked.key));
        let mut events = Vec::new();
        for (id, verdict) in (0..).zip(&self.plan.verdicts) {
            let available = self.table.word(id).available();
            let keys = verdict.targets.iter().map(|target| {
                let tracked = &self.targets[*target as usize];
                tracked.heir_of.unwrap_or(tracked.key)
            });
            let mut known = keys.filter(|key| before.contains_key(key)).peekable();
            let changed =
                |key: ProbeKey| before[&key] == Some(!available) && after[&key] == Some(available);
            if known.peek().is_some() && known.all(changed) {
                events.push(Event::Available { verdict: id as VerdictId, available });
            }
        }
        events
    }

    /// For each target, by `name`, the availability of the verdicts it is in; none:
    /// they differ.
    fn availability(&self, name: impl Fn(&Tracked) -> ProbeKey) -> HashMap<ProbeKey, Option<bool>> {
        let mut found = HashMap::new();
        for (id, verdict) in (0..).zip(&self.plan.verdicts) {
            let available = Some(self.table.word(id).available());
            for target in &verdict.targets {
                let all = found.entry(name(&self.targets[*target as usize])).or_insert(available);
                if *all != available {
                    *all = None;
                }
            }
        }
        found
    }
}
