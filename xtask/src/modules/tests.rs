//! Crates of a few lines, held in memory.

use super::{Graph, Modules, compare};

/// The graph of a crate; its first file is the root.
fn graph(files: &[(&str, &str)]) -> Graph {
    let read = |wanted: &str| {
        files.iter().find(|(file, _)| *file == wanted).map(|(_, text)| (*text).to_owned())
    };
    Graph::new(&Modules::read(files[0].0, &read).expect("the crate is readable"))
}

/// `from > to` for each reference, sorted.
fn edges(files: &[(&str, &str)]) -> Vec<String> {
    let graph = graph(files);
    let mut found: Vec<String> = graph
        .edges
        .keys()
        .map(|(from, to)| format!("{} > {}", graph.files[*from], graph.files[*to]))
        .collect();
    found.sort();
    found
}

fn check(files: &[(&str, &str)], expected: &[&str]) {
    assert_eq!(edges(files), expected);
}

const GATE: (&str, &str) = ("gate.rs", "pub struct Gate; pub fn secs() {} pub const MOST: u8 = 1;");
const SIDE: (&str, &str) = ("side.rs", "pub enum Side { Buy, Sell }");

#[test]
fn a_use_is_an_edge_to_the_file_of_the_item_and_a_mod_declaration_is_none() {
    check(
        &[
            ("lib.rs", "mod gate; mod orders;"),
            GATE,
            ("orders.rs", "use crate::gate::Gate; use std::fmt; use serde::Serialize;"),
        ],
        &["orders.rs > gate.rs"],
    );
}

#[test]
fn a_re_export_is_resolved_to_the_file_that_defines_the_item() {
    check(
        &[
            ("lib.rs", "mod gate; mod orders; pub use gate::Gate;"),
            GATE,
            ("orders.rs", "use crate::Gate;"),
        ],
        &["orders.rs > gate.rs"],
    );
}

#[test]
fn a_re_export_of_a_re_export_is_resolved_to_the_end() {
    check(
        &[
            ("lib.rs", "mod risk; mod orders; pub(crate) use risk::Check as Final;"),
            ("risk/mod.rs", "mod gate; pub(crate) use self::gate::Gate as Check;"),
            ("risk/gate.rs", "pub struct Gate;"),
            ("orders.rs", "use crate::Final;"),
        ],
        &["orders.rs > risk/gate.rs"],
    );
}

#[test]
fn a_private_import_is_resolved_when_a_child_reaches_for_it() {
    check(
        &[
            ("lib.rs", "mod gate; mod desk;"),
            GATE,
            ("desk/mod.rs", "mod cash; use crate::gate::Gate;"),
            ("desk/cash.rs", "use super::Gate;"),
        ],
        &["desk/cash.rs > gate.rs", "desk/mod.rs > gate.rs"],
    );
}

#[test]
fn a_facade_uses_nothing_by_re_exporting_but_by_naming_what_it_re_exports() {
    let gate = ("gate.rs", "use crate::Limits; pub struct Gate;");
    check(
        &[("lib.rs", "mod gate; pub use gate::Gate; pub struct Limits;"), gate],
        &["gate.rs > lib.rs"],
    );
    check(
        &[("lib.rs", "mod gate; pub use gate::Gate; pub struct Limits { gate: Gate }"), gate],
        &["gate.rs > lib.rs", "lib.rs > gate.rs"],
    );
}

#[test]
fn groups_are_taken_apart() {
    check(
        &[
            ("lib.rs", "mod gate; mod side; mod desk; mod orders;"),
            GATE,
            SIDE,
            ("desk.rs", "mod cash; pub struct Desk;"),
            ("desk/cash.rs", "pub struct Cash;"),
            (
                "orders.rs",
                "use crate::{gate::{self, Gate}, side::Side as What, desk::{cash::{Cash}, Desk}};",
            ),
        ],
        &[
            "orders.rs > desk.rs",
            "orders.rs > desk/cash.rs",
            "orders.rs > gate.rs",
            "orders.rs > side.rs",
        ],
    );
}

