//! Messages, metadata and networks that are wrong (FAULTS D5, D7, D9–D12, P6–P10).

use std::sync::atomic::Ordering;

use polydesk_domain::{MarketKey, Outcome, Price, Shares, Side, Tick, Time, Usdc};
use polydesk_local_exchange::venue::OrderSpec;
use polydesk_local_exchange::wallets::TEST_ADDRESSES;
use polydesk_local_exchange::{Listing, Setup, TEST_START};
use polydesk_runtime::assembly::StartError;
use polydesk_runtime::glance::Glance;

use crate::world::{Network, Process, World, blocked, moving, pass, simulated, still};

fn key(world: &World, slug: &str) -> MarketKey {
    world.exchange.venue(|venue| {
        let universe = venue.universe();
        universe.keys().find(|key| universe.market(*key).slug == slug).unwrap()
    })
}

/// Ids of open orders of a market.
fn orders(process: &Process, slug: &str) -> Vec<String> {
    let glance = process.glance().unwrap();
    let of = glance.orders.iter().filter(|order| order.market == slug);
    of.map(|order| order.id.clone()).collect()
}

fn usable(glance: &Glance) -> bool {
    glance.feed.usable_books == glance.feed.open_markets && glance.feed.unverified == 0
}

#[test]
fn d5_no_order_leaves_between_a_tick_size_change_and_its_late_snapshot() {
    simulated(async {
        let world = World::new(moving(3));
        let process = world.start().await.unwrap();
        let slug = "rain-tomorrow";
        process.until("quotes", |glance| glance.risk.open_orders > 8).await;
        process.until("quotes of the market", |_| !orders(&process, slug).is_empty()).await;
        // The snapshot comes three seconds later, and the change itself six times.
        let late = "[[streams]]\nchannel = \"market\"\nact = \"delay\"\nevent = \"book\"\n\
                    market = \"rain-tomorrow\"\ndelay = \"3s\"\nfor = \"4s\"\n\
                    [[streams]]\nchannel = \"market\"\nact = \"duplicate\"\nevent = \"tick_size_change\"\n\
                    [[answers]]\nendpoint = \"* /book*\"\nafter = \"3s\"\ncalls = \"1..3\"\n";
        world.exchange.inject_toml(late).unwrap();
        let market = key(&world, slug);
        world.exchange.venue(|venue| venue.set_tick(market, Tick::Thousandth));
        let down = process
            .until("the book is void", |glance| {
                glance.feed.usable_books + 1 == glance.feed.open_markets
            })
            .await;
        let before = orders(&process, slug);
        let mut waited = 0;
        while !usable(&process.glance().unwrap()) {
            let new: Vec<_> =
                orders(&process, slug).into_iter().filter(|id| !before.contains(id)).collect();
            assert!(new.is_empty(), "{new:?}");
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            waited += 50;
        }
        assert!(waited >= 2_000, "the gap was {waited} ms");
        assert!(down.at > TEST_START);
        process.until("quotes again", |_| !orders(&process, slug).is_empty()).await;
        let finished = process.stop().await;
        let universe = finished.engine.universe();
        let here = universe.keys().find(|key| universe.market(*key).slug == slug);
        let tick = here.and_then(|key| finished.engine.books().get(key)).map(|book| book.tick());
        assert_eq!(tick, Some(Tick::Thousandth));
    });
}

