//! What moved the money and the shares of a wallet: the transfer logs of pUSD and of both generations of positions.
//!
//! Whatever changed a balance has such a log: a fill, a conversion, a deposit, a withdrawal, a redemption by the venue's
//! operator. The sum of the movements between two blocks is the difference of the balances at them. A log that cannot be
//! read is an error, for a sum without it would be wrong.

use alloy::primitives::{Address, B256, U64, U256};
use alloy::sol_types::{SolEvent, SolValue};
use polydesk_domain::TokenId;

use super::rpc::{Log, LogFilter};
use super::{ChainError, Rpc, abi};
use crate::signing::{Chain, Contracts};

/// Blocks of one question: nodes refuse wide ranges.
const BLOCKS_AT_ONCE: u64 = 500;

/// What moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Asset {
    /// The venue's collateral.
    Collateral,
    /// Shares of an outcome.
    Shares(TokenId),
}

/// One movement into a wallet or out of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Movement {
    /// The transaction.
    pub transaction: B256,
    /// Its block.
    pub block: u64,
    /// Place of the log in the block.
    pub index: u64,
    /// Place in the log: a batch moves several tokens.
    pub part: usize,
    /// What.
    pub asset: Asset,
    /// Millionths of pUSD or of a share; positive came in.
    pub amount: i64,
    /// The other side; the zero address where shares were made or burnt.
    pub counterparty: Address,
}

impl Rpc {
    /// Everything that moved pUSD or shares of `wallet` in the blocks `from` to `to`, both included, in the order of
    /// the chain. With two endpoints both must have the same logs. What a wallet sends to itself is no movement.
    ///
    /// # Errors
    /// [`ChainError::Disagreement`] when the endpoints differ: nothing is decided then.
    /// [`ChainError::Malformed`] for a log that cannot be read, or an amount that no balance can have.
    pub async fn movements(
        &self,
        chain: &Chain,
        wallet: Address,
        from: u64,
        to: u64,
    ) -> Result<Vec<Movement>, ChainError> {
        let contracts = chain.contracts();
        let mut logs = Vec::new();
        let mut first = from;
        while first <= to {
            let last = to.min(first.saturating_add(BLOCKS_AT_ONCE - 1));
            let what = format!("movements of {wallet} in the blocks {first} to {last}");
            for (address, topics) in questions(contracts, wallet) {
                let filter = LogFilter {
                    from_block: U64::from(first),
                    to_block: U64::from(last),
                    address,
                    topics,
                };
                for log in self.logs(&filter, &what).await? {
                    let outside = !(first..=last).contains(&log.block_number.to::<u64>());
                    if outside || !filter.address.contains(&log.address) {
                        return Err(malformed(&what, &log, "it was not asked for"));
                    }
                    logs.push(log);
                }
            }
            let Some(next) = last.checked_add(1) else { break };
            first = next;
        }
        let what = format!("movements of {wallet} in the blocks {from} to {to}");
        gather(contracts, wallet, logs, &what)
    }
}

type Question = (Vec<Address>, Vec<Option<Vec<B256>>>);

/// The filters that together find every log: the wallet is the second or third topic of a transfer of pUSD, and the
/// third or fourth of one of shares.
fn questions(contracts: &Contracts, wallet: Address) -> [Question; 3] {
    let money = vec![abi::Transfer::SIGNATURE_HASH];
    let shares = vec![abi::TransferSingle::SIGNATURE_HASH, abi::TransferBatch::SIGNATURE_HASH];
    let both = [money.clone(), shares.clone()].concat();
    let positions = vec![contracts.conditional_tokens, contracts.position_manager];
    let all = [vec![contracts.collateral], positions.clone()].concat();
    let own = Some(vec![wallet.into_word()]);
    [
        (vec![contracts.collateral], vec![Some(money), own.clone()]),
        (all, vec![Some(both), None, own.clone()]),
        (positions, vec![Some(shares), None, None, own]),
    ]
}

