//! Discovery against answers of Gamma that are odd, partial or missing, and against settings that change.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use polydesk_domain::{
    ConditionId, ControlEvent, Market, MarketKey, MarketState, Payout, Side, Span, Tick, TokenId,
};
use polydesk_local_exchange::{Listing, Setup, TEST_START, market_file};
use polydesk_runtime::discovery::Discovery;
use polydesk_runtime::glance::Glance;
use polydesk_runtime::inbox::{Inbox, Request};
use polydesk_runtime::reload::Order;
use polydesk_settings::MarketSettings;
use tokio::sync::watch;

use crate::world::{World, blocked, moving, pass, simulated, still};

/// What discovery asked of the engine.
#[derive(Clone, Default)]
struct Asked(Arc<Mutex<Log>>);

#[derive(Default)]
struct Log {
    /// Every listing, in order.
    listings: Vec<Arc<Market>>,
    delisted: Vec<ConditionId>,
    control: Vec<ControlEvent>,
    states: Vec<MarketState>,
}

impl Asked {
    /// Slugs in the order in which they were first listed.
    fn slugs(&self) -> Vec<String> {
        let mut slugs = Vec::new();
        for market in &self.0.lock().unwrap().listings {
            if !slugs.contains(&market.slug) {
                slugs.push(market.slug.clone());
            }
        }
        slugs
    }

    fn count(&self) -> usize {
        self.slugs().len()
    }

    /// The number of members that each group has by its latest listings.
    fn members(&self) -> BTreeMap<String, Option<u32>> {
        let log = self.0.lock().unwrap();
        let of = |market: &Arc<Market>| {
            let group = market.neg_risk.as_ref()?;
            Some((market.slug.clone(), group.members))
        };
        log.listings.iter().filter_map(of).collect()
    }
}

/// Discovery alone, with an engine that takes every listing.
fn discovery(world: &World) -> (Discovery, Asked, watch::Sender<MarketSettings>) {
    let (inbox, mut requests) = Inbox::new();
    let (settings, watched) = watch::channel(world.settings().runtime.markets);
    let asked = Asked::default();
    let log = asked.clone();
    tokio::spawn(async move {
        let mut keys: BTreeMap<ConditionId, MarketKey> = BTreeMap::new();
        while let Some(request) = requests.recv().await {
            let mut log = log.0.lock().unwrap();
            match request {
                Request::List { market, reply } => {
                    let next = MarketKey(keys.len() as u32);
                    let key = *keys.entry(market.condition).or_insert(next);
                    log.listings.push(market);
                    let _ = reply.send(Ok(key));
                }
                Request::Delist { condition, reply } => {
                    log.delisted.push(condition);
                    let _ = reply.send(true);
                }
                Request::Control(event) => log.control.push(event),
                Request::State { state, .. } => log.states.push(state),
                _ => {}
            }
        }
    });
    (world.discovery(inbox, watched), asked, settings)
}

fn world_of(text: &str) -> World {
    World::new(Setup { markets: market_file(text).unwrap(), ..still() })
}

/// Plain markets with these slugs, and neg-risk groups with these numbers of members.
fn listed(plain: &[&str], groups: &[(&str, usize)]) -> String {
    let mut text = String::new();
    for slug in plain {
        text.push_str(&format!("[[market]]\nslug = \"{slug}\"\n"));
    }
    // One member of each group after the other, as a list by volume has them.
    let most = groups.iter().map(|(_, members)| *members).max().unwrap_or_default();
    for member in 0..most {
        for (number, (event, _)) in groups.iter().enumerate().filter(|(_, one)| member < one.1) {
            text.push_str(&format!(
                "[[market]]\nslug = \"{event}-{member}\"\nevent = \"{event}\"\n\
                 neg_risk_group = \"0x{:064x}\"\n",
                0x100 * (number + 1)
            ));
        }
    }
    text
}

#[test]
fn an_event_that_gamma_cannot_give_hides_no_other_market() {
    let answers = [
        ("gone", "status = 404\nbody = '{\"error\":\"not found\"}'"),
        ("broken", "status = 500\nbody = 'oops'"),
        ("no JSON", "body = '<html>'"),
        ("another shape", "body = '[]'"),
    ];
    for (case, answer) in answers {
        simulated(async move {
            let world = world_of(&listed(&["a", "b"], &[("odd", 3), ("good", 3)]));
            let rule = format!("[[answers]]\nendpoint = \"GET /events/slug/odd\"\n{answer}\n");
            world.exchange.inject_toml(&rule).unwrap();
            let (mut discovery, asked, _settings) = discovery(&world);
            let scanned = discovery.scan().await.unwrap();
            let mut slugs = asked.slugs();
            slugs.sort();
            assert_eq!(slugs, ["a", "b", "good-0", "good-1", "good-2"], "{case}");
            assert!(scanned.refused >= 1, "{case}: the group is counted as refused");
        });
    }
}

