#!/usr/bin/env python3
"""Times a recurrent layer itself, ours against PyTorch, ONNX Runtime, candle and burn, in f32.

    cargo build --release
    (cd benches/peers/rust && cargo build --release)
    python benches/peers/sequence.py --shape T50,B64,I128,H256 --mode forward
    python benches/peers/sequence.py --cell gru --mode training        against PyTorch alone

`forward` is inference: x in, h of every step out. `training` is the forward pass and the backward
pass: dh given at every step, the gradients of x and of every weight out, no optimiser. Every round
runs every engine once, in an order that the next round reverses; the ratio is taken within a round
and is above one where ours is faster. Weights are packed before the clock starts where an engine can do
so: ours and ONNX Runtime in `forward`; PyTorch has no such way for an LSTM.

What is generous to the peers: raised malloc thresholds (page faults cost PyTorch up to a quarter
otherwise), denormals flushed, each with one thread or as many as ours, whichever is faster for
this very shape; more of it stands at each class of lstm_peers.py. With
`lengths=skew` PyTorch runs twice, on the packed batch and on the padded block, ONNX Runtime in the
faster of both ways, candle and burn on the block, which is all they know.

Exit codes: 0 done, 1 something failed or is missing, 2 the command line is wrong.
"""

import argparse
import json
import os
from importlib.metadata import version
from pathlib import Path

import lstm_peers
import rounds
from rounds import fail, say
from shapes import DEFAULT, GATES, parse

PEERS = ("torch", "onnxruntime", "candle", "burn")
TOLERANCE = 1e-4


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument(
        "--shape", nargs="+", action="extend", help="T50,B64,I128,H256[,L2][,bi][,lengths=skew] ..."
    )
    parser.add_argument("--mode", choices=("forward", "training"), help="[default: both]")
    parser.add_argument("--cell", choices=GATES, default="lstm", help="[default: lstm]")
    parser.add_argument("--peers", default=",".join(PEERS), help=f"[default: {','.join(PEERS)}]")
    parser.add_argument(
        "--rust",
        type=Path,
        default=Path("benches/peers/rust/target/release/rust-peers"),
        help="the program of candle and burn",
    )
    rounds.add_common_arguments(parser)
    options = parser.parse_args()
    rounds.check_common_arguments(options)
    options.peers = rounds.named_peers(options, PEERS)
    options.shapes = [parse(text, options.cell) for text in options.shape or DEFAULT]
    if options.cell != "lstm" or any(shape.both for shape in options.shapes):
        # The others are set up for plain LSTM layers.
        options.peers = [name for name in options.peers if name == "torch"]
    options.modes = [options.mode] if options.mode else ["forward", "training"]
    return options


def check_same(torch, onnx, numbers):
    """PyTorch and ONNX Runtime compute the same h, or their times would mean nothing."""
    difference = lstm_peers.largest_difference(torch.h(), onnx.h(), numbers)
    if not difference < TOLERANCE:
        fail(f"PyTorch's and ONNX Runtime's h differ by {difference:.1e}: not the same work")
    return difference


def check_ours(row, shape, mode):
    """Our program counted the operations that this script counts: it ran the same shape."""
    counted = (row.get("gflops") or 0) * (row.get("median_s") or 0) * 1e9
    if counted and abs(counted / shape.flops(mode) - 1) > 0.01:
        say(
            f"  warning: tidegate counts {counted / 1e9:.3f} GFLOP and this script"
            f" {shape.flops(mode) / 1e9:.3f} (of other lengths?)"
        )


def run_shape(shape, binary, options):
    """The results of one shape, one a mode."""
    numbers = lstm_peers.Numbers(shape)
    torch = lstm_peers.Torch(shape, numbers) if "torch" in options.peers else None
    onnx = lstm_peers.Onnx(shape, numbers) if "onnxruntime" in options.peers else None
    difference = check_same(torch, onnx, numbers) if torch and onnx else None
    for mode in options.modes:
        say(f"{shape.text} {mode}")
        engines = []
        if binary:
            more = ("--cell", shape.cell)
            ours = rounds.Ours(binary, "sequence", shape.text, mode, options.threads, more)
            engines.append(ours)
        for peer in (torch, onnx):
            engines += peer.engines(mode, options) if peer else ()
        for name in ("candle", "burn"):
            if name in options.peers:
                engines.append(lstm_peers.rust_engine(name, shape, mode, options))
        if not engines:
            say("  nothing to time: none of these peers knows this mode")
            continue
        result = rounds.contest(engines, options.rounds, options.seconds)
        if "tidegate" in result["engines"]:
            check_ours(ours.last, shape, mode)
            options.machine |= ours.machine
        for engine in engines:
            if getattr(engine, "version", None):
                options.versions[engine.name] = engine.version
        yield {
            "shape": shape.text,
            "cell": shape.cell,
            "mode": mode,
            "positions": shape.positions,
            "flops": shape.flops(mode),
            "torch_onnxruntime_difference": difference,
            **result,
            **against_fastest(result, mode),
        }
        say("  " + ", ".join(f"{name} {text}" for name, text in times(result).items()))


