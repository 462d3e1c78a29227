//! A clock that was wrong and went back.

use polydesk_domain::{ClientOrderId, NoteLevel, Outbox, Time};

use super::timer::minute_of;
use super::{Context, Manager};

impl Manager {
    /// The clock goes back from `before` to the time of `ctx`: what is dated later counts as of now, and what
    /// was to rest until then is cancelled: its expiry is unknown.
    pub fn turn_back(&mut self, ctx: &Context<'_>, before: Time, out: &mut Outbox) {
        let now = ctx.now;
        let text = format!(
            "the clock goes back from {before} to {now}: what is dated later counts as of now, quotes are pulled"
        );
        out.note(NoteLevel::Critical, "clock_back", text);
        let open = self.state.orders.open();
        let later = open
            .filter(|order| order.placed_at > now && order.tif.rests() && !order.purpose.reduces());
        let later: Vec<ClientOrderId> = later.map(|order| order.id).collect();
        self.state.turn_back(now);
        let minutes = self.state.window.keys().copied();
        for minute in minutes.filter(|minute| *minute > minute_of(now)).collect::<Vec<_>>() {
            self.state.window.remove(&minute);
        }
        for (_, at) in self.marks.values_mut() {
            *at = (*at).min(now);
        }
        self.exit_memory.clear();
        self.blind.clear();
        for key in self.state.quotes.keys().copied().collect::<Vec<_>>() {
            self.state.quotes.remove(&key);
            self.requote_one(ctx, key, out);
        }
        for id in later {
            self.cancel(now, id, out);
        }
        self.derive_schedule(now);
    }

    /// The latest time that anything known is dated.
    pub fn latest(&self) -> Time {
        self.state.latest()
    }
}
