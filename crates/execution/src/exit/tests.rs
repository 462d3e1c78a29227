use polydesk_domain::MarketKey;

use super::*;

/// Bids and the best offer in cents, sizes in whole shares.
type Levels<'a> = (&'a [(u16, u64)], Option<u16>);

fn book((bids, offer): Levels<'_>) -> Book {
    let mut book = Book::new(Tick::Cent);
    let mut set = |side, cents, shares| {
        book.set(Outcome::Yes, side, Price::cents(cents), Shares::whole(shares)).unwrap();
    };
    bids.iter().for_each(|(cents, shares)| set(Side::Buy, *cents, *shares));
    offer.into_iter().for_each(|cents| set(Side::Sell, cents, 200));
    book
}

/// What 100 shares sell for, after `before` stood for ten seconds and `now` for some milliseconds.
fn sells(
    reason: ExitReason,
    floor: u16,
    before: Levels<'_>,
    now: Levels<'_>,
    stood: i64,
) -> String {
    let mut memory = ExitMemory::default();
    let limits = RiskLimits::default();
    let sizes = (Shares::whole(5), Shares::whole(100));
    let mut look = |millis: i64, levels: Levels<'_>| {
        let now = Time::from_millis(millis);
        memory.observe(now, &book(levels), Outcome::Yes, sizes, limits.exit_depth_time);
    };
    (0..10).for_each(|second| look(second * 1_000, before));
    (0..=stood / 100).for_each(|step| look(10_000 + step * 100, now));
    let book = book(now);
    let (now, to_close) = (Time::from_millis(10_000 + stood), None);
    let ctx = ExitContext { now, book: &book, to_close, min_size: Shares::whole(5) };
    let shares = Shares::whole(100);
    let take = Take {
        reason,
        floor: Price::cents(floor),
        shares,
        lots: Vec::new(),
        collar: None,
        signal: None,
    };
    match slice(&take, &memory, MarketKey(0).token(Outcome::Yes).outcome(), &ctx, &limits, 0) {
        Ok((price, size)) => format!("{size} at {price}"),
        Err(code) => code.to_owned(),
    }
}

#[test]
fn a_sale_stays_inside_the_collar_and_takes_depth_that_stood() {
    use ExitReason::{MaxHold, Operator, Signal, StopLoss, TakeProfit, Unwind};
    let usual: Levels<'_> = (&[(40, 200)], Some(42));
    let thin: Levels<'_> = (&[(39, 5), (3, 500)], Some(42));
    for (name, reason, floor, before, now, stood, want) in [
        ("as usual", MaxHold, 0, usual, usual, 0, "100 at 0.3800"),
        ("above its floor", MaxHold, 39, usual, usual, 0, "100 at 0.3900"),
        ("not below its floor", MaxHold, 41, usual, usual, 0, "no_bid_above_floor"),
        (
            "several levels",
            MaxHold,
            0,
            (&[(40, 60), (38, 60)], Some(42)),
            (&[(40, 60), (38, 60)], Some(42)),
            0,
            "100 at 0.3600",
        ),
        // Five stood; the rest would go for three cents.
        ("thin bids", MaxHold, 0, usual, thin, 0, "5 at 0.3700"),
        ("thin bids for long", MaxHold, 0, usual, thin, 60_000, "5 at 0.3700"),
        ("thin bids, a person", Operator, 0, usual, thin, 60_000, "5 at 0.3700"),
        ("thin bids, a strategy", Signal, 0, usual, thin, 60_000, "5 at 0.3700"),
        ("thin bids, a stop", StopLoss, 2, usual, thin, 60_000, "5 at 0.3700"),
        ("far bids only", MaxHold, 0, usual, (&[(3, 500)], Some(42)), 60_000, "outside_collar"),
        (
            "far bids only, a stop",
            StopLoss,
            2,
            usual,
            (&[(3, 500)], Some(42)),
            60_000,
            "outside_collar",
        ),
        ("far bids, no offer", StopLoss, 2, usual, (&[(3, 500)], None), 60_000, "outside_collar"),
        // At once only a stop reaches further; when the fall is the market's, both go along.
        ("a fall", MaxHold, 0, usual, (&[(32, 200)], Some(34)), 300, "outside_collar"),
        ("a fall that stays", MaxHold, 0, usual, (&[(32, 200)], Some(34)), 1_500, "100 at 0.3000"),
        (
            "a fall, a stop",
            StopLoss,
            2,
            (&[(40, 10), (32, 200)], Some(42)),
            (&[(32, 200)], Some(34)),
            0,
            "100 at 0.3000",
        ),
        (
            "a deep fall, a stop",
            StopLoss,
            2,
            (&[(40, 10), (20, 200)], Some(42)),
            (&[(20, 200)], Some(22)),
            0,
            "outside_collar",
        ),
        (
            "a deep fall that stays, a stop",
            StopLoss,
            2,
            usual,
            (&[(20, 200)], Some(22)),
            1_500,
            "100 at 0.1800",
        ),
        (
            "an excess reaches as far as a stop",
            Unwind,
            2,
            (&[(40, 10), (32, 200)], Some(42)),
            (&[(32, 200)], Some(34)),
            0,
            "100 at 0.3000",
        ),
        // A wide spread is no price, twice the collar of it is.
        (
            "wide",
            MaxHold,
            0,
            (&[(32, 200)], Some(42)),
            (&[(32, 200)], Some(42)),
            0,
            "100 at 0.3200",
        ),
        (
            "too wide",
            MaxHold,
            0,
            (&[(31, 200)], Some(42)),
            (&[(31, 200)], Some(42)),
            0,
            "outside_collar",
        ),
        (
            "too wide but for a stop",
            StopLoss,
            2,
            (&[(31, 200)], Some(42)),
            (&[(31, 200)], Some(42)),
            0,
            "100 at 0.2900",
        ),
        ("no ask", MaxHold, 0, (&[(98, 200)], None), (&[(98, 200)], None), 0, "100 at 0.9600"),
        ("pennies", MaxHold, 0, (&[(2, 200)], Some(4)), (&[(2, 200)], Some(4)), 0, "100 at 0.0100"),
        (
            "below a dollar",
            MaxHold,
            0,
            (&[(1, 50)], Some(2)),
            (&[(1, 50)], Some(2)),
            0,
            "outside_collar",
        ),
        // Depth that flickers is not sold to.
        (
            "deep for less than a second",
            MaxHold,
            0,
            (&[(40, 7)], Some(42)),
            usual,
            900,
            "7 at 0.3800",
        ),
        ("plenty that stays", MaxHold, 0, (&[(40, 7)], Some(42)), usual, 1_000, "100 at 0.3800"),
        (
            "bids appear for less than a second",
            MaxHold,
            0,
            (&[(40, 3)], Some(42)),
            usual,
            900,
            "depth_not_standing",
        ),
        (
            "no rest that cannot be sold",
            MaxHold,
            0,
            (&[(40, 98)], Some(42)),
            (&[(40, 98)], Some(42)),
            0,
            "95 at 0.3800",
        ),
        (
            "a rest that can be sold",
            MaxHold,
            0,
            (&[(40, 95)], Some(42)),
            (&[(40, 95)], Some(42)),
            0,
            "95 at 0.3800",
        ),
        ("a target is kept", TakeProfit, 40, usual, (&[(45, 200)], Some(47)), 0, "100 at 0.4300"),
    ] {
        assert_eq!(sells(reason, floor, before, now, stood), want, "{name}");
    }
}
