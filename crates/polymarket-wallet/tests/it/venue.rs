//! The client against the local exchange: keys, books, orders of every wallet and exchange, cancels,
//! own state, and what it makes of lost and strange answers.

use std::sync::Arc;

use crate::common::*;
use polydesk_domain::{OrderHash, Price, Role, Shares, Side, Span, Tif};
use polydesk_local_exchange::Setup;
use polydesk_local_exchange::wallets::{TEST_KEYS, WalletKind};
use polydesk_polymarket_api::clob::request::{
    Asset, MarketList, OrderFilter, Stretch, TradeFilter,
};
use polydesk_polymarket_api::clob::{Clob, NotCanceled, PlacedStatus, TradeState, VenueMode};
use polydesk_polymarket_api::{
    ApiError, HttpConfig, L2Auth, Refusal, Secret, ServerClock, SignatureType,
};
use polydesk_polymarket_wallet::chain::{Relayer, RelayerAuth, RelayerConfig, SessionScope};
use polydesk_polymarket_wallet::signing::{
    Chain, Key, OrderSigner, Wallet, derive_api_key, derive_or_create_api_key,
};

const KINDS: [WalletKind; 4] =
    [WalletKind::Eoa, WalletKind::Proxy, WalletKind::Safe, WalletKind::Deposit];

#[test]
fn keys_are_derived_or_created_and_work() {
    run(async {
        let world = World::new(Setup::test()).await;
        let known = Key::from_hex(TEST_KEYS[0]).unwrap();
        let derived = derive_or_create_api_key(&world.clob, &known, 137, 0).await.unwrap();
        assert_eq!(
            derived.key,
            world.exchange.accounts()[0].credentials.as_ref().unwrap().key.to_string()
        );
        // Another nonce has none yet: deriving is refused, creating works, then deriving finds it.
        assert!(derive_api_key(&world.clob, &known, 137, 9).await.is_err());
        let created = derive_or_create_api_key(&world.clob, &known, 137, 9).await.unwrap();
        let again = derive_api_key(&world.clob, &known, 137, 9).await.unwrap();
        assert_eq!(created.key, again.key);
        assert_eq!(created.secret.expose(), again.secret.expose());
        // The wrong chain is another signature.
        let wrong = derive_api_key(&world.clob, &known, 1, 0).await;
        assert!(matches!(wrong, Err(ApiError::Unauthorised(_))), "{wrong:?}");

        let trader = world.trader(0, WalletKind::Eoa);
        assert!(trader.clob.api_keys().await.unwrap().contains(&derived.key));
        assert!(!trader.clob.closed_only().await.unwrap());
        let readonly = trader.clob.create_readonly_key().await.unwrap();
        assert_eq!(trader.clob.readonly_keys().await.unwrap(), std::slice::from_ref(&readonly));
        trader.clob.delete_readonly_key(&readonly).await.unwrap();
        assert!(trader.clob.readonly_keys().await.unwrap().is_empty());
    });
}

#[test]
fn public_data_is_read_typed() {
    run(async {
        let world = World::new(Setup { liquidity: true, ..Setup::test() }).await;
        let clob = &world.clob;
        assert_eq!(clob.version().await.unwrap(), 2);
        clob.ok().await.unwrap();
        assert_eq!(clob.sync_clock().await.unwrap(), Span::ZERO);
        let (yes, no) = (world.token("rain-tomorrow", 0), world.token("rain-tomorrow", 1));
        let ids = [world.token_id(yes), world.token_id(no)];
        let book = clob.book(&ids[0]).await.unwrap();
        assert_eq!(book.computed_hash(), book.hash);
        let truth = world.exchange.book(yes).unwrap();
        let snapshot = book.snapshot(yes).unwrap();
        assert_eq!(snapshot.bids.last().map(|level| level.0), truth.bid());
        assert_eq!(snapshot.asks.last().map(|level| level.0), truth.ask());
        let books = clob.books(&ids).await.unwrap();
        assert_eq!(books.len(), 2);
        let bid = clob.price(&ids[0], Side::Buy).await.unwrap().unwrap();
        let ask = clob.price(&ids[0], Side::Sell).await.unwrap().unwrap();
        assert_eq!(Price::try_from(bid).ok(), truth.bid());
        assert_eq!(Price::try_from(ask).ok(), truth.ask());
        assert_eq!(clob.spread(&ids[0]).await.unwrap(), Some(ask - bid));
        let mid = clob.midpoint(&ids[0]).await.unwrap().unwrap();
        assert_eq!(mid * rust_decimal::Decimal::TWO, ask + bid);
        assert_eq!(clob.midpoints(&ids).await.unwrap()[&ids[0].to_string()], mid);
        assert_eq!(clob.spreads(&ids).await.unwrap().len(), 2);
        assert_eq!(
            clob.prices(&[(ids[0], Side::Buy)]).await.unwrap()[&ids[0].to_string()].buy,
            Some(bid)
        );
        assert_eq!(clob.last_trade_price(&ids[0]).await.unwrap().known(), None);
        // A token without trades has no row.
        assert_eq!(clob.last_trades_prices(&ids).await.unwrap().len(), 0);
        assert_eq!(clob.tick_size(&ids[0]).await.unwrap(), world.market("rain-tomorrow").tick);
        assert!(!clob.neg_risk(&ids[0]).await.unwrap());
        assert!(clob.neg_risk(&world.token_id(world.token("ada-wins", 0))).await.unwrap());
        clob.legacy_fee_cap(&ids[0]).await.unwrap();
        clob.prices_history(&ids[0], Stretch::Interval("1d"), None).await.unwrap();
        for list in [
            MarketList::Full,
            MarketList::Simplified,
            MarketList::Sampling,
            MarketList::SamplingSimplified,
        ] {
            assert!(!clob.all_markets(list).await.unwrap().is_empty(), "{list:?}");
        }
        let condition = world.market("rain-tomorrow").condition;
        assert!(clob.market(&condition).await.unwrap().takes_orders());
        let info = clob.market_info(&condition).await.unwrap();
        assert_eq!(info.tokens[0].id, ids[0].to_string());
        assert_eq!(
            clob.market_by_token(&ids[1]).await.unwrap().condition_id,
            condition.to_string()
        );
        let missing = clob.book(&polydesk_domain::TokenId::from(5)).await;
        assert!(matches!(missing, Err(ApiError::NotFound(_))), "{missing:?}");
    });
}

