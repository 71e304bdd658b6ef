//! Columns side by side over an axis of time: how much there was, bin by bin.

use super::calendar;
use super::scale::{Scale, linear_ticks};
use super::svg::{Anchor, Svg, text_width};
use crate::number;

const HEIGHT: f64 = 230.0;
/// Room for labels under the columns.
const UNDER: f64 = 24.0;
/// Room above, for what is counted.
const ABOVE: f64 = 26.0;

/// A column is no wider.
const WIDEST: f64 = 56.0;

/// Counts by bins of time.
#[derive(Debug, Clone, Copy)]
pub struct Columns<'a> {
    /// The count of each bin.
    pub bins: &'a [u64],
    /// What the clock showed when the first one began, milliseconds.
    pub start: i64,
    /// Milliseconds a bin.
    pub unit: i64,
    /// What is counted.
    pub of: &'a str,
}

/// Draws them; many are an area, few are columns.
pub fn columns(what: Columns<'_>, width: f64) -> Svg {
    let mut svg = Svg::new(width, HEIGHT);
    let n = what.bins.len().max(1) as f64;
    let largest = what.bins.iter().copied().max().unwrap_or(0) as f64;
    let mut ticks = linear_ticks(largest, 4);
    // Half an event is none.
    ticks.retain(|tick| tick.fract() == 0.0);
    let top = ticks.last().copied().unwrap_or(1.0);
    let base = HEIGHT - UNDER;
    let y = Scale { from: 0.0, to: top, log: false, start: base, end: ABOVE };
    let labels: Vec<String> = ticks.iter().map(|&tick| number::short(tick)).collect();
    let left = labels.iter().map(|label| text_width(label)).fold(0.0, f64::max) + 10.0;
    svg.text(0.0, 10.0, Anchor::Start, "", what.of);
    for (&tick, label) in ticks.iter().zip(&labels) {
        let at = y.place(tick);
        svg.line((left, at), (width, at), "grid");
        svg.text(left - 10.0, at + 4.0, Anchor::End, "", label);
    }
    let step = (width - left) / n;
    let place = |bin: usize| left + bin as f64 * step;
    let moment = |bin: usize| what.start.saturating_add(what.unit.saturating_mul(bin as i64));
    if step >= 4.0 {
        let gap = (0.18 * step).clamp(1.0, 6.0);
        for (bin, &count) in what.bins.iter().enumerate().filter(|(_, count)| **count > 0) {
            // What is not nothing is seen.
            let height = (base - y.place(count as f64)).max(1.0);
            let hint = format!(
                "{}{}: {} {}",
                calendar::date(moment(bin)),
                if what.unit < 86_400_000 {
                    format!(", {:02}:00", moment(bin).rem_euclid(86_400_000) / 3_600_000)
                } else {
                    String::new()
                },
                number::count(count),
                what.of
            );
            let at = (place(bin) + gap / 2.0, base - height);
            svg.rect(at, ((step - gap).min(WIDEST), height), "bar", &hint);
        }
    } else {
        let mut edge = Vec::with_capacity(2 * what.bins.len());
        for (bin, &count) in what.bins.iter().enumerate() {
            let at = y.place(count as f64);
            edge.extend([(place(bin), at), (place(bin + 1), at)]);
        }
        let mut area = edge.clone();
        area.extend([(width, base), (left, base)]);
        svg.path(&area, true, "bar");
    }
    svg.line((left, base), (width, base), "base");
    let room = (width / 72.0) as usize;
    for (share, label) in calendar::ticks(what.start, moment(what.bins.len()), room.max(2)) {
        let x = left + share * (width - left);
        svg.line((x, base), (x, base + 4.0), "base");
        let wide = text_width(&label);
        let anchor = match x {
            x if x < wide / 2.0 => Anchor::Start,
            x if x > width - wide / 2.0 => Anchor::End,
            _ => Anchor::Middle,
        };
        svg.text(x, base + 18.0, anchor, "", &label);
    }
    svg
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draw(bins: &[u64], width: f64) -> String {
        let what = Columns { bins, start: 0, unit: 86_400_000, of: "events" };
        columns(what, width).html("x").as_str().to_owned()
    }

    #[test]
    fn few_bins_are_columns_and_many_an_area() {
        let few = draw(&[5, 0, 10], 300.0);
        assert_eq!(few.matches("<rect").count(), 2);
        assert!(few.contains("<title>3 Jan 1970: 10 events</title>"), "{few}");
        assert!(few.contains(">events</text>") && few.contains(">1 Jan</text>"), "{few}");
        let many = draw(&[1; 300], 350.0);
        assert_eq!((many.matches("<rect").count(), many.matches("class=\"bar\"").count()), (0, 1));
        draw(&[], 350.0);
        draw(&[0], 350.0);
    }
}
