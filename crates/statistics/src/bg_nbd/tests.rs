//! The model against its paper and against simulated customers.

use super::*;
use crate::gamma::tests::Draws;

fn model(r: f64, alpha: f64, a: f64, b: f64) -> BgNbd {
    BgNbd::try_from(Parameters { r, alpha, a, b }).unwrap()
}

fn history(repeats: u32, last: f64, age: f64) -> History {
    History { repeats, last, age }
}

/// A customer as the module says, watched for `age`: what is known then, whether still there, and
/// purchases within `horizon` more.
fn live(draws: &mut Draws, model: &BgNbd, age: f64, horizon: f64) -> (History, bool, u32) {
    let Parameters { r, alpha, a, b } = model.parameters();
    let (rate, leave) = (draws.gamma(r, alpha), draws.beta(a, b));
    let (mut seen, mut there, mut later) = (history(0, 0.0, age), true, 0);
    let mut time = 0.0;
    loop {
        time += draws.exponential(rate);
        if time > age + horizon {
            return (seen, there, later);
        }
        let leaves = draws.uniform() < leave;
        if time <= age {
            (seen.repeats, seen.last, there) = (seen.repeats + 1, time, !leaves);
        } else {
            later += 1;
        }
        if leaves {
            return (seen, there, later);
        }
    }
}

#[test]
fn slopes_are_slopes() {
    let customers = [history(0, 0.0, 3.0), history(1, 0.5, 4.0), history(7, 3.9, 4.0)];
    let repeats = count_repeats(&customers);
    let at = [0.4, 2.0, 0.8, 2.5];
    let value = |p: [f64; 4]| {
        let parameters = Parameters { r: p[0], alpha: p[1], a: p[2], b: p[3] };
        likelihood(&parameters, &customers, &repeats)
    };
    let slopes = value(at).1;
    for k in 0..4 {
        let step = f64::EPSILON.cbrt();
        let (mut above, mut below) = (at, at);
        above[k] += step;
        below[k] -= step;
        let numeric = (value(above).0 - value(below).0) / (2.0 * step);
        assert!((slopes[k] - numeric).abs() < 1e-8, "{k}: {} {numeric}", slopes[k]);
    }
}

/// Without a repeat purchase: (α / (α+T))^r. With one: equation (6) as it stands.
#[test]
fn the_likelihood_is_that_of_the_paper() {
    let (r, alpha, a, b) = (0.4, 2.0, 0.8, 2.5);
    let model = model(r, alpha, a, b);
    let none = model.log_likelihood(&[history(0, 0.0, 3.0)]).unwrap();
    assert!((none - r * (2.0f64 / 5.0).ln()).abs() < 1e-14);
    let one = model.log_likelihood(&[history(1, 1.0, 3.0)]).unwrap();
    let there = b / (a + b) * r * alpha.powf(r) / 5f64.powf(r + 1.0);
    let gone = a / (a + b) * r * alpha.powf(r) / 3f64.powf(r + 1.0);
    assert!((one - (there + gone).ln()).abs() < 1e-14);
    let alive = model.alive(&history(1, 1.0, 3.0)).unwrap();
    assert!((alive - there / (there + gone)).abs() < 1e-14);
}

// mpmath 1.3.0, 60 digits: equation (10) with hyp2f1.
#[test]
fn expected_purchases_are_those_of_the_paper() {
    for ([r, alpha, a, b], (x, last, age), t, expected) in [
        ([0.243, 4.414, 0.793, 2.426], (2, 30.43, 38.86), 39.0, 1.2260281747671444),
        ([0.243, 4.414, 0.793, 2.426], (0, 0.0, 38.86), 1e-6, 5.615381040353312e-09),
        ([0.243, 4.414, 0.793, 2.426], (0, 0.0, 0.0), 4000.0, 11.099344185713061),
        ([0.5, 3.0, 1.0000001, 2.0], (3000, 99.9, 100.0), 50.0, 1180.1762006372824),
        ([2.0, 1e-3, 0.01, 5.0], (1, 0.1, 0.1), 100.0, 2807.0456474866432),
        ([12.0, 7.0, 40.0, 900.0], (25, 18.0, 20.0), 30.0, 11.282716237461061),
    ] {
        let found = model(r, alpha, a, b).expected(&history(x, last, age), t).unwrap();
        assert!((found / expected - 1.0).abs() < 1e-10, "{found} {expected}");
    }
    // A horizon whose purchases are below the smallest number, and one that is merely short.
    let short = |t| model(1.5, 4.0, 0.8, 2.4).expected(&history(0, 0.0, 0.0), t).unwrap();
    assert!(short(1e-322) < 1e-300);
    assert!((short(1e-200) / (1.5 / 4.0 * 1e-200) - 1.0).abs() < 1e-12);
    // a = 1, where the paper's form is 0 / 0, lies between its neighbours.
    let near = |a| model(0.5, 3.0, a, 2.0).expected(&history(2, 4.0, 5.0), 9.0).unwrap();
    assert!(near(1.0 - 1e-9) > near(1.0) && near(1.0) > near(1.0 + 1e-9));
    assert_eq!(near(1.0).to_bits(), near(1.0).to_bits());
    assert_eq!(model(0.5, 3.0, 1.0, 2.0).expected(&history(2, 4.0, 5.0), 0.0), Ok(0.0));
}

