"""The next-item model of Tidegate in PyTorch, in every way of writing it that may be the fastest.

The model: item embedding (optionally normalised) -> dropout -> LSTM -> the state, or a mix of it with
the last item and causal attention over the items so far -> dropout -> optionally normalised -> scores
against the item table -> full or sampled softmax. Only how it is computed varies, never what:

    layout     padded (one oneDNN call for the sequence) or packed (no padding, a loop in ATen);
               attention wants a block, so it is padded then
    gradients  dense (fused Adam over the whole table), sparse (SparseAdam), or rows (the rows of a
               batch gathered once, Adam by hand on them)
    softmax    autograd (logsumexp), compiled (the same through torch.compile), or inplace (one
               buffer, gradient written by hand)
"""

from dataclasses import dataclass, replace

import torch
from torch import nn
from torch.nn.functional import dropout, embedding, normalize, scaled_dot_product_attention
from torch.nn.utils.rnn import PackedSequence


@dataclass(frozen=True)
class Shape:
    """What is computed: the same for both engines."""

    items: int
    embedding: int
    hidden: int
    layers: int = 1
    tied: bool = True
    input_scale: float = 0.0  # 0: the input is not normalised
    temperature: float = 0.0  # 0: the scores are plain dot products
    input_dropout: float = 0.0
    layer_dropout: float = 0.0
    attention_key: int = 0  # width of queries and keys; 0: the last state alone is read out
    attention_lags: int = 50  # distances that have a bias of their own
    readout_dropout: float = 0.0  # of the last item and of what attention brings
    output_dropout: float = 0.0
    head: int = 0  # most frequent items that are always candidates; 0 with drawn = 0: full softmax
    drawn: int = 0  # candidates drawn uniformly from the rest
    smoothing: float = 0.0
    repeat_lags: int = 0
    learning_rate: float = 1e-3
    clip: float = 0.0
    init_std: float = 0.1

    @property
    def full(self):
        return self.drawn == 0 or self.head + self.drawn >= self.items

    def flops(self):
        """Floating-point operations of one target in training: three products for each forward one."""
        columns = self.items if self.full else self.head + self.drawn
        first = 24 * self.hidden * (self.embedding + self.hidden)
        upper = 24 * self.hidden * 2 * self.hidden * (self.layers - 1)
        wide = self.embedding if self.tied else self.hidden
        keys = self.attention_key * (2 * self.hidden + self.embedding)
        mixed = wide * (self.hidden + 2 * self.embedding)
        readout = 6 * (keys + mixed) if self.attention_key else 0
        return first + upper + readout + 6 * columns * wide


@dataclass(frozen=True)
class Manner:
    """How it is computed: the fastest is found by trying."""

    layout: str = "padded"
    gradients: str = "dense"
    softmax: str = "inplace"
    threads: int = 2

    def __str__(self):
        return f"{self.layout}, {self.gradients} gradients, {self.softmax} softmax, {self.threads} threads"


LAYOUTS = ("padded", "packed")
GRADIENTS = ("dense", "sparse", "rows")
SOFTMAXES = ("inplace", "autograd", "compiled")


def manners(shape, threads):
    """Every way to write the model down that gives the right gradients."""
    gradients = GRADIENTS if shape.tied and not shape.full else GRADIENTS[:1]
    layouts = LAYOUTS[:1] if shape.attention_key else LAYOUTS
    return [
        Manner(layout, gradient, softmax, count)
        for softmax in SOFTMAXES
        for count in threads
        for gradient in gradients
        for layout in layouts
    ]


class SoftmaxInPlace(torch.autograd.Function):
    """Weighted mean of cross-entropies over shared columns and, for some positions, a private one.

    `logits` is overwritten by its own gradient, so that one buffer serves both passes.
    """

    @staticmethod
    def forward(ctx, logits, private, column, is_private, weight, smoothing):
        rows = torch.arange(len(logits))
        share = weight / weight.sum()
        target = torch.where(is_private, private, logits[rows, column])
        spread = logits.mean(1) if smoothing else 0.0
        log_sum = torch.logsumexp(logits, 1)
        total = torch.where(is_private, torch.logaddexp(log_sum, private), log_sum)
        loss = total - (1 - smoothing) * target - smoothing * spread

        torch.softmax(logits, 1, out=logits)
        logits.mul_(((log_sum - total).exp() * share)[:, None])
        if smoothing:
            logits.sub_((smoothing / logits.shape[1] * share)[:, None])
        logits[rows, column] -= torch.where(is_private, 0.0, (1 - smoothing) * share)
        dprivate = ((private - total).exp() - (1 - smoothing)) * share
        ctx.save_for_backward(logits, torch.where(is_private, dprivate, 0.0))
        return (share * loss).sum()

    @staticmethod
    def backward(ctx, dloss):
        dlogits, dprivate = ctx.saved_tensors
        # The loss is the root of the graph: dloss is one, and a pass over the buffer is saved.
        return dlogits, dprivate, None, None, None, None


