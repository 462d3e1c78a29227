//! What a refusal of a private request (401) shows about the clock that stamped it.
//!
//! The venue compares the time stamp of a request with its own clock, and refuses with the words that it
//! has for a wrong key. So the clock is measured once, and the error says what was found.

use std::sync::atomic::Ordering;

use polydesk_domain::Span;

use super::{Clob, Request};
use crate::ApiError;
use crate::error::from_answer;
use crate::transport::HttpAnswer;

/// A stamp that is this far from the venue's time may be refused for it.
const OFF: Span = Span::secs(2);
/// Between two measurements because of refusals: a wrong key is refused as often as it is used.
const PACE: Span = Span::secs(5);

/// The clock that stamped a refused request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It was wrong by so much, and is corrected now.
    Off(Span),
    /// It agrees with the venue's.
    Right,
    /// It agreed with the venue's a few seconds ago.
    MeasuredBefore,
    /// The venue's clock could not be read.
    Unknown(String),
}

impl Verdict {
    pub(super) fn was_off(&self) -> bool {
        matches!(self, Verdict::Off(_))
    }

    /// The refusal with what is known of the clock.
    pub(super) fn named(&self, request: &Request, answer: &HttpAnswer) -> ApiError {
        let status = answer.status;
        let refused = from_answer(request.effect, status, None, &answer.body, &request.what());
        let ApiError::Unauthorised(text) = refused else { return refused };
        let clock = match self {
            Verdict::Off(by) => format!(
                "the clock that stamped the request was off by {} ms; it is corrected now",
                by.as_millis()
            ),
            Verdict::Right | Verdict::MeasuredBefore => {
                "the clock agrees with the venue's: check the API key".to_owned()
            }
            Verdict::Unknown(error) => format!(
                "the clock may be wrong: the venue's could not be read to compare ({error})"
            ),
        };
        ApiError::Unauthorised(format!("{text}; {clock}"))
    }
}

impl Clob {
    /// Compares the clock with the venue's after a refusal; `ahead` is the correction that the refused
    /// request was stamped with.
    pub(super) async fn clock_after_refusal(&self, ahead: Span) -> Verdict {
        let moved = |clob: &Clob| {
            let by = Span::nanos(clob.clock.ahead().as_nanos().saturating_sub(ahead.as_nanos()));
            (by.as_nanos().abs() > OFF.as_nanos()).then_some(Verdict::Off(by))
        };
        // Another request may have been refused, and the clock measured, since this one was stamped.
        if let Some(off) = moved(self) {
            return off;
        }
        let now = self.clock.steady().nanos();
        let last = self.resynced.load(Ordering::Relaxed);
        let recent = last != i64::MIN && now.saturating_sub(last) < PACE.as_nanos();
        let ours =
            || self.resynced.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed);
        if recent || ours().is_err() {
            return Verdict::MeasuredBefore;
        }
        // Boxed: measuring is a request itself.
        match Box::pin(self.sync_clock()).await {
            Ok(_) => moved(self).unwrap_or(Verdict::Right),
            Err(error) => Verdict::Unknown(error.to_string()),
        }
    }
}
