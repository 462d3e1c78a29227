//! Any event the engine can take, and streams of them.

use std::sync::Arc;

use polydesk_domain::*;
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

fn price() -> impl Strategy<Value = Price> {
    (0u16..=10_000).prop_map(|units| Price::new(units).unwrap())
}
fn shares() -> impl Strategy<Value = Shares> {
    prop_oneof![0u64..1_000_000_000_000, 0..=Shares::SANE_MAX.micros()].prop_map(Shares::new)
}
fn usdc() -> impl Strategy<Value = Usdc> {
    any::<i64>().prop_map(Usdc::new)
}
fn side() -> impl Strategy<Value = Side> {
    prop_oneof![Just(Side::Buy), Just(Side::Sell)]
}
fn top() -> impl Strategy<Value = Top> {
    (option::of(price()), option::of(price())).prop_map(|(bid, ask)| Top::new(bid, ask))
}
fn time() -> impl Strategy<Value = Time> {
    prop_oneof![any::<i64>(), Just(i64::MIN), Just(i64::MAX), 0i64..2_000_000_000_000_000_000]
        .prop_map(Time::from_nanos)
}
fn span() -> impl Strategy<Value = Span> {
    any::<i64>().prop_map(Span::nanos)
}
fn tick() -> impl Strategy<Value = Tick> {
    select(&Tick::ALL[..])
}
fn strategy_id() -> impl Strategy<Value = StrategyId> {
    "[a-z_]{1,12}(\\.[a-z]{1,9})?".prop_map(|name| name.parse().unwrap())
}
fn order_id() -> impl Strategy<Value = ClientOrderId> {
    any::<u64>().prop_map(ClientOrderId)
}
fn hash() -> impl Strategy<Value = OrderHash> {
    any::<[u8; 32]>().prop_map(OrderHash::from_bytes)
}
/// Few of them: a process keeps every code that it reads.
fn code() -> impl Strategy<Value = Code> {
    select(vec!["budget", "timeout", "deposit_log", "thin:book", "a"]).prop_map(Code::from)
}
fn text() -> impl Strategy<Value = String> {
    "\\PC{0,20}"
}
fn state() -> impl Strategy<Value = MarketState> {
    prop_oneof![
        Just(MarketState::Open),
        Just(MarketState::Paused),
        Just(MarketState::Closed),
        Just(MarketState::Disputed),
        (0u32..=1_000_000).prop_map(|yes| MarketState::Resolved(Payout::yes_micros(yes).unwrap())),
    ]
}
fn fees() -> impl Strategy<Value = Fees> {
    let period = (time(), 0u32..=1_000_000, 1u8..=2, 0u32..=1_000_000).prop_map(
        |(from, rate_ppm, exponent, rebate_ppm)| FeePeriod {
            from,
            rate: FeeRate { rate_ppm, exponent, rebate_ppm },
        },
    );
    vec(period, 0..3).prop_map(Fees::schedule)
}

/// A market that keeps number and tokens, and is otherwise anything.
pub fn market(number: u64) -> impl Strategy<Value = Arc<Market>> {
    let version = prop_oneof![
        Just(ProtocolVersion::V1),
        Just(ProtocolVersion::V2),
        "[a-z]{3,9}".prop_map(ProtocolVersion::Unknown),
    ];
    let group = ("\\PC{0,8}", option::of(any::<u32>()), any::<bool>(), any::<bool>()).prop_map(
        |(group, members, augmented, placeholder)| NegRisk {
            group,
            members,
            augmented,
            placeholder,
        },
    );
    let words = vec("\\PC{0,12}", 7);
    let facts = (tick(), shares(), fees(), option::of(group), version, state());
    let times = (option::of(time()), option::of(time()), span());
    (words, facts, times).prop_map(
        move |(words, (tick, min_size, fees, neg_risk, version, state), times)| {
            Arc::new(Market {
                labels: [words[0].clone(), words[1].clone()],
                question: words[2].clone(),
                slug: words[3].clone(),
                category: words[4].clone(),
                event: words[5].clone(),
                tick,
                min_size,
                fees,
                neg_risk,
                version,
                state,
                opens: times.0,
                closes: times.1,
                taker_delay: times.2,
                rules: number.is_multiple_of(2).then_some(0x0123_4567_89ab_cdef),
                assumed: vec![words[6].clone()],
                ..Market::plain(number, "")
            })
        },
    )
}

