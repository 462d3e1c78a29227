use figment::value::Dict;

use super::*;

fn file(text: &str) -> (tempfile::NamedTempFile, Layer) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    let layer = Layer::file(file.path()).unwrap();
    (file, layer)
}

fn problems(layers: &[Layer]) -> Vec<String> {
    Settings::load(layers).unwrap_err().iter().map(Problem::to_string).collect()
}

#[test]
fn the_defaults_are_complete_and_valid() {
    let settings = Settings::load(&[]).unwrap();
    assert_eq!(settings.build().len(), 2);
    assert!(settings.lines.values().all(|(_, origin)| *origin == Origin::Default));
}

#[test]
fn every_key_of_the_types_is_in_the_files() {
    let text = |value: &dyn erased::Text| value.toml();
    let mut keys = BTreeMap::new();
    let files = Settings::load(&[]).unwrap().lines;
    for (section, toml) in [
        ("exchange", text(&SimConfig::default())),
        ("risk", text(&RawRisk::default())),
        ("stink_bidder", (CATALOGUE[0].defaults)()),
        ("arb_scanner", (CATALOGUE[1].defaults)()),
    ] {
        let values: Dict = figment::Figment::from(
            <figment::providers::Toml as figment::providers::Format>::string(&toml),
        )
        .extract()
        .unwrap();
        keys::flatten(section, &values, &mut keys);
    }
    for key in keys.keys() {
        assert!(files.contains_key(key), "{key} is missing in config/*.toml");
    }
}

mod erased {
    pub trait Text {
        fn toml(&self) -> String;
    }
    impl<T: serde::Serialize> Text for T {
        fn toml(&self) -> String {
            toml::to_string(self).unwrap()
        }
    }
}

#[test]
fn later_layers_win_and_origins_name_file_and_line() {
    let (file, layer) =
        file("[risk]\nmax_order_usd = 55.5\n\n[exchange.latency]\ninsert = \"5ms\"\n");
    let env = Layer::env([("POLYDESK__RUN__SEED".to_owned(), "9".to_owned())].into_iter());
    let flags = Layer::flags(vec![("run.bands".into(), "false".into(), "--no-bands".into())]);
    let settings = Settings::load(&[layer, env, flags]).unwrap();
    assert_eq!(settings.limits.max_order, "55.5".parse().unwrap());
    assert_eq!((settings.run.seed, settings.run.bands), (9, false));
    let origin = |key: &str| settings.lines[key].1.to_string();
    assert_eq!(origin("risk.max_order_usd"), format!("{}:2", file.path().display()));
    assert_eq!(origin("exchange.latency.insert"), format!("{}:5", file.path().display()));
    assert_eq!(origin("run.seed"), "env POLYDESK__RUN__SEED");
    assert_eq!(origin("run.bands"), "flag --no-bands");
}

#[test]
fn all_mistakes_are_reported_at_once_with_place_rule_and_fix() {
    let (file, layer) = file(
        "[risk]\nmax_oder_usd = 5\nmax_market_usd = -1\n[stink_bidder]\nmax_spread = 7.0\n\
         [exchange]\nqueue = \"optimistic\"\n[run]\nstrategies = [\"stink_bider\"]\n",
    );
    let path = file.path().display();
    let env = Layer::env([("POLYDESK__RUN__SEED".to_owned(), "many".to_owned())].into_iter());
    let all = problems(&[layer, env]);
    for want in [
        format!("{path}:2: risk.max_oder_usd is not a key; did you mean risk.max_order_usd?"),
        format!("{path}:3: risk.max_market_usd is -1.00; it must be above 0 pUSD"),
        format!(
            "{path}:5: stink_bidder.max_spread is 7; it must be between 0.0001 and 0.99 dollars"
        ),
        format!("{path}:7: exchange.queue is wrong: \"optimistic\" is not a queue model"),
        "env POLYDESK__RUN__SEED: run.seed is wrong".to_owned(),
    ] {
        assert!(
            all.iter().any(|problem| problem.starts_with(&want)),
            "{want} is missing in {all:#?}"
        );
    }
}

