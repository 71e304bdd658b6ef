//! Looking further ahead than a log is long, through the real binary: periods are learned, futures rolled
//! forward, and nothing after a date is looked at.

mod calls;

use std::fmt::Write;
use std::fs;
use std::path::Path;

use calls::{Called, assert_keys, call};

const DAY: i64 = 24 * 60 * 60;

/// A number in `[0, 1)` that looks drawn.
fn draw(k: i64) -> f64 {
    let mixed = (k as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    ((mixed ^ (mixed >> 32)) >> 11) as f64 / (1u64 << 53) as f64
}

/// An order: user, day, price.
type Order = (i64, i64, f64);

/// So many days of a shop that sells and logs nothing else. Every third user orders every two weeks, give
/// or take a day; every third one at any time, once in ten days; the others as these, until they leave for
/// ever, 40 days after they came on average.
fn shop(days: i64) -> Vec<Order> {
    let mut orders = Vec::new();
    for user in 0..180i64 {
        let price = 5.0 + (user % 20) as f64;
        let mut day = (draw(user) * 14.0) as i64;
        let leaves = day as f64 - 40.0 * (1.0 - draw(user + 1000)).ln();
        let mut order = 0;
        while day < days {
            if user % 3 == 2 && day as f64 > leaves {
                break;
            }
            orders.push((user, day, price + (order % 3) as f64));
            order += 1;
            let chance = draw(user * 1009 + order * 7919 + 5000);
            day += match user % 3 {
                0 => 13 + (3.0 * chance) as i64,
                _ => 1 + (-9.5 * (1.0 - chance).ln()) as i64,
            };
        }
    }
    orders.sort_by_key(|order| order.1);
    orders
}

fn write(folder: &Path, name: &str, orders: &[Order]) {
    let mut text = "user,time,kind,item,price\n".to_owned();
    for (user, day, price) in orders {
        // The log begins 2023-11-15T00:00:00Z.
        let time = 1_700_006_400 + day * DAY + 36_000 + user % 7 * 3600;
        writeln!(text, "u{user},{time},buy,i{},{price}", user % 9).unwrap();
    }
    fs::write(folder.join(name), text).unwrap();
}

fn called(folder: &Path, line: &str) -> Called {
    call(folder, &line.split_whitespace().collect::<Vec<_>>())
}

/// Columns of a table of predictions by name, and its users.
fn table(folder: &Path, name: &str) -> (Vec<String>, impl Fn(&str) -> Vec<f64>) {
    let text = fs::read_to_string(folder.join(name)).unwrap();
    let mut lines = text.lines().map(|line| line.split(',').map(str::to_owned).collect());
    let head: Vec<String> = lines.next().unwrap();
    let rows: Vec<Vec<String>> = lines.collect();
    let users = rows.iter().map(|row| row[0].clone()).collect();
    let column = move |name: &str| {
        let place = head.iter().position(|other| other == name).unwrap_or_else(|| panic!("{name}"));
        rows.iter().map(|row| row[place].parse().unwrap()).collect()
    };
    (users, column)
}

const TASKS: &str = "--task purchase --task count --task churn --task value --task time-to-next";
const SMALL: &str = "--hidden 16 --epochs 6 --learning-rate 0.01 --seed 3 --quiet";
/// 120 days after the log begins.
const AT: &str = "2024-03-14";

/// A log of 120 days, a horizon of 150: no label can be cut, and yet there is an answer, which is near what
/// comes true.
#[test]
fn a_horizon_longer_than_the_log_is_answered() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write(folder, "all.csv", &shop(275));
    write(folder, "seen.csv", &shop(120));
    let line = format!("train seen.csv --out m {TASKS} --horizon 150d {SMALL} --json");
    let trained = called(folder, &line);
    assert!(trained.stderr.contains("rolled forward"), "{}", trained.stderr);
    let trained = trained.json();
    assert_keys(&trained["tasks"]["period"], &["log_loss", "accuracy", "baselines"]);

    let line = format!("evaluate m all.csv --at {AT} --cases cases.csv --json");
    let scored = called(folder, &line).json();
    let tasks = &scored["tasks"];
    let of = |task: &str, by: &str, figure: &str| {
        let figures = if by == "model" { &tasks[task] } else { &tasks[task]["baselines"][by] };
        figures[figure].as_f64().unwrap_or_else(|| panic!("{task} {by} {figure}: {tasks}"))
    };
    assert_eq!(tasks["count"]["cases"].as_u64(), Some(180));
    for task in ["count", "value"] {
        assert_keys(&tasks[task], &["rmse", "mae", "spearman", "bias_of_total", "gains"]);
        assert_keys(&tasks[task]["baselines"], &["zero", "rate", "bg_nbd"]);
        let bias = of(task, "model", "bias_of_total");
        assert!(bias.abs() < 0.2, "{task}: {bias}");
        assert!(of(task, "model", "rmse") < of(task, "rate", "rmse"), "{task}: {tasks}");
        assert!(of(task, "model", "rmse") < of(task, "bg_nbd", "rmse"), "{task}: {tasks}");
    }
    for task in ["purchase", "churn"] {
        assert!(of(task, "model", "auc") > 0.9, "{task}: {tasks}");
        let losses = ["model", "bg_nbd"].map(|by| of(task, by, "log_loss"));
        assert!(losses[0] < losses[1], "{task}: {tasks}");
    }
    assert!(of("time-to-next", "model", "spearman") > 0.6, "{tasks}");

    // What is told of each user is what was scored, with its spread.
    let line = format!("predict m all.csv --at {AT} --out p.csv --json");
    assert_eq!(called(folder, &line).json()["users"].as_u64(), Some(180));
    let (users, column) = table(folder, "p.csv");
    let [count, sd, low, high] =
        ["", "_sd", "_p10", "_p90"].map(|end| column(&format!("count{end}")));
    let mean = count.iter().sum::<f64>() / 180.0;
    assert!((mean / of("count", "model", "mean_predicted") - 1.0).abs() < 1e-5);
    for ((low, high), sd) in low.iter().zip(&high).zip(&sd) {
        assert!(0.0 <= *low && low <= high && *sd >= 0.0, "{low} {high} {sd}");
    }
    // In a log of purchases alone, no purchase is no event.
    for (bought, gone) in column("purchase").iter().zip(column("churn")) {
        assert!((bought + gone - 1.0).abs() < 1e-5);
    }
    // About four in five of what comes true lies between the quantiles.
    let truth: Vec<f64> = fs::read_to_string(folder.join("cases.csv"))
        .unwrap()
        .lines()
        .filter(|line| line.starts_with("count,") && line.contains(",model,"))
        .map(|line| line.split(',').nth(2).unwrap().parse().unwrap())
        .collect();
    let inside = |user: &usize| low[*user] <= truth[*user] && truth[*user] <= high[*user];
    let share = (0..180).filter(inside).count() as f64 / 180.0;
    assert!((0.65..=0.97).contains(&share), "{share}");
    // Who orders every two weeks is surer to go on than who orders at any time as often.
    let steady = |kind: i64| {
        let of_kind = |name: &&String| name[1..].parse::<i64>().unwrap() % 3 == kind;
        let rows = users.iter().zip(&sd).filter(|(name, _)| of_kind(name));
        let (sum, count) = rows.fold((0.0, 0), |(sum, count), (_, sd)| (sum + sd, count + 1));
        sum / f64::from(count)
    };
    assert!(steady(0) < steady(1), "{} {}", steady(0), steady(1));
    let wait = column("time_to_next");
    let [early, late] = ["_p10", "_p90"].map(|end| column(&format!("time_to_next{end}")));
    for ((wait, early), late) in wait.iter().zip(&early).zip(&late) {
        assert!(0.0 <= *early && early <= late && *late <= 150.0 * DAY as f64, "{early} {late}");
        assert!((0.0..=150.0 * DAY as f64).contains(wait));
    }
}

