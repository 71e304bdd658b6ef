#!/usr/bin/env python3
"""Holds `export` and `import` to ONNX Runtime and PyTorch: the same answers within 1e-5.

    cargo build --release
    python3 examples/interchange.py          (onnx, onnxruntime, torch, safetensors, numpy)

A small shop is simulated, and a model trained on it for each kind of network that there is. Then, for
sessions of several lengths in one batch, with items that come again:

  onnx    the exported graph in ONNX Runtime: probabilities of all items beside those of `recommend`
  torch   the exported state dict, loaded strictly into nn.Embedding, nn.LSTM (nn.GRU, nn.RNN) and
          nn.Linear: probabilities beside `recommend`, picture and last hidden state beside the graph
  import  a module made here, never trained, through safetensors and `tidegate import`: its
          probabilities beside those of `recommend`; and the same in F64, F16 and BF16

`Network` below is what a model computes, in some sixty lines: take it where a state dict shall be used.
`--break NAME` makes a mistake on purpose, to see that it is found.

Exit codes: 0 all agree, 1 something differs or failed.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn.functional import normalize

ALLOWED = 1e-5
PLAIN = "input_scale = 0.0\ntemperature = 0.0\nrepeat_lags = 0\n"
ONE_HOT = 'input = "one-hot"\ninput_scale = 0.0\noutput = "free"\ndropout = { input = 0.0 }\n'
ATTENTION = 'readout = "attention"\nattention_key = 5\nattention_lags = 3\n'

# What stands in [model], and which formats can have it.
CASES = {
    "lstm": ("", "onnx torch"),
    "lstm, two layers": ("layers = 2\n" + PLAIN, "onnx torch"),
    "gru": ('cell = "gru"\nlayers = 2\n', "onnx torch"),
    "rnn": ('cell = "rnn"\noutput = "free"\noutput_bias = true\n' + PLAIN, "onnx torch"),
    "peephole": ('cell = "lstm+peephole"\nlayers = 2\n', "onnx"),
    "coupled": ('cell = "lstm+coupled"\nforget_bias = 1.0\n', "onnx torch"),
    "projection": ('cell = "lstm+projection"\nprojection = 5\nlayers = 2\n', "onnx torch"),
    "peephole, projection": ('cell = "lstm+peephole+projection"\n', "onnx"),
    "normalised layers": ('cell = "lstm+layernorm"\n', ""),
    "one-hot": (ONE_HOT + "output_bias = true\n", "onnx torch"),
    "one-hot, coupled": (ONE_HOT + 'cell = "lstm+coupled"\n', "onnx torch"),
    "one-hot, running mean": (ONE_HOT + 'cell = "gru"\nrunning_mean = true\n', "onnx torch"),
    "attention": (ATTENTION, "onnx torch"),
    "attention, gru": (ATTENTION + 'cell = "gru"\nlayers = 2\noutput = "free"\n', "onnx torch"),
    "two tables": ("input_scale = 0.0\nembedding = 9\nrepeat_lags = 2\n", "onnx torch"),
    "scaled, not compared so": ("temperature = 0.0\n", "onnx torch"),
    "paths around layers": ("layers = 3\nresidual = true\n", "onnx"),
    "learned starts": ('layers = 2\ninitial_state = "learned"\n', "onnx"),
    "learned starts, gru": ('cell = "gru"\ninitial_state = "learned"\n', "onnx"),
    "learned starts, peephole": ('cell = "lstm+peephole"\ninitial_state = "learned"\n', "onnx"),
    "mean": ('readout = "mean"\n', "onnx"),
    "max": ('readout = "max"\ncell = "lstm+projection"\n', "onnx"),
    "max, paths around layers": ('readout = "max"\nlayers = 2\nresidual = true\n', "onnx"),
    "head": ("head = [9, 7]\n", "onnx"),
    "head, tanh": ('head = [9]\nhead_activation = "tanh"\noutput = "free"\n', "onnx"),
    "head, elu, attention": (ATTENTION + 'head = [9]\nhead_activation = "elu"\n', "onnx"),
    "different widths": ("widths = [9, 11]\nembedding = 11\n", "onnx"),
}


class Network(nn.Module):
    """A model of a configuration, as the header of a state dict has it; one session at a time."""

    def __init__(self, config, items):
        super().__init__()
        self.config = config
        embedding, hidden, cell = config["embedding"], config["hidden"], config["cell"]
        self.family = cell.split("+")[0]
        options = {}
        self.width = hidden
        if cell.endswith("projection"):
            self.width = options["proj_size"] = config["projection"] or (hidden + 1) // 2
        one_hot = config["input"] == "one-hot"
        if not one_hot:
            self.embedding = nn.Embedding(items, embedding)
        kind = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}[self.family]
        entering = items if one_hot else embedding
        setattr(self, self.family, kind(entering, hidden, config["layers"], **options))
        width = embedding if config["output"] == "tied" else self.width
        linear = lambda inputs, outputs: nn.Linear(inputs, outputs, bias=False)
        if config["readout"] == "attention":
            key = config["attention_key"]
            self.readout = nn.ModuleDict({
                "h": linear(self.width, width), "x": linear(embedding, width), "c": linear(embedding, width),
                "query": linear(self.width, key), "key_h": linear(self.width, key), "key_x": linear(embedding, key),
            })
            self.readout.lag_bias = nn.Parameter(torch.zeros(config["attention_lags"]))
        elif width != self.width:
            self.readout = linear(self.width, width)
        self.output = nn.Linear(width, items, bias=config["output_bias"])
        if config["repeat_lags"]:
            self.repeat = nn.Module()
            self.repeat.bias = nn.Parameter(torch.zeros(config["repeat_lags"]))

    def forward(self, ids):
        config, steps = self.config, torch.arange(len(ids))
        if config["input"] == "one-hot":
            x = torch.eye(self.output.out_features)[ids]
            if config["running_mean"]:
                x = x.cumsum(0) / (steps + 1)[:, None]
        else:
            x = self.embedding(ids)
            if config["input_scale"]:
                x = config["input_scale"] * normalize(x, dim=-1)
        states, _ = getattr(self, self.family)(x)
        hidden = states[-1]
        if config["readout"] == "attention":
            r, lag = self.readout, (len(ids) - 1 - steps).clamp(max=config["attention_lags"] - 1)
            key = r["key_h"](states) + r["key_x"](x)
            weights = (key @ r["query"](hidden) / key.shape[1] ** 0.5 + r.lag_bias[lag]).softmax(0)
            q = r["h"](hidden) + r["x"](x[-1]) + r["c"](weights @ x)
        else:
            q = self.readout(hidden) if hasattr(self, "readout") else hidden
        table = self.output.weight
        if config["temperature"]:
            q, table = config["temperature"] * normalize(q, dim=-1), normalize(table, dim=-1)
        scores = table @ q
        if config["output_bias"]:
            scores = scores + self.output.bias
        if config["repeat_lags"]:
            latest = {item: min(lag, config["repeat_lags"] - 1) for lag, item in reversed([*enumerate(reversed(ids.tolist()))])}
            for item, lag in latest.items():
                scores[item] = scores[item] + self.repeat.bias[lag]
        return scores, q, hidden


class Check:
    """What is compared, and whether it has held so far."""

    def __init__(self, program):
        self.program, self.failed = program, False

    def run(self, *arguments, fails=False):
        command = [self.program, *map(str, arguments), "--quiet"]
        done = subprocess.run(command, capture_output=True, text=True)
        if (done.returncode != 0) != fails:
            sys.exit(f"{' '.join(command)}: exit code {done.returncode}\n{done.stderr}")
        return done.stderr if fails else done.stdout

    def recommended(self, model, session, items):
        """The probabilities of all items, in the order of `items`."""
        text = self.run("recommend", model, "--events", " ".join(items[i] for i in session), "-k", len(items), "--json")
        found = {entry["item"]: entry["score"] for entry in json.loads(text)["items"]}
        return np.array([found[item] for item in items])

    def same(self, what, one, other, allowed=ALLOWED):
        worst = np.abs(np.asarray(one, float) - np.asarray(other, float)).max()
        good = worst <= allowed
        self.failed |= not good
        print(f"  {'ok  ' if good else 'FAIL'} {what}: {worst:.1e}")

    def scores(self, what, scores, probabilities):
        """Scores and the probabilities of `recommend`: those, and their logarithms. The latter are
        scores but for one number a row, and may be off by so many times their size."""
        scores = np.asarray(scores, float)
        shifted = scores - scores.max(1, keepdims=True)
        ours = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
        self.same(f"{what}, probabilities", np.exp(ours), probabilities)
        size = max(1.0, np.abs(scores).max())
        self.same(f"{what}, scores", ours / size, np.log(np.maximum(probabilities, 1e-38)) / size)


def of_header(path):
    with safe_open(path, "pt") as file:
        return json.loads(file.metadata()["tidegate"])


def sessions_of(items):
    draw = np.random.default_rng(7)
    sessions = [draw.integers(0, items, length).tolist() for length in (1, 2, 3, 8, 5, 13, 1)]
    sessions[3] = [4, 9, 4, 4, 2, 9, 7, 2]
    sessions[5][10:] = sessions[5][:3]
    return sessions


def in_runtime(path, sessions):
    """Scores, pictures and last states of ONNX Runtime, for all sessions at once."""
    onnx.checker.check_model(onnx.load(path), full_check=True)
    runtime = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    lengths = np.array([len(session) for session in sessions], np.int32)
    # What stands behind the end of a row must not matter: here the row's first item.
    items = np.array([session + [session[0]] * (lengths.max() - len(session)) for session in sessions])
    return runtime.run(["scores", "picture", "hidden"], {"items": items.astype(np.int64), "lengths": lengths})


def in_torch(network, sessions):
    with torch.no_grad():
        rows = [network(torch.tensor(session)) for session in sessions]
    return [torch.stack(part).numpy() for part in zip(*rows)]


MISTAKES = {
    "gates": "two gates of every LSTM and GRU change places in the graph",
    "bias": "the GRU's b_hn stands outside the reset product in the graph",
    "reset": "linear_before_reset is 0 in the graph",
    "lengths": "every row of the graph's batch is as long as the longest",
    "time": "the graph reads its rows backwards",
    "torch-gates": "two gates change places in the state dict",
    "torch-time": "PyTorch reads the session backwards",
}


def broken_graph(path, mistake):
    model = onnx.load(path)
    weights = {tensor.name: tensor for tensor in model.graph.initializer}

    def edit(name, change):
        values = onnx.numpy_helper.to_array(weights[name]).copy()
        change(values)
        weights[name].CopyFrom(onnx.numpy_helper.from_array(values, name))

    def swap(values):
        hidden = values.shape[1] // 3 if node.op_type == "GRU" else values.shape[1] // 4
        values[:, :hidden], values[:, hidden : 2 * hidden] = values[:, hidden : 2 * hidden].copy(), values[:, :hidden].copy()

    def outside(values):
        hidden = values.shape[1] // 6
        values[:, 2 * hidden : 3 * hidden] += values[:, 5 * hidden :]
        values[:, 5 * hidden :] = 0

    for node in model.graph.node:
        if node.op_type not in ("LSTM", "GRU", "RNN"):
            continue
        if mistake == "gates" and node.op_type != "RNN":
            edit(node.input[2], swap)
        if mistake == "bias" and node.op_type == "GRU":
            edit(node.input[3], outside)
        for attribute in node.attribute:
            if mistake == "reset" and attribute.name == "linear_before_reset":
                attribute.i = 0
            if mistake == "time" and attribute.name == "direction":
                attribute.s = b"reverse"
        if mistake == "lengths":
            node.input[4] = ""
    onnx.save(model, path)


def check_case(check, folder, name, model_keys, formats, mistake):
    print(name)
    settings, model, shop = folder / "config.toml", folder / name.replace(" ", "-"), folder / "shop.csv"
    sizes = "hidden = 11\n" + ("" if "embedding" in model_keys.replace("embedding_", "") else "embedding = 11\n")
    settings.write_text(f"[model]\n{sizes}{model_keys}[training]\nepochs = 1\nbatch_targets = 256\n")
    check.run("train", shop, "--config", settings, "--out", model)
    graph, state = str(folder / "model.onnx"), folder / "state.safetensors"
    listed = folder / "items.txt"
    for format, path in (("onnx", graph), ("torch", state)):
        if format not in formats:
            message = check.run("export", model, "--out", path, fails=True)
            assert "train with --cell" in message or "trains a model that can be written" in message, message
            print(f"  ok   {format}: refused")
    if not formats:
        return
    check.run("export", model, "--out", graph)
    metadata = {entry.key: entry.value for entry in onnx.load(graph).metadata_props}
    items = json.loads(metadata["items"])
    sessions = sessions_of(len(items))
    probabilities = np.stack([check.recommended(model, session, items) for session in sessions])
    broken_graph(graph, mistake)
    scores, pictures, hidden = in_runtime(graph, sessions)
    check.scores("ONNX Runtime", scores, probabilities)
    if "torch" not in formats:
        return

    check.run("export", model, "--out", state, "--items", listed)
    assert listed.read_text().splitlines() == items
    network, weights = Network(of_header(state)["model"], len(items)), load_file(state)
    if mistake == "torch-gates" and network.family != "rnn":
        key = f"{network.family}.weight_hh_l0"
        first, second, *rest = weights[key].split(11)
        weights[key] = torch.cat([second, first, *rest])
    network.load_state_dict(weights, strict=True)
    backwards = mistake == "torch-time"
    in_order = [session[::-1] if backwards else session for session in sessions]
    torch_scores, torch_pictures, torch_hidden = in_torch(network, in_order)
    check.scores("PyTorch", torch_scores, probabilities)
    size = max(1.0, np.abs(torch_pictures).max())
    check.same("PyTorch and ONNX Runtime, pictures", pictures / size, torch_pictures / size)
    check.same("PyTorch and ONNX Runtime, hidden states", hidden, torch_hidden)

    check.run("import", state, "--like", model, "--out", folder / "back", "--force")
    again = np.stack([check.recommended(folder / "back", session, items) for session in sessions])
    # The same numbers, and where gates were not rewritten, the same bits.
    check.same("there and back", again, probabilities, 1e-6 if "coupled" in model_keys else 0.0)


class Mine(nn.Module):
    """A module as people write them."""

    def __init__(self, kind, items, width, **options):
        super().__init__()
        self.emb = nn.Embedding(items, width)
        self.rnn = kind(width, 8, num_layers=2, **options)
        self.fc = nn.Linear(options.get("proj_size", 8), items)

    def forward(self, ids):
        states, _ = self.rnn(self.emb(ids))
        return self.fc(states[-1]), states[-1], states[-1]


def check_import(check, folder):
    items = [f"item {k}" for k in range(23)]
    sessions = sessions_of(len(items))
    listed, state = folder / "mine.txt", folder / "mine.safetensors"
    listed.write_text("".join(item + "\n" for item in items))
    for kind, family, options in (
        (nn.LSTM, "lstm", {}),
        (nn.LSTM, "lstm", {"proj_size": 3}),
        (nn.GRU, "gru", {}),
        (nn.RNN, "rnn", {}),
    ):
        for dtype in (torch.float32, torch.float64, torch.float16, torch.bfloat16):
            torch.manual_seed(5)
            module = Mine(kind, len(items), 6, **options).to(dtype)
            save_file(module.state_dict(), state)
            module = module.to(torch.float32)
            print(f"{kind.__name__} {options or ''} from {str(dtype).removeprefix('torch.')}")
            check.run("import", state, "--items", listed, "--rename", f"emb=embedding,rnn={family},fc=output", "--out", folder / "mine", "--force")
            scores, _, _ = in_torch(module, sessions)
            # An id with a blank goes through a file.
            rows = []
            for session in sessions:
                events = folder / "events.txt"
                events.write_text("".join(items[i] + "\n" for i in session))
                text = check.run("recommend", folder / "mine", "--events-file", events, "-k", len(items), "--json")
                found = {entry["item"]: entry["score"] for entry in json.loads(text)["items"]}
                rows.append([found[item] for item in items])
            check.scores("import", scores, np.array(rows))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--tidegate", default="target/release/tidegate", help="the program")
    parser.add_argument("--case", help="only this one")
    parser.add_argument("--break", dest="mistake", choices=MISTAKES, metavar="NAME", help="; ".join(f"{k}: {v}" for k, v in MISTAKES.items()))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    check = Check(str(pathlib.Path(arguments.tidegate).resolve()))
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        check.run("simulate", "--out", folder / "shop.csv", "--events", 2000)
        for name, (model_keys, formats) in CASES.items():
            if arguments.case in (None, name):
                check_case(check, folder, name, model_keys, formats, arguments.mistake)
        if arguments.case in (None, "import"):
            check_import(check, folder)
    if check.failed:
        sys.exit("something differs")
    print(f"all within {ALLOWED}")


if __name__ == "__main__":
    main()
