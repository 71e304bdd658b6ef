//! Numbers in the sentences of advice. A unit stays on the line of its number.

/// A share as people read it.
pub(super) fn per_cent(share: f64) -> String {
    let value = 100.0 * share;
    match value {
        v if v >= 9.95 => format!("{v:.0}\u{a0}%"),
        v if v >= 0.095 || v == 0.0 => format!("{v:.1}\u{a0}%"),
        v if v >= 0.0095 => format!("{v:.2}\u{a0}%"),
        _ => "under 0.01\u{a0}%".to_owned(),
    }
}

/// A count with its thousands set apart.
pub(super) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (k, digit) in digits.chars().enumerate() {
        if k > 0 && (digits.len() - k).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A price: its thousands set apart where it has some, two places at most.
pub(super) fn number(value: f64) -> String {
    match value {
        v if v >= 1000.0 => thousands(v.round() as u64),
        v => format!("{v:.2}").trim_end_matches('0').trim_end_matches('.').to_owned(),
    }
}

/// A count and what is counted.
pub(super) fn counted(number: u64, name: &str) -> String {
    format!("{} {name}{}", thousands(number), if number == 1 { "" } else { "s" })
}

/// A count of events.
pub(super) fn events(number: u64) -> String {
    counted(number, "event")
}

/// A length of time in the unit that suits it.
pub(super) fn seconds(seconds: f64) -> String {
    match seconds {
        s if s < 1.0 => format!("{:.1}\u{a0}s", s),
        s if s < 120.0 => format!("{s:.0}\u{a0}s"),
        s if s < 7200.0 => format!("{:.0}\u{a0}min", s / 60.0),
        s if s < 172_800.0 => format!("{:.0}\u{a0}h", s / 3600.0),
        s => format!("{:.0}\u{a0}days", s / 86_400.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        let plain = |text: String| text.replace('\u{a0}', " ");
        let shares = [0.0, 0.000_01, 0.000_2, 0.0123, 0.5].map(|share| plain(per_cent(share)));
        assert_eq!(shares, ["0.0 %", "under 0.01 %", "0.02 %", "1.2 %", "50 %"]);
        assert_eq!((events(1), counted(12_345, "user")), ("1 event".into(), "12,345 users".into()));
        assert_eq!([2574.07, 38_970.0, 1.5, 0.0].map(number), ["2,574", "38,970", "1.5", "0"]);
        let times = [0.5, 59.0, 600.0, 36_000.0, 604_800.0].map(|time| plain(seconds(time)));
        assert_eq!(times, ["0.5 s", "59 s", "10 min", "10 h", "7 days"]);
    }
}
