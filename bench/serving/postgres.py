#!/usr/bin/env python3
"""The PostgreSQL listener under pgbench: prepared keyed SELECTs (as pgbench -S -M prepared sends them), of several keys, of the first column of a key
and of a range, the simple protocol, single inserts, and a large result by COPY; beside a PostgreSQL 15 that is started for it, asked for the same of the same
rows, in turns.

    bench/serving/postgres.py [--json] [--seconds N] [--clients N] [--rounds N]

needs build/release/bin/millrace (make build), psql, pgbench and PostgreSQL 15 (Debian's postgresql-15)
"""
import argparse
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests"))
from node import running  # noqa: E402
from pg_node import dsn  # noqa: E402
from postgres_server import postgres_server  # noqa: E402

ROWS = 100_000
PROJECT = """
CREATE TABLE accounts (aid INTEGER PRIMARY KEY, bid INTEGER, abalance INTEGER, filler VARCHAR);
CREATE TABLE readings (sensor INTEGER, second INTEGER, value INTEGER, PRIMARY KEY (sensor, second));
CREATE STREAM events (id BIGINT, word VARCHAR);
"""
PER_SENSOR = 100
LOOKUP = f"\\set aid random(1, {ROWS})\nSELECT abalance FROM accounts WHERE aid = :aid;\n"
SENSOR = f"\\set sensor random(0, {ROWS // PER_SENSOR - 1})\n\\set low random(0, {PER_SENSOR - 10})\n\\set high :low + 9\n"
RANGES = {
    "10 keys, prepared": "".join(f"\\set k{i} random(1, {ROWS})\n" for i in range(10)) +
                         f"SELECT abalance FROM accounts WHERE aid IN ({', '.join(f':k{i}' for i in range(10))});\n",
    "first column of a key (100 rows), prepared": SENSOR + "SELECT value FROM readings WHERE sensor = :sensor;\n",
    "range of 10 rows, prepared": SENSOR + "SELECT value FROM readings WHERE sensor = :sensor AND second BETWEEN :low AND :high;\n",
    "last 10 before a key, prepared": SENSOR + "SELECT value FROM readings WHERE sensor = :sensor AND second < :high ORDER BY second DESC LIMIT 10;\n",
}
INSERT = "\\set id random(1, 1000000)\nINSERT INTO events VALUES (:id, 'word');\n"


def psql(where, *commands):
    subprocess.run(["psql", "-X", "-q", where, *(word for command in commands for word in ("-c", command))], check=True, stdout=subprocess.DEVNULL)


def pgbench(where, folder, text, mode, clients, seconds):
    script = pathlib.Path(folder) / "script.sql"
    script.write_text(text)
    done = subprocess.run(["pgbench", where, "-n", "-f", script, "-M", mode, "-c", str(clients), "-j", "1", "-T", str(seconds)], capture_output=True, text=True)
    assert done.returncode == 0 and "failed transactions: 0" in done.stdout, done.stdout + done.stderr
    return {"per_second": round(float(re.search(r"tps = ([\d.]+)", done.stdout)[1])), "average_ms": float(re.search(r"latency average = ([\d.]+)", done.stdout)[1])}


def median(runs):
    return sorted(runs, key=lambda each: each["per_second"])[len(runs) // 2]


def in_turns(wheres, folder, text, mode, options):
    """The medians of each."""
    runs = {name: [] for name in wheres}
    for _ in range(options.rounds):
        for name, where in wheres.items():
            runs[name].append(pgbench(where, folder, text, mode, options.clients, options.seconds))
    return {name: median(each) for name, each in runs.items()}


def fill_postgres(where):
    psql(where, "CREATE TABLE accounts (aid INTEGER PRIMARY KEY, bid INTEGER, abalance INTEGER, filler VARCHAR)",
         f"INSERT INTO accounts SELECT i, 1, 0, 'x' FROM generate_series(1, {ROWS}) t(i)", "VACUUM ANALYZE accounts",
         "CREATE TABLE readings (sensor INTEGER, second INTEGER, value INTEGER, PRIMARY KEY (sensor, second))",
         f"INSERT INTO readings SELECT i / {PER_SENSOR}, i % {PER_SENSOR}, i FROM generate_series(0, {ROWS - 1}) t(i)", "VACUUM ANALYZE readings",
         "CREATE TABLE events (id BIGINT, word VARCHAR)")


def fill_millrace(where):
    psql(where, f"INSERT INTO accounts SELECT i, 1, 0, 'x' FROM range(1, {ROWS + 1}) t(i)",
         f"INSERT INTO readings SELECT i // {PER_SENSOR}, i % {PER_SENSOR}, i FROM range({ROWS}) t(i)")


def copy_a_million(where, rows):
    begin = time.monotonic()
    out = subprocess.run(["psql", "-X", where, "-c", f"COPY (SELECT i, 'name' || i, i * 0.5 FROM {rows} t(i)) TO STDOUT (FORMAT csv)"], check=True, capture_output=True)
    return {"mb_per_second": round(len(out.stdout) / 1e6 / (time.monotonic() - begin))}


def measure(node, postgres, folder, options):
    wheres = {"Millrace": dsn(node), "PostgreSQL": postgres}
    fill_millrace(wheres["Millrace"])
    fill_postgres(postgres)
    results = {"keyed SELECT, prepared": in_turns(wheres, folder, LOOKUP, "prepared", options)}
    for name, text in RANGES.items():
        results[name] = in_turns(wheres, folder, text, "prepared", options)
    results["keyed SELECT, simple"] = in_turns(wheres, folder, LOOKUP, "simple", options)
    results["INSERT, durable (Millrace: and visible)"] = in_turns(wheres, folder, INSERT, "simple", options)
    results["COPY of a million rows as CSV"] = {"Millrace": copy_a_million(wheres["Millrace"], "range(1000000)"),
                                                "PostgreSQL": copy_a_million(postgres, "generate_series(0, 999999)")}
    return results


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, postgres_server() as postgres, running(PROJECT) as node:
        results = measure(node, postgres, folder, options)
    if options.json:
        print(json.dumps(results))
        return
    for name, both in results.items():
        for who, figures in both.items():
            print(f"{name:45}{who:12}" + "  ".join(f"{value} {unit.replace('_', ' ')}" for unit, value in figures.items()))


if __name__ == "__main__":
    main()
