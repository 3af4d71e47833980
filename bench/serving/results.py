#!/usr/bin/env python3
"""Large results and ad-hoc queries over HTTP, beside DuckDB's own in the same run: a million rows of a table as JSON, NDJSON, CSV, Arrow
and Parquet, and aggregations over a stream of ten million rows, from its log and from the column cache, beside DuckDB's read_json of the
same rows and its own table of them.

    bench/serving/results.py [--json] [--rows N] [--stream-rows N] [--runs N]     needs build/release/bin/millrace (make build)

Medians of the runs (of 15 by the column cache and by DuckDB's table, in turns); a result is taken in full and thrown away by a client on the same machine.
"""
import argparse
import http.client
import json
import os
import pathlib
import statistics
import sys
import tempfile
import time
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests"))
import deps  # noqa: E402,F401: where the clients are
import duckdb  # noqa: E402
from node import Node  # noqa: E402

PROJECT = """CREATE STREAM lines (id BIGINT NOT NULL, shop INTEGER, product VARCHAR, price DOUBLE, sold_at TIMESTAMP);
CREATE MATERIALIZED VIEW million AS SELECT * FROM lines WHERE id < {rows};
"""
FORMATS = {"JSON": "application/json", "NDJSON": "application/x-ndjson", "CSV": "text/csv", "Arrow": "application/vnd.apache.arrow.stream",
           "Parquet": "application/vnd.apache.parquet"}
QUERIES = {"count, sum by shop": "SELECT shop, count(*), sum(price) FROM {} GROUP BY shop",
           "filter and sum": "SELECT sum(price) FROM {} WHERE product = 'product 7'",
           "distinct products by hour": "SELECT date_trunc('hour', sold_at), count(DISTINCT product) FROM {} GROUP BY 1"}
ROWS_A_REQUEST = 100_000
CACHED_RUNS = 15  # they are short
MB = 1e6


def line(i):
    return f'{{"id":{i},"shop":{i * 7919 % 1000},"product":"product {i * 31 % 5000}","price":{i % 9973 / 100},"sold_at":"2026-01-{i % 28 + 1:02} {i % 24:02}:00:00"}}\n'


def query(node, text, accept):
    """Seconds and bytes of the whole answer."""
    url = urllib.parse.urlparse(node.url)
    connection = http.client.HTTPConnection(url.hostname, url.port, timeout=600)
    begin = time.monotonic()
    connection.request("POST", "/v1/sql?timeout=300s", text.encode(), {"Content-Type": "application/sql", "Accept": accept})
    response = connection.getresponse()
    assert response.status == 200, response.read()
    size = 0
    while piece := response.read(1 << 20):
        size += len(piece)
    return time.monotonic() - begin, size


def median(runs, work):
    return statistics.median(work() for _ in range(runs))


def results(node, con, options, folder):
    rows = {}
    for name, accept in FORMATS.items():
        timed = [query(node, "SELECT * FROM million", accept) for _ in range(options.runs)]
        seconds, size = statistics.median(seconds for seconds, _ in timed), timed[0][1]
        rows[name] = {"s": round(seconds, 3), "mb": round(size / MB, 1), "mb_s": round(size / MB / seconds)}
    con.execute(f"CREATE TABLE million AS SELECT * FROM stream WHERE id < {options.rows}")
    for name, to in {"CSV": "(FORMAT csv, HEADER)", "Parquet": "(FORMAT parquet)", "NDJSON": "(FORMAT json)"}.items():
        path = folder / f"out.{name}"

        def copy(path=path, to=to):
            begin = time.monotonic()
            con.execute(f"COPY million TO '{path}' {to}")
            return time.monotonic() - begin
        seconds = median(options.runs, copy)
        rows[name]["duckdb_s"] = round(seconds, 3)
        rows[name]["duckdb_mb_s"] = round(os.path.getsize(path) / MB / seconds)
    return rows


def fill_column_cache(node, options):
    """Starts the node with its cache, has a query ask for it, and waits until what it takes is in. Returns its seconds and bytes."""
    node.stop()
    node.flags = ()
    node.start()
    query(node, "SELECT sum(price) FROM lines", "text/csv")
    begin = time.monotonic()
    while True:
        found = node.sql("SELECT state, records, bytes FROM millrace.column_cache WHERE stream = 'lines'")
        if found and found[0][0] == "waiting" and found[0][1] > 0.9 * options.stream_rows:
            return {"s": round(time.monotonic() - begin, 1), "mb": round(found[0][2] / MB), "of": options.stream_rows, "records": found[0][1]}
        assert time.monotonic() < begin + 600, found
        time.sleep(0.1)


def seconds_of(con, text):
    begin = time.monotonic()
    con.execute(text).fetchall()
    return time.monotonic() - begin


def cached(node, con):
    """Seconds of each query by the column cache and by DuckDB's own table, which take turns."""
    rows = {}
    for name, text in QUERIES.items():
        pairs = [(query(node, text.format("lines"), "text/csv")[0], seconds_of(con, text.format("stream"))) for _ in range(CACHED_RUNS)]
        rows[name] = {"cached_s": round(statistics.median(ours for ours, _ in pairs), 3), "duckdb_table_s": round(statistics.median(theirs for _, theirs in pairs), 3)}
    return rows


def queries(node, con, options, file):
    rows = {}
    for name, text in QUERIES.items():
        columns = "{id: 'BIGINT', shop: 'INTEGER', product: 'VARCHAR', price: 'DOUBLE', sold_at: 'TIMESTAMP'}"
        rows[name] = {"s": round(median(options.runs, lambda text=text: query(node, text.format("lines"), "text/csv")[0]), 3),
                      "read_json_s": round(median(options.runs, lambda text=text: seconds_of(con, text.format(f"read_json('{file}', columns = {columns})"))), 3)}  # noqa: B023
    return rows


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--stream-rows", type=int, default=10_000_000)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir="build") as name:
        folder = pathlib.Path(name)
        project = folder / "project"
        project.mkdir()
        (project / "project.sql").write_text(PROJECT.format(rows=options.rows))
        node = Node(project, folder / "data", "--column-cache", "off")
        node.start()
        file = folder / "lines.json"
        with open(file, "w") as out:
            for begin in range(0, options.stream_rows, ROWS_A_REQUEST):
                lines = [line(i) for i in range(begin, min(begin + ROWS_A_REQUEST, options.stream_rows))]
                out.writelines(lines)
                node.send("lines", [text[:-1] for text in lines])
        node.wait_for_records("lines", options.stream_rows, seconds=600)
        con = duckdb.connect(config={"threads": os.cpu_count()})
        con.execute(f"CREATE TABLE stream AS SELECT id::BIGINT AS id, shop::INTEGER AS shop, product, price::DOUBLE AS price, sold_at::TIMESTAMP AS sold_at FROM read_json('{file}')")
        found = {"results": results(node, con, options, folder), "queries": queries(node, con, options, file)}
        found["column cache"] = {"filled": fill_column_cache(node, options)}
        for name, row in cached(node, con).items():
            found["queries"][name] |= row
        node.stop()
    if options.json:
        print(json.dumps(found))
        return
    for part, rows in found.items():
        print(part)
        for name, row in rows.items():
            print(f"  {name:28}", "  ".join(f"{key} {value}" for key, value in row.items()))


if __name__ == "__main__":
    main()
