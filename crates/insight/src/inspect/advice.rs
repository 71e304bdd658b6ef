//! What to do, and the commands that do it.

use events::{Report, flags};

use super::Call;
use crate::html::Html;
use crate::page::{Section, code};

/// Findings with their flags, and one command with all of them.
pub(super) fn section(report: &Report, call: &Call) -> Section {
    let mut section = Section::new("advice", "What to do");
    if let Some(why) = report.untrainable {
        section.say(why);
    }
    if report.advice.is_empty() && report.untrainable.is_some() {
        return section;
    }
    if report.advice.is_empty() {
        section.say("Nothing stands out: this log can be trained on as it is.");
        section.push(commands(report, call, &["train"]));
        return section;
    }
    section.say(
        "Each finding with the flag that answers it, and the threshold from which on it is advised. It is \
         advice by rule of thumb: look at the figures below before following it, and measure what it brings.",
    );
    if report.untrainable.is_none() {
        section.push(commands(report, call, &["train"]));
    }
    let each = report.advice.iter().map(|advice| {
        let mut left = Html::new();
        left.add("p", &[], Html::text(&advice.finding));
        left.add("small", &[], Html::text(format!("Threshold: {}", advice.threshold)));
        let mut right = Html::new();
        let flag = code(format!("{} {}", advice.flag, quoted(&advice.value)));
        right.add("p", &[], flag);
        right.add("p", &[("class", &"why")], Html::text(&advice.reason));
        right.add("small", &[], Html::text(advice.verbs.join(", ")));
        let pair = [Html::element("div", &[], left), Html::element("div", &[], right)];
        Html::element("li", &[], pair.into_iter().collect())
    });
    section.push(Html::element("ul", &[("class", &"advice")], each.collect()));
    section
}

/// Commands with all flags, to be typed as they stand.
fn commands(report: &Report, call: &Call, verbs: &[&str]) -> Html {
    let each = verbs.iter().map(|verb| {
        let mut words = vec!["tidegate".to_owned(), (*verb).to_owned()];
        words.extend(call.logs.iter().map(|log| quoted(log)));
        let advised = flags(&report.advice, verb);
        let own = call.flags.iter().filter(|(flag, _)| !advised.iter().any(|(a, _)| a == flag));
        for (flag, value) in own.chain(&advised) {
            words.push(format!("{flag} {}", quoted(value)));
        }
        words.push("--out model".to_owned());
        code(words.join(" "))
    });
    Html::element("div", &[("class", &"command")], each.collect())
}

/// A word as a shell takes it for one.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./:=,+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_takes_words_as_they_are() {
        assert_eq!(quoted("day=500,burst=20/10"), "day=500,burst=20/10");
        assert_eq!(quoted("e-shop clothing.csv"), "'e-shop clothing.csv'");
        assert_eq!(quoted("it's; rm -rf $HOME"), "'it'\\''s; rm -rf $HOME'");
        assert_eq!(quoted(""), "''");
    }
}