#[test]
fn orders_of_every_wallet_on_every_exchange_rest_match_and_cancel() {
    run(async {
        let world = World::new(Setup::test()).await;
        let markets: Vec<_> =
            world.universe.keys().map(|key| world.universe.market(key).clone()).collect();
        let mut exchanges = std::collections::BTreeSet::new();
        for kind in KINDS {
            let maker = world.trader(0, kind);
            let taker = world.trader(1, kind);
            for market in &markets {
                if market.taker_delay > Span::ZERO {
                    continue;
                }
                exchanges.insert(format!(
                    "{:?}",
                    polydesk_polymarket_api::Exchange::of(market).unwrap()
                ));
                let what = format!("{kind:?} on {}", market.slug);
                // Rests under the id computed before it was sent.
                let signed = maker.sign(&ask(market, 0, Side::Buy, 30, 10, Tif::Gtc));
                let placed =
                    maker.post(&signed).await.unwrap_or_else(|error| panic!("{what}: {error}"));
                assert_eq!((placed.id, placed.status), (signed.id(), PlacedStatus::Live), "{what}");
                let open = maker.clob.open_orders(&OrderFilter::default()).await.unwrap();
                assert_eq!(
                    open.iter().filter_map(|o| o.hash()).collect::<Vec<_>>(),
                    [signed.id()],
                    "{what}"
                );
                assert_eq!(open[0].sizes(), Some((Shares::whole(10), Shares::ZERO)), "{what}");
                assert_eq!(open[0].token(), Some(market.tokens[0]), "{what}");
                // The same bytes again are a duplicate, not a second order.
                let twice = maker.post(&signed).await;
                assert!(
                    matches!(&twice, Err(error @ ApiError::Duplicate(_)) if error.may_have_taken_effect()),
                    "{what}: {twice:?}"
                );
                // Somebody sells into half of it.
                let sold = taker
                    .place(&ask(market, 0, Side::Sell, 30, 5, Tif::Fak))
                    .await
                    .unwrap_or_else(|error| panic!("{what}: {error}"));
                assert_eq!(sold.status, PlacedStatus::Matched, "{what}");
                let filter = TradeFilter { market: Some(market.condition), ..Default::default() };
                for (trader, role, side) in
                    [(&maker, Role::Maker, Side::Buy), (&taker, Role::Taker, Side::Sell)]
                {
                    let trades = trader.clob.trades(&filter).await.unwrap();
                    let wallet = trader.signer.maker().to_string();
                    let trade = trades
                        .iter()
                        .find(|t| {
                            t.own_legs(&trader.credentials.key, &wallet).is_ok_and(|l| {
                                l.iter().any(|l| l.order == signed.id() || l.order == sold.id)
                            })
                        })
                        .unwrap_or_else(|| panic!("{what}: no trade"));
                    let legs = trade.own_legs(&trader.credentials.key, &wallet).unwrap();
                    let leg = legs
                        .iter()
                        .find(|leg| leg.order == signed.id() || leg.order == sold.id)
                        .unwrap();
                    assert_eq!(
                        (leg.role, leg.side, leg.shares, leg.token),
                        (role, side, Shares::whole(5), market.tokens[0]),
                        "{what}"
                    );
                }
                let order = maker.clob.order(&signed.id()).await.unwrap().unwrap();
                assert_eq!(order.sizes(), Some((Shares::whole(10), Shares::whole(5))), "{what}");
                // And the rest is cancelled, once.
                let cancelled = maker.clob.cancel(&signed.id()).await.unwrap();
                assert_eq!(cancelled.canceled, [signed.id()], "{what}");
                let again = maker.clob.cancel(&signed.id()).await.unwrap();
                assert!(
                    again.canceled.is_empty()
                        && !matches!(again.not_canceled[0].1, NotCanceled::Other(_)),
                    "{what}: {again:?}"
                );
                assert!(
                    maker.clob.open_orders(&OrderFilter::default()).await.unwrap().is_empty(),
                    "{what}"
                );
                world.exchange.advance(Span::secs(30));
                world.exchange.check().unwrap();
            }
        }
        assert_eq!(exchanges.into_iter().collect::<Vec<_>>(), ["NegRisk", "Normal", "V3"]);
    });
}

