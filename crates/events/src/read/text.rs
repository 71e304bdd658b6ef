//! The layouts that are lines of ids: `sessions`, `pairs` and `users`.

use super::builder::{Builder, Grouping};
use super::sink::Row;
use super::source::Lines;
use super::table::NOT_UTF_8;
use crate::Error;

/// One session a line, its items with blanks between.
pub(super) fn read_sessions(mut lines: Lines, log: &mut Builder) -> Result<(), Error> {
    read_lines(&mut lines, log, |line, items| {
        items.extend(line.split_ascii_whitespace());
        Ok(None)
    })
}

/// One case a line: the prefix, a tab, the target.
pub(super) fn read_pairs(mut lines: Lines, log: &mut Builder) -> Result<(), Error> {
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
        Ok(None)
    })
}

/// One user a line: the name, then the items. A user who has several lines has them one after the
/// other.
pub(super) fn read_users(mut lines: Lines, log: &mut Builder) -> Result<(), Error> {
    log.same_grouping(&lines.name, Grouping { user: true, session: false, time: false })?;
    read_lines(&mut lines, log, |line, items| {
        let mut words = line.split_ascii_whitespace();
        let user = words.next();
        items.extend(words);
        if items.is_empty() { Err("no item after the user") } else { Ok(user) }
    })
}

/// Makes events of lines. `split` gives the items of one, and its user where it names one; each line
/// without a user is a session.
fn read_lines(
    lines: &mut Lines,
    log: &mut Builder,
    split: impl for<'a> Fn(&'a str, &mut Vec<&'a str>) -> Result<Option<&'a str>, &'static str>,
) -> Result<(), Error> {
    let mut text = Vec::new();
    while let Some(line) = lines.next(&mut text)? {
        if text.trim_ascii().is_empty() && !line.too_long {
            continue;
        }
        let mut items = Vec::new();
        let taken = match std::str::from_utf8(&text) {
            _ if line.too_long => Err("line too long"),
            Err(_) => Err(NOT_UTF_8),
            Ok(text) if text.contains('\0') => Err("a NUL byte"),
            Ok(text) if text.contains('\r') => Err("a carriage return inside the line"),
            Ok(text) => split(text, &mut items),
        };
        log.rows += 1;
        let user = match taken {
            Ok(user) => user,
            Err(reason) => {
                // The detail is cut to some characters: no need to look at all of a long line.
                let beginning = &text[..text.len().min(400)];
                log.bad(&lines.name, line.number, reason, &String::from_utf8_lossy(beginning));
                continue;
            }
        };
        let session = user.is_none().then(|| log.next_session());
        for item in items {
            log.push(&Row { item, user, session, ..Row::default() })?;
        }
    }
    Ok(())
}