#[test]
fn a_tag_that_gamma_does_not_know_hides_no_market_of_the_others() {
    simulated(async {
        let text = "[[market]]\nslug = \"a\"\ntags = [\"weather\"]\n";
        let mut world = world_of(text);
        world.flags.push(("markets.tags", "[\"wether\", \"weather\"]"));
        let (mut discovery, asked, _settings) = discovery(&world);
        discovery.scan().await.unwrap();
        assert_eq!(asked.slugs(), ["a"]);
    });
}

#[test]
fn an_included_market_that_cannot_be_read_hides_no_other_one() {
    let answers =
        ["status = 404\nbody = '{}'", "status = 500\nbody = 'oops'", "body = '{\"slug\": 7}'"];
    for answer in answers {
        simulated(async move {
            let mut world = world_of(&listed(&["a", "b", "c"], &[]));
            world.flags.push(("markets.include", "[\"b\", \"c\"]"));
            let rule = format!("[[answers]]\nendpoint = \"GET /markets/slug/b\"\n{answer}\n");
            world.exchange.inject_toml(&rule).unwrap();
            let (mut discovery, asked, _settings) = discovery(&world);
            discovery.scan().await.unwrap();
            assert_eq!(asked.count(), 3, "{answer}: {:?}", asked.slugs());
        });
    }
}

#[test]
fn a_market_that_is_refused_takes_no_room_of_the_next_one() {
    simulated(async {
        let mut world = world_of(&listed(&["a", "b", "c", "d"], &[]));
        world.flags.push(("markets.most", "2"));
        // The CLOB does not know the first two that are asked about.
        let unknown = "[[answers]]\nendpoint = \"GET /clob-markets/*\"\nstatus = 404\n\
                       body = '{\"error\":\"not found\"}'\ncalls = \"1..2\"\n";
        world.exchange.inject_toml(unknown).unwrap();
        let (mut discovery, asked, _settings) = discovery(&world);
        let scanned = discovery.scan().await.unwrap();
        assert_eq!(asked.count(), 2, "{:?} {scanned:?}", asked.slugs());
    });
}

#[test]
fn completed_groups_go_beyond_the_bound_by_one_group_at_most() {
    simulated(async {
        let names: Vec<String> = (0..8).map(|number| format!("event{number}")).collect();
        let groups: Vec<(&str, usize)> = names.iter().map(|name| (name.as_str(), 5)).collect();
        let mut world = world_of(&listed(&[], &groups));
        world.flags.push(("markets.most", "8"));
        let (mut discovery, asked, _settings) = discovery(&world);
        discovery.scan().await.unwrap();
        let count = asked.count();
        assert!((8..8 + 5).contains(&count), "{count} markets are followed");
        // Every group that was begun is whole.
        let mut by_event: BTreeMap<String, usize> = BTreeMap::new();
        for slug in asked.slugs() {
            *by_event.entry(slug.split('-').next().unwrap().to_owned()).or_default() += 1;
        }
        assert!(by_event.values().all(|count| *count == 5), "{by_event:?}");
    });
}

#[test]
fn an_excluded_member_of_a_group_is_not_followed_and_the_group_is_not_complete() {
    simulated(async {
        let mut world = world_of(&listed(&[], &[("race", 3)]));
        world.flags.push(("markets.exclude", "[\"race-1\"]"));
        let (mut discovery, asked, _settings) = discovery(&world);
        discovery.scan().await.unwrap();
        let mut slugs = asked.slugs();
        slugs.sort();
        assert_eq!(slugs, ["race-0", "race-2"]);
        assert!(asked.members().values().all(|count| *count == Some(3)), "{:?}", asked.members());
    });
}