#[test]
fn trades_walk_to_their_end_and_balances_follow() {
    run(async {
        let world = World::new(Setup::test()).await;
        let market = world.market("rain-tomorrow");
        let (maker, taker) =
            (world.trader(0, WalletKind::Deposit), world.trader(1, WalletKind::Deposit));
        let before = maker
            .clob
            .balance_allowance(Asset::Conditional(market.tokens[0]))
            .await
            .unwrap()
            .balance;
        maker.place(&ask(&market, 0, Side::Buy, 40, 20, Tif::Gtc)).await.unwrap();
        taker.place(&ask(&market, 0, Side::Sell, 40, 20, Tif::Fok)).await.unwrap();
        let filter = TradeFilter::default();
        let status = |trades: &[polydesk_polymarket_api::clob::Trade]| trades[0].status.clone();
        assert!(matches!(
            status(&maker.clob.trades(&filter).await.unwrap()),
            TradeState::Matched | TradeState::MatchedNotBroadcasted
        ));
        world.exchange.advance(Span::secs(60));
        assert_eq!(status(&maker.clob.trades(&filter).await.unwrap()), TradeState::Confirmed);
        maker.clob.update_balance_allowance(Asset::Conditional(market.tokens[0])).await.unwrap();
        let after =
            maker.clob.balance_allowance(Asset::Conditional(market.tokens[0])).await.unwrap();
        assert_eq!(after.balance - before, rust_decimal::Decimal::from(20_000_000));
        assert!(!after.allowances.is_empty());
        world.exchange.check().unwrap();
    });
}

#[test]
fn refusals_are_typed() {
    run(async {
        let world = World::new(Setup { liquidity: true, ..Setup::test() }).await;
        let market = world.market("rain-tomorrow");
        let trader = world.trader(0, WalletKind::Eoa);
        let truth = world.exchange.book(world.token("rain-tomorrow", 0)).unwrap();
        let best_ask = truth.ask().unwrap();
        let cents = best_ask.units() / 100;
        let why = |outcome: Result<polydesk_polymarket_api::clob::Placed, ApiError>| match outcome {
            Err(ApiError::Refused { why, .. }) => why,
            other => panic!("{other:?}"),
        };
        let mut crossing = ask(&market, 0, Side::Buy, cents, 10, Tif::Gtc);
        crossing.post_only = true;
        assert_eq!(why(trader.place(&crossing).await), Refusal::PostOnlyWouldCross);
        assert_eq!(
            why(trader.place(&ask(&market, 0, Side::Buy, 10, 1, Tif::Gtc)).await),
            Refusal::BelowMinimum
        );
        assert_eq!(
            why(trader.place(&ask(&market, 0, Side::Buy, 90, 999_999, Tif::Gtc)).await),
            Refusal::Balance
        );
        assert_eq!(
            why(trader.place(&ask(&market, 0, Side::Buy, 1, 5, Tif::Fak)).await),
            Refusal::FakKilled
        );
        assert_eq!(
            why(trader.place(&ask(&market, 0, Side::Sell, 99, 50, Tif::Fok)).await),
            Refusal::FokKilled
        );
        // A price that is no multiple of the tick size since a change after signing.
        let mut fine = ask(&market, 0, Side::Buy, 10, 10, Tif::Gtc);
        (fine.tick, fine.price) = (polydesk_domain::Tick::Thousandth, "0.105".parse().unwrap());
        assert_eq!(why(trader.place(&fine).await), Refusal::Tick);
        // Signed for the wrong exchange.
        let mut wrong = ask(&market, 0, Side::Buy, 10, 10, Tif::Gtc);
        wrong.exchange = polydesk_polymarket_api::Exchange::NegRisk;
        assert_eq!(why(trader.place(&wrong).await), Refusal::Signature);
        // With another account's credentials: the owner does not match.
        let other = world.trader(1, WalletKind::Eoa);
        let signed = trader.sign(&ask(&market, 0, Side::Buy, 10, 10, Tif::Gtc));
        let order = ask(&market, 0, Side::Buy, 10, 10, Tif::Gtc);
        let stamp = signed.stamp();
        let signed = trader.signer.sign(&order, stamp, &other.credentials.key).unwrap();
        let outcome = other.clob.place(&signed).await;
        assert!(matches!(why(outcome), Refusal::Signer | Refusal::Signature | Refusal::Owner));
        assert_eq!(trader.clob.mode(), VenueMode::Normal);
        world.exchange.check().unwrap();
    });
}

