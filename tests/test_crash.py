"""kill -9 at random moments: what was acknowledged is counted exactly once, and every view equals DuckDB's answer."""
import json
import os
import random
import subprocess
import threading
import time

from node import SHOP, Refused

KILLS = int(os.environ.get("MILLRACE_KILLS", 20))
LINES = int(os.environ.get("MILLRACE_LINES", 100_000))
BLOCK = 500
VIEWS = ["revenue_by_day", "revenue_by_country", "top_products", "customer_value", "revenue_by_category", "customer_products",
         "bought_together"]


def shop_lines(count):
    text = subprocess.run(["zstd", "-dcq", str(SHOP / "data" / "order_lines.csv.zst")], check=True, capture_output=True).stdout.decode()
    header, *lines = text.splitlines()
    return header, lines[:count]


def test_every_acknowledged_line_is_counted_once_through_kills(make_node, seed):
    choose = random.Random(seed)
    header, lines = shop_lines(LINES)
    node = make_node(SHOP)
    node.start()
    done = threading.Event()
    failure = []

    def send_all():
        try:
            for begin in range(0, len(lines), BLOCK):
                block = [header, *lines[begin:begin + BLOCK]]
                deadline = time.monotonic() + 120
                while True:
                    try:
                        node.send("order_lines", block, key=f"block-{begin}", content_type="text/csv")
                        break
                    except (OSError, Refused) as error:  # killed, starting, or behind: the same block again, under the same key
                        assert not isinstance(error, Refused) or error.status in (429, 503), error
                        assert time.monotonic() < deadline, error
                        time.sleep(0.02)
        except BaseException as error:  # shown by the main thread
            failure.append(error)
        finally:
            done.set()

    sender = threading.Thread(target=send_all)
    sender.start()
    kills, recoveries = 0, []
    while kills < KILLS:
        time.sleep(choose.uniform(0.02, 0.6))
        node.kill()
        kills += 1
        recoveries.append(node.start())
    assert done.wait(300)
    sender.join()
    assert not failure, failure
    node.wait_for_records("order_lines", len(lines))
    assert node.sql("SELECT count(*), count(DISTINCT (invoice, line)) FROM order_lines") == [[len(lines), len(lines)]]
    assert node.books("order_lines")["rows"] == len(lines)
    assert node.get("/v1/ledger")["balanced"]
    for view in VIEWS:
        assert node.difference(view) == 0, view
    print(f"{kills} kills, {len(lines)} lines, {len(VIEWS)} views equal; ready again after {max(recoveries):.2f} s at most")
    node.stop()


def test_a_step_number_names_the_same_content_after_a_kill(make_node, seed):
    choose = random.Random(seed)
    node = make_node("CREATE STREAM s (k BIGINT, v BIGINT);"
                     "CREATE MATERIALIZED VIEW v AS SELECT k, sum(v) AS total, count(*) AS n FROM s GROUP BY k;")
    node.start()
    seen = {}
    for round_number in range(8):
        for _ in range(20):
            node.send("s", [f'{{"k": {choose.randrange(5)}, "v": {choose.randrange(100)}}}' for _ in range(10)])
        answer = node.request("POST", "/v1/sql", b"SELECT * FROM v ORDER BY k", {"Content-Type": "application/sql"})[2]
        parsed = json.loads(answer)
        seen[parsed["step"]] = parsed["rows"]
        last_step = parsed["step"]
        node.kill()
        node.start()
        again = json.loads(node.request("POST", "/v1/sql", b"SELECT * FROM v ORDER BY k", {"Content-Type": "application/sql"})[2])
        assert again["step"] >= last_step
        if again["step"] == last_step:
            assert again["rows"] == seen[last_step], round_number
    node.wait_for_records("s", 8 * 200)
    assert node.sql("SELECT sum(n)::BIGINT FROM v") == [[8 * 200]]
    node.stop()
