//! Numbers as shops write them: `12,90 €`, `1.234,56`, `1,234.56`, `$1.50`.
//!
//! What is a number as it stands is that number. Otherwise a currency is taken off and the marks are
//! looked at: of two different ones the last stands before the fraction, one that comes again stands
//! before thousands, and a lone comma with one or two digits behind it before a fraction. A lone comma
//! with three digits behind it may be either, and nobody guesses which.

use std::borrow::Cow;
use std::str::FromStr;

use crate::Role;

/// Why a text is no number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoNumber {
    /// `cheap`.
    Other,
    /// `1,200`: thousands or a fraction.
    Ambiguous,
}

/// Codes and signs of currencies, and how some are abbreviated.
#[rustfmt::skip]
const CURRENCIES: [&str; 72] = [
    "$", "€", "£", "¥", "₹", "₽", "₺", "₩", "₴", "₫", "₱", "₪", "₦", "₸", "฿", "R$", "US$", "zł", "Kč", "kr",
    "kr.", "Fr.", "Ft", "Rp", "RM", "lei", "AED", "ARS", "AUD", "BDT", "BGN", "BRL", "CAD", "CHF", "CLP",
    "CNY", "COP", "CZK", "DKK", "EGP", "EUR", "GBP", "HKD", "HUF", "IDR", "ILS", "INR", "ISK", "JPY", "KES",
    "KRW", "KZT", "MXN", "MYR", "NGN", "NOK", "NZD", "PEN", "PHP", "PKR", "PLN", "RON", "RUB", "SAR", "SEK",
    "SGD", "THB", "TRY", "TWD", "UAH", "USD", "VND",
];

/// The number that a text is, finite or not.
pub(crate) fn number<T: FromStr>(text: &str) -> Result<T, NoNumber> {
    match text.parse() {
        Ok(number) => Ok(number),
        Err(_) => plain(text)?.parse().map_err(|_| NoNumber::Other),
    }
}

/// The number that a text is, if it is a finite one.
pub(crate) fn finite(text: &str) -> Result<f32, NoNumber> {
    number(text).and_then(|x: f32| if x.is_finite() { Ok(x) } else { Err(NoNumber::Other) })
}

/// Why a row is bad whose column of this role is no number.
pub(super) fn reason(role: Role, why: NoNumber) -> &'static str {
    match (role, why) {
        (Role::Price, NoNumber::Other) => "the price is not a number",
        (Role::Quantity, NoNumber::Other) => "the quantity is not a number",
        (_, NoNumber::Other) => "the amount is not a number",
        (Role::Price, NoNumber::Ambiguous) => {
            "the price may be thousands or a fraction: write 1200 or 1.200 for 1,200"
        }
        (Role::Quantity, NoNumber::Ambiguous) => {
            "the quantity may be thousands or a fraction: write 1200 or 1.200 for 1,200"
        }
        (_, NoNumber::Ambiguous) => {
            "the amount may be thousands or a fraction: write 1200 or 1.200 for 1,200"
        }
    }
}

/// The role that such a reason is about.
pub(super) fn role_of(bad: &str) -> Option<Role> {
    let says = |role: &Role| {
        [NoNumber::Other, NoNumber::Ambiguous].into_iter().any(|why| reason(*role, why) == bad)
    };
    [Role::Price, Role::Quantity, Role::Amount].into_iter().find(says)
}

/// The same number with a point before its fraction and nothing else.
fn plain(text: &str) -> Result<String, NoNumber> {
    let (minus, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest.trim()),
        None => (false, text.trim()),
    };
    let text = without_currency(text);
    let (minus, text) = match text.strip_prefix('-').filter(|_| !minus) {
        Some(rest) => (true, rest),
        None => (minus, text),
    };
    if !text.starts_with(|c: char| c.is_ascii_digit())
        || !text.ends_with(|c: char| c.is_ascii_digit())
    {
        return Err(NoNumber::Other);
    }
    let (whole, fraction) = split(text)?;
    let digits = ungrouped(whole).ok_or(NoNumber::Other)?;
    let sign = if minus { "-" } else { "" };
    Ok(match fraction {
        Some(fraction) => format!("{sign}{digits}.{fraction}"),
        None => format!("{sign}{digits}"),
    })
}

