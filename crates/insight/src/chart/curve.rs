//! Curves over a share of all, from nobody to everybody, with a band about one of them. Values may fall below 0.

use super::lines::Series;
use super::scale::{Scale, linear_ticks};
use super::svg::{Anchor, Svg, text_width};
use crate::number;

const HEIGHT: f64 = 280.0;
const UNDER: f64 = 40.0;
const ABOVE: f64 = 28.0;

/// A picture of curves over shares from 0 to 1.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Curves {
    /// What the axis below is of.
    pub x_name: String,
    /// What the axis at the side is of.
    pub y_name: String,
    /// Whether values are shares, written in per cent.
    pub shares: bool,
    /// The curves, the one that matters first.
    pub series: Vec<Series>,
    /// A straight line from the beginning to the end, such as chance would draw, and what it is called.
    pub straight: Option<(f64, String)>,
    /// About the first curve: x, and from where to where.
    pub band: Vec<(f64, f64, f64)>,
    /// A share that is marked by an upright line, and the word beside it.
    pub cut: Option<(f64, String)>,
}

/// Round values from at most `low` to at least `high`, 0 among them.
pub(super) fn signed_ticks(low: f64, high: f64, most: usize) -> Vec<f64> {
    let (low, high) = (low.min(0.0), high.max(0.0));
    let steps = linear_ticks(high - low, most);
    let step = steps.get(1).copied().unwrap_or(1.0);
    let (from, to) = ((low / step + 1e-9).floor() as i32, (high / step - 1e-9).ceil() as i32);
    (from..=to.max(from + 1)).map(|k| f64::from(k) * step).collect()
}

/// Draws them.
pub fn curves(what: &Curves, width: f64) -> Svg {
    let mut svg = Svg::new(width, HEIGHT);
    let base = HEIGHT - UNDER;
    let values = what.series.iter().flat_map(|series| series.points.iter().map(|point| point.1));
    let values = values.chain(what.band.iter().flat_map(|at| [at.1, at.2]));
    let values = values.chain(what.straight.iter().map(|end| end.0)).filter(|v| v.is_finite());
    let (low, high) = values.fold((0.0f64, 0.0f64), |(a, b), v| (a.min(v), b.max(v)));
    let ticks = signed_ticks(low, high, 5);
    let (first, last) = (ticks[0], ticks[ticks.len() - 1]);
    let y = Scale { from: first, to: last, log: false, start: base, end: ABOVE };
    let labels = ticks.iter().map(|&tick| match what.shares {
        true => number::plain(100.0 * tick) + "\u{a0}%",
        false => number::short(tick),
    });
    let labels: Vec<String> = labels.collect();

    let names = what.series.iter().map(|series| (series.name.as_str(), series.second));
    let names = names.chain(what.straight.iter().map(|end| (end.1.as_str(), true)));
    let widest = names.map(|(name, _)| text_width(name)).fold(0.0, f64::max);
    // Half of the last label stands beyond the end.
    let end = if widest > 0.0 { width - widest - 8.0 } else { width - 18.0 };
    let start = labels.iter().map(|label| text_width(label)).fold(0.0, f64::max) + 10.0;
    let x = Scale { from: 0.0, to: 1.0, log: false, start, end };
    svg.text(0.0, 10.0, Anchor::Start, "", &what.y_name);
    for (&tick, label) in ticks.iter().zip(&labels) {
        let at = y.place(tick);
        svg.line((start, at), (end, at), if tick == 0.0 { "base" } else { "grid" });
        svg.text(start - 10.0, at + 4.0, Anchor::End, "", label);
    }
    let steps = if end - start > 400.0 { 10 } else { 4 };
    for k in 0..=steps {
        let share = f64::from(k) / f64::from(steps);
        let at = x.place(share);
        svg.line((at, base), (at, base + 4.0), "base");
        svg.text(at, base + 18.0, Anchor::Middle, "", &(number::plain(100.0 * share) + "\u{a0}%"));
    }
    svg.text(end, base + 36.0, Anchor::End, "", &what.x_name);

    let place = |(a, b): (f64, f64)| (x.place(a), y.place(b));
    let above = what.band.iter().map(|&(at, _, high)| place((at, high)));
    let below = what.band.iter().rev().map(|&(at, low, _)| place((at, low)));
    svg.path(&above.chain(below).collect::<Vec<_>>(), true, "area");
    if let Some((to, _)) = &what.straight {
        svg.line(place((0.0, 0.0)), place((1.0, *to)), "mark");
    }
    for series in what.series.iter().rev() {
        let points: Vec<(f64, f64)> = series.points.iter().map(|&point| place(point)).collect();
        svg.path(&points, false, if series.second { "second" } else { "line" });
    }
    if let Some((share, word)) = &what.cut {
        let at = x.place(*share);
        svg.line((at, ABOVE), (at, base), "mark");
        let fits = at + 6.0 + text_width(word) < end;
        let (from, anchor) = if fits { (at + 6.0, Anchor::Start) } else { (at - 6.0, Anchor::End) };
        svg.text(from, base - 8.0, anchor, "strong", word);
    }
    // Names that would touch move apart, the upper one up.
    let mut ends: Vec<(f64, &str, bool)> = Vec::new();
    for series in what.series.iter().filter(|series| !series.name.is_empty()) {
        if let Some(&point) = series.points.last() {
            ends.push((place(point).1 + 4.0, &series.name, series.second));
        }
    }
    if let Some((to, name)) = &what.straight {
        ends.push((place((1.0, *to)).1 + 4.0, name, true));
    }
    // Where two end together, the one that matters stands higher.
    ends.sort_by(|a, b| b.0.total_cmp(&a.0).then(b.2.cmp(&a.2)));
    let mut under = f64::INFINITY;
    for (at, name, second) in ends {
        let at = at.min(under - 15.0);
        under = at;
        svg.text(end + 8.0, at, Anchor::Start, if second { "" } else { "key" }, name);
    }
    svg
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_go_through_zero() {
        assert_eq!(signed_ticks(-0.3, 0.9, 4), [-0.5, 0.0, 0.5, 1.0]);
        assert_eq!(signed_ticks(2.0, 9.0, 4), [0.0, 5.0, 10.0]);
        assert_eq!(signed_ticks(-3.0, -1.0, 4), [-3.0, -2.0, -1.0, 0.0]);
        assert!(signed_ticks(0.0, 0.0, 4).len() >= 2);
    }

    #[test]
    fn a_curve_may_fall_below_zero_and_has_its_band() {
        let series = |name: &str, second| Series {
            name: name.to_owned(),
            points: vec![(0.0, 0.0), (0.5, 0.08), (1.0, -0.02)],
            second,
        };
        let what = Curves {
            x_name: "of users".to_owned(),
            y_name: "added".to_owned(),
            shares: true,
            series: vec![series("by uplift", false), series("by probability", true)],
            straight: Some((-0.02, "by chance".to_owned())),
            band: vec![(0.0, 0.0, 0.0), (0.5, 0.05, 0.1), (1.0, -0.04, 0.01)],
            cut: Some((0.95, "contacted".to_owned())),
        };
        for width in [880.0, 350.0] {
            let html = curves(&what, width).html("x");
            let text = html.as_str();
            assert_eq!(text.matches("class=\"area\"").count(), 1);
            for part in
                ["−5\u{a0}%", ">by chance</text>", ">contacted</text>", "class=\"e strong\""]
            {
                assert!(text.contains(part), "{part}: {text}");
            }
        }
        curves(&Curves::default(), 350.0);
    }
}
