//! A model's figures beside those of the baselines.

use serde_json::Value;
use train::doubts;
use train::evaluate::Baselines;
use train::metrics::Metrics;

use crate::output::{Style, Table, per_cent};
use crate::progress::warn;

/// The name under which the model stands in tables.
const MODEL: &str = "this model";
/// The figures that tables show.
pub(crate) const FIGURES: [&str; 5] = ["recall@20", "mrr@20", "ndcg@20", "recall@10", "recall@1"];

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
    Table::new(std::iter::once("").chain(FIGURES))
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
        let cell = |key: &str| figures[key].as_f64().map_or("-".to_owned(), per_cent);
        std::iter::once(name.to_owned()).chain(FIGURES.map(cell)).collect::<Vec<_>>()
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

/// Warns where the model lost to a baseline.
pub(crate) fn warn_of_defeat(model: &Metrics, baselines: &Baselines) {
    if let Some(doubt) = doubts::defeat(model, baselines) {
        warn(&doubt.to_string());
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
    fn the_table_fits_80_columns() {
        let full = metrics(&[1, 1]);
        let baselines = Baselines { popularity: full, session_popularity: full, markov: full };
        let text = table(&full, &baselines).render(Style::plain());
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    }
}
