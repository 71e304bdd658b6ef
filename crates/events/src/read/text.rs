//! The two layouts that are lines of ids: `sessions` and `pairs`.

use super::builder::Builder;
use super::sink::Row;
use super::source::Lines;
use crate::Error;

/// One session a line, its items with blanks between.
pub(super) fn read_sessions(mut lines: Lines, log: &mut Builder<'_>) -> Result<(), Error> {
    read_lines(&mut lines, log, |line, items| {
        items.extend(line.split_ascii_whitespace());
        Ok(())
    })
}

/// One case a line: the prefix, a tab, the target.
pub(super) fn read_pairs(mut lines: Lines, log: &mut Builder<'_>) -> Result<(), Error> {
    read_lines(&mut lines, log, |line, items| {
        let Some((prefix, target)) = line.split_once('\t') else {
            return Err("no tab between prefix and target");
        };
        items.extend(prefix.split_ascii_whitespace());
        if items.is_empty() {
            return Err("no item before the tab");
        }
        let target = target.trim_ascii();
        if target.is_empty() || target.contains(|c: char| c.is_ascii_whitespace()) {
            return Err("not exactly one item after the tab");
        }
        items.push(target);
        Ok(())
    })
}

fn read_lines(
    lines: &mut Lines,
    log: &mut Builder<'_>,
    split: impl for<'a> Fn(&'a str, &mut Vec<&'a str>) -> Result<(), &'static str>,
) -> Result<(), Error> {
    let mut text = Vec::new();
    while let Some(line) = lines.next(&mut text)? {
        if text.trim_ascii().is_empty() && !line.too_long {
            continue;
        }
        let mut items = Vec::new();
        let taken = match std::str::from_utf8(&text) {
            _ if line.too_long => Err("line too long"),
            Err(_) => Err("not UTF-8 text"),
            Ok(text) => split(text, &mut items),
        };
        log.rows += 1;
        if let Err(reason) = taken {
            log.bad(&lines.name, line.number, reason, &String::from_utf8_lossy(&text));
            continue;
        }
        let session = log.next_session();
        for item in items {
            log.push(&Row { item, session: Some(session), ..Row::default() })?;
        }
    }
    Ok(())
}
