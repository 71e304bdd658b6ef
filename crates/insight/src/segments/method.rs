//! How many segments there are, how far to trust them, and how they came about.

use super::{Segments, Tried};
use crate::chart::{Axis, FULL, Lines, Mark, Series, figure, lines};
use crate::html::Html;
use crate::number::{count, counted, per_cent, plain};
use crate::page::{Section, Table};

/// Why so many.
pub(super) fn number(segments: &Segments<'_>) -> Section {
    let mut section = Section::new("number", "How many segments");
    let found = segments.found;
    let taken = segments.names.len();
    if found.method == "density" {
        section.say(format!(
            "Segments are where many users are alike, and nobody has said how many: {taken} such places were \
             found. A place counts from one in fifty users of the sample on."
        ));
        return section;
    }
    section.say(match found.asked {
        true => format!("{taken} segments were asked for (--clusters). How good that number is:"),
        false => format!(
            "Nobody has said how many segments there are, so 2 to {} were tried. Taken is the number whose \
             segments lie farthest apart, {}: {taken}.",
            found.tried.last().map_or(taken, |tried| tried.clusters),
            match found.tried.iter().any(|tried| tried.clusters == taken && tried.stability >= found.agree) {
                true =>
                    "among those that come out alike when only half of the users are looked at",
                false =>
                    "though no number comes out alike when only half of the users are looked at: their \
                     borders are a matter of chance",
            }
        ),
    });
    if found.tried.len() > 2 {
        section.push(picture(&found.tried, taken));
    }
    let with_bic = found.tried.iter().any(|tried| tried.bic.is_some());
    let mut head = vec!["#segments", "#apart", "#halves agree", "#scatter left"];
    head.extend(with_bic.then_some("#BIC"));
    head.push("");
    let mut table = Table::new(&head);
    for tried in &found.tried {
        let mut cells = vec![
            Html::text(tried.clusters),
            Html::text(places(tried.silhouette)),
            Html::text(places(tried.stability)),
            Html::text(per_cent(tried.within)),
        ];
        cells.extend(tried.bic.map(|bic| Html::text(plain(bic))));
        cells.push(Html::text(if tried.clusters == taken { "taken" } else { "" }));
        table.row(cells);
    }
    section.push(table.html());
    let mut note = "“Apart” is the mean silhouette: 1 where everybody is much nearer to their own segment than to \
                    any other, 0 where it makes no difference. “Halves agree”: users are halved at random three \
                    times, segments are found in each half alone, and all are sorted by both; 1 where both sort alike, 0 \
                    as by chance (adjusted Rand index); from 0.6 on they count as alike. “Scatter left”: the share of \
                    all squared differences that is still there within segments; it falls with every segment \
                    more and does not decide."
        .to_owned();
    if with_bic {
        note += " “BIC” weighs how well a mixture fits against how many numbers it needs, the smaller the better; \
                  it does not decide, since it splits round segments that are not quite normal.";
    }
    section.note(note);
    section
}

fn picture(tried: &[Tried], taken: usize) -> Html {
    let line = |name: &str, of: fn(&Tried) -> f64, second| Series {
        name: name.to_owned(),
        points: tried.iter().map(|t| (t.clusters as f64, of(t).max(0.0))).collect(),
        second,
    };
    let at = tried.iter().find(|t| t.clusters == taken);
    let what = Lines {
        x: Axis::Linear {
            from: tried[0].clusters as f64,
            to: tried[tried.len() - 1].clusters as f64,
        },
        x_name: "segments".to_owned(),
        y: Axis::Linear { from: 0.0, to: 1.0 },
        y_name: "0 to 1".to_owned(),
        shares: false,
        series: vec![
            line("apart", |t| t.silhouette, false),
            line("halves agree", |t| t.stability, true),
        ],
        marks: at
            .map(|t| Mark {
                at: (t.clusters as f64, t.silhouette.max(0.0)),
                word: "taken".to_owned(),
            })
            .into_iter()
            .collect(),
    };
    figure("What was tried", "The higher, the better.", FULL, |width| lines(&what, width))
}

