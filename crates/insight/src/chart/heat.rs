//! A table of counts as cells, the darker the more.

use super::svg::{Anchor, Svg};
use crate::number;

/// Room for the names of rows.
const LEFT: f64 = 36.0;
const UNDER: f64 = 22.0;

/// A table of counts.
#[derive(Debug, Clone, Copy)]
pub struct Heat<'a> {
    /// Row by row, all of one length.
    pub counts: &'a [Vec<u64>],
    /// Names of the rows.
    pub rows: &'a [&'a str],
    /// Names of the columns.
    pub columns: &'a [String],
    /// Every how many columns a name is written.
    pub every: usize,
    /// What is counted.
    pub of: &'a str,
}

/// Draws it.
pub fn heat(what: Heat<'_>, width: f64) -> Svg {
    let across = what.columns.len().max(1) as f64;
    let cell = (width - LEFT) / across;
    let high = cell.clamp(18.0, 26.0);
    let base = high * what.counts.len() as f64;
    let mut svg = Svg::new(width, base + UNDER);
    let most = what.counts.iter().flatten().copied().max().unwrap_or(0).max(1) as f64;
    for (r, row) in what.counts.iter().enumerate() {
        let y = r as f64 * high;
        let name = what.rows.get(r).copied().unwrap_or("");
        svg.text(0.0, y + high / 2.0 + 4.0, Anchor::Start, "", name);
        for (c, &count) in row.iter().enumerate() {
            let column = what.columns.get(c).map_or("", String::as_str);
            let hint = format!("{name} {column}: {} {}", number::count(count), what.of);
            let (at, size) = ((LEFT + c as f64 * cell, y), (cell - 1.5, high - 1.5));
            match count {
                0 => svg.rect(at, size, "blank", &hint),
                // The faintest is still told from nothing.
                _ => svg.shade(at, size, "cell", 0.08 + 0.92 * count as f64 / most, &hint),
            }
        }
    }
    for (c, name) in what.columns.iter().enumerate().step_by(what.every.max(1)) {
        svg.text(LEFT + c as f64 * cell, base + 16.0, Anchor::Start, "", name);
    }
    svg
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_as_dark_as_their_counts() {
        let columns = ["00:00".to_owned(), "01:00".to_owned()];
        let counts = [vec![0, 5], vec![10, 1]];
        let what = Heat {
            counts: &counts,
            rows: &["Mon", "Tue"],
            columns: &columns,
            every: 2,
            of: "events",
        };
        let html = heat(what, 420.0).html("x");
        for part in [
            "fill-opacity=\"0.54\"",
            "<title>Tue 00:00: 10 events</title>",
            "class=\"blank\"",
            ">Mon</text>",
        ] {
            assert!(html.as_str().contains(part), "{part}: {html:?}");
        }
        assert!(!html.as_str().contains(">01:00</text>"));
    }
}