def softmax_autograd(logits, private, column, is_private, weight, smoothing):
    """The same loss, left to autograd."""
    log_sum = torch.logsumexp(logits, 1)
    total = torch.where(is_private, torch.logaddexp(log_sum, private), log_sum)
    target = torch.where(is_private, private, logits.gather(1, column[:, None])[:, 0])
    loss = total - (1 - smoothing) * target
    if smoothing:
        loss = loss - smoothing * logits.mean(1)
    return (weight * loss).sum() / weight.sum()


softmax_compiled = torch.compile(softmax_autograd, dynamic=True)

LOSSES = {
    "inplace": SoftmaxInPlace.apply,
    "autograd": softmax_autograd,
    "compiled": softmax_compiled,
}


class Attention(nn.Module):
    """q = W_h h + W_x x + W_c c, where c is what the items so far give by causal attention."""

    def __init__(self, shape):
        super().__init__()
        wide = shape.embedding if shape.tied else shape.hidden
        self.rate = shape.readout_dropout
        self.query = nn.Linear(shape.hidden, shape.attention_key, bias=False)
        self.key_h = nn.Linear(shape.hidden, shape.attention_key, bias=False)
        self.key_x = nn.Linear(shape.embedding, shape.attention_key, bias=False)
        self.lag_bias = nn.Parameter(torch.zeros(shape.attention_lags))
        self.w_h = nn.Linear(shape.hidden, wide, bias=False)
        self.w_x = nn.Linear(shape.embedding, wide, bias=False)
        self.w_c = nn.Linear(shape.embedding, wide, bias=False)

    def forward(self, x, h, flat):
        """x [T, B, E] and h [T, B, H] to q of the positions that exist, [N, D]."""
        lag = torch.arange(len(x))[:, None] - torch.arange(len(x))
        bias = self.lag_bias[lag.clamp(0, len(self.lag_bias) - 1)].masked_fill(lag < 0, -torch.inf)
        query, key = self.query(h), self.key_h(h) + self.key_x(x)
        query, key, value = (each.transpose(0, 1) for each in (query, key, x))
        c = scaled_dot_product_attention(query, key, value, attn_mask=bias).transpose(0, 1)
        x, h, c = (each.reshape(-1, each.shape[-1]).index_select(0, flat) for each in (x, h, c))
        return self.w_h(h) + self.w_x(dropout(x, self.rate)) + self.w_c(dropout(c, self.rate))


