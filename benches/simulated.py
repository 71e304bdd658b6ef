"""What the scripts about simulated shops share: calling the program, reading its tables."""

import csv
import json
import subprocess


def call(program, *words):
    """The JSON object that a verb prints."""
    line = [str(word) for word in words]
    done = subprocess.run([program, *line, "--quiet", "--json"], capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(line)}: {done.stderr}")
    return json.loads(done.stdout)


def rows(path):
    """The rows of a CSV file."""
    with open(path, newline="", encoding="utf-8") as file:
        yield from csv.DictReader(file)
