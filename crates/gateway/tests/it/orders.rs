//! The table of orders: names, the journal's rows, and when they are forgotten.

use polydesk_domain::{ClientOrderId, OrderUpdate, Tif, TradeStatus};
use polydesk_gateway::{BindError, Orders, WireRow};
use proptest::prelude::*;

/// Why an order was withheld.
const WHY: polydesk_domain::Code = polydesk_domain::Code::literal("killed");

use crate::answers::row;
use crate::harness::{Bench, RUN, at, hash, shares, text};

/// The table as its rows give it.
fn reload(bench: &mut Bench, kept: &mut std::collections::BTreeMap<Vec<u8>, Vec<u8>>) -> Orders {
    for WireRow { key, value } in bench.gateway.orders_mut().take_changed() {
        match value {
            Some(value) => drop(kept.insert(key, value)),
            None => drop(kept.remove(&key)),
        }
    }
    Orders::load(kept.iter().map(|(key, value)| (key.as_slice(), value.as_slice()))).unwrap()
}

fn same(left: &Orders, right: &Orders) -> bool {
    left.iter().eq(right.iter())
}

#[test]
fn an_order_is_bound_once_and_sent_once() {
    let mut bench = Bench::with_order();
    let facts = bench.facts(Tif::Gtc);
    let (one, two) = (ClientOrderId::of_run(RUN, 1), ClientOrderId::of_run(RUN, 2));
    assert!(bench.gateway.bound(one, hash(1), facts, at(101)).is_ok());
    let taken = bench.gateway.bound(two, hash(1), facts, at(101)).unwrap_err();
    assert_eq!(taken, BindError::Hash { hash: hash(1), owner: one, id: two });
    let again = bench.gateway.bound(one, hash(2), facts, at(101)).unwrap_err();
    assert_eq!(again, BindError::Id { id: one, hash: hash(1) });
    assert!(text(&bench.gateway.sent(&hash(7), at(102))).contains("not reconciled"));
    assert_eq!(bench.gateway.orders().hash(one), Some(hash(1)));
    let out = bench.gateway.withdrawn(&hash(1), WHY, at(103));
    assert_eq!(out, [polydesk_gateway::Output::order(one, OrderUpdate::NotSent { why: WHY })]);
}

#[test]
fn an_entry_is_forgotten_a_day_after_it_is_over_and_settled() {
    let day = 86_400;
    let mut bench = Bench::with_order();
    let forget = |bench: &mut Bench, now| bench.gateway.orders_mut().forget(at(now));
    assert_eq!(forget(&mut bench, 100 * day), 0, "an open one is kept");
    let over = row("CANCELED", "7");
    bench.gateway.queried(&bench.ids, &hash(1), Ok(Some(&over)), at(200));
    assert_eq!(forget(&mut bench, 100 * day), 0, "a fill of it is missing");
    let trade = |status: &str| {
        format!(
            r#"{{"event_type":"trade","id":"28c4d2eb-bbea-40e7-a9f0-b2fdb56b2c2e",
            "taker_order_id":"{}","asset_id":"1002","side":"BUY","size":"7","price":"0.4",
            "status":"{status}","match_time":"110","trader_side":"TAKER"}}"#,
            hash(1)
        )
    };
    bench.frame(&trade("MINED"), at(300));
    assert_eq!(forget(&mut bench, 100 * day), 0, "a fill of it is not final");
    bench.frame(&trade("CONFIRMED"), at(400));
    assert_eq!(forget(&mut bench, 400 + day), 0, "not a day old");
    let mut kept = Default::default();
    reload(&mut bench, &mut kept);
    assert_eq!(forget(&mut bench, 401 + day), 1);
    assert!(reload(&mut bench, &mut kept).is_empty(), "its row is gone");
}

#[test]
fn rows_that_cannot_be_read_name_their_key() {
    let mut bench = Bench::with_order();
    let mut kept = Default::default();
    reload(&mut bench, &mut kept);
    let (key, value) = kept.first_key_value().unwrap();
    let read =
        |rows: &[(&[u8], &[u8])]| Orders::load(rows.iter().copied()).unwrap_err().to_string();
    assert!(read(&[(b"0x12", value)]).contains("0x12"));
    assert!(read(&[(key, b"{}")]).contains("missing field"));
    let other = hash(2).to_string();
    assert!(read(&[(key, value), (other.as_bytes(), value)]).contains("stands also under"));
}

proptest! {
    /// After every step the rows in the journal make the table again.
    #[test]
    fn the_changed_rows_make_the_table_again(steps in prop::collection::vec((0u8..8, 1u8..4), 1..40)) {
        let mut bench = Bench::new();
        let mut kept = Default::default();
        for (time, (step, n)) in (101..).zip(steps) {
            let now = at(time * 40_000);
            match step {
                0 => drop(bench.gateway.bound(ClientOrderId::of_run(RUN, u32::from(n)), hash(n), bench.facts(Tif::Fak), now)),
                1 => drop(bench.gateway.sent(&hash(n), now)),
                2 => bench.gateway.cancel_sent(&hash(n), now),
                3 => drop(bench.gateway.withdrawn(&hash(n), WHY, now)),
                4 => drop(bench.gateway.queried(&bench.ids, &hash(1), Ok(Some(&row("LIVE", "3"))), now)),
                5 => drop(bench.gateway.queried(&bench.ids, &hash(1), Ok(Some(&row("CANCELED", "0"))), now)),
                6 => drop(bench.gateway.orders_mut().forget(now)),
                _ => {
                    let refused = polydesk_polymarket_api::ApiError::CancelOnly;
                    bench.gateway.placed(&hash(n), Err(&refused), now);
                }
            }
            let loaded = reload(&mut bench, &mut kept);
            prop_assert!(same(&loaded, bench.gateway.orders()));
        }
    }
}

#[test]
fn failed_fills_count_as_matched_and_are_final() {
    let mut bench = Bench::with_order();
    let frame = format!(
        r#"{{"event_type":"trade","id":"28c4d2eb-bbea-40e7-a9f0-b2fdb56b2c2e",
        "taker_order_id":"{}","asset_id":"1002","side":"BUY","size":"7","price":"0.4",
        "status":"FAILED","match_time":"110","trader_side":"TAKER"}}"#,
        hash(1)
    );
    bench.frame(&frame, at(300));
    let order = bench.gateway.orders().get(&hash(1)).unwrap();
    assert_eq!((order.filled(), order.matched), (shares("7"), shares("7")));
    assert!(order.fills.values().all(|fill| fill.status == TradeStatus::Failed));
    assert!(!order.settled(), "it is not over");
}
