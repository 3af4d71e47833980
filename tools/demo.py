#!/usr/bin/env python3
"""The demo: examples/shop on real data, its answers and its books. See tools/demo.sh; uses the standard library alone."""
import csv
import io
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
SHOP = ROOT / "examples" / "shop"
BINARY = ROOT / "build" / "release" / "bin" / "millrace"
SEED = 2011
TWICE = 0.02
OUT_OF_ORDER = 0.05
SHIFT_LINES_MAX = 2000
WATERMARK_SECONDS = 7 * 24 * 3600
VISIBLE_SECONDS_MAX = 300
VIEWS = ["revenue_by_day", "revenue_by_country", "top_products", "customer_value", "revenue_by_category", "customer_products",
         "bought_together"]


def seconds_of(text):
    return time.mktime(time.strptime(text, "%Y-%m-%d %H:%M:%S"))


def make_input(path):
    """Writes the order lines with some twice and some out of order. Returns (lines sent, lines sent twice)."""
    text = subprocess.run(["zstd", "-dcq", str(SHOP / "data" / "order_lines.csv.zst")], check=True, capture_output=True).stdout.decode()
    header, *lines = text.splitlines(keepends=True)
    choose = random.Random(SEED)
    keyed = []
    twice = 0
    times = {}

    def when(index):
        if index not in times:
            times[index] = seconds_of(next(csv.reader(io.StringIO(lines[index])))[5])
        return times[index]

    for index, line in enumerate(lines):
        place = index
        if choose.random() < OUT_OF_ORDER:
            later = min(len(lines) - 1, index + choose.randrange(1, SHIFT_LINES_MAX))
            if when(later) - when(index) < WATERMARK_SECONDS / 2:
                place = later + 0.5
        keyed.append((place, index, line))
        if choose.random() < TWICE:
            twice += 1
            keyed.append((index + choose.randrange(1, SHIFT_LINES_MAX) + 0.25, index, line))
    keyed.sort()
    with open(path, "w", encoding="utf-8") as out:
        out.write(header)
        out.writelines(line for _, _, line in keyed)
    return len(keyed), twice


class Node:
    def __init__(self, data):
        command = [str(BINARY), "run", str(SHOP), "--data", data, "--disk-reserve", "256MiB"]
        if os.environ.get("MILLRACE_HTTP") is None:
            command += ["--http", "127.0.0.1:0" if os.environ.get("CI") else "127.0.0.1:8080"]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        self.url = None
        self.told = threading.Event()
        threading.Thread(target=self.read_stderr, daemon=True).start()
        self.told.wait()
        if self.url is None:
            sys.exit(f"the node did not start (exit status {self.process.wait()})")

    def read_stderr(self):
        """To the end, not only to the ready line: the node would wait for whoever does not read."""
        for line in self.process.stderr:
            if line.startswith("ready "):
                self.url = "http://" + line.split("http=")[1].split()[0]
                self.told.set()
            else:
                sys.stderr.write(line)
        self.told.set()

    def get(self, path):
        with urllib.request.urlopen(self.url + path, timeout=120) as answer:
            return json.load(answer)

    def sql(self, text):
        request = urllib.request.Request(self.url + "/v1/sql?timeout=120s", data=text.encode(), headers={"Content-Type": "application/sql"})
        with urllib.request.urlopen(request, timeout=180) as answer:
            return json.load(answer)["rows"]

    def books(self):
        return self.get("/v1/ledger")

    def stop(self):
        """Ctrl-C on a terminal has reached the node already; a second one changes nothing."""
        self.process.send_signal(signal.SIGINT)
        while True:
            try:
                return self.process.wait()
            except KeyboardInterrupt:
                pass  # it is ending


def show(title, columns, rows):
    print(f"\n{title}")
    table = [columns] + [["" if value is None else str(value) for value in row] for row in rows]
    widths = [max(len(row[i]) for row in table) for i in range(len(columns))]
    for row in table:
        print("  " + "  ".join(value.ljust(width) for value, width in zip(row, widths)).rstrip())


