//! `hftbacktest` on our rows: one asset per token, both its exchange and its local side fed.
//!
//! The trivial strategy looks at the best prices of every asset that a feed changed. Which assets
//! those were is handed to it from our rows, since the engine does not tell: in its favour.

use anyhow::{anyhow, bail};
use backtest_bench::{Clock, SEED, peak_kib};
use hftbacktest::backtest::assettype::LinearAsset;
use hftbacktest::backtest::data::Data;
use hftbacktest::backtest::models::{
    CommonFees, ConstantLatency, RiskAdverseQueueModel, TradingValueFeeModel,
};
use hftbacktest::backtest::{Backtest, DataSource, ExchangeKind, L2AssetBuilder};
use hftbacktest::prelude::{
    BUY_EVENT, Bot, DEPTH_EVENT, EXCH_EVENT, ElapseResult, Event as Row, HashMapMarketDepth,
    L2MarketDepth, LOCAL_EVENT, MarketDepth, ROIVectorMarketDepth, SELL_EVENT, TRADE_EVENT,
};
use polydesk_domain::{Books, Event, MarketKey, Outcome, Side, Span};
use polydesk_tape::EventSource;
use polydesk_tape::synthetic::Speed;

/// Which of its books.
#[derive(Debug, Clone, Copy)]
pub enum Depth {
    /// `ROIVectorMarketDepth`: an array over a range of prices, its fastest.
    Vector,
    /// `HashMapMarketDepth`: its usual one.
    Map,
}

/// Longer than any pause on the tape, in nanoseconds.
const PATIENCE: i64 = 1_000_000_000_000_000;
const SAMPLES: u32 = 3;

/// The rows of each token, and for every row in order when it is heard and of whom.
struct Rows {
    assets: Vec<Vec<Row>>,
    order: Vec<(i64, u32)>,
    books: Books,
}

/// Rows per second of own time, best of three, and peak memory in KiB after the first.
///
/// # Errors
/// The engine fails, or ends with other best prices than ours.
pub fn measure(depth: Depth, tokens: u32, rows: u64) -> anyhow::Result<(f64, u64)> {
    let rows = rows_of(tokens, rows)?;
    let (mut best, mut peak) = (0.0f64, 0);
    for _ in 0..SAMPLES {
        let rate = match depth {
            Depth::Vector => pass(&rows, || ROIVectorMarketDepth::new(0.01, 0.01, 0.0, 1.0))?,
            Depth::Map => pass(&rows, || HashMapMarketDepth::new(0.01, 0.01))?,
        };
        best = best.max(rate);
        if peak == 0 {
            peak = peak_kib();
        }
    }
    Ok((best, peak))
}

fn rows_of(tokens: u32, rows: u64) -> anyhow::Result<Rows> {
    let mut source = Speed { tokens, rows, seed: SEED }.source();
    let mut out = Rows {
        assets: vec![Vec::new(); tokens as usize],
        order: Vec::new(),
        books: Books::new(Span::millis(100)),
    };
    let (mut done, mut listed) = (Vec::new(), 0);
    while let Some(stamped) = source.next_event()? {
        out.books.close_due(&stamped, &mut done);
        out.books.apply(&stamped, |_, _| ());
        let (token, side, price, size, kind) = match &stamped.event {
            Event::Level(c) => (c.token, c.side, c.price, c.size, DEPTH_EVENT),
            Event::Print(p) => (p.token, p.side, p.price, p.size, TRADE_EVENT),
            Event::Listed(market) => {
                out.books.list(MarketKey(listed), market.tick);
                listed += 1;
                continue;
            }
            _ => continue,
        };
        let way = if side == Side::Buy { BUY_EVENT } else { SELL_EVENT };
        out.order.push((stamped.at.nanos(), token.0));
        out.assets[token.0 as usize].push(Row {
            ev: kind | way | EXCH_EVENT | LOCAL_EVENT,
            exch_ts: stamped.venue_at.nanos(),
            local_ts: stamped.at.nanos(),
            px: f64::from(price.units()) / 1e4,
            qty: size.micros() as f64 / 1e6,
            order_id: 0,
            ival: 0,
            fval: 0.0,
        });
    }
    Ok(out)
}

fn pass<MD: MarketDepth + L2MarketDepth + 'static>(
    rows: &Rows,
    depth: impl Fn() -> MD + Copy + 'static,
) -> anyhow::Result<f64> {
    let mut builder = Backtest::<MD>::builder();
    for asset in &rows.assets {
        let asset = L2AssetBuilder::new()
            .data(vec![DataSource::Data(Data::from_data(asset))])
            .latency_model(ConstantLatency::new(50_000_000, 50_000_000))
            .asset_type(LinearAsset::new(1.0))
            .fee_model(TradingValueFeeModel::new(CommonFees::new(0.0, 0.0)))
            .exchange(ExchangeKind::NoPartialFillExchange)
            .queue_model(RiskAdverseQueueModel::new())
            .depth(depth)
            .build()
            .map_err(|error| anyhow!("{error:?}"))?;
        builder = builder.add_asset(asset);
    }
    let mut engine = builder.build().map_err(|error| anyhow!("{error:?}"))?;
    let clock = Clock::start();
    let (mut next, mut sum) = (0, 0i64);
    while next < rows.order.len() {
        match engine.wait_next_feed(false, PATIENCE).map_err(|error| anyhow!("{error:?}"))? {
            ElapseResult::MarketFeed | ElapseResult::EndOfData => {}
            other => bail!("the engine stopped early: {other:?}"),
        }
        let before = next;
        let now = engine.current_timestamp();
        while let Some((_, token)) = rows.order.get(next).filter(|(at, _)| *at <= now) {
            let book = engine.depth(*token as usize);
            sum = sum.wrapping_add(book.best_bid_tick()).wrapping_add(book.best_ask_tick());
            next += 1;
        }
        if next == before {
            bail!("the engine ended after {next} of {} rows", rows.order.len());
        }
    }
    let (own, _) = clock.secs();
    std::hint::black_box(sum);
    agrees(&engine, rows)?;
    Ok(rows.order.len() as f64 / own)
}

/// Both engines must end with the same best prices, or they did not do the same work.
fn agrees<MD: MarketDepth>(engine: &Backtest<MD>, rows: &Rows) -> anyhow::Result<()> {
    for asset in 0..rows.assets.len() {
        let outcome = if asset % 2 == 0 { Outcome::Yes } else { Outcome::No };
        let Some(book) = rows.books.get(MarketKey(asset as u32 / 2)) else { continue };
        let (bid, ask) = (book.best_bid(outcome), book.best_ask(outcome));
        let depth = engine.depth(asset);
        let same = |ours: Option<i64>, theirs: i64| ours.is_none_or(|ours| ours == theirs);
        let cents = |price: polydesk_domain::Price| i64::from(price.units() / 100);
        if !same(bid.map(|(price, _)| cents(price)), depth.best_bid_tick())
            || !same(ask.map(|(price, _)| cents(price)), depth.best_ask_tick())
        {
            bail!(
                "token {asset} ends at {bid:?} / {ask:?} here and at {} / {} ticks there",
                depth.best_bid_tick(),
                depth.best_ask_tick()
            );
        }
    }
    Ok(())
}
