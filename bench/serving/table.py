#!/usr/bin/env python3
"""Every figure that serving has a goal for, in one run, as a table: what the node reached, its peer in the same run, the goal, and whether it is met.

    bench/serving/table.py

needs what the programs need that it runs, beside it: keyed.py, postgres.py, live.py, results.py and ../whole_way.py. Takes about ten minutes, on a machine
that does nothing else.
"""
import json
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent


def run(program, *arguments):
    print(f"{program.name} …", file=sys.stderr)
    done = subprocess.run([sys.executable, program, "--json", *arguments], stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


def row(what, ours, peer, goal, met):
    return f"| {what} | {ours} | {peer} | {goal} | {'met' if met else 'missed'} |"


def keyed_rows(found):
    ours, nginx = found["Millrace"], found["nginx"]
    share = ours["requests_per_s"] / nginx["requests_per_s"]
    yield row("keyed endpoint, 32 connections", f"{ours['requests_per_s']:,}/s, {share:.0%}", f"nginx, a constant: {nginx['requests_per_s']:,}/s", "40,000/s, 60 %",
              ours["requests_per_s"] >= 40_000 and share >= 0.6)
    yield row("its p99", f"{ours['p99_ms']} ms", f"{nginx['p99_ms']} ms", "2 ms", ours["p99_ms"] <= 2)


def postgres_rows(found):
    for name, goal in [("keyed SELECT, prepared", 1.2)]:
        ours, theirs = found[name]["Millrace"]["per_second"], found[name]["PostgreSQL"]["per_second"]
        yield row(f"pgbench, {name}", f"{ours:,}/s, {ours / theirs:.2f} times", f"PostgreSQL 15: {theirs:,}/s", f"{goal} times", ours >= goal * theirs)


def live_rows(found):
    for name, figures in found.items():
        if name.endswith("one reader, after the answer"):
            yield row(f"change at one subscriber, {name.partition(',')[0]}", f"p50 {figures['p50_ms']} ms", "", "p50 10 ms", figures["p50_ms"] <= 10)
        if "subscribers" in figures:
            yield row(f"change at {figures['subscribers']:,} subscribers, {figures['changes_per_s']}/s, {name.partition(',')[0]}",
                      f"p50 {figures['p50_ms']} ms, p99 {figures['p99_ms']} ms", "", "p99 250 ms", figures["p99_ms"] <= 250)


def ingest_rows(found):
    rate = found["ingest_one_stream"]["acknowledged_rows_per_s"]
    yield row("NDJSON with fsync into one stream", f"{rate:,} rows/s", "", "300,000 rows/s", rate >= 300_000)


def result_rows(found):
    csv, arrow = found["results"]["CSV"], found["results"]["Arrow"]
    goal = min(200, csv["duckdb_mb_s"])
    yield row("a million rows as CSV", f"{csv['mb_s']} MB/s", f"DuckDB's COPY: {csv['duckdb_mb_s']} MB/s", f"{goal} MB/s", csv["mb_s"] >= goal)
    yield row("a million rows as Arrow", f"{arrow['mb_s']} MB/s", "", "500 MB/s", arrow["mb_s"] >= 500)
    for name, each in found["queries"].items():
        yield row(f"10 million rows of a stream: {name}", f"{each['s']} s, {each['s'] / each['read_json_s']:.2f} times", f"DuckDB's read_json: {each['read_json_s']} s", "1.5 times",
                  each["s"] <= 1.5 * each["read_json_s"])
        yield row(f"the same in columns: {name}", f"{each['cached_s']} s, {each['cached_s'] / each['duckdb_table_s']:.2f} times",
                  f"DuckDB's table: {each['duckdb_table_s']} s", "2 times", each["cached_s"] <= 2 * each["duckdb_table_s"])


def main():
    if len(sys.argv) > 1:
        sys.exit(__doc__)
    print("| what | Millrace | peer in the same run | goal | |\n| --- | --- | --- | --- | --- |")
    for rows, program in [(keyed_rows, HERE / "keyed.py"), (postgres_rows, HERE / "postgres.py"), (live_rows, HERE / "live.py"),
                          (ingest_rows, HERE.parent / "whole_way.py"), (result_rows, HERE / "results.py")]:
        print("\n".join(rows(run(program))), flush=True)


if __name__ == "__main__":
    main()
