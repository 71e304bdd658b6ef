"""The LSTM stack of one shape in each peer, ready to be timed by sequence.py.

All are given the same work: x `[T, B, I]` in, h `[T, B, H]` of the top layer out, the first state
zero; in training also dh `[T, B, H]` in, the gradients of x and of every weight out. Weights, x and
dh are made before the clock starts, and the results lie where the peer likes to put them.
"""

import os

from rounds import MALLOC, InProcess, fail, fastest, run_json, thread_counts, threads_text

INSTALL = "pip install -r benches/peers/requirements.txt"


def need(module):
    """Imports a peer, or ends the script with what to install."""
    try:
        return __import__(module)
    except ImportError as error:
        name = {"onnx": "onnxruntime"}.get(module, module)
        remedy = "" if name == "numpy" else f", or leave {name} out with --peers"
        fail(f"{module} is missing ({error}): {INSTALL}{remedy}")


class Numbers:
    """Weights, x and dh of one shape, as float32 arrays of NumPy that every peer may read. Weights are
    those of LSTM layers in one direction; other cells have what their peer gives them."""

    def __init__(self, shape, seed=1):
        import numpy as np

        random = np.random.default_rng(seed)

        def uniform(bound, *dims):
            return random.uniform(-bound, bound, dims).astype(np.float32)

        hidden, bound = shape.hidden, shape.hidden**-0.5
        self.layers = []  # (w_x [4H, I], w_h [4H, H], b [4H]), gates i f g o
        for layer in range(shape.layers):
            columns = shape.input if layer == 0 else hidden
            dims = (4 * hidden, columns), (4 * hidden, hidden), (4 * hidden,)
            self.layers.append(tuple(uniform(bound, *each) for each in dims))
        self.x = uniform(1.0, shape.steps, shape.batch, shape.input)
        self.dh = uniform(1.0, shape.steps, shape.batch, shape.width)
        self.runs = np.arange(shape.steps)[:, None] < np.array(shape.lengths)[None, :]
        self.dh[~self.runs] = 0.0


# --- PyTorch --------------------------------------------------------------------------------------


class Torch:
    """nn.LSTM, nn.GRU, nn.RNN: oneDNN's primitive on a full or padded block, ATen's own loop on a packed batch.

    Generous: a packed batch is packed before the clock starts; inference runs in inference_mode.
    Not among the manners, after one look at three shapes (T20,B32,I100,H100 to T50,B128,I256,H512)
    on a two-core Zen 3 that others used, too: torch.compile with frozen weights (3 % faster to 28 %
    slower, inference) and ATen's own loop on the block (slower each time, both modes).
    """

    def __init__(self, shape, numbers):
        torch = need("torch")
        self.torch, self.shape = torch, shape
        if shape.cell in ("gru", "rnn"):
            module, more = {"gru": torch.nn.GRU, "rnn": torch.nn.RNN}[shape.cell], {}
        else:
            module, more = torch.nn.LSTM, {"proj_size": shape.projection}
        more["bidirectional"] = shape.both
        self.lstm = module(shape.input, shape.hidden, shape.layers, **more)
        with torch.no_grad():
            if shape.cell != "lstm" or shape.both:
                return self.take(numbers)
            for layer, (w_x, w_h, b) in enumerate(numbers.layers):
                getattr(self.lstm, f"weight_ih_l{layer}").copy_(torch.from_numpy(w_x))
                getattr(self.lstm, f"weight_hh_l{layer}").copy_(torch.from_numpy(w_h))
                getattr(self.lstm, f"bias_ih_l{layer}").copy_(torch.from_numpy(b))
                getattr(self.lstm, f"bias_hh_l{layer}").zero_()
        self.take(numbers)

    def take(self, numbers):
        torch, shape = self.torch, self.shape
        self.x, self.dh = torch.from_numpy(numbers.x), torch.from_numpy(numbers.dh)
        pack = torch.nn.utils.rnn.pack_padded_sequence
        self.packed = pack(self.x, shape.lengths) if shape.skewed else None
        self.packed_dh = pack(self.dh, shape.lengths).data if shape.skewed else None

    def h(self):
        """h `[T, B, H]` as a NumPy array; behind the end of a row it means nothing."""
        with self.torch.inference_mode():
            return self.lstm(self.x)[0].numpy()

    def calls(self, mode):
        """(name, call): the block, and the packed batch where the lengths are skewed."""
        yield "torch", self.on_block(mode)
        if self.shape.skewed:
            yield "torch packed", self.on_packed(mode)

    def on_block(self, mode):
        if mode == "forward":
            return self.without_gradients(self.x)
        x = self.x.clone().requires_grad_()
        leaves = [x, *self.lstm.parameters()]
        return lambda: self.torch.autograd.grad(self.lstm(x)[0], leaves, self.dh)

    def on_packed(self, mode):
        if mode == "forward":
            return self.without_gradients(self.packed)
        data = self.packed.data.clone().requires_grad_()
        packed = self.torch.nn.utils.rnn.PackedSequence(data, self.packed.batch_sizes)
        leaves = [data, *self.lstm.parameters()]
        return lambda: self.torch.autograd.grad(self.lstm(packed)[0].data, leaves, self.packed_dh)

    def without_gradients(self, x):
        def call():
            with self.torch.inference_mode():
                return self.lstm(x)

        return call

    def engines(self, mode, options):
        """One engine a name, with the thread count that was fastest."""
        for name, call in self.calls(mode):
            manners = [
                InProcess(
                    name,
                    threads_text(count),
                    call,
                    lambda count=count: self.torch.set_num_threads(count),
                )
                for count in thread_counts(options)
            ]
            yield fastest(manners, options.seconds / 4)


