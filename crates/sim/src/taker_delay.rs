//! How long the venue holds marketable orders back, where the data of a market does not say it.
//!
//! Not recorded is not none: like fees, the delay follows from category and date. The dates are those of the
//! venue's announcements (its documentation's page on limits and the changelog of 2026).

use polydesk_domain::{Market, Span, Time};

/// Of sports markets; older ones had 3 to 5 seconds.
const SPORTS: Span = Span::secs(1);

/// Of crypto markets on the direction of a price ("Up or Down"), since each date (00:00 UTC).
const CRYPTO_UP_DOWN: [(Time, Span); 3] = [
    (Time::from_secs(1_780_617_600), Span::millis(250)), // 2026-06-05
    (Time::from_secs(1_786_924_800), Span::millis(50)),  // 2026-08-17
    (Time::from_secs(1_788_480_000), Span::millis(150)), // 2026-09-04
];

/// The delay of a market at a time, and whether it is assumed: a market whose delay is not recorded (it is
/// zero and listed among the assumed facts) has that of its category and date.
pub(crate) fn taker_delay(market: &Market, at: Time, assume: bool) -> (Span, bool) {
    let recorded = market.taker_delay;
    let unknown = || market.assumed.iter().any(|fact| fact.starts_with("taker_delay"));
    if recorded > Span::ZERO || !assume || !unknown() {
        return (recorded, false);
    }
    let delay = match market.category.to_ascii_lowercase().as_str() {
        "sports" => SPORTS,
        "crypto" if is_up_down(market) => {
            let since = CRYPTO_UP_DOWN.iter().rev().find(|(from, _)| *from <= at);
            since.map_or(Span::ZERO, |(_, delay)| *delay)
        }
        _ => Span::ZERO,
    };
    (delay, delay > Span::ZERO)
}

fn is_up_down(market: &Market) -> bool {
    market.question.contains("Up or Down")
        || market.slug.contains("updown")
        || market.slug.contains("up-or-down")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delay_that_is_not_recorded_follows_from_category_and_date() {
        let (september, august, july, may) = (
            "2026-09-04T00:00:00Z",
            "2026-09-03T23:59:59Z",
            "2026-07-01T00:00:00Z",
            "2026-05-01T00:00:00Z",
        );
        for (category, question, recorded, fact, at, want) in [
            ("sports", "A vs. B", 0, "taker_delay: none recorded", july, (1_000, true)),
            ("Sports", "A vs. B", 0, "taker_delay: none recorded", may, (1_000, true)),
            ("sports", "A vs. B", 0, "tick: 0.01", july, (0, false)),
            ("sports", "A vs. B", 3_000, "taker_delay: by a page", july, (3_000, false)),
            ("crypto", "Bitcoin Up or Down - noon", 0, "taker_delay: ?", september, (150, true)),
            ("crypto", "Bitcoin Up or Down - noon", 0, "taker_delay: ?", august, (50, true)),
            ("crypto", "Bitcoin Up or Down - noon", 0, "taker_delay: ?", july, (250, true)),
            ("crypto", "Bitcoin Up or Down - noon", 0, "taker_delay: ?", may, (0, false)),
            ("crypto", "Bitcoin above 100k", 0, "taker_delay: ?", september, (0, false)),
            ("politics", "Who wins?", 0, "taker_delay: ?", september, (0, false)),
        ] {
            let mut market = Market::plain(1, "market");
            (market.category, market.question) = (category.to_owned(), question.to_owned());
            market.taker_delay = Span::millis(recorded);
            market.assumed = vec![fact.to_owned()];
            let at = Time::parse(at).unwrap();
            let (millis, assumed) = want;
            let got = taker_delay(&market, at, true);
            assert_eq!(got, (Span::millis(millis), assumed), "{category} {question} {at}");
            assert_eq!(taker_delay(&market, at, false), (market.taker_delay, false));
        }
    }
}