/// A text without a currency before or behind it.
fn without_currency(text: &str) -> &str {
    let inside = |c: char| c.is_ascii_digit() || c == '-';
    let before = text.find(inside).unwrap_or(0);
    let behind = text.rfind(|c: char| c.is_ascii_digit()).map_or(text.len(), |last| last + 1);
    let known = |currency: &str| CURRENCIES.contains(&currency.trim());
    match (&text[..before], &text[behind.max(before)..]) {
        (currency, "") if known(currency) => &text[before..],
        ("", currency) if known(currency) => &text[..behind],
        _ => text,
    }
}

/// What stands before the mark of the fraction, and what behind it.
fn split(text: &str) -> Result<(&str, Option<&str>), NoNumber> {
    let Some(last) = text.rfind([',', '.']) else { return Ok((text, None)) };
    let (whole, fraction) = (&text[..last], &text[last + 1..]);
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        // Blanks behind the mark: `1,234 567`.
        return Err(NoNumber::Other);
    }
    let mark = &text[last..=last];
    if whole.contains(mark) {
        // It stands before thousands, all of them.
        return Ok((text, None));
    }
    let alone = whole.bytes().all(|byte| byte.is_ascii_digit());
    if mark == "," && alone && whole != "0" {
        match fraction.len() {
            1 | 2 => {}
            3 if whole.len() <= 3 => return Err(NoNumber::Ambiguous),
            _ => return Err(NoNumber::Other),
        }
    }
    Ok((whole, Some(fraction)))
}

/// Digits without what stands before every three of them; none where it stands elsewhere.
fn ungrouped(text: &str) -> Option<Cow<'_, str>> {
    let Some(mark) = text.chars().find(|c| !c.is_ascii_digit()) else { return Some(text.into()) };
    if !matches!(mark, ',' | '.' | '\'' | '’' | ' ' | '\u{a0}' | '\u{202f}') {
        return None;
    }
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let mut parts = text.split(mark);
    let first = parts.next()?;
    let grouped = (1..=3).contains(&first.len()) && digits(first);
    (grouped && parts.all(|part| part.len() == 3 && digits(part)))
        .then(|| text.replace(mark, "").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_many_shops_are_read() {
        for (text, expected) in [
            ("119,45", 119.45),
            ("0,5", 0.5),
            ("0,125", 0.125),
            ("-12,9", -12.9),
            ("1.234,56", 1234.56),
            ("1,234.56", 1234.56),
            ("1 234,56", 1234.56),
            ("1\u{a0}234,5", 1234.5),
            ("1\u{202f}234\u{202f}567", 1_234_567.0),
            ("1'234.50", 1234.5),
            ("1,234,567", 1_234_567.0),
            ("1.234.567,8", 1_234_567.8),
            ("1234,50", 1234.5),
            ("$1.50", 1.5),
            ("-$1.50", -1.5),
            ("$-1.50", -1.5),
            ("12,90 €", 12.9),
            ("12,90\u{a0}€", 12.9),
            ("EUR 3", 3.0),
            ("1.234,00 zł", 1234.0),
            ("R$ 1.234,00", 1234.0),
            ("1 234 Kč", 1234.0),
            ("1.5", 1.5),
            ("1e3", 1000.0),
            // A point is a point.
            ("1.200", 1.2),
            ("$1.200", 1.2),
        ] {
            assert_eq!(number::<f64>(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_number_stays_none() {
        for text in [
            "",
            "-",
            "€",
            "cheap",
            "1,2,3",
            "12,34,567",
            "1.23.456",
            "1,2345",
            "1234,567",
            "1,,2",
            "1,",
            ",5",
            "1.2,3.4",
            "$1€",
            "--1",
            "-$-1",
            "XYZ 3",
            "3 pieces",
            "ABC-123",
            "1 2",
            "1-2",
            "1,234 567",
            "1 234 56",
            "0x10",
            "12:30",
            "１２",
        ] {
            assert_eq!(number::<f64>(text), Err(NoNumber::Other), "{text:?}");
        }
        for text in ["1,200", "12,345", "-999,999", "$1,200", "1,200 EUR"] {
            assert_eq!(number::<f64>(text), Err(NoNumber::Ambiguous), "{text:?}");
        }
        assert_eq!((finite("inf"), finite("1e39"), finite("NaN")), {
            let no = Err(NoNumber::Other);
            (no, no, no)
        });
    }

    #[test]
    fn a_reason_tells_its_role() {
        for role in [Role::Price, Role::Quantity, Role::Amount] {
            for why in [NoNumber::Other, NoNumber::Ambiguous] {
                assert_eq!(role_of(reason(role, why)), Some(role));
            }
        }
        assert_eq!(role_of("no item"), None);
    }
}