#[test]
fn a_glob_is_an_edge_to_the_file_of_the_module() {
    check(
        &[("lib.rs", "mod gate; mod orders;"), GATE, ("orders.rs", "use crate::gate::*;")],
        &["orders.rs > gate.rs"],
    );
}

#[test]
fn a_name_from_a_glob_is_resolved_to_the_file_that_defines_it() {
    check(
        &[
            ("lib.rs", "mod models; mod orders;"),
            ("models/mod.rs", "mod gate; mod side; pub use gate::*; pub use side::*;"),
            ("models/gate.rs", "pub struct Gate;"),
            ("models/side.rs", "pub enum Side { Buy }"),
            ("orders.rs", "use crate::models::*; fn of(side: Side) {}"),
        ],
        &["orders.rs > models/mod.rs", "orders.rs > models/side.rs"],
    );
}

#[test]
fn re_exports_in_a_circle_end() {
    check(
        &[
            ("lib.rs", "mod gate; mod orders; pub use orders::*; pub use gate::*;"),
            ("gate.rs", "pub use crate::*; pub use crate::Lost as Lost; pub struct Gate;"),
            ("orders.rs", "pub use crate::gate::*; fn of(_: crate::Gate, _: crate::Lost) {}"),
        ],
        &["orders.rs > gate.rs"],
    );
}

#[test]
fn super_is_the_parent_also_twice_and_from_an_inline_module() {
    check(
        &[
            ("lib.rs", "mod gate; mod desk;"),
            GATE,
            ("desk/mod.rs", "mod cash; mod timer; pub struct Desk;"),
            ("desk/cash.rs", "use super::super::gate::Gate; use super::Desk;"),
            ("desk/timer.rs", "mod inner { use super::super::cash; use super::Own; } struct Own;"),
        ],
        &["desk/cash.rs > desk/mod.rs", "desk/cash.rs > gate.rs", "desk/timer.rs > desk/cash.rs"],
    );
}

#[test]
fn inline_paths_count_in_types_bodies_and_patterns() {
    for body in [
        "fn due() { crate::gate::secs(); }",
        "fn due() -> Vec<crate::gate::Gate> { Vec::new() }",
        "fn due(at: u8) -> bool { matches!(at, super::gate::MOST) }",
        "fn due(at: u8) { match at { crate::gate::MOST => {} _ => {} } }",
        "use std::fmt; impl fmt::Debug for crate::gate::Gate {}",
        "fn due() { println!(\"{}\", 1 + super::gate::MOST); }",
        "fn due() { tokio::select! { _ = async { for _ in 0..crate::gate::MOST {} } => {} } }",
        "#[derive(Deserialize)] struct Raw { #[serde(with = \"crate::gate::secs\")] at: u8 }",
        "macro_rules! due { () => { $crate::gate::secs() } }",
    ] {
        check(
            &[("lib.rs", "mod gate; mod orders;"), GATE, ("orders.rs", body)],
            &["orders.rs > gate.rs"],
        );
    }
}

#[test]
fn a_path_through_an_imported_module_is_resolved_past_its_facade() {
    check(
        &[
            ("lib.rs", "mod wire; mod orders;"),
            ("wire/mod.rs", "mod clob; mod gamma; pub(crate) use clob::*;"),
            ("wire/clob.rs", "pub fn placed() {}"),
            ("wire/gamma.rs", ""),
            ("orders.rs", "use crate::wire; fn of() { wire::placed() }"),
        ],
        &["orders.rs > wire/clob.rs", "orders.rs > wire/mod.rs"],
    );
}

#[test]
fn a_use_inside_a_function_counts() {
    check(
        &[
            ("lib.rs", "mod side; mod orders;"),
            SIDE,
            ("orders.rs", "fn of() { use crate::side::Side::*; }"),
        ],
        &["orders.rs > side.rs"],
    );
}

