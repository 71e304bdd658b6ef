//! The events that count most, of many users.

use std::fmt::Write;

use events::time::format_time;
use events::{Log, Sessions};
use serde_json::{Value, json};
use train::explain::{Causes, EventShare, Subject};

use crate::evaluate::quoted;
use crate::tasks::name;

/// Events of each user and measure.
const TOP: usize = 3;

const HEADER: &str = "user,at,known,target,answer,logit,baseline_logit,residual,agreement,by,rank,\
                      event,time,kind,item,share\n";

/// A line for each of the events that raise an answer most, by attribution and by leaving out; and figures
/// of all.
pub(super) fn of_many(
    log: &Log,
    rows: &Sessions,
    subjects: &[Subject],
    found: &[Option<Causes>],
) -> (String, Value) {
    let mut text = HEADER.to_owned();
    let (mut users, mut residual, mut relative) = (0u64, 0.0f64, 0.0f64);
    let (mut agreements, mut same, mut off, mut jumped) = (Vec::new(), 0u64, 0u64, 0u64);
    for (subject, causes) in subjects.iter().zip(found) {
        let Some(causes) = causes else { continue };
        users += 1;
        residual = residual.max(causes.residual.abs());
        let difference = (causes.logit - causes.baseline_logit).abs();
        relative = relative.max(causes.residual.abs() / difference.max(1.0));
        jumped += u64::from(causes.jumps != 0.0);
        off += u64::from(causes.residual.abs() > 0.01 * difference.max(1.0));
        agreements.extend(causes.agreement);
        let [attribution, occlusion] = causes.tops();
        same += u64::from(attribution == occlusion);
        let head = head(log, rows, subject, causes);
        for (by, of) in [
            ("attribution", (|event| Some(event.attribution)) as fn(&EventShare) -> Option<f64>),
            ("occlusion", |event| event.occlusion),
        ] {
            let shares = causes.events.iter().filter_map(|event| Some((event, of(event)?)));
            let mut shares: Vec<(&EventShare, f64)> = shares.collect();
            // Stable: of two alike the earlier first.
            shares.sort_by(|a, b| b.1.total_cmp(&a.1));
            for (rank, (event, share)) in shares.into_iter().take(TOP).enumerate() {
                let time = event.time.as_deref().unwrap_or("");
                let kind = quoted(event.kind.as_deref().unwrap_or(""));
                let (rank, number, item) = (rank + 1, event.event, quoted(&event.item));
                // Writing to a String does not fail.
                let _ = writeln!(
                    text,
                    "{head},{by},{rank},{number},{time},{kind},{item},{share}",
                    share = share as f32
                );
            }
        }
    }
    let mean = agreements.iter().sum::<f64>() / agreements.len() as f64;
    let summary = json!({
        "users": users,
        "nothing_known": subjects.len() as u64 - users,
        "largest_residual": residual,
        "largest_relative_residual": relative,
        "residuals_above_a_hundredth": off,
        "with_jumps": jumped,
        "mean_agreement": mean.is_finite().then_some(mean),
        "same_top_event": same,
    });
    (text, summary)
}

fn head(log: &Log, rows: &Sessions, subject: &Subject, causes: &Causes) -> String {
    let user = quoted(name(log, rows, subject.row).unwrap_or(""));
    let at = if log.events.time.is_empty() { String::new() } else { format_time(subject.at) };
    let target = causes.target.as_ref().map_or(String::new(), |target| quoted(&target.name));
    let agreement = causes.agreement.map_or(String::new(), |r| (r as f32).to_string());
    let numbers = [causes.answer, causes.logit, causes.baseline_logit, causes.residual];
    let numbers: Vec<String> = numbers.iter().map(|&x| (x as f32).to_string()).collect();
    format!("{user},{at},{},{target},{},{agreement}", causes.events.len(), numbers.join(","))
}