#[test]
fn batches_have_an_outcome_for_each_order() {
    run(async {
        let world = World::new(Setup::test()).await;
        let market = world.market("rain-tomorrow");
        let trader = world.trader(0, WalletKind::Safe);
        let orders: Vec<_> = [(20, 10), (21, 1), (22, 10)]
            .into_iter()
            .map(|(cents, size)| trader.sign(&ask(&market, 0, Side::Buy, cents, size, Tif::Gtc)))
            .collect();
        let outcomes = trader.clob.place_batch(&orders).await.unwrap();
        let results: Vec<_> = outcomes
            .iter()
            .map(|o| o.as_ref().map(|p| p.status).map_err(|e| e.to_string()))
            .collect();
        assert!(results[0].is_ok() && results[2].is_ok() && results[1].is_err(), "{results:?}");
        let too_many = vec![orders[0].clone(); 16];
        assert!(matches!(
            trader.clob.place_batch(&too_many).await,
            Err(ApiError::Misconfigured(_))
        ));
        let ids = [orders[0].id(), orders[1].id(), orders[2].id()];
        let cancelled = trader.clob.cancel_orders(&ids).await.unwrap();
        assert_eq!(cancelled.canceled.len(), 2);
        assert_eq!(cancelled.not_canceled, [(orders[1].id(), NotCanceled::NotFound)]);
        // By market, by token, and everything.
        for by in 0..3 {
            trader.place(&ask(&market, 1, Side::Buy, 20, 10, Tif::Gtc)).await.unwrap();
            let done = match by {
                0 => {
                    trader
                        .clob
                        .cancel_market(Some(&market.condition), Some(&market.tokens[1]))
                        .await
                }
                1 => trader.clob.cancel_market(None, Some(&market.tokens[1])).await,
                _ => trader.clob.cancel_all().await,
            };
            assert_eq!(done.unwrap().canceled.len(), 1, "{by}");
        }
        let nothing = trader.clob.cancel_market(None, None).await;
        assert!(matches!(nothing, Err(ApiError::Misconfigured(_))), "everything by mistake");
    });
}

#[test]
fn a_lost_answer_is_unknown_and_never_sent_again() {
    run(async {
        let world = World::new(Setup::test()).await;
        let market = world.market("rain-tomorrow");
        let trader = world.trader(0, WalletKind::Eoa);
        let cases = [
            ("act = \"lose_answer\"", true),
            ("act = \"lose_request\"", false),
            ("act = \"cut\"", true),
            ("act = \"lose_answer\"\nreset = true", true),
            ("act = \"lose_request\"\nreset = true", false),
            ("act = \"cut\"\nreset = true", true),
            ("status = 500\nbody = '{\"error\":\"could not insert order\"}'", true),
            ("status = 502\nbody = '<html>bad gateway</html>'\ncontent_type = \"text/html\"", true),
            ("act = \"block_page\"", false),
            (
                "body = '{\"success\":true,\"errorMsg\":\"\",\"orderID\":\"0x00\",\"status\":\"live\"}'",
                true,
            ),
            (
                "body = '{\"success\":true,\"errorMsg\":\"\",\"orderID\":\"\",\"status\":\"\"}'",
                true,
            ),
            ("body = 'null'", true),
            ("act = \"silence_after\"", true),
        ];
        for (fault, exists) in cases {
            let sent = world.exchange.count("POST", "/order");
            world
                .exchange
                .inject_toml(&format!(
                    "[[answers]]\nendpoint = \"POST /order\"\ncalls = \"1\"\n{fault}\n"
                ))
                .unwrap();
            let signed = trader.sign(&ask(&market, 0, Side::Buy, 20, 10, Tif::Gtc));
            let outcome = trader.post(&signed).await;
            assert!(matches!(outcome, Err(ApiError::Unknown(_))), "{fault}: {outcome:?}");
            assert_eq!(world.exchange.count("POST", "/order"), sent + 1, "{fault}: sent again");
            // The id computed before sending finds its state.
            let found = trader.clob.order(&signed.id()).await.unwrap();
            assert_eq!(found.is_some(), exists, "{fault}");
            trader.clob.cancel_all().await.unwrap();
            world.exchange.advance(Span::secs(1));
        }
    });
}

