//! Tapes give back what was put on them, merge like a sort, and refuse what is damaged.

use std::path::Path;
use std::sync::Arc;

use crate::common::{all, chain};
use polydesk_domain::*;
use polydesk_tape::{
    Certificate, EventSource, Manifest, ManifestDraft, TapeError, TapeReader, TapeWriter,
    content_hash, verify,
};
use proptest::prelude::*;

fn cases() -> ProptestConfig {
    let cases = std::env::var("TAPE_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(48);
    ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases) }
}

fn write(dir: &Path, events: &[Stamped]) -> Manifest {
    let mut writer = TapeWriter::create(dir, ManifestDraft::default()).unwrap();
    for stamped in events {
        writer.push(stamped).unwrap();
    }
    writer.finish(Certificate::default()).unwrap()
}

fn price() -> impl Strategy<Value = Price> {
    (0u16..=10_000).prop_map(|units| Price::new(units).unwrap())
}
fn shares() -> impl Strategy<Value = Shares> {
    prop_oneof![0u64..1_000_000_000_000, 0..=Shares::SANE_MAX.micros()].prop_map(Shares::new)
}
fn side() -> impl Strategy<Value = Side> {
    prop_oneof![Just(Side::Buy), Just(Side::Sell)]
}
fn top() -> impl Strategy<Value = Top> {
    (proptest::option::of(price()), proptest::option::of(price()))
        .prop_map(|(bid, ask)| Top { bid, ask })
}
fn time() -> impl Strategy<Value = Time> {
    prop_oneof![any::<i64>(), Just(i64::MIN), 0i64..2_000_000_000_000_000_000]
        .prop_map(Time::from_nanos)
}
fn tick() -> impl Strategy<Value = Tick> {
    (0usize..6).prop_map(|index| Tick::ALL[index])
}
fn strategy_id() -> impl Strategy<Value = StrategyId> {
    "[a-z_]{1,24}".prop_map(|name| name.parse().unwrap())
}
fn order_id() -> impl Strategy<Value = ClientOrderId> {
    any::<u64>().prop_map(ClientOrderId)
}
fn payout() -> impl Strategy<Value = Payout> {
    (0u32..=1_000_000).prop_map(|yes| Payout::yes_micros(yes).unwrap())
}
fn state() -> impl Strategy<Value = MarketState> {
    prop_oneof![
        Just(MarketState::Open),
        Just(MarketState::Paused),
        Just(MarketState::Closed),
        Just(MarketState::Disputed),
        payout().prop_map(MarketState::Resolved),
    ]
}
fn fees() -> impl Strategy<Value = Fees> {
    let period = (time(), 0u32..=1_000_000, 1u8..=2, 0u32..=1_000_000).prop_map(
        |(from, rate_ppm, exponent, rebate_ppm)| FeePeriod {
            from,
            rate: FeeRate { rate_ppm, exponent, rebate_ppm },
        },
    );
    proptest::collection::vec(period, 0..3).prop_map(Fees::schedule)
}

/// A market that keeps number and tokens, and is otherwise anything.
fn market(number: u64) -> impl Strategy<Value = Arc<Market>> {
    let version = prop_oneof![
        Just(ProtocolVersion::V1),
        Just(ProtocolVersion::V2),
        "[a-z]{3,9}".prop_map(ProtocolVersion::Unknown),
    ];
    let group = ("\\PC{0,8}", proptest::option::of(any::<u32>()), any::<bool>(), any::<bool>())
        .prop_map(|(group, members, augmented, placeholder)| NegRisk {
            group,
            members,
            augmented,
            placeholder,
        });
    let words = proptest::collection::vec("\\PC{0,12}", 7);
    let facts = (tick(), shares(), fees(), proptest::option::of(group), version, state());
    let times = (proptest::option::of(time()), proptest::option::of(time()), any::<i64>());
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
                taker_delay: Span::nanos(times.2),
                assumed: vec![words[6].clone()],
                ..Market::plain(number, "")
            })
        },
    )
}