#[test]
fn d7_bad_messages_among_good_ones_cost_nothing_but_their_own_market() {
    let cases = [
        ("an unknown kind", "price_change", "\"price_change\"", "\"price_chance\""),
        ("broken JSON", "price_change", "{\"", "{{\""),
        ("a price that is none", "price_change", "\"price\":\"0.", "\"price\":\"NaN"),
        ("a negative size", "price_change", "\"size\":\"", "\"size\":\"-"),
        ("another side", "price_change", "\"side\":\"BUY\"", "\"side\":\"BOTH\""),
        ("a print that is none", "last_trade_price", "\"price\":\"0.", "\"price\":\"7."),
        ("a book that is none", "book", "\"bids\":[", "\"bids\":[7,"),
    ];
    for (case, event, from, to) in cases {
        simulated(async move {
            let world = World::new(moving(5));
            let process = world.start().await.unwrap();
            process.until("the gate", |glance| glance.open()).await;
            let alter = format!(
                "[[streams]]\nchannel = \"market\"\nact = \"alter\"\nevent = \"{event}\"\n\
                 market = \"rain-tomorrow\"\nfor = \"60s\"\nreplace = [['{from}', '{to}']]\n"
            );
            world.exchange.inject_toml(&alter).unwrap();
            pass(2).await;
            let rows = process.glance().unwrap().feed.rows;
            pass(58).await;
            let glance = process.glance().unwrap();
            assert!(glance.feed.rows > rows + 100, "{case}: the others go on");
            assert!(glance.open(), "{case}: {:?}", glance.blockers);
            assert!(glance.feed.usable_books + 2 > glance.feed.open_markets, "{case}");
            pass(30).await;
            process.until("every book", usable).await;
            let finished = process.stop().await;
            assert_eq!(finished.engine.manager().halted(), None, "{case}");
            assert!(finished.sim.check_conservation().is_ok(), "{case}");
        });
    }
}

#[test]
fn d9_a_market_without_a_book_gets_no_order_and_enters_when_it_has_one() {
    simulated(async {
        let world = World::new(still());
        let missing = "{\"error\":\"No orderbook exists for the requested token id\"}";
        // The CLOB does not know the markets for three minutes: one question each per scan.
        let answers = format!(
            "[[answers]]\nendpoint = \"GET /clob-markets/*\"\nstatus = 404\n\
             body = '{missing}'\ncalls = \"1..252\"\n"
        );
        world.exchange.inject_toml(&answers).unwrap();
        let process = world.start().await.unwrap();
        for _ in 0..34 {
            pass(5).await;
            let glance = process.glance().unwrap();
            assert_eq!((glance.feed.open_markets, process.placed()), (0, 0), "{}", glance.at);
        }
        process.until("quotes", |glance| glance.risk.open_orders > 8).await;
        let _ = process.stop().await;
    });
    simulated(async {
        // The books of held markets are gone: no order, the position stays, and the resolution is found.
        let world = World::new(moving(1));
        let process = world.start().await.unwrap();
        // The scanner keeps its baskets until they pay.
        let basket = |one: &&polydesk_runtime::glance::PositionGlance| {
            one.strategy.as_str() == "arb_scanner"
        };
        let held = process
            .until("a basket", |glance| glance.positions.iter().filter(basket).count() == 3)
            .await;
        let slug = held.positions.iter().find(basket).unwrap().market.clone();
        let market = key(&world, &slug);
        let gone = "[[streams]]\nchannel = \"market\"\nact = \"drop\"\n\
                    [[answers]]\nendpoint = \"* /book*\"\nstatus = 404\n\
                    body = '{\"error\":\"No orderbook exists for the requested token id\"}'\n";
        world.exchange.inject_toml(gone).unwrap();
        pass(30).await;
        let before = process.placed();
        pass(60).await;
        let glance = process.glance().unwrap();
        assert_eq!(process.placed(), before);
        let still = glance.positions.iter().find(|one| one.market == slug).unwrap();
        assert!(still.shares > Shares::ZERO);
        world.exchange.venue(|venue| venue.resolve(market, polydesk_domain::Payout::YES));
        process
            .until("the payout", |glance| !glance.positions.iter().any(|one| one.market == slug))
            .await;
        let finished = process.stop().await;
        assert!(finished.sim.check_conservation().is_ok());
    });
}

