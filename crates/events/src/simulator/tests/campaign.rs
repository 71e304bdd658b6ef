//! A campaign: who gets it, what it changes, and that nothing else does.

use std::collections::HashMap;

use super::tiny;
use crate::simulator::{
    Campaign, Fates, LOG_HEADER, Shop, ShopConfig, Size, TRUTH_HEADER, Truth, User, simulate,
};

fn shop() -> Shop {
    Shop::new(ShopConfig::treated(), 1).unwrap()
}

/// Both lives of a user are one until the first session that a voucher reaches; without a campaign they are
/// one for good.
#[test]
fn nothing_changes_before_the_voucher_and_nothing_without_one() {
    let shop = shop();
    let at = shop.config.campaign.as_ref().unwrap().at;
    let mut differ = 0;
    for number in 0..400 {
        let [treated, not] = [true, false].map(|treated| User::arm(&shop, number, treated));
        let before = |user: &User| {
            let sessions = user.sessions.iter().filter(|session| session.times[0] < at);
            sessions.cloned().collect::<Vec<_>>()
        };
        assert_eq!(before(&treated), before(&not));
        assert_eq!(treated.of, not.of);
        differ += u32::from(treated.sessions != not.sessions);
        let own = User::new(&shop, number);
        assert!(own == if own.treated == Some(true) { treated } else { not });
    }
    assert!(differ > 50, "{differ}");
    let plain = Shop::new(ShopConfig::default(), 1).unwrap();
    for number in 0..50 {
        assert_eq!(User::arm(&plain, number, true), User::arm(&plain, number, false));
        assert_eq!(Fates::of(&plain, number), None);
    }
}

/// Half of the users of every type, give or take what chance allows.
#[test]
fn who_gets_a_voucher_is_drawn_whatever_the_type() {
    let shop = shop();
    let mut counts = vec![[0.0; 2]; shop.config.types.len()];
    for user in (0..8_000).map(|number| User::new(&shop, number)) {
        counts[user.of][usize::from(user.treated == Some(true))] += 1.0;
    }
    for [not, treated] in counts {
        let (all, difference): (f64, f64) = (not + treated, treated - not);
        assert!(difference.abs() < 4.0 * all.sqrt(), "{treated} of {all}");
    }
}

/// The five answers to a voucher: two types buy more, two as before, to the last purchase, one less.
#[test]
fn types_answer_as_they_should() {
    let shop = shop();
    let mut sums: HashMap<&str, [f64; 3]> = HashMap::new();
    for number in 0..6_000 {
        let Some(Fates { if_treated, if_not }) = Fates::of(&shop, number) else { continue };
        let of = User::new(&shop, number).of;
        let sums = sums.entry(&shop.config.types[of].name).or_default();
        sums[0] += 1.0;
        sums[1] += f64::from(u8::from(if_treated));
        sums[2] += f64::from(u8::from(if_not));
    }
    let uplift = |name: &str| (sums[name][1] - sums[name][2]) / sums[name][0];
    assert!(uplift("persuadable") > 0.1, "{sums:?}");
    assert!((0.02..0.1).contains(&uplift("hesitant")), "{sums:?}");
    assert_eq!((uplift("unmoved"), uplift("sure")), (0.0, 0.0));
    assert!(uplift("put-off") < -0.05, "{sums:?}");
    // Those who are moved most are not those who buy most.
    assert!(sums["sure"][2] / sums["sure"][0] > sums["persuadable"][2] / sums["persuadable"][0]);
}

#[test]
fn log_and_truth_hold_the_assignment_and_both_fates() {
    let shop = shop();
    let mut files = [const { Vec::new() }; 4];
    let [log, users, causes, uplift] = &mut files;
    let truth = Truth { users, causes, uplift: Some(uplift) };
    let summary = simulate(&shop, Size::Users(300), log, Some(truth)).unwrap();
    assert!(summary.best_possible.recall_at_20 > 0.5);
    let [log, truth, _, uplift] = files.map(|file| String::from_utf8(file).unwrap());
    let rows = |text: &str| -> Vec<Vec<String>> {
        text.lines().map(|row| row.split(',').map(String::from).collect()).collect()
    };
    assert_eq!(log.lines().next(), Some(format!("{LOG_HEADER},treated").as_str()));
    let header = format!("{TRUTH_HEADER},treated,if_treated,if_not");
    assert_eq!(truth.lines().next(), Some(header.as_str()));
    let mut flags = HashMap::new();
    for row in &rows(&log)[1..] {
        assert!(row[7] == "0" || row[7] == "1");
        assert_eq!(flags.entry(row[0].clone()).or_insert(row[7].clone()), &row[7]);
    }
    let mut types: HashMap<String, (u32, i32)> = HashMap::new();
    let mut seen = std::collections::HashSet::new();
    for row in &rows(&truth)[1..] {
        assert_eq!(flags[&row[0]], row[9]);
        if seen.insert(row[0].clone()) && !row[10].is_empty() {
            let of = types.entry(row[1].clone()).or_default();
            of.0 += 1;
            of.1 += row[10].parse::<i32>().unwrap() - row[11].parse::<i32>().unwrap();
        }
    }
    let lines = rows(&uplift);
    assert_eq!(lines.len(), 6);
    for line in &lines[1..] {
        let (users, moved) = types[&line[0]];
        assert_eq!(line[1], users.to_string());
        let expected = f64::from(moved) / f64::from(users);
        assert!((line[4].parse::<f64>().unwrap() - expected).abs() < 1e-4, "{line:?}");
    }
}

#[test]
fn a_campaign_that_cannot_be_is_an_error() {
    for (campaign, part) in [
        (Campaign { at: 0, lasts: 0, cart: vec![0.1; 2] }, "campaign.lasts"),
        (Campaign { at: 0, lasts: 1, cart: vec![0.1] }, "1 rates for 2 types"),
        (Campaign { at: 0, lasts: 1, cart: vec![0.1, 1.5] }, "1.5 is not a probability"),
    ] {
        let config = ShopConfig { campaign: Some(campaign), ..tiny() };
        let error = Shop::new(config, 1).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
}
