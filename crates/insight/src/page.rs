//! The shell of a page: head, sections, tables, notes.

use std::fmt::Display;

use crate::html::Html;

/// The style of a page.
pub(crate) const STYLE: &str = include_str!("style.css");

/// A page in the making.
#[derive(Debug, Clone)]
pub struct Page {
    title: String,
    kicker: String,
    sections: Vec<Section>,
}

/// A part of a page with a heading.
#[derive(Debug, Clone)]
pub struct Section {
    id: &'static str,
    heading: &'static str,
    body: Html,
}

impl Page {
    /// A page with a title, and a line above it that says what kind of page it is.
    pub fn new(title: impl Display, kicker: impl Display) -> Self {
        Self { title: title.to_string(), kicker: kicker.to_string(), sections: Vec::new() }
    }

    /// Adds a section.
    pub fn push(&mut self, section: Section) {
        self.sections.push(section);
    }

    /// The whole file.
    pub fn render(&self) -> String {
        let mut body = Html::new();
        body.open("header", &[]);
        body.add("p", &[("class", &"kicker")], Html::text(&self.kicker));
        body.add("h1", &[], Html::text(&self.title));
        body.close("header");
        let linked = self.sections.iter().filter(|section| !section.heading.is_empty());
        let links = linked.map(|section| {
            let target = format!("#{}", section.id);
            Html::element("a", &[("href", &target)], Html::text(section.heading))
        });
        body.add("nav", &[("aria-label", &"Sections")], links.collect());
        for section in &self.sections {
            body.open("section", &[("id", &section.id)]);
            if !section.heading.is_empty() {
                body.add("h2", &[], Html::text(section.heading));
            }
            body.push(section.body.clone());
            body.close("section");
        }
        let title = Html::text(&self.title);
        format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; \
             style-src 'unsafe-inline'\">\n\
             <title>{}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n{}\n</main>\n\
             </body>\n</html>\n",
            title.as_str(),
            body.as_str()
        )
    }
}

impl Section {
    /// A section; without a heading it is not in the list of sections.
    pub fn new(id: &'static str, heading: &'static str) -> Self {
        Self { id, heading, body: Html::new() }
    }

    /// Adds anything.
    pub fn push(&mut self, piece: Html) {
        self.body.push(piece);
    }

    /// Adds a paragraph.
    pub fn say(&mut self, text: impl Display) {
        self.body.add("p", &[], Html::text(text));
    }

    /// Adds a paragraph that stands back.
    pub fn note(&mut self, text: impl Display) {
        self.body.add("p", &[("class", &"note")], Html::text(text));
    }

    /// Adds a heading inside the section.
    pub fn subheading(&mut self, text: impl Display) {
        self.body.add("h3", &[], Html::text(text));
    }
}

/// Large figures with what they are under them.
pub fn figures(figures: &[(String, String)]) -> Html {
    let each = figures.iter().map(|(value, name)| {
        let value = Html::element("dd", &[], Html::text(value));
        let name = Html::element("dt", &[], Html::text(name));
        Html::element("div", &[], [value, name].into_iter().collect())
    });
    Html::element("dl", &[("class", &"figures")], each.collect())
}

/// Names with values beside them.
pub fn facts(facts: &[(String, Html)]) -> Html {
    let each = facts.iter().flat_map(|(name, value)| {
        let name = Html::element("dt", &[], Html::text(name));
        [name, Html::element("dd", &[], value.clone())]
    });
    Html::element("dl", &[("class", &"facts")], each.collect())
}

/// Two pieces side by side, one above the other on a narrow screen.
pub fn beside(pieces: impl IntoIterator<Item = Html>) -> Html {
    let each = pieces.into_iter().map(|piece| Html::element("div", &[], piece));
    Html::element("div", &[("class", &"beside")], each.collect())
}

/// Text as it is typed.
pub fn code(text: impl Display) -> Html {
    Html::element("code", &[], Html::text(text))
}

/// A table. Columns of numbers stand to the right; on a narrow screen it scrolls by itself.
#[derive(Debug, Clone)]
pub struct Table {
    /// Headings with the classes of their columns.
    head: Vec<(String, &'static str)>,
    rows: Vec<Vec<Html>>,
}

impl Table {
    /// A table with these columns; one whose heading begins with `#` holds numbers, with `~` sentences.
    pub fn new(head: &[&str]) -> Self {
        let head = head.iter().map(|name| match (name.strip_prefix('#'), name.strip_prefix('~')) {
            (Some(name), _) => (name.to_owned(), "n"),
            (_, Some(name)) => (name.to_owned(), "t"),
            _ => ((*name).to_owned(), ""),
        });
        Self { head: head.collect(), rows: Vec::new() }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: impl IntoIterator<Item = Html>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// Whether it has no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The table.
    pub fn html(&self) -> Html {
        let cell = |name: &'static str, class: &'static str, inner: Html| match class {
            "" => Html::element(name, &[], inner),
            class => Html::element(name, &[("class", &class)], inner),
        };
        let head = self.head.iter().map(|(name, class)| cell("th", class, Html::text(name)));
        let head = Html::element("thead", &[], Html::element("tr", &[], head.collect()));
        let rows = self.rows.iter().map(|row| {
            let cells = row.iter().zip(&self.head);
            let cells = cells.map(|(inner, (_, class))| cell("td", class, inner.clone()));
            Html::element("tr", &[], cells.collect())
        });
        let body = Html::element("tbody", &[], rows.collect());
        let table = Html::element("table", &[], [head, body].into_iter().collect());
        Html::element("div", &[("class", &"scroll"), ("tabindex", &"0")], table)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_one_file_that_loads_nothing() {
        let mut page = Page::new("<shop>.csv", "Log");
        let mut section = Section::new("a", "First & last");
        section.say("1 < 2");
        page.push(section);
        let html = page.render();
        assert!(html.starts_with("<!doctype html>") && html.ends_with("</html>\n"));
        for part in [
            "<title>&lt;shop&gt;.csv</title>",
            "<a href=\"#a\">First &amp; last</a>",
            "<section id=\"a\"><h2>First &amp; last</h2><p>1 &lt; 2</p></section>",
            "prefers-color-scheme: dark",
        ] {
            assert!(html.contains(part), "{part}: {html}");
        }
        for part in ["http:", "https:", "<script", "@import", "url(", "src="] {
            assert!(!html.contains(part), "{part}");
        }
    }

    #[test]
    fn numbers_stand_to_the_right() {
        let mut table = Table::new(&["name", "#events"]);
        assert!(table.is_empty());
        table.row([Html::text("<a>"), Html::text(3)]);
        let html = table.html();
        let (head, row) = (
            "<th>name</th><th class=\"n\">events</th>",
            "<td>&lt;a&gt;</td><td class=\"n\">3</td>",
        );
        assert!(html.as_str().contains(head) && html.as_str().contains(row), "{html:?}");
    }
}
