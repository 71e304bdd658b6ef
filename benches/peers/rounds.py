"""What every script of this folder shares: turns, statistics, tables, our program, this machine.

A contest has engines. In each round every engine runs once, for about the same time, and each round
reverses the order, so that a machine that grows warm or busy is unfair to all alike. Between two
turns there is a pause in which the threads of the one that ran stop spinning. A ratio is taken
within each round; above one, ours is faster.
"""

import json
import math
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

MALLOC = {
    "MALLOC_MMAP_THRESHOLD_": str(1 << 30),
    "MALLOC_TRIM_THRESHOLD_": str(1 << 30),
    "MALLOC_TOP_PAD_": str(1 << 28),
}
MARK = "TIDEGATE_PEER_MALLOC"
PAUSE_S = 0.2


def fail(message, code=1):
    """Ends the script with one message that names it."""
    print(f"{Path(sys.argv[0]).stem}: {message}", file=sys.stderr)
    sys.exit(code)


def say(line):
    """Progress, which never goes to stdout."""
    print(line, file=sys.stderr, flush=True)


def under_other_malloc():
    """Starts this script again with the malloc settings, which are read before main()."""
    if MARK not in os.environ:
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **MALLOC, MARK: "1"})


def plain_environment():
    """The environment as the user had it: our own program needs no such help."""
    return {name: value for name, value in os.environ.items() if name not in {*MALLOC, MARK}}


def cores():
    return len(os.sched_getaffinity(0))


