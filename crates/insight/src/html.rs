//! Text that is safe to stand in a page.

use std::fmt::{self, Display, Write};

/// A piece of a page. Strings come into it escaped, or as marks that the program itself has written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Html(String);

impl Html {
    /// Nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Any text, such as a name in a log.
    pub fn text(text: impl Display) -> Self {
        let mut html = Self::new();
        html.push_text(text);
        html
    }

    /// A name in a log, cut where it is longer than anybody reads.
    pub fn name(name: &str) -> Self {
        const MOST: usize = 80;
        match name.char_indices().nth(MOST) {
            Some((end, _)) => Self::text(format!("{}…", &name[..end])),
            None => Self::text(name),
        }
    }

    /// Marks of the program's own.
    pub fn raw(marks: &'static str) -> Self {
        Self(marks.to_owned())
    }

    /// An element. `attributes` are names and values; values are escaped.
    pub fn element(
        name: &'static str,
        attributes: &[(&'static str, &dyn Display)],
        inner: Self,
    ) -> Self {
        let mut html = Self::new();
        html.open(name, attributes);
        html.push(inner);
        html.close(name);
        html
    }

    /// Adds a piece.
    pub fn push(&mut self, piece: Self) {
        self.0.push_str(&piece.0);
    }

    /// Adds any text.
    pub fn push_text(&mut self, text: impl Display) {
        // Writing to a String does not fail.
        let _ = write!(Escaping(&mut self.0), "{text}");
    }

    /// Adds an element.
    pub fn add(
        &mut self,
        name: &'static str,
        attributes: &[(&'static str, &dyn Display)],
        inner: Self,
    ) {
        self.push(Self::element(name, attributes, inner));
    }

    /// Begins an element, which [`Html::close`] ends.
    pub fn open(&mut self, name: &'static str, attributes: &[(&'static str, &dyn Display)]) {
        self.0.push('<');
        self.0.push_str(name);
        for (name, value) in attributes {
            self.0.push(' ');
            self.0.push_str(name);
            self.0.push_str("=\"");
            self.push_text(value);
            self.0.push('"');
        }
        self.0.push('>');
    }

    /// Ends an element.
    pub fn close(&mut self, name: &'static str) {
        self.0.push_str("</");
        self.0.push_str(name);
        self.0.push('>');
    }

    /// The marks.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<Html> for Html {
    fn from_iter<I: IntoIterator<Item = Self>>(pieces: I) -> Self {
        let mut html = Self::new();
        pieces.into_iter().for_each(|piece| html.push(piece));
        html
    }
}

/// Writes text so that none of it is a mark, in content and in attributes alike. Control characters,
/// and those that turn the direction of what follows, are shown by their numbers.
struct Escaping<'a>(&'a mut String);

impl fmt::Write for Escaping<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            match c {
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '&' => self.0.push_str("&amp;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                    write!(self.0, "\\u{{{:x}}}", u32::from(c))?;
                }
                c if c.is_control() => write!(self.0, "\\u{{{:x}}}", u32::from(c))?,
                c => self.0.push(c),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_is_a_mark() {
        let hostile = "<script>alert('x')</script>&amp;\"\n\u{0}\u{202e}é";
        let html = Html::text(hostile);
        assert_eq!(
            html.as_str(),
            "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&amp;amp;&quot;\\u{a}\\u{0}\\u{202e}é"
        );
        assert_eq!(Html::name("<é>").as_str(), "&lt;é&gt;");
        let long = Html::name(&"é".repeat(500));
        assert_eq!(long.as_str().chars().count(), 81);
        let element = Html::element("a", &[("title", &"\"><b>")], Html::text("<i>"));
        assert_eq!(element.as_str(), "<a title=\"&quot;&gt;&lt;b&gt;\">&lt;i&gt;</a>");
    }

    #[test]
    fn pieces_are_joined_as_they_are() {
        let all: Html = [Html::raw("<br>"), Html::text(1.5)].into_iter().collect();
        assert_eq!(all.as_str(), "<br>1.5");
        assert!(Html::new().is_empty());
    }
}
