//! The certificate of encrypted transports while the server runs: taken anew when its files
//! change, and warned of before it expires.

use std::sync::Arc;
use std::time::Duration;

use crate::clock;
use crate::log::Sparse;
use crate::tls::{Certificate, LOOK_EVERY};

/// One warning in so long.
const WARN_EVERY: Duration = Duration::from_secs(24 * 3_600);

static EXPIRES: Sparse = Sparse::every(WARN_EVERY);

/// Looks at the files until the runtime ends. A certificate is warned of `warning_s`
/// seconds before it expires; 0: never.
pub(super) async fn follow(certificate: Arc<Certificate>, warning_s: u32) {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let looked = Arc::clone(&certificate);
        // A disk may hang: that holds up the next look alone.
        let look = tokio::task::spawn_blocking(move || {
            looked.look();
            warn(&looked, u64::from(warning_s));
        });
        if look.await.is_err() {
            return;
        }
    }
}

fn warn(certificate: &Certificate, warning_s: u64) {
    let now_s = u64::from(clock::unix_s());
    let Some(expires_s) = certificate.totals().expires_s else { return };
    let is_soon = warning_s > 0 && expires_s <= now_s.saturating_add(warning_s);
    if is_soon && EXPIRES.allow(std::time::Instant::now()).is_some() {
        let days_left = expires_s.saturating_sub(now_s) / 86_400;
        tracing::warn!(days_left, "the certificate of [tls] expires: replace its files");
    }
}
