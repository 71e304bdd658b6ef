//! The published estimates of repeat buying at CDNOW.

#![forbid(unsafe_code)]

use statistics::bg_nbd::{BgNbd, History};
use statistics::gamma_gamma::{GammaGamma, Parameters, Spend};

fn customers() -> Vec<(History, Spend)> {
    let rows = include_str!("cdnow.csv").lines().filter(|line| !line.starts_with('#')).skip(1);
    rows.map(|row| {
        let [x, last, age, mean] = row.split(',').collect::<Vec<_>>()[..] else {
            panic!("four columns: {row}");
        };
        let repeats = x.parse().unwrap();
        let [last, age, mean] = [last, age, mean].map(|field| field.parse().unwrap());
        (History { repeats, last, age }, Spend { purchases: repeats, mean })
    })
    .collect()
}

fn close(found: f64, published: f64, digit: f64) {
    // Half of the last digit that was printed, and a little for how they searched.
    assert!((found - published).abs() < 0.6 * digit, "{found} {published}");
}

/// P. Fader, B. Hardie, K. L. Lee, 2005, table 2: r 0.243, α 4.414, a 0.793, b 2.426, ln L −9582.4.
#[test]
fn bg_nbd() {
    let histories: Vec<History> = customers().into_iter().map(|(history, _)| history).collect();
    assert_eq!(histories.len(), 2357);
    let model = BgNbd::fit(&histories).unwrap();
    let found = model.parameters();
    close(found.r, 0.243, 1e-3);
    close(found.alpha, 4.414, 1e-3);
    close(found.a, 0.793, 1e-3);
    close(found.b, 2.426, 1e-3);
    close(model.log_likelihood(&histories).unwrap(), -9582.4, 0.1);
    // The customer of the authors' worked example: 1.226 purchases in the next 39 weeks.
    let customer = History { repeats: 2, last: 30.43, age: 38.86 };
    close(model.expected(&customer, 39.0).unwrap(), 1.226, 1e-3);
}

/// P. Fader, B. Hardie, 2013: p 6.25, q 3.74, v 15.44, from 946 customers.
#[test]
fn gamma_gamma() {
    let spends: Vec<Spend> = customers().into_iter().map(|(_, spend)| spend).collect();
    assert_eq!(spends.iter().filter(|spend| spend.purchases > 0).count(), 946);
    let model = GammaGamma::fit(&spends).unwrap();
    let found = model.parameters();
    close(found.p, 6.25, 0.01);
    close(found.q, 3.74, 0.01);
    // SciPy's search ends at 15.4477 on these rows, too. The rounded numbers are as likely to 2e-3.
    close(found.v, 15.44, 0.02);
    let published = Parameters { p: 6.25, q: 3.74, v: 15.44 };
    let published = GammaGamma::try_from(published).unwrap().log_likelihood(&spends).unwrap();
    let gained = model.log_likelihood(&spends).unwrap() - published;
    assert!((0.0..2e-3).contains(&gained), "{gained}");
}
