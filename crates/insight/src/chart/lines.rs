//! Lines over an axis of numbers or of time, each named at its end.

use super::scale::{Scale, linear_ticks, log_ticks, span_ticks};
use super::svg::{Anchor, Svg, text_width};
use crate::number;

const HEIGHT: f64 = 250.0;
const UNDER: f64 = 40.0;
const ABOVE: f64 = 28.0;

/// What an axis is of.
#[derive(Debug, Clone, PartialEq)]
pub enum Axis {
    /// Numbers from one to another.
    Linear {
        /// At the beginning.
        from: f64,
        /// At the end.
        to: f64,
    },
    /// Positive numbers, equal factors in equal steps.
    Log {
        /// At the beginning.
        from: f64,
        /// At the end.
        to: f64,
    },
    /// Places from 0 to 1 with labels.
    Labels(Vec<(f64, String)>),
}

/// A line.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// Its name; empty where there is only one.
    pub name: String,
    /// Its points by rising x; a gap where y is no number.
    pub points: Vec<(f64, f64)>,
    /// Whether it stands back.
    pub second: bool,
}

/// A place on the first line with a word beside it.
#[derive(Debug, Clone, PartialEq)]
pub struct Mark {
    /// Where.
    pub at: (f64, f64),
    /// What is said of it.
    pub word: String,
}

/// A picture of lines.
#[derive(Debug, Clone, PartialEq)]
pub struct Lines {
    /// The axis below.
    pub x: Axis,
    /// What it is of.
    pub x_name: String,
    /// The axis at the side; without labels of its own.
    pub y: Axis,
    /// What it is of.
    pub y_name: String,
    /// Whether y is a share, written in per cent.
    pub shares: bool,
    /// The lines.
    pub series: Vec<Series>,
    /// Places worth a word.
    pub marks: Vec<Mark>,
}