#[test]
fn d10_a_market_that_ended_and_says_that_it_trades_gets_no_order() {
    simulated(async {
        let mut setup = Setup { markets: polydesk_local_exchange::demo_markets(), ..still() };
        let mut ended = setup.markets[0].market.clone();
        (ended.slug, ended.event) = ("ended".into(), "ended".into());
        ended.condition = polydesk_domain::ConditionId::from_bytes([7; 32]);
        ended.tokens = [8, 9].map(|byte| polydesk_domain::TokenId::from_bytes([byte; 32]));
        ended.tick = Tick::Thousandth;
        ended.closes = Some(TEST_START + polydesk_domain::Span::secs(20));
        setup.markets.push(Listing::new(ended));
        let world = World::new(setup);
        let market = key(&world, "ended");
        let process = world.start().await.unwrap();
        process.until("quotes", |glance| glance.risk.open_orders > 8).await;
        pass(25).await;
        // Its book is swept, and another account offers YES for a tenth of a cent.
        world.exchange.venue(|venue| {
            for _ in 0..6 {
                venue.sweep_best(market);
            }
            let account = TEST_ADDRESSES[0];
            let caller = venue.derive_key(&account, 0).unwrap().key;
            let token = market.token(Outcome::Yes);
            let price = Price::new(10).unwrap();
            let spec = OrderSpec::limit(token, Side::Sell, price, Shares::whole(100));
            venue.place_as(caller, account, &spec).unwrap();
        });
        for _ in 0..120 {
            pass(1).await;
            let open = orders(&process, "ended");
            assert!(open.is_empty(), "{open:?} at {}", process.glance().unwrap().at);
        }
        let finished = process.stop().await;
        let ids = [8, 9].map(|byte| polydesk_domain::TokenId::from_bytes([byte; 32]));
        let of_ended = |fill: &&polydesk_replay::FillRow| ids.contains(&fill.fill.token);
        assert!(finished.ended.recording.fills.iter().find(of_ended).is_none());
    });
}

#[test]
fn d11_a_reversed_order_of_tokens_or_labels_never_buys_the_other_outcome() {
    let listing = &polydesk_local_exchange::demo_markets()[5];
    let [first, second] = listing.market.tokens.map(|token| token.to_string());
    let pair = |a: &str, b: &str| format!("[\\\"{a}\\\",\\\"{b}\\\"]");
    // The body holds the list as text: its quotes are escaped.
    let tokens = (pair(&first, &second), pair(&second, &first));
    let labels = (pair("Hawks", "Owls"), pair("Owls", "Hawks"));
    let cases = [
        ("tokens", vec![tokens.clone()]),
        ("labels", vec![labels.clone()]),
        ("both", vec![tokens, labels]),
    ];
    for (case, replaced) in cases {
        let (first, second) = (first.clone(), second.clone());
        simulated(async move {
            let world = World::new(still());
            let rules: Vec<String> =
                replaced.iter().map(|(from, to)| format!("['{from}', '{to}']")).collect();
            let alter = format!(
                "[[answers]]\nendpoint = \"GET /markets/keyset\"\nreplace = [{}]\n",
                rules.join(", ")
            );
            world.exchange.inject_toml(&alter).unwrap();
            let process = world.start().await.unwrap();
            process.until("quotes", |glance| glance.risk.open_orders > 8).await;
            pass(30).await;
            let finished = process.stop().await;
            let universe = finished.engine.universe();
            let market = universe.keys().map(|key| universe.market(key).clone());
            let market = market.into_iter().find(|market| market.slug == "hawks-owls");
            let outcome = market.map(|market| {
                let [yes, no] = [0, 1]
                    .map(|side| (market.tokens[side].to_string(), market.labels[side].clone()));
                [yes, no]
            });
            let true_pairs = [(first, "Hawks".to_owned()), (second, "Owls".to_owned())];
            match outcome {
                None => {}
                Some(pairs) => assert!(
                    pairs.iter().all(|pair| true_pairs.contains(pair)),
                    "{case}: {pairs:?} is not {true_pairs:?}"
                ),
            }
        });
    }
}

#[test]
fn d12_bait_that_is_shown_and_pulled_costs_less_than_a_hundredth_of_the_capital() {
    simulated(async {
        let world = World::new(moving(7));
        let process = world.start().await.unwrap();
        process.until("quotes", |glance| glance.risk.open_orders > 8).await;
        let market = key(&world, "rain-tomorrow");
        let begin = process.glance().unwrap().money.equity;
        let account = TEST_ADDRESSES[1];
        for episode in 0..60u16 {
            // A wall inside the spread or far below, on either side, for a second.
            world.exchange.venue(|venue| {
                let caller = venue.derive_key(&account, 0).unwrap().key;
                let (bid, ask) = venue.market_view(market).unwrap().top;
                let (Some(bid), Some(ask)) = (bid, ask) else { return };
                let (side, price) = match episode % 4 {
                    0 => (Side::Buy, Price::new(ask.units() - 100)),
                    1 => (Side::Sell, Price::new(bid.units() + 100)),
                    2 => (Side::Buy, Price::new(bid.units().saturating_sub(1_400).max(100))),
                    _ => (Side::Sell, Price::new(ask.units() + 1_400)),
                };
                let token = market.token(Outcome::Yes);
                let spec = OrderSpec::limit(token, side, price.unwrap(), Shares::whole(190));
                let spec = OrderSpec { post_only: true, ..spec };
                let _ = venue.place_as(caller, account, &spec);
            });
            pass(1).await;
            world.exchange.venue(|venue| {
                venue.cancel_all(&account, Some(market), None);
                if episode % 3 == 0 {
                    venue.sweep_best(market);
                }
            });
            pass(4).await;
        }
        let end = process.glance().unwrap().money.equity;
        assert!(begin - end < Usdc::whole(10), "from {begin} to {end}");
        let finished = process.stop().await;
        assert_eq!(finished.engine.manager().halted(), None);
        assert!(finished.sim.check_conservation().is_ok());
    });
}

