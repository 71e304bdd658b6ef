//! `tidegate demand`: how much of each item will be bought.

use std::time::Instant;

use anyhow::Result;
use events::time::{format_time, parse_moment};
use events::{Buys, Cuts, Histories, Log, NONE, Sequences, Sessions, parse_span};
use model::Device;
use serde_json::{Value, json};
use train::Trained;
use train::demand::{Mix, Scored, Shelf, Sources, interval, sales, share_out};
use train::tasks::{MODEL, Task, TaskKnowledge, answer_tasks};

use crate::args::{Common, Demand};
use crate::evaluate::read_as_trained;
use crate::failure::usage;
use crate::machine::{device, peak_rss};
use crate::output::{Style, Table as Shown, count, decimal, per_cent, print, print_json, seconds};
use crate::predict::{Layout, Table, USERS, put};
use crate::progress::{end_at_interrupts, warn};
use crate::settings::Settings;
use crate::target::{Target, model_file};
use crate::tasks::{Question, ahead, check_begun, known, look_ahead, name, span, users_of};

pub(crate) fn run(common: &Common, args: &Demand) -> Result<()> {
    let begin = Instant::now();
    let mut settings = Settings::load(common, None)?;
    settings.overlay(&args.logs, &args.reading);
    settings.predict.at = args.at.clone().or(settings.predict.at.take());
    settings.tasks.horizon = args.horizon.clone().or(settings.tasks.horizon.take());
    settings.out = args.out.clone().or(settings.out);
    settings.announce()?;
    let out = settings.out.clone();
    let out =
        out.ok_or_else(|| usage("--out FILE is missing: name a .csv, .jsonl or .parquet file"))?;
    let layout = Layout::of("--out", &out)?;
    let zone = settings.data.zone()?;
    let at = settings.predict.at.as_deref();
    let at = at.map(|text| parse_moment("--at", text, &zone)).transpose()?;
    let horizon = settings.tasks.horizon.as_deref();
    let horizon = horizon.map(|text| parse_span("--horizon", text)).transpose()?;
    let (options, logs) = (settings.data.read_options()?, settings.data.logs()?);
    end_at_interrupts()?;
    let inputs = [logs, &[model_file(&args.model)], common.config.as_slice()].concat();
    // Said before the work, not after it.
    let target = Target::create("--out", &out, &inputs)?;

    let trained = Trained::load(&args.model, device(&settings)?)?;
    let asker = Asker::new(&trained, horizon)?;
    let mut log = read_as_trained(logs, options, &trained.knowledge.treatment, settings.quiet)?;
    let users = users_of(&trained.knowledge, &mut log)?;
    let (first, last) = span(&log, &users)?;
    let (at, horizon) = (at.unwrap_or(last.saturating_add(1)), asker.horizon);
    check_begun(at, first)?;
    let buys = Buys::of_some(&log, &known(&trained.knowledge)?.buys.parse()?)?;

    // As one should have said a window ago.
    let before = at.saturating_sub(horizon);
    let sources = |at: i64| -> Result<Sources> {
        let starts = sales::like(first, at, horizon);
        let seasonal = sales::mean(&log, &buys, &starts, horizon);
        Ok(Sources { seasonal, ..asker.expect(&log, &users, &buys, at)? })
    };
    let said = sources(at)?;
    let mix = match before > first {
        false => {
            warn(
                "the log holds no window of the horizon's length before the date: the model stands alone, \
                 and the spread is that of chance",
            );
            Mix::alone(&said)
        }
        true => {
            let [_, sold] = sales::of_window(&log, &buys, before, at);
            Mix::fit(&sources(before)?, &sold)
        }
    };
    let seasonal = &said.seasonal;
    let [_, last_window] = sales::of_window(&log, &buys, before, at);
    let demand: Vec<f64> = (0..log.items.len()).map(|item| mix.apply(&said, item)).collect();
    let [_, ever] = sales::of_window(&log, &buys, i64::MIN, at);

    let columns = ["purchases", "p10", "p90", "seasonal", "last"].map(str::to_owned);
    let mut table = Table::begin(layout, target, &out, "item", &columns)?;
    let items: Vec<usize> = (0..log.items.len()).filter(|&item| ever[item] > 0.0).collect();
    for &item in &items {
        let [low, high] = interval(demand[item], mix.excess);
        let row = [demand[item], low, high, seasonal[item], last_window[item]];
        table.push(log.items.get(item as u32), &columns, &row)?;
    }
    table.finish()?;
    let beside = out.with_extension(match out.extension().and_then(|end| end.to_str()) {
        Some(end) => format!("categories.{end}"),
        None => "categories".to_owned(),
    });
    let of_categories = (!log.categories.is_empty()).then(|| categories(&log));
    if let Some(of) = &of_categories {
        let target = Target::create("--out: beside it,", &beside, &inputs)?;
        let columns = ["purchases", "seasonal", "last"].map(str::to_owned);
        let mut table = Table::begin(layout, target, &beside, "category", &columns)?;
        for (category, name) in log.categories.iter().enumerate() {
            let inside = |item: &&usize| of[**item] == category as u32;
            let inside: Vec<usize> = items.iter().filter(inside).copied().collect();
            if inside.is_empty() {
                continue;
            }
            let sum = |of: &[f64]| inside.iter().map(|&item| of[item]).sum::<f64>();
            table.push(name, &columns, &[sum(&demand), sum(seasonal), sum(&last_window)])?;
        }
        table.finish()?;
    }

    let cut = Cuts { at: vec![at], horizon };
    let truth = cut.is_seen(at, last).then(|| {
        let [_, sold] = sales::of_window(&log, &buys, at, at.saturating_add(horizon));
        sold
    });
    let mut ways = vec![(MODEL, &demand[..]), ("late", &said.late)];
    ways.extend((!said.head.is_empty()).then_some(("head", &said.head[..])));
    ways.extend([("seasonal", &seasonal[..]), ("last", &last_window)]);
    let scored = truth.map(|sold| {
        let job = || Scored::new(&ways, &sold, &items, mix.excess, settings.seed());
        trained.model.device().run(job)
    });
    let scored = scored.transpose()?.map(|scored| json!(scored));
    let (total, windows) = (demand.iter().sum::<f64>(), sales::like(first, at, horizon).len());
    let wall = begin.elapsed().as_secs_f64();
    if settings.json {
        return print_json(&json!({
            "model": args.model.display().to_string(),
            "file": out.display().to_string(),
            "categories_file": of_categories.map(|_| beside.display().to_string()),
            "at": format_time(at),
            "horizon_s": horizon as f64 / 1000.0,
            "items": items.len(),
            "total": total,
            "windows": windows,
            "mix": mix,
            "figures": scored,
            "wall_s": wall,
            "peak_rss": peak_rss(),
        }));
    }
    let mut text = format!(
        "  {} items, {:.0} purchases from {} to {}\n  the model × {:.3}, shared out by late sales ({:.0} %) and by the \
         head of the next item ({:.0} %), and the mean of {} like windows ({:.0} %)\n",
        count(items.len()),
        total,
        format_time(at),
        format_time(at.saturating_add(horizon)),
        mix.ratio,
        100.0 * mix.weights[0],
        100.0 * mix.weights[1],
        windows,
        100.0 * mix.weights[2]
    );
    if let Some(scored) = &scored {
        text += &render(scored);
    }
    print(&(text + &format!("  {}; {}\n", seconds(wall), out.display())))
}

