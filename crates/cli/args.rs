//! The command line, verb by verb.

mod audience;
mod explaining;
mod measuring;
mod recommend;
mod segments;
mod tasks;

pub(crate) use audience::Audience;
pub(crate) use explaining::Explain;
pub(crate) use measuring::{Bench, GpuCheck};
pub(crate) use recommend::{Recommend, Ruling};
pub(crate) use segments::{Represent, Segment};
pub(crate) use tasks::{Asking, Demand, Predict};

use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand};
use model::CellKind;

/// An LSTM for the behaviour of online shoppers: learn from an event log, recommend what comes
/// next.
#[derive(Debug, Parser)]
#[command(name = "tidegate", version, max_term_width = 112, propagate_version = true)]
#[command(after_help = "\
Examples:
  tidegate demo                                    a whole run on a simulated shop
  tidegate inspect clicks.csv                      what is in a log
  tidegate train clicks.csv --out model            learn from it
  tidegate evaluate model later-clicks.csv         how good are the predictions?
  tidegate recommend model --events \"214 907 33\"   what next, after these items?
  tidegate segment model clicks.csv --out segments  which kinds of users are there?
  tidegate export model --out model.onnx           the same answers in an ONNX runtime

`tidegate VERB --help` has more. Results go to stdout, progress and warnings to stderr.
Exit codes: 0 done, 1 the run failed, 2 the command line or the configuration is wrong,
130 stopped by Ctrl-C (training has left a checkpoint).")]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) verb: Verb,
    #[command(flatten)]
    pub(crate) common: Common,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Simulate a shop, train on it, evaluate, recommend
    #[command(after_help = "\
Examples:
  tidegate demo
  tidegate demo --out another-shop --seed 7

The shop's truth is known, so the report says how close the model comes to the best possible score.
Running it again replaces the folder of an earlier demo.")]
    Demo(Demo),
    /// Write the event log of a simulated shop
    #[command(after_help = "\
Examples:
  tidegate simulate --out shop.csv --events 1000000
  tidegate simulate --out shop.csv --users 5000 --seed 7 --truth truth.csv

With --truth, the users' types go to that file and the causes of purchases to one beside it, with
`-causes` in its name. The same seed gives the same files.")]
    Simulate(Simulate),
    /// Say what is in a log
    #[command(after_help = "\
Examples:
  tidegate inspect clicks.csv.gz
  tidegate inspect logs/ --json
  tidegate inspect clicks.csv --clean duplicates,hour=200,burst=20/10
  tidegate inspect clicks.csv --report clicks.html       a page with pictures, and what to do
  tidegate inspect clicks.csv --score-fill price
  tidegate inspect table.csv --columns user=customer,item=sku,time=when
  tidegate inspect table.csv --suggest > table.toml
  tidegate inspect table.csv --config table.toml

--suggest looks at the first rows of a table and writes, as a file for --config, what it believes that
the columns are for, with its reasons. docs/logs.md describes every layout.")]
    Inspect(Inspect),
    /// Group, clean and index a log of any size once, for training
    #[command(after_help = "\
Examples:
  tidegate prepare logs/ --out data --memory 2G
  tidegate prepare 2019-Oct.csv.gz --out data --features brand:label --clean duplicates,day=2000
  tidegate train data --out model

Events that do not fit into --memory are sorted on the disk, in the folder itself. The files are Parquet:
docs/prepared.md says what stands in them. The same log gives the same bytes, whatever the memory.")]
    Prepare(Prepare),
    /// Train a model on a log
    #[command(after_help = "\
Examples:
  tidegate train clicks.csv --out model
  tidegate train clicks.csv --out model --hidden 192 --epochs 8 --split time:2026-10-01
  tidegate train --config examples/yoochoose.toml train_sessions.txt --out model
  tidegate train clicks.csv --out model --resume       go on after Ctrl-C or a crash
  tidegate train clicks.csv --out model --optimizer adagrad --learning-rate 0.1

Learning rates to begin with: 0.005 for adam and rmsprop, 0.1 for adagrad, 3 for sgd; with
[optimizer] momentum = 0.9, a tenth of that for sgd and rmsprop.

