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
BLOCK = 50
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
    kills = 0
    sending = threading.Event()  # a request is under way
    done = threading.Event()
    failure = []

    def send_all():
        try:
            for begin in range(0, len(lines), BLOCK):
                while begin * KILLS >= (kills + 1) * len(lines) and not failure:
                    time.sleep(0.001)  # lines are left for every kill
                block = [header, *lines[begin:begin + BLOCK]]
                deadline = time.monotonic() + 120
                while True:
                    try:
                        sending.set()
                        node.send("order_lines", block, key=f"block-{begin}", content_type="text/csv")
                        break
                    except (OSError, Refused) as error:  # killed, starting, or behind: the same block again, under the same key
                        assert not isinstance(error, Refused) or error.status in (429, 503), error
                        assert time.monotonic() < deadline, error
                        time.sleep(0.02)
                    finally:
                        sending.clear()
        except BaseException as error:  # shown by the main thread
            failure.append(error)
        finally:
            done.set()

    sender = threading.Thread(target=send_all)
    sender.start()
    under_way, recoveries = 0, []
    while kills < KILLS:
        time.sleep(choose.uniform(0.005, 0.15))
        under_way += sending.is_set()
        node.kill()
        recoveries.append(node.start())
        kills += 1
    assert done.wait(300)
    sender.join()
    assert not failure, failure
    node.wait_for_records("order_lines", len(lines))
    assert node.sql("SELECT count(*), count(DISTINCT (invoice, line)) FROM order_lines") == [[len(lines), len(lines)]]
    assert node.books("order_lines")["rows"] == len(lines)
    assert node.get("/v1/ledger")["balanced"]
    for view in VIEWS:
        assert node.difference(view) == 0, view
    assert under_way >= KILLS / 2, f"only {under_way} of {kills} kills met a request: the test kills a node that has nothing to do"
    print(f"{kills} kills, {under_way} of them with a request under way, {len(lines)} lines, {len(VIEWS)} views equal; ready again after {max(recoveries):.2f} s at most")
    node.stop()


def test_a_step_number_names_the_same_content_after_a_kill(make_node, seed):
    choose = random.Random(seed)
    node = make_node("CREATE STREAM s (k BIGINT, v BIGINT);"
                     "CREATE MATERIALIZED VIEW v AS SELECT k, sum(v) AS total, count(*) AS n FROM s GROUP BY k;")
    node.start()

    def content():
        """(step, rows)"""
        answer = json.loads(node.request("POST", "/v1/sql", b"SELECT * FROM v ORDER BY k", {"Content-Type": "application/sql"})[2])
        return answer["step"], answer["rows"]

    for round_number in range(8):
        for _ in range(20):
            node.send("s", [f'{{"k": {choose.randrange(5)}, "v": {choose.randrange(100)}}}' for _ in range(10)])
        node.wait_for_records("s", (round_number + 1) * 200)  # no step comes after this one, so the kill cannot hide it
        seen = content()
        node.kill()
        node.start()
        assert content() == seen, round_number
    node.wait_for_records("s", 8 * 200)
    assert node.sql("SELECT sum(n)::BIGINT FROM v") == [[8 * 200]]
    node.stop()
