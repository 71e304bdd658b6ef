"""Times `tidegate prepare` beside DuckDB and Polars: a CSV log read, grouped by session, each session in
the order of time, and written as Parquet.

    tidegate simulate --out shop.csv --events 2000000
    python benches/peers/grouping.py target/release/tidegate shop.csv --rounds 5

Needs duckdb and polars from PyPI. The systems take turns; medians of the rounds, in MB of CSV a second.
The file has the columns session, user, item, time and kind, as `simulate` writes them.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

DUCKDB = """
import duckdb, sys
log, out, threads = sys.argv[1:]
duckdb.execute(f"SET threads={threads}")
duckdb.execute(f"COPY (SELECT session, any_value(\\"user\\") AS \\"user\\", list(item ORDER BY time) AS items,"
               f" list(kind ORDER BY time) AS kinds, min(time) AS start FROM read_csv('{log}', all_varchar=false)"
               f" GROUP BY session ORDER BY start) TO '{out}/duckdb.parquet' (FORMAT parquet, COMPRESSION zstd)")
"""

POLARS = """
import os, sys
log, out, threads = sys.argv[1:]
os.environ["POLARS_MAX_THREADS"] = threads
import polars as pl
frame = pl.scan_csv(log).sort("time", maintain_order=True).group_by("session", maintain_order=True).agg(
    pl.col("user").first(), pl.col("item"), pl.col("kind"), pl.col("time").first().alias("start"))
frame.sink_parquet(f"{out}/polars.parquet", compression="zstd")
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tidegate")
    parser.add_argument("log")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--memory", default="1G")
    args = parser.parse_args()
    megabytes = os.path.getsize(args.log) / 1e6
    threads = str(args.threads)
    with tempfile.TemporaryDirectory() as out:
        data = os.path.join(out, "data")
        commands = {
            "tidegate": [args.tidegate, "prepare", args.log, "--out", data, "--memory", args.memory,
                         "--threads", threads, "--quiet", "--json"],
            "duckdb": [sys.executable, "-c", DUCKDB, args.log, out, threads],
            "polars": [sys.executable, "-c", POLARS, args.log, out, threads],
        }
        seconds = {name: [] for name in commands}
        for _ in range(args.rounds):
            for name, command in commands.items():
                shutil.rmtree(data, ignore_errors=True)
                begin = time.perf_counter()
                subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
                seconds[name].append(time.perf_counter() - begin)
    for name, samples in seconds.items():
        median = statistics.median(samples)
        print(json.dumps({"system": name, "median_s": round(median, 3), "mb_per_s": round(megabytes / median, 1),
                          "samples_s": [round(sample, 3) for sample in samples]}))


if __name__ == "__main__":
    main()