/// Draws them.
pub fn lines(what: &Lines, width: f64) -> Svg {
    let mut svg = Svg::new(width, HEIGHT);
    let base = HEIGHT - UNDER;
    let names = what.series.iter().map(|series| text_width(&series.name)).fold(0.0, f64::max);
    let end = if names > 0.0 { width - names - 8.0 } else { width - 2.0 };

    let (y_ticks, y_log) = match what.y {
        Axis::Log { from, to } => (log_ticks(from, to), true),
        Axis::Linear { from, to } => (span_ticks(from, to, 4), false),
        Axis::Labels(_) => (vec![0.0, 1.0], false),
    };
    let first = y_ticks.first().copied().unwrap_or(0.0);
    let last = y_ticks.last().copied().unwrap_or(1.0);
    let y = Scale { from: first, to: last, log: y_log, start: base, end: ABOVE };
    let y_labels: Vec<String> = (y_ticks.iter())
        .map(|&tick| match what.shares {
            true => number::plain(100.0 * tick) + "\u{a0}%",
            false => number::short(tick),
        })
        .collect();
    let start = y_labels.iter().map(|label| text_width(label)).fold(0.0, f64::max) + 10.0;
    svg.text(0.0, 10.0, Anchor::Start, "", &what.y_name);
    for (k, (&tick, label)) in y_ticks.iter().zip(&y_labels).enumerate() {
        let at = y.place(tick);
        svg.line((start, at), (end, at), if k == 0 { "base" } else { "grid" });
        svg.text(start - 10.0, at + 4.0, Anchor::End, "", label);
    }

    let x = match what.x {
        Axis::Linear { from, to } => Scale { from, to, log: false, start, end },
        Axis::Log { from, to } => Scale { from, to, log: true, start, end },
        Axis::Labels(_) => Scale { from: 0.0, to: 1.0, log: false, start, end },
    };
    let mut labels: Vec<(f64, String)> = match &what.x {
        Axis::Linear { from, to } => {
            let steps = linear_ticks(to - from, (width / 70.0) as usize);
            let values = steps.iter().map(|step| from + step).filter(|value| value <= to);
            values.map(|value| (x.place(value), number::plain(value))).collect()
        }
        Axis::Log { from, to } => {
            let ticks = log_ticks(*from, *to).into_iter().filter(|tick| tick >= from && tick <= to);
            ticks.map(|tick| (x.place(tick), number::short(tick))).collect()
        }
        Axis::Labels(labels) => {
            labels.iter().map(|(at, label)| (x.place(*at), label.clone())).collect()
        }
    };
    // Where two would touch, the later goes.
    let mut taken = f64::NEG_INFINITY;
    labels.retain(|(at, label)| {
        let half = text_width(label) / 2.0;
        let free = at - half > taken;
        if free {
            taken = at + half + 6.0;
        }
        free
    });
    for (at, label) in labels {
        let half = text_width(&label) / 2.0;
        svg.line((at, base), (at, base + 4.0), "base");
        let anchor = if at < half { Anchor::Start } else { Anchor::Middle };
        let anchor = if at > width - half { Anchor::End } else { anchor };
        svg.text(at, base + 18.0, anchor, "", &label);
    }
    if !what.x_name.is_empty() {
        svg.text(end, base + 36.0, Anchor::End, "", &what.x_name);
    }

    let place = |&(a, b): &(f64, f64)| (x.place(a), y.place(b));
    for series in what.series.iter().rev() {
        let class = if series.second { "second" } else { "line" };
        for run in series.points.split(|point| !point.1.is_finite()) {
            let points: Vec<(f64, f64)> = run.iter().map(place).collect();
            match points[..] {
                [only] => svg.dot(only, 2.5, "dot"),
                _ => svg.path(&points, false, class),
            }
        }
    }
    // Names that would touch move apart, the upper one up.
    let mut ends: Vec<(f64, &Series)> = (what.series.iter().rev())
        .filter_map(|series| {
            let last = series.points.iter().rev().find(|point| point.1.is_finite())?;
            Some((place(last).1 + 4.0, series))
        })
        .collect();
    ends.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut below = f64::INFINITY;
    for (at, series) in ends {
        let at = at.min(below - 15.0);
        below = at;
        let class = if series.second { "" } else { "key" };
        svg.text(end + 8.0, at, Anchor::Start, class, &series.name);
    }
    for mark in &what.marks {
        let (a, b) = place(&mark.at);
        svg.dot((a, b), 4.0, "dot");
        let wide = text_width(&mark.word);
        let at = (a + 9.0).min(width - wide);
        // Above whatever the first line does there.
        let under = what.series.first().into_iter().flat_map(|series| &series.points).map(place);
        let highest = under
            .filter(|point| point.0 >= at - 12.0 && point.0 <= at + wide && point.1.is_finite())
            .map(|point| point.1)
            .fold(b, f64::min);
        svg.text(at, highest - 9.0, Anchor::Start, "strong", &mark.word);
    }
    svg
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(points: Vec<(f64, f64)>) -> Lines {
        Lines {
            x: Axis::Log { from: 1.0, to: 1000.0 },
            x_name: "rank".to_owned(),
            y: Axis::Log { from: 1.0, to: 50.0 },
            y_name: "events".to_owned(),
            shares: false,
            series: vec![Series { name: String::new(), points, second: false }],
            marks: vec![Mark { at: (10.0, 10.0), word: "here".to_owned() }],
        }
    }

    #[test]
    fn axes_have_labels_and_units() {
        let html = lines(&picture(vec![(1.0, 50.0), (10.0, 10.0), (1000.0, 1.0)]), 420.0).html("x");
        for part in [">events</text>", ">100</text>", ">1k</text>", ">rank</text>", ">here</text>"]
        {
            assert!(html.as_str().contains(part), "{part}: {html:?}");
        }
    }

    #[test]
    fn a_line_breaks_where_there_is_no_value() {
        let points = vec![(1.0, 2.0), (2.0, 3.0), (3.0, f64::NAN), (4.0, 4.0)];
        let html = lines(&picture(points), 420.0).html("x");
        assert_eq!(html.as_str().matches("class=\"line\"").count(), 1);
        assert_eq!(html.as_str().matches("<circle").count(), 2);
        lines(&picture(Vec::new()), 350.0);
    }

    #[test]
    fn names_at_the_ends_do_not_touch() {
        let series = |name: &str, y: f64, second| Series {
            name: name.to_owned(),
            points: vec![(0.0, y), (1.0, y)],
            second,
        };
        let what = Lines {
            x: Axis::Labels(vec![(0.0, "a".to_owned()), (0.01, "hidden".to_owned())]),
            x_name: String::new(),
            y: Axis::Linear { from: 0.0, to: 1.0 },
            y_name: "of events".to_owned(),
            shares: true,
            series: vec![series("upper", 0.5, false), series("lower", 0.49, true)],
            marks: Vec::new(),
        };
        let html = lines(&what, 400.0).html("x");
        let place = |name: &str| {
            let before = html.as_str().split(&format!(">{name}</text>")).next().unwrap();
            let y = before.rsplit(" y=\"").next().unwrap().split('"').next().unwrap();
            y.parse::<f64>().unwrap()
        };
        assert!(place("lower") - place("upper") >= 15.0);
        assert!(!html.as_str().contains("hidden") && html.as_str().contains("50\u{a0}%"));
    }
}