#[test]
fn enum_variants_and_associated_functions_belong_to_their_type() {
    for orders in [
        "use crate::side::Side::{Buy, Sell};",
        "use crate::Side; fn of(side: Side) -> bool { side == Side::Buy }",
        "fn of() { let _ = crate::Side::Buy; }",
        "fn of() { crate::Side::parse(); }",
    ] {
        check(
            &[("lib.rs", "mod side; mod orders; pub use side::Side;"), SIDE, ("orders.rs", orders)],
            &["orders.rs > side.rs"],
        );
    }
}

#[test]
fn a_relative_path_names_a_module_of_the_same_scope_and_a_lone_name_only_an_item() {
    check(
        &[
            ("lib.rs", "mod gate; mod side; fn of() { gate::secs(); let side = 1; drop(side); }"),
            GATE,
            SIDE,
        ],
        &["lib.rs > gate.rs"],
    );
}

#[test]
fn a_module_and_a_function_may_share_a_name() {
    check(
        &[
            ("lib.rs", "mod import; mod run; pub use import::import;"),
            ("import.rs", "mod cells; pub use cells::import; pub struct Job;"),
            ("import/cells.rs", "pub fn import() {}"),
            ("run.rs", "fn of() { crate::import::import(); let _ = crate::import::Job; }"),
        ],
        &["run.rs > import.rs", "run.rs > import/cells.rs"],
    );
}

#[test]
fn items_that_a_macro_makes_belong_to_the_file_of_the_call() {
    check(
        &[
            ("lib.rs", "mod id; mod orders; pub use id::*;"),
            (
                "id.rs",
                "macro_rules! hex_id { ($name:ident) => { pub struct $name; } } hex_id! { OrderHash }",
            ),
            ("orders.rs", "use crate::OrderHash;"),
        ],
        &["orders.rs > id.rs"],
    );
}

