#!/usr/bin/env python3
"""Times `tidegate train` against PyTorch on the same sessions, model, loss and batches.

    cargo build --release
    python benches/peers/torch_next_item.py SESSIONS --config examples/yoochoose-small.toml

SESSIONS has one session per line, item ids with blanks between. The two engines take turns, an epoch
each, and each round swaps who begins, so that a machine that grows warm or busy is unfair to both
alike. What is generous to PyTorch: its batches are made before the clock starts, it runs with raised
malloc thresholds (page faults cost it up to a quarter otherwise), with denormals flushed, and in the
fastest of every layout, gradient, softmax and thread count that `torch_model.py` knows, found by
trying them first. Warm-up is left out on both sides.

Exit codes: 0 done, 1 something failed or is missing, 2 the command line or the configuration is wrong.
"""

import argparse
import json
import os
import statistics
import subprocess
import tempfile
import time
import tomllib
from pathlib import Path

from rounds import cpu_name, fail, plain_environment, say, under_other_malloc


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("sessions", type=Path, help="one session per line, ids with blanks between")
    parser.add_argument("--config", type=Path, default=Path("examples/yoochoose-small.toml"))
    parser.add_argument("--binary", type=Path, default=Path("target/release/tidegate"))
    parser.add_argument("--rounds", type=int, default=5, help="rounds that count [default: 5]")
    parser.add_argument("--threads", type=int, help="of ours, and the most of PyTorch's [default: cores]")
    parser.add_argument("--alone", action="store_true", help="PyTorch only, without the binary")
    parser.add_argument("--peer-batches", type=int, help="batches of a PyTorch epoch [default: all]")
    parser.add_argument("--manner", help="padded,rows,compiled,2: this one, do not look for the fastest")
    parser.add_argument("--peak", type=float, help="FMA peak in GFLOP/s, where the binary does not tell")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout, nothing else")
    return parser.parse_args()


# --- configuration --------------------------------------------------------------------------------


def read_config(path):
    try:
        with open(path, "rb") as file:
            config = tomllib.load(file)
    except OSError as error:
        fail(f"{path}: {error.strerror}; name the configuration with --config", 2)
    except tomllib.TOMLDecodeError as error:
        fail(f"{path}: {error}", 2)
    return config.get("model", {}), config.get("optimizer", {}), config.get("training", {})


def shape_of(model, optimizer, training, items):
    """The model of the configuration, its defaults as in crates/model/src/config.rs; what this script
    does not know how to build is refused, never left out."""
    from torch_model import Shape

    loss, rates = model.get("loss", {}), model.get("dropout", {})
    hidden = model.get("hidden", 100)
    embedding = model.get("embedding", hidden)
    tied = model.get("output", "tied") == "tied"
    attention = model.get("readout", "last") == "attention"
    unknown = {
        "model.input": model.get("input", "embedding") != "embedding",
        "model.output_bias": model.get("output_bias", False),
        "model.running_mean": model.get("running_mean", False),
        "model.hidden (it differs from the tied embedding)": tied and embedding != hidden,
        "optimizer.weight_decay": optimizer.get("weight_decay", 0) != 0,
        "optimizer.l2": optimizer.get("l2", 0) != 0,
    }
    for key in (key for key, is_set in unknown.items() if is_set):
        fail(f"{key}: this script does not build that; give it another --config", 2)
    return Shape(
        items=items,
        embedding=embedding,
        hidden=hidden,
        layers=model.get("layers", 1),
        tied=tied,
        input_scale=model.get("input_scale", 3.0),
        temperature=model.get("temperature", 14.0),
        input_dropout=rates.get("input", 0.2),
        layer_dropout=rates.get("layers", 0.2),
        attention_key=model.get("attention_key", 64) if attention else 0,
        attention_lags=model.get("attention_lags", 50),
        readout_dropout=rates.get("readout", 0.2),
        output_dropout=rates.get("output", 0.0),
        head=min(loss.get("frequent", 0), items),
        drawn=loss.get("drawn", 0),
        smoothing=loss.get("smoothing", 0.0),
        repeat_lags=model.get("repeat_lags", 12),
        learning_rate=training.get("learning_rate", 5e-3),
        clip=optimizer.get("clip_norm", 0.0),
        init_std=model.get("embedding_std", 0.1),
    )


def named_manner(text, shape):
    """The manner that --manner names, one of those that would be tried."""
    from torch_model import GRADIENTS, LAYOUTS, SOFTMAXES, manners

    *words, threads = text.split(",")
    found = [m for m in manners(shape, [int(threads)] if threads.isdecimal() else [])
             if [m.layout, m.gradients, m.softmax] == words]
    if not found:
        choices = (" or ".join(each) for each in (LAYOUTS, GRADIENTS, SOFTMAXES))
        fail(f"--manner {text}: say {', '.join(choices)}, and a number of threads, as in "
             f"padded,rows,compiled,2; not all of them fit every model", 2)
    return found[0]


