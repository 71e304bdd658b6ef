//! The page of a few made-up segments.

use events::{Buying, Portrait, Portraits, Share};

use super::*;

fn portrait(users: u64, per_user: f64) -> Portrait {
    Portrait {
        users,
        sessions: 2 * users,
        events: 10 * users,
        events_per_user: 10.0,
        sessions_per_user: 2.0,
        events_per_session: 5.0,
        buying: Some(Buying {
            purchases: users,
            per_user,
            share_of_events: 0.1,
            share_of_sessions: 0.5,
            buyers: 0.5,
            spend: None,
        }),
        favourites: vec![Share { name: "<rug>".to_owned(), share: 0.5 }],
        ..Portrait::default()
    }
}

fn found() -> Found {
    let tried = |clusters, silhouette| Tried {
        clusters,
        silhouette,
        stability: 0.9,
        within: 0.4,
        bic: None,
    };
    Found {
        method: "kmeans".to_owned(),
        tried: vec![tried(2, 0.55), tried(3, 0.4), tried(4, 0.3)],
        agree: 0.6,
        silhouette: 0.55,
        agreement: vec![1.0, 0.98],
        users: 5000,
        sample: 2000,
        width: 100,
        worth: vec![0.8, 0.3],
        steady: true,
        ..Found::default()
    }
}

fn with<T>(found: &Found, look: impl FnOnce(&Segments<'_>) -> T) -> T {
    let portraits = Portraits {
        all: portrait(5000, 1.0),
        groups: vec![portrait(3000, 2.0), portrait(2000, 0.1)],
        purchases_by: Some("kind"),
        time_zone: "UTC".to_owned(),
    };
    let names = ["Frequent buyers <b>".to_owned(), "Rare buyers".to_owned()];
    let typical =
        [vec![Typical { name: "u<1>".to_owned(), portrait: portrait(1, 3.0) }], Vec::new()];
    let map = [Dot { at: [0.0, 0.0], group: Some(0) }, Dot { at: [1.0, 1.0], group: Some(1) }];
    look(&Segments {
        log: "shop.csv",
        of_users: true,
        portraits: &portraits,
        names: &names,
        typical: &typical,
        map: &map,
        found,
    })
}

#[test]
fn a_page_says_what_segments_are_like_and_how_they_came_about() {
    let html = with(&found(), page);
    for part in [
        "Frequent buyers &lt;b&gt;",
        "u&lt;1&gt;",
        "&lt;rug&gt; (50",
        "lie clearly apart",
        "so 2 to 4 were tried",
        "<b>2</b> purchases a user – everybody: 1, 2 times as much",
        "2,000 users of 5,000, drawn at random",
        "do not depend on chance",
        "class=\"swatch s1\"",
    ] {
        assert!(html.contains(part), "{part}: {html}");
    }
    for part in ["<script", "http:", "https:", "u<1>", "<rug>"] {
        assert!(!html.contains(part), "{part}");
    }
}

#[test]
fn weak_segments_and_other_methods_are_said_plainly() {
    let weak = Found { silhouette: 0.1, agreement: vec![0.3], steady: false, ..found() };
    let html = with(&weak, page);
    assert!(
        html.contains("run into each other: take them") && html.contains("send nobody"),
        "{html}"
    );
    assert!(html.contains("principal components"));
    let dense = Found {
        method: "density".to_owned(),
        tried: Vec::new(),
        agreement: Vec::new(),
        nowhere: 7,
        ..found()
    };
    let html = with(&dense, page);
    assert!(
        html.contains("7 users belong to no segment")
            && html.contains("drawn at random: the same log")
    );
}

#[test]
fn the_map_is_a_file_of_its_own() {
    let svg = with(&found(), map_file);
    assert!(
        svg.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\"") && svg.ends_with("</svg>\n")
    );
    assert!(svg.contains("prefers-color-scheme: dark") && svg.contains("class=\"s1\""));
}