The folder gets model.safetensors (the whole model), run.toml (every setting of the run), log.jsonl and
log.csv (a line an epoch), tensorboard/ (for `tensorboard --logdir`) and report.html (curves, figures,
warnings); [training] files leaves some of them out. Every other setting is a key of the file given by
--config: an old run.toml shows them all.")]
    Train(Box<Train>),
    /// Score a model on a log, beside popularity, session popularity and Markov
    #[command(after_help = "\
Examples:
  tidegate evaluate model later-clicks.csv
  tidegate evaluate model test_pairs.tsv --json
  tidegate evaluate model clicks.csv --from 2026-10-01 --predictions top20.csv

Every event after the first of its session is a case: which item, given those before it? A target
that training has never seen counts as a miss.")]
    Evaluate(Evaluate),
    /// Say of every user what a model with tasks believes
    #[command(after_help = "\
Examples:
  tidegate predict model clicks.csv --at 2026-10-01 --out predictions.csv
  tidegate predict model clicks.csv --out predictions.jsonl      as of the end of the log

Looks at the events before the date, whatever comes after it. A row a user: user, and as far as the
model was trained for it purchase, count, churn, value, time_to_next (seconds), next_event.KIND. A model that
is rolled forward (train --grid) has the spread of each number beside it: count_sd, count_p10, count_p90.")]
    Predict(Predict),
    /// Say whom to contact, what it costs and brings, and what a campaign has changed
    #[command(after_help = audience::HELP)]
    Audience(Box<Audience>),
    /// Say of a user why the model says what it says: which events count, what its gates do
    #[command(after_help = "\
Examples:
  tidegate explain model clicks.csv --user 17 --out why
  tidegate explain model clicks.csv --user 17 --at 2026-10-01 --task churn --out why
  tidegate explain model clicks.csv --user 17 --before purchase --task next-item --out why
  tidegate explain model clicks.csv --all 500 --before purchase --out causes    a table of many users

The folder gets explanation.json, report.html (one page, to be read) and its pictures; with --all,
causes.csv and summary.json. docs/explain.md says what stands in them, and how it is computed.")]
    Explain(Explain),
    /// Say how much of each item will be bought
    #[command(after_help = "\
Examples:
  tidegate demand model clicks.csv --at 2026-10-01 --out demand.csv
  tidegate demand model clicks.csv --out demand.parquet      from the end of the log

Sums what the users are expected to order (a model trained with --task count), shared out by what each will
buy (--task next-item beside it; otherwise by the sales of the last window), beside the mean of like windows
before. A row an item: item, purchases, p10, p90, seasonal, last. Where the log goes on to the horizon, what
was sold says how good that was. docs/demand.md has the rest.")]
    Demand(Demand),
    /// Recommend items
    #[command(after_help = "\
Examples:
  tidegate recommend model --events \"214 907 33\"      after these items, the last one now
  tidegate recommend model --log clicks.csv --user 17  after the last session of a user
  tidegate recommend model --events-file session.txt -k 5 --json
  tidegate recommend model --log clicks.csv --all --out next.csv --bought drop --allow in-stock.txt
  tidegate recommend model --log clicks.csv --all --out next.jsonl -k 12 --per-category 3

The ranking is always the same; rules take items out of it, and those below move up. Where they leave
fewer items than asked for, fewer are given. docs/recommend.md has each rule and both files.")]
    Recommend(Box<Recommend>),
    /// Write what a model has made of every user, as a table of numbers
    #[command(after_help = "\
Examples:
  tidegate represent model clicks.csv --out users.parquet
  tidegate represent model clicks.csv --out users.csv --pca 8
  tidegate represent model clicks.csv --out users.npy --of picture --pool last

A row a user: the state that each of the user's sessions has ended in, their mean. The end of the name says
how the file is written; beside a .npy, an array of f32, .users.csv says whose rows they are. Logs without
users have a row a session. docs/segments.md has the rest.")]
    Represent(Represent),
    /// Part the users of a log into segments, and say what sets each apart
    #[command(after_help = "\