/// What is expected of simulated customers is what they do, on average and in each group.
#[test]
fn predictions_hold_for_simulated_customers() {
    let (model, horizon) = (model(0.9, 4.0, 0.8, 2.4), 6.0);
    let mut draws = Draws::new(11);
    let mut groups = [[0.0; 7]; 4];
    for _ in 0..60_000 {
        let (seen, there, later) = live(&mut draws, &model, 10.0, horizon);
        let group = &mut groups[(seen.repeats as usize).min(3)];
        group[0] += 1.0;
        group[1] += model.alive(&seen).unwrap();
        group[2] += f64::from(there);
        group[3] += model.buys_within(&seen, horizon).unwrap();
        group[4] += f64::from(later > 0);
        group[5] += model.expected(&seen, horizon).unwrap();
        group[6] += f64::from(later);
    }
    for [n, alive, there, buys, bought, expected, later] in groups {
        // Four standard errors of a share, and of a count whose variance is a few times its mean.
        let bound = 4.0 * (0.25 / n).sqrt();
        assert!((alive - there).abs() / n < bound, "{alive} {there} of {n}");
        assert!((buys - bought).abs() / n < bound, "{buys} {bought} of {n}");
        let bound = 4.0 * (4.0 * later / n / n).sqrt();
        assert!((expected - later).abs() / n < bound, "{expected} {later} of {n}");
    }
}

#[test]
fn a_fit_recovers_what_customers_were_drawn_from() {
    let truth = model(0.9, 4.0, 0.8, 2.4);
    let mut draws = Draws::new(3);
    let customers: Vec<History> = (0..20_000)
        .map(|number| live(&mut draws, &truth, 20.0 + f64::from(number % 10), 0.0).0)
        .collect();
    let found = BgNbd::fit(&customers).unwrap();
    let Parameters { r, alpha, a, b } = found.parameters();
    for (found, truth) in [(r, 0.9), (alpha, 4.0), (a, 0.8), (b, 2.4)] {
        assert!((found / truth - 1.0).abs() < 0.15, "{found} {truth}");
    }
    let likelihood = |model: &BgNbd| model.log_likelihood(&customers).unwrap();
    assert!(likelihood(&found) >= likelihood(&truth));

    // Days instead of weeks: α is 7 times as large, and nothing else changes.
    let days: Vec<History> = customers
        .iter()
        .map(|customer| history(customer.repeats, 7.0 * customer.last, 7.0 * customer.age))
        .collect();
    let days = BgNbd::fit(&days).unwrap().parameters();
    assert!((days.alpha / (7.0 * alpha) - 1.0).abs() < 1e-6);
    assert!((days.r / r - 1.0).abs() < 1e-6);
}

#[test]
fn customers_who_never_leave_can_be_fitted() {
    let customers: Vec<History> =
        (0..50).map(|number| history(number % 4 + 1, 9.9, 10.0)).collect();
    let found = BgNbd::fit(&customers).unwrap();
    assert!(found.alive(&customers[0]).unwrap() > 0.999);
}

#[test]
fn a_stored_model_is_checked() {
    let stored = model(0.243, 4.414, 0.793, 2.426);
    let text = serde_json::to_string(&stored).unwrap();
    assert_eq!(text, "{\"r\":0.243,\"alpha\":4.414,\"a\":0.793,\"b\":2.426}");
    assert_eq!(serde_json::from_str::<BgNbd>(&text).unwrap(), stored);
    let found = serde_json::from_str::<BgNbd>(&text.replace("0.793", "-1")).unwrap_err();
    assert!(found.to_string().contains("a is -1; allowed"), "{found}");
}

#[test]
fn wrong_numbers_are_named() {
    let fit = |customer| BgNbd::fit(&[history(1, 1.0, 2.0), customer]);
    let found = fit(history(1, 3.0, 2.0));
    assert!(matches!(found, Err(Error::Value { name: "last", index: 1, .. })));
    let found = fit(history(1, f64::NAN, 2.0));
    assert!(matches!(found, Err(Error::Value { name: "last", index: 1, .. })));
    let found = fit(history(0, 0.0, f64::INFINITY));
    assert!(matches!(found, Err(Error::Value { name: "age", index: 1, .. })));
    assert!(matches!(BgNbd::fit(&[]), Err(Error::TooFew { .. })));
    assert!(matches!(BgNbd::fit(&[history(0, 0.0, 9.0)]), Err(Error::TooFew { .. })));
    assert!(matches!(BgNbd::fit(&[history(1, 0.0, 0.0)]), Err(Error::Diverged { .. })));
    let model = model(1.0, 1.0, 1.0, 1.0);
    let customer = history(0, 0.0, 1.0);
    assert!(matches!(model.expected(&customer, -1.0), Err(Error::Setting { .. })));
    assert!(matches!(model.expected(&customer, 1e9), Err(Error::Setting { .. })));
    let often = history(100_000, 1.0, 1.0);
    assert!(matches!(model.expected(&often, 1e5), Err(Error::Setting { .. })));
    let found = model.expected(&history(0, 0.0, f64::NAN), 1.0);
    assert!(matches!(found, Err(Error::Value { name: "age", .. })));
    assert!(matches!(model.buys_within(&customer, f64::NAN), Err(Error::Setting { .. })));
    assert!(matches!(model.alive(&history(1, 2.0, 1.0)), Err(Error::Value { .. })));
}
