//! Numbers as people read them: few digits, units, thousands set apart. No line breaks before a unit.

/// A count with its thousands set apart.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (k, digit) in digits.chars().enumerate() {
        if k > 0 && (digits.len() - k).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A count in at most four characters and a unit: `950`, `12.3k`, `4.1M`.
pub fn short(number: f64) -> String {
    if !number.is_finite() {
        return "–".to_owned();
    }
    if number.abs() < 1000.0 {
        return plain(number);
    }
    let units = ["k", "M", "G", "T"];
    let mut value = number / 1000.0;
    let mut unit = 0;
    while value.abs() >= 999.5 && unit + 1 < units.len() {
        value /= 1000.0;
        unit += 1;
    }
    plain(value) + units[unit]
}

/// A number with three digits that count, without zeros behind the point.
pub fn plain(number: f64) -> String {
    if !number.is_finite() {
        return "–".to_owned();
    }
    if number == 0.0 {
        return "0".to_owned();
    }
    let size = number.abs().log10().floor() as i32;
    let places = (2 - size).clamp(0, 6) as usize;
    let text = format!("{number:.places$}");
    let text = match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.'),
        false => &text,
    };
    match number.abs() {
        n if n >= 1e15 => format!("{number:.2e}"),
        n if n >= 10_000.0 => {
            let sign = if number < 0.0 { "−" } else { "" };
            sign.to_owned() + &count(n.round() as u64)
        }
        _ => text.replace('-', "−"),
    }
}

/// A share in per cent.
pub fn per_cent(share: f64) -> String {
    let value = 100.0 * share;
    match value {
        v if !v.is_finite() => "–".to_owned(),
        v if v > 99.95 && v < 100.0 => "over 99.9\u{a0}%".to_owned(),
        v if (99.45..100.0).contains(&v) => format!("{v:.1}\u{a0}%"),
        v if v >= 9.95 => format!("{v:.0}\u{a0}%"),
        v if v >= 0.095 => format!("{v:.1}\u{a0}%"),
        0.0 => "0\u{a0}%".to_owned(),
        v if v >= 0.0095 => format!("{v:.2}\u{a0}%"),
        _ => "under 0.01\u{a0}%".to_owned(),
    }
}

/// A part of a whole in per cent.
pub fn part(part: u64, whole: u64) -> String {
    if whole == 0 { "–".to_owned() } else { per_cent(part as f64 / whole as f64) }
}

/// A count and what is counted, in the plural where it should be.
pub fn counted(number: u64, name: &str) -> String {
    format!("{} {name}{}", count(number), if number == 1 { "" } else { "s" })
}

/// A length of time in the unit that suits it.
pub fn seconds(seconds: f64) -> String {
    let unit = |value: f64, unit: &str| format!("{}\u{a0}{unit}", plain(value));
    match seconds {
        s if !s.is_finite() => "–".to_owned(),
        0.0 => "0\u{a0}s".to_owned(),
        s if s < 1.0 => unit(s * 1000.0, "ms"),
        s if s < 120.0 => unit(s, "s"),
        s if s < 7200.0 => unit(s / 60.0, "min"),
        s if s < 2.0 * 86_400.0 => unit(s / 3600.0, "h"),
        s => unit(s / 86_400.0, "days"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_few_digits() {
        for (number, text) in [
            (0.0, "0"),
            (0.123_456, "0.123"),
            (2.95, "2.95"),
            (12.0, "12"),
            (12.34, "12.3"),
            (999.4, "999"),
            (1234.5, "1234"),
            (38_970.0, "38,970"),
            (-11_062.06, "−11,062"),
            (-0.5, "−0.5"),
            (1.23e17, "1.23e17"),
            (f64::NAN, "–"),
        ] {
            assert_eq!(plain(number), text, "{number}");
        }
        for (number, text) in [
            (950.0, "950"),
            (1000.0, "1k"),
            (12_345.0, "12.3k"),
            (999_999.0, "1M"),
            (4.1e9, "4.1G"),
        ] {
            assert_eq!(short(number), text, "{number}");
        }
        assert_eq!((count(1_234_567), counted(1, "day")), ("1,234,567".into(), "1 day".into()));
    }

    #[test]
    fn shares_and_times_have_units() {
        let shares = [0.0, 0.000_001, 0.0005, 0.0123, 0.5, 0.9953, 0.9999, 1.0]
            .map(|share| per_cent(share).replace('\u{a0}', " "));
        assert_eq!(
            shares,
            ["0 %", "under 0.01 %", "0.05 %", "1.2 %", "50 %", "99.5 %", "over 99.9 %", "100 %"]
        );
        assert_eq!((part(1, 0), part(1, 4)), ("–".to_owned(), "25\u{a0}%".to_owned()));
        let times = [0.0, 0.25, 12.0, 1800.0, 7300.0, 1e6, f64::INFINITY]
            .map(|time| seconds(time).replace('\u{a0}', " "));
        assert_eq!(times, ["0 s", "250 ms", "12 s", "30 min", "2.03 h", "11.6 days", "–"]);
    }
}