/// The markets that stories list first, under keys from zero.
const MARKETS: u32 = 3;

fn token() -> impl Strategy<Value = Token> {
    (0..2 * MARKETS).prop_map(Token)
}
fn key() -> impl Strategy<Value = MarketKey> {
    (0..MARKETS).prop_map(MarketKey)
}

fn level() -> impl Strategy<Value = MarketEvent> {
    (token(), side(), price(), shares(), option::of(top())).prop_map(
        |(token, side, price, size, top)| {
            MarketEvent::Level(LevelChange { token, side, price, size, top })
        },
    )
}

fn market_event() -> impl Strategy<Value = MarketEvent> {
    let levels = || vec((price(), shares()), 0..6);
    let print = (token(), side(), price(), shares()).prop_map(|(token, side, price, size)| Print {
        token,
        side,
        price,
        size,
    });
    prop_oneof![
        8 => level(),
        2 => print.prop_map(MarketEvent::Print),
        1 => (token(), top()).prop_map(|(token, top)| MarketEvent::Best { token, top }),
        2 => (token(), levels(), levels()).prop_map(|(token, bids, asks)| {
            MarketEvent::Snapshot(Arc::new(BookSnapshot { token, bids, asks }))
        }),
        1 => (key(), tick()).prop_map(|(market, tick)| MarketEvent::Tick { market, tick }),
        1 => (key(), state()).prop_map(|(market, state)| MarketEvent::State { market, state }),
        1 => option::of(key())
            .prop_map(|market| MarketEvent::Interrupted(Interruption { market })),
        1 => market(1).prop_map(|market| MarketEvent::Listed { key: MarketKey(0), market }),
        1 => (key(), any::<bool>())
            .prop_map(|(market, on)| MarketEvent::Unverified { market, on }),
        1 => (text(), any::<i64>()).prop_map(|(symbol, price_micros)| {
            MarketEvent::Reference(Arc::new(Reference { symbol, price_micros }))
        }),
    ]
}

fn order_update() -> impl Strategy<Value = OrderUpdate> {
    prop_oneof![
        hash().prop_map(|hash| OrderUpdate::Bound { hash }),
        Just(OrderUpdate::Sent),
        Just(OrderUpdate::Live),
        Just(OrderUpdate::Delayed),
        Just(OrderUpdate::Matched),
        text().prop_map(|text| OrderUpdate::Rejected { reason: RejectReason::Other(text) }),
        Just(OrderUpdate::Rejected { reason: RejectReason::Tick }),
        Just(OrderUpdate::Unknown),
        shares()
            .prop_map(|matched| OrderUpdate::Cancelled { reason: CancelReason::ByVenue, matched }),
        shares().prop_map(|matched| OrderUpdate::Expired { matched }),
        shares().prop_map(|matched| OrderUpdate::Filled { matched }),
        any::<bool>().prop_map(|still_open| OrderUpdate::CancelRefused { still_open }),
        Just(OrderUpdate::Absent),
        Just(OrderUpdate::NotSent { why: polydesk_domain::Code::literal("killed") }),
    ]
}

fn own_trade() -> impl Strategy<Value = OwnTrade> {
    let statuses = vec![
        TradeStatus::Matched,
        TradeStatus::Mined,
        TradeStatus::Retrying,
        TradeStatus::Confirmed,
        TradeStatus::Failed,
    ];
    let basis = prop_oneof![Just(Basis::Settled), Just(Basis::Estimated)];
    let fill = (shares(), usdc(), usdc(), option::of(price()), basis).prop_map(
        |(shares, notional, fee, level, basis)| Fill { shares, notional, fee, level, basis },
    );
    let role = prop_oneof![Just(Role::Maker), Just(Role::Taker)];
    (any::<u128>(), order_id(), token(), side(), role, fill, select(statuses)).prop_map(
        |(trade, order, token, side, role, fill, status)| OwnTrade {
            trade: TradeId(trade),
            order,
            token,
            side,
            role,
            fill,
            status,
        },
    )
}

