#!/usr/bin/env python3
"""The whole way through one node, client and node on the same machine: NDJSON over HTTP with fsync into two views, and into a stream
that nothing reads, time from sending to visible at a given rate, start and restart.

    bench/whole_way.py [--json] [--seconds S]        needs build/release/bin/millrace (make build)
"""
import argparse
import http.client
import json
import pathlib
import random
import sys
import tempfile
import threading
import time
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests"))
from node import Node  # noqa: E402

PROJECT = """
CREATE STREAM clicks (user_id BIGINT NOT NULL, product VARCHAR NOT NULL, price DECIMAL(10,2), clicked_at TIMESTAMP NOT NULL)
  PARTITION BY (user_id) INTO 4 PARTITIONS;
CREATE MATERIALIZED VIEW by_product AS SELECT product, count(*) AS clicks, sum(price) AS revenue FROM clicks GROUP BY product;
CREATE MATERIALIZED VIEW by_user AS SELECT user_id, count(*) AS clicks FROM clicks WHERE price > 10 GROUP BY user_id;
"""
FIVE_VIEWS = PROJECT + """
CREATE MATERIALIZED VIEW by_minute AS SELECT time_bucket(INTERVAL '1 minute', clicked_at) AS minute, min(price) AS least, max(price) AS most
  FROM clicks GROUP BY ALL;
CREATE MATERIALIZED VIEW top_products AS SELECT * FROM by_product ORDER BY revenue DESC, product LIMIT 10;
CREATE MATERIALIZED VIEW users_of_product AS SELECT product, count(DISTINCT user_id) AS users FROM clicks GROUP BY product;
"""


ONE_STREAM = "CREATE STREAM clicks (user_id BIGINT NOT NULL, product VARCHAR NOT NULL, price DECIMAL(10,2), clicked_at TIMESTAMP NOT NULL);"


def body(choose, rows):
    return "".join(f'{{"user_id":{choose.randrange(100000)},"product":"p{choose.randrange(1000)}","price":{choose.randrange(100)}.50,'
                   f'"clicked_at":"2026-01-01T00:00:{choose.randrange(60):02}"}}\n' for _ in range(rows)).encode()


def post(connection, path, data):
    connection.request("POST", path, data, {"Content-Type": "application/x-ndjson"})
    answer = connection.getresponse()
    text = answer.read()
    assert answer.status == 200, (answer.status, text)
    return json.loads(text)


def connect(node):
    url = urllib.parse.urlparse(node.url)
    return http.client.HTTPConnection(url.hostname, url.port)


def throughput(node, seconds):
    """Rows a second over two connections, until the views have all of them."""
    bodies = [body(random.Random(i), 10_000) for i in range(8)]
    sent = [0, 0]

    def run(index):
        connection = connect(node)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            post(connection, "/v1/streams/clicks", bodies[random.randrange(len(bodies))])
            sent[index] += 10_000

    begin = time.monotonic()
    threads = [threading.Thread(target=run, args=(i,)) for i in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    acknowledged = time.monotonic() - begin
    node.wait_for_records("clicks", sum(sent))
    visible = time.monotonic() - begin
    return {"rows": sum(sent), "acknowledged_rows_per_s": round(sum(sent) / acknowledged), "visible_rows_per_s": round(sum(sent) / visible)}


def latency(node, rows_per_second, seconds):
    """Milliseconds from sending a request to its answer with ?wait=visible, at a steady rate."""
    connection = connect(node)
    per_request = rows_per_second // 200
    data = [body(random.Random(i), per_request) for i in range(8)]
    times = []
    next_at = time.monotonic()
    for i in range(int(seconds * 200)):
        next_at += 1 / 200
        time.sleep(max(0, next_at - time.monotonic()))
        begin = time.monotonic()
        post(connection, "/v1/streams/clicks?wait=visible", data[i % 8])
        times.append((time.monotonic() - begin) * 1000)
    times.sort()
    return {"rows_per_s": rows_per_second, "p50_ms": round(times[len(times) // 2], 2), "p99_ms": round(times[len(times) * 99 // 100], 2)}


def memory_mb(node):
    return round(node.memory_kib() / 1024)


def new_node(folder, name, sql):
    project = pathlib.Path(folder, name)
    project.mkdir()
    (project / "project.sql").write_text(sql)
    return Node(project, pathlib.Path(folder, name + ".data"))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--seconds", type=int, default=8)
    options = parser.parse_args()
    result = {}
    with tempfile.TemporaryDirectory(dir="build") as folder:
        node = new_node(folder, "two_views", PROJECT)
        result["empty_start_s"] = round(node.start(), 2)
        result["empty_memory_mb"] = memory_mb(node)
        result["ingest"] = throughput(node, options.seconds)
        result["visible"] = latency(node, 20_000, options.seconds)
        node.kill()
        result["restart_after_kill_s"] = round(node.start(), 2)
        node.stop()
        node = new_node(folder, "five_views", FIVE_VIEWS)
        node.start()
        result["visible_five_views"] = latency(node, 50_000, options.seconds)
        node.stop()
        node = new_node(folder, "one_stream", ONE_STREAM)
        node.start()
        result["ingest_one_stream"] = throughput(node, options.seconds)
        node.stop()
    if options.json:
        print(json.dumps(result))
    else:
        for name, value in result.items():
            print(f"{name:22} {value}")


if __name__ == "__main__":
    main()