/// A shop that logs visits, too: who visits has not left, and may buy later.
#[test]
fn visits_are_no_orders() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let mut text = "user,time,kind,item\n".to_owned();
    for user in 0..90i64 {
        for visit in 0..40i64 {
            let time = 1_700_006_400 + (visit * 3 + user % 3) * DAY + 36_000;
            if user % 3 == 0 && visit > 20 {
                continue;
            }
            let buys = user % 3 == 1 && draw(user * 41 + visit) < 0.3;
            let kind = if buys { "buy" } else { "view" };
            writeln!(text, "u{user},{time},{kind},i{}", visit % 5).unwrap();
        }
    }
    fs::write(folder.join("shop.csv"), text).unwrap();
    let line = format!(
        "train shop.csv --out m --task purchase --task churn --task count --horizon 60d --grid day {SMALL}"
    );
    assert_eq!(called(folder, &line).code, Some(0));
    assert_eq!(called(folder, "predict m shop.csv --out p.csv --quiet").code, Some(0));
    let (users, column) = table(folder, "p.csv");
    let mean = |name: &str, kind: i64| {
        let column = column(name);
        let of_kind = |place: &usize| users[*place][1..].parse::<i64>().unwrap() % 3 == kind;
        (0..90).filter(of_kind).map(|place| column[place]).sum::<f64>() / 30.0
    };
    // Those who have left; those who buy on three visits of ten; those who look.
    let all = ["purchase", "churn", "count"].map(|name| [0, 1, 2].map(|kind| mean(name, kind)));
    let [purchase, churn, count] = all;
    assert!(purchase[0] < 0.2 && purchase[1] > 0.9 && purchase[2] < 0.4, "{all:?}");
    assert!(churn[0] > 0.7 && churn[1] < 0.05 && churn[2] < 0.05, "{all:?}");
    assert!((3.0..9.0).contains(&count[1]), "{all:?}");
}