#[test]
fn reads_and_cancels_are_repeated_orders_are_not() {
    run(async {
        let world = World::new(Setup::test()).await;
        let market = world.market("rain-tomorrow");
        let trader = world.trader(0, WalletKind::Eoa);
        let placed = trader.place(&ask(&market, 0, Side::Buy, 20, 10, Tif::Gtc)).await.unwrap();
        world
            .exchange
            .inject_toml("[[answers]]\nendpoint = \"GET /book\"\ncalls = \"1..2\"\nact = \"lose_answer\"\n[[answers]]\nendpoint = \"DELETE /order\"\ncalls = \"1\"\nact = \"lose_request\"\n")
            .unwrap();
        let books = world.exchange.count("GET", "/book");
        trader.clob.book(&market.tokens[0]).await.unwrap();
        assert_eq!(world.exchange.count("GET", "/book"), books + 3);
        let cancelled = trader.clob.cancel(&placed.id).await.unwrap();
        assert_eq!(cancelled.canceled, [placed.id]);
        assert_eq!(world.exchange.count("DELETE", "/order"), 2);
    });
}

#[test]
fn modes_of_the_engine_are_states_the_caller_sees() {
    run(async {
        let world = World::new(Setup::test()).await;
        let market = world.market("rain-tomorrow");
        let trader = world.trader(0, WalletKind::Eoa);
        let mut watch = trader.clob.watch_mode();
        let order = ask(&market, 0, Side::Buy, 20, 10, Tif::Gtc);
        for (act, mode) in [
            ("restart", VenueMode::Restarting),
            ("cancel_only", VenueMode::CancelOnly),
            ("disabled", VenueMode::Disabled),
            ("post_only", VenueMode::PostOnly),
        ] {
            let resting = trader.place(&order).await.unwrap();
            world
                .exchange
                .inject_toml(&format!("[[engine]]\nact = \"{act}\"\nfor = \"10s\"\n"))
                .unwrap();
            let refused = trader.place(&order).await.unwrap_err();
            assert!(!refused.may_have_taken_effect(), "{act}: {refused}");
            assert_eq!(trader.clob.mode(), mode, "{act}: {refused}");
            assert!(watch.has_changed().unwrap(), "{act}");
            watch.mark_unchanged();
            if mode == VenueMode::CancelOnly {
                assert_eq!(trader.clob.cancel(&resting.id).await.unwrap().canceled, [resting.id]);
            }
            // Over, with the post-only window that follows a restart.
            world.exchange.advance(Span::secs(140));
            let next = trader.place(&order).await;
            assert!(next.is_ok(), "{act}: {next:?}");
            assert_eq!(trader.clob.mode(), VenueMode::Normal, "{act}");
            trader.clob.cancel_all().await.unwrap();
        }
    });
}

#[test]
fn a_refused_time_stamp_measures_the_clock_and_repeats_reads_and_cancels() {
    run(async {
        let world = World::new(Setup::test()).await;
        let trader = world.trader(0, WalletKind::Eoa);
        let market = world.market("rain-tomorrow");
        let order = ask(&market, 0, Side::Buy, 20, 10, Tif::Gtc);
        let mut ids = Vec::new();
        for _ in 0..2 {
            ids.push(trader.place(&order).await.unwrap().id);
        }
        world.exchange.inject_toml("[[time]]\nskew = \"2min\"\n").unwrap();
        let measured = || world.exchange.count("GET", "/time");
        // An emergency's cancel is not lost to a wrong clock.
        let cancelled = trader.clob.cancel(&ids[0]).await.unwrap();
        assert_eq!((cancelled.canceled, measured()), (vec![ids[0]], 1));
        let offset = trader.clob.clock().offset();
        assert!((offset.as_millis() - 120_000).abs() <= 1_000, "{offset}");
        let open = trader.clob.open_orders(&OrderFilter::default()).await.unwrap();
        assert_eq!((open.len(), measured()), (1, 1));
    });
}

#[test]
fn an_order_refused_for_its_time_stamp_is_not_repeated_and_the_error_names_the_clock() {
    run(async {
        let world = World::new(Setup::test()).await;
        let trader = world.trader(0, WalletKind::Eoa);
        let market = world.market("rain-tomorrow");
        world.exchange.inject_toml("[[time]]\nskew = \"-2min\"\n").unwrap();
        let order = ask(&market, 0, Side::Buy, 20, 10, Tif::Gtc);
        let error = trader.place(&order).await.unwrap_err();
        let ApiError::Unauthorised(text) = &error else { panic!("{error:?}") };
        assert!(text.contains("the clock that stamped the request was off by -1"), "{text}");
        assert!(!error.may_have_taken_effect());
        assert_eq!(world.exchange.count("POST", "/order"), 1);
        trader.place(&order).await.unwrap();
        assert_eq!(world.exchange.count("GET", "/time"), 1);
    });
}