fn order_event() -> impl Strategy<Value = OrderEvent> {
    prop_oneof![
        any::<[u8; 32]>().prop_map(|hash| OrderEvent::Bound { hash: OrderHash::from_bytes(hash) }),
        Just(OrderEvent::Sent),
        Just(OrderEvent::Live),
        Just(OrderEvent::Delayed),
        Just(OrderEvent::Matched),
        "\\PC{0,20}".prop_map(|text| OrderEvent::Rejected { reason: RejectReason::Other(text) }),
        Just(OrderEvent::Rejected { reason: RejectReason::Tick }),
        Just(OrderEvent::Unknown),
        shares()
            .prop_map(|matched| OrderEvent::Cancelled { reason: CancelReason::ByVenue, matched }),
        shares().prop_map(|matched| OrderEvent::Expired { matched }),
        shares().prop_map(|matched| OrderEvent::Filled { matched }),
        any::<bool>().prop_map(|still_open| OrderEvent::CancelRefused { still_open }),
        Just(OrderEvent::Absent),
    ]
}

const MARKETS: u32 = 3;

fn token() -> impl Strategy<Value = Token> {
    (0..2 * MARKETS).prop_map(Token)
}
fn key() -> impl Strategy<Value = MarketKey> {
    (0..MARKETS).prop_map(MarketKey)
}

fn public_event() -> impl Strategy<Value = Event> {
    let levels = || proptest::collection::vec((price(), shares()), 0..6);
    prop_oneof![
        8 => (token(), side(), price(), shares(), proptest::option::of(top())).prop_map(
            |(token, side, price, size, top)| Event::Level(LevelChange { token, side, price, size, top })
        ),
        2 => (token(), side(), price(), shares())
            .prop_map(|(token, side, price, size)| Event::Print(Print { token, side, price, size })),
        1 => (token(), top()).prop_map(|(token, top)| Event::Best { token, top }),
        2 => (token(), levels(), levels())
            .prop_map(|(token, bids, asks)| Event::Snapshot(Arc::new(Snapshot { token, bids, asks }))),
        1 => (key(), tick()).prop_map(|(market, tick)| Event::Tick { market, tick }),
        1 => (key(), state()).prop_map(|(market, state)| Event::State { market, state }),
        1 => proptest::option::of(key()).prop_map(|market| Event::Gap(Gap { market })),
        1 => market(1).prop_map(Event::Listed),
    ]
}

fn other_event() -> impl Strategy<Value = Event> {
    let article = ("\\PC{0,9}", "\\PC{0,30}", "\\PC{0,30}", "\\PC{0,9}");
    let wallet = (token(), side(), price(), shares(), "\\PC{0,9}");
    let cash_kind = (0usize..8).prop_map(|index| {
        [
            CashKind::Deposit,
            CashKind::Withdrawal,
            CashKind::Split,
            CashKind::Merge,
            CashKind::Redeem,
            CashKind::Rebate,
            CashKind::Reward,
            CashKind::Failed,
        ][index]
    });
    let cash = (
        cash_kind,
        proptest::option::of(order_id()),
        proptest::option::of(strategy_id()),
        proptest::option::of(key()),
        any::<i64>(),
        [shares(), shares()],
    );
    let own = (any::<u128>(), order_id(), token(), side(), (shares(), any::<i64>(), any::<i64>()));
    prop_oneof![
        (order_id(), order_event()).prop_map(|order| Event::Order(Box::new(order))),
        (own, proptest::option::of(price()), any::<bool>()).prop_map(
            |((trade, order, token, side, (shares, notional, fee)), level, maker)| {
                Event::Trade(Box::new(OwnTrade {
                    trade: TradeId(trade),
                    order,
                    token,
                    side,
                    role: if maker { Role::Maker } else { Role::Taker },
                    fill: Fill {
                        shares,
                        notional: Usdc::new(notional),
                        fee: Usdc::new(fee),
                        level,
                    },
                    status: if maker { TradeStatus::Mined } else { TradeStatus::Failed },
                }))
            }
        ),
        cash.prop_map(|(kind, command, strategy, market, amount, shares)| {
            Event::Cash(Box::new(Cash {
                kind,
                command,
                strategy,
                market,
                amount: Usdc::new(amount),
                shares,
            }))
        }),
        wallet.prop_map(|(token, side, price, size, transaction)| {
            let wallet = "0xab".to_owned();
            Event::Wallet(Arc::new(WalletTrade { wallet, token, side, price, size, transaction }))
        }),
        (article, proptest::collection::vec(key(), 0..3)).prop_map(
            |((source, title, body, url), markets)| {
                Event::Article(Arc::new(Article { source, title, body, url, markets }))
            }
        ),
        (any::<[u8; 32]>(), any::<u32>(), "\\PC{0,9}", time()).prop_map(
            |(condition, yes_ppm, model, evidence_until)| {
                let condition = ConditionId::from_bytes(condition);
                Event::Forecast(Arc::new(Forecast { condition, yes_ppm, model, evidence_until }))
            }
        ),
        proptest::option::of(key())
            .prop_map(|market| Event::Operator(OperatorCommand::Flatten(market))),
        (0usize..5).prop_map(|index| {
            use OperatorCommand::*;
            Event::Operator([Pause, ReduceOnly, Resume, Kill, Rearm][index])
        }),
        (strategy_id(), "\\PC{0,40}")
            .prop_map(|(strategy, toml)| Event::Params { strategy, toml: toml.into() }),
        Just(Event::Timer),
        Just(Event::Start),
        Just(Event::Stop),
    ]
}

