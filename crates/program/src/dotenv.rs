//! `.env` in the working folder: variables below those of the environment.

use std::path::Path;

/// The variables of the file; none where there is no file.
///
/// # Errors
/// It cannot be read, or a line is no `NAME=VALUE`.
pub fn read(path: &Path) -> Result<Vec<(String, String)>, String> {
    match std::fs::read_to_string(path) {
        Ok(text) => parse(&text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(format!("cannot be read: {error}")),
    }
}

/// Lines `NAME=VALUE`, with `export` before and quotes around the value where somebody wrote them; empty ones and
/// comments are skipped.
fn parse(text: &str) -> Result<Vec<(String, String)>, String> {
    let mut variables = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let line = line.strip_prefix("export ").unwrap_or(line);
        // The line itself is not repeated: it may hold a secret.
        let wrong = || format!("line {} is no NAME=VALUE", number + 1);
        let (name, value) = line.split_once('=').ok_or_else(wrong)?;
        let name = name.trim();
        let fits = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if name.is_empty() || !name.chars().all(fits) {
            return Err(wrong());
        }
        let value = value.trim();
        let quoted = |quote: char| value.strip_prefix(quote)?.strip_suffix(quote);
        let value = quoted('\'').or_else(|| quoted('"')).unwrap_or(value);
        variables.push((name.to_owned(), value.to_owned()));
    }
    Ok(variables)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_as_shells_write_them_and_a_broken_one_is_named_without_its_text() {
        let text = "# a comment\n\nA=1\nexport B_2 = \"two words\" \nC='x=y'\nD=\n";
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            parse(text).unwrap(),
            [pair("A", "1"), pair("B_2", "two words"), pair("C", "x=y"), pair("D", "")]
        );
        for text in ["A=1\nsecret", "A B=1", "=1"] {
            let error = parse(text).unwrap_err();
            assert!(error.contains("is no NAME=VALUE") && !error.contains("secret"), "{error}");
        }
    }
}