# --- the two engines ------------------------------------------------------------------------------


class Ours:
    """`tidegate train`, one epoch a call, every session in training."""

    def __init__(self, options):
        self.options, self.last = options, {}

    def epoch(self):
        with tempfile.TemporaryDirectory() as folder:
            command = [
                *(str(self.options.binary), "train", str(self.options.sessions)),
                *("--config", str(self.options.config), "--out", f"{folder}/model"),
                *("--epochs", "1", "--split", "none", "--threads", str(self.options.threads)),
                *("--json", "--quiet"),
            ]
            run = subprocess.run(command, capture_output=True, text=True, env=plain_environment())
        if run.returncode != 0:
            fail(f"`{' '.join(command)}` ended with {run.returncode}:\n{run.stderr.strip()}")
        try:
            self.last = json.loads(run.stdout)
            return float(self.last["events_per_s"])
        except (ValueError, KeyError, TypeError):
            fail(f"`{' '.join(command)}` printed no JSON with events_per_s: {run.stdout[:200]!r}")


class Theirs:
    """The same epoch in PyTorch."""

    def __init__(self, shape, manner, batches):
        import torch
        from torch_model import NextItem

        torch.set_num_threads(manner.threads)
        self.threads, self.batches = manner.threads, batches
        self.model = NextItem(shape, manner)
        self.set_threads = torch.set_num_threads
        self.loss = float("nan")

    def steps(self, batches):
        """Targets per second over these batches."""
        self.set_threads(self.threads)
        begin = time.perf_counter()
        losses = [self.model.step(batch) for batch in batches]
        seconds = time.perf_counter() - begin
        self.loss = statistics.fmean(losses)
        return sum(len(batch.ids) for batch in batches) / seconds

    def epoch(self):
        rate = self.steps(self.batches)
        if not abs(self.loss) < 1e6:
            fail(f"PyTorch's loss is {self.loss}: its timing would mean nothing")
        return rate


