"""The shapes of benches/peers/sequence.py: `T50,B64,I128,H256[,L2][,bi][,lengths=skew]`."""

from dataclasses import dataclass

from rounds import fail

DEFAULT = (
    "T20,B32,I100,H100",
    "T50,B32,I64,H128",
    "T50,B64,I128,H256",
    "T50,B128,I256,H512",
    "T20,B512,I100,H100",
    "T100,B64,I256,H256,L2",
    "T100,B16,I512,H1024",
    "T50,B64,I500,H500",
    "T200,B32,I1760,H1760",
    "T200,B512,I128,H128,lengths=skew",
)


def skewed_lengths(steps, batch):
    """Row lengths of a skewed batch, longest first: quantiles of a Pareto law cut off at T.

    The same lengths as in `tidegate bench` (crates/cli/bench/shape.rs), as long as shop sessions
    are: for T = 200 and B = 512 half the rows have two or three steps, the mean is 7.03, and the
    two longest rows are cut.
    """
    return [min(steps, int(2 * (2 * batch / (2 * b + 1)) ** 0.8)) for b in range(batch)]


# Blocks of H in the pre-activations of a position.
GATES = {"lstm": 4, "lstm+projection": 4, "gru": 3, "rnn": 1}


@dataclass(frozen=True)
class Shape:
    text: str
    steps: int
    batch: int
    input: int
    hidden: int
    layers: int = 1
    skewed: bool = False
    both: bool = False
    cell: str = "lstm"

    @property
    def projection(self):
        """Width that a projection gives h, as `tidegate bench` has it by default; 0 without one."""
        return (self.hidden + 1) // 2 if self.cell.endswith("projection") else 0

    @property
    def directions(self):
        return 2 if self.both else 1

    @property
    def width(self):
        """Width of the states that leave a layer."""
        return self.directions * (self.projection or self.hidden)

    @property
    def lengths(self):
        """Steps of each row, longest first; every row runs T steps unless they are skewed."""
        if self.skewed:
            return skewed_lengths(self.steps, self.batch)
        return [self.steps] * self.batch

    @property
    def positions(self):
        return sum(self.lengths)

    def flops(self, mode):
        """As `tidegate bench` counts them, over the positions that exist."""
        a_position, state = 0, self.projection or self.hidden
        for layer in range(self.layers):
            columns = self.input if layer == 0 else self.width
            a_direction = GATES[self.cell] * self.hidden * (columns + state)
            a_direction += self.projection * self.hidden
            a_position += 2 * self.directions * a_direction
        return (1 if mode == "forward" else 3) * a_position * self.positions


def parse(text, cell="lstm"):
    letters = {"T": "steps", "B": "batch", "I": "input", "H": "hidden", "L": "layers"}
    sizes, skewed, both = {}, False, False
    for word in text.split(","):
        if word == "lengths=skew":
            skewed = True
        elif word == "bi":
            both = True
        elif word[:1] in letters and word[1:].isdigit() and int(word[1:]) > 0:
            sizes[letters[word[0]]] = int(word[1:])
        else:
            fail(f"--shape {text}: {word!r}: unknown; say T50,B64,I128,H256[,L2][,bi][,lengths=skew]", 2)
    if missing := [key for key in ("steps", "batch", "input", "hidden") if key not in sizes]:
        fail(f"--shape {text}: {' and '.join(missing)} missing; say T50,B64,I128,H256", 2)
    return Shape(text, **sizes, skewed=skewed, both=both, cell=cell)