fn cash() -> impl Strategy<Value = Cash> {
    let kinds = vec![
        CashKind::Deposit,
        CashKind::Withdrawal,
        CashKind::Split,
        CashKind::Merge,
        CashKind::Redeem,
        CashKind::Rebate,
        CashKind::Reward,
        CashKind::Failed,
    ];
    let conversion = option::of(any::<u64>().prop_map(ConversionId));
    let shares = [shares(), shares()];
    (select(kinds), conversion, option::of(strategy_id()), option::of(key()), usdc(), shares)
        .prop_map(|(kind, conversion, strategy, market, amount, shares)| Cash {
            kind,
            conversion,
            strategy,
            market,
            amount,
            shares,
        })
}

fn account_snapshot() -> impl Strategy<Value = AccountSnapshot> {
    let shares_of = btree_map(token(), shares(), 0..5);
    let open = btree_map(hash(), shares(), 0..4);
    (any::<u32>(), time(), any::<bool>(), usdc(), shares_of, open).prop_map(
        |(epoch, asked_at, complete, cash, shares, open)| AccountSnapshot {
            epoch,
            asked_at,
            complete,
            cash,
            shares,
            open,
        },
    )
}

fn finding() -> impl Strategy<Value = Finding> {
    prop_oneof![
        (usdc(), code()).prop_map(|(amount, code)| Finding::Cash { amount, code }),
        (token(), any::<i64>(), code()).prop_map(|(token, micros, code)| Finding::Shares {
            token,
            micros,
            code
        }),
        (token(), text()).prop_map(|(token, detail)| Finding::Freeze { token, detail }),
        usdc().prop_map(|difference| Finding::CashMismatch { difference }),
    ]
}

fn channel() -> impl Strategy<Value = Channel> {
    prop_oneof![Just(Channel::Market), Just(Channel::User)]
}

fn account_event() -> impl Strategy<Value = AccountEvent> {
    let external = (order_id(), hash(), token(), side(), price(), shares(), any::<bool>())
        .prop_map(|(id, hash, token, side, price, size, open)| ExternalOrder {
            id,
            hash,
            token,
            side,
            price,
            size,
            open,
        });
    prop_oneof![
        (channel(), any::<bool>()).prop_map(|(channel, up)| AccountEvent::Link { channel, up }),
        account_snapshot().prop_map(AccountEvent::Snapshot),
        (order_id(), order_update()).prop_map(|(id, update)| AccountEvent::Order { id, update }),
        own_trade().prop_map(AccountEvent::Trade),
        cash().prop_map(AccountEvent::Cash),
        external.prop_map(AccountEvent::External),
        finding().prop_map(AccountEvent::Finding),
    ]
}

fn exit_plan() -> impl Strategy<Value = ExitPlan> {
    let take_profit =
        (any::<u16>(), any::<bool>()).prop_map(|(gain, rest)| TakeProfit { gain, rest });
    let stop = (any::<u16>(), price()).prop_map(|(loss, floor)| Stop { loss, floor });
    let trailing = (any::<u16>(), any::<u16>())
        .prop_map(|(activate, distance)| Trailing { activate, distance });
    let spans = (option::of(span()), option::of(span()));
    (option::of(take_profit), option::of(stop), option::of(trailing), spans).prop_map(
        |(take_profit, stop, trailing, (max_hold, before_close))| ExitPlan {
            take_profit,
            stop,
            trailing,
            max_hold,
            before_close,
        },
    )
}

/// Money that its decimal text can hold.
fn money() -> impl Strategy<Value = Usdc> {
    (-1_000_000_000_000_000i64..1_000_000_000_000_000).prop_map(Usdc::new)
}

fn size() -> impl Strategy<Value = Size> {
    prop_oneof![shares().prop_map(Size::Shares), money().prop_map(Size::Spend)]
}

