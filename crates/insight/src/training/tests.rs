//! Pages of small runs, and of a hostile one.

use super::*;

const HOSTILE: &str = "<script>alert(1)</script>\"'&</style>";

fn run() -> Training {
    let epoch = |loss| Epoch { loss, learning_rate: 0.005, seconds: 1.5 };
    Training {
        title: "shop".to_owned(),
        sizes: vec![("3".to_owned(), "epochs".to_owned())],
        facts: vec![("Log".to_owned(), "shop.csv".to_owned())],
        epochs: [3.0, 2.0, 1.5].map(epoch).to_vec(),
        points: (1..=6)
            .map(|k| Point { epochs: f64::from(k) / 2.0, loss: 3.0, learning_rate: 0.01 })
            .collect(),
        best_epoch: 2,
        curves: vec![Curve {
            title: "recall@20".to_owned(),
            is_share: true,
            values: vec![0.2, 0.4, 0.35],
            others: vec![("Markov".to_owned(), 0.3)],
        }],
        comparisons: vec![Comparison {
            title: "Next item".to_owned(),
            note: "30 predictions".to_owned(),
            columns: vec!["recall@20".to_owned()],
            rows: vec![
                ("this model".to_owned(), vec!["40 %".to_owned()]),
                ("Markov".to_owned(), vec!["30 %".to_owned()]),
            ],
        }],
        settings: vec![Setting {
            key: "model.hidden".to_owned(),
            value: "64".to_owned(),
            default: "100".to_owned(),
        }],
        ..Training::default()
    }
}

#[test]
fn a_page_tells_all_of_a_run() {
    let html = page(&run());
    for part in [
        "<h1>shop</h1>",
        "Nothing stands out",
        "<td><b>this model</b></td><td class=\"n\"><b>40 %</b></td>",
        "<code>model.hidden</code>",
        ">Markov</text>",
        ">40\u{a0}%</text>",
        "2 (kept)",
    ] {
        assert!(html.contains(part), "{part}: {html}");
    }
    assert!(!html.contains("Said on the way"));
}

#[test]
fn each_warning_has_its_remedy() {
    let warning = Warning { message: "it overfits".to_owned(), remedy: "raise dropout".to_owned() };
    let run = Training { warnings: vec![warning], notes: vec!["3 bad rows".to_owned()], ..run() };
    let html = page(&run);
    assert!(html.contains("<p>It overfits</p>") && html.contains(">Raise dropout</p>"), "{html}");
    assert!(html.contains("<li>3 bad rows</li>") && !html.contains("Nothing stands out"));
}

#[test]
fn a_run_without_validation_or_a_loss_has_a_page() {
    let nothing = Training { title: "a".to_owned(), ..Training::default() };
    assert!(page(&nothing).contains("no figures"));
    let lost = Training {
        epochs: vec![Epoch { loss: f64::NAN, ..Epoch::default() }],
        curves: vec![Curve { values: vec![f64::NAN], ..Curve::default() }],
        best_epoch: 1,
        ..Training::default()
    };
    let html = page(&lost);
    assert!(!html.contains("NaN") && !html.contains("inf"), "{html}");
}

#[test]
fn nothing_in_a_run_is_a_mark() {
    let hostile = || HOSTILE.to_owned();
    let run = Training {
        title: hostile(),
        sizes: vec![(hostile(), hostile())],
        facts: vec![(hostile(), hostile())],
        warnings: vec![Warning { message: hostile(), remedy: hostile() }],
        notes: vec![hostile()],
        curves: vec![Curve {
            title: hostile(),
            values: vec![1.0],
            others: vec![(hostile(), 2.0)],
            ..Curve::default()
        }],
        comparisons: vec![Comparison {
            title: hostile(),
            note: hostile(),
            columns: vec![hostile()],
            rows: vec![(hostile(), vec![hostile()])],
        }],
        settings: vec![Setting { key: hostile(), value: hostile(), default: hostile() }],
        ..run()
    };
    let html = page(&run);
    assert!(!html.contains("<script") && html.matches("</style>").count() == 1, "{html}");
}

/// Of many epochs some are shown: the first, the last, and the one that was kept.
#[test]
fn many_epochs_make_a_short_table() {
    let epoch = Epoch { loss: 1.0, learning_rate: 0.1, seconds: 1.0 };
    let run = Training { epochs: vec![epoch; 500], best_epoch: 321, ..Training::default() };
    let html = page(&run);
    let rows = html.matches("<tr>").count();
    assert!((10..20).contains(&rows), "{rows}");
    for part in ["<td>1</td>", "<td>321 (kept)</td>", "<td>500</td>"] {
        assert!(html.contains(part), "{part}");
    }
}