# --- ONNX Runtime ---------------------------------------------------------------------------------


class Onnx:
    """A graph of one LSTM operator a layer, its weights constant, so that they are packed once.

    Generous: input and output are bound beforehand, so that nothing is copied; the arena keeps its
    memory; on skewed lengths the faster of two ways, with the row lengths given or padded.
    """

    def __init__(self, shape, numbers):
        self.ort, self.onnx = need("onnxruntime"), need("onnx")
        self.shape, self.numbers = shape, numbers

    def graph(self, with_lengths):
        import numpy as np

        helper, shape = self.onnx.helper, self.shape
        steps, batch, hidden = shape.steps, shape.batch, shape.hidden
        constant, nodes = {}, []
        if with_lengths:
            constant["lengths"] = np.array(shape.lengths, dtype=np.int32)
        if shape.layers > 1:
            constant["direction"] = np.array([1], dtype=np.int64)
        for layer, (w_x, w_h, b) in enumerate(self.numbers.layers):
            names = [f"w_x{layer}", f"w_h{layer}", f"b{layer}"]
            biases = np.concatenate((to_iofc(b), np.zeros_like(b)))
            constant |= zip(names, (to_iofc(w_x)[None], to_iofc(w_h)[None], biases[None]))
            lengths = "lengths" if with_lengths else ""
            inputs = ["x" if layer == 0 else f"x{layer}", *names, lengths]
            output = "h" if layer == shape.layers - 1 else f"h{layer}"
            nodes.append(helper.make_node("LSTM", inputs, [output], hidden_size=hidden))
            if output != "h":
                nodes.append(helper.make_node("Squeeze", [output, "direction"], [f"x{layer + 1}"]))
        tensor = [self.onnx.numpy_helper.from_array(value, key) for key, value in constant.items()]
        info, real = helper.make_tensor_value_info, self.onnx.TensorProto.FLOAT
        x, h = [steps, batch, shape.input], [steps, 1, batch, hidden]
        graph = helper.make_graph(
            nodes, "lstm", [info("x", real, x)], [info("h", real, h)], initializer=tensor
        )
        return model_bytes(self.onnx, graph)

    def call(self, threads, with_lengths):
        """The call to be timed, and the array that it writes h into."""
        import numpy as np

        shape = self.shape
        session = make_session(self.ort, self.graph(with_lengths), threads)
        h = np.zeros((shape.steps, 1, shape.batch, shape.hidden), dtype=np.float32)
        binding = Bound(self.ort, session, {"x": self.numbers.x}, {"h": h})
        return lambda: session.run_with_iobinding(binding.io), h

    def h(self):
        call, h = self.call(1, self.shape.skewed)
        call()
        return h[:, 0]

    def engines(self, mode, options):
        if mode != "forward":
            return
        manners = []
        for with_lengths in (True, False) if self.shape.skewed else (False,):
            for threads in thread_counts(options):
                how = ", lengths given" if with_lengths else ", padded" if self.shape.skewed else ""
                call, _ = self.call(threads, with_lengths)
                manners.append(InProcess("onnxruntime", threads_text(threads) + how, call))
        yield fastest(manners, options.seconds / 4)


def to_iofc(blocks):
    """Gate blocks i f g o in the order of ONNX: i o f c."""
    import numpy as np

    i, f, g, o = np.split(blocks, 4)
    return np.ascontiguousarray(np.concatenate((i, o, f, g)))


def model_bytes(onnx, graph):
    """The graph as a model of a version that older runtimes read, too."""
    opset = [onnx.helper.make_opsetid("", 17)]
    model = onnx.helper.make_model(graph, opset_imports=opset, ir_version=8)
    return model.SerializeToString()


def make_session(ort, model, threads):
    settings = ort.SessionOptions()
    settings.intra_op_num_threads = threads
    settings.inter_op_num_threads = 1
    settings.enable_cpu_mem_arena = True
    settings.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    settings.add_session_config_entry("session.set_denormal_as_zero", "1")
    return ort.InferenceSession(model, settings, providers=["CPUExecutionProvider"])


class Bound:
    """Inputs and outputs of a session laid into these arrays, which it keeps alive."""

    def __init__(self, ort, session, inputs, outputs):
        self.arrays, self.io = {**inputs, **outputs}, session.io_binding()
        for name, array in inputs.items():
            self.io.bind_cpu_input(name, array)
        for name, array in outputs.items():
            kind = array.dtype.type
            self.io.bind_output(name, "cpu", 0, kind, array.shape, array.ctypes.data)


# --- candle and burn ------------------------------------------------------------------------------


class Rust:
    """One engine of benches/peers/rust; a turn is one run of that program, warm-up left out.

    Generous: it has the malloc settings, too.
    """

    def __init__(self, name, program, shape, mode, threads):
        self.name, self.manner = name, threads_text(threads)
        self.words = [str(program), name, "--shape", shape.text, "--mode", mode]
        self.environment = {**os.environ, **MALLOC, "RAYON_NUM_THREADS": str(threads)}
        self.version = None

    def turn(self, seconds):
        return self.run("--seconds", str(seconds))

    def trial(self, seconds):
        return self.run("--seconds", str(seconds), "--trial", "yes")

    def run(self, *more):
        found = run_json([*self.words, *more], self.environment)
        self.version = found["version"]
        return found["samples_s"]


def rust_engine(name, shape, mode, options):
    counts = thread_counts(options)
    manners = [Rust(name, options.rust, shape, mode, count) for count in counts]
    return fastest(manners, options.seconds / 4)


# --- the same work --------------------------------------------------------------------------------


def largest_difference(ours, theirs, numbers):
    """Between two arrays of h, over the positions that exist."""
    return float(abs(ours - theirs)[numbers.runs].max())