/// How a model is asked what will be ordered.
struct Asker<'a, D: Device> {
    trained: &'a Trained<D>,
    horizon: i64,
    /// Of a model that is rolled forward: it, with nothing asked but the number of orders.
    heads: Option<TaskKnowledge>,
}

impl<'a, D: Device> Asker<'a, D> {
    fn new(trained: &'a Trained<D>, horizon: Option<i64>) -> Result<Self> {
        let tasks = known(&trained.knowledge)?;
        if let Some((heads, _)) = ahead(trained) {
            let horizon = horizon.unwrap_or(tasks.horizon);
            let mut heads = heads.clone();
            if let Some(ahead) = &mut heads.ahead {
                ahead.count_orders(horizon);
            }
            return Ok(Self { trained, horizon, heads: Some(heads) });
        }
        if !tasks.tasks.contains(&Task::Count) {
            return Err(usage(
                "the model does not know how many orders there will be; train one with --task count, and \
                 --task next-item to share them out among items",
            ));
        }
        if let Some(asked) = horizon.filter(|&horizon| horizon != tasks.horizon) {
            let days = |span: i64| span as f64 / 86_400_000.0;
            return Err(usage(format!(
                "--horizon: the model looks {:.2} days ahead, not {:.2}; train one for that, or one with \
                 --grid, which looks as far as it is asked",
                days(tasks.horizon),
                days(asked)
            )));
        }
        Ok(Self { trained, horizon: tasks.horizon, heads: None })
    }

