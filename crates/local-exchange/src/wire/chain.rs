//! Logs as the venue's contracts emit them, in words of 32 bytes.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use alloy::primitives::{Address, B256, U256, keccak256};
use polydesk_domain::{MarketKey, Outcome, Payout, ProtocolVersion, Shares, Side, Token, Usdc};

use crate::contracts::{COLLATERAL, POSITION_MANAGER, conditional_tokens};
use crate::venue::blockchain::{Deed, Move};
use crate::venue::{Trade, Venue};

/// A log before it has its place in a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ChainLog {
    pub(crate) address: Address,
    pub(crate) topics: Vec<B256>,
    pub(crate) data: Vec<u8>,
}

const ORDER_FILLED: &str =
    "OrderFilled(bytes32,address,address,uint8,uint256,uint256,uint256,uint256,bytes32,bytes32)";
const ORDERS_MATCHED: &str = "OrdersMatched(bytes32,address,uint8,uint256,uint256,uint256)";
const FEE_CHARGED: &str = "FeeCharged(address,uint256)";
const TRANSFER: &str = "Transfer(address,address,uint256)";
const TRANSFER_SINGLE: &str = "TransferSingle(address,address,address,uint256,uint256)";
const TRANSFER_BATCH: &str = "TransferBatch(address,address,address,uint256[],uint256[])";
const SPLIT: &str = "PositionSplit(address,address,bytes32,bytes32,uint256[],uint256)";
const MERGE: &str = "PositionsMerge(address,address,bytes32,bytes32,uint256[],uint256)";
const REDEMPTION: &str = "PayoutRedemption(address,address,bytes32,bytes32,uint256[],uint256)";
const RESOLUTION: &str = "ConditionResolution(bytes32,address,bytes32,uint256,uint256[])";

/// The transaction's logs in their order; none if it reverted.
pub(crate) fn logs_of(venue: &Venue, deed: &Deed) -> Vec<ChainLog> {
    match deed {
        Deed::Fill(trade) => fill(venue, trade),
        Deed::Moves(moves) => moves.iter().flat_map(|one| of_move(venue, one)).collect(),
        Deed::RevertedFill(_) | Deed::Reverted(_) => Vec::new(),
    }
}

/// The contract that keeps a market's shares.
pub(crate) fn positions_of(venue: &Venue, market: MarketKey) -> Address {
    match venue.universe().market(market).version {
        ProtocolVersion::V2 => POSITION_MANAGER,
        _ => conditional_tokens(venue.chain_id()),
    }
}