#[test]
fn a_wrong_key_is_not_blamed_on_the_clock_and_asks_for_the_time_once() {
    run(async {
        let world = World::new(Setup::test()).await;
        let mut trader = world.trader(0, WalletKind::Eoa);
        trader.credentials.passphrase = Secret::new("another".to_owned());
        let address = trader.clob.auth().unwrap().address().to_owned();
        let auth = L2Auth::new(address, trader.credentials.clone()).unwrap();
        let clob = world.clob.with_auth(auth, SignatureType::Eoa);
        for _ in 0..3 {
            let error = clob.open_orders(&OrderFilter::default()).await.unwrap_err();
            let ApiError::Unauthorised(text) = &error else { panic!("{error:?}") };
            assert!(
                text.contains("the clock agrees with the venue's: check the API key"),
                "{text}"
            );
        }
        assert_eq!(world.exchange.count("GET", "/time"), 1);
        assert_eq!(world.exchange.count("GET", "/data/orders"), 3);
    });
}

#[test]
fn a_step_of_the_local_clock_locks_out_no_private_request() {
    run(async {
        let world = World::new(Setup::test()).await;
        let step = std::sync::Arc::new(std::sync::atomic::AtomicI64::new(0));
        let (time, steady, set) = (world.exchange.clone(), world.exchange.clone(), step.clone());
        let clock = ServerClock::over_both(
            move || time.now() + Span::secs(set.load(std::sync::atomic::Ordering::Relaxed)),
            move || steady.now(),
        );
        let trader = world.trader(0, WalletKind::Eoa);
        let auth = trader.clob.auth().unwrap().clone();
        let clob =
            Clob::new(world.http.clone(), &world.endpoints.clob, world.limits.clone(), clock);
        let clob = clob.with_auth(auth, SignatureType::Eoa);
        for seconds in [-3_600, 0, 3_600] {
            step.store(seconds, std::sync::atomic::Ordering::Relaxed);
            clob.cancel_all().await.unwrap();
        }
        assert_eq!(world.exchange.count("GET", "/time"), 0, "nothing had to be measured");
    });
}

#[test]
fn a_throttled_venue_is_left_alone_for_as_long_as_it_says() {
    run(async {
        let world = World::new(Setup::test()).await;
        let market = world.market("rain-tomorrow");
        let trader = world.trader(0, WalletKind::Eoa);
        world
            .exchange
            .inject_toml("[[limits]]\nsigner = \"on\"\nfigures = { orders = 1, order_burst = 2, cancels = 1, cancel_burst = 2, debt = false }\n")
            .unwrap();
        let mut throttled = None;
        for _ in 0..4 {
            match trader.place(&ask(&market, 0, Side::Buy, 20, 10, Tif::Gtc)).await {
                Ok(_) => {}
                Err(error) => {
                    throttled = Some(error);
                    break;
                }
            }
        }
        let Some(ApiError::Throttled { pause, .. }) = throttled else { panic!("{throttled:?}") };
        // Until then nothing more is sent; cancels go on.
        let sent = world.exchange.count("POST", "/order");
        let held = trader.place(&ask(&market, 0, Side::Buy, 20, 10, Tif::Gtc)).await;
        assert!(matches!(held, Err(ApiError::Throttled { .. })), "{held:?}");
        assert_eq!(world.exchange.count("POST", "/order"), sent);
        trader.clob.cancel_all().await.unwrap();
        world.exchange.advance(Span::nanos(pause.as_nanos() as i64 + 1_000_000_000));
        trader.place(&ask(&market, 0, Side::Buy, 20, 10, Tif::Gtc)).await.unwrap();
        assert!(!trader.clob.limits().signer_state().remaining.is_empty());
    });
}

#[test]
fn heartbeats_follow_the_venues_id_and_their_lapse_cancels() {
    run(async {
        let world = World::new(Setup::test()).await;
        let market = world.market("rain-tomorrow");
        let trader = world.trader(0, WalletKind::Eoa);
        trader.place(&ask(&market, 0, Side::Buy, 20, 10, Tif::Gtc)).await.unwrap();
        let first = trader.clob.heartbeat("").await.unwrap().next;
        world.exchange.advance(Span::secs(5));
        let second = trader.clob.heartbeat(&first).await.unwrap().next;
        // A wrong id is mended.
        let third = trader.clob.heartbeat("00000000-0000-4000-8000-000000000000").await.unwrap();
        assert!(!second.is_empty() && !third.next.is_empty());
        assert_eq!(trader.clob.open_orders(&OrderFilter::default()).await.unwrap().len(), 1);
        world.exchange.advance(Span::secs(20));
        assert!(trader.clob.open_orders(&OrderFilter::default()).await.unwrap().is_empty());
    });
}

