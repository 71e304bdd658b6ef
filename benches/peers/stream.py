#!/usr/bin/env python3
"""Times one streaming step of an LSTM, ours against ONNX Runtime and PyTorch, in f32.

    cargo build --release
    python benches/peers/stream.py --shape B1,I128,H128

A step is what serving a shopper costs: one input row and the state (h, c) in, the state after it
out. With `V` in the shape (`B1,V17376,I128,H128`) the input is an item, whose row of I numbers the
peer first takes from a table of V rows. A turn makes calls of 200 steps one after another, each
from the state of the step before; times are of one step, on one thread unless
as many as ours are faster.

The work is not the same, and that is the point: an item's share of the step, `x·w_xᵀ + b`, is the
same whenever it is clicked, so ours reads it from a table made before the clock starts and makes
8·H·H FLOP a step. The peers know an input, not an item, and multiply by w_x at every step: 8·H·(I +
H). `--shape B1,I1,H128` takes that difference away.

What is generous to the peers: the same input at every step, so that it lies in the cache; no copies
in or out (ONNX Runtime's two bindings write the state to and fro between two places); PyTorch in
the fastest of three ways. Ours is timed without Python: therefore an empty graph with the same
inputs and outputs is timed, too, and a second ratio is against ONNX Runtime less that call.

Exit codes: 0 done, 1 something failed or is missing, 2 the command line is wrong.
"""

import argparse
import re
from importlib.metadata import version

import lstm_peers
import rounds
from lstm_peers import need
from rounds import InProcess, fail, say

PEERS = ("torch", "onnxruntime")
STEPS = 200
LESS_CALL = "onnxruntime less call"


class Steps(InProcess):
    """An engine whose call makes STEPS steps; its samples are seconds of one step."""

    def turn(self, seconds):
        return [sample / STEPS for sample in super().turn(seconds)]

    def trial(self, seconds):
        return self.turn(seconds)


def parse(text):
    matches = [re.fullmatch(r"([BVIH])([1-9]\d*)", part) for part in text.split(",")]
    sizes = {match[1]: int(match[2]) for match in matches if match}
    if len(sizes) < len(matches) or not {*"BIH"} <= sizes.keys():
        fail(f"--shape {text}: say B1,I128,H128 or B1,V17376,I128,H128", 2)
    if sizes["B"] != 1:
        fail(f"--shape {text}: a streaming step is for one user; say B1", 2)
    return sizes["B"], sizes.get("V", 0), sizes["I"], sizes["H"]


class Numbers:
    """One layer's weights (gates i f g o), the table, an input row and items, as NumPy arrays."""

    def __init__(self, batch, items, columns, hidden):
        import numpy as np

        random, bound = np.random.default_rng(1), hidden**-0.5

        def uniform(*dims):
            return random.uniform(-bound, bound, dims).astype(np.float32)

        self.batch, self.columns, self.hidden = batch, columns, hidden
        self.w_x, self.w_h = uniform(4 * hidden, columns), uniform(4 * hidden, hidden)
        self.b = uniform(4 * hidden)
        self.x = uniform(1, batch, columns)
        self.table = uniform(items, columns) if items else None
        self.item = random.integers(0, items, batch) if items else None
        if items:
            self.x = self.table[self.item][None]


# --- PyTorch --------------------------------------------------------------------------------------


def torch_manners(numbers):
    """(name, function from a number of steps to the last h): every way to write the loop down."""
    torch = need("torch")
    hidden = numbers.hidden
    lstm, cell = torch.nn.LSTM(numbers.columns, hidden), torch.nn.LSTMCell(numbers.columns, hidden)
    values = [torch.from_numpy(each) for each in (numbers.w_x, numbers.w_h, numbers.b)]
    values.append(torch.zeros(4 * hidden))
    with torch.no_grad():
        for module in (lstm, cell):
            for parameter, value in zip(module.parameters(), values):
                parameter.copy_(value)
    x = torch.from_numpy(numbers.x)
    item = None if numbers.item is None else torch.from_numpy(numbers.item)
    table = None if numbers.table is None else torch.from_numpy(numbers.table)
    start = torch.zeros(1, numbers.batch, hidden)

    def block():
        return x if item is None else table.index_select(0, item)[None]

    def rows():
        return x[0] if item is None else table.index_select(0, item)

    def by_lstm(steps):
        state = (start, start)
        for _ in range(steps):
            state = lstm(block(), state)[1]
        return state[0][0]

    def by_cell(steps):
        state = (start[0], start[0])
        for _ in range(steps):
            state = cell(rows(), state)
        return state[0]

    def by_operator(steps):
        state, step, weights = (start[0], start[0]), torch.lstm_cell, values
        for _ in range(steps):
            state = step(rows(), state, *weights)
        return state[0]

    return torch, {"nn.LSTM": by_lstm, "nn.LSTMCell": by_cell, "lstm_cell": by_operator}


def torch_engine(numbers, options):
    torch, manners = torch_manners(numbers)

    def quietly(loop):
        def call():
            with torch.inference_mode():
                return loop(STEPS)

        return call

    engines = [
        Steps(
            "torch",
            f"{name}, {rounds.threads_text(count)}",
            quietly(loop),
            lambda count=count: torch.set_num_threads(count),
        )
        for name, loop in manners.items()
        for count in rounds.thread_counts(options)
    ]
    return rounds.fastest(engines, options.seconds / 4)


# --- ONNX Runtime ---------------------------------------------------------------------------------


