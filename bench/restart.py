#!/usr/bin/env python3
"""Restart after kill -9 with much state: rows of as many keys as asked for are taken in over HTTP into a view that counts and sums by key,
which a second view adds up. Prints the memory of the node and the time from starting it again to ready and to its first answer.

    bench/restart.py [--json] [--keys N] [--content] [--settle S]     needs build/release/bin/millrace (make build)

Without --content the view by key is a part of the second view, so its keys are state and nothing else; with it, it is a view of its own,
whose rows are kept for readers too, and the first answer is a look-up in it by key.
"""
import argparse
import http.client
import json
import os
import pathlib
import re
import sys
import tempfile
import time
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests"))
from node import Node  # noqa: E402

STREAM = "CREATE STREAM sales (item BIGINT NOT NULL, amount BIGINT NOT NULL);\n"
BY_ITEM = "SELECT item, count(*) AS sold, sum(amount) AS total FROM sales GROUP BY item"
STATE_ONLY = f"""{STREAM}
CREATE MATERIALIZED VIEW totals AS SELECT count(*) AS items, sum(sold) AS sold, sum(total) AS total FROM ({BY_ITEM});
CREATE ENDPOINT answer ON GET '/answer' AS SELECT * FROM totals;
"""
CONTENT = f"""{STREAM}
CREATE MATERIALIZED VIEW by_item AS {BY_ITEM};
CREATE ENDPOINT answer ON GET '/answer' (item BIGINT DEFAULT 4711) AS SELECT * FROM by_item WHERE item = $item;
"""
ROWS_A_REQUEST = 50_000


def connect(node):
    url = urllib.parse.urlparse(node.url)
    return http.client.HTTPConnection(url.hostname, url.port, timeout=60)


def load(node, keys):
    connection = connect(node)
    for begin in range(0, keys, ROWS_A_REQUEST):
        # All keys once, in an order that is none: 7,919 is prime and divides no round number.
        body = "".join(f'{{"item":{i * 7919 % keys},"amount":{i % 100}}}\n' for i in range(begin, min(begin + ROWS_A_REQUEST, keys)))
        connection.request("POST", "/v1/streams/sales", body.encode(), {"Content-Type": "application/x-ndjson"})
        answer = connection.getresponse()
        text = answer.read()
        assert answer.status == 200, (answer.status, text)
    node.wait_for_records("sales", keys, seconds=600)


def answer(node):
    connection = connect(node)
    connection.request("GET", "/answer")
    response = connection.getresponse()
    text = response.read()
    assert response.status == 200, (response.status, text)
    return json.loads(text)


def memory_mb(node):
    status = pathlib.Path(f"/proc/{node.process.pid}/status").read_text()
    return {name: round(int(re.search(rf"{name}:\s+(\d+)", status).group(1)) / 1000) for name in ("VmRSS", "RssAnon", "RssFile")}


def cpu_seconds(node):
    fields = pathlib.Path(f"/proc/{node.process.pid}/stat").read_text().rsplit(") ", 1)[1].split()
    return round((int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"), 2)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--keys", type=int, default=10_000_000)
    parser.add_argument("--content", action="store_true")
    parser.add_argument("--settle", type=float, default=0, help="seconds between the last row's answer and the kill")
    options = parser.parse_args()
    result = {"keys": options.keys}
    with tempfile.TemporaryDirectory(dir="build") as folder:
        project = pathlib.Path(folder, "project")
        project.mkdir()
        (project / "project.sql").write_text(CONTENT if options.content else STATE_ONLY)
        node = Node(project, pathlib.Path(folder, "data"))
        node.start()
        begin = time.monotonic()
        load(node, options.keys)
        result["load_s"] = round(time.monotonic() - begin, 1)
        result["memory_mb"] = memory_mb(node)
        result["flushes"] = int(node.metric("millrace_state_flushes_total"))
        before = answer(node)
        time.sleep(options.settle)
        node.kill()
        begin = time.monotonic()
        result["ready_s"] = round(node.start(seconds=300), 2)
        after = answer(node)
        result["first_answer_s"] = round(time.monotonic() - begin, 2)
        result["cpu_s"] = cpu_seconds(node)
        result["state_read_from_disk"] = int(node.metric("millrace_state_misses_total"))
        assert after == before, (before, after)
        result["memory_after_restart_mb"] = memory_mb(node)
        node.stop()
    if options.json:
        print(json.dumps(result))
    else:
        for name, value in result.items():
            print(f"{name:24} {value}")


if __name__ == "__main__":
    main()
