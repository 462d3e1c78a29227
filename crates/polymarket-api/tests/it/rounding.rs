//! `Rounding::Venue`, the default, by its own table: what the server takes, and what is refused before it
//! could be asked.

use polydesk_domain::{Rounding, Time};
use polydesk_polymarket_api::{Exchange, OrderText, Refused};

const NOW: Time = Time::from_secs(1_793_923_200);

fn amounts(
    kind: &str,
    side: &str,
    price: &str,
    size: &str,
    tick: &str,
) -> Result<(u64, u64), Refused> {
    let order = OrderText {
        token: "42",
        side,
        price,
        size,
        order_type: kind,
        expiration: if kind == "GTD" { 1_793_923_200 + 600 } else { 0 },
        post_only: false,
        tick,
        exchange: Exchange::Normal,
    };
    let amounts = order.parse()?.amounts(Rounding::Venue, NOW)?;
    Ok((amounts.maker, amounts.taker))
}

#[test]
fn amounts_have_the_decimals_the_venue_takes() {
    for (kind, side, price, size, tick, maker, taker) in [
        // Immediate: at most 2 decimals given, at most 4 asked for, whatever the tick.
        ("FAK", "BUY", "0.66", "5", "0.01", 5_000_000, 7_575_700),
        ("FAK", "BUY", "0.66", "5.009", "0.0001", 5_000_000, 7_575_700),
        ("FOK", "BUY", "0.555", "12.34", "0.005", 12_340_000, 22_234_200),
        ("FOK", "BUY", "0.1234", "100", "0.0001", 100_000_000, 810_372_700),
        ("FAK", "BUY", "0.7525", "33.33", "0.0025", 33_330_000, 44_292_300),
        ("FAK", "SELL", "0.65", "7.57", "0.01", 7_570_000, 4_920_500),
        ("FAK", "SELL", "0.1235", "7.579", "0.0005", 0, 0),
        ("FAK", "SELL", "0.1235", "7.579", "0.0001", 7_570_000, 934_800),
        ("FOK", "SELL", "0.0025", "1.11", "0.0025", 1_110_000, 2_700),
        // Resting: two decimals of shares; the money is exact.
        ("GTC", "BUY", "0.56", "12.3456", "0.01", 6_910_400, 12_340_000),
        ("GTC", "SELL", "0.5625", "12.3456", "0.0025", 12_340_000, 6_941_250),
        ("GTD", "BUY", "0.0001", "5", "0.0001", 500, 5_000_000),
    ] {
        let what = format!("{kind} {side} {size} at {price}, tick {tick}");
        match amounts(kind, side, price, size, tick) {
            Ok(found) => {
                assert_eq!(found, (maker, taker), "{what}");
                let (given, wanted) = if kind.starts_with('G') { (1, 1) } else { (10_000, 100) };
                assert_eq!((found.0 % given, found.1 % wanted), (0, 0), "{what}");
            }
            Err(error) => assert_eq!((maker, taker), (0, 0), "{what}: {error}"),
        }
    }
}

#[test]
fn what_the_venue_would_refuse_is_refused_with_the_rule() {
    for (kind, side, price, size, tick, part) in [
        ("GTC", "BUY", "0.555", "10", "0.01", "multiple of the tick"),
        ("GTC", "BUY", "1", "10", "0.01", "one tick to one dollar less one tick"),
        ("GTC", "BUY", "0", "10", "0.01", "price 0"),
        ("GTC", "BUY", "0.55555", "10", "0.0001", "four decimals"),
        ("GTC", "BUY", "0.5", "0.009", "0.01", "rounds down to nothing"),
        ("FAK", "SELL", "0.5", "0.009", "0.01", "rounds down to nothing"),
        ("FAK", "BUY", "0.5", "0.009", "0.01", "rounds down to nothing"),
        ("FAK", "BUY", "0.9", "0.01", "0.1", "next price level"),
        ("GTC", "BUY", "0.5", "0", "0.01", "above 0"),
        ("GTC", "BUY", "0.5", "-1", "0.01", "above 0"),
        ("GTC", "BUY", "0.5", "1e3", "0.01", "above 0"),
        ("GTC", "BUY", "NaN", "10", "0.01", "price"),
        ("GTC", "BUY", "0.5", "99999999999999999999", "0.01", "too large"),
        ("GTC", "HOLD", "0.5", "10", "0.01", "BUY or SELL"),
        ("IOC", "BUY", "0.5", "10", "0.01", "GTC, GTD, FOK or FAK"),
        ("GTC", "BUY", "0.5", "10", "0.02", "one of 0.1"),
    ] {
        let error = amounts(kind, side, price, size, tick).unwrap_err().to_string();
        assert!(
            error.contains(part),
            "{kind} {side} {size} at {price}, tick {tick}: {error:?} without {part:?}"
        );
    }
}

#[test]
fn a_gtd_must_live_long_enough_and_post_only_must_rest() {
    let order = |order_type, expiration, post_only| OrderText {
        token: "42",
        side: "BUY",
        price: "0.5",
        size: "10",
        order_type,
        expiration,
        post_only,
        tick: "0.01",
        exchange: Exchange::Normal,
    };
    let now = 1_793_923_200;
    for (order_type, expiration, post_only, fine) in [
        ("GTD", now + 180, true, true),
        ("GTD", now + 179, false, false),
        ("GTD", 0, false, false),
        ("GTD", u64::MAX, false, false),
        ("GTC", 0, true, true),
        ("GTC", now + 600, false, false),
        ("FAK", 0, true, false),
        ("FOK", 0, true, false),
    ] {
        let outcome = order(order_type, expiration, post_only)
            .parse()
            .and_then(|args| args.amounts(Rounding::Venue, NOW));
        assert_eq!(outcome.is_ok(), fine, "{order_type} {expiration} {post_only}: {outcome:?}");
    }
}