#[test]
fn tests_do_not_count() {
    let lib = "mod gate; mod orders; #[cfg(test)] mod samples; mod tests;";
    check(
        &[
            ("lib.rs", lib),
            GATE,
            ("samples.rs", "use crate::gate::Gate;"),
            ("tests.rs", "use crate::gate::Gate;"),
            (
                "orders.rs",
                "#[cfg(test)] use crate::gate::Gate;
                #[cfg(all(test, feature = \"signer\"))] fn of(_: crate::gate::Gate) {}
                struct Orders { #[cfg(test)] gate: crate::gate::Gate }
                impl Orders { #[cfg(test)] fn gate(&self) { crate::gate::secs() } }
                #[cfg(test)] mod tests { use crate::gate::*; }",
            ),
        ],
        &[],
    );
    check(
        &[
            ("lib.rs", lib),
            GATE,
            ("samples.rs", ""),
            ("tests.rs", ""),
            ("orders.rs", "#[cfg(not(test))] #[cfg(feature = \"signer\")] use crate::gate::Gate;"),
        ],
        &["orders.rs > gate.rs"],
    );
}

#[test]
fn a_missing_file_is_named() {
    let read = |file: &str| (file == "lib.rs").then(|| "mod gate;".to_owned());
    let error = Modules::read("lib.rs", &read).err();
    assert_eq!(error.as_deref(), Some("lib.rs: no file for `mod gate;`"));
}

/// A crate whose files `a.rs`, `b.rs`… use the files listed after them.
fn ring(uses: &[(&str, &[&str])]) -> Graph {
    let declared: String = uses.iter().map(|(name, _)| format!("mod {name};")).collect();
    let files: Vec<(String, String)> = uses
        .iter()
        .map(|(name, others)| {
            let uses: String = others
                .iter()
                .map(|other| format!("use crate::{other}::Item as Of{other};\n"))
                .collect();
            (format!("{name}.rs"), format!("{uses}pub struct Item;"))
        })
        .collect();
    let mut all = vec![("lib.rs", declared.as_str())];
    all.extend(files.iter().map(|(file, text)| (file.as_str(), text.as_str())));
    graph(&all)
}

fn cycles(graph: &Graph) -> Vec<Vec<&str>> {
    graph.cycles().iter().map(|cycle| graph.names(cycle)).collect()
}

#[test]
fn cycles_are_the_components_of_more_than_one_file_in_order() {
    let graph = ring(&[
        ("f", &["e"]),
        ("e", &["f", "c"]),
        ("c", &["b", "a"]),
        ("b", &["a"]),
        ("a", &["b", "g"]),
        ("g", &[]),
    ]);
    assert_eq!(cycles(&graph), [["a.rs", "b.rs"], ["e.rs", "f.rs"]]);
}

#[test]
fn circles_that_share_a_file_are_one_cycle() {
    let graph = ring(&[("a", &["b"]), ("b", &["a", "c"]), ("c", &["d"]), ("d", &["b"])]);
    assert_eq!(cycles(&graph), [["a.rs", "b.rs", "c.rs", "d.rs"]]);
}

#[test]
fn an_allowed_cycle_is_no_error_and_another_crates_entry_is_not_looked_at() {
    let graph = ring(&[("a", &["b"]), ("b", &["a"])]);
    let allowed: &[super::Allowed] =
        &[("crates/x", &["a.rs", "b.rs"]), ("crates/y", &["c.rs", "d.rs"])];
    assert_eq!(compare("crates/x", &[graph], allowed), Vec::<String>::new());
}

#[test]
fn a_new_cycle_is_shown_with_the_line_of_each_use() {
    let graph = ring(&[("a", &["b"]), ("b", &["c", "a"]), ("c", &[])]);
    assert_eq!(
        compare("crates/x", &[graph], &[]),
        ["crates/x has a new cycle of modules among a.rs, b.rs:
    a.rs:1: `use crate::b::Item` is in b.rs
    b.rs:2: `use crate::a::Item` is in a.rs"]
    );
}

#[test]
fn a_cycle_that_has_grown_shows_a_way_through_the_new_file() {
    let graph = ring(&[("a", &["b"]), ("b", &["a", "c"]), ("c", &["a"])]);
    assert_eq!(
        compare("crates/x", &[graph], &[("crates/x", &["a.rs", "b.rs"])]),
        ["crates/x has a new cycle of modules among a.rs, b.rs, c.rs:
    b.rs:2: `use crate::c::Item` is in c.rs
    c.rs:1: `use crate::a::Item` is in a.rs
    a.rs:1: `use crate::b::Item` is in b.rs"]
    );
}

#[test]
fn allowed_cycles_that_have_become_one_show_a_way_through_both() {
    let graph = ring(&[("a", &["b"]), ("b", &["a", "c"]), ("c", &["d"]), ("d", &["c", "b"])]);
    let allowed: &[super::Allowed] =
        &[("crates/x", &["a.rs", "b.rs"]), ("crates/x", &["c.rs", "d.rs"])];
    assert_eq!(
        compare("crates/x", &[graph], allowed),
        ["crates/x has a new cycle of modules among a.rs, b.rs, c.rs, d.rs:
    b.rs:2: `use crate::c::Item` is in c.rs
    c.rs:1: `use crate::d::Item` is in d.rs
    d.rs:2: `use crate::b::Item` is in b.rs"]
    );
}

#[test]
fn an_entry_that_is_gone_or_smaller_must_leave_the_list() {
    let graph = ring(&[("a", &["b"]), ("b", &["a"]), ("c", &["d"]), ("d", &["c"]), ("e", &[])]);
    let allowed: &[super::Allowed] =
        &[("crates/x", &["a.rs", "b.rs", "c.rs", "d.rs"]), ("crates/x", &["e.rs", "f.rs"])];
    assert_eq!(
        compare("crates/x", &[graph], allowed),
        [
            "crates/x: of the cycle a.rs, b.rs, c.rs, d.rs only a.rs, b.rs and c.rs, d.rs is left: shrink its entry of CYCLES in xtask/src/allowed.rs",
            "crates/x: e.rs, f.rs is no longer a cycle: take it off CYCLES in xtask/src/allowed.rs",
        ]
    );
}