def onnx_graph(numbers, empty):
    """(x or item, h, c) to (h_next, c_next); an empty graph only hands its state through."""
    import numpy as np

    onnx = need("onnx")
    helper, to_iofc = onnx.helper, lstm_peers.to_iofc
    hidden, batch = numbers.hidden, numbers.batch
    real, whole = onnx.TensorProto.FLOAT, onnx.TensorProto.INT64
    state = [1, batch, hidden]
    given = ("x", real, list(numbers.x.shape))
    if numbers.item is not None:
        given = ("item", whole, [1, batch])
    nodes, constant = [], {}
    if empty:
        nodes += [helper.make_node("Identity", [name], [f"{name}_next"]) for name in ("h", "c")]
    else:
        biases = np.concatenate((to_iofc(numbers.b), np.zeros_like(numbers.b)))
        constant = {"w_x": to_iofc(numbers.w_x), "w_h": to_iofc(numbers.w_h), "b": biases}
        constant = {name: value[None] for name, value in constant.items()}
        if numbers.item is not None:
            constant["table"] = numbers.table
            nodes.append(helper.make_node("Gather", ["table", "item"], ["x"]))
        inputs = ["x", "w_x", "w_h", "b", "", "h", "c"]
        outputs = ["", "h_next", "c_next"]
        nodes.append(helper.make_node("LSTM", inputs, outputs, hidden_size=hidden))
    info = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "step",
        [info(*given), info("h", real, state), info("c", real, state)],
        [info("h_next", real, state), info("c_next", real, state)],
        initializer=[onnx.numpy_helper.from_array(v, name) for name, v in constant.items()],
    )
    return lstm_peers.model_bytes(onnx, graph)


def onnx_loop(numbers, threads, empty=False):
    """A function from a number of steps to the last h."""
    import numpy as np

    ort = need("onnxruntime")
    session = lstm_peers.make_session(ort, onnx_graph(numbers, empty), threads)
    h, c = (
        [np.zeros((1, numbers.batch, numbers.hidden), dtype=np.float32) for _ in range(2)]
        for _ in range(2)
    )
    given = {"x": numbers.x} if numbers.item is None else {"item": numbers.item[None]}
    to_and_fro = [
        lstm_peers.Bound(
            ort,
            session,
            {**given, "h": h[k], "c": c[k]},
            {"h_next": h[1 - k], "c_next": c[1 - k]},
        )
        for k in range(2)
    ]
    # The public run_with_iobinding looks for a captured GPU graph first: a microsecond of Python.
    run, (there, back) = session._sess.run_with_iobinding, [b.io._iobinding for b in to_and_fro]

    def loop(steps):
        h[0][:], c[0][:] = 0, 0
        for _ in range(steps // 2):
            run(there, None)
            run(back, None)
        return h[0][0]

    # The session and the bindings live as long as the function does.
    loop.keeps = session, to_and_fro
    return loop


def onnx_engines(numbers, options):
    """The step, and the empty graph on the same number of threads."""
    engines = []
    for threads in rounds.thread_counts(options):
        loop = onnx_loop(numbers, threads)
        engine = Steps("onnxruntime", rounds.threads_text(threads), lambda loop=loop: loop(STEPS))
        engine.threads = threads
        engines.append(engine)
    best = rounds.fastest(engines, options.seconds / 4)
    empty = onnx_loop(numbers, best.threads, empty=True)
    return [best, Steps("empty graph", best.manner, lambda: empty(STEPS))]


# --- the contest ----------------------------------------------------------------------------------


def check_same(numbers):
    """PyTorch's ways and ONNX Runtime reach the same h after ten steps."""
    torch, manners = torch_manners(numbers)
    with torch.inference_mode():
        found = {name: loop(10).numpy() for name, loop in manners.items()}
    found["onnxruntime"] = onnx_loop(numbers, 1)(10)
    for name, h in found.items():
        difference = abs(h - found["nn.LSTM"]).max()
        if not difference < 1e-4:
            fail(f"h of {name} and of nn.LSTM differ by {difference:.1e}: not the same work")


def less_call(result):
    """The ratio against ONNX Runtime after the empty graph's time is taken off, round by round."""
    engines = result["engines"]
    if not {"tidegate", "onnxruntime", "empty graph"} <= engines.keys():
        return
    result["ratios"].pop("empty graph")
    of = {name: row["rounds"] for name, row in engines.items()}
    triples = zip(of["tidegate"], of["onnxruntime"], of["empty graph"])
    pairs = [(theirs - call) / ours for ours, theirs, call in triples]
    result["ratios"][LESS_CALL] = rounds.spread(pairs)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--shape", default="B1,I128,H128", help="[default: B1,I128,H128]")
    parser.add_argument("--peers", default=",".join(PEERS), help=f"[default: {','.join(PEERS)}]")
    rounds.add_common_arguments(parser)
    options = parser.parse_args()
    rounds.check_common_arguments(options)
    sizes = parse(options.shape)
    peers = rounds.named_peers(options, PEERS)
    rounds.under_other_malloc()
    binary = rounds.find_binary(options)
    need("numpy")
    numbers = Numbers(*sizes)
    if "torch" in peers:
        need("torch").set_flush_denormal(True)
    if {*PEERS} == {*peers}:
        check_same(numbers)

    engines = []
    if binary:
        engines.append(rounds.Ours(binary, "stream", options.shape, "step", options.threads))
    if "torch" in peers:
        engines.append(torch_engine(numbers, options))
    if "onnxruntime" in peers:
        engines += onnx_engines(numbers, options)
    say(f"{options.shape}: {options.rounds} rounds")
    result = rounds.contest(engines, options.rounds, options.seconds)
    less_call(result)
    rounds.finish(
        {
            "machine": rounds.machine() | (engines[0].machine if binary else {}),
            "versions": {name: f"{name} {version(name)}" for name in peers},
            "shape": options.shape,
            "mode": "step",
            "threads": options.threads,
            **result,
        },
        options,
    )


if __name__ == "__main__":
    main()
