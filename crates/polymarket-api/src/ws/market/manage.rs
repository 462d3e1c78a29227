//! Which connection follows which token.

use std::collections::BTreeMap;

use polydesk_domain::{MarketKey, Token, TokenId};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::shard::Shard;
use super::{Order, Shared};

/// Assigns tokens to shards: each shard is filled before another is opened.
pub(super) async fn manage(
    shared: Shared,
    mut orders: mpsc::UnboundedReceiver<Order>,
    count: watch::Sender<usize>,
) {
    struct Member {
        orders: mpsc::UnboundedSender<Order>,
        tokens: usize,
    }
    let mut shards: Vec<Option<Member>> = Vec::new();
    let mut homes: BTreeMap<TokenId, (usize, Token)> = BTreeMap::new();
    // The connection of each market and how many of its tokens are on it.
    let mut markets: BTreeMap<MarketKey, (usize, usize)> = BTreeMap::new();
    let mut tasks = JoinSet::new();
    while let Some(order) = orders.recv().await {
        match order {
            Order::Subscribe(tokens) => {
                let mut batches: BTreeMap<usize, Vec<(TokenId, Token)>> = BTreeMap::new();
                for (id, token) in tokens {
                    if homes.contains_key(&id) {
                        continue;
                    }
                    // Both outcomes are one book, and a gap is told of the market: they share a connection,
                    // so there must be room for the second one too.
                    let room = |shard: &Option<Member>| {
                        let most = shared.config.tokens_per_connection;
                        shard.as_ref().is_some_and(|m| m.tokens + 2 <= most)
                    };
                    let together = markets.get(&token.market()).map(|(home, _)| *home);
                    let home =
                        together.or_else(|| shards.iter().position(room)).unwrap_or_else(|| {
                            let (to, inbox) = mpsc::unbounded_channel();
                            let place =
                                shards.iter().position(Option::is_none).unwrap_or(shards.len());
                            tasks.spawn(Shard::new(shared.clone(), place, inbox).run());
                            let member = Some(Member { orders: to, tokens: 0 });
                            if place == shards.len() {
                                shards.push(member)
                            } else {
                                shards[place] = member
                            }
                            place
                        });
                    if let Some(member) = &mut shards[home] {
                        member.tokens += 1;
                    }
                    homes.insert(id, (home, token));
                    markets.entry(token.market()).or_insert((home, 0)).1 += 1;
                    batches.entry(home).or_default().push((id, token));
                }
                for (home, batch) in batches {
                    if let Some(member) = &shards[home] {
                        let _ = member.orders.send(Order::Subscribe(batch));
                    }
                }
            }
            Order::Unsubscribe(tokens) => {
                let mut batches: BTreeMap<usize, Vec<TokenId>> = BTreeMap::new();
                for id in tokens {
                    let Some((home, token)) = homes.remove(&id) else { continue };
                    batches.entry(home).or_default().push(id);
                    if let Some((_, followed)) = markets.get_mut(&token.market()) {
                        *followed -= 1;
                        if *followed == 0 {
                            markets.remove(&token.market());
                        }
                    }
                }
                for (home, batch) in batches {
                    if let Some(member) = &mut shards[home] {
                        member.tokens -= batch.len();
                        let empty = member.tokens == 0;
                        let _ = member.orders.send(Order::Unsubscribe(batch));
                        if empty {
                            // Its channel closes, and with it the connection.
                            shards[home] = None;
                        }
                    }
                }
            }
            Order::Resync(None) => {
                for member in shards.iter().flatten() {
                    let _ = member.orders.send(Order::Resync(None));
                }
            }
            Order::Resync(Some(tokens)) => {
                let mut batches: BTreeMap<usize, Vec<TokenId>> = BTreeMap::new();
                for id in tokens {
                    if let Some((home, _)) = homes.get(&id) {
                        batches.entry(*home).or_default().push(id);
                    }
                }
                for (home, batch) in batches {
                    if let Some(member) = &shards[home] {
                        let _ = member.orders.send(Order::Resync(Some(batch)));
                    }
                }
            }
        }
        count.send_replace(shards.iter().flatten().count());
    }
}
