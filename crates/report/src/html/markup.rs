//! Small pieces of HTML: escaping, tables, definition lists.
//!
//! Every text goes through [`escape`]; nothing else in this crate writes text into markup.

use std::io::{self, Write};

use polydesk_domain::Usdc;

use crate::text::{clean, dash, hidden, money, signed};

/// Text safe between tags and inside quoted attributes.
pub(crate) fn escape(text: &str) -> String {
    let text = clean(text);
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(c),
        }
    }
    out
}

/// Makes the JSON that is written to it safe inside a script element: no `<`, so no end tag and no comment can
/// appear, and nothing that reorders the text for a reader of the source.
pub(crate) struct ScriptJson<W>(pub W);

impl<W: Write> Write for ScriptJson<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // A serialiser cuts its text at escapes, quotes and numbers, so each piece is whole characters.
        let json = std::str::from_utf8(bytes)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        let mut begin = 0;
        for (at, c) in json.char_indices() {
            // Such characters are below U+FFFF, so one escape is enough.
            if matches!(c, '<' | '>' | '&' | '\u{2028}' | '\u{2029}') || hidden(c) {
                self.0.write_all(&bytes[begin..at])?;
                write!(self.0, "\\u{:04x}", u32::from(c))?;
                begin = at + c.len_utf8();
            }
        }
        self.0.write_all(&bytes[begin..])?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// One cell.
pub(crate) struct Cell {
    text: String,
    sort: Option<f64>,
    class: &'static str,
    number: bool,
}

impl Cell {
    pub(crate) fn text(text: impl AsRef<str>) -> Cell {
        Cell { text: escape(text.as_ref()), sort: None, class: "", number: false }
    }

    /// Long text that may wrap.
    pub(crate) fn long(text: impl AsRef<str>) -> Cell {
        Cell { class: "wrap", ..Cell::text(text) }
    }

    /// A figure as shown, and what to sort by; NaN never reaches the page.
    pub(crate) fn figure(text: impl AsRef<str>, sort: Option<f64>) -> Cell {
        let sort = sort.filter(|value| value.is_finite());
        Cell { sort, number: true, ..Cell::text(text) }
    }

    /// A count.
    pub(crate) fn count(count: impl TryInto<i128>) -> Cell {
        let number = count.try_into().unwrap_or(i128::MAX);
        Cell::figure(crate::text::thousands(number), Some(number as f64))
    }

    /// A gain or loss: sign and colour.
    pub(crate) fn gain(amount: Usdc) -> Cell {
        let class = match amount.micros() {
            0 => "",
            1.. => "pos",
            _ => "neg",
        };
        Cell { class, ..Cell::figure(minus(&signed(amount)), Some(amount.micros() as f64)) }
    }

    /// An amount without a judgement.
    pub(crate) fn money(amount: Usdc) -> Cell {
        Cell::figure(minus(&money(amount)), Some(amount.micros() as f64))
    }

    /// A number shown by `show`, or a dash.
    pub(crate) fn maybe(value: Option<f64>, show: impl Fn(f64) -> String) -> Cell {
        Cell::figure(value.map_or_else(dash, |value| minus(&show(value))), value)
    }
}

/// A true minus sign, which is as wide as the plus sign.
pub(crate) fn minus(text: &str) -> String {
    text.replace('-', "\u{2212}")
}

/// A table whose columns sort by click.
pub(crate) struct Table {
    caption: String,
    headers: Vec<String>,
    rows: Vec<(Vec<Cell>, bool)>,
}

impl Table {
    pub(crate) fn new(caption: &str, headers: &[&str]) -> Table {
        let headers = headers.iter().map(|header| escape(header)).collect();
        Table { caption: escape(caption), headers, rows: Vec::new() }
    }

    pub(crate) fn row(&mut self, cells: Vec<Cell>) {
        self.rows.push((cells, false));
    }

    /// A row that stays below the others.
    pub(crate) fn sum(&mut self, cells: Vec<Cell>) {
        self.rows.push((cells, true));
    }

    /// The markup; nothing for a table without rows.
    pub(crate) fn html(&self) -> String {
        let Some((first, _)) = self.rows.first() else { return String::new() };
        let mut out = String::new();
        let label = &self.caption;
        out.push_str(&format!(
            "<div class=scroll tabindex=0 role=region aria-label=\"{label}\"><table><thead><tr>"
        ));
        for (header, cell) in self.headers.iter().zip(first) {
            let class = if cell.number { " class=n" } else { "" };
            out.push_str(&format!(
                "<th scope=col{class}><button type=button>{header}</button></th>"
            ));
        }
        out.push_str("</tr></thead><tbody>");
        for sum in [false, true] {
            if sum {
                out.push_str("</tbody><tfoot>");
            }
            for (cells, _) in self.rows.iter().filter(|(_, is_sum)| *is_sum == sum) {
                out.push_str(if sum { "<tr class=sum>" } else { "<tr>" });
                for cell in cells {
                    out.push_str(&cell.html());
                }
                out.push_str("</tr>");
            }
        }
        out.push_str("</tfoot></table></div>\n");
        out
    }
}

impl Cell {
    fn html(&self) -> String {
        let mut classes = self.class.to_owned();
        if self.number {
            classes = format!("n {classes}").trim().to_owned();
        }
        let class =
            if classes.is_empty() { String::new() } else { format!(" class=\"{classes}\"") };
        let sort = match (self.number, self.sort) {
            (true, Some(value)) => format!(" data-v=\"{value}\""),
            (true, None) => " data-v=unknown".to_owned(),
            (false, _) => String::new(),
        };
        format!("<td{class}{sort}>{}</td>", self.text)
    }
}

/// A list of names and texts.
pub(crate) fn facts(pairs: &[(&str, String)]) -> String {
    let mut out = "<dl>".to_owned();
    for (name, text) in pairs {
        out.push_str(&format!("<dt>{}</dt><dd>{}</dd>", escape(name), escape(text)));
    }
    out.push_str("</dl>\n");
    out
}

/// A paragraph.
pub(crate) fn paragraph(text: &str) -> String {
    format!("<p>{}</p>\n", escape(text))
}

/// A chart with its caption; nothing for an empty chart.
pub(crate) fn figure(chart: String, caption: &str) -> String {
    if chart.is_empty() {
        return String::new();
    }
    format!("<figure>{chart}<figcaption>{}</figcaption></figure>\n", escape(caption))
}

/// Something folded away until asked for.
pub(crate) fn fold(title: &str, inner: &str) -> String {
    if inner.is_empty() {
        return String::new();
    }
    format!("<details><summary>{}</summary>\n{inner}</details>\n", escape(title))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_become_markup() {
        assert_eq!(
            escape("</script><img src=x onerror='a(\"b\")'>&\u{0}"),
            "&lt;/script&gt;&lt;img src=x onerror=&#39;a(&quot;b&quot;)&#39;&gt;&amp;\u{fffd}"
        );
        let mut json = ScriptJson(Vec::new());
        json.write_all("{\"a\":\"</script><!-- & \u{202e}\"}".as_bytes()).unwrap();
        let json = String::from_utf8(json.0).unwrap();
        assert!(!json.contains(['<', '>', '&', '\u{202e}']), "{json}");
        let back: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(back["a"], "</script><!-- & \u{202e}");
    }
}
