//! Values with intervals side by side, each beside what was expected; values may be below 0.

use super::curve::signed_ticks;
use super::scale::Scale;
use super::svg::{Anchor, Svg, text_width};
use crate::number;

const HEIGHT: f64 = 240.0;
const UNDER: f64 = 40.0;
const ABOVE: f64 = 28.0;

/// A value with its interval.
#[derive(Debug, Clone, PartialEq)]
pub struct Span {
    /// Its name on the axis below.
    pub name: String,
    /// What was expected: a bar.
    pub expected: f64,
    /// What was found, from where to where; none where nobody knows.
    pub found: Option<[f64; 3]>,
}

/// Draws them. `names` are of the axes at the side and below; values are shares.
pub fn ranges(spans: &[Span], names: (&str, &str), width: f64) -> Svg {
    let mut svg = Svg::new(width, HEIGHT);
    let base = HEIGHT - UNDER;
    let values = spans.iter().flat_map(|s| s.found.into_iter().flatten().chain([s.expected]));
    let (low, high) =
        values.filter(|v| v.is_finite()).fold((0.0f64, 0.0f64), |(a, b), v| (a.min(v), b.max(v)));
    let ticks = signed_ticks(low, high, 5);
    let y =
        Scale { from: ticks[0], to: ticks[ticks.len() - 1], log: false, start: base, end: ABOVE };
    let labels: Vec<String> =
        ticks.iter().map(|&tick| number::plain(100.0 * tick) + "\u{a0}%").collect();
    let start = labels.iter().map(|label| text_width(label)).fold(0.0, f64::max) + 10.0;
    svg.text(0.0, 10.0, Anchor::Start, "", names.0);
    for (&tick, label) in ticks.iter().zip(&labels) {
        let at = y.place(tick);
        svg.line((start, at), (width, at), if tick == 0.0 { "base" } else { "grid" });
        svg.text(start - 10.0, at + 4.0, Anchor::End, "", label);
    }
    let step = (width - start) / spans.len().max(1) as f64;
    for (k, span) in spans.iter().enumerate() {
        let middle = start + (k as f64 + 0.5) * step;
        let (zero, expected) = (y.place(0.0), y.place(span.expected));
        let wide = (step * 0.6).min(48.0);
        let (top, tall) = (zero.min(expected), (zero - expected).abs().max(1.0));
        svg.rect((middle - wide / 2.0, top), (wide, tall), "bar pale", "");
        if let Some([found, low, high]) = span.found {
            svg.line((middle, y.place(low)), (middle, y.place(high)), "line");
            svg.dot((middle, y.place(found)), 4.0, "dot");
        }
        svg.text(middle, base + 18.0, Anchor::Middle, "", &span.name);
    }
    svg.text(width, base + 36.0, Anchor::End, "", names.1);
    svg
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_has_a_bar_and_a_dot_where_something_was_found() {
        let span = |name: &str, found| Span { name: name.to_owned(), expected: -0.05, found };
        let spans = [span("1", Some([0.1, 0.05, 0.15])), span("2", None)];
        let html = ranges(&spans, ("added", "tenth"), 350.0).html("x");
        let text = html.as_str();
        assert_eq!(text.matches("bar pale").count(), 2);
        assert_eq!(text.matches("<circle").count(), 1);
        assert!(text.contains("−5\u{a0}%") && text.contains(">tenth</text>"), "{text}");
        ranges(&[], ("", ""), 350.0);
    }
}
