//! Pictures as SVG inside a page.
//!
//! `svg` is the paper, `scale` puts values onto it, `scale` and `calendar` say where labels stand. `lines`,
//! `columns`, `rows`, `signed`, `heat`, `shades`, `funnel`, `scatter`, `curve` and `ranges` are the pictures. Colours and letters come from classes of the
//! page's style, so that pictures follow its light and dark colours. A picture is a function of a
//! width; [`figure`] draws it wide and narrow, since text that shrinks with a screen cannot be read.

mod calendar;
mod columns;
mod curve;
mod funnel;
mod heat;
mod lines;
mod ranges;
mod rows;
mod scale;
mod scatter;
mod shades;
mod signed;
mod svg;

pub use calendar::{date, ticks as time_ticks};
pub use columns::{Columns, columns};
pub use curve::{Curves, curves};
pub use funnel::{Stage, funnel};
pub use heat::{Heat, heat};
pub use lines::{Axis, Lines, Mark, Series, lines};
pub use ranges::{Span, ranges};
pub use rows::{Row, rows, spark};
pub use scale::{Scale, linear_ticks, log_ticks};
pub use scatter::{Dot, colour, scatter};
pub use shades::{Shades, shades};
pub use signed::{Signed, signed};
pub use svg::{Anchor, Svg};

use crate::html::Html;

/// A picture as wide as the page.
pub const FULL: f64 = 880.0;
/// One of two side by side.
pub const HALF: f64 = 420.0;
/// The same on a phone.
pub const NARROW: f64 = 350.0;

/// A picture with its title and what it shows in words, drawn for a wide and for a narrow screen.
pub fn figure(title: &str, caption: &str, width: f64, draw: impl Fn(f64) -> Svg) -> Html {
    let mut html = Html::new();
    html.open("figure", &[]);
    let words =
        [Html::element("b", &[], Html::text(title)), Html::text(caption)].into_iter().collect();
    html.add("figcaption", &[], words);
    for (class, width) in [("wide", width), ("narrow", NARROW)] {
        html.add("div", &[("class", &class)], draw(width).html(title));
    }
    html.close("figure");
    html
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_drawn_twice_and_named() {
        let html = figure("A <b>", "of & to", 880.0, |width| Svg::new(width, 10.0));
        let text = html.as_str();
        assert!(text.contains("viewBox=\"0 0 880 10\"") && text.contains("viewBox=\"0 0 350 10\""));
        assert!(text.contains("<b>A &lt;b&gt;</b>of &amp; to") && !text.contains("A <b>"));
        assert_eq!(text.matches("aria-label=\"A &lt;b&gt;\"").count(), 2);
    }
}
