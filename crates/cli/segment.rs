//! `tidegate segment`: which kinds of users there are, and what sets each apart. [`results`] writes what is found.

mod results;

use std::time::Instant;

use anyhow::{Result, anyhow};
use cluster::{Directions, Grouping, Map, Method, Moments, NOISE, Options, Points, map};
use events::{Groups, Log, NONE, Portraits, Sessions, Zone, group_names};
use insight::chart::Dot;
use insight::segments::{Found, Segments, Tried, Typical, map_file, page};
use train::represent::{Histories, How, represent, width};
use train::{Error, Trained};

use crate::args::{Common, Segment};
use crate::failure::usage;
use crate::machine::{Machine, device};
use crate::output::{count, print, print_json};
use crate::progress::{end_at_interrupts, say};
use crate::reading::title;
use crate::represent::histories;
use crate::settings::{SegmentSettings, Settings};
use crate::target::{model_file, out_folder, whole_folder, write_in, write_json_in};
use results::{figures, places, render, summary};

/// What is written; the last says that the others are whole.
const FILES: [&str; 4] = ["segments.csv", "report.html", "map.svg", "segments.json"];
/// The most segments that are looked for.
const MOST: usize = 10;
/// Users that silhouettes and map are made of.
const SAMPLE: u32 = 2000;
/// Sessions from which on another one adds nothing to how much a user counts.
const SURE: usize = 10;
/// A direction is steady where so much of a session's difference is the user's own.
const STEADY: f64 = 0.2;
/// Steady directions at most, and principal components where there are none of these.
const DIRECTIONS: [usize; 2] = [8, 16];
/// What principal components are to hold of all differences.
const VARIANCE: f64 = 0.9;
/// Users in the middle of a segment that are shown.
const TYPICAL: usize = 3;

pub(crate) fn run(common: &Common, args: &Segment) -> Result<()> {
    let begin = Instant::now();
    let mut settings = Settings::load(common, None)?;
    settings.overlay(&args.logs, &args.reading);
    let asked = &mut settings.segment;
    asked.clusters = args.clusters.or(asked.clusters);
    asked.method = args.method.clone().or(asked.method.take());
    asked.sample = args.sample.or(asked.sample);
    settings.out = args.out.clone().or(settings.out);
    settings.announce()?;
    let options = options(&settings.segment, settings.seed())?;
    let logs = settings.data.logs()?;
    let inputs = [logs, &[model_file(&args.model)], common.config.as_slice()].concat();
    let remedy = "use --force to replace the segments in it";
    let out = out_folder(settings.out.as_deref(), &inputs, args.force || settings.force, remedy)?;
    end_at_interrupts()?;

    let trained = Trained::load(&args.model, device(&settings)?)?;
    let (log, sessions, histories) = histories(&settings, &trained.knowledge, logs)?;
    let people = histories.rows.len();
    let who = if histories.rows.of_users { "users" } else { "sessions" };
    if people < 3 || options.clusters.is_some_and(|clusters| clusters >= people) {
        let clusters = options.clusters.unwrap_or(2);
        return Err(anyhow!(
            "{} {who} cannot be parted into {clusters} segments; read a longer log{}",
            count(people),
            if options.clusters.is_some() { ", or ask for fewer --clusters" } else { "" }
        ));
    }
    let told = |text: String| {
        if !settings.quiet {
            say(&format!("  {text}"));
        }
    };
    told(format!("pictures of {} {who}", count(people)));
    let reduced = reduce(&trained, &histories)?;
    told(format!(
        "segments in {} {}directions",
        reduced.directions.len(),
        if reduced.steady { "steady " } else { "" }
    ));
    let machine = trained.model.device();
    let points = &reduced.points;
    let grouping =
        model::Device::run(machine, || Grouping::find(points, &reduced.weights, &options));
    told("the map".to_owned());
    let drawn = model::Device::run(machine, || map(points, options.sample, options.seed));
    let read = settings.data.read_options()?;
    let told_of = Described::new(&log, &sessions, &histories, &grouping, points, &read.zone);

    let found = found(&settings.segment, &histories, &reduced, &grouping);
    let dots = dots(&drawn, &grouping);
    let title = title(logs);
    let segments = Segments {
        log: &title,
        of_users: histories.rows.of_users,
        portraits: &told_of.portraits,
        names: &told_of.names,
        typical: &told_of.typical,
        map: &dots,
        found: &found,
    };
    let figures = figures(&segments, &args.model, &options);
    whole_folder(&out, FILES[3], |folder| {
        write_in(folder, FILES[0], places(&log, &histories, &grouping, &drawn))?;
        write_in(folder, FILES[1], page(&segments))?;
        write_in(folder, FILES[2], map_file(&segments))?;
        write_json_in(folder, FILES[3], &figures)
    })?;

    let wall = begin.elapsed().as_secs_f64();
    if settings.json {
        return print_json(&summary(&figures, &out, wall));
    }
    print(&render(&segments, &out, wall))
}

/// What is asked of the search for segments.
fn options(asked: &SegmentSettings, seed: u64) -> Result<Options> {
    let method = match asked.method.as_deref() {
        None | Some("kmeans") => Method::Kmeans,
        Some("mixture") => Method::Mixture,
        Some("density") => Method::Density,
        Some(other) => {
            return Err(usage(format!(
                "segment.method = {other:?}: expected kmeans, mixture or density"
            )));
        }
    };
    if asked.clusters.is_some() && method == Method::Density {
        return Err(usage(
            "--clusters: density finds their number by itself; leave it out, or take another --method",
        ));
    }
    if let Some(clusters) = asked.clusters.filter(|clusters| !(2..=100).contains(clusters)) {
        return Err(usage(format!("segment.clusters = {clusters}: set it to 2 to 100")));
    }
    let clusters = asked.clusters.map(|clusters| clusters as usize);
    let sample = asked.sample.unwrap_or(SAMPLE) as usize;
    if !(100..=20_000).contains(&sample) {
        return Err(usage(format!("segment.sample = {sample}: set it to 100 to 20000")));
    }
    Ok(Options { method, clusters, most: MOST, sample, seed })
}

