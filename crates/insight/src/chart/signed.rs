//! Bars to both sides of a line: what speaks for something, and what against it.

use super::svg::{Anchor, Svg, text_width};

const ROW: f64 = 24.0;
/// Where names stand above their bars, for want of room beside them.
const TALL: f64 = 40.0;
const SMALL: f64 = 500.0;

/// A bar.
#[derive(Debug, Clone, PartialEq)]
pub struct Signed {
    /// Its name.
    pub name: String,
    /// Its length; to the left where it is below 0.
    pub value: f64,
    /// The value in words.
    pub label: String,
}

/// Draws bars, one under the other.
pub fn signed(bars: &[Signed], width: f64) -> Svg {
    let above = width < SMALL;
    let high = if above { TALL } else { ROW };
    let mut svg = Svg::new(width, high * bars.len() as f64);
    let widest =
        |of: fn(&Signed) -> &str| bars.iter().map(|bar| text_width(of(bar))).fold(0.0, f64::max);
    let left = if above { 0.0 } else { (widest(|bar| &bar.name) + 14.0).min(width / 2.0) };
    let label = widest(|bar| &bar.label) + 8.0;
    let most = |sign: f64| bars.iter().map(|bar| sign * bar.value).fold(0.0, f64::max);
    let (up, down) = (most(1.0), most(-1.0));
    let sides = |reach: f64| if reach > 0.0 { label } else { 0.0 };
    let room = (width - left - sides(up) - sides(down)).max(40.0);
    let scale = if up + down > 0.0 { room / (up + down) } else { 0.0 };
    let zero = left + sides(down) + down * scale;
    for (k, bar) in bars.iter().enumerate() {
        let mut y = k as f64 * high;
        if above {
            svg.text(0.0, y + 13.0, Anchor::Start, "", &bar.name);
            y += TALL - ROW;
        } else {
            svg.text(left - 14.0, y + 16.0, Anchor::End, "", &bar.name);
        }
        svg.line((zero, y), (zero, y + ROW), "base");
        let length = (bar.value.abs() * scale).max(if bar.value == 0.0 { 0.0 } else { 1.0 });
        let size = (length, ROW - 7.0);
        if bar.value < 0.0 {
            svg.rect((zero - length, y + 3.0), size, "bar against", &bar.name);
            svg.text(zero - length - 6.0, y + 16.0, Anchor::End, "", &bar.label);
        } else {
            svg.rect((zero, y + 3.0), size, "bar", &bar.name);
            svg.text(zero + length + 6.0, y + 16.0, Anchor::Start, "", &bar.label);
        }
    }
    svg
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bar(name: &str, value: f64) -> Signed {
        Signed { name: name.to_owned(), value, label: format!("{value}") }
    }

    #[test]
    fn bars_go_to_the_side_of_their_sign() {
        let svg = signed(&[bar("a", 3.0), bar("b", -1.0), bar("c", 0.0)], 600.0);
        let html = svg.html("x");
        // Names take 21, labels 22 on either side; the rest is for four units.
        let unit = (600.0 - 21.0 - 2.0 * 22.0) / 4.0;
        for part in [
            format!("width=\"{:.1}\"", 3.0 * unit),
            format!("width=\"{unit:.1}\" height=\"17\" class=\"bar against\""),
            "width=\"0\"".to_owned(),
        ] {
            let part = part.replace(".0\"", "\"");
            assert!(html.as_str().contains(&part), "{part}: {html:?}");
        }
        assert_eq!(signed(&[bar("a", 1.0)], 350.0).height, TALL);
        signed(&[], 350.0);
    }
}
