//! The best possible score is what it says: calibrated, never beaten, and far above Markov.

use crate::simulator::{Filter, Shop, ShopConfig, User, best_possible};

/// Sessions of the first users, as item indices.
fn sessions(shop: &Shop, users: std::ops::Range<u64>) -> Vec<Vec<usize>> {
    let users = users.flat_map(|number| User::new(shop, number).sessions);
    users.map(|session| session.items()).collect()
}

fn shop() -> Shop {
    Shop::new(ShopConfig::default(), 3).unwrap()
}

/// What was given probability p comes about in a share p of the cases, for small and large p.
///
/// Cases are no independent draws, but their differences from p are uncorrelated, so the variance
/// of a sum of them is at most the sum of p (1 − p); five of its roots is never passed by chance.
#[test]
fn predicted_probabilities_come_true() {
    let shop = shop();
    let mut filter = Filter::new(&shop);
    let mut next = vec![0.0; shop.items()];
    let mut bins = [[0.0f64; 3]; 12];
    for session in sessions(&shop, 0..150) {
        filter.reset();
        for (position, &item) in session.iter().enumerate() {
            filter.predict(&mut next);
            let total: f64 = next.iter().sum();
            assert!((total - 1.0).abs() < 1e-12, "sums to {total}");
            for (other, &p) in next.iter().enumerate() {
                let bin = &mut bins[(-p.log2() as usize).min(11)];
                bin[0] += p;
                bin[1] += p * (1.0 - p);
                bin[2] += f64::from(u8::from(other == item));
            }
            let seen = filter.observe(item).unwrap();
            assert!((seen - next[item]).abs() < 1e-12, "position {position}");
        }
    }
    for (bin, [expected, variance, found]) in bins.into_iter().enumerate() {
        assert!(
            (found - expected).abs() <= 5.0 * variance.sqrt(),
            "p near 2^-{bin}: {expected:.1} expected, {found} came",
        );
    }
}

/// A filter with one rate wrong explains the sessions worse, whichever rate it is; so does one that
/// sees the last item only.
#[test]
fn no_other_filter_explains_the_sessions_better() {
    let shop = shop();
    let sessions = sessions(&shop, 0..200);
    let best = best_possible(&shop, &sessions).unwrap();

    type Change = (&'static str, fn(&mut ShopConfig));
    let changes: [Change; 12] = [
        ("stay", |c| c.types.iter_mut().for_each(|t| t.stay *= 1.3)),
        ("detour", |c| c.types.iter_mut().for_each(|t| t.detour *= 1.6)),
        ("taste", |c| c.types.iter_mut().for_each(|t| t.taste *= 0.8)),
        ("cart", |c| c.types.iter_mut().for_each(|t| t.cart *= 1.6)),
        ("purchase", |c| c.types.iter_mut().for_each(|t| t.purchase *= 0.5)),
        ("back", |c| c.types.iter_mut().for_each(|t| t.back *= 2.0)),
        ("frugal", |c| c.types.iter_mut().for_each(|t| t.frugal *= 0.4)),
        ("shares", |c| c.types[0].share *= 4.0),
        ("mission_drift", |c| c.mission_drift *= 8.0),
        ("style_drift", |c| c.style_drift *= 8.0),
        ("accessory", |c| c.accessory *= 0.2),
        ("own_missions", |c| c.own_missions = 0.25),
    ];
    for (name, change) in changes {
        let mut config = shop.config.clone();
        change(&mut config);
        let mut other = Shop::new(config, shop.seed).unwrap();
        other.routes.clone_from(&shop.routes);
        let score = best_possible(&other, &sessions).unwrap();
        assert!(
            score.log_loss > best.log_loss,
            "{name}: {:.6} is not above {:.6}",
            score.log_loss,
            best.log_loss
        );
    }

    let pairs = sessions.iter().flat_map(|session| session.windows(2));
    let memoryless = best_possible(&shop, pairs).unwrap();
    assert!(memoryless.log_loss > best.log_loss + 0.2, "{memoryless:?} {best:?}");
    assert!(memoryless.cases == best.cases);
}

/// Realised and expected score differ by chance only: recall is a mean of `cases` values in [0, 1].
#[test]
fn the_realised_score_is_the_expected_one() {
    let shop = shop();
    let score = best_possible(&shop, sessions(&shop, 0..300)).unwrap();
    let allowed = 4.0 * 0.5 / (score.cases as f64).sqrt();
    assert!((score.recall_at_20 - score.expected_recall_at_20).abs() < allowed, "{score:?}");
    assert!((score.mrr_at_20 - score.expected_mrr_at_20).abs() < allowed, "{score:?}");
}

/// A first-order table counted on as many sessions as the demo has stays far below, and one that
/// was counted on all the data in the world would too.
#[test]
fn a_markov_table_stays_far_below_the_best_possible() {
    let shop = shop();
    let test = sessions(&shop, 0..200);
    let best = best_possible(&shop, &test).unwrap();
    let items = shop.items();
    let mut counts = vec![0u32; items * items];
    for session in sessions(&shop, 300..3_300) {
        for pair in session.windows(2) {
            counts[pair[0] * items + pair[1]] += 1;
        }
    }
    let (mut recall, mut mrr) = (0.0, 0.0);
    for pair in test.iter().flat_map(|session| session.windows(2)) {
        let row = &counts[pair[0] * items..][..items];
        let before = |&(other, &count): &(usize, &u32)| {
            count > row[pair[1]] || (count == row[pair[1]] && other < pair[1])
        };
        let rank = 1 + row.iter().enumerate().filter(before).count();
        if rank <= 20 {
            recall += 1.0 / best.cases as f64;
            mrr += 1.0 / rank as f64 / best.cases as f64;
        }
    }
    println!("markov {recall:.4} {mrr:.4}, best {:.4} {:.4}", best.recall_at_20, best.mrr_at_20);
    assert!(best.recall_at_20 - recall > 0.18, "{recall} {best:?}");
    assert!(best.mrr_at_20 - mrr > 0.15, "{mrr} {best:?}");
}

/// Sessions of another shop are refused, not scored.
#[test]
fn what_the_shop_cannot_make_is_an_error() {
    let shop = shop();
    let text = |sessions: &[&[usize]]| best_possible(&shop, sessions).unwrap_err().to_string();
    assert!(text(&[&[0, shop.items()]]).contains("items, numbered from 0"));
    // View, cart, purchase, and a view of what was just bought.
    assert!(text(&[&[0, 0, 0, 0]]).contains("event 3"));
    assert!(best_possible(&shop, [[0, 0, 0]]).is_ok());
}
