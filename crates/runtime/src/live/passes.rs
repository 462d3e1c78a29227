//! The reads of a reconciliation: open orders, single orders, trades, balance, chain, open orders again. Each later
//! read contains the effects behind an absence in an earlier one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use polydesk_domain::{OrderHash, Time, TokenId, Usdc};
use polydesk_gateway::Reads;
use polydesk_polymarket_api::ApiError;
use polydesk_polymarket_api::clob::Clob;
use polydesk_polymarket_api::clob::request::{Asset, OrderFilter, TradeFilter};
use rust_decimal::prelude::ToPrimitive as _;

use super::chain::ChainLane;
use super::lanes::ended;
use super::report::{Report, Reports, Waiting};
use crate::clock::EngineClock;

/// A pass that is to be made.
#[derive(Debug, Clone)]
pub struct PassRequest {
    /// The epoch of `not_reconciled`.
    pub epoch: u32,
    /// Orders that are open here, or whose outcome is unknown: those that no list has are read by id.
    pub open: Vec<OrderHash>,
    /// Trades are read from here on.
    pub trades_since: Time,
    /// Tokens whose shares are read from the chain.
    pub tokens: Vec<TokenId>,
    /// Whether the chain is read.
    pub chain: bool,
    /// The last block at which chain and ledger agreed; movements are read from the next one on.
    pub moves_since: Option<u64>,
}

/// Single orders of one pass; the next pass reads further ones.
const SINGLE_ORDERS: usize = 200;
/// Single orders of one pass that are not answered: after so many the venue answers no other one either.
const UNANSWERED: usize = 3;

/// Makes passes as they are asked for, one at a time.
pub async fn passes(
    (clob, chain): (Clob, Arc<dyn ChainLane>),
    clock: EngineClock,
    reports: Reports,
    from: Waiting<PassRequest>,
) {
    let mut from = from.lock().await;
    while let Some(request) = from.recv().await {
        let asked_at = clock.now();
        match pass(&clob, &*chain, request).await {
            Ok(reads) => reports.send(Report::Pass { reads: Box::new(reads), asked_at }),
            Err(error) => {
                let (why, at) = (error.to_string(), clock.now());
                reports.send(Report::PassFailed { why, at });
            }
        }
    }
    ended().await
}

async fn pass(clob: &Clob, chain: &dyn ChainLane, request: PassRequest) -> Result<Reads, ApiError> {
    let open = clob.open_orders(&OrderFilter::default()).await?;
    let listed: BTreeSet<OrderHash> = open.iter().filter_map(|row| row.hash()).collect();
    let mut single = BTreeMap::new();
    let absent = request.open.iter().filter(|hash| !listed.contains(hash));
    let mut unanswered = 0;
    for hash in absent.take(SINGLE_ORDERS) {
        match clob.order(hash).await {
            Ok(order) => drop(single.insert(*hash, order)),
            // It stays as it is. What the lists show must not wait for it.
            Err(error) => {
                tracing::warn!(%hash, %error, "an order could not be read");
                unanswered += 1;
                if unanswered >= UNANSWERED {
                    break;
                }
            }
        }
    }
    let since = request.trades_since;
    let filter = TradeFilter { after: Some(since), ..TradeFilter::default() };
    let trades = clob.trades(&filter).await?;
    let balance = match clob.balance_allowance(Asset::Collateral).await {
        Ok(read) => Some(read.balance),
        Err(error) => {
            tracing::warn!(%error, "the venue's balance could not be read");
            None
        }
    };
    let chain = match request.chain {
        true => match chain.read(&request.tokens, request.moves_since).await {
            Ok(read) => Some(read),
            Err(error) => {
                tracing::warn!(%error, "the chain could not be read: no money fact follows from this pass");
                None
            }
        },
        false => None,
    };
    let open_again = clob.open_orders(&OrderFilter::default()).await?;
    Ok(Reads {
        epoch: request.epoch,
        open,
        single,
        trades,
        trades_since: since,
        // The venue's balance is a hint: one that is no amount says nothing.
        balance: balance.and_then(|balance| balance.trunc().to_i64()).map(Usdc::new),
        open_again,
        chain,
    })
}