#[test]
fn p6_a_lost_name_service_changes_no_order_and_trading_comes_back_by_itself() {
    for (network, name) in [(Network::Fails, "fails"), (Network::Hangs, "hangs")] {
        simulated(async move {
            let world = World::new(moving(3));
            let process = world.start().await.unwrap();
            process.until("a position", |glance| !glance.positions.is_empty()).await;
            world.network(network);
            let cut = "[[streams]]\nchannel = \"market\"\nact = \"cut\"\n\
                       [[answers]]\nendpoint = \"* *\"\nact = \"lose_request\"\ncalls = \"1..20\"\n";
            world.exchange.inject_toml(cut).unwrap();
            process.until("the blocker", |glance| blocked(glance, "market_link_down")).await;
            pass(2).await;
            let (placed, down) = (process.placed(), process.glance().unwrap());
            pass(120).await;
            let later = process.glance().unwrap();
            assert_eq!(process.placed(), placed, "{name}");
            assert!(later.positions.len() >= down.positions.len(), "{name}");
            world.network(Network::Works);
            process.until("the gate", |glance| glance.open() && usable(glance)).await;
            let finished = process.stop().await;
            assert!(finished.sim.check_conservation().is_ok(), "{name}");
        });
    }
    simulated(async {
        let world = World::new(still());
        world.network(Network::Hangs);
        let began = tokio::time::Instant::now();
        let Err(StartError::Unreachable { secs, .. }) = world.start().await else {
            panic!("it started without a venue")
        };
        assert!(began.elapsed().as_secs() <= u64::from(secs) + 30, "{:?}", began.elapsed());
    });
}

#[test]
fn p8_block_pages_instead_of_answers_stop_orders_and_are_asked_about_slowly() {
    simulated(async {
        let world = World::new(still());
        let process = world.start().await.unwrap();
        process.until("quotes", |glance| glance.risk.open_orders > 8).await;
        let blocked_page = "[[limits]]\nblocked = true\nfor = \"120s\"\n";
        world.exchange.inject_toml(blocked_page).unwrap();
        process.until("the blocker", |glance| blocked(glance, "clock")).await;
        let (placed, before) = (process.placed(), world.exchange.received().len());
        pass(60).await;
        let asked = world.exchange.received().len() - before;
        assert_eq!(process.placed(), placed);
        assert!(asked < 60 * 4, "{asked} requests a minute");
        process.until("the gate", |glance| glance.open() && usable(glance)).await;
        let _ = process.stop().await;
    });
}

#[test]
fn p9_a_429_with_its_time_is_obeyed_and_a_slow_edge_closes_nothing_for_good() {
    simulated(async {
        let world = World::new(still());
        let process = world.start().await.unwrap();
        process.until("quotes", |glance| glance.risk.open_orders > 8).await;
        let limited = "[[answers]]\nendpoint = \"GET /time\"\nstatus = 429\ncalls = \"1..3\"\n\
                       headers = { \"Retry-After\" = \"7\" }\n\
                       [[answers]]\nendpoint = \"GET /markets*\"\nafter = \"3s\"\n";
        world.exchange.inject_toml(limited).unwrap();
        let from = world.exchange.now();
        pass(60).await;
        let times: Vec<Time> = world
            .exchange
            .received()
            .iter()
            .filter(|one| one.path == "/time" && one.at > from)
            .map(|one| one.at)
            .collect();
        assert!(times.len() >= 4, "{times:?}");
        for pair in times.windows(2).take(3) {
            let gap = pair[0].until(pair[1]).as_millis();
            assert!(gap >= 7_000, "asked again after {gap} ms: {times:?}");
        }
        process.until("the gate", |glance| glance.open() && usable(glance)).await;
        let _ = process.stop().await;
    });
}

