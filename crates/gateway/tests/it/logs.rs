//! Exact amounts out of `OrderFilled` logs.

use expect_test::expect;
use polydesk_domain::{FeeRate, OrderHash, Outcome, Role, Shares, Side, TokenId, Usdc};
use polydesk_gateway::{BuilderFees, DEPTH, FilledLog, estimate};
use polydesk_polymarket_api::clob::OwnLeg;
use proptest::prelude::*;
use serde::Deserialize;

use crate::harness::{Bench, OWNER, at, hash, text};

/// A log of an order: side 0 buys; what the order gave and got, and its fee, in millionths.
fn log(order: OrderHash, token: TokenId, side: u64, amounts: [u64; 3]) -> FilledLog {
    let [given, got, fee] = amounts;
    let side = [Side::Buy, Side::Sell][side as usize];
    let (shares, money) = if side == Side::Buy { (got, given) } else { (given, got) };
    let (notional, fee) = (Usdc::new(money as i64), Usdc::new(fee as i64));
    FilledLog { order, side, token, shares: Shares::new(shares), notional, fee }
}

#[derive(Deserialize)]
struct Sample {
    side: String,
    maker_amount_filled: String,
    taker_amount_filled: String,
    fee: String,
    price: String,
    fee_rate: String,
}

#[test]
fn estimates_of_real_fills_are_never_better_than_the_logs_and_at_most_ten_micro_dollars_worse() {
    let samples = include_str!(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../fixtures/wire/chain_order_filled_taker_fees.json"
    ));
    let samples: Vec<Sample> = serde_json::from_str(samples).unwrap();
    assert_eq!(samples.len(), 21);
    for sample in samples {
        let number = |text: &str| text.parse::<u64>().unwrap();
        let amounts = [
            number(&sample.maker_amount_filled),
            number(&sample.taker_amount_filled),
            number(&sample.fee),
        ];
        let sell = sample.side == "SELL";
        let token = TokenId::from(5);
        let read = log(hash(1), token, u64::from(sell), amounts);
        let rate: rust_decimal::Decimal = sample.fee_rate.parse().unwrap();
        let ppm = (rate * rust_decimal::Decimal::from(1_000_000)).normalize().to_string();
        let leg = OwnLeg {
            order: read.order,
            token,
            side: read.side,
            role: Role::Taker,
            shares: read.shares,
            price: sample.price.parse().unwrap(),
        };
        let rate = FeeRate::checked(ppm.parse().unwrap(), 1, 0).unwrap();
        let fill = estimate(&leg, rate, BuilderFees::default()).unwrap();
        assert_eq!(fill.fee, read.fee);
        let worse = match read.side {
            Side::Buy => fill.notional - read.notional,
            Side::Sell => read.notional - fill.notional,
        };
        assert!((0..=10).contains(&worse.micros()), "{worse} worse: {fill:?} {read:?}");
    }
}

const TX: &str = "0xabababababababababababababababababababababababababababababababab";

/// A fill of order 1 as taker at 0.4 in transaction [`TX`].
fn fill(bench: &mut Bench, trade: u8, size: &str, status: &str) -> String {
    let yes = bench.token(Outcome::Yes);
    let frame = format!(
        r#"{{"event_type":"trade","id":"00000000-0000-0000-0000-0000000000{trade:02}",
        "taker_order_id":"{}","asset_id":"{yes}","side":"BUY","size":"{size}","price":"0.4",
        "status":"{status}","match_time":"110","owner":"{OWNER}","trader_side":"TAKER",
        "transaction_hash":"{TX}"}}"#,
        hash(1)
    );
    text(&bench.frame(&frame, at(111)))
}

fn settle(bench: &mut Bench, logs: &[FilledLog], depth: u64) -> String {
    let ids = bench.ids.clone();
    text(&bench.gateway.settled(&ids, TX, logs, depth, at(200)))
}

#[test]
fn settled_amounts_replace_an_estimate_once() {
    let mut bench = Bench::with_order();
    let yes = bench.token(Outcome::Yes);
    let logs = [log(hash(1), yes, 0, [3_999_999, 10_000_001, 119_990])];
    assert_eq!(settle(&mut bench, &logs, DEPTH), "", "no fill yet");
    fill(&mut bench, 1, "10", "CONFIRMED");
    assert_eq!(settle(&mut bench, &logs, DEPTH - 1), "", "not deep enough");
    expect!["#3.1 buy Taker of 10.000001 yes 1 for 3.999999 fee 0.11999 Confirmed Settled"]
        .assert_eq(&settle(&mut bench, &logs, DEPTH));
    assert_eq!(settle(&mut bench, &logs, DEPTH), "", "once");
    let again = fill(&mut bench, 1, "10", "CONFIRMED");
    assert!(again.ends_with("for 3.999999 fee 0.11999 Confirmed Settled"), "{again}");
    let kept = bench.gateway.orders().get(&hash(1)).unwrap().fills.values().next().unwrap().fill;
    assert_eq!((kept.notional, kept.fee), (Usdc::new(3_999_999), Usdc::new(119_990)));
}