def against_fastest(result, mode):
    """The peer that counts: the fastest in inference, the faster manner of PyTorch in training."""
    names = [name for name in result["engines"] if name != "tidegate"]
    if mode == "training":
        names = [name for name in names if name.startswith("torch")] or names
    if not names:
        return {"rival": None, "ratio": None}
    rival = min(names, key=lambda name: result["engines"][name]["median"])
    return {"rival": rival, "ratio": result["ratios"].get(rival)}


# --- the report -----------------------------------------------------------------------------------


def times(result):
    return {n: rounds.seconds_text(row["median"]) for n, row in result["engines"].items()}


def means(results):
    """The geometric mean over shapes of the ratio against the peer that counts."""
    found = {}
    for mode in ("forward", "training"):
        ratios = [r["ratio"]["median"] for r in results if r["mode"] == mode and r["ratio"]]
        found[mode] = {"shapes": len(ratios), "ratio": rounds.geometric_mean(ratios)}
    return found


def report(found):
    about = found["machine"]
    print(f"{about['cpu']}, {about['cores']} cores; commit {about['commit'] or 'unknown'}")
    print(", ".join(found["versions"].values()), end="")
    print(f"; kernel path of ours: {about['kernel']}" if about.get("kernel") else "")
    for mode, against in (("forward", "the fastest peer"), ("training", "PyTorch")):
        results = [result for result in found["results"] if result["mode"] == mode]
        if not results:
            continue
        names = list(dict.fromkeys(name for r in results for name in r["engines"]))
        versus = list(dict.fromkeys(name for r in results for name in r["ratios"]))
        rows = []
        for result in results:
            cells = times(result)
            ratios = {n: rounds.ratio_text(ratio) for n, ratio in result["ratios"].items()}
            row = [result["shape"], *(cells.get(name, "–") for name in names)]
            rows.append([*row, *(ratios.get(name, "–") for name in versus)])
        print(f"\n### {mode}\n")
        print(rounds.table([mode, *names, *(f"× {name}" for name in versus)], rows))
        mean = found["geometric_means"][mode]
        if mean["ratio"]:
            shapes = "shape" if mean["shapes"] == 1 else "shapes"
            print(f"\n{mean['ratio']:.2f} times {against}: geometric mean of", end=" ")
            print(f"{mean['shapes']} {shapes}, of each the median ratio")
    if warning := rounds.wide(found["results"]):
        print(f"\n{warning}")


def main():
    options = arguments()
    rounds.under_other_malloc()
    binary = rounds.find_binary(options)
    options.machine, options.versions = rounds.machine(), {}
    lstm_peers.need("numpy")
    if "torch" in options.peers:
        # Before any thread of it is made: they inherit the setting.
        lstm_peers.need("torch").set_flush_denormal(True)
        options.versions["torch"] = f"torch {version('torch')}"
    if "onnxruntime" in options.peers:
        lstm_peers.need("onnxruntime")
        options.versions["onnxruntime"] = f"onnxruntime {version('onnxruntime')}"
    if {"candle", "burn"} & {*options.peers} and not os.access(options.rust, os.X_OK):
        fail(
            f"{options.rust}: no such program; `cargo build --release` in benches/peers/rust makes"
            " it, --rust names it, --peers torch,onnxruntime does without"
        )
    options.rust = options.rust.resolve()
    results = [row for shape in options.shapes for row in run_shape(shape, binary, options)]
    found = {
        "machine": options.machine,
        "versions": options.versions,
        "threads": options.threads,
        "results": results,
        "geometric_means": means(results),
    }
    if options.json:
        print(json.dumps(found))
    else:
        report(found)
    if lacking := sorted({text for result in results for text in result["lacking"].values()}):
        fail("this tidegate lacks:\n  " + "\n  ".join(lacking))


if __name__ == "__main__":
    main()
