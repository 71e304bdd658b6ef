"""What tasks gain over the best baseline on real logs, for users and times that training has not seen.

    python3 benches/tasks.py taobao DATA/UserBehavior_head.csv
    python3 benches/tasks.py retail DATA/online_retail.csv.gz
    python3 benches/tasks.py ahead DATA/online_retail.csv.gz       the same, rolled forward week by week

Users are parted into five folds by a hash of their id. For each fold a model is trained on the other four
fifths of the users and on events before the test date alone (its validation part, which picks the epoch and
sets answers right, is cut from those), and asked at the test date about the users it has never seen. So every
user is scored once by a model, and by baselines, that know neither the user nor the time. All of it is done
with five seeds. A gain is the difference to the best baseline by that figure, above 0 where the model is
better; its 95 % interval is a paired bootstrap over users, the mean of the seeds' figures in each draw.

It wants `target/release/tidegate` and numpy. --folds 0 --seeds 1 is a first look.
"""

import argparse
import csv
import gzip
import json
import subprocess
import tempfile
import zlib
from collections import defaultdict
from pathlib import Path

import numpy

ROOT = Path(__file__).parent.parent

SETUPS = {
    "taobao": {
        "user": 0,
        "header": False,
        "reading": "--format taobao --time-zone Asia/Shanghai --from 2017-11-25",
        "until": "2017-12-02",
        "end": "2017-12-03",
        "at": "2017-12-03",
        "train": "--task next-event --task purchase --horizon 1d --features kind,gap,hour",
        "config": "examples/tasks-taobao.toml",
    },
    "retail": {
        "user": "CustomerID",
        "header": True,
        "reading": "--format online-retail",
        "until": "2011-09-09",
        "end": "2011-12-09",
        "at": "2011-09-10",
        "train": "--task purchase --task churn --task count --task value --task time-to-next "
        "--horizon 90d --stride 14d --features amount,gap --split sessions:0.8",
        "config": "examples/tasks-retail.toml",
    },
}
SETUPS["ahead"] = SETUPS["retail"] | {
    "train": SETUPS["retail"]["train"].replace("--stride 14d --features amount,gap", "--grid week"),
    "config": "examples/ahead-retail.toml",
}


def fold(user):
    return zlib.crc32(user.encode()) % 5


def split(path, setup, folder):
    """Writes each fold's log and that of the others; the lines as they are."""
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8", errors="replace", newline="") as file:
        lines = file.read().splitlines(keepends=True)
    head = lines.pop(0) if setup["header"] else ""
    column = next(csv.reader([head])).index(setup["user"]) if head else setup["user"]
    users = [next(csv.reader([line]))[column] for line in lines]
    folds = [fold(user) if user else None for user in users]
    for k in range(5):
        for name, own in (("test", True), ("train", False)):
            kept = [line for line, f in zip(lines, folds) if f is not None and (f == k) == own]
            (folder / f"{name}-{k}.csv").write_text(head + "".join(kept), encoding="utf-8")


def tidegate(*words):
    run = subprocess.run(
        [ROOT / "target/release/tidegate", *words, "--quiet", "--json"],
        capture_output=True,
        text=True,
    )
    if run.returncode != 0:
        raise SystemExit(f"tidegate {' '.join(map(str, words))}: {run.stderr}")
    return json.loads(run.stdout)