#[test]
fn an_outcome_that_joins_a_group_later_makes_its_count_right_in_every_member() {
    simulated(async {
        let world = world_of(&listed(&["a"], &[("race", 2)]));
        let (mut discovery, asked, _settings) = discovery(&world);
        discovery.scan().await.unwrap();
        assert!(asked.members().values().all(|count| *count == Some(2)), "{:?}", asked.members());
        // A third outcome appears, as they do while an event is being made; no filter lets it in by itself.
        let third: Vec<Listing> = market_file(&listed(&["x", "y", "z"], &[("race", 3)])).unwrap();
        let mut third = third.into_iter().find(|one| one.market.slug == "race-2").unwrap();
        third.market.tokens = [7, 8].map(|byte| TokenId::from_bytes([byte; 32]));
        world.exchange.venue(|venue| venue.list(third).unwrap());
        for _ in 0..3 {
            pass(60).await;
            discovery.scan().await.unwrap();
            discovery.watch().await.unwrap();
        }
        let members = asked.members();
        assert_eq!(members.len(), 3, "{members:?}");
        assert!(members.values().all(|count| *count == Some(3)), "{members:?}");
    });
}

#[test]
fn a_group_that_grows_while_no_more_markets_are_followed_is_no_longer_complete() {
    simulated(async {
        let mut world = world_of(&listed(&["a"], &[("race", 2)]));
        world.flags.push(("markets.most", "3"));
        let (mut discovery, asked, _settings) = discovery(&world);
        discovery.scan().await.unwrap();
        assert_eq!(asked.count(), 3);
        let third: Vec<Listing> = market_file(&listed(&["x", "y", "z"], &[("race", 3)])).unwrap();
        let mut third = third.into_iter().find(|one| one.market.slug == "race-2").unwrap();
        third.market.tokens = [7, 8].map(|byte| TokenId::from_bytes([byte; 32]));
        world.exchange.venue(|venue| venue.list(third).unwrap());
        for _ in 0..3 {
            pass(60).await;
            discovery.scan().await.unwrap();
            discovery.watch().await.unwrap();
        }
        let members = asked.members();
        let old = [members["race-0"], members["race-1"]];
        assert_eq!(old, [Some(3), Some(3)], "a basket over two of three outcomes would be bought");
    });
}