Examples:
  tidegate segment model clicks.csv --out segments
  tidegate segment model clicks.csv --out segments --clusters 6
  tidegate segment model clicks.csv --out segments --method density

The folder gets segments.csv (user,segment,x,y), segments.json, report.html and map.svg. How many segments
there are is found where --clusters does not say it; report.html shows what was tried. docs/segments.md says
how to read it.")]
    Segment(Segment),
    /// Write a model for ONNX runtimes or for PyTorch
    #[command(after_help = "\
Examples:
  tidegate export model --out model.onnx
  tidegate export model --out weights.safetensors --items items.txt

The ONNX graph takes item numbers [batch, time] and lengths [batch], and gives the scores of all items
(their softmax is what `recommend` shows), the picture of the user that they were made from, and the last
hidden state. The safetensors file is the state dict of nn.Embedding, nn.LSTM (nn.GRU, nn.RNN) and
nn.Linear modules called embedding, lstm (gru, rnn) and output. docs/interchange.md has both.")]
    Export(Export),
    /// Make a model of the state dict of a PyTorch module
    #[command(after_help = "\
Examples:
  tidegate import weights.safetensors --out model                 what `export` has written
  tidegate import tuned.safetensors --like model --out tuned      trained further in PyTorch
  tidegate import mine.safetensors --items items.txt --rename rnn=lstm,fc=output --out model

Cell, sizes, layers and biases follow from names and shapes. What a state dict cannot tell is taken from
--like, or from [model] of --config: a temperature, say.")]
    Import(Import),
    /// Time the engine beside what this machine can do at most
    #[command(after_help = "\
Examples:
  tidegate bench sequence
  tidegate bench sequence --shape T50,B64,I128,H256 --shape T100,B64,I256,H256,L2 --mode forward
  tidegate bench softmax --shape T50,B64,I128,H256,V100000 --threads 1
  tidegate bench train --config examples/yoochoose.toml --shape T20,B64,I192,H192,V17000
  tidegate bench stream --shape B1,I128,H128,V17376    one step for one user
  tidegate bench score --shape B10000,H100,V17376      the 20 best items of each session
  tidegate bench sequence --device cuda --shape T100,B64,I512,H512      an LSTM layer on a card

A shape has T steps, B rows, input width I, H units, and where they matter L layers [1] and V items
[10000]; lengths=skew makes rows as long as sessions are, few of them T steps. GFLOP/s count
8*T*B*H*(I+H) for an LSTM layer forward (other cells: see --cell) and three times that in training.
`train` takes [model] and [optimizer] of --config; without it, the softmax runs over all items.
`stream` times one step of one row (B1, no T), 8*H*H, on one thread, beside the cache that holds the
recurrent weights.
`score` finds the best 20 of V items for B sessions whose pictures are H wide (no T, no I): 2*B*V*H.")]
    Bench(Bench),
    /// Say which machines and kernels this program can use
    Devices,
    /// Check the kernels on an NVIDIA card: right, the same in every run, how fast
    #[command(after_help = "\
Examples:
  tidegate gpu-check
  tidegate gpu-check --device cuda:1 --no-times
  tidegate gpu-check --shape T100,B64,I512,H512 --peer benches/peers/gpu_sequence.py --json

Compares every kernel with the reference at odd sizes, two runs bit by bit, and the persistent kernels
with the others at the sizes that are timed. With --peer, PyTorch's nn.LSTM is timed beside them in fp32,
TF32, bf16 and fp16. Exit code 1 where a comparison fails or there is no card.")]
    GpuCheck(GpuCheck),
}