/// Everybody's picture in few directions.
struct Reduced {
    directions: Directions,
    steady: bool,
    points: Points,
    /// How much each counts: a picture of many sessions is surer than that of one.
    weights: Vec<f64>,
    width: usize,
}

fn reduce(trained: &Trained<Machine>, histories: &Histories) -> Result<Reduced> {
    let how = How::default();
    let width = width(&trained.model, how.of);
    let mut moments = Moments::new(width);
    let mut pictures = Vec::with_capacity(histories.rows.len() * width);
    represent(&trained.model, histories, how, |shown| {
        moments.add(shown.ends);
        pictures.extend_from_slice(shown.numbers);
        Ok::<(), Error>(())
    })?;
    let steady = Directions::steady(&moments, DIRECTIONS[0]);
    let is_steady = steady.is_some();
    let directions = match steady {
        Some(mut directions) => {
            let kept = directions.worth.iter().filter(|&&worth| worth >= STEADY).count();
            directions.truncate(kept.max(2));
            directions
        }
        None => {
            let mut directions = Directions::principal(&moments, DIRECTIONS[1]);
            let mut held = 0.0;
            let enough = directions.worth.iter().position(|worth| {
                held += worth;
                held >= VARIANCE
            });
            directions.truncate(enough.map_or(DIRECTIONS[1], |at| at + 1).max(2));
            directions
        }
    };
    let points = directions.project_all(&pictures, width);
    let rows = &histories.rows;
    let weight = |row: usize| rows.sessions(row).len().min(SURE) as f64;
    let weights = (0..rows.len()).map(|row| if is_steady { weight(row) } else { 1.0 }).collect();
    Ok(Reduced { directions, steady: is_steady, points, weights, width })
}

/// What segments are like, what they are called, who is in their middle.
struct Described {
    portraits: Portraits,
    names: Vec<String>,
    typical: Vec<Vec<Typical>>,
}

impl Described {
    fn new(
        log: &Log,
        sessions: &Sessions,
        histories: &Histories,
        grouping: &Grouping,
        points: &Points,
        zone: &Zone,
    ) -> Self {
        let owners = &histories.owners[..];
        let clusters = grouping.clusters();
        let of_owner: Vec<u32> =
            grouping.labels.iter().map(|&g| if g == NOISE { NONE } else { g }).collect();
        let groups = Groups { owners, of_owner: &of_owner, count: clusters, items: true };
        let portraits = Portraits::of(log, sessions, groups, zone);
        let names = group_names(&portraits);

        let middle: Vec<Vec<usize>> =
            (0..clusters).map(|g| grouping.typical(points, g as u32, TYPICAL)).collect();
        let mut of_owner = vec![NONE; histories.rows.len()];
        middle.iter().flatten().enumerate().for_each(|(at, &row)| of_owner[row] = at as u32);
        let shown = middle.iter().flatten().count();
        let groups = Groups { owners, of_owner: &of_owner, count: shown, items: false };
        let mut each = Portraits::of(log, sessions, groups, zone).groups.into_iter();
        let typical = middle.iter().map(|rows| {
            let own = rows.iter().zip(each.by_ref());
            let one =
                |(&row, portrait)| Typical { name: histories.name(row, log).into(), portrait };
            own.map(one).collect()
        });
        let typical = typical.collect();
        Self { portraits, names, typical }
    }
}

/// How the segments were found, for the page.
fn found(
    asked: &SegmentSettings,
    histories: &Histories,
    reduced: &Reduced,
    grouping: &Grouping,
) -> Found {
    let tried = grouping.candidates.iter().map(|c| Tried {
        clusters: c.clusters,
        silhouette: c.silhouette,
        stability: c.stability,
        within: c.within,
        bic: c.bic,
    });
    Found {
        method: asked.method.clone().unwrap_or_else(|| "kmeans".to_owned()),
        asked: asked.clusters.is_some(),
        tried: tried.collect(),
        silhouette: grouping.silhouette,
        agree: cluster::AGREE,
        agreement: grouping.agreement.clone(),
        users: histories.rows.len(),
        sample: grouping.sample,
        nowhere: grouping.labels.iter().filter(|&&g| g == NOISE).count() as u64,
        width: reduced.width,
        worth: reduced.directions.worth.clone(),
        steady: reduced.steady,
        unknown: histories.unknown,
    }
}

/// The dots of the picture: those that the map was made of.
fn dots(map: &Map, grouping: &Grouping) -> Vec<Dot> {
    let dot = |&at: &usize| {
        let group = grouping.labels[at];
        Dot { at: map.places[at], group: (group != NOISE).then_some(group as usize) }
    };
    map.sample.iter().map(dot).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wishes_that_cannot_be_are_refused() {
        let asked = |clusters, method: &str, sample| SegmentSettings {
            clusters,
            method: Some(method.to_owned()),
            sample,
        };
        for (wrong, part) in [
            (asked(Some(3), "density", None), "by itself"),
            (asked(Some(1), "kmeans", None), "2 to 100"),
            (asked(None, "magic", None), "expected kmeans"),
            (asked(None, "mixture", Some(3)), "100 to 20000"),
        ] {
            let error = options(&wrong, 1).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
        let fine = options(&asked(None, "mixture", None), 7).unwrap();
        assert_eq!((fine.method, fine.sample, fine.seed), (Method::Mixture, 2000, 7));
    }
}
