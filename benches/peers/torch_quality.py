#!/usr/bin/env python3
"""Learns one configuration with `tidegate train` and with PyTorch, and scores both on the same cases.

    cargo build --release
    python benches/peers/torch_quality.py SESSIONS TEST --config examples/yoochoose-small.toml

What `torch_next_item.py` times is worth nothing unless it learns as well. So here both learn for as
many epochs as the configuration says, from all of SESSIONS, with the same warm-up and decay; then each
item of TEST after the first of its session is a case. All items compete, ties count against the model,
an item that SESSIONS never showed is a miss. Starts and random numbers are each engine's own: expect
the two to differ as two seeds do.

Exit codes: 0 done, 1 something failed or is missing, 2 the command line or the configuration is wrong.
"""

import argparse
import json
import math
import os
import tempfile
from dataclasses import replace
from pathlib import Path

from rounds import fail, plain_environment, run_json, say, table
from torch_next_item import named_manner, prepare

CASES_AT_ONCE = 2048


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("sessions", type=Path, help="to learn from: one session per line")
    parser.add_argument("test", type=Path, help="to be asked about: one session per line")
    parser.add_argument("--config", type=Path, default=Path("examples/yoochoose-small.toml"))
    parser.add_argument("--binary", type=Path, default=Path("target/release/tidegate"))
    parser.add_argument("--manner", help="how PyTorch computes [default: padded,rows,inplace,CORES]")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout, nothing else")
    return parser.parse_args()


# --- ours -----------------------------------------------------------------------------------------


def run_ours(options, words):
    command = [str(options.binary), *words, "--json", "--quiet"]
    return run_json(command, plain_environment())


def ours(options):
    with tempfile.TemporaryDirectory() as folder:
        model = f"{folder}/model"
        words = ["train", str(options.sessions), "--config", str(options.config), "--out", model]
        run_ours(options, [*words, "--split", "none", "--seed", str(options.seed)])
        scores = run_ours(options, ["evaluate", model, str(options.test)])["tasks"]["next-item"]
    keys = ("cases", "recall@20", "mrr@20")
    return {key: scores[key] for key in keys}


# --- PyTorch --------------------------------------------------------------------------------------


def share_of_rate(progress, training):
    """The learning rate over the run as a share of its peak, as in crates/train/src/schedule.rs."""
    warmup, decay = training.get("warmup", 0.0), training.get("decay", "linear")
    if decay not in ("constant", "linear", "cosine"):
        fail(f'training.decay = "{decay}": this script knows constant, linear and cosine', 2)
    if progress < warmup:
        return progress / warmup
    s = (progress - warmup) / (1 - warmup)
    return {"constant": 1.0, "linear": 1 - s, "cosine": 0.5 * (1 + math.cos(math.pi * s))}[decay]


def learn(shape, manner, pieces, training, seed):
    import torch
    from sessions import epoch
    from torch_model import NextItem

    torch.set_num_threads(manner.threads)
    model = NextItem(shape, manner, seed)
    optimizers = [model.adam, *([model.sparse_adam] if manner.gradients == "sparse" else [])]
    epochs = training.get("epochs", 10)
    for k in range(epochs):
        batches = epoch(pieces, training.get("batch_targets", 1024), seed + k, shape.repeat_lags)
        total = 0.0
        for number, batch in enumerate(batches):
            progress = (k + (number + 0.5) / len(batches)) / epochs
            rate = shape.learning_rate * share_of_rate(progress, training)
            model.shape = replace(shape, learning_rate=rate)
            for group in (group for each in optimizers for group in each.param_groups):
                group["lr"] = rate
            total += model.step(batch)
        say(f"PyTorch, epoch {k + 1} of {epochs}: mean loss {total / len(batches):.4f}")
    return model


def read_cases(path, number):
    """The sessions of the test file without the items that the model does not know; the items that come
    after nothing but such; and the number of cases, those about unknown items included."""
    with open(path, encoding="utf-8") as file:
        sessions = [line.split() for line in file]
    cases = sum(max(len(session) - 1, 0) for session in sessions)
    known = [[number[item] for item in session if item in number] for session in sessions]
    blind = [some[0] for some, session in zip(known, sessions) if some and session[0] not in number]
    return [session for session in known if len(session) > 1], blind, cases


def ranks(model, sessions):
    """The rank of every item after the first of its session, among all items."""
    import numpy as np
    import torch
    from sessions import pack
    from torch.nn.functional import normalize

    # No dropout where nothing is learned.
    rates = ("input_dropout", "layer_dropout", "readout_dropout", "output_dropout")
    shape = model.shape = replace(model.shape, **dict.fromkeys(rates, 0.0))
    model.eval()
    if shape.attention_key:
        model.attention.rate = 0.0
    items = model.table if shape.tied else model.output
    items = normalize(items, dim=-1) if shape.temperature else items
    found, some, cases = [], [], 0
    for k, session in enumerate(sorted(sessions, key=len)):
        some.append((np.array(session, dtype=np.int64), 1.0))
        cases += len(session) - 1
        if cases < CASES_AT_ONCE and k + 1 < len(sessions):
            continue
        batch = pack(some, shape.repeat_lags)
        q = model.pictures(model.table, lambda ids: ids, batch)
        q = shape.temperature * normalize(q, dim=-1) if shape.temperature else q
        scores = q @ items.t()
        if shape.repeat_lags:
            bias = model.repeat[batch.repeat_lags]
            scores.index_put_((batch.repeat_rows, batch.repeat_ids), bias, accumulate=True)
        target = scores.gather(1, batch.targets[:, None])
        found.append((scores >= target).sum(1))
        some, cases = [], 0
    return torch.cat(found)


def theirs(options, shape, manner, pieces, training, number):
    import torch

    sessions, blind, cases = read_cases(options.test, number)
    if not sessions:
        fail(f"{options.test}: no session of two items that {options.sessions} shows", 2)
    model = learn(shape, manner, pieces, training, options.seed)
    with torch.no_grad():
        rank = ranks(model, sessions)
    # Where nothing is known the items stand by their frequency, which is how they are numbered.
    rank = torch.cat((rank, torch.tensor(blind, dtype=rank.dtype) + 1))
    hits = rank[rank <= 20].double()
    recall, mrr = len(hits) / cases, float((1 / hits).sum()) / cases
    return {"cases": cases, "recall@20": recall, "mrr@20": mrr}


def main():
    options = arguments()
    shape, training, pieces, number = prepare(options, [options.sessions, options.test])
    share_of_rate(0.5, training)  # refuses what it does not know before anything is learned
    cores = len(os.sched_getaffinity(0))
    gradients = "dense" if shape.full or not shape.tied else "rows"
    manner = named_manner(options.manner or f"padded,{gradients},inplace,{cores}", shape)

    say("tidegate learns")
    result = {"tidegate": ours(options)}
    result["pytorch"] = theirs(options, shape, manner, pieces, training, number)
    if result["tidegate"]["cases"] != result["pytorch"]["cases"]:
        fail(f"the two count different cases: {result}")
    if options.json:
        print(json.dumps({"config": str(options.config), "seed": options.seed, **result}))
        return
    rows = [
        [name, f"{100 * row['recall@20']:.2f}", f"{100 * row['mrr@20']:.2f}"]
        for name, row in result.items()
    ]
    print(f"{options.config}, seed {options.seed}, {result['tidegate']['cases']:,} cases\n")
    print(table(["", "Recall@20", "MRR@20"], rows))


if __name__ == "__main__":
    main()
