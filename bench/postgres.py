#!/usr/bin/env python3
"""The PostgreSQL listener under pgbench: prepared keyed SELECTs (as pgbench -S -M prepared sends them), of several keys, of the first column of a key
and of a range, the simple protocol, single inserts, and a large result by COPY. With --against DSN the same keyed SELECTs are asked of PostgreSQL itself, on a table of the same rows that is made there.

    bench/postgres.py [--json] [--seconds N] [--clients N] [--against 'host=… port=… dbname=… user=…']

needs build/release/bin/millrace, psql and pgbench (Debian: postgresql-contrib or postgresql-15)
"""
import argparse
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests"))
from node import Node  # noqa: E402
from pg_node import dsn  # noqa: E402

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


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--against")
    options = parser.parse_args()
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        project = pathlib.Path(folder) / "project"
        project.mkdir()
        (project / "a.sql").write_text(PROJECT)
        node = Node(project, pathlib.Path(folder) / "data")
        node.start()
        where = dsn(node)
        psql(where, f"INSERT INTO accounts SELECT i, 1, 0, 'x' FROM range(1, {ROWS + 1}) t(i)")
        results["keyed SELECT, prepared"] = pgbench(where, folder, LOOKUP, "prepared", options.clients, options.seconds)
        psql(where, f"INSERT INTO readings SELECT i // {PER_SENSOR}, i % {PER_SENSOR}, i FROM range({ROWS}) t(i)")
        for name, text in RANGES.items():
            results[name] = pgbench(where, folder, text, "prepared", options.clients, options.seconds)
        results["keyed SELECT, simple"] = pgbench(where, folder, LOOKUP, "simple", options.clients, options.seconds)
        results["INSERT, durable and visible"] = pgbench(where, folder, INSERT, "simple", options.clients, options.seconds)
        begin = time.monotonic()
        out = subprocess.run(["psql", "-X", where, "-c", "COPY (SELECT i, 'name' || i, i * 0.5 FROM range(1000000) t(i)) TO STDOUT (FORMAT csv)"], check=True, capture_output=True)
        results["COPY of a million rows as CSV"] = {"mb_per_second": round(len(out.stdout) / 1e6 / (time.monotonic() - begin))}
        node.stop()
        if options.against:
            psql(options.against, "DROP TABLE IF EXISTS accounts", "CREATE TABLE accounts (aid INTEGER PRIMARY KEY, bid INTEGER, abalance INTEGER, filler VARCHAR)",
                 f"INSERT INTO accounts SELECT i, 1, 0, 'x' FROM generate_series(1, {ROWS}) t(i)", "VACUUM ANALYZE accounts",
                 "DROP TABLE IF EXISTS readings", "CREATE TABLE readings (sensor INTEGER, second INTEGER, value INTEGER, PRIMARY KEY (sensor, second))",
                 f"INSERT INTO readings SELECT i / {PER_SENSOR}, i % {PER_SENSOR}, i FROM generate_series(0, {ROWS - 1}) t(i)", "VACUUM ANALYZE readings")
            for name, text in RANGES.items():
                results[f"PostgreSQL: {name}"] = pgbench(options.against, folder, text, "prepared", options.clients, options.seconds)
            results["PostgreSQL: keyed SELECT, prepared"] = pgbench(options.against, folder, LOOKUP, "prepared", options.clients, options.seconds)
            psql(options.against, "DROP TABLE accounts", "DROP TABLE readings")
    if options.json:
        print(json.dumps(results))
        return
    for name, figures in results.items():
        print(f"{name:55}" + "  ".join(f"{value} {unit.replace('_', ' ')}" for unit, value in figures.items()))


if __name__ == "__main__":
    main()