    /// Purchases of each item of the log that are expected from a moment on, shared out in both ways.
    fn expect(&self, log: &Log, users: &Sessions, buys: &Buys, at: i64) -> Result<Sources> {
        let [met, bought] = sales::of_window(log, buys, i64::MIN, at);
        let knowledge = &self.trained.knowledge;
        let history = known(knowledge)?.history;
        let shelf = Shelf::new(&knowledge.vocabulary, &log.items, &met, &bought);
        let mut of_vocabulary = vec![0.0; knowledge.vocabulary.len()];
        let mut total = 0.0;
        let ranks = self.trained.model.answers().next_item;
        // Whatever comes later is not even looked at.
        let users = users.before(log, at);
        let mean = Histories::new(log, &users, buys.clone()).order_lines(0..users.len());
        for first in (0..users.len()).step_by(USERS) {
            let some: Vec<usize> = (first..users.len().min(first + USERS)).collect();
            let some = users.select(&some);
            let (orders, sequences) = self.orders(log, &some, at)?;
            let histories = Histories::new(log, &some, buys.clone());
            let lines = |user: usize| {
                // Events of nobody are no person who will come again.
                let known = name(log, &some, user).is_some();
                let [orders_so_far, lines] = histories.order_lines(user..user + 1);
                let per_order = (lines + mean[1] / mean[0].max(1.0)) / (orders_so_far + 1.0);
                if known { orders[user].max(0.0) * per_order } else { 0.0 }
            };
            let lines: Vec<f64> = (0..some.len()).map(lines).collect();
            total += lines.iter().sum::<f64>();
            if let (Some(sequences), true) = (&sequences, ranks) {
                let model = &self.trained.model;
                share_out(model, (sequences, history), &lines, &shelf, &mut of_vocabulary)?;
            }
        }
        let [_, late] = sales::of_window(log, buys, at.saturating_sub(self.horizon), at);
        let sum: f64 = late.iter().sum();
        // Where nothing was sold of late, by all that was ever sold.
        let (late, sum) = if sum > 0.0 {
            (late, sum)
        } else {
            let all = bought.iter().sum();
            (bought, all)
        };
        let late = late.iter().map(|late| total * late / sum.max(1.0)).collect();
        let head = if ranks { shelf.of_log(&of_vocabulary) } else { Vec::new() };
        Ok(Sources { late, head, seasonal: Vec::new() })
    }

    /// Orders of each user that are expected; and, where the model ranks items, what it has read of them.
    fn orders(
        &self,
        log: &Log,
        users: &Sessions,
        at: i64,
    ) -> Result<(Vec<f64>, Option<Sequences>)> {
        if let Some(heads) = &self.heads {
            let ahead = heads.ahead.as_deref().expect("it is rolled forward");
            let (_, rolled) = look_ahead(self.trained, (heads, ahead), (log, users), &[at])?;
            let orders = rolled.told.answers[0].iter().map(|&orders| f64::from(orders));
            return Ok((orders.collect(), None));
        }
        let tasks = known(&self.trained.knowledge)?;
        let Question { sequences, lessons } = put(&self.trained.knowledge, log, users, at)?;
        let told = answer_tasks(&self.trained.model, tasks, &sequences, &lessons)?;
        let k = tasks.answered().iter().position(|&task| task == Task::Count).expect("asked for");
        let orders = told.answers[k].iter().map(|&orders| f64::from(orders)).collect();
        Ok((tasks.tell(k, MODEL, orders), Some(sequences)))
    }
}

/// The category of each item, that of its last event which has one.
fn categories(log: &Log) -> Vec<u32> {
    let mut of = vec![NONE; log.items.len()];
    for (&item, &category) in log.events.item.iter().zip(&log.events.category) {
        if category != NONE {
            of[item as usize] = category;
        }
    }
    of
}

fn render(scored: &Value) -> String {
    let keys = ["wape", "rmse", "bias_of_total", "spearman"];
    let mut table = Shown::new(["", "wape", "rmse", "bias of total", "spearman"]);
    for (by, figures) in scored["by"].as_object().into_iter().flatten() {
        let cell = |key: &&str| match (*key, figures[*key].as_f64()) {
            (_, None) => "-".to_owned(),
            ("bias_of_total", Some(value)) => per_cent(value),
            (_, Some(value)) => decimal(value),
        };
        let name = if by == MODEL { "this demand".to_owned() } else { by.replace('_', " ") };
        let row = std::iter::once(name).chain(keys.iter().map(cell));
        match by == MODEL {
            true => table.bold_row(row.collect::<Vec<_>>()),
            false => table.row(row.collect::<Vec<_>>()),
        }
    }
    let share = |key: &str| per_cent(scored[key].as_f64().unwrap_or(0.0));
    let mut text = format!("\n{}", table.render(Style::for_stdout()));
    for (figure, gain) in scored["gains"].as_object().into_iter().flatten() {
        let [estimate, low, high] =
            ["estimate", "low", "high"].map(|key| gain[key].as_f64().map_or("-".into(), decimal));
        let over = gain["over"].as_str().unwrap_or("");
        text += &format!(
            "  gain over {over} in {figure}: {estimate} (with items drawn anew, 95 %: {low} to {high})\n"
        );
    }
    text + &format!(
        "  {} purchases were made, {} of them of items never sold before; {} of the items lie between p10 \
         and p90\n",
        count(scored["sold"].as_f64().unwrap_or(0.0) as usize),
        share("of_new_items"),
        share("inside_interval")
    )
}