#[test]
fn p10_requests_that_nobody_answers_end_in_time_and_reads_are_repeated() {
    for act in ["silence_before", "silence_after", "lose_request", "cut"] {
        simulated(async move {
            let world = World::new(still());
            let process = world.start().await.unwrap();
            process.until("quotes", |glance| glance.risk.open_orders > 8).await;
            let dead =
                format!("[[answers]]\nendpoint = \"* *\"\nact = \"{act}\"\ncalls = \"1..40\"\n");
            world.exchange.inject_toml(&dead).unwrap();
            pass(240).await;
            let restarts = process.running.shared.metrics.restarts.load(Ordering::Relaxed);
            assert_eq!(restarts, 0, "{act}");
            process.until("the gate", |glance| glance.open() && usable(glance)).await;
            process.until("orders", |glance| glance.risk.open_orders > 8).await;
            let _ = process.stop().await;
        });
    }
}

#[test]
fn a_rules_text_that_changed_while_nothing_ran_blocks_its_market_once() {
    simulated(async {
        let world = World::new(still());
        let rules = |glance: &polydesk_runtime::glance::Glance| {
            glance.blockers.iter().any(|blocker| blocker.detail.contains("rules"))
        };
        let process = world.start().await.unwrap();
        process.until("quotes", |glance| glance.risk.open_orders > 8).await;
        pass(200).await;
        assert!(!rules(&process.glance().unwrap()));
        let _ = process.stop().await;
        let alter = "[[answers]]\nendpoint = \"GET /markets/keyset\"\nreplace = [['Will it rain tomorrow? (made', 'Will it snow tomorrow? (made']]\n";
        world.exchange.inject_toml(alter).unwrap();
        let process = world.start().await.unwrap();
        process.until("the block", rules).await;
        process.running.inbox.release_market("rain-tomorrow").await.unwrap();
        process.until("no block", |glance| !rules(glance)).await;
        pass(200).await;
        assert!(!rules(&process.glance().unwrap()));
        let _ = process.stop().await;
        // The text that a person has released is the known one from then on.
        let process = world.start().await.unwrap();
        process.until("quotes", |glance| glance.risk.open_orders > 8).await;
        pass(200).await;
        assert!(!rules(&process.glance().unwrap()));
        let _ = process.stop().await;
    });
}

#[test]
fn a_changed_rules_text_blocks_its_market_until_a_release() {
    simulated(async {
        let world = World::new(still());
        let process = world.start().await.unwrap();
        process.until("quotes", |glance| glance.risk.open_orders > 8).await;
        let alter = |endpoint: &str| {
            format!(
                "[[answers]]\nendpoint = \"{endpoint}\"\nreplace = [['Will it rain tomorrow? (made', 'Will it snow tomorrow? (made']]\n"
            )
        };
        world.exchange.inject_toml(&alter("GET /markets/keyset")).unwrap();
        process
            .until("the block", |glance| {
                glance.blockers.iter().any(|blocker| blocker.detail.contains("rules"))
            })
            .await;
        process
            .until("no order in it", |glance| {
                glance.orders.iter().all(|order| order.market != "rain-tomorrow")
            })
            .await;
        let others = process.glance().unwrap();
        assert!(others.risk.open_orders > 0, "other markets stay");
        pass(200).await;
        let quoted = |glance: &polydesk_runtime::glance::Glance| {
            glance.orders.iter().any(|order| order.market == "rain-tomorrow")
        };
        assert!(!quoted(&process.glance().unwrap()));
        let inbox = &process.running.inbox;
        assert_eq!(inbox.release_market("snow").await, Err("no market snow is frozen".to_owned()));
        inbox.release_market("rain-tomorrow").await.unwrap();
        process.until("quotes again", quoted).await;
        let _ = process.stop().await;
    });
}
