#!/usr/bin/env python3
"""Times one nn.LSTM layer of PyTorch on a CUDA card, for `tidegate gpu-check`, which calls it.

    python benches/peers/gpu_sequence.py --shape T100,B64,I512,H512 T200,B512,I128,H128,lengths=skew

One JSON object on stdout: PyTorch's name, and for every shape, mode and format the samples. Formats:
fp32 with TF32 switched off, tf32 (what PyTorch takes by default for fp32 in cuDNN), bf16, fp16; states,
weights and input are all of that format. `forward` is inference (no_grad, eval); `training` is forward and
the gradients of x and of every weight for a given dh. With `lengths=skew` both the packed batch and
the padded block are timed, and the faster one counts. A sample is the mean of as many calls as fill
`--sample-s`; the card is waited for at the end of a sample, as ours is.
"""

import argparse
import json
import math
import statistics
import time

import torch
from torch.nn.utils.rnn import pack_padded_sequence

from shapes import parse

SAMPLES = 11
DTYPES = {
    "fp32": torch.float32,
    "tf32": torch.float32,
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--shape", nargs="+", action="extend", required=True)
    parser.add_argument("--sample-s", type=float, default=0.02, help="seconds of a sample")
    return parser.parse_args()


def set_tf32(wanted):
    torch.backends.cudnn.allow_tf32 = wanted
    torch.backends.cuda.matmul.allow_tf32 = wanted


def calls(shape, dtype):
    """What is timed: for each mode, the ways to do it."""
    torch.manual_seed(1)
    layer = torch.nn.LSTM(shape.input, shape.hidden, device="cuda", dtype=dtype)
    layer.flatten_parameters()
    x = torch.rand(shape.steps, shape.batch, shape.input, device="cuda", dtype=dtype) * 2 - 1
    dh = torch.rand(shape.steps, shape.batch, shape.hidden, device="cuda", dtype=dtype) * 2 - 1
    x.requires_grad_(True)
    weights = list(layer.parameters())

    def forward(entering):
        layer.eval()
        with torch.no_grad():
            layer(entering())

    def training(entering):
        layer.train()
        h, _ = layer(entering())
        given = dh
        if not torch.is_tensor(h):
            h, given = h.data, dh.view(-1, shape.hidden)[: h.data.shape[0]]
        torch.autograd.grad(h, [x, *weights], given)

    ways = [lambda: x]
    if shape.skewed:
        lengths = torch.tensor(shape.lengths)
        ways.append(lambda: pack_padded_sequence(x, lengths))
    return {
        "forward": [lambda way=way: forward(way) for way in ways],
        "training": [lambda way=way: training(way) for way in ways],
    }


def sample(call, sample_s):
    def run(count):
        torch.cuda.synchronize()
        begin = time.perf_counter()
        for _ in range(count):
            call()
        torch.cuda.synchronize()
        return (time.perf_counter() - begin) / count

    run(2)
    count = min(10_000, max(1, math.ceil(sample_s / run(3))))
    return [run(count) for _ in range(SAMPLES)]


def main():
    options = arguments()
    results = []
    for text in options.shape:
        shape = parse(text)
        for name, dtype in DTYPES.items():
            set_tf32(name == "tf32")
            for mode, ways in calls(shape, dtype).items():
                samples = min((sample(way, options.sample_s) for way in ways), key=statistics.median)
                results.append(
                    {
                        "shape": text,
                        "mode": mode,
                        "dtype": name,
                        "samples_s": samples,
                        "median_s": statistics.median(samples),
                    }
                )
    numbers = str(torch.backends.cudnn.version())
    name = f"PyTorch {torch.__version__}, cuDNN {numbers}, {torch.cuda.get_device_name()}"
    print(json.dumps({"name": name, "results": results}))


if __name__ == "__main__":
    main()