fn action() -> impl Strategy<Value = Action> {
    let urgency = prop_oneof![Just(Urgency::Now), Just(Urgency::Rest)];
    let plan = || option::of(exit_plan());
    let trade = (token(), side(), size(), price(), urgency, any::<bool>(), plan()).prop_map(
        |(token, side, size, limit, urgency, all_or_nothing, exit)| TradeIntent {
            token,
            side,
            size,
            limit,
            urgency,
            all_or_nothing,
            exit,
        },
    );
    let quote = (token(), side(), price(), shares(), plan())
        .prop_map(|(token, side, price, size, exit)| Quote { token, side, price, size, exit });
    let leg =
        (token(), side(), price()).prop_map(|(token, side, limit)| Leg { token, side, limit });
    let kinds =
        vec![BasketKind::BuyPair, BasketKind::SellPair, BasketKind::AllYes, BasketKind::AllNo];
    let basket = (select(kinds), vec(leg, 0..4), shares(), money())
        .prop_map(|(kind, legs, sets, edge)| Basket { kind, legs, sets, min_edge_per_set: edge });
    let close = (token(), any::<u32>(), price()).prop_map(|(token, fraction_ppm, floor)| Close {
        token,
        fraction_ppm,
        floor,
    });
    prop_oneof![
        trade.prop_map(Action::Trade),
        vec(quote, 0..4).prop_map(Action::Quotes),
        basket.prop_map(Action::Basket),
        close.prop_map(Action::Close),
    ]
}

fn signal() -> impl Strategy<Value = Signal> {
    let id = (strategy_id(), any::<u32>(), any::<u64>())
        .prop_map(|(producer, epoch, counter)| SignalId { producer, epoch, counter });
    let reason = prop_oneof![
        Just(Reason::new("plain")),
        any::<i64>().prop_map(|value| Reason::new("edge").with("edge_micros", value)),
    ];
    (id, strategy_id(), key(), action(), time(), time(), money(), reason).prop_map(
        |(id, strategy, market, action, created, expires, edge, reason)| Signal {
            id,
            strategy,
            market,
            action,
            created,
            expires,
            edge,
            reason,
        },
    )
}

fn world_event() -> impl Strategy<Value = WorldEvent> {
    let wallet = (text(), token(), side(), price(), shares(), text()).prop_map(
        |(wallet, token, side, price, size, transaction)| WalletTrade {
            wallet,
            token,
            side,
            price,
            size,
            transaction,
        },
    );
    let positions = vec((token(), shares()), 0..5);
    let leader = (text(), time(), any::<bool>(), positions, usdc(), option::of(usdc())).prop_map(
        |(wallet, asked_at, complete, positions, value, cash)| LeaderState {
            wallet,
            asked_at,
            complete,
            positions,
            value,
            cash,
        },
    );
    let article = (text(), text(), text(), text(), vec(key(), 0..3)).prop_map(
        |(source, title, body, url, markets)| Article { source, title, body, url, markets },
    );
    let ask = || any::<u64>().prop_map(AskId);
    let condition = any::<[u8; 32]>().prop_map(ConditionId::from_bytes);
    let forecast = (option::of(ask()), condition, any::<u32>(), text(), time()).prop_map(
        |(answers, condition, yes_ppm, model, evidence_until)| Forecast {
            answers,
            condition,
            yes_ppm,
            model,
            evidence_until,
        },
    );
    prop_oneof![
        wallet.prop_map(WorldEvent::Wallet),
        leader.prop_map(WorldEvent::LeaderState),
        article.prop_map(WorldEvent::Article),
        forecast.prop_map(WorldEvent::Forecast),
        (ask(), code()).prop_map(|(ask, code)| WorldEvent::NoForecast { ask, code }),
        signal().prop_map(WorldEvent::Signal),
    ]
}

fn cause() -> impl Strategy<Value = Cause> {
    let plain = vec![
        Cause::NotReconciled,
        Cause::Heartbeat,
        Cause::Clock,
        Cause::Lease,
        Cause::FundsHeld,
        Cause::Version,
        Cause::Disk,
        Cause::JournalSlow,
        Cause::LostTail,
        Cause::CashMismatch,
        Cause::CrashLoop,
        Cause::Paused,
        Cause::ReduceOnly,
        Cause::DailyLoss,
        Cause::Drawdown,
        Cause::Halted,
        Cause::Killed,
    ];
    prop_oneof![
        4 => select(plain),
        1 => channel().prop_map(Cause::Link),
        1 => code().prop_map(Cause::Runaway),
        1 => code().prop_map(Cause::Other),
        1 => key().prop_map(Cause::Market),
        1 => token().prop_map(Cause::Token),
        1 => key().prop_map(Cause::Unsettled),
        1 => key().prop_map(Cause::Flattened),
    ]
}

