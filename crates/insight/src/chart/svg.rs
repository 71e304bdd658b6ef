//! Shapes and words on a sheet of a given size.

use std::fmt::Write;

use crate::html::Html;

/// Where the text stands to which a place is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Anchor {
    /// It begins there.
    Start,
    /// Its middle is there.
    Middle,
    /// It ends there.
    End,
}

/// A sheet. Lengths are pixels at the size that it is drawn for, from the upper left corner.
#[derive(Debug, Clone)]
pub struct Svg {
    /// Its width.
    pub width: f64,
    /// Its height.
    pub height: f64,
    inner: Html,
}

/// A number with one place, which is finer than a screen.
fn short(value: f64) -> String {
    let value = if value.is_finite() { value.clamp(-1e5, 1e5) } else { 0.0 };
    let text = format!("{value:.1}");
    let text = text.strip_suffix(".0").unwrap_or(&text);
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

/// About how wide a text will be, at 12 pixels.
pub(super) fn text_width(text: &str) -> f64 {
    7.0 * text.chars().count() as f64
}

impl Svg {
    /// An empty sheet.
    pub fn new(width: f64, height: f64) -> Self {
        Self { width, height, inner: Html::new() }
    }

    /// Writes a text; `y` is its base line. Classes are those of the page's style.
    pub fn text(&mut self, x: f64, y: f64, anchor: Anchor, class: &str, text: &str) {
        let side = match anchor {
            Anchor::Start => "a",
            Anchor::Middle => "m",
            Anchor::End => "e",
        };
        let class = format!("{side} {class}");
        let (x, y) = (short(x), short(y));
        let class = class.trim_end();
        self.inner.add("text", &[("x", &x), ("y", &y), ("class", &class)], Html::text(text));
    }

    /// Draws a straight line.
    pub fn line(&mut self, from: (f64, f64), to: (f64, f64), class: &str) {
        self.path(&[from, to], false, class);
    }

    /// Draws a line through points, closed to an area if asked to.
    pub fn path(&mut self, points: &[(f64, f64)], closed: bool, class: &str) {
        let mut d = String::with_capacity(12 * points.len());
        for (k, &(x, y)) in points.iter().enumerate() {
            let letter = if k == 0 { "M" } else { "L" };
            // Writing to a String does not fail.
            let _ = write!(d, "{letter}{} {}", short(x), short(y));
        }
        if closed {
            d.push('Z');
        }
        if points.is_empty() {
            return;
        }
        self.inner.add("path", &[("d", &d), ("class", &class)], Html::new());
    }

    /// Draws a rectangle with a word that shows when the pointer rests on it.
    pub fn rect(&mut self, at: (f64, f64), size: (f64, f64), class: &str, hint: &str) {
        self.shade(at, size, class, 1.0, hint);
    }

    /// The same, as dark as said: 0 to 1.
    pub fn shade(&mut self, at: (f64, f64), size: (f64, f64), class: &str, dark: f64, hint: &str) {
        let [x, y, width, height] = [at.0, at.1, size.0.max(0.0), size.1.max(0.0)].map(short);
        let inner = match hint {
            "" => Html::new(),
            hint => Html::element("title", &[], Html::text(hint)),
        };
        let dark = format!("{dark:.2}");
        let mut attributes: Vec<(&'static str, &dyn std::fmt::Display)> =
            vec![("x", &x), ("y", &y), ("width", &width), ("height", &height), ("class", &class)];
        if dark != "1.00" {
            attributes.push(("fill-opacity", &dark));
        }
        self.inner.add("rect", &attributes, inner);
    }

    /// Draws a dot.
    pub fn dot(&mut self, at: (f64, f64), radius: f64, class: &str) {
        let [x, y, r] = [at.0, at.1, radius].map(short);
        self.inner.add(
            "circle",
            &[("cx", &x), ("cy", &y), ("r", &r), ("class", &class)],
            Html::new(),
        );
    }

    /// The picture as a file of its own, in the colours of the page.
    pub fn file(&self, name: &str) -> String {
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"-12 -12 {} {}\" width=\"{}\" \
             role=\"img\">\n<title>{}</title>\n<style>\n{}svg {{ background: var(--ground); \
             font-family: system-ui, sans-serif; }}\n</style>\n{}\n</svg>\n",
            short(self.width + 24.0),
            short(self.height + 24.0),
            short(self.width + 24.0),
            Html::text(name).as_str(),
            crate::page::STYLE,
            self.inner.as_str(),
        )
    }

    /// The picture, with a name for those who do not see it.
    pub fn html(&self, name: &str) -> Html {
        let view = format!("0 0 {} {}", short(self.width), short(self.height));
        let attributes: [(&'static str, &dyn std::fmt::Display); 3] =
            [("viewBox", &view), ("role", &"img"), ("aria-label", &name)];
        Html::element("svg", &attributes, self.inner.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_have_short_numbers_and_safe_words() {
        let mut svg = Svg::new(100.0, 50.0);
        svg.text(1.0, 2.25, Anchor::End, "strong", "<&>");
        svg.path(&[(0.0, 0.0), (1.0 / 3.0, f64::NAN)], true, "area");
        svg.rect((0.0, 0.0), (10.0, -1.0), "bar", "\"5\"");
        svg.shade((0.0, 0.0), (1.0, 1.0), "cell", 0.5, "");
        svg.path(&[], false, "line");
        let html = svg.html("x");
        for part in [
            "<text x=\"1\" y=\"2.2\" class=\"e strong\">&lt;&amp;&gt;</text>",
            "<path d=\"M0 0L0.3 0Z\" class=\"area\"></path>",
            "height=\"0\" class=\"bar\"><title>&quot;5&quot;</title></rect>",
            "fill-opacity=\"0.50\"",
        ] {
            assert!(html.as_str().contains(part), "{part}: {}", html.as_str());
        }
        assert_eq!(html.as_str().matches("<path").count(), 1);
    }
}