def cases(path):
    """By task and by who says it: user, truth, class (where kinds are asked), what is said."""
    found = defaultdict(list)
    with open(path, encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            key = (row["task"], row["by"])
            truth = row["truth"] if row["class"] else float(row["truth"])
            found[key].append((row["user"], truth, row["class"], float(row["said"])))
    return found


def auc(said, true, weight):
    order = numpy.argsort(said, kind="stable")
    said, true, weight = said[order], true[order], weight[order]
    positive, negative = weight * true, weight * (1 - true)
    _, start = numpy.unique(said, return_index=True)
    up = numpy.add.reduceat(positive, start)
    down = numpy.add.reduceat(negative, start)
    below = numpy.concatenate([[0], numpy.cumsum(down)[:-1]])
    return (up * (below + down / 2)).sum() / (up.sum() * down.sum())


def rank(values):
    _, inverse, counts = numpy.unique(values, return_inverse=True, return_counts=True)
    ends = numpy.cumsum(counts)
    return (ends - (counts - 1) / 2)[inverse]


def correlation(x, y, weight):
    x, y = (v - numpy.average(v, weights=weight) for v in (x, y))
    return (weight * x * y).sum() / numpy.sqrt((weight * x * x).sum() * (weight * y * y).sum())


def figures(task, said, true, weight):
    """Name: value, larger being better."""
    if task in ("purchase", "churn"):
        p = numpy.clip(said, 1e-7, 1 - 1e-7)
        loss = -(true * numpy.log(p) + (1 - true) * numpy.log(1 - p))
        brier = (said - true) ** 2
        return {
            "auc": auc(said, true, weight),
            "log loss": -numpy.average(loss, weights=weight),
            "brier": -numpy.average(brier, weights=weight),
        }
    if task == "next-event":
        return {"log loss": numpy.average(numpy.log(numpy.maximum(said, 1e-12)), weights=weight)}
    error = said - true
    return {
        "rmse": -numpy.sqrt(numpy.average(error**2, weights=weight)),
        "mae": -numpy.average(abs(error), weights=weight),
        # Ranks of the whole sample: a draw changes how often each counts.
        "spearman": correlation(rank(said), rank(true), weight),
        "|bias of total|": -abs((weight * said).sum() / (weight * true).sum() - 1),
    }


def gather(rows):
    """Arrays of users, truths and answers; of kinds the answer is that given to the kind that came, and
    beside it those of `buy` against the rest."""
    if rows[0][2]:
        came = [row for row in rows if row[1] == row[2]]
        users = numpy.array([row[0] for row in came])
        return users, numpy.ones(len(came)), numpy.array([row[3] for row in came])
    users = numpy.array([row[0] for row in rows])
    return users, numpy.array([row[1] for row in rows]), numpy.array([row[3] for row in rows])


def one_kind(rows, kind):
    of = [row for row in rows if row[2] == kind]
    true = numpy.array([float(row[1] == kind) for row in of])
    return numpy.array([row[0] for row in of]), true, numpy.array([row[3] for row in of])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("setup", choices=SETUPS)
    parser.add_argument("log", type=Path)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--draws", type=int, default=2000)
    parser.add_argument("--config")
    parser.add_argument("--json", type=Path, help="write all figures here")
    arguments = parser.parse_args()
    setup = SETUPS[arguments.setup]
    config = ROOT / (arguments.config or setup["config"])
    seeds = []
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        split(arguments.log, setup, folder)
        for seed in range(1, arguments.seeds + 1):
            pooled = defaultdict(list)
            for k in range(max(arguments.folds, 1)):
                tidegate(
                    "train", folder / f"train-{k}.csv", "--out", folder / "model", "--force",
                    *setup["reading"].split(), "--until", setup["until"], "--config", config,
                    *setup["train"].split(), "--seed", str(seed),
                )  # fmt: skip
                tidegate(
                    "evaluate", folder / "model", folder / f"test-{k}.csv", "--at", setup["at"],
                    *setup["reading"].split(), "--until", setup["end"],
                    "--cases", folder / "cases.csv",
                )  # fmt: skip
                for key, rows in cases(folder / "cases.csv").items():
                    pooled[key] += rows
            seeds.append(pooled)
    result = {}
    for task in dict.fromkeys(task for task, _ in seeds[0]):
        by = [who for other, who in seeds[0] if other == task]
        views = {task: gather}
        if task == "next-event":
            kinds = dict.fromkeys(row[2] for row in seeds[0][task, "model"])
            views |= {f"next {kind}": lambda rows, kind=kind: one_kind(rows, kind) for kind in kinds}
        for name, view in views.items():
            kind = "purchase" if name != task else task
            all_seeds = [{who: view(seed[task, who]) for who in by} for seed in seeds]
            report(name, kind, by, all_seeds, arguments.draws, result)
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=1))


def report(name, kind, by, seeds, draws, result):
    users, number = numpy.unique(seeds[0]["model"][0], return_inverse=True)
    cases = len(number)

    def value(who, weight):
        each = [figures(kind, seed[who][2], seed[who][1], weight) for seed in seeds]
        return {key: numpy.mean([one[key] for one in each]) for key in each[0]}

    once = numpy.ones(cases)
    whole = {who: value(who, once) for who in by}
    best = {
        key: max((who for who in by if who != "model" and numpy.isfinite(whole[who][key])),
                 key=lambda who: whole[who][key])
        for key in whole["model"]
    }  # fmt: skip
    random = numpy.random.default_rng(1)
    gains = defaultdict(list)
    for _ in range(draws):
        weight = numpy.bincount(random.integers(len(users), size=len(users)), minlength=len(users))
        weight = weight[number].astype(float)
        drawn = {who: value(who, weight) for who in {"model", *best.values()}}
        for key, who in best.items():
            gains[key].append(drawn["model"][key] - drawn[who][key])
    print(f"\n{name}: {cases} cases of {len(users)} users")
    for key, who in best.items():
        low, high = numpy.nanpercentile(gains[key], [2.5, 97.5])
        gain = whole["model"][key] - whole[who][key]
        single = [
            figures(kind, s["model"][2], s["model"][1], once)[key]
            - figures(kind, s[who][2], s[who][1], once)[key]
            for s in seeds
        ]
        clear = "better" if low > 0 else "worse" if high < 0 else ""
        print(
            f"  {key:16} model {abs(whole['model'][key]):10.4f}   {who:9} {abs(whole[who][key]):10.4f}"
            f"   gain {gain:+.4f} [{low:+.4f}, {high:+.4f}] {clear:6}  seeds {min(single):+.4f} to {max(single):+.4f}"
        )
        result.setdefault(name, {})[key] = {
            "model": whole["model"][key], "best": who, "gain": gain, "low": low, "high": high,
            "seeds": single,
        }  # fmt: skip


if __name__ == "__main__":
    main()
