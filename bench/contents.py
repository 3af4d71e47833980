#!/usr/bin/env python3
"""Contents of a table and a view that are many times larger than the memory they may take, or not (a larger --memory): time and memory
of loading, look-ups by key one after the other on one connection, a scan, updates of keys at random, a view built from the table, and
a restart after kill -9.

    bench/contents.py [--json] [--keys N] [--memory SIZE]     needs build/release/bin/millrace (make build)

`largest_rss_mb` is the node's largest anonymous memory while the phase ran: its own, without files that the system may take back.
"""
import argparse
import json
import pathlib
import random
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests"))
from node import Node  # noqa: E402
from restart import connect, memory_mb  # noqa: E402

PROJECT = """CREATE STREAM sales (item BIGINT NOT NULL, amount BIGINT NOT NULL);
CREATE TABLE items (item BIGINT PRIMARY KEY, name VARCHAR, price BIGINT);
CREATE MATERIALIZED VIEW by_item AS SELECT item, count(*) AS sold, sum(amount) AS total FROM sales GROUP BY item;
CREATE ENDPOINT view_row ON GET '/view' (item BIGINT) AS SELECT * FROM by_item WHERE item = $item;
CREATE ENDPOINT table_row ON GET '/table' (item BIGINT) AS SELECT * FROM items WHERE item = $item;
"""
ROWS_A_REQUEST = 50_000
LOOK_UPS = 5_000


class Watch:
    """The node's largest anonymous memory since the last look."""

    def __init__(self, node):
        self.node, self.largest, self.over = node, 0, False
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.over:
            try:
                self.largest = max(self.largest, memory_mb(self.node)["RssAnon"])
            except (OSError, AttributeError):
                pass  # between two lives
            time.sleep(0.1)

    def take(self):
        largest, self.largest = self.largest, 0
        return largest


def request(connection, method, path, body=None, media=None):
    connection.request(method, path, body, {"Content-Type": media} if media else {})
    response = connection.getresponse()
    text = response.read()
    assert response.status == 200, (response.status, text)
    return text


def sell(node, items):
    connection = connect(node)
    for begin in range(0, len(items), ROWS_A_REQUEST):
        body = "".join(f'{{"item":{item},"amount":7}}\n' for item in items[begin:begin + ROWS_A_REQUEST])
        request(connection, "POST", "/v1/streams/sales?wait=visible&timeout=60s", body.encode(), "application/x-ndjson")


def query(node, text):
    return json.loads(request(connect(node), "POST", "/v1/sql?timeout=600s", text.encode(), "application/sql"))


def look_up(node, path, keys, seed, absent=False):
    at = random.Random(seed)
    connection = connect(node)
    times = []
    for _ in range(LOOK_UPS):
        item = at.randrange(keys) + (keys if absent else 0)
        begin = time.monotonic()
        rows = json.loads(request(connection, "GET", f"{path}?item={item}"))
        times.append(time.monotonic() - begin)
        assert [row["item"] for row in rows] == ([] if absent else [item]), rows
    times.sort()
    return {"per_second": round(len(times) / sum(times)), "median_ms": round(times[len(times) // 2] * 1e3, 2),
            "p99_ms": round(times[len(times) * 99 // 100] * 1e3, 2)}


def in_memory(node):
    """Which share of the rows is in memory."""
    [[rows, warm]] = query(node, "SELECT sum(state_rows)::BIGINT, sum(state_rows_in_memory)::BIGINT FROM millrace.operators "
                                 "WHERE view IN ('items', 'by_item') AND operator LIKE 'output%'")["rows"]
    return round(int(warm) / int(rows), 3)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--keys", type=int, default=2_000_000)
    parser.add_argument("--memory", default="128MiB")
    options = parser.parse_args()
    keys = options.keys
    result = {"keys": keys, "memory": options.memory}
    with tempfile.TemporaryDirectory(dir="build") as folder:
        project = pathlib.Path(folder, "project")
        project.mkdir()
        (project / "project.sql").write_text(PROJECT)
        node = Node(project, pathlib.Path(folder, "data"), "--memory", options.memory)
        node.start()
        watch = Watch(node)

        def phase(name, work):
            watch.take()
            begin = time.monotonic()
            value = work()
            result[name] = {"seconds": round(time.monotonic() - begin, 2), "largest_rss_mb": watch.take()}
            if "median_ms" in (value if isinstance(value, dict) else ()):
                result[name].update(value)
            print(name, result[name], file=sys.stderr, flush=True)
            return value

        def load(name, work):
            phase(name, work)
            result[name]["rows_per_second"] = round(keys / result[name]["seconds"])

        # All keys once, in an order that is none: 7,919 is prime and divides no round number.
        load("load_view", lambda: sell(node, [i * 7919 % keys for i in range(keys)]))
        load("load_table", lambda: [query(node, f"INSERT INTO items SELECT i, 'item ' || i, i % 100 FROM range({b}, {min(b + 20_000, keys)}) r(i)")
                                    for b in range(0, keys, 20_000)])
        result["in_memory"] = in_memory(node)
        phase("look_up_view", lambda: look_up(node, "/view", keys, 1))
        phase("look_up_table", lambda: look_up(node, "/table", keys, 2))
        phase("look_up_absent", lambda: look_up(node, "/table", keys, 6, absent=True))
        phase("scan_view", lambda: query(node, "SELECT count(*) AS n, sum(total)::BIGINT AS total FROM by_item"))
        at = random.Random(3)
        phase("update_100k", lambda: sell(node, [at.randrange(keys) for _ in range(100_000)]))
        phase("build_from_table", lambda: query(node, "CREATE MATERIALIZED VIEW prices AS SELECT price, count(*) AS n FROM items GROUP BY price"))
        check = "SELECT (SELECT count(*) FROM by_item) AS v, (SELECT sum(total)::BIGINT FROM by_item) AS t, (SELECT sum(price)::BIGINT FROM items) AS p"
        before = query(node, check)
        node.kill()
        phase("ready", lambda: node.start(seconds=300))
        result["in_memory_after_restart"] = in_memory(node)
        phase("first_look_up", lambda: look_up(node, "/view", keys, 4))
        after = query(node, check)
        assert before == after, (before, after)
        phase("look_up_table_again", lambda: look_up(node, "/table", keys, 5))
        watch.over = True
        node.stop()
    print(json.dumps(result, indent=None if options.json else 2))


if __name__ == "__main__":
    main()
