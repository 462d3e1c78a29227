//! Every `select!` begins with `biased;`. Without it tokio begins at a random branch, and a simulation with the
//! same seed is not the same run.

use std::fs;
use std::path::Path;
use std::str::FromStr;

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// Every `select!` without `biased;` in the Rust files below a folder, as `folder/file.rs:line` with rule and fix.
pub fn check(root: &Path, folder: &str) -> Result<Vec<String>, String> {
    let mut broken = Vec::new();
    let mut names = Vec::new();
    let unreadable = |error| format!("{folder} cannot be listed: {error}");
    for entry in fs::read_dir(root.join(folder)).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        names.push((entry.file_name().to_string_lossy().into_owned(), entry.path().is_dir()));
    }
    names.sort();
    for (name, is_folder) in names {
        let path = format!("{folder}/{name}");
        if is_folder {
            broken.extend(check(root, &path)?);
        } else if name.ends_with(".rs") {
            let text = fs::read_to_string(root.join(&path));
            let text = text.map_err(|error| format!("{path} cannot be read: {error}"))?;
            let lines = unbiased(&text).map_err(|error| format!("{path}: {error}"))?;
            broken.extend(lines.into_iter().map(|line| {
                format!(
                    "{path}:{line}: this `select!` is not `biased`, so no seed repeats it; begin it with \
                     `biased;` and put the branches in the order in which they count"
                )
            }));
        }
    }
    Ok(broken)
}

/// Lines of the `select!`s that do not begin with `biased;`.
fn unbiased(text: &str) -> Result<Vec<usize>, String> {
    let tokens = TokenStream::from_str(text).map_err(|error| error.to_string())?;
    let mut lines = Vec::new();
    walk(tokens, &mut lines);
    Ok(lines)
}

fn walk(tokens: TokenStream, lines: &mut Vec<usize>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    for (index, token) in tokens.iter().enumerate() {
        let TokenTree::Group(group) = token else { continue };
        let before = tokens[..index].iter().rev().take(2).map(ToString::to_string);
        let is_call = group.delimiter() != Delimiter::None && before.eq(["!", "select"]);
        let first = group.stream().into_iter().take(2).map(|token| token.to_string());
        if is_call && !first.eq(["biased", ";"]) {
            lines.push(group.span_open().start().line);
        }
        walk(group.stream(), lines);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_select_is_biased_or_named_with_its_line() {
        for (text, want) in [
            ("fn f() { tokio::select! { biased; _ = a => {} } }", vec![]),
            (
                "fn f() {\n    let x = select! {\n        // first\n        biased;\n _ = a => {} };\n}",
                vec![],
            ),
            ("fn f() {\n    tokio::select! { _ = a => {} }\n}", vec![2]),
            ("fn f() {\n    tokio::select! {}\n}", vec![2]),
            ("fn f() {\n tokio::select!(_ = a => {});\n}", vec![2]),
            // Inside another one, inside any other macro, and behind a word that only looks like it.
            ("fn f() { select! { biased; _ = a => {\n select! { _ = b => {} } } } }", vec![2]),
            ("fn f() { vec![async {\n\n select! { biased_; _ = b => {} } }] }", vec![3]),
            ("fn f() { let biased = 1; preselect! { _ = a => {} } }", vec![]),
            ("// select! { _ = a => {} }\nconst TEXT: &str = \"select! { x }\";", vec![]),
        ] {
            assert_eq!(unbiased(text).unwrap(), want, "{text}");
        }
        assert!(unbiased("fn f() {").is_err());
    }
}
