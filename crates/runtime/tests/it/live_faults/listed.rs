//! The table of faults is whole: every id has a row, every test that a row names exists, and every scenario stands in
//! the rows of its ids.

use std::collections::BTreeSet;
use std::path::Path;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

fn text(name: &str) -> String {
    std::fs::read_to_string(Path::new(ROOT).join(name)).unwrap()
}

/// Names of all tests below a folder, without what was built.
fn tests(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("target") {
            tests(&path, found);
        } else if path.extension().is_some_and(|ext| ext == "rs") {
            found.extend(named(&std::fs::read_to_string(&path).unwrap()));
        }
    }
}

/// Functions with `#[test]` or `#[tokio::test]` above them.
fn named(source: &str) -> Vec<String> {
    let mut out = Vec::new();
    let mut marked = false;
    for line in source.lines().map(str::trim) {
        if line == "#[test]" || line.starts_with("#[tokio::test") {
            marked = true;
        } else if marked && !line.starts_with("#[") {
            marked = false;
            let name = line.trim_start_matches("async ").strip_prefix("fn ");
            let name = name.and_then(|rest| rest.split('(').next());
            out.extend(name.map(str::to_owned));
        }
    }
    out
}

/// What is wrong with a table, for ids, all tests, and those whose names begin with ids.
fn wrong(
    table: &str,
    ids: &[&str],
    tests: &BTreeSet<String>,
    scenarios: &BTreeSet<String>,
) -> Vec<String> {
    let rows: Vec<Vec<&str>> = table
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| id "))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect();
    let mut out = Vec::new();
    let listed: Vec<&str> = rows.iter().map(|row| row[0]).collect();
    if listed != ids {
        let missing: Vec<_> = ids.iter().filter(|id| !listed.contains(id)).collect();
        out.push(format!("the rows are not the ids of fixtures/faults.txt, missing: {missing:?}"));
    }
    for row in &rows {
        let [id, what, shown] = row[..] else {
            out.push(format!("{row:?} has not three cells"));
            continue;
        };
        let names: Vec<&str> = shown.split('`').skip(1).step_by(2).collect();
        if what.is_empty() || (names.is_empty() && shown != "not yet") {
            out.push(format!("{id} names neither a test nor \"not yet\""));
        }
        let unknown = names.iter().filter(|name| !tests.contains(**name));
        out.extend(unknown.map(|name| format!("{id} names the test {name}, which does not exist")));
    }
    for test in scenarios {
        for id in ids_of(test).filter(|id| ids.contains(&id.as_str())) {
            let here = rows.iter().any(|row| {
                row[0] == id && row.last().is_some_and(|shown| shown.contains(test.as_str()))
            });
            if !here {
                out.push(format!("the test {test} does not stand in the row of {id}"));
            }
        }
    }
    out
}

/// Ids with which a test's name begins.
fn ids_of(test: &str) -> impl Iterator<Item = String> + '_ {
    test.split('_').map_while(|part| {
        let (letter, number) = part.split_at_checked(1)?;
        let is_id = "abcdelpsmx".contains(letter) && number.parse::<u32>().is_ok();
        is_id.then(|| part.to_uppercase())
    })
}

#[test]
fn every_fault_has_its_row_and_every_named_test_exists() {
    let ids = text("fixtures/faults.txt");
    let ids: Vec<&str> = ids.lines().collect();
    let mut all = BTreeSet::new();
    for folder in ["crates", "bins", "xtask"] {
        tests(&Path::new(ROOT).join(folder), &mut all);
    }
    assert!(ids.len() > 100 && all.len() > 1_000, "{} ids, {} tests", ids.len(), all.len());
    let mut scenarios = BTreeSet::new();
    tests(&Path::new(ROOT).join("crates/runtime/tests"), &mut scenarios);
    let found = wrong(&text("docs/faults.md"), &ids, &all, &scenarios);
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn a_missing_row_an_unknown_test_and_an_unlisted_scenario_are_named() {
    let all = BTreeSet::from(["a1_it_holds".to_owned(), "b2_it_holds".to_owned()]);
    let good = "| id | what | tests |\n| A1 | x | `a1_it_holds` |\n| B2 | y | `b2_it_holds` |";
    assert_eq!(wrong(good, &["A1", "B2"], &all, &all), Vec::<String>::new());
    for (table, words) in [
        ("| A1 | x | `a1_it_holds` |", "missing"),
        ("| A1 | x | `a1_it_held` |\n| B2 | y | not yet |", "does not exist"),
        ("| A1 | x | `a1_it_holds` |\n| B2 | y |  |", "neither"),
        ("| A1 | x | `a1_it_holds` |\n| B2 | y | not yet |", "row of B2"),
        ("| A1 | x |\n| B2 | y | `b2_it_holds` |", "three cells"),
    ] {
        let found = wrong(table, &["A1", "B2"], &all, &all);
        assert!(found.iter().any(|line| line.contains(words)), "{table}: {found:?}");
    }
}
