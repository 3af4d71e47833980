#!/usr/bin/env python3
"""A keyed endpoint over HTTP under wrk, one thread and 32 connections that are kept, beside a constant of the same size from nginx, in turns; medians.

    bench/serving/keyed.py [--json] [--seconds N] [--rounds N]

needs build/release/bin/millrace (make build), wrk and nginx (Debian's nginx-light)
"""
import argparse
import json
import pathlib
import re
import subprocess
import sys

from nginx import nginx

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests"))
from node import running  # noqa: E402

PROJECT = """
CREATE STREAM clicks (user_id BIGINT NOT NULL, price DECIMAL(10, 2));
CREATE MATERIALIZED VIEW by_user AS SELECT user_id, count(*) AS clicks, sum(price) AS revenue FROM clicks GROUP BY user_id;
CREATE ENDPOINT user_clicks ON GET '/users/{user_id}' (user_id BIGINT) AS SELECT * FROM by_user WHERE user_id = $user_id;
"""
USERS = 100_000
MS = {"us": 0.001, "ms": 1, "s": 1000}


def wrk(url, seconds):
    out = subprocess.run(["wrk", "-t1", "-c32", f"-d{seconds}s", "--latency", url], capture_output=True, text=True, check=True).stdout
    assert "Non-2xx" not in out and "Socket errors" not in out, out
    p99, unit = re.search(r"99%\s+([\d.]+)(\w+)", out).groups()
    return {"requests_per_s": round(float(re.search(r"Requests/sec:\s+([\d.]+)", out)[1])), "p99_ms": round(float(p99) * MS[unit], 2)}


def measure(node, options):
    node.send("clicks", [f'{{"user_id":{i},"price":{i % 100}.50}}' for i in range(USERS)], query="?wait=visible")
    answer = node.request("GET", "/users/4711")[2].decode().strip()
    runs = {"Millrace": [], "nginx": []}
    with nginx(answer) as constant:
        for _ in range(options.rounds):
            runs["Millrace"].append(wrk(node.url + "/users/4711", options.seconds))
            runs["nginx"].append(wrk(constant, options.seconds))
    return {name: sorted(each, key=lambda run: run["requests_per_s"])[len(each) // 2] for name, each in runs.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with running(PROJECT) as node:
        results = measure(node, options)
    if options.json:
        print(json.dumps(results))
        return
    for name, figures in results.items():
        print(f"{name:12}{figures['requests_per_s']} requests/s, p99 {figures['p99_ms']} ms")
    print(f"{results['Millrace']['requests_per_s'] / results['nginx']['requests_per_s']:.0%} of nginx")


if __name__ == "__main__":
    main()
