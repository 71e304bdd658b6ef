#!/usr/bin/env python3
"""Holds the event file of `train` to TensorBoard: its own reader finds the numbers of log.jsonl in it.

    cargo build --release
    pip install tensorboard
    python3 examples/event_files.py            trains on a small simulated shop
    python3 examples/event_files.py MODEL      looks at the folder of a model

  epochs    loss, speed and every figure and loss of validation at each epoch, at the step where it ended
  points    running loss and learning rate between them: steps and times rise, and the learning rate at the
            end of each epoch is that of the log
  table     log.csv has the numbers of log.jsonl to the last digit

TensorBoard keeps 32 bits of a number, so those are compared after rounding to 32 bits.
`--break` changes a number of the log on purpose, to see that it is found.

Exit codes: 0 all agree, 1 something differs or failed.
"""

import argparse
import csv
import json
import pathlib
import struct
import subprocess
import sys
import tempfile

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator


def rounded(number):
    return struct.unpack("<f", struct.pack("<f", number))[0]


def train(program, folder):
    log, model = folder / "shop.csv", folder / "model"
    subprocess.run([program, "simulate", "--out", log, "--events", "6000", "--quiet"], check=True)
    call = [program, "train", log, "--out", model, "--epochs", "3", "--hidden", "16", "--quiet"]
    subprocess.run(call, check=True, stdout=subprocess.DEVNULL)
    return model


def expected(epochs):
    """What each tag should hold: (step, number) of each epoch."""
    tags = {}
    for epoch in epochs:
        numbers = {
            "train/loss": epoch["loss"],
            "train/epoch": epoch["epoch"],
            "train/events_per_s": epoch["events_per_s"],
        }
        for name, figure in (epoch["validation"] or {}).items():
            if name not in ("cases", "unknown_targets"):
                numbers["validation/" + name] = figure
        for task, loss in epoch.get("losses", {}).items():
            numbers["validation_loss/" + task] = loss
        for tag, number in numbers.items():
            if number is not None:
                tags.setdefault(tag, []).append((epoch["steps"], rounded(number)))
    return tags


def compare_events(model, epochs):
    events = EventAccumulator(str(model / "tensorboard"), size_guidance={"scalars": 0})
    events.Reload()
    found = set(events.Tags()["scalars"])
    tags = expected(epochs)
    points = {"train/running_loss", "train/learning_rate"}
    problems = [f"{tag} is missing" for tag in set(tags) | points if tag not in found]
    problems += [f"{tag} is more than there should be" for tag in found - set(tags) - points]
    if problems:
        return problems, 0
    for tag, numbers in tags.items():
        there = [(event.step, event.value) for event in events.Scalars(tag)]
        if there != numbers:
            problems.append(f"{tag}: {there} in the events, {numbers} in the log")
    for tag in sorted(points):
        there = events.Scalars(tag)
        steps, times = [e.step for e in there], [e.wall_time for e in there]
        if steps != sorted(set(steps)) or times != sorted(times):
            problems.append(f"{tag}: steps or times do not rise")
    rates = {event.step: event.value for event in events.Scalars("train/learning_rate")}
    for epoch in epochs:
        if rates.get(epoch["steps"]) != rounded(epoch["learning_rate"]):
            problems.append(f"epoch {epoch['epoch']}: the learning rate is another")
    return problems, sum(len(events.Scalars(tag)) for tag in found)


def compare_table(model, epochs):
    with open(model / "log.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    if len(rows) != len(epochs):
        return [f"log.csv has {len(rows)} rows for {len(epochs)} epochs"]
    problems = []
    for row, epoch in zip(rows, epochs):
        flat = dict(epoch)
        for table in ("validation", "losses"):
            for name, number in (flat.pop(table, None) or {}).items():
                flat[f"{table}.{name}"] = number
        flat["best"] = str(flat["best"]).lower()
        for name, cell in row.items():
            value = flat.pop(name, None)
            same = cell == (value or "") if name == "best" else cell == "" and value is None
            if not same and (cell == "" or value is None or float(cell) != value):
                problems.append(f"epoch {epoch['epoch']}, {name}: {cell!r} in the table, {value!r} in the log")
        problems += [f"{name} is missing in log.csv" for name in flat]
    return problems


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", type=pathlib.Path)
    parser.add_argument("--program", default="target/release/tidegate")
    parser.add_argument("--break", dest="mistake", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        model = options.model or train(options.program, pathlib.Path(folder))
        epochs = [json.loads(line) for line in open(model / "log.jsonl")]
        if options.mistake:
            epochs[-1]["loss"] += 1e-3
        problems, scalars = compare_events(model, epochs)
        problems += compare_table(model, epochs)
    for problem in problems:
        print(problem)
    print(f"{len(epochs)} epochs, {scalars} scalars: " + ("differs" if problems else "all agree"))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