/// Flags that every verb takes.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Common options")]
pub(crate) struct Common {
    /// A TOML file with settings; every flag has its key there, and flags overrule it
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Seed of everything random [default: 1]
    #[arg(long, global = true, value_name = "N", allow_negative_numbers = true, value_parser = clap::value_parser!(u64).range(..=i64::MAX as u64))]
    pub(crate) seed: Option<u64>,
    /// Threads; results do not depend on it [default: physical cores]
    #[arg(long, global = true, value_name = "N", allow_negative_numbers = true, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) threads: Option<u16>,
    /// auto, cpu, cuda or cuda:N [default: auto]
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) device: Option<String>,
    /// Print exactly one JSON object to stdout
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// No progress, only warnings
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
    /// Show the settings, all files and flags taken together, before the work begins
    #[arg(long, short, global = true, action = ArgAction::Count)]
    pub(crate) verbose: u8,
}

/// How a log is read.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Reading")]
pub(crate) struct Reading {
    /// The layout: csv, tsv, sessions (a session a line), users (a user and the items, a line), pairs
    /// (prefix, tab, target), parquet, arrow, or that of a data set: taobao, yoochoose, eshop, retailrocket, rees46,
    /// tmall, jdata, diginetica, otto, online-retail, gru4rec, recbole, coveo [default: found by
    /// looking]
    #[arg(long, value_name = "NAME")]
    pub(crate) format: Option<String>,
    /// Which column is what: user=U,item=I,time=T,kind=K,session=S,...; price=- reads no price
    #[arg(long, value_name = "ROLE=NAME,...")]
    pub(crate) columns: Option<String>,
    /// What makes a session: auto, key, gap or user [default: auto]
    #[arg(long, value_name = "RULE")]
    pub(crate) sessions: Option<String>,
    /// Without a session column: a pause of this length (30m, 2h, 1d; a bare number means seconds)
    /// ends a session [default: 30m]
    #[arg(long, value_name = "TIME")]
    pub(crate) gap: Option<String>,
    /// Where the clock hung that wrote times without a zone, those of --from, --until and --split among
    /// them, such as Europe/Warsaw [default: UTC]
    #[arg(long, value_name = "ZONE")]
    pub(crate) time_zone: Option<String>,
    /// The year of dates that have none, as tmall's [default: the year of the data set]
    #[arg(long, value_name = "YEAR", allow_negative_numbers = true, value_parser = clap::value_parser!(i16).range(1..=9999))]
    pub(crate) year: Option<i16>,
    /// Read no event before this date (ISO 8601)
    #[arg(long, value_name = "DATE")]
    pub(crate) from: Option<String>,
    /// Read no event after this date, which is included (ISO 8601)
    #[arg(long, value_name = "DATE")]
    pub(crate) until: Option<String>,
    /// The share of bad rows that is put up with [default: 0.01]
    #[arg(long, value_name = "SHARE", allow_negative_numbers = true)]
    pub(crate) max_bad: Option<f64>,
}

#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// The folder for log, model and report [default: tidegate-demo]
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Write into a folder that is not empty and holds no earlier demo
    #[arg(long)]
    pub(crate) force: bool,
    /// Size of the shop's log [default: 120000]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = clap::value_parser!(u64).range(1_000..=1_000_000_000))]
    pub(crate) events: Option<u64>,
    /// Passes over the training sessions
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) epochs: Option<u32>,
}

#[derive(Debug, Args)]
pub(crate) struct Simulate {
    /// The log to write, as CSV
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Number of events [default: 120000]
    #[arg(long, value_name = "N", allow_negative_numbers = true, conflicts_with = "users", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) events: Option<u64>,
    /// Number of users instead
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) users: Option<u64>,
    /// Also write the users' types here, and the causes of purchases beside it
    #[arg(long, value_name = "FILE")]
    pub(crate) truth: Option<PathBuf>,
    /// default, whose types of users have much in common; distinct, where each wants other things; or
    /// treated, where a random half of the users gets a voucher that each type answers in its own way
    /// [default: default]
    #[arg(long, value_name = "NAME", value_parser = ["default", "distinct", "treated"])]
    pub(crate) shop: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Inspect {
    /// Files, folders, or - for stdin
    #[arg(value_name = "LOG")]
    pub(crate) logs: Vec<PathBuf>,
    /// Say what the columns of an unknown table seem to be for, as a file for --config
    #[arg(long, conflicts_with = "columns")]
    pub(crate) suggest: bool,
    /// Say how near each way to fill a column comes to values that are there and were hidden: price,
    /// brand:label, stars:number, ...
    #[arg(long, value_name = "COLUMN", conflicts_with = "suggest")]
    pub(crate) score_fill: Option<String>,
    /// Count what these rules would leave out (docs/features.md) [default: duplicates, disorder, times]
    #[arg(long, value_name = "RULE,...", conflicts_with = "suggest")]
    pub(crate) clean: Option<String>,
    /// Write a page about the log here: figures, pictures, and what to do about what is found
    #[arg(long, value_name = "FILE", conflicts_with_all = ["suggest", "score_fill"])]
    pub(crate) report: Option<PathBuf>,
    /// Also read the columns that these features are made of, such as colour:label,page:number
    #[arg(long, value_name = "NAME[:HOW],...", conflicts_with_all = ["suggest", "score_fill"])]
    pub(crate) features: Option<String>,
    #[command(flatten)]
    pub(crate) reading: Reading,
}

