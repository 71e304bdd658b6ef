//! What people and scripts read: tables, numbers, one JSON object.

use std::io::{self, IsTerminal, Write};

use anyhow::{Result, anyhow};
use serde::Serialize;

/// Writes to stdout. A reader that has gone away (`| head`) is no error.
pub(crate) fn print(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(anyhow!("stdout: cannot be written: {error}; check where it goes to"))
        }
        _ => Ok(()),
    }
}

/// Writes one JSON object and a line break. A number that is not finite becomes `null`.
pub(crate) fn print_json(value: &impl Serialize) -> Result<()> {
    print(&format!("{}\n", serde_json::to_string(value)?))
}

/// Bold and dim text where stdout is a terminal and `NO_COLOR` is not set.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Style {
    colour: bool,
}

impl Style {
    /// What suits the stdout of this process.
    pub(crate) fn for_stdout() -> Self {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let capable = std::env::var_os("TERM").is_none_or(|term| term != "dumb");
        Self { colour: wanted && capable && io::stdout().is_terminal() }
    }

    /// Text without any decoration.
    #[cfg(test)]
    pub(crate) fn plain() -> Self {
        Self { colour: false }
    }

    /// The text in bold.
    pub(crate) fn bold(self, text: &str) -> String {
        self.wrap("\x1b[1m", text)
    }

    /// The text in a fainter colour.
    pub(crate) fn dim(self, text: &str) -> String {
        self.wrap("\x1b[2m", text)
    }

