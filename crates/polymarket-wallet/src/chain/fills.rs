//! What the orders of a wallet really moved: the `OrderFilled` logs of the exchanges.
//!
//! The venue's own answers give rounded amounts; these are the ones that settled, in millionths. A match has one log for
//! each of its orders, the taker's own one included; several matches of one order can share a transaction.

use alloy::primitives::{Address, B256, U64, U256, b256};
use alloy::sol_types::{SolEvent, SolValue};
use polydesk_domain::{OrderHash, Shares, Side, TokenId, Usdc};

use super::rpc::{Log, LogFilter};
use super::{ChainError, Rpc, abi};
use crate::signing::Chain;

/// Blocks of one question: nodes refuse wide ranges.
const BLOCKS_AT_ONCE: u64 = 500;

/// The log of the exchange before V2: it names the assets instead of the side. 0 is the collateral.
const FILLED_V1: B256 = b256!("0xd0a08e8c493f9c94f29311604c9de1b4e8c8d4c06bd0c789af57f2d65bfec0f6");

/// One order's part in one match, as it settled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderFilled {
    /// The transaction.
    pub transaction: B256,
    /// Its block.
    pub block: u64,
    /// Place of the log in the block.
    pub index: u64,
    /// Which exchange.
    pub exchange: Address,
    /// Whose order.
    pub order: OrderHash,
    /// The wallet behind it.
    pub maker: Address,
    /// The exchange itself for the order that took; the taker's wallet for one that rested.
    pub taker: Address,
    /// Which way.
    pub side: Side,
    /// The token.
    pub token: TokenId,
    /// Shares received by a buy, or given by a sell.
    pub shares: Shares,
    /// pUSD paid by a buy, or received by a sell, before the fee.
    pub money: Usdc,
    /// Fee in pUSD: on top of what a buy pays, out of what a sell receives.
    pub fee: Usdc,
}

impl OrderFilled {
    /// Whether the order took; else it rested.
    pub fn took(&self) -> bool {
        self.taker == self.exchange
    }
}

impl Rpc {
    /// Everything that orders of `wallet` moved in the blocks `from` to `to`, both included, in the order of the
    /// chain. With two endpoints both must have the same logs.
    ///
    /// # Errors
    /// [`ChainError::Disagreement`] when the endpoints differ: nothing is decided then.
    /// [`ChainError::Malformed`] for a log that cannot be read.
    pub async fn order_fills(
        &self,
        chain: &Chain,
        wallet: Address,
        from: u64,
        to: u64,
    ) -> Result<Vec<OrderFilled>, ChainError> {
        let contracts = chain.contracts();
        let address = vec![contracts.exchange, contracts.neg_risk_exchange, contracts.exchange_v3];
        let mut fills = Vec::new();
        let mut first = from;
        while first <= to {
            let last = to.min(first.saturating_add(BLOCKS_AT_ONCE - 1));
            let filter = LogFilter {
                from_block: U64::from(first),
                to_block: U64::from(last),
                address: address.clone(),
                topics: vec![
                    Some(vec![abi::OrderFilled::SIGNATURE_HASH, FILLED_V1]),
                    None,
                    Some(vec![wallet.into_word()]),
                ],
            };
            let what = format!("fills of {wallet} in the blocks {first} to {last}");
            for log in self.logs(&filter, &what).await? {
                if log.removed {
                    continue;
                }
                let outside = !(first..=last).contains(&log.block_number.to::<u64>());
                let foreign = !address.contains(&log.address);
                let fill = read(&log).map_err(|error| malformed(&what, &log, error))?;
                if outside || foreign || fill.maker != wallet {
                    return Err(malformed(&what, &log, "it was not asked for"));
                }
                fills.push(fill);
            }
            let Some(next) = last.checked_add(1) else { break };
            first = next;
        }
        fills.sort_by_key(|fill| (fill.block, fill.index));
        // A node that repeats a log moves no money twice.
        fills.dedup_by_key(|fill| (fill.block, fill.index));
        Ok(fills)
    }
}

fn malformed(what: &str, log: &Log, error: &str) -> ChainError {
    let place = format!("log {} of block {}", log.log_index, log.block_number);
    ChainError::Malformed { what: what.to_owned(), error: format!("{place}: {error}") }
}