/// Numerators (YES first) and denominator of a payout, as an oracle reports them: in the smallest numbers.
pub(crate) fn fractions(payout: Payout) -> ([u64; 2], u64) {
    let parts = Outcome::BOTH.map(|outcome| u64::from(payout.per_share(outcome)));
    let whole = parts[0] + parts[1];
    let common = gcd(parts[0], parts[1]).max(1);
    (parts.map(|part| part / common), whole / common)
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

fn fill(venue: &Venue, trade: &Trade) -> Vec<ChainLog> {
    let exchange = venue.contract(trade.token).address(venue.chain_id());
    let positions = positions_of(venue, trade.token.market());
    let (shares, money, fee) = (trade.shares(), trade.money(), trade.fee());
    let taken = match trade.side {
        Side::Buy => money + fee,
        Side::Sell => money - fee,
    };
    let mut parties = vec![(trade.wallet, trade.token, trade.side, shares, taken)];
    parties.extend(
        trade.legs.iter().map(|leg| (leg.wallet, leg.token, leg.side, leg.shares, leg.maker_money)),
    );
    // The traders of a recording have no wallets.
    parties.retain(|(wallet, ..)| *wallet != Address::ZERO);
    let mut logs = Vec::new();
    for (wallet, token, side, shares, money) in &parties {
        logs.push(match side {
            Side::Buy => transfer(*wallet, exchange, *money),
            Side::Sell => single(venue, positions, [exchange, *wallet, exchange], *token, *shares),
        });
    }
    for (wallet, token, side, shares, money) in &parties {
        logs.push(match side {
            Side::Buy => single(venue, positions, [exchange, exchange, *wallet], *token, *shares),
            Side::Sell => transfer(exchange, *wallet, *money),
        });
    }
    let filled = |order: &[u8; 32], (maker, taker): (Address, Address), rest: Vec<U256>| {
        let topics = vec![B256::from(*order), maker.into_word(), taker.into_word()];
        log(exchange, ORDER_FILLED, topics, &rest)
    };
    let figures = |side: Side, token: Token, shares: Shares, money: Usdc, fee: Usdc| {
        let (given, got) = match side {
            Side::Buy => (usdc(money), number(shares.micros())),
            Side::Sell => (number(shares.micros()), usdc(money)),
        };
        let side = number(u64::from(side == Side::Sell));
        vec![side, id(venue, token), given, got, usdc(fee), U256::ZERO, U256::ZERO]
    };
    for leg in &trade.legs {
        let rest = figures(leg.side, leg.token, leg.shares, leg.maker_money, Usdc::ZERO);
        logs.push(filled(leg.order.bytes(), (leg.wallet, trade.wallet), rest));
    }
    let rest = figures(trade.side, trade.token, shares, money, fee);
    logs.push(filled(trade.order.bytes(), (trade.wallet, exchange), rest.clone()));
    let topics = vec![B256::from(*trade.order.bytes()), trade.wallet.into_word()];
    logs.push(log(exchange, ORDERS_MATCHED, topics, &rest[..4]));
    if fee > Usdc::ZERO {
        logs.push(log(exchange, FEE_CHARGED, vec![exchange.into_word()], &[usdc(fee)]));
    }
    logs
}

fn of_move(venue: &Venue, one: &Move) -> Vec<ChainLog> {
    match *one {
        Move::Deposit { wallet, amount } if amount < Usdc::ZERO => {
            vec![transfer(wallet, Address::ZERO, -amount)]
        }
        Move::Deposit { wallet, amount } => vec![transfer(Address::ZERO, wallet, amount)],
        Move::Split { wallet, market, shares } => {
            let to = positions_of(venue, market);
            vec![
                transfer(wallet, to, shares.face_value()),
                sets(venue, (SPLIT, wallet), market, shares),
                batch(venue, [wallet, Address::ZERO, wallet], market, shares),
            ]
        }
        Move::Merge { wallet, market, shares } => {
            let from = positions_of(venue, market);
            vec![
                batch(venue, [wallet, wallet, Address::ZERO], market, shares),
                sets(venue, (MERGE, wallet), market, shares),
                transfer(from, wallet, shares.face_value()),
            ]
        }
        Move::Redeem { wallet, market, shares, paid } => {
            let from = positions_of(venue, market);
            let burnt = Outcome::BOTH.into_iter().zip(shares).filter(|(_, held)| !held.is_zero());
            let mut logs: Vec<_> = burnt
                .map(|(outcome, held)| {
                    let parties = [wallet, wallet, Address::ZERO];
                    single(venue, from, parties, market.token(outcome), held)
                })
                .collect();
            let topics = vec![wallet.into_word(), COLLATERAL.into_word(), B256::ZERO];
            let rest = [condition(venue, market), number(96), usdc(paid)];
            let data = [&rest[..], &both_sets()].concat();
            logs.push(log(from, REDEMPTION, topics, &data));
            logs.push(transfer(from, wallet, paid));
            logs
        }
        Move::Resolve { market, payout } => {
            let condition = B256::from(condition(venue, market));
            // Oracle and question are made up: the venue's own do not follow from the condition.
            let oracle = crate::contracts::OPERATOR.into_word();
            let topics = vec![condition, oracle, keccak256(condition)];
            let (parts, _) = fractions(payout);
            let data = [number(2), number(64), number(2), number(parts[0]), number(parts[1])];
            vec![log(positions_of(venue, market), RESOLUTION, topics, &data)]
        }
    }
}

fn sets(
    venue: &Venue,
    (event, wallet): (&str, Address),
    market: MarketKey,
    shares: Shares,
) -> ChainLog {
    let topics = vec![wallet.into_word(), B256::ZERO, B256::from(condition(venue, market))];
    let head = [COLLATERAL.into_word().into(), number(96), number(shares.micros())];
    log(positions_of(venue, market), event, topics, &[&head[..], &both_sets()].concat())
}

fn batch(venue: &Venue, parties: [Address; 3], market: MarketKey, shares: Shares) -> ChainLog {
    let topics = parties.map(|address| address.into_word()).to_vec();
    let ids = Outcome::BOTH.map(|outcome| id(venue, market.token(outcome)));
    let value = number(shares.micros());
    let data = [number(64), number(160), number(2), ids[0], ids[1], number(2), value, value];
    log(positions_of(venue, market), TRANSFER_BATCH, topics, &data)
}

fn single(
    venue: &Venue,
    positions: Address,
    parties: [Address; 3],
    token: Token,
    shares: Shares,
) -> ChainLog {
    let topics = parties.map(|address| address.into_word()).to_vec();
    let data = [id(venue, token), number(shares.micros())];
    log(positions, TRANSFER_SINGLE, topics, &data)
}

fn transfer(from: Address, to: Address, amount: Usdc) -> ChainLog {
    log(COLLATERAL, TRANSFER, vec![from.into_word(), to.into_word()], &[usdc(amount)])
}

/// The first topic of each event, hashed once: a block may have thousands of them.
static TOPICS: LazyLock<BTreeMap<&str, B256>> = LazyLock::new(|| {
    let events = [
        ORDER_FILLED,
        ORDERS_MATCHED,
        FEE_CHARGED,
        TRANSFER,
        TRANSFER_SINGLE,
        TRANSFER_BATCH,
        SPLIT,
        MERGE,
        REDEMPTION,
        RESOLUTION,
    ];
    events.into_iter().map(|event| (event, keccak256(event))).collect()
});

fn log(address: Address, event: &str, topics: Vec<B256>, data: &[U256]) -> ChainLog {
    let mut all = vec![TOPICS.get(event).copied().unwrap_or_else(|| keccak256(event))];
    all.extend(topics);
    let data = data.iter().flat_map(|word| word.to_be_bytes::<32>()).collect();
    ChainLog { address, topics: all, data }
}

/// The partition into YES and NO: its length and members.
fn both_sets() -> Vec<U256> {
    vec![number(2), number(1), number(2)]
}

fn condition(venue: &Venue, market: MarketKey) -> U256 {
    U256::from_be_bytes(*venue.universe().market(market).condition.bytes())
}

fn id(venue: &Venue, token: Token) -> U256 {
    U256::from_be_bytes(*venue.universe().token_id(token).bytes())
}

fn usdc(amount: Usdc) -> U256 {
    number(u64::try_from(amount.micros()).unwrap_or(0))
}

fn number(number: u64) -> U256 {
    U256::from(number)
}

#[cfg(test)]
mod tests {
    use alloy::primitives::b256;

    use super::*;

    #[test]
    fn the_events_are_those_of_the_contracts() {
        let topics = [
            (
                ORDER_FILLED,
                b256!("d543adfd945773f1a62f74f0ee55a5e3b9b1a28262980ba90b1a89f2ea84d8ee"),
            ),
            (
                ORDERS_MATCHED,
                b256!("174b3811690657c217184f89418266767c87e4805d09680c39fc9c031c0cab7c"),
            ),
            (
                FEE_CHARGED,
                b256!("55bb3cade9d43b798a4fe5ffdd05024b2d7870df53920673bfc7e68047cd0ab1"),
            ),
            (TRANSFER, b256!("ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef")),
            (
                TRANSFER_SINGLE,
                b256!("c3d58168c5ae7397731d063d5bbf3d657854427343f4c083240f7aacaa2d0f62"),
            ),
            (
                TRANSFER_BATCH,
                b256!("4a39dc06d4c0dbc64b70af90fd698a233a518aa5d07e595d983b8c0526c8f7fb"),
            ),
            (SPLIT, b256!("2e6bb91f8cbcda0c93623c54d0403a43514fabc40084ec96b6d5379a74786298")),
            (MERGE, b256!("6f13ca62553fcc2bcd2372180a43949c1e4cebba603901ede2f4e14f36b282ca")),
            (REDEMPTION, b256!("2682012a4a4f1973119f1c9b90745d1bd91fa2bab387344f044cb3586864d18d")),
            (RESOLUTION, b256!("b44d84d3289691f71497564b85d4233648d9dbae8cbdbb4329f301c3a0185894")),
        ];
        for (event, topic) in topics {
            assert_eq!(keccak256(event), topic, "{event}");
        }
    }

    #[test]
    fn payouts_are_in_the_smallest_numbers() {
        assert_eq!(fractions(Payout::YES), ([1, 0], 1));
        assert_eq!(fractions(Payout::NO), ([0, 1], 1));
        assert_eq!(fractions(Payout::HALF), ([1, 1], 2));
    }
}