/// Listings, then anything; time grows in steps from nothing to a day, numbers with holes.
fn story() -> impl Strategy<Value = Vec<Stamped>> {
    let event = prop_oneof![3 => public_event(), 1 => other_event()];
    let step = prop_oneof![
        6 => 0i64..3,
        3 => 0i64..5_000_000_000,
        1 => 0i64..200_000_000_000_000,
    ];
    let hole = prop_oneof![9 => Just(1u64), 1 => 1u64..10_000];
    let listings = (market(1), market(2), market(3));
    let rows = proptest::collection::vec((event, step, hole, time()), 0..80);
    (listings, rows).prop_map(|((one, two, three), rows)| {
        let mut at = 1_780_000_000_000_000_000;
        let mut seq = 0;
        let mut events = Vec::new();
        let listed = [one, two, three].map(|market| (Event::Listed(market), 0, 1, Time::MIN));
        for (event, step, hole, venue_at) in listed.into_iter().chain(rows) {
            at += step;
            seq += hole;
            events.push(Stamped { at: Time::from_nanos(at), venue_at, seq, event });
        }
        events
    })
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn what_is_written_is_read_back(events in story()) {
        let place = tempfile::tempdir().unwrap();
        let dir = place.path().join("tape");
        let manifest = write(&dir, &events);
        let mut reader = TapeReader::open(&dir).unwrap();
        let read = all(&mut reader);
        prop_assert_eq!(&read, &events);
        prop_assert_eq!(reader.universe().len(), 3);
        prop_assert_eq!(manifest.rows, events.len() as u64);
        let mut reader = TapeReader::open(&dir).unwrap();
        prop_assert_eq!(content_hash(&mut reader).unwrap(), manifest.content_sha256);
    }

    #[test]
    fn merging_tapes_equals_sorting_them(one in story(), two in story(), three in story()) {
        let place = tempfile::tempdir().unwrap();
        let mut dirs = Vec::new();
        let mut expected = Vec::new();
        for (rank, events) in [one, two, three].into_iter().enumerate() {
            let dir = place.path().join(format!("tape-{rank}"));
            write(&dir, &events);
            dirs.push(dir);
            expected.extend(events.into_iter().map(|stamped| (stamped.at, rank, stamped)));
        }
        expected.sort_by_key(|(at, rank, stamped)| (*at, *rank, stamped.seq));
        let merged = all(TapeReader::open_many(&dirs).unwrap());
        prop_assert_eq!(merged.len(), expected.len());
        for (position, (merged, (_, _, wanted))) in merged.into_iter().zip(expected).enumerate() {
            prop_assert_eq!(merged.seq, position as u64);
            prop_assert_eq!(merged, Stamped { seq: position as u64, ..wanted });
        }
    }

    #[test]
    fn damage_anywhere_is_an_error_or_changes_nothing(
        events in story(),
        file in any::<prop::sample::Index>(),
        byte in any::<prop::sample::Index>(),
        flip in 1u8..=255,
        cut in any::<bool>(),
    ) {
        let place = tempfile::tempdir().unwrap();
        let dir = place.path().join("tape");
        let manifest = write(&dir, &events);
        let path = dir.join(file.get(&manifest.files));
        let mut bytes = std::fs::read(&path).unwrap();
        let at = byte.index(bytes.len());
        if cut { bytes.truncate(at) } else { bytes[at] ^= flip }
        std::fs::write(&path, bytes).unwrap();
        // No panic, and no error without a place. Parquet pages carry no sum, so some flips are read
        // as other values: then the content hash shows it.
        match verify(&dir) {
            Ok(()) => prop_assert_eq!(all(TapeReader::open(&dir).unwrap()), events),
            Err(error) => prop_assert!(chain(&error).contains("tape"), "{}", chain(&error)),
        }
    }
}

