//! A model's figures beside those of the baselines.

use serde_json::Value;
use train::evaluate::Baselines;
use train::metrics::Metrics;

use crate::output::{Style, Table, per_cent};
use crate::progress::warn;

/// The name under which the model stands in tables.
const MODEL: &str = "this model";

/// The usual table: the model first, then the baselines.
pub(crate) fn table(model: &Metrics, baselines: &Baselines) -> Table {
    let mut table = header();
    table.bold_row(row(MODEL, model));
    for (name, metrics) in baselines.by_name() {
        table.row(row(name, metrics));
    }
    table
}

/// An empty table with the usual figures.
pub(crate) fn header() -> Table {
    Table::new(["", "recall@20", "mrr@20", "ndcg@20", "recall@10", "recall@1"])
}

/// The row of one model.
pub(crate) fn row(name: &str, metrics: &Metrics) -> Vec<String> {
    let figures =
        [metrics.recall_20, metrics.mrr_20, metrics.ndcg_20, metrics.recall_10, metrics.recall_1];
    std::iter::once(name.to_owned()).chain(figures.map(per_cent)).collect()
}

/// The table of figures that have been written as JSON.
pub(crate) fn render_json(figures: &Value) -> String {
    let mut table = header();
    let row = |name: &str, figures: &Value| {
        let keys = ["recall@20", "mrr@20", "ndcg@20", "recall@10", "recall@1"];
        let cell = |key: &str| figures[key].as_f64().map_or("-".to_owned(), per_cent);
        std::iter::once(name.to_owned()).chain(keys.map(cell)).collect::<Vec<_>>()
    };
    table.bold_row(row(MODEL, figures));
    for (name, figures) in figures["baselines"].as_object().into_iter().flatten() {
        table.row(row(&name.replace('_', " "), figures));
    }
    table.render(Style::for_stdout())
}

/// The table as text for the terminal.
pub(crate) fn render(model: &Metrics, baselines: &Baselines) -> String {
    table(model, baselines).render(Style::for_stdout())
}

/// The sentence that a model which lost to a baseline deserves: about the best known of those that
/// it lost to.
pub(crate) fn verdict(model: &Metrics, baselines: &Baselines) -> Option<String> {
    let lost_to = |(name, other): (&str, &Metrics)| {
        let figures = [
            ("recall@20", model.recall_20, other.recall_20),
            ("mrr@20", model.mrr_20, other.mrr_20),
        ];
        let lost: Vec<_> = figures
            .iter()
            .filter(|(_, own, theirs)| own < theirs)
            .map(|&(figure, own, theirs)| {
                format!("{figure} ({} against {})", per_cent(own), per_cent(theirs))
            })
            .collect();
        (!lost.is_empty()).then(|| {
            format!(
                "the model did worse than {name} in {}: a plain table does better; train on more \
                 events or for more epochs, or try another learning rate",
                lost.join(" and ")
            )
        })
    };
    baselines.by_name().into_iter().find_map(lost_to)
}

/// Warns where the model lost to a baseline.
pub(crate) fn warn_of_defeat(model: &Metrics, baselines: &Baselines) {
    if let Some(verdict) = verdict(model, baselines) {
        warn(&verdict);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use train::metrics::Ranks;

    fn metrics(ranks: &[usize]) -> Metrics {
        let mut all = Ranks::default();
        ranks.iter().for_each(|&rank| all.add(rank));
        all.metrics()
    }

    #[test]
    fn a_defeat_is_said_plainly() {
        let baselines = Baselines {
            popularity: metrics(&[30, 30]),
            session_popularity: metrics(&[2, 30]),
            markov: metrics(&[2, 2]),
        };
        assert_eq!(verdict(&metrics(&[1, 1]), &baselines), None);
        let text = verdict(&metrics(&[1, 30]), &baselines).unwrap();
        assert!(text.contains("worse than Markov in recall@20 (50.00 % against 100.00 %)"));
        assert!(!text.contains("mrr@20") && !text.contains("popularity"), "{text}");
    }

    #[test]
    fn the_table_fits_80_columns() {
        let full = metrics(&[1, 1]);
        let baselines = Baselines { popularity: full, session_popularity: full, markov: full };
        let text = table(&full, &baselines).render(Style::plain());
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    }
}