/// The movements in logs that may repeat each other, in the order of the chain.
fn gather(
    contracts: &Contracts,
    wallet: Address,
    mut logs: Vec<Log>,
    what: &str,
) -> Result<Vec<Movement>, ChainError> {
    logs.retain(|log| !log.removed);
    logs.sort_by_key(|log| (log.block_number, log.log_index));
    let mut moves = Vec::new();
    let mut before: Option<&Log> = None;
    for log in &logs {
        if let Some(before) = before
            && (before.block_number, before.log_index) == (log.block_number, log.log_index)
        {
            // What the wallet sends to itself is found twice; a node that repeats a log moves no money twice.
            if before != log {
                return Err(malformed(what, log, "two different logs have its place"));
            }
            continue;
        }
        before = Some(log);
        moves.extend(read(contracts, wallet, log).map_err(|error| malformed(what, log, error))?);
    }
    Ok(moves)
}

fn malformed(what: &str, log: &Log, error: &str) -> ChainError {
    let place = format!("log {} of block {}", log.log_index, log.block_number);
    ChainError::Malformed { what: what.to_owned(), error: format!("{place}: {error}") }
}

fn read(contracts: &Contracts, wallet: Address, log: &Log) -> Result<Vec<Movement>, &'static str> {
    const DATA: &str = "its data cannot be read";
    let kind = *log.topics.first().ok_or("it has no topic")?;
    let money = log.address == contracts.collateral;
    let (from, to, parts) = if money && kind == abi::Transfer::SIGNATURE_HASH {
        let [_, from, to] = log.topics[..] else {
            return Err("it has another number of topics");
        };
        let amount = U256::abi_decode_validate(&log.data).map_err(|_| DATA)?;
        whole(&log.data, 32)?;
        (from, to, vec![(Asset::Collateral, amount)])
    } else if !money && kind == abi::TransferSingle::SIGNATURE_HASH {
        let [_, _, from, to] = log.topics[..] else {
            return Err("it has another number of topics");
        };
        let (id, amount) = <(U256, U256)>::abi_decode_validate(&log.data).map_err(|_| DATA)?;
        whole(&log.data, 64)?;
        (from, to, vec![(shares(id), amount)])
    } else if !money && kind == abi::TransferBatch::SIGNATURE_HASH {
        let [_, _, from, to] = log.topics[..] else {
            return Err("it has another number of topics");
        };
        type Batch = (Vec<U256>, Vec<U256>);
        let (ids, amounts) = Batch::abi_decode_params_validate(&log.data).map_err(|_| DATA)?;
        if ids.len() != amounts.len() {
            return Err("it has not one amount for each token");
        }
        // Two offsets and two lengths stand before and between the words.
        whole(&log.data, 32 * (4 + 2 * ids.len()))?;
        (from, to, ids.into_iter().map(shares).zip(amounts).collect())
    } else {
        return Err("it is another log");
    };
    let (from, to) = (address(from)?, address(to)?);
    let (sign, counterparty) = match (from == wallet, to == wallet) {
        (true, true) => return Ok(Vec::new()),
        (false, true) => (1, from),
        (true, false) => (-1, to),
        (false, false) => return Err("it was not asked for"),
    };
    let part = |(part, (asset, amount)): (usize, (Asset, U256))| {
        let amount = i64::try_from(amount).map_err(|_| "an amount is too large")?;
        Ok(Movement {
            transaction: log.transaction_hash,
            block: log.block_number.to(),
            index: log.log_index.to(),
            part,
            asset,
            amount: sign * amount,
            counterparty,
        })
    };
    parts.into_iter().enumerate().map(part).collect()
}

fn shares(id: U256) -> Asset {
    Asset::Shares(TokenId::from_bytes(id.to_be_bytes()))
}

fn address(topic: B256) -> Result<Address, &'static str> {
    let padded = topic[..12].iter().all(|byte| *byte == 0);
    padded.then(|| Address::from_word(topic)).ok_or("a side of it is no address")
}

/// Something behind what was read would be a part of the movement that is not counted.
fn whole(data: &[u8], length: usize) -> Result<(), &'static str> {
    if data.len() == length { Ok(()) } else { Err("its data is longer than what it says") }
}

#[cfg(test)]
mod tests {
    use alloy::primitives::{b256, keccak256};
    use proptest::prelude::*;

    use super::*;

    const WALLET: Address = Address::repeat_byte(7);
    const OTHER: Address = Address::repeat_byte(8);

    fn contracts() -> Contracts {
        Chain::polygon().contracts().clone()
    }

