//! The demo's results, for the terminal, for a page, for programs.

use std::path::Path;
use std::time::Instant;

use events::simulator::{Score, Summary};
use serde::Serialize;
use serde_json::json;
use train::Outcome;
use train::evaluate::Baselines;
use train::metrics::Metrics;

use crate::output::{Style, Table, count, per_cent, seconds, wrapped};

/// Marks a report as one of this demo.
const KIND: &str = "tidegate demo";

/// Everything that the demo has found.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    kind: &'static str,
    shop: serde_json::Value,
    training: Outcome,
    kernel: &'static str,
    test: Test,
    shoppers: Vec<Shopper>,
    wall_s: f64,
}

#[derive(Debug, Serialize)]
struct Test {
    #[serde(flatten)]
    model: Metrics,
    baselines: Baselines,
    best_possible: Best,
    /// How far the model goes from Markov (0) to the best possible (1).
    way: Best,
}

#[derive(Debug, Clone, Copy, Serialize)]
struct Best {
    #[serde(rename = "recall@20")]
    recall: f64,
    #[serde(rename = "mrr@20")]
    mrr: f64,
}

/// A user with recent events and what the model would show.
#[derive(Debug, Serialize)]
pub(super) struct Shopper {
    pub(super) user: String,
    pub(super) recent: Vec<String>,
    pub(super) recommended: Vec<Recommended>,
}

#[derive(Debug, Serialize)]
pub(super) struct Recommended {
    pub(super) item: String,
    pub(super) score: f32,
}

/// Whether a file's text is a report of this demo.
pub(super) fn is_ours(text: &str) -> bool {
    let report: Option<serde_json::Value> = serde_json::from_str(text).ok();
    report.is_some_and(|report| report["kind"] == KIND)
}

/// What the shop is.
pub(super) fn opening(summary: &Summary, style: Style) -> String {
    format!("{}\n{}", style.bold("A simulated shop"), shop_line(summary, "  "))
}

fn shop_line(summary: &Summary, indent: &str) -> String {
    format!(
        "{indent}{} events of {} users in {} sessions: views, carts and purchases\n\
         {indent}of {} items. Users follow routes through the categories that a table of\n\
         {indent}successors cannot see; an LSTM can.\n\n",
        count(summary.events),
        count(summary.users),
        count(summary.sessions),
        count(summary.items),
    )
}

/// What is learned from.
pub(super) fn training(sessions: usize, items: usize, style: Style) -> String {
    let head = style.bold("Training an LSTM");
    format!("{head}\n  on the first {} sessions, {} items\n", count(sessions), count(items))
}

impl Report {
    #[allow(clippy::too_many_arguments)]
    pub(super) fn new(
        summary: &Summary,
        training: &Outcome,
        model: Metrics,
        baselines: Baselines,
        best: Score,
        shoppers: Vec<Shopper>,
        kernel: &'static str,
        begin: Instant,
    ) -> Self {
        let best_possible = Best { recall: best.recall_at_20, mrr: best.mrr_at_20 };
        let markov = &baselines.markov;
        let way = |own: f64, from: f64, to: f64| (own - from) / (to - from);
        let way = Best {
            recall: way(model.recall_20, markov.recall_20, best_possible.recall),
            mrr: way(model.mrr_20, markov.mrr_20, best_possible.mrr),
        };
        Self {
            kind: KIND,
            shop: json!({
                "events": summary.events,
                "users": summary.users,
                "sessions": summary.sessions,
                "items": summary.items,
                "purchases": summary.purchases,
            }),
            training: training.clone(),
            kernel,
            test: Test { model, baselines, best_possible, way },
            shoppers,
            wall_s: begin.elapsed().as_secs_f64(),
        }
    }

    fn table(&self) -> Table {
        let mut table = Table::new(["", "recall@20", "mrr@20", "ndcg@20", "recall@1"]);
        let best = self.test.best_possible;
        table.row(["best possible".into(), per_cent(best.recall), per_cent(best.mrr)]);
        let row = |name: &str, m: &Metrics| {
            let figures = [m.recall_20, m.mrr_20, m.ndcg_20, m.recall_1].map(per_cent);
            std::iter::once(name.to_owned()).chain(figures).collect::<Vec<_>>()
        };
        table.bold_row(row("this LSTM", &self.test.model));
        for (name, metrics) in self.test.baselines.by_name() {
            table.row(row(name, metrics));
        }
        table
    }