fn operator_command() -> impl Strategy<Value = OperatorCommand> {
    use OperatorCommand::*;
    prop_oneof![
        select(vec![Pause, ReduceOnly, Resume, Kill, Rearm]),
        (option::of(key()), option::of(price()))
            .prop_map(|(market, collar)| Flatten { market, collar }),
        (token(), any::<u32>(), option::of(price()))
            .prop_map(|(token, fraction_ppm, collar)| Close { token, fraction_ppm, collar }),
        order_id().prop_map(CancelOrder),
        option::of(key()).prop_map(CancelMarket),
        key().prop_map(ReleaseMarket),
        token().prop_map(ReleaseToken),
        cause().prop_map(ReleaseBlocker),
    ]
}

fn control_event() -> impl Strategy<Value = ControlEvent> {
    let toml = || text().prop_map(Arc::<str>::from);
    prop_oneof![
        Just(ControlEvent::Timer),
        Just(ControlEvent::Start(polydesk_domain::RunStart::backtest())),
        Just(ControlEvent::Stop),
        (cause(), any::<bool>(), text()).prop_map(|(cause, on, detail)| ControlEvent::Blocker {
            cause,
            on,
            detail
        }),
        toml().prop_map(|toml| ControlEvent::Limits { toml }),
        (strategy_id(), toml())
            .prop_map(|(strategy, toml)| ControlEvent::Params { strategy, toml }),
        (strategy_id(), any::<bool>()).prop_map(|(id, run)| ControlEvent::Strategy { id, run }),
        (text(), text(), text(), operator_command()).prop_map(|(by, why, key, command)| {
            ControlEvent::Operator(Operator { by, why, key, command })
        }),
    ]
}

/// Any event of the first markets but a delisting.
pub fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => market_event().prop_map(Event::from),
        1 => account_event().prop_map(Event::from),
        1 => world_event().prop_map(Event::from),
        1 => control_event().prop_map(Event::from),
    ]
}

/// Listings, then anything; time grows in steps from nothing to a day, numbers with holes.
pub fn story() -> impl Strategy<Value = Vec<Stamped>> {
    let step = prop_oneof![
        6 => 0i64..3,
        3 => 0i64..5_000_000_000,
        1 => 0i64..200_000_000_000_000,
    ];
    let hole = prop_oneof![9 => Just(1u64), 1 => 1u64..10_000];
    let listings = (market(1), market(2), market(3));
    let rows = vec((event(), step, hole, time()), 0..80);
    (listings, rows).prop_map(|((one, two, three), rows)| {
        let mut at = 1_780_000_000_000_000_000;
        let mut seq = 0;
        let mut events = Vec::new();
        let listed = [one, two, three].into_iter().enumerate().map(|(number, market)| {
            let key = MarketKey(number as u32);
            (Event::from(MarketEvent::Listed { key, market }), 0, 1, Time::MIN)
        });
        for (event, step, hole, venue_at) in listed.chain(rows) {
            at += step;
            seq += hole;
            events.push(Stamped { at: Time::from_nanos(at), venue_at, seq, event });
        }
        events
    })
}

/// Markets that are listed, traded, delisted and listed again, over several days.
pub fn comings_and_goings() -> impl Strategy<Value = Vec<Stamped>> {
    let step = prop_oneof![4 => 0i64..3, 1 => 0i64..100_000_000_000_000];
    vec((1u64..5, 0u8..6, step), 0..60).prop_map(|steps| {
        let mut universe = Universe::new();
        let mut events = Vec::new();
        let mut at = 1_780_000_000_000_000_000;
        for (number, what, step) in steps {
            at += step;
            let market = Arc::new(Market::plain(number, "m"));
            let event = match (universe.key(&market.condition), what) {
                (None, _) | (Some(_), 0) => {
                    let key = universe.assign(Arc::clone(&market)).unwrap();
                    MarketEvent::Listed { key, market }
                }
                (Some(market), 1 | 2) => {
                    universe.delist(market);
                    MarketEvent::Delisted { market }
                }
                (Some(market), _) => {
                    let (price, size) = (Price::cents(number as u16), Shares::whole(number));
                    let token = market.token(Outcome::No);
                    MarketEvent::Level(LevelChange {
                        token,
                        side: Side::Buy,
                        price,
                        size,
                        top: None,
                    })
                }
            };
            let (at, seq) = (Time::from_nanos(at), events.len() as u64);
            events.push(Stamped { at, venue_at: at, seq, event: event.into() });
        }
        events
    })
}
