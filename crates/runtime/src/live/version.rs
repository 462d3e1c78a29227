//! Whether the venue still speaks the version that this program signs for. It changes under way: at a cutover everything
//! that rests is gone, and every order is refused.

use std::time::Duration;

use polydesk_domain::{Cause, ControlEvent};
use polydesk_polymarket_api::clob::Clob;

use crate::inbox::{Inbox, Request};
use crate::start;

/// Between two reads.
const EVERY: Duration = Duration::from_secs(10);

/// Sets the blocker `version` when another version is read, and clears it when the known one is read again. A read that
/// fails says nothing. Refusals are the engine's thread to see: what they set is not cleared here.
pub async fn watch(clob: Clob, inbox: Inbox) {
    let mut known = true;
    loop {
        tokio::time::sleep(EVERY).await;
        let Ok(version) = clob.version().await else { continue };
        let check = start::version(Ok(version));
        let good = check.found == start::Found::Good;
        if good == known {
            continue;
        }
        known = good;
        let event =
            ControlEvent::Blocker { cause: Cause::Version, on: !good, detail: check.detail };
        if let Err(error) = inbox.send(Request::Control(event)) {
            tracing::error!(%error, "the venue's version did not reach the engine");
        }
    }
}
