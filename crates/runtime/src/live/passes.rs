//! The reads of a reconciliation: open orders, single orders, trades, balance, chain, open orders again. Each later
//! read contains the effects behind an absence in an earlier one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::StreamExt as _;
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
/// Of those, so many at once.
const SINGLES_AT_ONCE: usize = 8;
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
    let mut last_read = None;
    while let Some(request) = from.recv().await {
        let asked_at = clock.now();
        match pass(&clob, &*chain, &mut last_read, request).await {
            Ok(reads) => reports.send(Report::Pass { reads: Box::new(reads), asked_at }),
            Err(error) => {
                let (why, at) = (error.to_string(), clock.now());
                reports.send(Report::PassFailed { why, at });
            }
        }
    }
    ended().await
}

/// The orders that this pass reads by their ids: those behind the last one that an earlier pass read, and the first ones
/// after the end.
fn turn(absent: &[OrderHash], from: &mut Option<OrderHash>) -> Vec<OrderHash> {
    if absent.len() <= SINGLE_ORDERS {
        *from = None;
        return absent.to_vec();
    }
    let begin = from.map_or(0, |last| absent.partition_point(|hash| *hash <= last));
    let (first, rest) = absent.split_at(begin);
    let turn: Vec<OrderHash> = rest.iter().chain(first).take(SINGLE_ORDERS).copied().collect();
    *from = turn.last().copied();
    turn
}

async fn pass(
    clob: &Clob,
    chain: &dyn ChainLane,
    from: &mut Option<OrderHash>,
    request: PassRequest,
) -> Result<Reads, ApiError> {
    let open = clob.open_orders(&OrderFilter::default()).await?;
    let listed: BTreeSet<OrderHash> = open.iter().filter_map(|row| row.hash()).collect();
    let mut single = BTreeMap::new();
    let absent: Vec<OrderHash> =
        request.open.iter().filter(|hash| !listed.contains(hash)).copied().collect();
    let mut answers = futures_util::stream::iter(turn(&absent, from))
        .map(|hash| async move { (hash, clob.order(&hash).await) })
        .buffer_unordered(SINGLES_AT_ONCE);
    let mut unanswered = 0;
    while let Some((hash, answer)) = answers.next().await {
        match answer {
            Ok(order) => drop(single.insert(hash, order)),
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
    drop(answers);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passes_take_turns_so_that_every_order_is_read() {
        let hash = |n: u16| {
            let mut bytes = [0; 32];
            bytes[..2].copy_from_slice(&n.to_be_bytes());
            OrderHash::from_bytes(bytes)
        };
        let all: Vec<OrderHash> = (0..450).map(hash).collect();
        let mut from = None;
        let turns: Vec<Vec<OrderHash>> = (0..3).map(|_| turn(&all, &mut from)).collect();
        assert_eq!(turns[0], all[..200]);
        assert_eq!(turns[1], all[200..400]);
        assert_eq!(turns[2], [&all[400..], &all[..150]].concat());
        assert_eq!(turn(&all[..3], &mut from), all[..3]);
    }
}
