//! What the live loop remembers of trouble that only a person can end, or that ends only outside.

use std::collections::{BTreeMap, BTreeSet};

use polydesk_domain::{Span, Time, TokenId};

/// What is wrong.
#[derive(Debug, Default)]
pub(super) struct Trouble {
    /// The user channel has ended for good.
    pub(super) user_over: bool,
    /// Tokens of the wallet in markets that are not followed, and when something last asked for them.
    pub(super) unfollowed: BTreeMap<TokenId, Time>,
    /// Those that the blocker names.
    pub(super) named: BTreeSet<TokenId>,
    /// Whether the blocker of the user channel stands.
    pub(super) refused: bool,
    /// While the venue holds funds: until when entries pause, and for how long they did.
    pub(super) held: Option<(Time, Span)>,
}
