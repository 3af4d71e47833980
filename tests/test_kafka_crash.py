"""Kafka producers against a node that is killed again and again: what was acknowledged is there, once."""
import json
import os
import random
import threading
import time

from test_kafka import consume, consumer, producer, wait_for

SQL = """
CREATE STREAM numbers (n BIGINT NOT NULL) INTO 4 PARTITIONS;
CREATE MATERIALIZED VIEW total AS SELECT count(*) AS numbers, sum(n) AS sum, count(DISTINCT n) AS different FROM numbers;
"""
KILLS = int(os.environ.get("MILLRACE_KILLS", 3))


def test_idempotent_producers_write_each_number_once_over_kills(make_node, seed):
    choose = random.Random(seed)
    node = make_node(SQL)
    node.start()
    node.flags = ("--kafka", node.kafka)  # the same address at each start
    acknowledged, failed, stopping = [], [], threading.Event()

    def produce():
        client = producer(node, enable_idempotence=True, message_timeout_ms=300_000, reconnect_backoff_max_ms=200, linger_ms=1)
        n = 0

        def report(error, message):
            (failed if error else acknowledged).append(error or int(json.loads(message.value())["n"]))

        while not stopping.is_set():
            client.produce("numbers", json.dumps({"n": n}), key=str(n), on_delivery=report)
            n += 1
            client.poll(0)
            if n % 20 == 0:
                time.sleep(0.001)
        assert client.flush(120) == 0

    thread = threading.Thread(target=produce)
    thread.start()
    for _ in range(KILLS):
        before = len(acknowledged)
        wait_for(lambda: len(acknowledged) > before + 200, 60)
        time.sleep(choose.random() * 0.3)
        node.kill()
        node.start()
    before = len(acknowledged)
    wait_for(lambda: len(acknowledged) > before + 200, 60)
    stopping.set()
    thread.join(180)
    assert not thread.is_alive() and failed == [] and len(acknowledged) > 200 * KILLS
    count = len(acknowledged)
    assert sorted(acknowledged) == list(range(count))
    wait_for(lambda: node.sql("SELECT numbers, sum, different FROM total") == [[count, count * (count - 1) // 2, count]], 60)
    reader = consumer(node, "check")
    reader.subscribe(["numbers"])
    assert sorted(json.loads(m.value())["n"] for m in consume(reader, count)) == list(range(count))
    reader.close()
    node.stop()
