//! Who gets how far: a bar a stage, and between two stages the share that goes on.

use super::svg::{Anchor, Svg};
use crate::number;

const BAR: f64 = 30.0;
const BETWEEN: f64 = 24.0;

/// A stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage {
    /// Its name.
    pub name: String,
    /// How many have come so far.
    pub through: u64,
}

/// Draws the stages from the first to the last, `all` being as wide as the picture.
pub fn funnel(stages: &[Stage], all: u64, width: f64) -> Svg {
    let steps = stages.len() as f64;
    let mut svg = Svg::new(width, ((BAR + BETWEEN) * steps - BETWEEN + 4.0).max(1.0));
    let length = |count: u64| match all {
        0 => 0.0,
        all => (count as f64 / all as f64 * width).max(if count > 0 { 1.0 } else { 0.0 }),
    };
    for (k, stage) in stages.iter().enumerate() {
        let y = k as f64 * (BAR + BETWEEN);
        if let Some(before) = k.checked_sub(1).map(|k| &stages[k]) {
            let share = number::part(stage.through, before.through);
            let words = format!("{share} of those with a {} go on", before.name);
            svg.text(0.0, y - 6.0 + 2.0, Anchor::Start, "key", &words);
        }
        let y = if k == 0 { y } else { y + 4.0 };
        svg.rect((0.0, y), (width, BAR - 4.0), "blank", "");
        svg.rect((0.0, y), (length(stage.through), BAR - 4.0), "bar pale", "");
        svg.text(8.0, y + 17.0, Anchor::Start, "strong", &stage.name);
        let count =
            format!("{} · {}", number::count(stage.through), number::part(stage.through, all));
        svg.text(width - 8.0, y + 17.0, Anchor::End, "strong", &count);
    }
    svg
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_stage_is_a_part_of_the_one_before() {
        let stage = |name: &str, through| Stage { name: name.to_owned(), through };
        let stages = [stage("view", 80), stage("cart", 20), stage("purchase", 0)];
        let html = funnel(&stages, 100, 400.0).html("x").as_str().replace('\u{a0}', " ");
        for part in [
            "width=\"320\"",
            "width=\"80\"",
            "width=\"0\"",
            ">25 % of those with a view go on</text>",
            ">20 · 20 %</text>",
            ">0 % of those with a cart go on</text>",
        ] {
            assert!(html.contains(part), "{part}: {html}");
        }
        funnel(&[], 0, 400.0);
        assert!(funnel(&[stage("view", 0)], 0, 9.0).html("x").as_str().contains("0 · –"));
    }
}