def check_view(node, name):
    """True when the view holds what DuckDB answers to its query over the stored rows."""
    query = node.sql(f"SELECT query FROM millrace.views WHERE name = '{name}'")[0][0]
    different = node.sql(f"SELECT (SELECT count(*) FROM (FROM {name} EXCEPT ALL ({query}))) + "
                         f"(SELECT count(*) FROM (({query}) EXCEPT ALL FROM {name}))")
    rows = node.sql(f"SELECT count(*) FROM {name}")[0][0]
    print(f"  {name:22} {rows:>8} rows  {'equal' if different[0][0] == 0 else f'{different[0][0]} ROWS DIFFER'}")
    return different[0][0] == 0


def main():
    start = time.time()
    right = True
    with tempfile.TemporaryDirectory(prefix="millrace-demo-") as folder:
        source = os.path.join(folder, "order_lines.csv")
        sent, twice = make_input(source)
        print(f"{sent} order lines of a real shop: {sent - twice} different ones, {twice} of them twice, "
              f"{OUT_OF_ORDER:.0%} out of order.", flush=True)
        node = Node(os.path.join(folder, "data"))
        try:
            loading = time.time()
            subprocess.run([str(BINARY), "load", "order_lines", source, "--url", node.url], check=True)
            deadline = time.time() + VISIBLE_SECONDS_MAX
            while True:
                books = {(line["edge"], line["counter"]): line["value"] for line in node.books()["lines"]}
                if books.get(("log → order_lines", "records"), 0) >= sent:
                    break
                if time.time() > deadline:
                    sys.exit("the views did not get there")
                time.sleep(0.05)
            print(f"All views are up to date {time.time() - loading:.1f} s after the first line was sent.")

            show("Revenue by day (GET /days/2010-12-01, and SQL)", ["day", "revenue", "orders", "lines", "returned"],
                 node.sql("SELECT * FROM revenue_by_day ORDER BY day LIMIT 3"))
            day = node.get("/days/2010-12-01")
            right &= len(day) == 1 and day[0]["orders"] > 0
            show("Countries", ["country", "revenue", "customers"],
                 node.sql("SELECT * FROM revenue_by_country ORDER BY revenue DESC LIMIT 3"))
            show("Bought together with 85123A (GET /products/85123A/bought-together)", ["other", "baskets", "rank"],
                 [list(row.values()) for row in node.get("/products/85123A/bought-together")[:3]])
            show("Recommended to customer 17850 (GET /customers/17850/recommendations?n=3)", ["stock_code", "score"],
                 [list(row.values()) for row in node.get("/customers/17850/recommendations?n=3")])

            print("\nEach view against DuckDB's answer to the same query over the stored rows:")
            for view in VIEWS:
                right &= check_view(node, view)

            ledger = node.books()
            show("The books", ["edge", "counter", "value"], [[line["edge"], line["counter"], line["value"]] for line in ledger["lines"]])
            books = {(line["edge"], line["counter"]): line["value"] for line in ledger["lines"]}
            balanced = ledger["balanced"] and books[("log → order_lines", "duplicates")] == twice \
                and books[("log → order_lines", "rows")] == sent - twice
            print("The books balance, and name every duplicate." if balanced else "THE BOOKS DO NOT BALANCE.")
            right &= balanced

            print(f"\n{'Everything is right' if right else 'SOMETHING IS WRONG'} ({time.time() - start:.0f} s).")
            if right and sys.stdout.isatty() and not os.environ.get("CI"):
                print(f"\nServing at {node.url} until Ctrl-C. Try:")
                print(f"  curl '{node.url}/customers/13047/recommendations?n=5'")
                print(f"  {BINARY.relative_to(ROOT)} sql --url {node.url} \"SELECT * FROM top_products WHERE month = '2011-11-01' ORDER BY rank\"")
                print(f"  {BINARY.relative_to(ROOT)} sql --url {node.url} \"UPDATE products SET category = 'gifts' WHERE stock_code = '22423'\"")
                try:
                    node.process.wait()
                except KeyboardInterrupt:
                    print()
        finally:
            node.stop()
    return 0 if right else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