/// A number between 0 and 1 with two places, so that a column of them can be compared.
fn places(value: f64) -> String {
    if value.is_finite() { format!("{value:.2}").replace('-', "−") } else { "–".to_owned() }
}

/// What another start would have found.
pub(super) fn trust(segments: &Segments<'_>) -> Section {
    let mut section = Section::new("trust", "How sure they are");
    let agreement = &segments.found.agreement;
    if agreement.is_empty() {
        section.say(
            "Nothing in this method is drawn at random: the same log gives the same segments.",
        );
        return section;
    }
    let mean = agreement.iter().sum::<f64>() / agreement.len() as f64;
    let least = agreement.iter().copied().fold(f64::INFINITY, f64::min);
    let verdict = match mean {
        m if m >= 0.95 => "The segments do not depend on chance.",
        m if m >= 0.8 => "Some users at the edges change sides; the segments themselves stay.",
        _ => {
            "Another start would have drawn other borders: use the differences between segments, but send nobody \
             a letter because of the segment alone."
        }
    };
    section.say(format!(
        "The search for segments begins at random places. Begun five times from elsewhere, how far do two \
         results agree? On average {}, at worst {} (adjusted Rand index: 1 the same segments, 0 as by chance). {verdict}",
        places(mean),
        places(least)
    ));
    section
}

/// From events to segments, step by step.
pub(super) fn made(segments: &Segments<'_>) -> Section {
    let mut section = Section::new("made", "How this was made");
    let (found, who) = (segments.found, segments.who());
    let pictures = match segments.of_users {
        true => {
            "after each session of a user the model is in some state; the mean of these states is the user's \
             picture"
        }
        false => "the state of the model after a session is the session's picture",
    };
    section.say(format!("The picture: {pictures}, {} numbers.", found.width));
    let kept = counted(found.worth.len() as u64, "direction");
    section.say(match found.steady {
        true => format!(
            "From these numbers {kept} were kept: those in which users differ from each other more than one \
             user from session to session. Of a single session's difference, {} is the user's own in the first of \
             them, {} in the last. A user counts as often as they have sessions, ten times at most, since \
             the picture of one session is a rough one.",
            per_cent(found.worth.first().copied().unwrap_or(0.0)),
            per_cent(found.worth.last().copied().unwrap_or(0.0)),
        ),
        false => format!(
            "From these numbers {kept} were kept, those in which {who}s differ most (principal components); they \
             hold {} of all differences. Too few were seen twice to tell what is steady in them.",
            per_cent(found.worth.iter().sum())
        ),
    });
    section.say(match found.method.as_str() {
        "mixture" => {
            "Segments are clouds of any width and slant (a mixture of normal distributions); everybody belongs to \
             the most probable one."
        }
        "density" => {
            "Segments are where users lie dense (HDBSCAN, found in the sample); users between them belong to none, \
             and users outside the sample go with their nearest ones."
        }
        _ => "Segments are round: everybody belongs to the nearest of their middles (k-means).",
    });
    let sampled = match found.sample < found.users {
        true => format!(
            "Map and “apart” are made of {} drawn at random; on the map the others stand beside those that they are \
             most alike (segments.csv).",
            counted(found.sample as u64, who)
        ),
        false => format!("Map and “apart” are made of all {who}s."),
    };
    section.say(format!("{sampled} The map is a t-SNE, which keeps neighbours together."));
    section.say(
        "Names follow from the figures, by rule: what a segment does 1.25 times as much as everybody or more, or \
         four fifths as much or less, and the categories that it looks at more, if three of its users do and two in \
         a hundred.",
    );
    if found.unknown > 0 {
        section.note(format!(
            "{} are left out: the model knows no item of theirs.",
            counted(found.unknown as u64, who)
        ));
    }
    section.note(format!(
        "{} in segments.csv with their segment and place on the map; the figures of this page in segments.json.",
        count(found.users as u64) + " " + who + if found.users == 1 { "" } else { "s" }
    ));
    section
}
