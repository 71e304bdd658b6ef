use super::*;

fn step(users: usize, sum: f64, gain: f64) -> Step {
    Step { users, score: 0.2, sum, gain }
}

fn audience(trial: Option<Trial>) -> Audience {
    let added = trial.is_some();
    Audience {
        log: "<shop>.csv".to_owned(),
        of_sessions: false,
        at: "2026-04-30T00:00:00Z".to_owned(),
        horizon_s: 14.0 * 86_400.0,
        score: if added { "added probability of a purchase" } else { "probability of a purchase" },
        sum: if added { "more buyers" } else { "buyers" },
        share: true,
        said_share: true,
        added,
        money: true,
        terms: vec![("cost of a contact".to_owned(), 0.8)],
        end: "The list ends where nobody further pays.".to_owned(),
        all: step(100, 20.0, -30.0),
        cut: step(25, 12.0, 40.0),
        lift: Some(2.4),
        break_even: Some((0.08, 25)),
        curve: vec![step(0, 0.0, 0.0), step(25, 12.0, 40.0), step(100, 20.0, -30.0)],
        places: vec![step(25, 12.0, 40.0), step(100, 20.0, -30.0)],
        first: vec![Listed { name: "<u1>".to_owned(), score: 0.7, said: 0.5, gain: 9.5 }],
        trial,
        warnings: vec!["few <users>".to_owned()],
    }
}

fn trial(low: f64) -> Trial {
    let range = |estimate, low, high| Some(Range { estimate, low, high });
    Trial {
        column: "treated".to_owned(),
        outcome: ["buy", "bought"],
        arms: [[50, 20], [50, 15]],
        effect: range(0.1, 0.02, 0.18),
        coefficients: [range(0.03, low, 0.05), range(-0.01, -0.03, 0.01), range(0.04, 0.01, 0.07)],
        curve: vec![(0.5, range(0.12, 0.05, 0.2), 0.01), (1.0, range(0.1, 0.02, 0.18), 0.1)],
        tenths: vec![Tenth {
            users: [5, 5],
            shares: [0.6, 0.2],
            expected: 0.35,
            found: range(0.4, 0.1, 0.7),
        }],
        balance: vec![("since_last_event".to_owned(), 3.0, 3.1, -0.02, false)],
        method: (5, 16, [0.9, 0.8], 10.0, 1000),
    }
}

#[test]
fn a_page_says_whom_to_contact_and_loads_nothing() {
    let html = page(&audience(None));
    for part in [
        "users to contact",
        "2.4×",
        "that takes a trial",
        "What the ranking gathers",
        "A contact pays from a score of 8.0\u{a0}% on: for 25 users of 100.",
        "&lt;u1&gt;",
        "few &lt;users&gt;.",
        "cost of a contact",
    ] {
        assert!(html.contains(part), "{part}: {html}");
    }
    assert!(!html.contains("Qini") && !html.contains("<script") && !html.contains("http:"));
    let picture = picture(&audience(None));
    assert!(picture.starts_with("<svg xmlns") && picture.contains("of all buyers"));
}

#[test]
fn a_trial_is_shown_with_its_intervals_and_its_doubts() {
    let html = page(&audience(Some(trial(0.01))));
    for part in [
        "Qini curve",
        "above chance (Qini coefficient 0.0300 [0.0100, 0.0500])",
        "+10.0 percentage points [+2.0, +18.0]",
        "since last event",
        "as alike as chance",
        "by uplift",
        // Half way to the place at a half: 6 of a hundred.
        "6 [2.5, 10] more buyers, had all 25 on it been treated",
        "5 parts",
    ] {
        assert!(html.contains(part), "{part}: {html}");
    }
    assert!(!html.contains("What the ranking gathers"));
    assert!(page(&audience(Some(trial(-0.01)))).contains("cannot be told for sure"));
    let mut unlike = trial(0.01);
    unlike.balance[0].4 = true;
    assert!(page(&audience(Some(unlike))).contains("not alike"));
    assert!(picture(&audience(Some(trial(0.01)))).contains("class=\"area\""));
    let none = Trial { arms: [[0, 0]; 2], ..Trial::default() };
    assert!(page(&audience(Some(none))).contains("cannot be told"));
}