/// Nothing after the end of training shows in the model, and nothing after a date in what is told.
#[test]
fn nothing_after_a_date_is_looked_at() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let orders = shop(170);
    write(folder, "a.csv", &orders);
    let mut changed = Vec::new();
    for &(user, day, price) in &orders {
        match day < 120 {
            true => changed.push((user, day, price)),
            // Other days, other prices, other users, and more of them.
            false => changed.extend([(user, day, 9.0 * price), (user + 500, 289 - day, price)]),
        }
    }
    changed.sort_by_key(|order| order.1);
    write(folder, "b.csv", &changed);
    fs::write(folder.join("plain.toml"), "[tasks]\ncalibration = \"none\"\n").unwrap();
    for horizon in ["150d", "20d"] {
        for log in ["a", "b"] {
            let line = format!(
                "train {log}.csv --out {log} --force {TASKS} --horizon {horizon} --grid week --split \
                 time:{AT} --hidden 8 --epochs 1 --config plain.toml --quiet"
            );
            assert_eq!(called(folder, &line).code, Some(0));
            let line = format!("predict a {log}.csv --at {AT} --out {log}.jsonl --quiet");
            assert_eq!(called(folder, &line).code, Some(0));
        }
        let read = |name: &str| fs::read(folder.join(name)).unwrap();
        let [a, b] = ["a", "b"].map(|log| read(&format!("{log}/model.safetensors")));
        assert!(a == b, "{horizon}: the held-out part shows in the model");
        assert!(read("a.jsonl") == read("b.jsonl"), "{horizon}: and in what is told");
    }
}

/// Threads change nothing, nor does who else is asked.
#[test]
fn futures_are_the_same_for_any_number_of_threads_and_any_company() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let orders = shop(120);
    write(folder, "all.csv", &orders);
    let some: Vec<Order> = orders.iter().copied().filter(|order| order.0 % 5 == 0).collect();
    write(folder, "some.csv", &some);
    for threads in ["1", "2"] {
        let line = format!(
            "train all.csv --out m{threads} {TASKS} --horizon 150d --hidden 8 --epochs 1 --paths 40 \
             --threads {threads} --quiet"
        );
        assert_eq!(called(folder, &line).code, Some(0));
        for log in ["all", "some"] {
            let line = format!(
                "predict m{threads} {log}.csv --at {AT} --out {log}{threads}.csv --threads {threads} --quiet"
            );
            assert_eq!(called(folder, &line).code, Some(0));
        }
    }
    let model =
        |folder_of: &str| fs::read(folder.join(folder_of).join("model.safetensors")).unwrap();
    assert!(model("m1") == model("m2"));
    let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
    assert!(read("all1.csv") == read("all2.csv"));
    let all = read("all1.csv");
    for row in read("some1.csv").lines() {
        assert!(all.lines().any(|other| other == row), "{row}");
    }
}

#[test]
fn grids_that_cannot_be() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write(folder, "shop.csv", &shop(45));
    let fails = |line: &str, code: i32, parts: &[&str]| {
        let called = called(folder, line);
        let message = called.fails(code);
        for part in parts {
            assert!(message.contains(part), "{line}: {part} is missing in {message}");
        }
    };
    let train = |flags: &str| format!("train shop.csv --out m --task count {flags}");
    fails(&train("--horizon 90d --grid month"), 2, &["--grid month", "week"]);
    fails(&train("--horizon 90d --grid day --at 2023-12-01"), 2, &["--at", "--grid"]);
    fails(&train("--horizon 90d --grid day --task next-item"), 2, &["--grid", "next-item"]);
    fails(&train("--horizon 90d --grid day --split leave-last-out"), 2, &["leave-last-out"]);
    fails(&train("--horizon 90d --grid week"), 2, &["8 periods", "--grid day"]);
    fails(&train("--horizon 90d --grid day --paths 0"), 2, &["paths"]);
    fails(&train("--horizon 90d --buys sold"), 1, &["sold"]);
    fs::write(folder.join("d.toml"), "[tasks]\nway = \"direct\"\n").unwrap();
    fails(&train("--horizon 90d --config d.toml"), 1, &["90.00 days"]);
    fails(&train("--horizon 90d --grid day --config d.toml"), 2, &["direct", "--grid"]);
    fs::write(folder.join("r.toml"), "[model]\nreadout = \"mean\"\n").unwrap();
    fails(&train("--horizon 90d --grid day --config r.toml"), 2, &["readout", "last"]);
    assert!(!folder.join("m").exists());

    let made = train("--horizon 90d --hidden 4 --epochs 1 --quiet");
    assert_eq!(called(folder, &made).code, Some(0));
    fails("evaluate m shop.csv --at 2023-12-20", 2, &["2024", "go on"]);
    fails("represent m shop.csv --out r.csv", 2, &["--grid"]);
    fails("recommend m --events i1", 2, &["--grid"]);
}