    fn wrap(self, code: &str, text: &str) -> String {
        if self.colour { format!("{code}{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// A table: the first column to the left, the others to the right, two blanks between.
#[derive(Debug, Default)]
pub(crate) struct Table {
    /// How many columns, from the first, stand to the left.
    left: usize,
    header: Vec<String>,
    rows: Vec<(bool, Vec<String>)>,
}

impl Table {
    /// A table with these headings.
    pub(crate) fn new<S: Into<String>>(header: impl IntoIterator<Item = S>) -> Self {
        Self { left: 1, header: header.into_iter().map(Into::into).collect(), rows: Vec::new() }
    }

    /// A table whose first two columns stand to the left.
    pub(crate) fn left<S: Into<String>>(header: impl IntoIterator<Item = S>) -> Self {
        Self { left: 2, ..Self::new(header) }
    }

    /// Adds a row.
    pub(crate) fn row<S: Into<String>>(&mut self, cells: impl IntoIterator<Item = S>) {
        self.rows.push((false, cells.into_iter().map(|cell| shown(cell.into())).collect()));
    }

    /// Adds a row that stands out.
    pub(crate) fn bold_row<S: Into<String>>(&mut self, cells: impl IntoIterator<Item = S>) {
        self.rows.push((true, cells.into_iter().map(|cell| shown(cell.into())).collect()));
    }

    /// The table as lines for a terminal, indented by two.
    pub(crate) fn render(&self, style: Style) -> String {
        let rows = || std::iter::once(&self.header).chain(self.rows.iter().map(|(_, row)| row));
        let columns = self.header.len();
        let width = |c: usize| rows().filter_map(|row| row.get(c)).map(|cell| chars(cell)).max();
        let widths: Vec<usize> = (0..columns).map(|c| width(c).unwrap_or(0)).collect();
        let line = |cells: &[String]| {
            let mut text = String::from("  ");
            for (c, &width) in widths.iter().enumerate() {
                let cell = cells.get(c).map_or("", String::as_str);
                let blanks = " ".repeat(width - chars(cell));
                text += if c == 0 { "" } else { "  " };
                text += &if c < self.left { cell.to_owned() + &blanks } else { blanks + cell };
            }
            text.trim_end().to_owned()
        };
        let mut text = style.dim(&line(&self.header)) + "\n";
        for (bold, row) in &self.rows {
            let row = line(row);
            text += &if *bold { style.bold(&row) } else { row };
            text.push('\n');
        }
        text
    }

    /// The table as Markdown.
    pub(crate) fn markdown(&self) -> String {
        let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
        let rule: Vec<_> =
            (0..self.header.len()).map(|c| if c < self.left { "---" } else { "---:" }).collect();
        let mut text = line(&self.header) + &format!("| {} |\n", rule.join(" | "));
        for (bold, row) in &self.rows {
            let cells: Vec<_> = row
                .iter()
                .map(|cell| if *bold { format!("**{cell}**") } else { cell.clone() })
                .collect();
            text += &line(&cells);
        }
        text
    }
}

/// The text in lines of at most 76 characters, each after `indent`.
pub(crate) fn wrapped(text: &str, indent: &str) -> String {
    let mut lines = String::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        if !line.is_empty() && chars(&line) + 1 + chars(word) > 76 {
            lines += &format!("{indent}{line}\n");
            line.clear();
        }
        line += if line.is_empty() { "" } else { " " };
        line += word;
    }
    lines + &format!("{indent}{line}\n")
}

/// A cell without line breaks and other control characters, which ids may hold.
pub(crate) fn shown(cell: String) -> String {
    let control = |c: char| c.is_control();
    if !cell.contains(control) {
        return cell;
    }
    cell.chars()
        .flat_map(|c| match control(c) {
            true => c.escape_default().collect::<Vec<_>>(),
            false => vec![c],
        })
        .collect()
}

fn chars(text: &str) -> usize {
    text.chars().count()
}

/// A fraction in per cent, two places: what people compare.
pub(crate) fn per_cent(fraction: f64) -> String {
    if fraction.is_finite() { format!("{:.2} %", 100.0 * fraction) } else { "-".to_owned() }
}

/// A number of any size with four digits or so.
pub(crate) fn decimal(number: f64) -> String {
    match number.abs() {
        large if large >= 1000.0 => format!("{number:.0}"),
        large if large >= 10.0 => format!("{number:.2}"),
        _ => format!("{number:.4}"),
    }
}

/// A count with its thousands set apart.
pub(crate) fn count(number: impl TryInto<u64>) -> String {
    let digits = number.try_into().unwrap_or(u64::MAX).to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (k, digit) in digits.chars().enumerate() {
        if k > 0 && (digits.len() - k) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A span of time, in the unit that suits it.
pub(crate) fn seconds(seconds: f64) -> String {
    match seconds {
        s if !s.is_finite() => "-".to_owned(),
        s if s < 0.1 => format!("{:.0} ms", 1000.0 * s),
        s if s < 60.0 => format!("{s:.1} s"),
        s if s < 3600.0 => format!("{} min {:02} s", s as u64 / 60, s as u64 % 60),
        s => format!("{} h {:02} min", s as u64 / 3600, s as u64 % 3600 / 60),
    }
}

/// An amount of memory.
pub(crate) fn bytes(bytes: u64) -> String {
    match bytes {
        b if b < 10_000 => format!("{b} B"),
        b if b < 10_000_000 => format!("{:.0} kB", b as f64 / 1e3),
        b if b < 10_000_000_000 => format!("{:.0} MB", b as f64 / 1e6),
        b => format!("{:.1} GB", b as f64 / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(count(0u64), "0");
        assert_eq!(count(999u64), "999");
        assert_eq!(count(1_234_567usize), "1,234,567");
        assert_eq!(per_cent(0.724_149), "72.41 %");
        assert_eq!(per_cent(f64::NAN), "-");
        assert_eq!(seconds(0.0123), "12 ms");
        assert_eq!(seconds(3.21), "3.2 s");
        assert_eq!(seconds(83.9), "1 min 23 s");
        assert_eq!(seconds(7384.0), "2 h 03 min");
        assert_eq!(bytes(9_000), "9000 B");
        assert_eq!(bytes(123_456_789), "123 MB");
    }

    #[test]
    fn long_sentences_are_wrapped() {
        assert_eq!(wrapped("a b", "  "), "  a b\n");
        let text = wrapped(&"word ".repeat(40), "  ");
        assert!(text.lines().count() == 3 && text.lines().all(|line| line.len() <= 78), "{text}");
    }

    #[test]
    fn an_id_cannot_break_a_table() {
        let mut table = Table::new(["item", "probability"]);
        table.row(["a\nb\u{1b}[1m", "1 %"]);
        let text = table.render(Style::plain());
        assert!(text.contains("a\\nb\\u{1b}[1m") && text.lines().count() == 2, "{text}");
    }

    #[test]
    fn a_table_is_aligned() {
        let mut table = Table::new(["model", "recall@20", "mrr@20"]);
        table.bold_row(["tidegate", "72.41 %", "32.03 %"]);
        table.row(["popularity", "7.31 %", "1.69 %"]);
        assert_eq!(
            table.render(Style::plain()),
            "  model       recall@20   mrr@20\n  \
               tidegate      72.41 %  32.03 %\n  \
               popularity     7.31 %   1.69 %\n"
        );
        assert_eq!(
            table.markdown(),
            "| model | recall@20 | mrr@20 |\n\
             | --- | ---: | ---: |\n\
             | **tidegate** | **72.41 %** | **32.03 %** |\n\
             | popularity | 7.31 % | 1.69 % |\n"
        );
    }
}
