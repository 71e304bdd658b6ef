//! Shares from 0 to 1 as cells, the darker the more: rows with names, columns in their order.

use super::svg::{Anchor, Svg, text_width};
use crate::number;

const HIGH: f64 = 22.0;
const UNDER: f64 = 22.0;

/// Rows of shares.
#[derive(Debug, Clone, Copy)]
pub struct Shades<'a> {
    /// Names and shares, all of one length.
    pub rows: &'a [(String, Vec<f64>)],
    /// Names of the columns, which show when the pointer rests on a cell.
    pub columns: &'a [String],
    /// What the columns are, under their ends.
    pub ends: [&'a str; 2],
}

/// Draws them.
pub fn shades(what: Shades<'_>, width: f64) -> Svg {
    let left = what.rows.iter().map(|row| text_width(&row.0)).fold(0.0, f64::max) + 10.0;
    let across = what.columns.len().max(1) as f64;
    let cell = ((width - left) / across).min(64.0);
    // Between narrow cells a gap would be all that one sees.
    let gap = if cell > 6.0 { 1.5 } else { 0.0 };
    let base = HIGH * what.rows.len() as f64;
    let mut svg = Svg::new(width, base + UNDER);
    for (r, (name, shares)) in what.rows.iter().enumerate() {
        let y = r as f64 * HIGH;
        svg.text(0.0, y + 15.0, Anchor::Start, "", name);
        for (c, &share) in shares.iter().enumerate() {
            let column = what.columns.get(c).map_or("", String::as_str);
            let hint = format!("{name}, {column}: {}", number::plain(share));
            let (at, size) = ((left + c as f64 * cell, y), (cell - gap, HIGH - 1.5));
            svg.rect(at, size, "blank", "");
            let dark = if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 };
            svg.shade(at, size, "cell", dark, &hint);
        }
    }
    let end = left + across * cell;
    let [first, last] = what.ends;
    svg.text(left, base + 16.0, Anchor::Start, "", first);
    if end - left > text_width(first) + text_width(last) + 8.0 {
        svg.text(end, base + 16.0, Anchor::End, "", last);
    }
    svg
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_as_dark_as_their_shares() {
        let rows = [("forget".to_owned(), vec![0.25, 1.0, f64::NAN])];
        let columns = ["view a", "cart <b>", "c"].map(str::to_owned);
        let what = Shades { rows: &rows, columns: &columns, ends: ["first", "last"] };
        let html = shades(what, 350.0).html("x");
        for part in [
            "fill-opacity=\"0.25\"",
            "<title>forget, cart &lt;b&gt;: 1</title>",
            ">first</text>",
            ">last</text>",
        ] {
            assert!(html.as_str().contains(part), "{part}: {html:?}");
        }
    }
}