#[derive(Debug, Args)]
pub(crate) struct Prepare {
    /// Files, folders, or - for stdin
    #[arg(value_name = "LOG")]
    pub(crate) logs: Vec<PathBuf>,
    /// The folder to write
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Replace the prepared data in a folder
    #[arg(long)]
    pub(crate) force: bool,
    /// Memory to get along with, such as 512M or 4G; the names of all items and the largest user have to
    /// fit [default: 1G]
    #[arg(long, value_name = "SIZE")]
    pub(crate) memory: Option<String>,
    #[command(flatten)]
    pub(crate) describing: Describing,
    #[command(flatten)]
    pub(crate) reading: Reading,
}

/// What is taken of events.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Events")]
pub(crate) struct Describing {
    /// What the model sees of an event beside its item, such as kind,category,price,gap,hour,colour:label
    /// (docs/features.md); prepare keeps the columns that they are made of
    #[arg(long, value_name = "NAME[:HOW],...")]
    pub(crate) features: Option<String>,
    /// What is left out as suspicious, such as duplicates,hour=200,repeats (docs/features.md)
    #[arg(long, value_name = "RULE,...")]
    pub(crate) clean: Option<String>,
}

/// What is known beside the log, and what is done about holes in it.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Events")]
pub(crate) struct Completing {
    /// What stands in for values that are missing, such as price=item+flag,category=mode
    /// (docs/features.md)
    #[arg(long, value_name = "COLUMN=METHOD,...")]
    pub(crate) fill: Option<String>,
    /// A table of items for the features item.NAME: the id first, then its columns
    #[arg(long, value_name = "FILE")]
    pub(crate) item_table: Option<PathBuf>,
    /// A table of users for the features user.NAME
    #[arg(long, value_name = "FILE")]
    pub(crate) user_table: Option<PathBuf>,
    /// Vectors of items, which the model sees beside them: a line an item, the id and its numbers
    #[arg(long, value_name = "FILE", conflicts_with = "item_triples")]
    pub(crate) item_vectors: Option<PathBuf>,
    /// What is known of items, to make such vectors of: lines of item, relation and entity, such as
    /// "A17 colour red"
    #[arg(long, value_name = "FILE")]
    pub(crate) item_triples: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Train {
    /// Files, folders, or - for stdin
    #[arg(value_name = "LOG")]
    pub(crate) logs: Vec<PathBuf>,
    /// The folder of the model
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Replace the model in a folder that is not empty
    #[arg(long, conflicts_with = "resume")]
    pub(crate) force: bool,
    /// Go on from the checkpoint in the folder; start afresh where there is none
    #[arg(long)]
    pub(crate) resume: bool,
    /// Validate on this log instead of a part of the first
    #[arg(long, value_name = "LOG")]
    pub(crate) validate: Option<PathBuf>,
    /// What is kept for validation: time:0.9, time:DATE, sessions:0.9, leave-last-out or none
    /// [default: time:0.9]
    #[arg(long, value_name = "RULE")]
    pub(crate) split: Option<String>,
    #[command(flatten)]
    pub(crate) asking: Asking,
    /// The recurrent cell: lstm, gru, rnn, lstm+peephole, lstm+layernorm, lstm+coupled; +projection
    /// after any with lstm in it [default: lstm]
    #[arg(long, value_name = "NAME")]
    pub(crate) cell: Option<CellKind>,
    /// Units of each layer; several numbers, such as 200,100, for layers of different widths, the
    /// lowest first, in place of --layers
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) hidden: Vec<u32>,
    /// Layers
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) layers: Option<u32>,
    /// Width of the embedding [default: what the file says, or as --hidden, of several numbers the
    /// last]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) embedding: Option<u32>,
    /// Passes over the training sessions
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) epochs: Option<u32>,
    /// How gradients become changes of weights [default: adam]
    #[arg(long, value_name = "NAME", value_parser = ["adam", "sgd", "adagrad", "rmsprop"])]
    pub(crate) optimizer: Option<String>,
    /// Learning rate at its peak; each optimizer wants its own [default: 0.005]
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    pub(crate) learning_rate: Option<f64>,
    /// Learn sessions of more than N targets in windows of N, the state carried from one to the next,
    /// instead of cutting them at max_length; 0: cut them [default: 0]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) window: Option<usize>,
    /// Epochs without a new best before training stops; 0: never
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) patience: Option<usize>,
    /// Leave out items with fewer events than this [default: 1]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) min_support: Option<u32>,
    /// Leave out sessions with fewer events than this [default: 2]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) min_length: Option<usize>,
    #[command(flatten)]
    pub(crate) describing: Describing,
    #[command(flatten)]
    pub(crate) completing: Completing,
    #[command(flatten)]
    pub(crate) reading: Reading,
}

