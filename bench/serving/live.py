#!/usr/bin/env python3
"""Live endpoints (Server-Sent Events): how long after its acknowledgement an append's change is with one reader, and with each of many readers of one
endpoint, which are one program beside the node (subscribers.cc); and how old the newest row is at a steady rate.

    bench/serving/live.py [--json] [--rounds N] [--readers N] [--changes N] [--rate N]

needs build/release/bin/millrace (make build), build/release/bin/bench_subscribers (make bench), and as many file descriptors as readers in either (ulimit -n)
"""
import argparse
import http.client
import json
import pathlib
import socket
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests"))
from live import Live  # noqa: E402
from node import running  # noqa: E402

PROJECT = """
CREATE STREAM clicks (page INTEGER NOT NULL, moment BIGINT NOT NULL);
CREATE MATERIALIZED VIEW pages AS SELECT page, count(*) AS clicks, max(moment) AS last FROM clicks GROUP BY page;
CREATE ENDPOINT one ON GET '/pages/{page}' (page INTEGER) AS SELECT page, clicks, last FROM pages WHERE page = $page;
CREATE ENDPOINT total ON GET '/total' AS SELECT sum(clicks)::BIGINT AS clicks, max(last) AS last FROM pages;
"""
PAGES = 100
SUBSCRIBERS = pathlib.Path(__file__).resolve().parents[2] / "build/release/bin/bench_subscribers"


def quantiles(seconds):
    ordered = sorted(seconds)
    return {"p50_ms": round(1000 * ordered[len(ordered) // 2], 2), "p99_ms": round(1000 * ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)], 2),
            "max_ms": round(1000 * ordered[-1], 2)}


class Writer:
    def __init__(self, node):
        self.connection = http.client.HTTPConnection(node.url.removeprefix("http://"))
        self.connection.connect()
        self.connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def append(self, *rows):
        """Returns when it was acknowledged."""
        self.connection.request("POST", "/v1/streams/clicks", "\n".join(json.dumps(row) for row in rows), {"Content-Type": "application/x-ndjson"})
        answer = self.connection.getresponse()
        assert answer.status == 200, answer.read()
        answer.read()
        return time.monotonic()


def one_reader(node, path, rounds):
    """Of each append, how long after its acknowledgement, and after it was sent, the change is here."""
    writer = Writer(node)
    after_answer, after_send = [], []
    with Live(node.url, path) as reader:
        reader.event()
        arrived = {}
        news = threading.Condition()

        def read():
            for _ in range(rounds):
                data = reader.event()[2]
                with news:
                    arrived[data["added"][0]["last"]] = time.monotonic()
                    news.notify()

        thread = threading.Thread(target=read)
        thread.start()
        base = time.time_ns()
        for number in range(rounds):
            sent = time.monotonic()
            answered = writer.append({"page": 1, "moment": base + number})
            with news:
                assert news.wait_for(lambda: base + number in arrived, 30)
            after_answer.append(arrived[base + number] - answered)
            after_send.append(arrived[base + number] - sent)
        thread.join()
    return {"after the answer": quantiles(after_answer), "after the append was sent": quantiles(after_send)}


def many_readers(node, path, count, rate, seconds):
    """Of each append, how long after its acknowledgement the change is with each of the readers."""
    port = node.url.rpartition(":")[2]
    done = subprocess.run([SUBSCRIBERS, "--port", port, "--path", path, "--subscribers", str(count), "--per-second", str(rate), "--seconds", str(seconds)],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def under_load(node, path, rate, seconds):
    """The same of one reader, of rows that others append at `rate` a second in blocks of 100: how old the newest row of each event is."""
    end = time.monotonic() + seconds
    ages = []

    def load():
        writer = Writer(node)
        begin = time.monotonic()
        sent = 0
        while time.monotonic() < end:
            writer.append(*({"page": i % PAGES, "moment": time.time_ns()} for i in range(100)))
            sent += 100
            time.sleep(max(0, begin + sent / rate - time.monotonic()))

    writer = threading.Thread(target=load)
    with Live(node.url, path) as reader:
        reader.event()
        writer.start()
        while time.monotonic() < end - 0.5:
            data = reader.event()[2]
            ages.append((time.time_ns() - data["added"][0]["last"]) / 1e9)
        writer.join()
    return {**quantiles(ages), "events": len(ages)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--readers", type=int, default=10_000)
    parser.add_argument("--changes", type=int, default=10, help="a second, to the many readers")
    parser.add_argument("--rate", type=int, default=5000)
    options = parser.parse_args()
    results = {}
    with running(PROJECT) as node:
        Writer(node).append(*({"page": page, "moment": 0} for page in range(PAGES)))
        node.wait_for_records("clicks", PAGES)
        for name, path in [("keyed", "/pages/1"), ("by DuckDB", "/total")]:
            for what, figures in one_reader(node, path, options.rounds).items():
                results[f"{name}, one reader, {what}"] = figures
            results[f"{name}, {options.readers} readers, {options.changes} changes/s"] = many_readers(node, path, options.readers, options.changes, 10)
            results[f"{name}, age of the newest row at {options.rate} rows/s"] = under_load(node, path, options.rate, 5)
    if options.json:
        print(json.dumps(results))
        return
    for name, figures in results.items():
        print(f"{name:52}" + "  ".join(f"{value} {unit.replace('_', ' ')}" for unit, value in figures.items()))


if __name__ == "__main__":
    main()
