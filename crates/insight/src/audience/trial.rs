//! What a campaign has changed, whom, and how far to trust that.

use super::list::{amount, cut_share};
use super::{Audience, Range, Trial};
use crate::chart::{Curves, FULL, Series, Span, curves, figure, ranges};
use crate::html::Html;
use crate::number::{count, counted, per_cent, plain};
use crate::page::{Section, Table};

/// A difference of shares, in percentage points.
fn points(share: f64) -> String {
    if !share.is_finite() {
        return "–".to_owned();
    }
    let text = format!("{:.1}", 100.0 * share.abs());
    match 100.0 * share {
        v if v <= -0.05 => format!("−{text}"),
        v if v >= 0.05 => format!("+{text}"),
        _ => text,
    }
}

fn interval(range: Option<Range>, write: impl Fn(f64) -> String) -> String {
    match range {
        Some(Range { estimate, low, high }) => {
            format!("{} [{}, {}]", write(estimate), write(low), write(high))
        }
        None => "–".to_owned(),
    }
}

fn coefficient(value: f64) -> String {
    format!("{value:.4}").replace('-', "−")
}

/// The Qini curve beside chance and beside the ranking by what is expected anyway.
pub(super) fn qini(audience: &Audience, trial: &Trial) -> Curves {
    let from_nobody = |points: &mut dyn Iterator<Item = (f64, f64)>| {
        let points = std::iter::once((0.0, 0.0)).chain(points);
        points.filter(|point| point.1.is_finite()).collect::<Vec<_>>()
    };
    let places = || trial.curve.iter();
    let found = |&(share, gain, _): &(f64, Option<Range>, f64)| Some((share, gain?.estimate));
    let band = |&(share, gain, _): &(f64, Option<Range>, f64)| Some((share, gain?.low, gain?.high));
    let effect = trial.effect.map_or(0.0, |effect| effect.estimate);
    Curves {
        x_name: format!("of {}s, best first", audience.who()),
        y_name: format!("more who {}, a treated {}", trial.outcome[0], audience.who()),
        shares: true,
        series: vec![
            Series {
                name: "by uplift".to_owned(),
                points: from_nobody(&mut places().filter_map(found)),
                second: false,
            },
            Series {
                name: "by model".to_owned(),
                points: from_nobody(&mut places().map(|&(share, _, plain)| (share, plain))),
                second: true,
            },
        ],
        straight: Some((effect, "by chance".to_owned())),
        band: std::iter::once((0.0, 0.0, 0.0)).chain(places().filter_map(band)).collect(),
        cut: Some((cut_share(audience), "contacted".to_owned())),
    }
}

pub(super) fn changed(audience: &Audience, trial: &Trial) -> Section {
    let mut section = Section::new("changed", "What the campaign has changed");
    let [[n_t, y_t], [n_c, y_c]] = trial.arms.map(|arm| arm.map(|count| count as u64));
    let who = audience.who();
    section.say(format!(
        "The column {} says who was treated: {}, of whom {} {}; of {} others, {}. The average effect: {}.",
        trial.column,
        counted(n_t, who),
        per_cent(y_t as f64 / n_t.max(1) as f64),
        trial.outcome[1],
        count(n_c),
        per_cent(y_c as f64 / n_c.max(1) as f64),
        match trial.effect {
            Some(Range { estimate, low, high }) => format!(
                "{} percentage points [{}, {}]",
                points(estimate),
                points(low),
                points(high)
            ),
            None => "not known".to_owned(),
        },
    ));
    let [own, plain, better] = trial.coefficients;
    section.say(match own {
        Some(own) if own.low > 0.0 => format!(
            "Whom it changes can be told: the ranking lies above chance (Qini coefficient {}).",
            interval(Some(own), coefficient)
        ),
        Some(own) if own.high < 0.0 => format!(
            "The ranking lies below chance (Qini coefficient {}): do not use it.",
            interval(Some(own), coefficient)
        ),
        own => format!(
            "Whom it changes cannot be told for sure: chance may rank as well (Qini coefficient {}). A larger \
             trial would show more.",
            interval(own, coefficient)
        ),
    });
    let caption = format!(
        "How many more treated {who}s {} when the campaign goes to the first of the ranking alone, for each of the \
         treated. The shade is the 95 % interval. Dashed: as many at random. Grey: ranked by what the model expects \
         anyway, Qini coefficient {}; the ranking by uplift is ahead by {}.",
        trial.outcome[0],
        interval(plain, coefficient),
        interval(better, coefficient),
    );
    section
        .push(figure("Qini curve", &caption, FULL, |width| curves(&qini(audience, trial), width)));
    if let Some(Range { estimate, low, high }) = at_the_cut(audience, trial) {
        section.say(format!(
            "Where the list ends, the curve says what it is worth: {} [{}, {}] {}, had all {} on it been treated. \
             The two models expect {}; of those who look best, models expect somewhat too much.",
            amount(estimate),
            amount(low),
            amount(high),
            audience.sum,
            count(audience.cut.users as u64),
            amount(audience.cut.sum),
        ));
    }
    section
}

