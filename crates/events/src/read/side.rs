//! Tables beside a log: rows that belong to an id, in commas, tabs, semicolons, bars or blanks.

use std::path::Path;

use super::detect::delimiter;
use super::record::{Record, Records};
use super::source::Source;
use crate::Error;

/// Gives the rows of a file to `take`, fields trimmed, with the number of each row's line. What
/// `take` has to say about a row becomes an error that names file and line, as does a row that
/// cannot be cut or is no text: such a table is small and somebody's work, so nothing is skipped.
pub(crate) fn side_rows(
    path: &Path,
    mut take: impl FnMut(&[&str]) -> Result<(), String>,
) -> Result<(), Error> {
    let source = Source::open(path)?;
    let name = source.name.clone();
    let first = String::from_utf8_lossy(source.head()).into_owned();
    let first = first.lines().find(|line| !line.trim().is_empty()).unwrap_or("").trim();
    let delimiter = delimiter(first);
    let blanks = !first.contains(delimiter);
    let mut records = Records::new(source.lines()?, if blanks { b' ' } else { delimiter as u8 });
    while let Some(record) = records.next()? {
        let refuse = |line, reason| Error::Side { path: name.clone(), line, reason };
        match record {
            Record::Bad(line, reason) => return Err(refuse(line, reason.to_owned())),
            Record::Fields(line, fields) => {
                let texts: Result<Vec<&str>, _> =
                    (0..fields.len()).map(|place| std::str::from_utf8(fields.get(place))).collect();
                let texts = texts.map_err(|_| refuse(line, "not UTF-8 text".to_owned()))?;
                let texts = texts.into_iter().map(str::trim);
                let texts: Vec<&str> = texts.filter(|text| !blanks || !text.is_empty()).collect();
                take(&texts).map_err(|reason| refuse(line, reason))?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &[u8]) -> Result<Vec<Vec<String>>, Error> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let mut rows = Vec::new();
        side_rows(file.path(), |fields| {
            if fields.contains(&"bad") {
                return Err("this is bad".to_owned());
            }
            rows.push(fields.iter().map(|&field| field.to_owned()).collect());
            Ok(())
        })?;
        Ok(rows)
    }

    #[test]
    fn fields_are_cut_at_what_the_first_line_has() {
        for text in ["a,b\n c , \n", "a;b\r\nc;\r\n", "a\tb\n\nc\t\n", "\"a\"|b\nc|\n"] {
            assert_eq!(rows(text.as_bytes()).unwrap(), [["a", "b"], ["c", ""]], "{text:?}");
        }
        assert_eq!(rows(b"a  b\n c d \n").unwrap(), [["a", "b"], ["c", "d"]]);
        assert_eq!(rows(b"").unwrap().len(), 0);
    }

    #[test]
    fn a_row_that_cannot_be_used_is_an_error_with_its_line() {
        for (text, part) in
            [(&b"a,b\n\nbad,c\n"[..], "line 3: this is bad"), (b"\xff,b\n", "UTF-8")]
        {
            let error = rows(text).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