fn read(log: &Log) -> Result<OrderFilled, &'static str> {
    let [kind, order, maker, taker] = log.topics[..] else {
        return Err("it has another number of topics");
    };
    let (side, token, given, got, fee) = if kind == abi::OrderFilled::SIGNATURE_HASH {
        type Data = (U256, U256, U256, U256, U256, B256, B256);
        let (side, token, given, got, fee, _, _) =
            Data::abi_decode_validate(&log.data).map_err(|_| "its data cannot be read")?;
        let side = match side {
            U256::ZERO => Side::Buy,
            U256::ONE => Side::Sell,
            _ => return Err("its side is neither 0 nor 1"),
        };
        (side, token, given, got, fee)
    } else if kind == FILLED_V1 {
        type Data = (U256, U256, U256, U256, U256);
        let (gives, gets, given, got, fee) =
            Data::abi_decode_validate(&log.data).map_err(|_| "its data cannot be read")?;
        match (gives.is_zero(), gets.is_zero()) {
            (true, false) => (Side::Buy, gets, given, got, fee),
            (false, true) => (Side::Sell, gives, given, got, fee),
            _ => return Err("it moves no collateral, or nothing else"),
        }
    } else {
        return Err("it is another log");
    };
    let millionths = |amount: U256| {
        let amount = u64::try_from(amount).ok().filter(|amount| *amount <= i64::MAX as u64);
        amount.ok_or("an amount is too large")
    };
    let (given, got, fee) = (millionths(given)?, millionths(got)?, millionths(fee)?);
    let (money, shares) = match side {
        Side::Buy => (given, got),
        Side::Sell => (got, given),
    };
    let address =
        |topic: B256| topic[..12].iter().all(|byte| *byte == 0).then(|| Address::from_word(topic));
    Ok(OrderFilled {
        transaction: log.transaction_hash,
        block: log.block_number.to(),
        index: log.log_index.to(),
        exchange: log.address,
        order: OrderHash::from_bytes(order.0),
        maker: address(maker).ok_or("its maker is no address")?,
        taker: address(taker).ok_or("its taker is no address")?,
        side,
        token: TokenId::from_bytes(token.to_be_bytes()),
        shares: Shares::new(shares),
        money: Usdc::new(money as i64),
        fee: Usdc::new(fee as i64),
    })
}

#[cfg(test)]
mod tests {
    use alloy::primitives::keccak256;

    use super::*;

    const WALLET: Address = Address::repeat_byte(7);

    fn log(kind: B256, data: Vec<u8>) -> Log {
        let order = B256::repeat_byte(9);
        Log {
            address: Chain::polygon().contracts().exchange,
            topics: vec![kind, order, WALLET.into_word(), Address::repeat_byte(8).into_word()],
            data: data.into(),
            block_number: U64::from(84_902_353),
            transaction_hash: B256::repeat_byte(1),
            log_index: U64::from(3),
            removed: false,
        }
    }

    fn number(number: u64) -> U256 {
        U256::from(number)
    }

    #[test]
    fn the_signatures_are_those_of_the_contracts() {
        assert_eq!(
            abi::OrderFilled::SIGNATURE_HASH,
            b256!("0xd543adfd945773f1a62f74f0ee55a5e3b9b1a28262980ba90b1a89f2ea84d8ee")
        );
        assert_eq!(
            keccak256(
                "OrderFilled(bytes32,address,address,uint256,uint256,uint256,uint256,uint256)"
            ),
            FILLED_V1
        );
    }

    /// Both sides of both generations: (side, given, got, fee) and what they mean.
    #[test]
    fn both_generations_are_read_to_the_millionth() {
        let v2 = |side: u64, given, got, fee| {
            let data = (number(side), number(42), number(given), number(got), number(fee));
            let (side, token, given, got, fee) = data;
            let zero = B256::ZERO;
            log(
                abi::OrderFilled::SIGNATURE_HASH,
                (side, token, given, got, fee, zero, zero).abi_encode(),
            )
        };
        let v1 = |gives: u64, gets: u64, given, got, fee| {
            let data = (number(gives), number(gets), number(given), number(got), number(fee));
            log(FILLED_V1, data.abi_encode())
        };
        let cases = [
            (v2(0, 5_000_000, 7_575_758, 85_000), Side::Buy, 7_575_758, 5_000_000, 85_000),
            (v2(1, 7_570_000, 4_920_500, 86_100), Side::Sell, 7_570_000, 4_920_500, 86_100),
            (v1(0, 42, 999_999, 1_219_511, 0), Side::Buy, 1_219_511, 999_999, 0),
            (v1(42, 0, 5_000_000, 1_550_000, 53_470), Side::Sell, 5_000_000, 1_550_000, 53_470),
        ];
        for (log, side, shares, money, fee) in cases {
            let fill = read(&log).unwrap();
            assert_eq!((fill.side, fill.token), (side, TokenId::from(42)));
            assert_eq!(
                (fill.shares, fill.money, fill.fee),
                (Shares::new(shares), Usdc::new(money), Usdc::new(fee))
            );
            assert_eq!(
                (fill.maker, fill.order, fill.took()),
                (WALLET, OrderHash::from_bytes([9; 32]), false)
            );
        }
        let mut took = v2(0, 1, 1, 0);
        took.topics[3] = took.address.into_word();
        assert!(read(&took).unwrap().took());
    }

    #[test]
    fn what_is_no_such_log_is_named() {
        let kind = abi::OrderFilled::SIGNATURE_HASH;
        let zero = B256::ZERO;
        let whole = |side: u64, given: U256| {
            (number(side), number(42), given, number(1), number(0), zero, zero).abi_encode()
        };
        let mut few = log(kind, whole(0, number(1)));
        few.topics.pop();
        let mut dirty = log(kind, whole(0, number(1)));
        dirty.topics[2].0[0] = 1;
        let cases = [
            (few, "another number of topics"),
            (dirty, "its maker is no address"),
            (log(kind, whole(2, number(1))), "neither 0 nor 1"),
            (log(kind, whole(0, U256::MAX)), "too large"),
            (log(kind, vec![0; 64]), "cannot be read"),
            (
                log(
                    FILLED_V1,
                    (number(0), number(0), number(1), number(1), number(0)).abi_encode(),
                ),
                "no collateral",
            ),
            (log(B256::ZERO, Vec::new()), "another log"),
        ];
        for (log, words) in cases {
            let error = read(&log).unwrap_err();
            assert!(error.contains(words), "{error}: {words}");
        }
    }
}