    /// What the figures mean, in a sentence.
    fn way(&self) -> String {
        if let Some(verdict) = train::doubts::defeat(&self.test.model, &self.test.baselines) {
            return format!("Mind: {verdict}.");
        }
        let Best { recall, mrr } = self.test.way;
        let whole = |way: f64| format!("{:.0} %", 100.0 * way);
        let (recall, mrr) = (whole(recall), whole(mrr));
        format!(
            "From Markov's score to the best possible one, the LSTM goes {recall} of the way in \
             recall@20 and {mrr} in mrr@20."
        )
    }

    /// Figures and recommendations for the terminal.
    pub(super) fn results(&self, style: Style) -> String {
        let cases = count(self.test.model.cases);
        let mut text = format!(
            "\n{}\n",
            style.bold(&format!("On the last tenth of the sessions: {cases} predictions"))
        );
        text += &self.table().render(style);
        text += &wrapped(&self.way(), "  ");
        text += &format!("\n{}\n", style.bold("What to show three of its users next"));
        for shopper in &self.shoppers {
            let mut table = Table::left([
                format!("{} looked at", shopper.user),
                "would be shown".to_owned(),
                String::new(),
            ]);
            for place in 0..shopper.recent.len().max(shopper.recommended.len()) {
                let recent = shopper.recent.get(place).cloned().unwrap_or_default();
                let next = shopper.recommended.get(place);
                let item = next.map_or(String::new(), |next| next.item.clone());
                let score = next.map_or(String::new(), |next| probability(next.score));
                table.row([recent, item, score]);
            }
            text += &table.render(style);
            text.push('\n');
        }
        text
    }

    /// Where everything is, and what to try next.
    pub(super) fn ending(&self, out: &Path, style: Style) -> String {
        let mut text = format!("{}\n", style.bold(&format!("In {}/", out.display())));
        for (name, what) in super::files() {
            text += &format!("  {name:<24}  {what}\n");
        }
        let (out, wall) = (out.display(), seconds(self.wall_s));
        let item = self.shoppers.first().and_then(|shopper| shopper.recent.last());
        let item = item.map_or("ID", String::as_str);
        text + &format!(
            "\n{} Next:\n  tidegate recommend {out}/model --events \"{item}\"\n  \
             tidegate train YOUR-LOG --out model\n",
            style.bold(&format!("Done in {wall}."))
        )
    }

    /// The report as a page.
    pub(super) fn markdown(&self) -> String {
        let shop = &self.shop;
        let number = |key: &str| count(shop[key].as_u64().unwrap_or(0));
        let mut text = format!(
            "# Tidegate on a simulated shop\n\n\
             {} events of {} users in {} sessions, {} items.\n\
             The first nine tenths of the sessions by time are learned from, the last tenth is the \
             test.\n\n\
             ## How good\n\n{} predictions, none of which the model has seen. All items compete; \
             ties count against the model.\n\n{}\n{}\n\n",
            number("events"),
            number("users"),
            number("sessions"),
            number("items"),
            count(self.test.model.cases),
            self.table().markdown(),
            self.way(),
        );
        text += "*Best possible* is what a model would reach that knows how the shop works and sees \
                 only what a model sees: the items of the session so far.\n\n\
                 ## What to show\n\n";
        for shopper in &self.shoppers {
            let shown: Vec<_> = shopper
                .recommended
                .iter()
                .map(|next| format!("{} ({})", next.item, probability(next.score)))
                .collect();
            text += &format!(
                "**{}** looked at {}.\nWould be shown: {}.\n\n",
                shopper.user,
                shopper.recent.join(", "),
                shown.join(", ")
            );
        }
        let training = &self.training;
        text += &format!(
            "## The run\n\n{} epochs, the weights of epoch {} kept; {} parameters; {} events a \
             second on the {} path; {} in all.\n\n## The files\n\n",
            training.epochs,
            training.best_epoch,
            count(training.parameters),
            count(training.events_per_s as u64),
            self.kernel,
            seconds(self.wall_s),
        );
        for (name, what) in super::files() {
            text += &format!("- `{name}`: {what}\n");
        }
        text
    }
}

/// A probability that a glance takes in.
fn probability(score: f32) -> String {
    match 100.0 * score {
        p if p >= 9.95 => format!("{p:.0} %"),
        p => format!("{p:.1} %"),
    }
}
