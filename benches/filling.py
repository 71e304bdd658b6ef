"""What ways to fill a column do to a model: hides a share of a column's values, trains with each way to fill
them and with what was hidden in its place, and prints Recall@20 and MRR@20 on the last part of the log.

    python benches/filling.py target/release/tidegate online_retail.csv.gz --column UnitPrice --hide 0.5 \\
        --features price:zscore --fills price=median price=item \\
        --until 2011-09-30 --from 2011-10-01 --train "--epochs 4"

Needs Python alone. What `--train` says goes to `tidegate train`. Rows are hidden by a seeded draw, so that a
second run hides the same ones. Values that the log lacks stay missing: `--hide 0` measures those alone.
"""

import argparse
import csv
import gzip
import json
import os
import random
import shlex
import statistics
import subprocess
import tempfile


def hide(log, column, share, out):
    """Writes the log with a share of the column's entries empty; says how many were and are empty."""
    draw = random.Random(1)
    opened = gzip.open(log, "rt", newline="") if log.endswith(".gz") else open(log, newline="")
    before = after = rows = 0
    with opened as lines, open(out, "w", newline="") as kept:
        reader, writer = csv.reader(lines), csv.writer(kept)
        header = next(reader)
        place = header.index(column)
        writer.writerow(header)
        for row in reader:
            rows += 1
            before += row[place] == ""
            if draw.random() < share:
                row[place] = ""
            after += row[place] == ""
            writer.writerow(row)
    return rows, before, after


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tidegate")
    parser.add_argument("log")
    parser.add_argument("--column", required=True, help="the column's name in the header")
    parser.add_argument("--hide", type=float, default=0.5, help="the share of its entries that are hidden")
    parser.add_argument("--features", required=True, help="as train has it")
    parser.add_argument("--fills", nargs="+", default=[], help="ways to fill, each as train has it")
    parser.add_argument("--until", required=True, help="the last time that is learned from, as train has it")
    parser.add_argument("--from", required=True, dest="start", help="the first time that is scored")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--train", default="", help="further flags of train")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        hidden, model = os.path.join(folder, "log.csv"), os.path.join(folder, "model")
        rows, before, after = hide(args.log, args.column, args.hide, hidden)
        print(json.dumps({"rows": rows, "empty": before, "empty_after": after}), flush=True)
        runs = [("item alone", hidden, [])]
        if args.hide > 0:
            runs.append(("nothing hidden", args.log, ["--features", args.features]))
        runs.append(("not filled", hidden, ["--features", args.features]))
        for fill in args.fills:
            features = args.features
            if "flag" in fill:
                features += f",{fill.split('=')[0]}.missing"
            runs.append((fill, hidden, ["--features", features, "--fill", fill]))
        for name, log, flags in runs:
            figures = []
            for seed in range(1, args.seeds + 1):
                train = [args.tidegate, "train", log, "--until", args.until, "--split", "none", "--seed", str(seed),
                         "--out", model, "--force", "--quiet", *flags, *shlex.split(args.train)]
                subprocess.run(train, check=True, stdout=subprocess.DEVNULL)
                score = [args.tidegate, "evaluate", model, log, "--from", args.start, "--json", "--quiet"]
                scored = json.loads(subprocess.run(score, check=True, capture_output=True).stdout)
                task = scored["tasks"]["next-item"]
                figures.append((task["recall@20"], task["mrr@20"]))
            recall, mrr = (statistics.median(figure[k] for figure in figures) for k in (0, 1))
            spread = max(figure[0] for figure in figures) - min(figure[0] for figure in figures)
            print(json.dumps({"fill": name, "recall@20": round(100 * recall, 2), "mrr@20": round(100 * mrr, 2),
                              "spread": round(100 * spread, 2)}), flush=True)


if __name__ == "__main__":
    main()
