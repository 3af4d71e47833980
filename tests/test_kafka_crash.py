"""Kafka clients against a node that is killed again and again: what was acknowledged is there, once, and what was copied in transactions too."""
import json
import os
import random
import subprocess
import threading
import time

import pytest

from deps import DEPS
from node import ROOT
from test_kafka import consume, consumer, producer, wait_for

SQL = """
CREATE STREAM numbers (source VARCHAR NOT NULL, n BIGINT NOT NULL) INTO 4 PARTITIONS WITH (durability = '{durability}');
CREATE STREAM copies (source VARCHAR NOT NULL, n BIGINT NOT NULL) INTO 2 PARTITIONS;
CREATE MATERIALIZED VIEW total AS SELECT source, count(*) AS numbers, sum(n) AS sum, count(DISTINCT n) AS different FROM numbers GROUP BY source;
CREATE MATERIALIZED VIEW copied AS SELECT source, count(*) AS numbers, sum(n) AS sum, count(DISTINCT n) AS different FROM copies GROUP BY source;
"""
KILLS = int(os.environ.get("MILLRACE_KILLS", 10))
PATIENT = {"message_timeout_ms": 300_000, "reconnect_backoff_max_ms": 200, "linger_ms": 1}
# librdkafka from 2.11 on forgets a broker once it is down and begins anew, but not that it was the group's coordinator, to which it then waits to be
# connected for ever (2.16).
KEEP_BROKER = {"metadata_recovery_strategy": "none"}


class LibrdkafkaProducer:
    """Writes numbers from 0 on, each acknowledged or tried again."""

    def __init__(self, node):
        self.node, self.acknowledged, self.failed = node, [], []
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.produce, daemon=True)
        self.thread.start()

    def produce(self):
        client = producer(self.node, enable_idempotence=True, **PATIENT)
        n = 0

        def report(error, message):
            (self.failed if error else self.acknowledged).append(error or int(json.loads(message.value())["n"]))

        while not self.stopping.is_set():
            client.produce("numbers", json.dumps({"source": "librdkafka", "n": n}), key=str(n), on_delivery=report)
            n += 1
            client.poll(0)
            if n % 20 == 0:
                time.sleep(0.001)
        if client.flush(120) != 0:
            self.failed.append("not all was delivered")

    def stop(self):
        self.stopping.set()
        self.thread.join(180)
        assert not self.thread.is_alive() and self.failed == []
        assert sorted(self.acknowledged) == list(range(len(self.acknowledged)))
        return len(self.acknowledged)


class JavaProducer:
    def __init__(self, node):
        self.process = subprocess.Popen(["java", "-Xmx256m", "-cp", f"{DEPS}/kafka-clients-3.9.1/*", ROOT / "tests" / "clients" / "KafkaClient.java",
                                         node.kafka, "numbers"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def stop(self):
        out, wrong = self.process.communicate("stop\n", timeout=180)
        assert self.process.returncode == 0, out + wrong
        return int(out.split()[0])


class Copier:
    """Copies `numbers` to `copies`; where it stands in the one is part of the transactions that write to the other."""

    def __init__(self, node):
        self.node, self.stopping, self.transactions, self.begun_anew, self.wrong = node, threading.Event(), 0, 0, None
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        from confluent_kafka import KafkaException
        try:
            while not self.stopping.is_set():
                try:
                    self.copy()
                except KafkaException as error:
                    if not (error.args[0].retriable() or error.args[0].txn_requires_abort() or error.args[0].fatal()):
                        print(f"the copy begins anew: {error}")
                    self.begun_anew += 1  # from what the last transaction committed, as such a job would when it is started again
        except Exception as error:  # the thread's end is looked at by stop()
            self.wrong = error

    def copy(self):
        reader = consumer(self.node, "copier", isolation_level="read_committed", enable_auto_commit=False)
        writer = producer(self.node, transactional_id="copier", transaction_timeout_ms=10_000, reconnect_backoff_max_ms=200, **KEEP_BROKER)
        try:
            writer.init_transactions(60)
            reader.subscribe(["numbers"])
            while not self.stopping.is_set():
                batch = [message for message in reader.consume(2000, 0.2) if message.error() is None]
                if not batch:
                    continue
                writer.begin_transaction()
                for message in batch:
                    writer.produce("copies", message.value(), key=message.key())
                writer.send_offsets_to_transaction(reader.position(reader.assignment()), reader.consumer_group_metadata(), 30)
                writer.commit_transaction(30)
                self.transactions += 1
        finally:
            reader.close()

    def stop(self):
        self.stopping.set()
        self.thread.join(120)
        assert not self.thread.is_alive() and self.wrong is None, self.wrong


# A kill takes nothing that was written: what is answered before the fdatasync survives it too.
@pytest.mark.parametrize("durability,kills", [("fsync", KILLS), ("os", (KILLS + 2) // 3)])
def test_what_producers_write_and_a_transactional_job_copies_is_there_once_over_kills(make_node, seed, durability, kills):
    choose = random.Random(seed)
    node = make_node(SQL.format(durability=durability))
    node.start()
    node.flags = ("--kafka", node.kafka)  # the same address at each start
    one, other, copier = LibrdkafkaProducer(node), JavaProducer(node), Copier(node)

    def let_them_go_on():
        before, copied = len(one.acknowledged), copier.transactions
        wait_for(lambda: len(one.acknowledged) > before + 200 and copier.transactions > copied, 90)

    wait_for(lambda: node.sql("SELECT count(*) FROM total WHERE source = 'java'") == [[1]], 60)
    for _ in range(kills):
        let_them_go_on()
        time.sleep(choose.random() * 0.3)
        node.kill()
        node.start()
    let_them_go_on()
    counts = {"java": other.stop(), "librdkafka": one.stop()}
    assert min(counts.values()) > 200
    whole = [[source, count, count * (count - 1) // 2, count] for source, count in sorted(counts.items())]
    wait_for(lambda: node.sql("SELECT source, numbers, sum, different FROM total ORDER BY source") == whole, 60)
    wait_for(lambda: node.sql("SELECT source, numbers, sum, different FROM copied ORDER BY source") == whole, 90)
    copier.stop()
    print(f"{kills} kills, {counts} numbers, {copier.transactions} transactions, {copier.begun_anew} times begun anew")
    every = sorted((source, n) for source, count in counts.items() for n in range(count))
    for topic in ["numbers", "copies"]:
        reader = consumer(node, f"check-{topic}", isolation_level="read_committed")
        reader.subscribe([topic])
        read = [json.loads(message.value()) for message in consume(reader, len(every), 600)]
        assert sorted((row["source"], row["n"]) for row in read) == every
        reader.close()
    assert node.get("/v1/ledger")["balanced"] is True
    node.stop()
