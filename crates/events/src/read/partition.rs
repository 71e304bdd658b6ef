//! Columns that stand in a path and not in the file: a table partitioned into folders
//! (`day=2019-10-01/part-0.parquet`), as Spark, Hive and DuckDB write it.

use std::path::Path;

/// How Spark and Hive spell a missing value in the name of a folder.
const NO_PARTITION: &str = "__HIVE_DEFAULT_PARTITION__";

/// The columns that stand in a path, and what they hold.
pub(super) fn partitions(path: &Path) -> Vec<(String, Option<String>)> {
    let folders = path.parent().into_iter().flat_map(Path::components);
    let pair = |folder: std::path::Component<'_>| {
        let (name, value) = folder.as_os_str().to_str()?.split_once('=')?;
        let value = (value != NO_PARTITION).then(|| decoded(value));
        (!name.is_empty()).then(|| (decoded(name), value))
    };
    folders.filter_map(pair).collect()
}

/// Undoes `%20` and the like.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, others @ ..] = rest {
        let hex = others.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        let code = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match code.filter(|_| *first == b'%') {
            Some(code) => {
                bytes.push(code);
                rest = &others[2..];
            }
            None => {
                bytes.push(*first);
                rest = others;
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_name_columns() {
        let path =
            Path::new("log/day=2019-10-01/shop=a%20b%/x=__HIVE_DEFAULT_PARTITION__/p=1.parquet");
        let expected = [("day", Some("2019-10-01")), ("shop", Some("a b%")), ("x", None)];
        let found = partitions(path);
        let found: Vec<_> =
            found.iter().map(|(name, value)| (name.as_str(), value.as_deref())).collect();
        assert_eq!(found, expected);
    }
}
