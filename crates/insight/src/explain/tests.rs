//! Pages of a small, of an empty and of a hostile history.

use super::*;

fn told() -> Explained {
    let event = |k: usize| Event {
        time: format!("2026-03-0{} 10:00", k + 1),
        kind: ["view", "cart", "view"][k].to_owned(),
        item: format!("rug-{k}"),
        answer: 0.1 * (k + 1) as f64,
        came: None,
        attribution: [0.5, 1.25, -0.75][k],
        occlusion: (k != 1).then_some(0.25),
    };
    let gate = |name: &str| (name.to_owned(), vec![0.25, 0.5, 0.75]);
    Explained {
        user: "u17".to_owned(),
        at: "2026-03-04 00:00".to_owned(),
        task: "purchase".to_owned(),
        horizon: Some(7.0 * 86_400.0),
        answer: 0.3,
        logits: [-0.85, -2.0],
        mean_baseline: true,
        residual: 1e-7,
        agreement: Some(0.5),
        events: (0..3).map(event).collect(),
        moment: vec![("since_last_order".to_owned(), 0.15)],
        gates: vec![LayerGates {
            name: "layer 1".to_owned(),
            gates: vec![gate("input"), gate("forget")],
            norm: vec![0.5, 0.7, 0.6],
        }],
        units: vec![UnitGates { name: "unit 3".to_owned(), gates: vec![gate("forget")] }],
        half_lives: vec![vec![0.5, 3.0, 100.0, 1.0]],
        followed: vec![Follower {
            unit: "unit 3".to_owned(),
            what: "category rug".to_owned(),
            correlation: 0.654,
            again: Some(0.6),
        }],
        looked_at: (12, 345),
        ..Explained::default()
    }
}

#[test]
fn the_page_says_what_carried_the_answer() {
    let told = told();
    let html = page(&told);
    for part in [
        "<title>Why: u17</title>",
        "30\u{a0}%",
        "chance of a purchase within 7\u{a0}days",
        "What speaks for it most: cart rug-1, 2026-03-02 10:00.",
        "+1.25",
        "−0.75",
        "known: since last order",
        "25\u{a0}%",
        "category rug",
        "0.65",
        "All bars together are 1.15",
    ] {
        assert!(html.contains(part), "{part}");
    }
    assert!(!html.contains("http:") && !html.contains("<script") && html == page(&told));
    let files: Vec<&str> = pictures(&told).iter().map(|picture| picture.file).collect();
    let expected =
        ["answers.svg", "causes.svg", "gates.svg", "units.svg", "memory.svg", "half-lives.svg"];
    assert_eq!(files, expected);
    for picture in pictures(&told) {
        let svg = picture.svg();
        assert!(svg.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\""), "{svg}");
        assert!(svg.ends_with("</svg>\n") && svg.contains("--accent"));
    }
}

/// Names in a log may hold anything, and of a cell without gates nothing is shown.
#[test]
fn hostile_names_and_missing_parts() {
    let mut told = told();
    told.user = "<script>alert(1)</script>".to_owned();
    told.events[0].item = "<img src=x onerror=y>".repeat(9);
    told.target = Some(("\"><b>".to_owned(), true));
    told.task = "next-item".to_owned();
    (told.gates, told.units, told.half_lives) = (Vec::new(), Vec::new(), Vec::new());
    told.note = Some("no gates".to_owned());
    told.followed.clear();
    told.moment.clear();
    let html = page(&told);
    assert!(!html.contains("<script>") && !html.contains("<img") && html.contains("no gates"));
    assert!(html.contains("this is what came next"));
    assert_eq!(pictures(&told).len(), 2);
    for task in ["churn", "count", "value", "time-to-next", "next-event"] {
        told.task = task.to_owned();
        assert!(page(&told).contains("</html>"));
    }
    page(&Explained::default());
}