class NextItem(nn.Module):
    """Model, loss and optimiser together: `step(batch)` is one training step."""

    def __init__(self, shape, manner, seed=1):
        super().__init__()
        torch.manual_seed(seed)
        self.shape, self.manner = shape, manner
        if manner.gradients != "dense" and (shape.full or not shape.tied):
            raise ValueError("a full softmax has a gradient for every row: dense gradients only")
        self.table = nn.Parameter(shape.init_std * torch.randn(shape.items, shape.embedding))
        between = shape.layer_dropout if shape.layers > 1 else 0.0
        self.lstm = nn.LSTM(shape.embedding, shape.hidden, shape.layers, dropout=between)
        if shape.hidden != shape.embedding and shape.tied:
            raise ValueError("tied weights without a projection want hidden = embedding")
        if not shape.tied:
            self.output = nn.Parameter(shape.init_std * torch.randn(shape.items, shape.hidden))
        if shape.attention_key:
            self.attention = Attention(shape)
        if shape.repeat_lags:
            self.repeat = nn.Parameter(torch.zeros(shape.repeat_lags))
        self.steps = 0
        self.column_of = torch.full((shape.items,), -1, dtype=torch.int64)
        self.column_of[: shape.head] = torch.arange(shape.head)
        dense = [p for p in self.parameters() if p is not self.table]
        if manner.gradients == "dense":
            dense.append(self.table)
        self.adam = torch.optim.Adam(dense, lr=shape.learning_rate, fused=True)
        if manner.gradients == "sparse":
            self.sparse_adam = torch.optim.SparseAdam([self.table], lr=shape.learning_rate)
        if manner.gradients == "rows":
            self.m, self.v = torch.zeros_like(self.table), torch.zeros_like(self.table)
            self.local = torch.zeros(shape.items, dtype=torch.int64)

    def rows_of(self, table, ids):
        return embedding(ids, table, sparse=self.manner.gradients == "sparse")

    def pictures(self, table, local, batch):
        """The picture of every position before it is normalised, [N, D]."""
        shape = self.shape
        padded = self.manner.layout == "padded"
        x = self.rows_of(table, local(batch.padded_ids if padded else batch.ids))
        if shape.input_scale:
            x = shape.input_scale * normalize(x, dim=-1)
        entering = dropout(x, shape.input_dropout)
        if not padded:
            q = self.lstm(PackedSequence(entering, batch.batch_sizes))[0].data
        elif shape.attention_key:
            q = self.attention(x, self.lstm(entering)[0], batch.flat)
        else:
            q = self.lstm(entering)[0].view(-1, shape.hidden).index_select(0, batch.flat)
        return dropout(q, shape.output_dropout)

    def loss(self, table, local, candidates, drawn, batch):
        shape = self.shape
        q = self.pictures(table, local, batch)
        answers = table if shape.tied else self.output
        if shape.full:
            column, is_private = batch.targets, torch.zeros(len(batch.targets), dtype=torch.bool)
            e = answers
        else:
            column = self.column_of[batch.targets]
            is_private = column < 0
            column = column.clamp(min=0)
            e = self.rows_of(answers, local(candidates))
        if shape.temperature:
            q = shape.temperature * normalize(q, dim=-1)
            e = normalize(e, dim=-1)
        logits = q @ e.t()
        if not shape.full:
            rest, n = shape.items - shape.head, len(drawn)
            correction = torch.zeros(len(candidates))
            correction[shape.head :] = torch.log(torch.tensor(rest / n))
            logits += correction
            # A drawn target is in anyway: it needs no correction.
            rows = torch.nonzero(~is_private & (column >= shape.head))[:, 0]
            logits[rows, column[rows]] -= correction[-1]
            own = self.rows_of(answers, local(batch.targets))
            if shape.temperature:
                own = normalize(own, dim=-1)
            private = (q * own).sum(1)
        else:
            private = torch.zeros(len(column))
        if shape.repeat_lags:
            columns = batch.repeat_ids if shape.full else self.column_of[batch.repeat_ids]
            seen = columns >= 0
            bias = self.repeat[batch.repeat_lags[seen]]
            logits.index_put_((batch.repeat_rows[seen], columns[seen]), bias, accumulate=True)
            known = (batch.target_lag >= 0) & is_private
            private = private + torch.where(known, self.repeat[batch.target_lag.clamp(min=0)], 0.0)
        loss = LOSSES[self.manner.softmax]
        return loss(logits, private, column, is_private, batch.weight, shape.smoothing)

    def step(self, batch):
        """One forward and backward pass and one step of Adam; the loss as a float."""
        shape = self.shape
        self.steps += 1
        candidates = drawn = None
        if not shape.full:
            rest = shape.items - shape.head
            drawn = shape.head + torch.randperm(rest)[: shape.drawn]
            candidates = torch.cat((torch.arange(shape.head), drawn))
            self.column_of[drawn] = torch.arange(shape.head, shape.head + len(drawn))

        table, local = self.table, lambda ids: ids
        if self.manner.gradients == "rows":
            ids = torch.cat((candidates, batch.ids, batch.targets)).unique()
            self.local[ids] = torch.arange(len(ids))
            table = self.table.detach().index_select(0, ids).requires_grad_()
            local = lambda wanted: self.local[wanted]  # noqa: E731

        loss = self.loss(table, local, candidates, drawn, batch)
        self.zero_grad(set_to_none=True)
        loss.backward()
        if shape.clip:
            nn.utils.clip_grad_norm_([*self.parameters(), table], shape.clip)
        self.adam.step()
        if self.manner.gradients == "sparse":
            self.sparse_adam.step()
        if self.manner.gradients == "rows":
            self.adam_rows(ids, table)
        if not shape.full:
            self.column_of[drawn] = -1
        return loss.item()

    @torch.no_grad()
    def adam_rows(self, ids, table):
        """Adam on the rows of this batch; the others and their moments stay as they are."""
        b1, b2, eps = 0.9, 0.999, 1e-8
        m = self.m.index_select(0, ids).lerp_(table.grad, 1 - b1)
        v = self.v.index_select(0, ids).mul_(b2).addcmul_(table.grad, table.grad, value=1 - b2)
        root = (v / (1 - b2**self.steps)).sqrt_().add_(eps)
        rate = self.shape.learning_rate / (1 - b1**self.steps)
        self.table.index_copy_(0, ids, table.detach().addcdiv_(m, root, value=-rate))
        self.m.index_copy_(0, ids, m)
        self.v.index_copy_(0, ids, v)


def check():
    """Every manner of one model has the same loss before and after its first step of Adam.

    (From the third loss on they may differ: dense Adam also moves rows that a batch does not touch.)
    """
    import numpy as np
    from sessions import cut, epoch

    random = np.random.default_rng(5)
    sessions = [random.integers(0, 60, size) for size in random.integers(2, 12, 80)]
    batches = epoch(cut(sessions, 8, recency=1.0), 64, 1, repeat_lags=3)
    for head, drawn, smoothing, key in ((20, 10, 0.0, 0), (20, 10, 0.1, 8), (0, 0, 0.1, 0)):
        shape = Shape(60, 16, 16, 2, True, 3.0, 8.0, head=head, drawn=drawn)
        shape = replace(shape, smoothing=smoothing, repeat_lags=3, learning_rate=0.05)
        shape = replace(shape, attention_key=key, attention_lags=5)
        expected = None
        for manner in manners(shape, (1,)):
            torch.set_num_threads(manner.threads)
            model = NextItem(shape, manner)
            torch.manual_seed(2)
            losses = torch.tensor([model.step(batch) for batch in batches[:2]])
            expected = losses if expected is None else expected
            torch.testing.assert_close(losses, expected, rtol=1e-5, atol=1e-5, msg=str(manner))
        print(f"{shape.head} + {shape.drawn} candidates, smoothing {smoothing}: losses {losses.tolist()}")


if __name__ == "__main__":
    check()