def cpu_name():
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = [line for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        if lines:
            return lines[0].split(":", 1)[1].strip()
    return platform.processor()


# --- timing ---------------------------------------------------------------------------------------


def repeat(call, seconds, warm=True):
    """Seconds of each call: for `seconds` in all, at least one; the first, untimed, warms up."""
    if warm:
        call()
    samples, whole = [], time.perf_counter()
    while not samples or time.perf_counter() - whole < seconds:
        begin = time.perf_counter()
        call()
        samples.append(time.perf_counter() - begin)
    return samples


class InProcess:
    """A peer in this process: a name, how it runs, what to set before a turn, the call to time."""

    def __init__(self, name, manner, call, before=lambda: None):
        self.name, self.manner, self.call, self.before = name, manner, call, before
        self.last = 0.0

    def turn(self, seconds):
        self.before()
        # A call longer than a turn is warm from the round before, and costs too much to throw away.
        samples = repeat(self.call, seconds, warm=self.last < seconds)
        self.last = statistics.median(samples)
        return samples

    def trial(self, seconds):
        """A short turn to compare manners by: a first call that takes longer than it counts."""
        self.before()
        self.last = repeat(self.call, 0, warm=False)[0]
        return [self.last] if self.last > seconds else self.turn(seconds)


def fastest(manners, seconds):
    """The fastest of several engines that are one peer in different manners."""
    tried = {}
    for engine in manners:
        tried[engine.manner] = statistics.median(engine.trial(seconds))
        time.sleep(PAUSE_S)
    best = min(manners, key=lambda engine: tried[engine.manner])
    best.tried = tried
    return best


class Lacking(Exception):
    """Our program has no such bench yet (it calls the command line wrong)."""


class Ours:
    """One `tidegate bench` verb; a turn is one run of the program, its own warm-up left out."""

    name = "tidegate"

    def __init__(self, binary, verb, shape, mode, threads, more=()):
        self.words = [str(binary), "bench", verb, "--shape", shape, "--json", *more]
        self.words += ["--mode", mode] if mode else []
        self.words += ["--threads", str(threads)]
        self.manner, self.last, self.machine = threads_text(threads), {}, {}

    def turn(self, seconds):
        words = [*self.words, "--seconds", str(seconds)]
        found = run_json(words, plain_environment(), lacking=2)
        try:
            (self.last,) = found["results"]
            self.machine = {key: value for key, value in found.items() if key != "results"}
            self.manner = threads_text(self.last["threads"])
            return [float(sample) for sample in self.last["samples_s"]]
        except (LookupError, TypeError, ValueError) as error:
            fail(f"`{' '.join(words)}`: not the JSON of one result ({error!r}): {str(found)[:200]}")


def run_json(words, environment, lacking=None):
    """Runs a program and reads the JSON object it prints; exit code `lacking` raises Lacking."""
    run = subprocess.run(words, capture_output=True, text=True, env=environment)
    if lacking is not None and run.returncode == lacking:
        raise Lacking(f"`{' '.join(words)}`: {run.stderr.strip()}")
    if run.returncode != 0:
        fail(f"`{' '.join(words)}` ended with {run.returncode}:\n{run.stderr.strip()}")
    try:
        return json.loads(run.stdout)
    except ValueError:
        fail(f"`{' '.join(words)}` printed no JSON: {run.stdout[:200]!r}")


def find_binary(options):
    """The absolute path of our program (a plain name would be looked up in PATH), or None."""
    if options.alone:
        return None
    if not os.access(options.binary, os.X_OK):
        fail(
            f"{options.binary}: no such program; `cargo build --release` makes it, --binary names"
            " it, --alone does without"
        )
    return options.binary.resolve()


def contest(engines, rounds, seconds):
    """Seconds per call of each engine in each round: {name: [median of round, ...]}.

    An engine whose program lacks the bench is left out, with the reason under `lacking`.
    """
    medians = {engine.name: [] for engine in engines}
    samples = {engine.name: [] for engine in engines}
    lacking = {}
    for round_ in range(rounds):
        for engine in engines[:: 1 if round_ % 2 == 0 else -1]:
            if engine.name in lacking:
                continue
            try:
                turn = engine.turn(seconds)
            except Lacking as error:
                lacking[engine.name] = str(error)
                say(f"  tidegate lacks this bench: {error}")
                continue
            samples[engine.name].append(turn)
            medians[engine.name].append(statistics.median(turn))
            time.sleep(PAUSE_S)
    row = {
        engine.name: {
            "manner": engine.manner,
            "tried": getattr(engine, "tried", {}),
            **spread(medians[engine.name]),
            "samples_s": samples[engine.name],
        }
        for engine in engines
        if engine.name not in lacking
    }
    ratios = {}
    if "tidegate" in row:
        for name in (name for name in row if name != "tidegate"):
            pairs = zip(medians[name], medians["tidegate"])
            ratios[name] = spread([theirs / ours for theirs, ours in pairs])
    return {"engines": row, "ratios": ratios, "lacking": lacking}


def spread(values):
    return {
        "median": statistics.median(values),
        "lowest": min(values),
        "highest": max(values),
        "rounds": values,
    }


def geometric_mean(values):
    return math.exp(statistics.fmean(math.log(value) for value in values)) if values else None


# --- the report -----------------------------------------------------------------------------------


def seconds_text(seconds):
    for unit, scale in (("s", 1.0), ("ms", 1e3), ("µs", 1e6)):
        if seconds * scale >= 1 or unit == "µs":
            digits = max(0, 2 - int(math.log10(max(seconds * scale, 1))))
            return f"{seconds * scale:.{digits}f} {unit}"


def ratio_text(ratio):
    return f"{ratio['median']:.2f} ({ratio['lowest']:.2f}–{ratio['highest']:.2f})"


def table(header, rows):
    """A Markdown table, padded so that it also reads in a terminal; numbers stand right."""
    widths = [max(len(row[k]) for row in [header, *rows]) for k in range(len(header))]

    def line(row):
        cells = (
            cell.ljust(width) if k == 0 else cell.rjust(width)
            for k, (cell, width) in enumerate(zip(row, widths))
        )
        return f"| {' | '.join(cells)} |"

    rule = [
        f"{'-' * width}" if k == 0 else f"{'-' * (width - 1)}:" for k, width in enumerate(widths)
    ]
    return "\n".join([line(header), f"| {' | '.join(rule)} |", *map(line, rows)])


def wide(results):
    """A warning where the rounds of a result differ by more than a fifth."""
    rows = [row for result in results for row in result["engines"].values()]
    if any(row["highest"] > 1.2 * row["lowest"] for row in rows):
        return "warning: some rounds differ by more than a fifth; run again on a quiet machine"
    return ""


def finish(found, options):
    """The end of a script with one result: JSON or tables, and exit code 1 where ours lacks it."""
    if options.json:
        print(json.dumps(found))
    else:
        about = found["machine"]
        kernel = f"; kernel path of ours: {about['kernel']}" if about.get("kernel") else ""
        print(f"{about['cpu']}, {about['cores']} cores; commit {about['commit'] or 'unknown'}")
        print(f"{', '.join(found['versions'].values())}{kernel}\n")
        rows = []
        for name, row in found["engines"].items():
            times = [seconds_text(row[key]) for key in ("median", "lowest", "highest")]
            rows.append([name, *times, row["manner"]])
        print(table([found["shape"], "median", "lowest", "highest", "manner"], rows))
        if found["ratios"]:
            print()
        for name, ratio in found["ratios"].items():
            print(f"{ratio_text(ratio)} times as fast as {name} (rounds from–to)")
        if warning := wide([found]):
            print(f"\n{warning}")
    if found["lacking"]:
        fail("this tidegate lacks:\n  " + "\n  ".join(found["lacking"].values()))


def named_peers(options, known):
    """The peers that --peers names."""
    names = [name for name in options.peers.split(",") if name]
    if unknown := [name for name in names if name not in known]:
        fail(f"--peers {','.join(unknown)}: unknown; there are {', '.join(known)}", 2)
    return names


def add_common_arguments(parser, seconds=1.0):
    parser.add_argument("--binary", type=Path, default=Path("target/release/tidegate"))
    parser.add_argument("--rounds", type=int, default=5, help="rounds that count [default: 5]")
    parser.add_argument(
        "--seconds", type=float, default=seconds, help=f"of one turn [default: {seconds}]"
    )
    parser.add_argument(
        "--threads", type=int, default=cores(), help="of ours, and the peers' most [default: cores]"
    )
    parser.add_argument("--alone", action="store_true", help="the peers only, without our program")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout, no more")


def check_common_arguments(options):
    for name in ("rounds", "seconds", "threads"):
        if getattr(options, name) <= 0:
            fail(f"--{name} {getattr(options, name)}: wants a number above zero", 2)


def thread_counts(options):
    """The thread counts that a peer may choose from: one, and as many as ours has."""
    return sorted({1, options.threads})


def threads_text(count):
    return "1 thread" if count == 1 else f"{count} threads"


def machine():
    return {"cpu": cpu_name(), "cores": cores(), "commit": commit()}


def commit():
    """The commit these scripts are of, or None outside a checkout."""
    here = Path(__file__).parent
    try:
        words = ["git", "-C", str(here), "describe", "--always", "--dirty"]
        run = subprocess.run(words, capture_output=True, text=True)
    except OSError:
        return None
    return run.stdout.strip() or None if run.returncode == 0 else None
