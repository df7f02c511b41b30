//! What operators say over health: whom it means, who wins, when it holds, and what is
//! too dangerous to say (docs/OVERRIDES.md).
//!
//! ```text
//! said, cleared ─► Book ─┬─ overlay(now) ─► Overlay ─► queries
//!     ▲                  │
//!     │                  └─ tick(now): starts and ends ──┐
//!     └──────── judge(before, after): safety rules ◄─────┘
//! ```
//!
//! Pure: a book in, a book out. Who keeps it, who waits and who tells the time is the
//! daemon's business; time comes in as unix seconds.

mod book;
mod effect;
mod entry;
mod judge;
mod lay;
mod pattern;
mod rules;
mod target;
mod tick;
mod wips;

pub use book::{Book, Changed};
pub use effect::{Effect, WIPS_NAMED_MAX, WipEffect};
pub use entry::{Entry, Kind, Stage};
pub use judge::{Broken, Judgement, judge};
pub use lay::{Compiled, Deciders, RETRY_S, overlay};
pub use target::{Target, TargetError};
pub use tick::{Happened, Step, tick};