#[test]
fn nothing_but_the_configured_hosts_is_reached() {
    run(async {
        let world = World::new(Setup::test()).await;
        // Another loopback port is another place.
        let elsewhere = World::new(Setup::test()).await;
        let stray = polydesk_polymarket_api::clob::Clob::new(
            world.http.clone(),
            &elsewhere.endpoints.clob,
            world.limits.clone(),
            world.clock.clone(),
        );
        let refused = stray.book(&world.token_id(world.token("rain-tomorrow", 0))).await;
        assert!(
            matches!(&refused, Err(ApiError::Misconfigured(text)) if text.contains("not among the configured hosts")),
            "{refused:?}"
        );
        assert!(elsewhere.exchange.received().is_empty(), "something was called");
        // Plain text off loopback is refused before anything is opened.
        let endpoints = polydesk_polymarket_api::Endpoints {
            clob: "http://example.org".into(),
            ..world.endpoints.clone()
        };
        let error =
            polydesk_polymarket_api::Http::new(HttpConfig::default(), &endpoints).unwrap_err();
        assert!(error.to_string().contains("endpoints.clob"), "{error}");
    });
}

#[test]
fn stale_and_partial_reads_are_read_as_they_are() {
    run(async {
        let world = World::new(Setup::test()).await;
        let market = world.market("rain-tomorrow");
        let trader = world.trader(0, WalletKind::Eoa);
        let placed = trader.place(&ask(&market, 0, Side::Buy, 20, 10, Tif::Gtc)).await.unwrap();
        world
            .exchange
            .inject_toml(
                "[[reads]]\nendpoint = \"GET /data/orders\"\nact = \"hide\"\nfor = \"5s\"\n",
            )
            .unwrap();
        assert!(trader.clob.open_orders(&OrderFilter::default()).await.unwrap().is_empty());
        // A hidden order is still known by its id: absence from a list proves nothing.
        assert!(trader.clob.order(&placed.id).await.unwrap().is_some());
        world.exchange.advance(Span::secs(6));
        assert_eq!(trader.clob.open_orders(&OrderFilter::default()).await.unwrap().len(), 1);
    });
}

#[test]
fn a_session_key_trades_from_its_registration_to_its_revocation() {
    run(async {
        let world = World::new(Setup::test()).await;
        let market = world.market("rain-tomorrow");
        let owner = world.trader(0, WalletKind::Deposit);
        let account = &world.exchange.accounts()[0];
        let wallet = Wallet::Deposit(account.wallets[&WalletKind::Deposit]);
        let relayer = Relayer::new(
            world.http.clone(),
            &world.endpoints.relayer,
            RelayerAuth::builder(owner.credentials.clone()).unwrap(),
            world.clock.clone(),
            RelayerConfig { poll_ms: 1, max_polls: 100_000, ..RelayerConfig::default() },
            Chain::polygon(),
            Arc::new(Key::from_hex(TEST_KEYS[0]).unwrap()),
            wallet,
            None,
        )
        .unwrap();
        // The session key is another account of the venue, signing for the owner's wallet.
        let own = world.trader(2, WalletKind::Eoa);
        let key = Key::from_hex(TEST_KEYS[2]).unwrap();
        let session = key.address();
        let signer = OrderSigner::new(key, wallet, &Chain::polygon()).with_session_key();
        let delegate = Trader { signer, ..own };
        let asked = ask(&market, 0, Side::Buy, 20, 10, Tif::Gtc);
        let refused = delegate.place(&asked).await;
        assert!(
            matches!(&refused, Err(ApiError::Refused { why: Refusal::Signer, .. })),
            "{refused:?}"
        );

        let relayer = Arc::new(relayer);
        let until = world.clock.secs() + 3_600;
        let registering = tokio::spawn({
            let relayer = relayer.clone();
            async move {
                let scopes = [SessionScope::Clob];
                relayer.authorise_session(session, &scopes, until).await
            }
        });
        while !registering.is_finished() {
            world.exchange.advance(Span::millis(100));
            tokio::task::yield_now().await;
        }
        registering.await.unwrap().unwrap();
        let listed = owner.clob.session_signers().await.unwrap();
        assert_eq!(listed.signers[0].scopes, ["CLOB"]);
        let placed = delegate.place(&asked).await.unwrap();
        assert_eq!(delegate.clob.open_orders(&OrderFilter::default()).await.unwrap().len(), 1);
        delegate.clob.cancel(&placed.id).await.unwrap();

        let gone = relayer.revoke_session(session).await.unwrap();
        assert!(gone.fenced);
        assert!(owner.clob.session_signers().await.unwrap().signers.is_empty());
        assert!(matches!(
            delegate.place(&asked).await,
            Err(ApiError::Refused { why: Refusal::Signer, .. })
        ));
        world.exchange.check().unwrap();
    });
}