#[test]
fn several_trades_of_one_order_in_one_transaction_are_corrected_as_a_sum() {
    let mut bench = Bench::with_order();
    let yes = bench.token(Outcome::Yes);
    fill(&mut bench, 1, "10", "MINED");
    fill(&mut bench, 2, "20", "MINED");
    let logs = [
        log(hash(1), yes, 0, [4_000_001, 10_000_003, 120_000]),
        log(hash(1), yes, 0, [8_000_002, 20_000_001, 240_000]),
        log(hash(9), yes, 0, [1, 1, 0]),
    ];
    let seen = settle(&mut bench, &logs, DEPTH);
    expect![[r#"
        #3.1 buy Taker of 10 yes 1 for 4.00 fee 0.119999 Mined Settled
        #3.1 buy Taker of 20.000004 yes 2 for 8.000003 fee 0.240001 Mined Settled"#]]
    .assert_eq(&seen);
}

#[test]
fn amounts_that_do_not_fit_the_known_trades_correct_nothing() {
    let yes = Bench::new().token(Outcome::Yes);
    let mut seen = String::new();
    for (name, logs) in [
        ("more shares", vec![log(hash(1), yes, 0, [6_000_000, 15_000_000, 0])]),
        ("fewer shares", vec![log(hash(1), yes, 0, [2_000_000, 5_000_000, 0])]),
        ("another side", vec![log(hash(1), yes, 1, [10_000_000, 4_000_000, 0])]),
        ("another token", vec![log(hash(1), TokenId::from(5), 0, [4_000_000, 10_000_000, 0])]),
        ("absurd", vec![log(hash(1), yes, 0, [4_000_000, u64::MAX, 0])]),
    ] {
        let mut bench = Bench::with_order();
        fill(&mut bench, 1, "10", "MINED");
        seen += &format!("{name}: {}\n", settle(&mut bench, &logs, DEPTH));
    }
    let mut failed = Bench::with_order();
    fill(&mut failed, 1, "10", "FAILED");
    let logs = [log(hash(1), yes, 0, [4_000_000, 10_000_000, 0])];
    assert_eq!(settle(&mut failed, &logs, DEPTH), "", "a failed fill has no amounts");
    expect![[r#"
        more shares: ask trades of 0x0101
        fewer shares: ask trades of 0x0101
        another side: not reconciled: transaction TX fills order HASH in another token or on another side
        another token: not reconciled: transaction TX fills order HASH in another token or on another side
        absurd: not reconciled: transaction TX moves 18446744073709.551615 shares for 4.00 pUSD with a fee of 0.00
    "#]].assert_eq(&seen.replace(&hash(1).to_string(), "HASH").replace(TX, "TX"));
}

proptest! {
    /// The parts of a transaction add up to its logs, to the micro-dollar and the micro-share.
    #[test]
    fn the_parts_add_up_to_the_logs(
        sizes in prop::collection::vec(1u64..30, 1..4), money in 0u64..90_000_000, fee in 0u64..900_000, off in 0u64..5_000,
    ) {
        let mut bench = Bench::with_order();
        let yes = bench.token(Outcome::Yes);
        for (trade, size) in (1..).zip(&sizes) {
            fill(&mut bench, trade, &size.to_string(), "MINED");
        }
        let shares = sizes.iter().sum::<u64>() * 1_000_000 + off;
        settle(&mut bench, &[log(hash(1), yes, 0, [money, shares, fee])], DEPTH);
        let order = bench.gateway.orders().get(&hash(1)).unwrap();
        let fills = || order.fills.values().map(|fill| fill.fill);
        prop_assert_eq!(fills().map(|fill| fill.shares).sum::<Shares>(), Shares::new(shares));
        prop_assert_eq!(fills().map(|fill| fill.notional).sum::<Usdc>().micros(), money as i64);
        prop_assert_eq!(fills().map(|fill| fill.fee).sum::<Usdc>().micros(), fee as i64);
        prop_assert!(fills().all(|fill| fill.notional >= Usdc::ZERO && fill.fee >= Usdc::ZERO));
    }
}
