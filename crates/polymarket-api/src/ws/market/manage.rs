//! Assigns tokens to connections and restarts connections that panicked.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use polydesk_domain::{Interruption, MarketEvent, MarketKey, Token, TokenId};
use tokio::sync::{mpsc, watch};
use tokio::task::{Id, JoinSet};

use super::shard::Shard;
use super::{FeedItem, FeedStats, Shared, SubscriptionRequest};
use crate::ServerClock;

/// Runs the shards until the feed's handle or its receiver is dropped.
pub(super) async fn manage(
    shared: Shared,
    orders: mpsc::UnboundedReceiver<SubscriptionRequest>,
    count: watch::Sender<usize>,
) {
    let keeper = Keeper {
        places: Places::new(shared.config.tokens_per_connection),
        members: Vec::new(),
        tasks: JoinSet::new(),
        pause: Duration::from_millis(shared.config.retry_most_ms),
        items: shared.items.clone(),
        clock: shared.clock.clone(),
        stats: shared.stats.clone(),
        make: move |place, inbox| Shard::new(shared.clone(), place, inbox).run(),
    };
    keeper.keep(orders, count).await;
}

/// Which connection each market is followed on: each is filled before another is opened.
struct Places {
    most: usize,
    homes: BTreeMap<TokenId, (usize, Token)>,
    /// The connection of each market and how many of its tokens are on it.
    markets: BTreeMap<MarketKey, (usize, usize)>,
    /// How many markets each connection has; a place with none is free.
    taken: Vec<usize>,
}

impl Places {
    fn new(most: usize) -> Places {
        Places { most, homes: BTreeMap::new(), markets: BTreeMap::new(), taken: Vec::new() }
    }

    /// The place of a token that has none yet.
    ///
    /// Both outcomes are one book, and an interruption is reported per market: they share a connection. So a
    /// market takes two places with its first token, whether or not the second ever comes.
    fn settle(&mut self, id: TokenId, token: Token) -> Option<usize> {
        if self.homes.contains_key(&id) {
            return None;
        }
        let (home, followed) = match self.markets.get(&token.market()) {
            Some(known) => *known,
            None => (self.room(), 0),
        };
        self.markets.insert(token.market(), (home, followed + 1));
        self.homes.insert(id, (home, token));
        Some(home)
    }

    /// Takes a place for one more market.
    fn room(&mut self) -> usize {
        let open = self.taken.iter().position(|taken| *taken > 0 && (taken + 1) * 2 <= self.most);
        let home = open.or_else(|| self.taken.iter().position(|taken| *taken == 0));
        let home = home.unwrap_or_else(|| {
            self.taken.push(0);
            self.taken.len() - 1
        });
        self.taken[home] += 1;
        home
    }

    /// Takes a token off; where it was.
    fn leave(&mut self, id: &TokenId) -> Option<usize> {
        let (home, token) = self.homes.remove(id)?;
        if let Some((_, followed)) = self.markets.get_mut(&token.market()) {
            *followed -= 1;
            if *followed == 0 {
                self.markets.remove(&token.market());
                self.taken[home] -= 1;
            }
        }
        Some(home)
    }

    fn home(&self, id: &TokenId) -> Option<usize> {
        self.homes.get(id).map(|(home, _)| *home)
    }
    fn is_free(&self, place: usize) -> bool {
        self.taken.get(place).is_none_or(|taken| *taken == 0)
    }
    fn tokens(&self, place: usize) -> Vec<(TokenId, Token)> {
        let here = self.homes.iter().filter(|(_, (home, _))| *home == place);
        here.map(|(id, (_, token))| (*id, *token)).collect()
    }
}

struct Member {
    orders: mpsc::UnboundedSender<SubscriptionRequest>,
    task: Id,
}

/// `make` makes the task of a connection.
struct Keeper<M> {
    places: Places,
    members: Vec<Option<Member>>,
    tasks: JoinSet<()>,
    make: M,
    /// Pause before a connection that panicked is restarted.
    pause: Duration,
    items: mpsc::Sender<FeedItem>,
    clock: ServerClock,
    stats: Arc<FeedStats>,
}