#[derive(Debug, Args)]
pub(crate) struct Evaluate {
    /// The folder of the model
    #[arg(value_name = "DIR")]
    pub(crate) model: PathBuf,
    /// Files, folders, or - for stdin
    #[arg(value_name = "LOG")]
    pub(crate) logs: Vec<PathBuf>,
    /// Write the target, its rank and the first 20 items of every case here, as CSV
    #[arg(long, value_name = "FILE")]
    pub(crate) predictions: Option<PathBuf>,
    /// Tasks beside the next item: ask at this date, and look at what the same log says came true; may be
    /// given again [default: the latest after which the horizon was seen]
    #[arg(long, value_name = "DATE")]
    pub(crate) at: Vec<String>,
    /// Such tasks: write every question here as CSV, what came true and what model and baselines have said
    #[arg(long, value_name = "FILE")]
    pub(crate) cases: Option<PathBuf>,
    /// Score only a part: time:0.9, time:DATE, sessions:0.9 or leave-last-out [default: all]
    #[arg(long, value_name = "RULE")]
    pub(crate) split: Option<String>,
    #[command(flatten)]
    pub(crate) reading: Reading,
}

#[derive(Debug, Args)]
pub(crate) struct Export {
    /// The folder of the model
    #[arg(value_name = "DIR")]
    pub(crate) model: PathBuf,
    /// The file to write
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// onnx or safetensors [default: as FILE ends]
    #[arg(long, value_name = "NAME")]
    pub(crate) format: Option<String>,
    /// Write the items' ids here, one a line in the order of their numbers, and not into FILE
    #[arg(long, value_name = "FILE")]
    pub(crate) items: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Import {
    /// A state dict in safetensors
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// The folder of the model
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Replace the model in a folder that is not empty
    #[arg(long)]
    pub(crate) force: bool,
    /// The items' ids, one a line in the order of the embedding's rows
    #[arg(long, value_name = "FILE", conflicts_with = "like")]
    pub(crate) items: Option<PathBuf>,
    /// A model that has the same items and is made of the same
    #[arg(long, value_name = "DIR")]
    pub(crate) like: Option<PathBuf>,
    /// Other beginnings for the names of tensors, such as rnn=lstm,fc=output; module= drops one
    #[arg(long, value_name = "OLD=NEW,...")]
    pub(crate) rename: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