fn small() -> (tempfile::TempDir, std::path::PathBuf) {
    let place = tempfile::tempdir().unwrap();
    let dir = place.path().join("tape");
    polydesk_tape::synthetic::Speed { tokens: 4, rows: 100_000, seed: 1 }.write(&dir).unwrap();
    (place, dir)
}

#[test]
fn another_schema_version_is_refused_by_name() {
    let (_place, dir) = small();
    let path = dir.join("manifest.json");
    let text = std::fs::read_to_string(&path).unwrap();
    for (from, to, found) in [
        ("\"schema_version\": 1", "\"schema_version\": 2", "version 2"),
        ("\"schema_version\": 1,", "", "version missing"),
    ] {
        assert!(text.contains(from));
        std::fs::write(&path, text.replace(from, to)).unwrap();
        let error = TapeReader::open(&dir).err().unwrap();
        assert!(matches!(error, TapeError::SchemaVersion { .. }));
        assert!(error.to_string().contains(found), "{error}");
    }
    std::fs::write(&path, &text).unwrap();
    // The Parquet files carry it too: a file of another program is not read as ours.
    let manifest = Manifest::read(&dir).unwrap();
    let file = dir.join(&manifest.files[0]);
    let mut bytes = std::fs::read(&file).unwrap();
    let name = b"polydesk.schema_version";
    let found = bytes.windows(name.len()).rposition(|window| window == name).unwrap();
    bytes[found] = b'q';
    std::fs::write(&file, bytes).unwrap();
    let mut reader = TapeReader::open(&dir).unwrap();
    let error = reader.next_event().unwrap_err();
    assert!(matches!(error, TapeError::SchemaVersion { .. }), "{error}");
}

#[test]
fn an_unfinished_or_absent_tape_is_no_tape() {
    let place = tempfile::tempdir().unwrap();
    let dir = place.path().join("tape");
    let error = TapeReader::open(&dir).err().unwrap();
    assert!(matches!(error, TapeError::NotATape { .. }), "{error}");
    drop(TapeWriter::create(&dir, ManifestDraft::default()).unwrap());
    let error = TapeReader::open(&dir).err().unwrap();
    assert!(error.to_string().contains("manifest.json"), "{error}");
    let error = TapeWriter::create(&dir, ManifestDraft::default()).err().unwrap();
    assert!(error.to_string().contains("empty"), "{error}");
}

#[test]
fn a_corrupt_row_group_is_named_and_what_came_before_was_given() {
    let (_place, dir) = small();
    let manifest = Manifest::read(&dir).unwrap();
    let file = dir.join(&manifest.files[1]);
    let mut bytes = std::fs::read(&file).unwrap();
    let middle = bytes.len() * 3 / 4;
    bytes[middle..middle + 20_000].fill(0xa5);
    std::fs::write(&file, &bytes).unwrap();
    let mut reader = TapeReader::open(&dir).unwrap();
    let mut given = 0;
    let error = loop {
        match reader.next_event() {
            Ok(Some(_)) => given += 1,
            Ok(None) => panic!("the damage went unnoticed"),
            Err(error) => break error.to_string(),
        }
    };
    assert!(given > 30_000, "{given}");
    assert!(error.contains("row group") && error.contains("part-0.parquet"), "{error}");
    // Cut short, the footer is missing, and the file says so.
    std::fs::write(&file, &bytes[..middle]).unwrap();
    let mut reader = TapeReader::open(&dir).unwrap();
    let error = reader.next_event().unwrap_err().to_string();
    assert!(error.contains("footer"), "{error}");
    std::fs::remove_file(&file).unwrap();
    assert!(TapeReader::open(&dir).err().unwrap().to_string().contains("not there"));
}

