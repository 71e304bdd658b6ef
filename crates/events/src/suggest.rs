//! What the columns of a table that nobody has described are for, by the look of its first rows.
//!
//! Three things speak: the name of a column, what its values look like, and how columns hang together.
//! Whoever acts comes in bursts, what is acted on does not; a session belongs to one user; an item has
//! one category; price times quantity is the amount. `suggest/profile` measures, `suggest/roles`
//! judges, and here the judgement becomes settings, with its reasons beside them.

mod profile;
mod roles;

use std::fmt::Write;
use std::path::PathBuf;

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use crate::read::{number, sample};
use crate::time::spelled;
use crate::{Columns, Error, Format, Role};
use profile::Profile;

/// What the columns of a log are believed to be.
#[derive(Debug, Clone, Serialize)]
pub struct Suggestion {
    /// The file that was looked at.
    pub file: String,
    /// How many of its rows.
    pub rows: u64,
    /// The layout.
    pub format: Format,
    /// Which column is for what; empty where the layout says so itself.
    #[serde(serialize_with = "by_role")]
    pub columns: Columns,
    /// Further columns that hold words.
    pub labels: Vec<String>,
    /// Further columns that hold numbers.
    pub numbers: Vec<String>,
    /// Why, column by column.
    pub findings: Vec<Guess>,
}

/// What one column is believed to be, and why.
#[derive(Debug, Clone, Serialize)]
pub struct Guess {
    /// The column, by its name or its place from 1.
    pub column: String,
    /// A role, `label`, `number`, or `not read`.
    pub role: String,
    /// What speaks for it.
    pub reasons: Vec<String>,
}

/// Looks at the first rows of a log and says what its columns are believed to be.
///
/// # Errors
///
/// As [`read`](crate::read()), and [`Error::Unrecognised`] where there is no table.
pub fn suggest(paths: &[PathBuf], format: Option<Format>) -> Result<Suggestion, Error> {
    let sample = sample(paths, format)?;
    let mut suggestion = Suggestion {
        file: sample.file,
        rows: 0,
        format: if sample.tabs { Format::Tsv } else { Format::Csv },
        columns: Columns::default(),
        labels: Vec::new(),
        numbers: Vec::new(),
        findings: Vec::new(),
    };
    if let Some(known) = sample.known {
        suggestion.format = known;
        return Ok(suggestion);
    }
    let width = sample.rows.first().map_or(0, Vec::len);
    let header = has_header(&sample.rows);
    let names: Vec<String> = (0..width).map(|place| (place + 1).to_string()).collect();
    let mut names = if header { sample.rows[0].clone() } else { names };
    let rows: Vec<&Vec<String>> =
        sample.rows.iter().skip(usize::from(header)).filter(|row| row.len() == width).collect();
    let mut profiles: Vec<Profile> = (0..width)
        .map(|place| {
            let column = rows.iter().map(|row| row[place].as_str());
            Profile::new(names[place].clone(), column)
        })
        .collect();
    for (name, value) in sample.beside.iter().filter(|(name, _)| !names[..width].contains(name)) {
        let value = value.as_deref().unwrap_or_default();
        profiles.push(Profile::new(name.clone(), std::iter::repeat_n(value, rows.len())));
    }
    names.extend(profiles[width..].iter().map(|profile| profile.name.clone()));
    suggestion.rows = rows.len() as u64;
    for (place, judgement) in roles::judge(&profiles, header).into_iter().enumerate() {
        // A name that the flag cannot spell, or that another column has too, gives way to the place.
        let name = &names[place];
        let twice = names.iter().filter(|other| *other == name).count() > 1;
        let column = if twice || name.is_empty() || name.contains(',') {
            (place + 1).to_string()
        } else {
            name.clone()
        };
        match judgement.role {
            roles::Use::Role(role) => suggestion.columns.set(role, &column),
            roles::Use::Label => suggestion.labels.push(column.clone()),
            roles::Use::Number => suggestion.numbers.push(column.clone()),
            roles::Use::Nothing => {}
        }
        let role = judgement.role.name().to_owned();
        suggestion.findings.push(Guess { column, role, reasons: judgement.reasons });
    }
    Ok(suggestion)
}

impl Suggestion {
    /// What is missing before the log can be read.
    pub fn missing(&self) -> Vec<&'static str> {
        if self.findings.is_empty() {
            return Vec::new();
        }
        let has = |role| self.columns.get(role).is_some();
        let mut missing = Vec::new();
        if !has(Role::Item) {
            missing.push("item");
        }
        if !has(Role::User) && !has(Role::Session) {
            missing.push("user or session");
        }
        missing
    }

    /// A settings file for `--config`, with the reasons as comments.
    pub fn to_toml(&self) -> String {
        let mut text = String::new();
        let mut line = |line: String| {
            let _ = writeln!(text, "{line}");
        };
        if self.findings.is_empty() {
            line(format!(
                "# {:?} shows its layout by itself: no column has to be named.",
                self.file
            ));
        } else {
            line(format!(
                "# By the first {} rows of {:?}. Look it over before use.",
                self.rows, self.file
            ));
        }
        for missing in self.missing() {
            line(format!("# No column looks like the {missing}: name it in `columns`."));
        }
        line("[data]".to_owned());
        line(format!("format = {}", quoted(self.format.name())));
        for finding in &self.findings {
            line(format!(
                "# {}: {:?}: {}",
                finding.role,
                finding.column,
                finding.reasons.join("; ")
            ));
        }
        if !self.columns.is_empty() {
            line(format!("columns = {}", quoted(&self.columns.to_string())));
        }
        for (key, names) in [("labels", &self.labels), ("numbers", &self.numbers)] {
            if !names.is_empty() {
                let names: Vec<String> = names.iter().map(|name| quoted(name)).collect();
                line(format!("{key} = [{}]", names.join(", ")));
            }
        }
        text
    }
}

/// Whether the first row has names: one of them usual, or a word over a column of numbers or times, or
/// none of them a number or a value of its own column.
fn has_header(rows: &[Vec<String>]) -> bool {
    let Some((first, rest)) = rows.split_first() else { return false };
    let usual = |name: &String| {
        let bare = crate::log::bare(name);
        Role::ALL.iter().any(|role| role.known_names().contains(&bare.as_str()))
    };
    let measured = |text: &str| number::<f64>(text).is_ok() || spelled(text).is_some();
    if first.iter().any(usual) {
        return true;
    }
    let some = &rest[..rest.len().min(200)];
    let column = |place: usize| some.iter().filter_map(move |row| row.get(place));
    let of_numbers = |place| {
        let values = || column(place).filter(|value| !value.is_empty());
        let like = values().filter(|value| measured(value)).count();
        like > 0 && 10 * like >= 9 * values().count()
    };
    let word_over_numbers =
        |(place, name): (usize, &String)| !name.is_empty() && !measured(name) && of_numbers(place);
    if first.iter().enumerate().any(word_over_numbers) {
        return true;
    }
    !rest.is_empty()
        && first.iter().enumerate().all(|(place, name)| {
            !name.is_empty() && !measured(name) && column(place).all(|value| value != name)
        })
}

/// A string of TOML.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => {
                let _ = write!(quoted, "\\u{:04X}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted + "\""
}

fn by_role<S: Serializer>(columns: &Columns, serializer: S) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(None)?;
    for (role, column) in columns.iter() {
        map.serialize_entry(role.name(), column)?;
    }
    map.end()
}
