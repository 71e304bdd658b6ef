"""Times whole training steps of models that differ from the plain one in one setting.

    python benches/variants.py target/release/tidegate --shape T50,B64,I128,H128,V1000 --rounds 5

Each round runs `tidegate bench train` once with every setting, in turns; medians of the rounds, and the time
beside that of the plain model in the same round. Needs Python alone.
"""

import argparse
import json
import os
import statistics
import subprocess
import tempfile

# What is said in the TOML file, by the name of the row.
VARIANTS = {
    "plain": "",
    "weights dropped (DropConnect)": "[model.dropout]\nweights = 0.2",
    "recurrent dropout": "[model.dropout]\nrecurrent = 0.2",
    "zoneout": "[model.dropout]\nzoneout_c = 0.1\nzoneout_h = 0.1",
    "input dropout": "[model.dropout]\ninput = 0.2",
    "readout mean": '[model]\nreadout = "mean"',
    "readout max": '[model]\nreadout = "max"',
    "readout attention": '[model]\nreadout = "attention"',
    "head of one layer": "[model]\nhead = [128]",
    "head of two layers": "[model]\nhead = [128, 128]",
    "initial state learned": '[model]\ninitial_state = "learned"',
    "residual paths (two layers or more)": "[model]\nresidual = true",
    "bpr-max": '[model]\nloss = { kind = "bpr-max" }',
    "top1-max": '[model]\nloss = { kind = "top1-max" }',
    "sgd": '[optimizer]\nkind = "sgd"',
    "sgd, nesterov": '[optimizer]\nkind = "sgd"\nmomentum = 0.9\nnesterov = true',
    "adagrad": '[optimizer]\nkind = "adagrad"',
    "rmsprop": '[optimizer]\nkind = "rmsprop"',
    "adamw": "[optimizer]\nweight_decay = 0.01",
}
# Unless a row says otherwise, nothing drops.
NOTHING_DROPS = "[model.dropout]\ninput = 0.0\n"


def run(binary, shape, config, seconds):
    command = [binary, "bench", "train", "--shape", shape, "--config", config, "--seconds", str(seconds), "--json"]
    report = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return report["results"][0]["median_s"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tidegate")
    parser.add_argument("--shape", default="T50,B64,I128,H128,V1000")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.3)
    parser.add_argument("--only", nargs="+", help="rows to time beside the plain one")
    args = parser.parse_args()
    names = [name for name in VARIANTS if name == "plain" or not args.only or name in args.only]
    if ",L" not in args.shape:
        names = [name for name in names if "two layers or more" not in name]
    times = {name: [] for name in names}
    with tempfile.TemporaryDirectory() as folder:
        configs = {}
        for number, name in enumerate(names):
            text = VARIANTS[name]
            configs[name] = os.path.join(folder, f"{number}.toml")
            with open(configs[name], "w") as file:
                file.write(text if "[model.dropout]" in text else f"{text}\n{NOTHING_DROPS}")
        for _ in range(args.rounds):
            for name in names:
                times[name].append(run(args.tidegate, args.shape, configs[name], args.seconds))
    for name in names:
        ratios = [one / plain for one, plain in zip(times[name], times["plain"])]
        print(json.dumps({"model": name, "median_ms": round(1000 * statistics.median(times[name]), 2),
                          "of_plain": round(statistics.median(ratios), 2),
                          "from": round(min(ratios), 2), "to": round(max(ratios), 2)}), flush=True)


if __name__ == "__main__":
    main()