#[test]
fn events_out_of_order_or_of_unlisted_markets_are_refused() {
    let place = tempfile::tempdir().unwrap();
    let mut writer =
        TapeWriter::create(&place.path().join("tape"), ManifestDraft::default()).unwrap();
    let stamped = |at, seq, event| Stamped {
        at: Time::from_secs(at),
        venue_at: Time::from_secs(at),
        seq,
        event,
    };
    let best = || Event::Best { token: Token(0), top: Top { bid: None, ask: None } };
    assert!(writer.push(&stamped(10, 1, best())).unwrap_err().to_string().contains("listed"));
    let market = Arc::new(Market::plain(1, "one"));
    writer.push(&stamped(10, 2, Event::Listed(market))).unwrap();
    writer.push(&stamped(10, 3, best())).unwrap();
    for (at, seq) in [(9, 4), (10, 3), (11, 2)] {
        let error = writer.push(&stamped(at, seq, best())).unwrap_err().to_string();
        assert!(error.contains("must not run backwards"), "{error}");
    }
    let absurd = Shares::new(Shares::SANE_MAX.micros() + 1);
    let news = OrderEvent::Filled { matched: absurd };
    let print = Print { token: Token(0), side: Side::Buy, price: Price::cents(5), size: absurd };
    for event in [Event::Order(Box::new((ClientOrderId(1), news))), Event::Print(print)] {
        let error = writer.push(&stamped(10, 5, event)).unwrap_err().to_string();
        assert!(error.contains("500 million"), "{error}");
    }
    writer.push(&stamped(10, 9, best())).unwrap();
    assert_eq!(writer.finish(Certificate::default()).unwrap().rows, 3);
}

#[test]
fn a_certificate_reads_well_on_a_terminal() {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/tapes/nhl-2026-06-07");
    let certificate = Certificate::read(&shipped).unwrap();
    expect_test::expect![[r#"
        format            tickscope
        rows read         206893
        events            206857
          article         3
          level           206365
          listed          6
          print           483
        from              2026-06-07T01:30:09.266Z
        to                2026-06-07T01:45:01.304Z
        gaps over 30s     1
          42.2 s after 2026-06-07T01:30:09.266Z
        exact duplicates  93 (1 prints)
        venue time        1395 backward, 3613 late by up to 2485ms
        venue hashes      0 equal, 0 different, 0 not checkable
        batches           102734 (0 crossed after, 829 with other best prices)
        changing nothing  103294
        stale levels      3 (their removal was not recorded)
        inferred ticks    1
        snapped floats    0
        rejected rows     0
        assumed           condition: not published; SHA-256 of the token ids (6 markets)
        assumed           fee: sports schedule before 2026-07-10: 0.03, exponent 1,
                          makers' share 25 % (6 markets)
        assumed           min_size: 5 shares, the venue's usual minimum (6 markets)
        assumed           outcomes: the token seen first is taken as outcome 0; which
                          team it stands for is not recorded (6 markets)
        assumed           taker_delay: none; the event's delay for takers is not
                          recorded (6 markets)
        assumed           tick: 0.01, as all prices of five markets are whole cents; the
                          sixth turns finer without an announcement (6 markets)
        assumed           version: v1: dated after the change of 2026-04-28 (6 markets)
        note              no initial snapshot was recorded: books grow from changes and
                          are proven only where the carried best prices agree
        note              titles were not recorded; tokens are paired because every
                          change of one is the exact mirror of a change of the other"#]]
    .assert_eq(&certificate.render());
}
