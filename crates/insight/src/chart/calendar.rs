//! Labels of an axis of time: hours, days, months or years, as many as there is room for.

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Year, month from 1, and day of a day since 1970, by the proleptic Gregorian calendar.
fn civil(day: i64) -> (i64, usize, i64) {
    // Years that begin in March end with the day that some of them lack; 400 of them are an era.
    let day = day + 719_468;
    let (era, of_era) = (day.div_euclid(146_097), day.rem_euclid(146_097));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let march = (5 * of_year + 2) / 153;
    let month = if march < 10 { march + 3 } else { march - 9 };
    let year = year + 400 * era + i64::from(month <= 2);
    (year, month as usize, of_year - (153 * march + 2) / 5 + 1)
}

/// The day since 1970 on which a month begins; months past the twelfth are those of later years.
fn month_start(year: i64, month: i64) -> i64 {
    let (year, month) = (year + (month - 1).div_euclid(12), (month - 1).rem_euclid(12) + 1);
    let of_march = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (of_march.div_euclid(400), of_march.rem_euclid(400));
    let march = (month + 9) % 12;
    let of_year = (153 * march + 2) / 5;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// A day in words: `25 Nov 2017`. `clock` is what a clock shows, in milliseconds as if it stood in UTC.
pub fn date(clock: i64) -> String {
    let (year, month, day) = civil(clock.div_euclid(DAY));
    format!("{day} {} {year}", MONTHS[month - 1])
}

/// Some 73 million years after 1970.
const FAR: i64 = i64::MAX / 4;

/// Moments from `from` to `to` to write beside an axis, at most `most`, each with its place on the axis
/// from 0 to 1. Both are what a clock shows.
pub fn ticks(from: i64, to: i64, most: usize) -> Vec<(f64, String)> {
    // Any number can be a time; none of these is one of a shop, and sums with them stay numbers.
    let [from, to] = [from, to].map(|time| time.clamp(-FAR, FAR));
    let span = to - from;
    if span <= 0 || most == 0 {
        return Vec::new();
    }
    let moments = moments(from, to, most);
    let years = civil(from.div_euclid(DAY)).0 != civil((to - 1).div_euclid(DAY)).0;
    let within_days = moments.iter().any(|moment| moment.rem_euclid(DAY) != 0);
    let months = !within_days && moments.iter().all(|&moment| civil(moment.div_euclid(DAY)).2 == 1);
    let yearly = months && moments.iter().all(|&moment| civil(moment.div_euclid(DAY)).1 == 1);
    let mut last_year = None;
    let label = |moment: i64| {
        let (year, month, day) = civil(moment.div_euclid(DAY));
        if within_days && moment.rem_euclid(DAY) != 0 {
            return format!("{:02}:00", moment.rem_euclid(DAY) / HOUR);
        }
        let news = last_year.replace(year) != Some(year);
        match (yearly, months, news && years) {
            (true, ..) => year.to_string(),
            (_, true, true) => format!("{} {year}", MONTHS[month - 1]),
            (_, true, false) if moments.len() > 1 => MONTHS[month - 1].to_owned(),
            _ => format!("{day} {}", MONTHS[month - 1]),
        }
    };
    let labels: Vec<String> = moments.iter().copied().map(label).collect();
    let place = |moment: &i64| (moment - from) as f64 / span as f64;
    moments.iter().map(place).zip(labels).collect()
}

fn moments(from: i64, to: i64, most: usize) -> Vec<i64> {
    let span = to - from;
    let most = most as i64;
    let multiples = |step: i64, offset: i64| {
        let first = (from - offset + step - 1).div_euclid(step);
        let last = (to - 1 - offset).div_euclid(step);
        (first..=last).map(|k| k * step + offset).collect::<Vec<_>>()
    };
    for hours in [1, 2, 3, 6, 12, 24, 48] {
        if span / (hours * HOUR) < most {
            return multiples(hours * HOUR, 0);
        }
    }
    // Weeks begin on Monday; 1970 began on a Thursday.
    for weeks in [1, 2] {
        if span / (weeks * 7 * DAY) < most {
            return multiples(weeks * 7 * DAY, 4 * DAY);
        }
    }
    let year = civil(from.div_euclid(DAY)).0;
    let mut months = [1, 2, 3, 6]
        .into_iter()
        .chain((0..12).flat_map(|power| [1, 2, 5].map(|k| 12 * k * 10i64.pow(power))));
    let months = months.find(|months| span / (months * 30 * DAY) < most).unwrap_or(12);
    let every = (months / 12).max(1);
    let steps = (0..).map(|k| month_start(year.div_euclid(every) * every, 1 + k * months) * DAY);
    steps.skip_while(|&moment| moment < from).take_while(|&moment| moment < to).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(from: (i64, i64, i64), hours: i64, most: usize) -> Vec<String> {
        let from = (month_start(from.0, from.1) + from.2 - 1) * DAY;
        ticks(from, from + hours * HOUR, most).into_iter().map(|tick| tick.1).collect()
    }

    #[test]
    fn days_of_the_calendar_are_found_and_found_again() {
        assert_eq!((civil(0), civil(-1)), ((1970, 1, 1), (1969, 12, 31)));
        assert_eq!((civil(19_782), civil(11_016)), ((2024, 2, 29), (2000, 2, 29)));
        let mut day = month_start(1899, 1);
        for year in 1899..2105 {
            for month in 1..=12 {
                assert_eq!(month_start(year, month), day);
                let next = month_start(year, month + 1);
                while day < next {
                    assert_eq!((civil(day).0, civil(day).1 as i64), (year, month));
                    day += 1;
                }
            }
        }
        assert_eq!(date(0), "1 Jan 1970");
    }

    #[test]
    fn labels_suit_the_span() {
        assert_eq!(of((2024, 1, 1), 12, 5), ["1 Jan", "03:00", "06:00", "09:00"]);
        assert_eq!(of((2024, 1, 1), 3, 5), ["1 Jan", "01:00", "02:00"]);
        assert_eq!(of((2024, 1, 1), 72, 4), ["1 Jan", "2 Jan", "3 Jan"]);
        assert_eq!(of((2017, 11, 25), 9 * 24, 10).len(), 9);
        assert_eq!(of((2024, 1, 1), 24 * 28, 5), ["1 Jan", "8 Jan", "15 Jan", "22 Jan"]);
        assert_eq!(of((2008, 4, 1), 24 * 135, 6), ["Apr", "May", "Jun", "Jul", "Aug"]);
        assert_eq!(of((2010, 12, 1), 24 * 374, 7), ["Jan 2011", "Mar", "May", "Jul", "Sep", "Nov"]);
        assert_eq!(of((2000, 1, 1), 24 * 3653, 12)[..2], ["2000", "2001"]);
        let far = of((1024, 1, 1), 24 * 366_000, 6);
        assert!(far.len() <= 6 && far.len() >= 2, "{far:?}");
        assert!(of((2024, 1, 1), 0, 5).is_empty());
    }

    #[test]
    fn there_are_never_too_many_labels() {
        for hours in [1, 5, 30, 100, 700, 5000, 20_000, 90_000, 900_000, 9_000_000, 90_000_000] {
            for most in [3, 5, 10] {
                let found = of((2023, 5, 17), hours, most);
                assert!(found.len() <= most + 1, "{hours} {most}: {found:?}");
            }
        }
    }
}