    fn log(at: (u64, u64), address: Address, topics: Vec<B256>, data: Vec<u8>) -> Log {
        Log {
            address,
            topics,
            data: data.into(),
            block_number: U64::from(at.0),
            transaction_hash: keccak256(at.0.to_be_bytes()),
            log_index: U64::from(at.1),
            removed: false,
        }
    }

    fn money(at: (u64, u64), from: Address, to: Address, amount: U256) -> Log {
        let topics = vec![abi::Transfer::SIGNATURE_HASH, from.into_word(), to.into_word()];
        log(at, contracts().collateral, topics, amount.abi_encode())
    }

    fn single(at: (u64, u64), from: Address, to: Address, id: u64, amount: U256) -> Log {
        let kind = abi::TransferSingle::SIGNATURE_HASH;
        let topics = vec![kind, OTHER.into_word(), from.into_word(), to.into_word()];
        log(at, contracts().conditional_tokens, topics, (U256::from(id), amount).abi_encode())
    }

    fn batch(at: (u64, u64), from: Address, to: Address, parts: &[(u64, u64)]) -> Log {
        let kind = abi::TransferBatch::SIGNATURE_HASH;
        let topics = vec![kind, OTHER.into_word(), from.into_word(), to.into_word()];
        let ids: Vec<U256> = parts.iter().map(|(id, _)| U256::from(*id)).collect();
        let amounts: Vec<U256> = parts.iter().map(|(_, amount)| U256::from(*amount)).collect();
        log(at, contracts().position_manager, topics, (ids, amounts).abi_encode_params())
    }

    fn token(id: u64) -> Asset {
        shares(U256::from(id))
    }

    fn amounts(logs: Vec<Log>) -> Vec<(Asset, i64)> {
        let moves = gather(&contracts(), WALLET, logs, "a test").unwrap();
        moves.iter().map(|one| (one.asset, one.amount)).collect()
    }

    fn refused(log: Log) -> String {
        gather(&contracts(), WALLET, vec![log], "a test").unwrap_err().to_string()
    }

    #[test]
    fn the_signatures_are_those_of_the_contracts() {
        let cases = [
            (
                abi::Transfer::SIGNATURE_HASH,
                b256!("ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"),
            ),
            (
                abi::TransferSingle::SIGNATURE_HASH,
                b256!("c3d58168c5ae7397731d063d5bbf3d657854427343f4c083240f7aacaa2d0f62"),
            ),
            (
                abi::TransferBatch::SIGNATURE_HASH,
                b256!("4a39dc06d4c0dbc64b70af90fd698a233a518aa5d07e595d983b8c0526c8f7fb"),
            ),
        ];
        for (ours, theirs) in cases {
            assert_eq!(ours, theirs);
        }
    }

    #[test]
    fn each_kind_of_log_moves_what_it_names_in_its_direction() {
        let number = U256::from::<u64>;
        let cases = [
            (money((1, 1), OTHER, WALLET, number(5)), vec![(Asset::Collateral, 5)]),
            (money((1, 1), WALLET, OTHER, number(5)), vec![(Asset::Collateral, -5)]),
            (money((1, 1), WALLET, WALLET, number(5)), vec![]),
            (single((1, 1), Address::ZERO, WALLET, 42, number(9)), vec![(token(42), 9)]),
            (single((1, 1), WALLET, OTHER, 42, number(9)), vec![(token(42), -9)]),
            (
                batch((1, 1), WALLET, Address::ZERO, &[(1, 3), (2, 4), (1, 5)]),
                vec![(token(1), -3), (token(2), -4), (token(1), -5)],
            ),
            (batch((1, 1), OTHER, WALLET, &[]), vec![]),
            (
                money((1, 1), OTHER, WALLET, U256::from(i64::MAX)),
                vec![(Asset::Collateral, i64::MAX)],
            ),
        ];
        for (log, expected) in cases {
            assert_eq!(amounts(vec![log.clone()]), expected, "{log:?}");
        }
        let moves =
            gather(&contracts(), WALLET, vec![money((3, 4), OTHER, WALLET, number(5))], "a test");
        let one = moves.unwrap().remove(0);
        assert_eq!((one.block, one.index, one.part, one.counterparty), (3, 4, 0, OTHER));
        assert_eq!(one.transaction, keccak256(3u64.to_be_bytes()));
    }