#[test]
fn an_answer_to_a_cancel_counts_for_what_it_says_only() {
    run(async {
        let world = World::new(Setup::test()).await;
        let market = world.market("rain-tomorrow");
        let trader = world.trader(0, WalletKind::Eoa);
        let order = trader.place(&ask(&market, 0, Side::Buy, 20, 10, Tif::Gtc)).await.unwrap().id;
        let fault = |endpoint: &str, body: &str| {
            let toml =
                format!("[[answers]]\nendpoint = \"{endpoint}\"\ncalls = \"1\"\nbody = '{body}'\n");
            world.exchange.inject_toml(&toml).unwrap();
        };
        // Neither list: it is no answer, and certainly not "nothing was open".
        for body in ["{}", "{\"error\":\"x\"}", "null", "\"OK\"", "[]", "<html>"] {
            fault("DELETE /cancel-all", body);
            let nothing = trader.clob.cancel_all().await;
            assert!(matches!(nothing, Err(ApiError::Malformed { .. })), "{body}: {nothing:?}");
        }
        for body in ["{\"canceled\":[]}", "{\"canceled\":null,\"not_canceled\":null}"] {
            fault("DELETE /cancel-all", body);
            assert_eq!(trader.clob.cancel_all().await.unwrap(), Default::default(), "{body}");
            // Asked for by name and not named in the answer.
            fault("DELETE /order", body);
            assert_eq!(trader.clob.cancel(&order).await.unwrap().unanswered, [order], "{body}");
        }
        let other = OrderHash::from_bytes([7; 32]);
        let asked = [order, other];
        let named =
            format!("{{\"canceled\":[],\"not_canceled\":{{\"{other}\":\"Order not found\"}}}}");
        fault("DELETE /orders", &named);
        let report = trader.clob.cancel_orders(&asked).await.unwrap();
        assert_eq!(report.unanswered, [order]);
        assert_eq!(report.not_canceled, [(other, NotCanceled::NotFound)]);
    });
}

#[test]
fn rows_of_a_batch_that_name_each_others_orders_tell_nothing() {
    run(async {
        let world = World::new(Setup::test()).await;
        let market = world.market("rain-tomorrow");
        let trader = world.trader(0, WalletKind::Eoa);
        let signed: Vec<_> = [20, 21]
            .iter()
            .map(|cents| trader.sign(&ask(&market, 0, Side::Buy, *cents, 10, Tif::Gtc)))
            .collect();
        let row = |id: OrderHash, error: &str, status: &str| {
            format!(
                "{{\"success\":true,\"errorMsg\":\"{error}\",\"orderID\":\"{id}\",\"status\":\"{status}\"}}"
            )
        };
        let body = format!(
            "[{},{}]",
            row(signed[1].id(), "not enough balance / allowance", ""),
            row(signed[0].id(), "", "live")
        );
        let toml =
            format!("[[answers]]\nendpoint = \"POST /orders\"\ncalls = \"1\"\nbody = '{body}'\n");
        world.exchange.inject_toml(&toml).unwrap();
        let outcomes = trader.clob.place_batch(&signed).await.unwrap();
        for outcome in outcomes {
            assert!(matches!(outcome, Err(ApiError::Unknown(_))), "{outcome:?}");
        }
    });
}

#[test]
fn only_an_acknowledgement_is_a_heartbeat() {
    run(async {
        let world = World::new(Setup::test()).await;
        let trader = world.trader(0, WalletKind::Eoa);
        let expected = "{\"heartbeat_id\":\"5f0f4ef0-0000-4000-8000-000000000000\"";
        let cases = [
            ("<html>maintenance</html>".to_owned(), false, false),
            ("{\"error\":\"no such key\"}".to_owned(), false, false),
            ("[]".to_owned(), false, false),
            ("{}".to_owned(), true, true),
            (format!("{expected},\"error\":null}}"), true, true),
            // Refused with 200, and the id it names is not the one the exchange wants: refused again.
            (format!("{expected},\"error_msg\":\"Invalid Heartbeat ID\"}}"), false, false),
            ("\"OK\"".to_owned(), false, true),
        ];
        for (body, with_id, without_id) in cases {
            for endpoint in ["POST /v1/heartbeats", "POST /heartbeats"] {
                world
                    .exchange
                    .inject_toml(&format!(
                        "[[answers]]\nendpoint = \"{endpoint}\"\ncalls = \"1\"\nstatus = 200\nbody = '{body}'\n"
                    ))
                    .unwrap();
            }
            let beat = trader.clob.heartbeat("").await;
            assert_eq!(beat.is_ok(), with_id, "{body}: {beat:?}");
            let beat = trader.clob.heartbeat_without_id().await;
            assert_eq!(beat.is_ok(), without_id, "{body}: {beat:?}");
        }
    });
}