#[test]
fn a_file_that_does_not_parse_is_reported_with_its_name() {
    let (file, layer) = file("[risk\nmax = ");
    let all = problems(&[layer]);
    assert!(all[0].starts_with(&file.path().display().to_string()), "{all:?}");
}

fn env(variables: &[(&str, &str)]) -> Layer {
    Layer::env(variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
}

#[test]
fn an_instance_has_its_own_keys_over_those_of_its_kind_from_every_kind_of_layer() {
    let (file, layer) = file(
        "[run]\nstrategies = [\"stink_bidder\", \"stink_bidder.whales\", \"arb_scanner.slow\"]\n\
         [stink_bidder]\nmax_spread = 0.05\nttl_secs = 60\n\
         [stink_bidder.instances.whales]\nttl_secs = 30\nrungs = [{ below = 0.2, usd = 5 }]\n\
         [stink_bidder.instances.not_run]\n\
         [arb_scanner.instances]\nslow.retry_ms = 9000\n",
    );
    let env = env(&[
        ("POLYDESK__STINK_BIDDER__INSTANCES__WHALES__MAX_MID", "0.8"),
        ("POLYDESK__STINK_BIDDER__TTL_SECS", "90"),
    ]);
    let flags = Layer::flags(vec![(
        "stink_bidder.instances.whales.min_mid".into(),
        "0.2".into(),
        "--set".into(),
    )]);
    let settings = Settings::load(&[layer, env, flags]).unwrap();
    let built: Vec<String> = settings.build().iter().map(|s| s.id().to_string()).collect();
    assert_eq!(built, ["stink_bidder", "stink_bidder.whales", "arb_scanner.slow"]);
    let section = |place: usize| -> toml::Table { settings.strategies[place].1.parse().unwrap() };
    let (kind, whales) = (section(0), section(1));
    // Its own key wins over the kind's, whichever layer either stands in.
    assert_eq!(
        (kind["ttl_secs"].as_integer(), whales["ttl_secs"].as_integer()),
        (Some(90), Some(30))
    );
    assert_eq!(whales["max_spread"].as_float(), Some(0.05));
    assert_eq!(
        (whales["min_mid"].as_float(), whales["max_mid"].as_float()),
        (Some(0.2), Some(0.8))
    );
    assert_eq!(whales["rungs"].as_array().map(Vec::len), Some(1));
    assert!(!kind.contains_key("instances") && !whales.contains_key("instances"));
    assert_eq!(section(2)["retry_ms"].as_integer(), Some(9000));
    let shown = |key: &str| {
        let (value, origin) = &settings.lines[key];
        format!("{value} from {origin}")
    };
    let path = file.path().display();
    for (key, want) in [
        ("stink_bidder.instances.whales.ttl_secs", format!("30 from {path}:7")),
        (
            "stink_bidder.instances.whales.max_mid",
            "0.8 from env POLYDESK__STINK_BIDDER__INSTANCES__WHALES__MAX_MID".to_owned(),
        ),
        ("stink_bidder.instances.whales.min_mid", "0.2 from flag --set".to_owned()),
        ("arb_scanner.instances.slow.retry_ms", format!("9000 from {path}:11")),
        ("stink_bidder.ttl_secs", "90 from env POLYDESK__STINK_BIDDER__TTL_SECS".to_owned()),
    ] {
        assert_eq!(shown(key), want, "{key}");
    }
}

#[test]
fn mistakes_of_instances_name_place_rule_and_fix() {
    // A file, the line of the mistake, and the message.
    let cases = [
        (
            "[stink_bidder.instances.whales]\ntl_secs = 5\n",
            2,
            "stink_bidder.instances.whales.tl_secs is not a key; \
             did you mean stink_bidder.instances.whales.ttl_secs?",
        ),
        (
            "[stink_bidder.instances.a.instances.b]\nttl_secs = 5\n",
            2,
            "stink_bidder.instances.a.instances.b.ttl_secs is not a key; ",
        ),
        (
            "[stink_bider.instances.whales]\nttl_secs = 5\n",
            2,
            "stink_bider.instances.whales: stink_bider is not a strategy; \
             did you mean stink_bidder.instances.whales?",
        ),
        (
            "[run.instances.whales]\nseed = 5\n",
            2,
            "run.instances.whales: run is not a strategy; \
             instances belong to one of stink_bidder, arb_scanner",
        ),
        (
            "[stink_bidder.instances.Big-Whales]\nttl_secs = 5\n",
            2,
            "stink_bidder.instances.Big-Whales: the name of an instance has lower-case letters, \
             digits and _, as environment variables name it, too: write big_whales",
        ),
        (
            "[stink_bidder.instances.a_name_much_longer_than_fits]\n",
            1,
            "stink_bidder.instances.a_name_much_longer_than_fits: its id \
             stink_bidder.a_name_much_longer_than_fits has 41 bytes, at most 32 are allowed: \
             shorten the name to 19",
        ),
        (
            "[stink_bidder.instances]\nttl_secs = 5\n",
            2,
            "stink_bidder.instances.ttl_secs is 5; an instance is a section: \
             write [stink_bidder.instances.ttl_secs] with the keys that differ",
        ),
        (
            "[stink_bidder]\ninstances = 2\n",
            2,
            "stink_bidder.instances is 2; it holds sections: \
             write [stink_bidder.instances.NAME] with the keys that differ",
        ),
        (
            "[stink_bidder.instances.whales]\nttl_secs = 0\n",
            2,
            "stink_bidder.instances.whales.ttl_secs is 0; it must be above 0",
        ),
        (
            "[stink_bidder.instances.whales]\nttl_secs = 5\nmax_mid = 0.05\n",
            3,
            "stink_bidder.instances.whales.min_mid is 0.1; it must be below max_mid",
        ),
        (
            "[stink_bidder.instances.whales]\nrungs = [{ below = 7.0, usd = 5 }]\n",
            2,
            "stink_bidder.instances.whales.rungs[0].below is 7; it must be between",
        ),
        (
            "[stink_bidder.instances.whales]\nttl_secs = \"soon\"\n",
            2,
            "stink_bidder.instances.whales.ttl_secs is wrong: invalid type: string \"soon\"",
        ),
        (
            "[run]\nstrategies = [\"stink_bidder.whale\"]\n[stink_bidder.instances.whales]\n",
            2,
            "run.strategies names stink_bidder.whale; there is no section \
             [stink_bidder.instances.whale]: add it, or name one of arb_scanner, stink_bidder, \
             stink_bidder.whales",
        ),
        (
            "[run]\nstrategies = [\"stink_bidder.Whales\"]\n",
            2,
            "run.strategies names stink_bidder.Whales; the name of an instance has lower-case",
        ),
        (
            "[run]\nstrategies = [\"stink_bidder.a\", \"stink_bidder.a\"]\n[stink_bidder.instances.a]\n",
            2,
            "run.strategies names stink_bidder.a twice; each strategy runs once",
        ),
    ];
    for (text, line, want) in cases {
        let (file, layer) = file(text);
        let all = problems(&[layer]);
        let want = format!("{}:{line}: {want}", file.path().display());
        assert!(all.len() == 1 && all[0].starts_with(&want), "{want}\n{all:#?}");
    }
}

#[test]
fn a_mistake_of_the_kind_is_not_reported_again_for_each_instance() {
    let (_file, layer) = file(
        "[stink_bidder]\nttl_secs = 0\n[stink_bidder.instances.a]\n[stink_bidder.instances.b]\nttl_secs = 5\n",
    );
    let all = problems(&[layer]);
    assert!(all.len() == 1 && all[0].contains("stink_bidder.ttl_secs is 0"), "{all:#?}");
}

#[test]
fn a_parameter_of_the_wrong_type_is_reported_with_its_key_and_place() {
    for (text, want) in [
        (
            "[stink_bidder]\nttl_secs = 1.5\n",
            "stink_bidder.ttl_secs is wrong: invalid type: floating",
        ),
        ("[arb_scanner]\npairs = \"yes\"\n", "arb_scanner.pairs is wrong: invalid type: string"),
        (
            "[stink_bidder]\nrungs = [{ below = \"deep\", usd = 5 }]\n",
            "stink_bidder.rungs.below is wrong: invalid type: string",
        ),
    ] {
        let (file, layer) = file(text);
        let all = problems(&[layer]);
        let want = format!("{}:2: {want}", file.path().display());
        assert!(all.len() == 1 && all[0].starts_with(&want), "{want}\n{all:#?}");
    }
}

#[test]
fn the_scanner_prices_at_least_the_loss_at_which_legs_are_sold() {
    for (text, want) in [
        ("[risk]\nmax_unwind_loss = 0.05\n", None),
        ("[arb_scanner]\nmax_unwind_loss = 0.06\n", None),
        (
            "[risk]\nmax_unwind_loss = 0.08\n",
            Some(
                "2: risk.max_unwind_loss is 0.0800; it must be at most arb_scanner.max_unwind_loss \
                 (0.0500): raise that one, too",
            ),
        ),
        (
            "[arb_scanner]\nmax_unwind_loss = 0.04\n",
            Some(
                "2: arb_scanner.max_unwind_loss is 0.0400; it must be at least risk.max_unwind_loss \
                 (0.0500): raise it",
            ),
        ),
        (
            "[run]\nstrategies = [\"arb_scanner.slow\"]\n\
             [arb_scanner.instances.slow]\nmax_unwind_loss = 0.04\n",
            Some(
                "4: arb_scanner.instances.slow.max_unwind_loss is 0.0400; it must be at least \
                 risk.max_unwind_loss (0.0500): raise it",
            ),
        ),
    ] {
        let (file, layer) = file(text);
        match (Settings::load(&[layer]), want) {
            (Ok(_), None) => {}
            (Err(all), Some(want)) => {
                assert_eq!(all.len(), 1, "{all:?}");
                assert_eq!(all[0].to_string(), format!("{}:{want}", file.path().display()));
            }
            (got, want) => panic!("{text}: {:?}, not {want:?}", got.err()),
        }
    }
}

#[test]
fn the_age_of_a_proof_has_a_default_and_a_range() {
    assert_eq!(Settings::load(&[]).unwrap().feed.max_proof_age_secs, 15);
    let name = "POLYDESK__FEED__MAX_PROOF_AGE_SECS";
    for (value, want) in [("1", true), ("600", true), ("0", false), ("601", false)] {
        let loaded = Settings::load(&[env(&[(name, value)])]);
        match loaded {
            Ok(settings) => assert_eq!(
                (settings.feed.max_proof_age_secs.to_string(), want),
                (value.to_owned(), true)
            ),
            Err(problems) => {
                let message = format!(
                    "env {name}: feed.max_proof_age_secs is {value}; it must be between 1 and 600 seconds"
                );
                assert_eq!((problems[0].to_string(), want), (message, false));
            }
        }
    }
}

#[test]
fn a_key_that_moved_is_refused_with_its_new_name_and_why() {
    let (file, layer) = file(
        "[risk]\nmax_data_age_secs = 30\n[exchange.sets]\ndelay = \"1s\"\n\
         [exchange.matching]\nbatch_most = 5\n",
    );
    let env = env(&[("POLYDESK__RISK__MAX_DATA_AGE_SECS", "30")]);
    let path = file.path().display();
    let age = "risk.max_data_age_secs is not a key any more; write feed.max_proof_age_secs instead: \
               it is the age of the last proof that a book is current, and the runtime watches it";
    let mut want = vec![
        format!("{path}:2: {age}"),
        format!(
            "{path}:4: exchange.sets.delay is not a key any more; write exchange.conversions.delay \
             instead: splits, merges and redemptions are conversions"
        ),
        format!(
            "{path}:6: exchange.matching.batch_most is not a key any more; a request carries at most \
             15 orders, as at the venue: take the line out"
        ),
        format!("env POLYDESK__RISK__MAX_DATA_AGE_SECS: {age}"),
    ];
    let mut all = problems(&[layer, env]);
    want.sort();
    all.sort();
    assert_eq!(all, want);
}