#[test]
fn what_was_read_before_gamma_broke_off_is_followed() {
    simulated(async {
        let names: Vec<String> = (0..150).map(|number| format!("m{number}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut world = world_of(&listed(&names, &[]));
        world.flags.push(("markets.most", "150"));
        // Fewer than are taken at once.
        world.flags.push(("markets.exclude", "[\"m0\", \"m1\", \"m2\"]"));
        let broken = "[[answers]]\nendpoint = \"GET /markets/keyset\"\nstatus = 500\nbody = 'oops'\n\
                      calls = \"2..\"\n";
        world.exchange.inject_toml(broken).unwrap();
        let (mut discovery, asked, _settings) = discovery(&world);
        let _ = discovery.scan().await;
        let page = asked.count();
        assert!(page >= 90, "{page} of the first page are followed");
    });
}

#[test]
fn one_row_that_cannot_be_read_and_one_that_lies_hide_no_other() {
    simulated(async {
        let world = world_of(&listed(&["a", "b", "c", "d"], &[]));
        // One row is no market, and one names a condition that is none.
        let alter = "[[answers]]\nendpoint = \"GET /markets/keyset\"\n\
                     replace = [['\"slug\":\"b\"', '\"slug\":7']]\n";
        world.exchange.inject_toml(alter).unwrap();
        let (mut discovery, asked, _settings) = discovery(&world);
        let scanned = discovery.scan().await.unwrap();
        let mut slugs = asked.slugs();
        slugs.retain(|slug| slug != "7" && slug != "b");
        slugs.sort();
        assert_eq!(slugs, ["a", "c", "d"], "{scanned:?}");
    });
}

/// A world of one market that ends after so many seconds.
fn ending(seconds: i64) -> World {
    let mut markets = market_file(&listed(&["a"], &[])).unwrap();
    markets[0].market.closes = Some(TEST_START + Span::secs(seconds));
    World::new(Setup { markets, ..still() })
}

#[test]
fn a_market_that_is_closed_and_not_resolved_stays_and_one_that_is_resolved_leaves_for_good() {
    simulated(async {
        let world = ending(20);
        let (mut discovery, asked, _settings) = discovery(&world);
        discovery.scan().await.unwrap();
        let closed = "[[answers]]\nendpoint = \"GET /markets/keyset\"\ncalls = \"1..6\"\n\
                      replace = [['\"closed\":false', '\"closed\":true']]\n";
        pass(30).await;
        world.exchange.inject_toml(closed).unwrap();
        for _ in 0..3 {
            discovery.watch().await.unwrap();
            pass(5).await;
        }
        let states = asked.0.lock().unwrap().states.clone();
        assert_eq!(states, [MarketState::Closed]);
        assert!(
            asked.0.lock().unwrap().delisted.is_empty(),
            "what is held there is still to be paid"
        );
        world.exchange.venue(|venue| {
            let key = venue.universe().keys().next().unwrap();
            venue.resolve(key, Payout::NO);
        });
        for _ in 0..8 {
            discovery.watch().await.unwrap();
            pass(5).await;
        }
        assert_eq!(asked.0.lock().unwrap().states.last(), Some(&MarketState::Resolved(Payout::NO)));
        assert_eq!(asked.0.lock().unwrap().delisted.len(), 1);
        assert_eq!(discovery.followed(), 0);
        discovery.scan().await.unwrap();
        assert_eq!(discovery.followed(), 0, "it is not listed again");
    });
}

#[test]
fn facts_that_changed_are_listed_again_and_what_the_row_does_not_state_stays() {
    simulated(async {
        let mut markets = market_file(&listed(&[], &[("race", 2)])).unwrap();
        for listing in &mut markets {
            listing.market.closes = Some(TEST_START + Span::secs(20));
        }
        let world = World::new(Setup { markets, ..still() });
        let (mut discovery, asked, _settings) = discovery(&world);
        discovery.scan().await.unwrap();
        pass(30).await;
        world.exchange.venue(|venue| {
            let keys: Vec<_> = venue.universe().keys().collect();
            keys.into_iter().for_each(|key| venue.set_tick(key, Tick::Thousandth));
        });
        // Rows that were read by their condition may come without their event.
        let without = "[[answers]]\nendpoint = \"GET /markets/keyset\"\n\
                       replace = [['\"events\":[', '\"events_\":[']]\n";
        world.exchange.inject_toml(without).unwrap();
        discovery.watch().await.unwrap();
        let log = asked.0.lock().unwrap();
        assert_eq!(log.listings.len(), 4, "each is listed again");
        for market in &log.listings[2..] {
            let group = market.neg_risk.as_ref().unwrap();
            assert_eq!((market.tick, market.event.as_str()), (Tick::Thousandth, "race"));
            assert_eq!((group.members, group.augmented), (Some(2), false));
        }
    });
}

#[test]
fn a_freeze_that_the_engine_did_not_get_is_sent_again() {
    simulated(async {
        let world = ending(20);
        let (inbox, mut requests) = Inbox::new();
        let (_settings, watched) = watch::channel(world.settings().runtime.markets);
        let mut discovery = world.discovery(inbox.clone(), watched);
        let listing = async {
            let Some(Request::List { market, reply }) = requests.recv().await else {
                panic!("no listing")
            };
            reply.send(Ok(MarketKey(0))).unwrap();
            market.condition
        };
        let (scanned, condition) = tokio::join!(discovery.scan(), listing);
        scanned.unwrap();
        // The engine holds something there.
        let base = World::new(still());
        let process = base.start().await.unwrap();
        let mut glance = process.until("a glance", |_| true).await;
        let _ = process.stop().await;
        glance.in_use = vec![condition];
        discovery.shared.publish(glance);
        discovery.watch().await.unwrap();
        let alter = "[[answers]]\nendpoint = \"GET /markets/keyset\"\n\
                     replace = [[' (made', ' (then made']]\n";
        world.exchange.inject_toml(alter).unwrap();
        while inbox.send(Request::Control(ControlEvent::Timer)).is_ok() {}
        discovery.watch().await.unwrap();
        while requests.try_recv().is_ok() {}
        let taken = async {
            let first = requests.recv().await;
            assert!(
                matches!(first, Some(Request::Control(ControlEvent::Blocker { on: true, .. }))),
                "a freeze comes first"
            );
            // The engine then keeps which text was read.
            let Some(Request::List { market, reply }) = requests.recv().await else {
                panic!("no listing")
            };
            assert!(market.rules.is_some());
            reply.send(Ok(MarketKey(0))).unwrap();
        };
        let (watched, ()) = tokio::join!(discovery.watch(), taken);
        watched.unwrap();
        discovery.watch().await.unwrap();
        assert!(requests.try_recv().is_err(), "once is enough");
    });
}

fn in_market(glance: &Glance, slug: &str) -> usize {
    glance.orders.iter().filter(|order| order.market == slug).count()
}

#[test]
fn a_market_that_is_excluded_while_it_is_traded_gets_no_more_order_and_leaves() {
    simulated(async {
        let world = World::new(still());
        let process = world.start().await.unwrap();
        let slug = "rain-tomorrow";
        let before = process
            .until("its quotes", |glance| in_market(glance, slug) > 0)
            .await
            .feed
            .open_markets;
        let excluded = world.settings_and(&[("markets.exclude", "[\"rain-tomorrow\"]")]);
        *world.later.lock().unwrap() = Some(excluded);
        process.running.orders.send(Order::Reload).await.unwrap();
        for _ in 0..60 {
            pass(1).await;
        }
        let glance = process.glance().unwrap();
        assert_eq!(in_market(&glance, slug), 0, "{:?}", glance.orders);
        assert_eq!(glance.feed.open_markets, before - 1);
        assert!(glance.open(), "{:?}", glance.blockers);
        // And it may come back.
        *world.later.lock().unwrap() = Some(world.settings());
        process.running.orders.send(Order::Reload).await.unwrap();
        process.until("its quotes again", |glance| in_market(glance, slug) > 0).await;
        let _ = process.stop().await;
    });
}

#[test]
fn an_excluded_market_with_a_holding_buys_nothing_more_and_its_exits_go_on() {
    simulated(async {
        let world = World::new(moving(1));
        let process = world.start().await.unwrap();
        let held = |glance: &Glance| {
            let of = |one: &&polydesk_runtime::glance::PositionGlance| {
                one.strategy.as_str() == "stink_bidder"
            };
            glance.positions.iter().find(of).map(|one| one.market.clone())
        };
        let glance = process.until("a holding", |glance| held(glance).is_some()).await;
        let slug = held(&glance).unwrap();
        let names = format!("[\"{slug}\"]");
        let excluded = world.settings_and(&[("markets.exclude", names.leak())]);
        *world.later.lock().unwrap() = Some(excluded);
        process.running.orders.send(Order::Reload).await.unwrap();
        let set = process.until("the blocker", |glance| blocked(glance, "flattened")).await;
        assert!(set.blockers.iter().all(|one| one.stops == "entries"), "{:?}", set.blockers);
        pass(2).await;
        let mut left = false;
        for _ in 0..1_200 {
            let glance = process.glance().unwrap();
            let bought = |one: &&polydesk_runtime::glance::OrderGlance| {
                one.market == slug && one.side == Side::Buy
            };
            assert_eq!(glance.orders.iter().find(bought), None);
            left = left || !glance.positions.iter().any(|one| one.market == slug);
            pass(1).await;
        }
        assert!(left, "what was held was not sold");
        let _ = process.stop().await;
    });
}

#[test]
fn a_text_of_gamma_with_control_characters_reaches_no_glance() {
    simulated(async {
        let mut setup = still();
        setup.markets = polydesk_local_exchange::demo_markets();
        let hostile = "rain\u{1b}[2J\nBAD\u{202e}";
        setup.markets[0].market.slug = hostile.to_owned();
        setup.markets[0].market.question = "will\u{1b}]0;x\u{7} it".to_owned();
        let world = World::new(setup);
        let process = world.start().await.unwrap();
        process.until("quotes", |glance| glance.risk.open_orders > 8).await;
        let alter = "[[answers]]\nendpoint = \"GET /markets/keyset\"\n\
                     replace = [[' (made', ' (then made']]\n";
        world.exchange.inject_toml(alter).unwrap();
        process.until("a frozen market", |glance| blocked(glance, "market_frozen")).await;
        let glance = process.glance().unwrap();
        let texts = glance.orders.iter().map(|order| &order.market);
        let texts = texts.chain(glance.decisions.iter().map(|decision| &decision.text));
        let texts = texts.chain(glance.positions.iter().map(|position| &position.market));
        let texts = texts.chain(glance.blockers.iter().map(|blocker| &blocker.detail));
        for text in texts {
            let bad =
                text.chars().find(|c| c.is_control() || ('\u{202a}'..='\u{202e}').contains(c));
            assert_eq!(bad, None, "{text:?}");
        }
        let _ = process.stop().await;
    });
}