impl<M, F> Keeper<M>
where
    M: Fn(usize, mpsc::UnboundedReceiver<SubscriptionRequest>) -> F,
    F: Future<Output = ()> + Send + 'static,
{
    async fn keep(
        mut self,
        mut orders: mpsc::UnboundedReceiver<SubscriptionRequest>,
        count: watch::Sender<usize>,
    ) {
        let listened = self.items.clone();
        loop {
            tokio::select! {
                biased;
                // The receiver is gone: the connections end with this task.
                () = listened.closed() => break,
                Some(ended) = self.tasks.join_next() => {
                    if let Err(error) = ended && error.is_panic() {
                        self.revive(error.id()).await;
                    }
                }
                order = orders.recv() => match order {
                    Some(order) => self.order(order),
                    None => break,
                },
            }
            count.send_replace(self.members.iter().flatten().count());
        }
        count.send_replace(0);
    }

    fn order(&mut self, order: SubscriptionRequest) {
        match order {
            SubscriptionRequest::Subscribe(tokens) => {
                let mut batches: BTreeMap<usize, Vec<(TokenId, Token)>> = BTreeMap::new();
                for (id, token) in tokens {
                    if let Some(home) = self.places.settle(id, token) {
                        batches.entry(home).or_default().push((id, token));
                    }
                }
                for (home, batch) in batches {
                    if self.members.get(home).is_none_or(Option::is_none) {
                        self.open(home, Duration::ZERO);
                    }
                    self.send(home, SubscriptionRequest::Subscribe(batch));
                }
            }
            SubscriptionRequest::Unsubscribe(tokens) => {
                let mut batches: BTreeMap<usize, Vec<TokenId>> = BTreeMap::new();
                for id in tokens {
                    if let Some(home) = self.places.leave(&id) {
                        batches.entry(home).or_default().push(id);
                    }
                }
                for (home, batch) in batches {
                    self.send(home, SubscriptionRequest::Unsubscribe(batch));
                    if self.places.is_free(home)
                        && let Some(member) = self.members.get_mut(home)
                    {
                        // Its channel closes, and with it the connection.
                        *member = None;
                    }
                }
            }
            SubscriptionRequest::Resync(None) => {
                for member in self.members.iter().flatten() {
                    let _ = member.orders.send(SubscriptionRequest::Resync(None));
                }
            }
            SubscriptionRequest::Resync(Some(tokens)) => {
                let mut batches: BTreeMap<usize, Vec<TokenId>> = BTreeMap::new();
                for id in tokens {
                    if let Some(home) = self.places.home(&id) {
                        batches.entry(home).or_default().push(id);
                    }
                }
                for (home, batch) in batches {
                    self.send(home, SubscriptionRequest::Resync(Some(batch)));
                }
            }
        }
    }

    fn send(&self, place: usize, order: SubscriptionRequest) {
        if let Some(Some(member)) = self.members.get(place) {
            let _ = member.orders.send(order);
        }
    }

    /// Begins the connection of a place.
    fn open(&mut self, place: usize, pause: Duration) {
        let (orders, inbox) = mpsc::unbounded_channel();
        let run = (self.make)(place, inbox);
        let task = self.tasks.spawn(async move {
            if !pause.is_zero() {
                tokio::time::sleep(pause).await;
            }
            run.await;
        });
        if self.members.len() <= place {
            self.members.resize_with(place + 1, || None);
        }
        self.members[place] = Some(Member { orders, task: task.id() });
    }

    /// Restarts a connection that panicked. Its books are no longer maintained, so they are invalidated.
    async fn revive(&mut self, task: Id) {
        let ours = |member: &Option<Member>| member.as_ref().is_some_and(|m| m.task == task);
        // Its place may be free by now, or belong to another connection.
        let Some(place) = self.members.iter().position(ours) else { return };
        tracing::error!(
            shard = place,
            "market socket: the task of a connection panicked; restarting it"
        );
        self.stats.add(|s| &s.panics, 1);
        let tokens = self.places.tokens(place);
        let mut markets: Vec<MarketKey> = tokens.iter().map(|(_, token)| token.market()).collect();
        markets.sort_unstable();
        markets.dedup();
        let now = self.clock.local();
        for market in markets {
            let event = MarketEvent::Interrupted(Interruption { market: Some(market) });
            let gap = FeedItem::Market { received_at: now, venue_at: now, event };
            let _ = self.items.send(gap).await;
        }
        // The same message may be its end again: not at once.
        self.open(place, self.pause);
        self.send(place, SubscriptionRequest::Subscribe(tokens));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use polydesk_domain::{Outcome, Time};

    use super::*;

    fn token(market: u32, outcome: Outcome) -> (TokenId, Token) {
        let token = MarketKey(market).token(outcome);
        (TokenId::from(u64::from(market) * 2 + outcome as u64), token)
    }

    #[test]
    fn a_market_takes_two_places_even_while_only_one_of_its_tokens_is_followed() {
        let mut places = Places::new(300);
        for outcome in Outcome::BOTH {
            for market in 0..299 {
                let (id, token) = token(market, outcome);
                assert_eq!(places.settle(id, token), Some(usize::from(market >= 150)));
                assert_eq!(places.settle(id, token), None, "a second time");
            }
        }
        assert_eq!([places.tokens(0).len(), places.tokens(1).len()], [300, 298]);
        // Half a market keeps its two places; a whole one leaves them.
        let (yes, no) = (token(0, Outcome::Yes), token(0, Outcome::No));
        assert_eq!(places.leave(&yes.0), Some(0));
        let settle = |places: &mut Places, n| {
            let (id, token) = token(n, Outcome::Yes);
            places.settle(id, token)
        };
        assert_eq!(settle(&mut places, 900), Some(1));
        assert_eq!(places.leave(&no.0), Some(0));
        assert_eq!(settle(&mut places, 901), Some(0));
        assert_eq!(settle(&mut places, 902), Some(2));
        // A free place is taken before a new one.
        assert_eq!(places.leave(&token(902, Outcome::Yes).0), Some(2));
        assert!(places.is_free(2));
        assert_eq!(settle(&mut places, 903), Some(2));
    }

    #[test]
    fn a_connection_that_panics_invalidates_its_books_and_is_restarted_with_its_tokens() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        // Without a restart it would wait for ever.
        let limit = Duration::from_secs(30);
        let story = async {
            let (items, mut out) = mpsc::channel(16);
            let (orders, inbox) = mpsc::unbounded_channel();
            let (count, shards) = watch::channel(0);
            let (received, mut receive) = mpsc::unbounded_channel();
            let stats = Arc::new(FeedStats::default());
            let keeper = Keeper {
                places: Places::new(4),
                members: Vec::new(),
                tasks: JoinSet::new(),
                pause: Duration::ZERO,
                items,
                clock: ServerClock::over(|| Time::from_secs(1)),
                stats: stats.clone(),
                make: move |place, mut inbox: mpsc::UnboundedReceiver<SubscriptionRequest>| {
                    let received = received.clone();
                    async move {
                        while let Some(order) = inbox.recv().await {
                            match order {
                                SubscriptionRequest::Subscribe(tokens) => {
                                    received.send((place, tokens)).unwrap()
                                }
                                _ => panic!("as asked"),
                            }
                        }
                    }
                },
            };
            let kept = tokio::spawn(keeper.keep(inbox, count));
            let both = |n| vec![token(n, Outcome::Yes), token(n, Outcome::No)];
            let all: Vec<_> = (0..3).flat_map(both).collect();
            orders.send(SubscriptionRequest::Subscribe(all.clone())).ok().unwrap();
            assert_eq!(receive.recv().await, Some((0, all[..4].to_vec())));
            assert_eq!(receive.recv().await, Some((1, all[4..].to_vec())));
            for round in 1..=2 {
                orders.send(SubscriptionRequest::Resync(Some(vec![all[0].0]))).ok().unwrap();
                assert_eq!(receive.recv().await, Some((0, all[..4].to_vec())));
                for market in [0, 1] {
                    let Some(FeedItem::Market { event, .. }) = out.recv().await else { panic!() };
                    assert_eq!(
                        event,
                        MarketEvent::Interrupted(Interruption { market: Some(MarketKey(market)) })
                    );
                }
                assert_eq!(stats.panics.load(Ordering::Relaxed), round);
            }
            assert_eq!(*shards.borrow(), 2);
            // The receiver is dropped: everything ends, without an order.
            drop(out);
            kept.await.unwrap();
            assert_eq!(*shards.borrow(), 0);
        };
        runtime
            .block_on(async { tokio::time::timeout(limit, story).await })
            .expect("it was not restarted");
    }
}