/// The outcomes that the list would have added, of all users, as the curve has them.
pub(super) fn at_the_cut(audience: &Audience, trial: &Trial) -> Option<Range> {
    let cut = cut_share(audience);
    let after = trial.curve.iter().position(|place| place.0 >= cut)?;
    let at = |place: &(f64, Option<Range>, f64)| Some((place.0, place.1?));
    let (to, high) = at(&trial.curve[after])?;
    let (from, low) = match after.checked_sub(1) {
        Some(before) => at(&trial.curve[before])?,
        None => (0.0, Range { estimate: 0.0, low: 0.0, high: 0.0 }),
    };
    let part = if to > from { (cut - from) / (to - from) } else { 0.0 };
    let all = audience.all.users as f64;
    let between = |of: fn(&Range) -> f64| all * (of(&low) + part * (of(&high) - of(&low)));
    Some(Range {
        estimate: between(|range| range.estimate),
        low: between(|range| range.low),
        high: between(|range| range.high),
    })
}

pub(super) fn tenths(trial: &Trial) -> Section {
    let mut section = Section::new("tenths", "Tenth after tenth");
    let spans: Vec<Span> = (trial.tenths.iter().enumerate())
        .map(|(at, tenth)| Span {
            name: (at + 1).to_string(),
            expected: tenth.expected,
            found: tenth.found.map(|found| [found.estimate, found.low, found.high]),
        })
        .collect();
    let caption = format!(
        "Everybody by rank, cut into ten parts. Bars: how many more are expected to {}. Dots: how many more of the \
         treated than of the others did, with the 95 % interval; in the table both in percentage points.",
        trial.outcome[0]
    );
    section.push(figure("Expected and found", &caption, FULL, |width| {
        ranges(&spans, ("more, of the treated", "tenth by rank"), width)
    }));
    let coming = trial.outcome[0] != "buy";
    let mut table = Table::new(&[
        "tenth",
        "#expected",
        "#found",
        if coming { "#treated who came" } else { "#treated who bought" },
        if coming { "#others who came" } else { "#others who bought" },
        "#treated",
        "#others",
    ]);
    for (at, tenth) in trial.tenths.iter().enumerate() {
        let cells = [
            (at + 1).to_string(),
            points(tenth.expected),
            interval(tenth.found, points),
            per_cent(tenth.shares[0]),
            per_cent(tenth.shares[1]),
            count(tenth.users[0]),
            count(tenth.users[1]),
        ];
        table.row(cells.map(Html::text));
    }
    section.push(table.html());
    section
}

pub(super) fn alike(trial: &Trial) -> Section {
    let mut section = Section::new("alike", "Were both groups alike before?");
    let notable = trial.balance.iter().filter(|row| row.4).count();
    section.say(match notable {
        0 => "In what was known before the moment, treated and others are as alike as chance makes them. So the \
              difference afterwards is the campaign's."
            .to_owned(),
        _ => "They are not, more than chance would have it: something other than chance may have decided who was \
              treated, and then the difference afterwards is not the campaign's alone."
            .to_owned(),
    });
    let mut table =
        Table::new(&["known before", "#mean of the treated", "#of the others", "#difference", ""]);
    for (name, treated, control, standardised, notable) in &trial.balance {
        let difference = format!("{standardised:+.3}").replace('-', "−");
        table.row([
            Html::text(name.replace('_', " ")),
            Html::text(plain(*treated)),
            Html::text(plain(*control)),
            Html::text(difference),
            Html::text(if *notable { "not alike" } else { "" }),
        ]);
    }
    section.push(table.html());
    section.note(
        "The difference is in standard deviations; from 0.1 on it counts, where chance would hardly have made it \
         (three standard errors). Spans are days, “recent” is the last horizon before the moment.",
    );
    section
}
