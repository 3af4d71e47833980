"""kill -9 of a node whose tables and views do not fit in the memory that they may take: all that was acknowledged is there, once."""
import json
import random
import threading
import time

from node import Refused

KEYS = 150_000
KILLS = 8
PROJECT = """CREATE STREAM sales (item BIGINT, amount BIGINT);
CREATE TABLE items (item BIGINT PRIMARY KEY, name VARCHAR, version BIGINT);
CREATE MATERIALIZED VIEW by_item AS SELECT item, count(*) AS sold, sum(amount) AS total FROM sales GROUP BY item;
CREATE MATERIALIZED VIEW by_price AS SELECT total, count(*) AS n FROM by_item GROUP BY total;
CREATE ENDPOINT item ON GET '/item' (item BIGINT) AS SELECT * FROM by_item WHERE item = $item;
"""


def cold_rows(node, relation):
    [[rows, in_memory]] = node.sql("SELECT sum(state_rows)::BIGINT, sum(state_rows_in_memory)::BIGINT FROM millrace.operators"
                                   f" WHERE view = '{relation}' AND operator LIKE 'output%'")
    return rows - in_memory


def test_what_is_partly_on_disk_only_survives_kills(make_node, seed):
    choose = random.Random(seed)
    node = make_node(PROJECT, "--memory", "64MiB")
    node.start()
    for begin in range(0, KEYS, 10_000):
        node.send("sales", [f'{{"item":{item},"amount":1}}' for item in range(begin, begin + 10_000)])
        node.sql(f"INSERT INTO items SELECT i, 'some name of item ' || i, 0 FROM range({begin}, {begin + 10_000}) r(i)")
    node.wait_for_records("sales", KEYS)
    sold = [1] * KEYS
    failure, stop = [], threading.Event()

    def sell():
        number = 0
        try:
            while not stop.is_set():
                items = [choose.randrange(KEYS) for _ in range(200)]
                lines = [f'{{"item":{item},"amount":1}}' for item in items]
                while True:
                    try:
                        node.send("sales", lines, key=f"block-{number}")
                        break
                    except (OSError, Refused) as error:
                        assert not isinstance(error, Refused) or error.status in (429, 503), error
                        time.sleep(0.02)
                number += 1
                for item in items:
                    sold[item] += 1
                time.sleep(0.01)  # 20,000 rows a second at most: statements wait behind what came before them
        except BaseException as error:  # shown by the main thread
            failure.append(error)

    seller = threading.Thread(target=sell)
    seller.start()
    most_cold = 0
    for kill in range(KILLS):
        version = kill + 1
        node.sql(f"UPDATE items SET version = {version} WHERE item % {KILLS} = {kill}")
        time.sleep(choose.uniform(0.1, 1.5))
        most_cold = max(most_cold, cold_rows(node, "by_item"))
        node.kill()
        node.start()
        assert node.sql("SELECT count(*), sum(version)::BIGINT FROM items") == [
            [KEYS, sum(k + 1 for i in range(KEYS) if (k := i % KILLS) <= kill)]]
    stop.set()
    seller.join()
    assert not failure, failure
    assert most_cold > KEYS // 4, f"at most {most_cold} rows were on disk only"
    node.wait_for_records("sales", sum(sold))
    assert node.sql("SELECT count(*), sum(sold)::BIGINT, sum(total)::BIGINT FROM by_item") == [[KEYS, sum(sold), sum(sold)]]
    for item in choose.sample(range(KEYS), 200):
        rows = json.loads(node.request("GET", f"/item?item={item}")[2])
        assert [row["sold"] for row in rows] == [sold[item]], (item, rows, sold[item])
    # In parts: a query has a few MiB of so small a memory.
    for begin in range(0, KEYS, 10_000):
        assert node.sql(f"SELECT item, sold, total FROM by_item WHERE item >= {begin} AND item < {begin + 10_000} ORDER BY item") == [
            [begin + i, n, n] for i, n in enumerate(sold[begin:begin + 10_000])]
    assert node.difference("by_price") == 0
    assert node.get("/v1/ledger")["balanced"]
    print(f"{KILLS} kills, {sum(sold)} sales, {most_cold} of {KEYS} rows on disk only at most")
    node.stop()
