//! Dots on a sheet without axes, coloured by the group that they belong to: a map.

use super::svg::{Anchor, Svg, text_width};

/// Colours that the page's style has for groups; more groups than that stand back in one.
const COLOURS: usize = 10;

/// A dot of a map.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dot {
    /// Where it stands.
    pub at: [f64; 2],
    /// Its group, by number from 0; none where it belongs to none.
    pub group: Option<usize>,
}

/// The class of a group's colour.
pub fn colour(group: Option<usize>) -> &'static str {
    const CLASSES: [&str; COLOURS] = ["s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9"];
    group.and_then(|group| CLASSES.get(group).copied()).unwrap_or("sx")
}

/// Draws a map. The number of each group stands where its dots have their middle, and numbers count from 1.
pub fn scatter(dots: &[Dot], groups: usize, width: f64) -> Svg {
    let height = if width < 500.0 { width } else { 0.62 * width };
    let mut svg = Svg::new(width, height);
    let margin = 14.0;
    let bounds = |j: usize| {
        let all = dots.iter().map(|dot| dot.at[j]).filter(|x| x.is_finite());
        all.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), x| (a.min(x), b.max(x)))
    };
    let place = |at: f64, (from, to): (f64, f64), size: f64| {
        let share = if to > from { (at - from) / (to - from) } else { 0.5 };
        margin + share * (size - 2.0 * margin)
    };
    let (across, down) = (bounds(0), bounds(1));
    let spot = |dot: &Dot| (place(dot.at[0], across, width), place(dot.at[1], down, height));
    // Fewer dots may be larger.
    let radius = (60.0 / (dots.len().max(1) as f64).sqrt()).clamp(1.6, 4.0);
    // Who belongs nowhere lies under the others.
    for lone in [true, false] {
        for dot in dots.iter().filter(|dot| dot.group.is_none() == lone) {
            svg.dot(spot(dot), radius, colour(dot.group));
        }
    }
    for group in 0..groups {
        let own: Vec<(f64, f64)> =
            dots.iter().filter(|dot| dot.group == Some(group)).map(spot).collect();
        if own.is_empty() {
            continue;
        }
        let middle = |of: fn(&(f64, f64)) -> f64| {
            let mut all: Vec<f64> = own.iter().map(of).collect();
            all.sort_by(f64::total_cmp);
            all[all.len() / 2]
        };
        let (x, y) = (middle(|at| at.0), middle(|at| at.1));
        let number = (group + 1).to_string();
        svg.dot((x, y), 8.0 + text_width(&number) / 2.0, "plate");
        svg.text(x, y + 5.0, Anchor::Middle, "strong number", &number);
    }
    svg
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dots_have_the_colours_of_their_groups_and_groups_their_numbers() {
        let dot = |x: f64, group| Dot { at: [x, -x], group };
        let dots = [dot(0.0, Some(0)), dot(5.0, Some(1)), dot(10.0, None)];
        let html = scatter(&dots, 3, 400.0).html("x");
        for part in [
            "cx=\"14\" cy=\"386\" r=\"4\" class=\"s0\"",
            "cx=\"200\" cy=\"200\" r=\"4\" class=\"s1\"",
            "class=\"sx\"",
            ">1</text>",
            ">2</text>",
        ] {
            assert!(html.as_str().contains(part), "{part}: {}", html.as_str());
        }
        assert!(!html.as_str().contains(">3</text>"));
        assert_eq!((colour(Some(12)), colour(Some(9))), ("sx", "s9"));
        scatter(&[], 0, 400.0);
    }
}
