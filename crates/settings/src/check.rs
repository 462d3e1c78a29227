//! Checks one layer: returns its usable part and reports every mistake of its keys.

use figment::value::{Dict, Value};

use crate::instances;
use crate::keys::{Known, Names};
use crate::layers::Layer;
use crate::problem::Problem;

/// Checks a layer's keys against the known ones and returns the layer without the unknown ones.
pub(crate) fn layer(
    layer: &Layer,
    values: &Dict,
    known: &Known,
    problems: &mut Vec<Problem>,
) -> Dict {
    let (mut plain, mut kept_instances) = (values.clone(), Vec::new());
    for (section, value) in &mut plain {
        let Value::Dict(_, values) = value else { continue };
        if let Some(own) = values.remove(instances::KEY) {
            let own = instances::checked(layer, section, &own, known, problems);
            kept_instances.push((section.clone(), own));
        }
    }
    let names = Names { shown: String::new(), known: String::new() };
    known.check(layer, &plain, &names, problems);
    let mut kept = known.retained(&plain, &names.known);
    for (section, own) in kept_instances.into_iter().filter(|(_, own)| !own.is_empty()) {
        let values = kept.entry(section).or_insert_with(|| Value::from(Dict::new()));
        if let Value::Dict(_, values) = values {
            values.insert(instances::KEY.to_owned(), Value::from(own));
        }
    }
    kept
}
