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
fn every_key_of_the_types_stands_in_the_files() {
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
        check::flatten(section, &values, &mut keys);
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
fn later_layers_win_and_say_where_they_stand() {
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
fn all_mistakes_are_told_at_once_with_place_rule_and_mend() {
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
fn a_broken_file_is_told_with_its_name() {
    let (file, layer) = file("[risk\nmax = ");
    let all = problems(&[layer]);
    assert!(all[0].starts_with(&file.path().display().to_string()), "{all:?}");
}

#[test]
fn a_parameter_of_another_type_is_told_with_its_key_and_place() {
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
