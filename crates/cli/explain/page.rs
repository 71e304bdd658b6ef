//! From what is told of a user to the page and its pictures.

use insight::explain::{Event, Explained, Follower, LayerGates, UnitGates, page, pictures};
use train::explain::{BaselineKind, Followed};

use super::Told;

/// The page, and the pictures beside it by name.
pub(super) fn of(told: &Told) -> (String, Vec<(&'static str, String)>) {
    let explained = explained(told);
    let pictures =
        pictures(&explained).iter().map(|picture| (picture.file, picture.svg())).collect();
    (page(&explained), pictures)
}

fn explained(told: &Told) -> Explained {
    let causes = &told.causes;
    let events = causes.events.iter().zip(&told.answers);
    let events = events.map(|(event, &(answer, came))| Event {
        time: event.time.as_deref().map_or(String::new(), words),
        kind: event.kind.clone().unwrap_or_default(),
        item: event.item.clone(),
        answer,
        came,
        attribution: event.attribution,
        occlusion: event.occlusion,
    });
    let gates = |gates: &[(&'static str, Vec<f64>)]| {
        gates.iter().map(|(name, values)| (gate(name), values.clone())).collect::<Vec<_>>()
    };
    Explained {
        user: told.user.clone(),
        at: told.at.as_deref().map_or(String::new(), words),
        task: told.task.to_owned(),
        horizon: told.horizon.map(|horizon| horizon as f64 / 1000.0),
        target: causes.target.as_ref().map(|target| (target.name.clone(), target.came)),
        answer: causes.answer,
        logits: [causes.logit, causes.baseline_logit],
        mean_baseline: causes.baseline == BaselineKind::Mean,
        residual: causes.residual,
        agreement: causes.agreement,
        events: events.collect(),
        moment: causes.moment.iter().map(|own| (own.name.to_owned(), own.attribution)).collect(),
        gates: (told.gates.layers.iter())
            .map(|layer| LayerGates {
                name: format!("layer {}", layer.layer + 1),
                gates: gates(&layer.gates),
                norm: match layer.cell_norm.is_empty() {
                    true => layer.hidden_norm.clone(),
                    false => layer.cell_norm.clone(),
                },
            })
            .collect(),
        units: (told.gates.units.iter())
            .map(|unit| UnitGates {
                name: format!("unit {}", unit.unit),
                gates: gates(&unit.gates),
            })
            .collect(),
        note: told.gates.note.clone(),
        half_lives: told.units.memory.iter().map(|layer| layer.half_life.clone()).collect(),
        followed: (told.units.followed.iter())
            .map(|own| Follower {
                unit: format!("{}, layer {}", own.unit, own.layer + 1),
                what: followed(own),
                correlation: own.correlation,
                again: own.again,
            })
            .collect(),
        looked_at: (told.units.rows as u64, told.units.events as u64),
    }
}

/// What a unit follows, in words.
fn followed(own: &Followed) -> String {
    match (&own.word, own.peak) {
        (Some(word), _) => format!("{} {word}", own.of),
        (None, Some(peak)) => format!("the hour, highest at {:02.0}:00 UTC", peak.floor()),
        (None, None) => own.of.to_owned(),
    }
}

/// What a gate is called.
fn gate(name: &str) -> String {
    let words = match name {
        "i" => "input",
        "f" => "forget",
        "o" => "output",
        "r" => "reset",
        "z" => "keep",
        other => other,
    };
    words.to_owned()
}

/// A time without what nobody reads.
fn words(time: &str) -> String {
    let short = time.replace('T', " ");
    short.split('.').next().unwrap_or(&short).trim_end_matches('Z').to_owned()
}
