//! Bars from left to right, each with its name before and its value behind it.

use super::svg::{Anchor, Svg, text_width};
use crate::html::Html;

const ROW: f64 = 22.0;

/// A bar.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Its name.
    pub name: String,
    /// Its length.
    pub value: f64,
    /// The value in words.
    pub label: String,
    /// Whether it stands back.
    pub pale: bool,
}

/// Draws bars, one under the other, as long as their values. `mark` draws a line under so many of them,
/// with a word beside it.
pub fn rows(rows: &[Row], mark: Option<(usize, &str)>, width: f64) -> Svg {
    let extra = if mark.is_some() { ROW } else { 0.0 };
    let mut svg = Svg::new(width, ROW * rows.len() as f64 + extra);
    let widest =
        |of: fn(&Row) -> &str| rows.iter().map(|row| text_width(of(row))).fold(0.0, f64::max);
    let left = widest(|row| &row.name) + 10.0;
    let right = widest(|row| &row.label) + 8.0;
    let room = (width - left - right).max(40.0);
    let largest = rows.iter().map(|row| row.value).fold(0.0, f64::max);
    let mut y = 0.0;
    for (k, row) in rows.iter().enumerate() {
        if let Some((after, word)) = mark.filter(|mark| mark.0 == k) {
            let _ = after;
            let at = y + ROW / 2.0;
            svg.line((left, at), (width - text_width(word) - 8.0, at), "mark");
            svg.text(width, at + 4.0, Anchor::End, "strong", word);
            y += ROW;
        }
        let share = if largest > 0.0 { row.value / largest } else { 0.0 };
        let length = if row.value > 0.0 { (share * room).max(1.0) } else { 0.0 };
        svg.text(left - 10.0, y + 15.0, Anchor::End, "", &row.name);
        let class = if row.pale { "bar pale" } else { "bar" };
        svg.rect((left, y + 3.0), (length, ROW - 6.0), class, "");
        svg.text(left + length + 6.0, y + 15.0, Anchor::Start, "", &row.label);
        y += ROW;
    }
    svg
}

/// A line of bars so small that it stands in a table: shares from 0 to 1.
pub fn spark(shares: &[f64], name: &str) -> Html {
    let (width, height) = (100.0, 18.0);
    let mut svg = Svg::new(width, height);
    let step = width / shares.len().max(1) as f64;
    for (k, share) in shares.iter().enumerate() {
        let full = share.clamp(0.0, 1.0) * (height - 1.0);
        let full = if *share > 0.0 { full.max(1.0) } else { 0.0 };
        svg.rect((k as f64 * step, height - 1.0 - full), (step - 1.0, full), "bar", "");
    }
    svg.line((0.0, height - 0.5), (width, height - 0.5), "grid");
    Html::element("div", &[("class", &"spark")], svg.html(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str, value: f64) -> Row {
        Row { name: name.to_owned(), value, label: format!("{value}"), pale: false }
    }

    #[test]
    fn bars_are_as_long_as_their_values() {
        let svg = rows(&[row("a", 10.0), row("b", 5.0), row("c", 0.0)], None, 200.0);
        assert_eq!(svg.height, 66.0);
        let html = svg.html("x");
        // Names take 17, labels 22; the rest is for the bars.
        let (long, half) = ("width=\"161\"", "width=\"80.5\"");
        assert!(html.as_str().contains(long) && html.as_str().contains(half), "{html:?}");
        assert!(html.as_str().contains("width=\"0\""));
    }

    #[test]
    fn a_mark_stands_between_bars() {
        let svg = rows(&[row("a", 1.0), row("b", 1.0)], Some((1, "gap")), 200.0);
        assert_eq!(svg.height, 66.0);
        assert!(svg.html("x").as_str().contains(">gap</text>"));
        assert!(spark(&[0.0, 0.5, 1.0], "x").as_str().contains("spark"));
    }
}