def find_fastest(shape, batches, threads, say):
    """Tries every manner for a few batches, the best four for longer; returns the winner and all."""
    from torch_model import manners

    def rate(manner, warm, count):
        try:
            theirs = Theirs(shape, manner, batches)
            theirs.steps(batches[:warm])
            third = max(count // 3, 1)
            parts = range(warm, warm + count, third)
            return max(theirs.steps(batches[k : k + third]) for k in parts)
        except Exception as error:  # noqa: BLE001 - torch.compile wants a C++ compiler, say
            say(f"  {manner}: left out, {str(error).strip().splitlines()[0]}")
            return 0.0

    tried = {}
    for manner in manners(shape, threads):
        tried[manner] = rate(manner, 4, 9)
        say(f"  {tried[manner]:8,.0f} targets/s  {manner}")
    best = sorted(tried, key=tried.get, reverse=True)[:4]
    if not tried[best[0]]:
        fail("PyTorch could not run this model in any manner")
    longer = {manner: rate(manner, 6, 60) for manner in best}
    return max(longer, key=longer.get), tried


# --- the machine ----------------------------------------------------------------------------------


def machine(options):
    """Processor, cores, versions, kernel path, and FMA peak where `tidegate devices` tells them."""
    import torch

    found = {
        "cpu": cpu_name(),
        "cores": os.cpu_count(),
        "torch": torch.__version__,
        "torch_simd": torch.backends.cpu.get_cpu_capability(),
        "torch_product_gflops": large_product(options.threads),
        "kernel": None,
        "peak_gflops": None,
    }
    if not options.alone:
        run = subprocess.run(
            [str(options.binary), "devices", "--json", "--threads", str(options.threads)],
            capture_output=True,
            text=True,
            env=plain_environment(),
        )
        try:
            cpu = json.loads(run.stdout)["devices"][0] if run.returncode == 0 else {}
            found |= {key: cpu[key] for key in ("kernel", "peak_gflops") if key in cpu}
        except (ValueError, LookupError, TypeError):
            pass
    found["peak_gflops"] = options.peak or found["peak_gflops"]
    return found


def large_product(threads, size=2048):
    """What PyTorch's own matrix product reaches here, in GFLOP/s: a stand-in for the FMA peak."""
    import torch

    torch.set_num_threads(threads)
    a, b = torch.randn(size, size), torch.randn(size, size)
    seconds = []
    for _ in range(5):
        begin = time.perf_counter()
        torch.mm(a, b)
        seconds.append(time.perf_counter() - begin)
    return 2 * size**3 / min(seconds) / 1e9


# --- the report -----------------------------------------------------------------------------------


def summary(rates, shape, peak):
    median = statistics.median(rates)
    gflops = median * shape.flops() / 1e9
    of_peak = gflops / peak if peak else None
    return {"median": median, "samples": rates, "gflops": gflops, "of_peak": of_peak}


def report(result, shape):
    found = result["machine"]
    peak = found["peak_gflops"]
    print(f"{found['cpu']}, {found['cores']} cores; kernel path of ours: {found['kernel'] or 'not told'}")
    print(f"PyTorch {found['torch']} ({found['torch_simd']}): {result['manner']}")
    print(f"FMA peak {peak:.0f} GFLOP/s" if peak else "FMA peak not told (--peak)", end="; ")
    print(f"PyTorch's 2048 x 2048 x 2048 product {found['torch_product_gflops']:.0f} GFLOP/s")
    columns = "all items" if shape.full else f"{shape.head} + {shape.drawn} candidates"
    print(f"E {shape.embedding}, H {shape.hidden}, V {shape.items}, {columns}, {shape.flops() / 1e6:.2f} MFLOP a target\n")
    print(f"{'':10} {'targets/s':>10} {'min':>10} {'max':>10} {'GFLOP/s':>8} {'of peak':>8}")
    for name in (name for name in ("tidegate", "pytorch") if name in result):
        row = result[name]
        share = f"{row['of_peak']:8.2f}" if row["of_peak"] else f"{'-':>8}"
        low, high = min(row["samples"]), max(row["samples"])
        print(f"{name:10} {row['median']:10,.0f} {low:10,.0f} {high:10,.0f} {row['gflops']:8.1f} {share}")
    if "ratio" in result:
        ratio = result["ratio"]
        low, high = min(ratio["samples"]), max(ratio["samples"])
        print(f"\ntidegate / pytorch: {ratio['median']:.2f} (rounds {low:.2f} to {high:.2f})")
        if high / low > 1.2:
            print("warning: the rounds differ by more than a fifth; run again on a quiet machine")


def prepare(options, files, alone=False):
    """Sees that all is there, `files` and our program too; returns the model's shape, the settings of
    its training, the pieces to learn from and the number of every item."""
    under_other_malloc()
    try:
        import torch
    except ImportError:
        fail("PyTorch is missing: pip install -r benches/peers/requirements.txt")
    from sessions import cut, read_sessions

    for path in files:
        if not path.is_file():
            fail(f"{path}: no such file; it has one session per line", 2)
    if not alone and not os.access(options.binary, os.X_OK):
        fail(f"{options.binary}: no such program; `cargo build --release` makes it, --binary names it")
    # A relative path without a slash would be looked up in PATH.
    options.binary = options.binary.resolve()

    torch.set_flush_denormal(True)
    model, optimizer, training = read_config(options.config)
    sessions, number = read_sessions(options.sessions)
    pieces = cut(sessions, training.get("max_length", 40), training.get("recency", 0.0))
    if not pieces:
        fail(f"{options.sessions}: no session of two items; it has one session per line", 2)
    say(f"{len(sessions):,} sessions, {len(number):,} items")
    return shape_of(model, optimizer, training, len(number)), training, pieces, number


def main():
    options = arguments()
    options.threads = options.threads or len(os.sched_getaffinity(0))
    shape, training, pieces, _ = prepare(options, [options.sessions], options.alone)
    from sessions import epoch

    batches = epoch(pieces, training.get("batch_targets", 1024), 1, shape.repeat_lags)
    targets = sum(len(batch.ids) for batch in batches)
    say(f"{targets:,} targets in {len(batches):,} batches")

    tried = {}
    if options.manner:
        manner = named_manner(options.manner, shape)
    else:
        say("looking for PyTorch's fastest manner:")
        counts = sorted({1, options.threads})
        manner, tried = find_fastest(shape, batches, counts, say)
    say(f"PyTorch runs as {manner}")

    theirs = Theirs(shape, manner, batches[: options.peer_batches])
    theirs.steps(batches[:20])
    engines = {"pytorch": theirs} if options.alone else {"tidegate": Ours(options), "pytorch": theirs}
    rates = {name: [] for name in engines}
    if not options.alone:
        engines["tidegate"].epoch()  # warm-up: the file is in the page cache afterwards
    for round_ in range(options.rounds):
        order = list(engines)[:: 1 if round_ % 2 == 0 else -1]
        for name in order:
            rates[name].append(engines[name].epoch())
        say(f"round {round_ + 1}: " + ", ".join(f"{name} {rates[name][-1]:,.0f}" for name in engines))

    found = machine(options)
    result = {
        "machine": found,
        "threads": options.threads,
        "config": str(options.config),
        "manner": str(manner),
        "mflop_per_target": shape.flops() / 1e6,
        "tried": {str(key): value for key, value in tried.items()},
        **{name: summary(rates[name], shape, found["peak_gflops"]) for name in engines},
    }
    if not options.alone:
        pairs = [a / b for a, b in zip(rates["tidegate"], rates["pytorch"])]
        result["ratio"] = {"median": statistics.median(pairs), "samples": pairs}
    if options.json:
        print(json.dumps(result))
    else:
        report(result, shape)


if __name__ == "__main__":
    main()