    #[test]
    fn what_cannot_be_read_to_its_end_is_an_error() {
        let good = || batch((1, 1), OTHER, WALLET, &[(1, 3), (2, 4)]);
        let with = |change: &dyn Fn(&mut Log)| {
            let mut log = good();
            change(&mut log);
            log
        };
        let two_ids = (vec![U256::from(1), U256::from(2)], vec![U256::from(3)]);
        let cases = [
            (with(&|log| log.topics.truncate(3)), "number of topics"),
            (with(&|log| log.topics.clear()), "no topic"),
            (with(&|log| log.data = log.data.slice(..32)), "cannot be read"),
            (with(&|log| log.data = [&log.data[..], &[0; 32]].concat().into()), "longer"),
            (with(&|log| log.data = two_ids.abi_encode_params().into()), "one amount for each"),
            (with(&|log| log.topics[3] = B256::repeat_byte(7)), "no address"),
            (with(&|log| log.topics[3] = OTHER.into_word()), "not asked for"),
            (with(&|log| log.topics[0] = B256::repeat_byte(1)), "another log"),
            // A token that only looks like pUSD, and pUSD that looks like shares.
            (with(&|log| log.address = contracts().collateral), "another log"),
            (money((1, 1), OTHER, WALLET, U256::from(1u64 << 63)), "too large"),
            (single((1, 1), OTHER, WALLET, 1, U256::MAX), "too large"),
        ];
        for (log, words) in cases {
            let error = refused(log);
            assert!(error.contains(words), "{error}: {words}");
        }
        let (one, other) = (good(), with(&|log| log.transaction_hash = B256::ZERO));
        let error = gather(&contracts(), WALLET, vec![one, other], "a test").unwrap_err();
        assert!(error.to_string().contains("two different logs"), "{error}");
    }

    fn any_log(block: u64, index: u64) -> impl Strategy<Value = Log> {
        let amount = 0..1_000_000_000u64;
        let parts = prop::collection::vec((1..4u64, amount.clone()), 0..4);
        (0..3, any::<bool>(), amount, parts).prop_map(move |(kind, comes, amount, parts)| {
            let (from, to) = if comes { (OTHER, WALLET) } else { (WALLET, OTHER) };
            let at = (block, index);
            match kind {
                0 => money(at, from, to, U256::from(amount)),
                1 => single(at, from, to, amount % 3 + 1, U256::from(amount)),
                _ => batch(at, from, to, &parts),
            }
        })
    }

    fn any_logs() -> impl Strategy<Value = Vec<Log>> {
        let places: Vec<_> = (0..12u64).map(|n| any_log(100 + n / 3, n % 3).boxed()).collect();
        places
    }

    proptest! {
        /// The order in which a node gives the logs, and how often, changes nothing.
        #[test]
        fn movements_do_not_depend_on_the_order_of_the_logs(
            logs in any_logs(), seed in any::<[u8; 12]>(),
        ) {
            let once = gather(&contracts(), WALLET, logs.clone(), "a test").unwrap();
            let mut mixed: Vec<(u8, Log)> = seed.into_iter().zip(logs.clone()).collect();
            mixed.sort_by_key(|(key, _)| *key);
            let mut mixed: Vec<Log> = mixed.into_iter().map(|(_, log)| log).collect();
            mixed.extend(logs.into_iter().take(5));
            let again = gather(&contracts(), WALLET, mixed, "a test").unwrap();
            prop_assert_eq!(once, again);
        }

        /// A log that a reorganisation took back moves nothing, and every other one what it did without it.
        #[test]
        fn removed_logs_take_exactly_their_own_amounts_away(
            logs in any_logs(), gone in any::<[bool; 12]>(),
        ) {
            let sum = |logs: Vec<Log>| {
                let mut sum = std::collections::BTreeMap::<Asset, i64>::new();
                for (asset, amount) in amounts(logs) {
                    *sum.entry(asset).or_default() += amount;
                }
                sum.retain(|_, amount| *amount != 0);
                sum
            };
            let marked: Vec<Log> = logs
                .iter()
                .zip(gone)
                .map(|(log, removed)| Log { removed, ..log.clone() })
                .collect();
            let kept: Vec<Log> =
                logs.iter().zip(gone).filter(|(_, gone)| !gone).map(|(log, _)| log.clone()).collect();
            prop_assert_eq!(sum(marked), sum(kept));
        }
    }
}
