//! Rules that many sections share.

use crate::origin::Lines;
use crate::problem::Problem;

/// Reports a number outside its bounds.
pub(crate) fn within(
    key: &str,
    value: u32,
    least: u32,
    most: u32,
    lines: &Lines,
    problems: &mut Vec<Problem>,
) {
    if !(least..=most).contains(&value) {
        let text = format!("{key} is {value}; it must be between {least} and {most}");
        problems.push(Problem::rule(text, lines));
    }
}
