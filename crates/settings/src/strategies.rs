//! The sections of strategies and their instances: every one is checked, the chosen ones are handed on.

use std::collections::BTreeMap;

use figment::Figment;
use figment::value::{Dict, Value};
use polydesk_domain::{Price, StrategyId};
use polydesk_strategies::arb_scanner::{ArbParams, RawArbScanner};
use polydesk_strategies::{CATALOGUE, Catalogued, StateError};

use crate::instances;
use crate::origin::{Lines, Origin};
use crate::problem::Problem;
use crate::run::RunSettings;

/// Sections as TOML by what `run.strategies` may name: `KIND` or `KIND.NAME`.
type Sections = BTreeMap<String, (StrategyId, String)>;

/// Every section of the catalogue and every instance is checked, chosen or not; the chosen ones are
/// returned.
pub(crate) fn chosen(
    figment: &Figment,
    run: Option<&RunSettings>,
    lines: &Lines,
    problems: &mut Vec<Problem>,
) -> Vec<(StrategyId, String)> {
    let sections = sections(figment, lines, problems);
    let mut chosen: Vec<(StrategyId, String)> = Vec::new();
    for name in run.map_or(&[][..], |run| &run.strategies) {
        match sections.get(name) {
            Some(section) if chosen.iter().any(|(id, _)| *id == section.0) => {
                let text = format!("run.strategies names {name} twice; each strategy runs once");
                problems.push(Problem::rule(text, lines));
            }
            Some(section) => chosen.push(section.clone()),
            None => problems.push(Problem::rule(unknown(name, &sections), lines)),
        }
    }
    chosen
}

/// The scanner prices legs that are sold again at no more than this loss a share; the order manager sells
/// them down to `allowed`. A scanner that assumes less would call losing baskets profitable.
pub(crate) fn check_unwind_loss(
    chosen: &[(StrategyId, String)],
    allowed: Price,
    lines: &Lines,
    problems: &mut Vec<Problem>,
) {
    const KEY: &str = "max_unwind_loss";
    for (id, section) in chosen {
        let kind = id.kind();
        if kind != StrategyId::ARB_SCANNER.as_str() {
            continue;
        }
        let params = toml::from_str::<RawArbScanner>(section).ok();
        let params = params.and_then(|raw| ArbParams::try_from(&raw).ok());
        let Some(priced) = params.map(|params| params.max_unwind_loss) else { continue };
        if priced >= allowed {
            continue;
        }
        let name = id.as_str().strip_prefix(kind).unwrap_or_default();
        let own = format!("{kind}.{}{name}.{KEY}", instances::KEY);
        let key = if lines.contains_key(&own) { own } else { format!("{kind}.{KEY}") };
        let shipped = lines.get(&key).is_some_and(|(_, origin)| *origin == Origin::Default);
        // The place is the one of the two that somebody set.
        let text = if shipped {
            format!(
                "risk.{KEY} is {allowed}; it must be at most {key} ({priced}): raise that one, too"
            )
        } else {
            format!("{key} is {priced}; it must be at least risk.{KEY} ({allowed}): raise it")
        };
        problems.push(Problem::rule(text, lines));
    }
}

/// Why `run.strategies` cannot name this.
fn unknown(name: &str, sections: &Sections) -> String {
    let names: Vec<&str> = sections.keys().map(String::as_str).collect();
    let instance = name.split_once('.').filter(|(kind, _)| sections.contains_key(*kind));
    match instance {
        Some((kind, own)) => {
            let rule = match instances::id(kind, own) {
                Ok(_) => format!("there is no section [{kind}.instances.{own}]: add it"),
                Err(rule) => rule,
            };
            format!("run.strategies names {name}; {rule}, or name one of {}", names.join(", "))
        }
        None => format!("run.strategies names {name}; there are {}", names.join(", ")),
    }
}

fn sections(figment: &Figment, lines: &Lines, problems: &mut Vec<Problem>) -> Sections {
    let mut sections = Sections::new();
    for entry in CATALOGUE {
        let Ok(mut values) = figment.extract_inner::<Dict>(entry.id.as_str()) else { continue };
        let own = values.remove(instances::KEY);
        let (toml, broken) = checked(entry, entry.id, &values);
        problems.extend(broken.iter().map(|text| Problem::rule(text.clone(), lines)));
        sections.insert(entry.id.to_string(), (entry.id, toml));
        let Some(Value::Dict(_, own)) = own else { continue };
        for (name, own) in &own {
            // Others were refused when their layer was read.
            let (Ok(id), Value::Dict(_, own)) = (instances::id(entry.id.as_str(), name), own)
            else {
                continue;
            };
            let (toml, rules) = checked(entry, id, &overlaid(&values, own));
            for text in rules.iter().filter(|text| !broken.contains(text)) {
                problems.push(instances::broken(id, own, text, lines));
            }
            sections.insert(id.to_string(), (id, toml));
        }
    }
    sections
}

/// The kind's values with an instance's own ones over them.
fn overlaid(kind: &Dict, own: &Dict) -> Dict {
    let mut values = kind.clone();
    for (name, value) in own {
        let value = match (values.get(name), value) {
            (Some(Value::Dict(_, below)), Value::Dict(tag, above)) => {
                Value::Dict(*tag, overlaid(below, above))
            }
            _ => value.clone(),
        };
        values.insert(name.clone(), value);
    }
    values
}

/// A section as TOML, and the rules it breaks; each text begins with a key below the kind.
fn checked(entry: &Catalogued, id: StrategyId, values: &Dict) -> (String, Vec<String>) {
    let toml = toml::to_string(&Value::from(values.clone())).unwrap_or_default();
    let broken = match (entry.build)(id, &toml) {
        Err(StateError::Params { detail, .. }) if detail.starts_with(NOT_PARSED) => {
            vec![format!("{}.{}", entry.id, not_parsed(&toml, &detail))]
        }
        Err(StateError::Params { detail, .. }) => detail.lines().map(str::to_owned).collect(),
        _ => Vec::new(),
    };
    (toml, broken)
}

/// How the text of an error begins that names a line of the section instead of a key.
const NOT_PARSED: &str = "TOML parse error at line ";

/// `KEY is wrong: WHY`, from an error that names a line of the section's TOML.
fn not_parsed(toml: &str, detail: &str) -> String {
    let number = detail.strip_prefix(NOT_PARSED).and_then(|rest| rest.split(',').next());
    let number: usize = number.and_then(|number| number.parse().ok()).unwrap_or(0);
    let (mut table, mut key) = ("", "");
    for line in toml.lines().take(number) {
        if line.starts_with('[') {
            (table, key) = (line.trim_matches(['[', ']']), "");
        } else if let Some((name, _)) = line.split_once(" = ") {
            key = name;
        }
    }
    let path: Vec<&str> = [table, key].into_iter().filter(|part| !part.is_empty()).collect();
    format!("{} is wrong: {}", path.join("."), detail.lines().last().unwrap_or_default())
}
