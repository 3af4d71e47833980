"""A table is a topic: its changelog is read by Kafka clients, who also write rows into it."""
import json
import threading

import pytest
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, ConfigResource, NewPartitions

from node import Refused
from test_kafka import consume, consumer, producer, wait_for

PROJECT = """
CREATE TABLE products (id INTEGER PRIMARY KEY, name VARCHAR NOT NULL, price DECIMAL(10,2), CHECK (price >= 0));
CREATE TABLE prices (shop VARCHAR, id INTEGER, price DECIMAL(10,2), PRIMARY KEY (shop, id));
CREATE TABLE notes (text VARCHAR);
CREATE MATERIALIZED VIEW totals AS SELECT count(*) AS n, sum(price) AS price FROM products;
"""


def send(client, topic, records):
    """Sends (key, value) pairs; returns the errors, None for each that was taken."""
    outcomes = []
    for key, value in records:
        client.produce(topic, key=key, value=value, on_delivery=lambda error, message: outcomes.append(error and str(error)))
    client.flush(30)
    return outcomes


def products(node):
    return node.sql("SELECT id, name, price::VARCHAR FROM products ORDER BY id")


def test_its_changelog_is_read_as_json(node):
    node.sql("INSERT INTO products VALUES (1, 'tea', 2.50), (2, 'pot', 9)")
    node.sql("UPDATE products SET price = 3 WHERE id = 1")
    node.sql("DELETE FROM products WHERE id = 2")
    reader = consumer(node, "followers")
    reader.subscribe(["products"])
    records = [(json.loads(message.key()), json.loads(message.value()) if message.value() else None) for message in consume(reader, 4)]
    reader.close()
    assert records == [({"id": 1}, {"id": 1, "name": "tea", "price": 2.5}), ({"id": 2}, {"id": 2, "name": "pot", "price": 9}),
                       ({"id": 1}, {"id": 1, "name": "tea", "price": 3}), ({"id": 2}, None)]


def test_clients_put_rows_in_and_take_them_out(node):
    node.sql("INSERT INTO products VALUES (7, 'cup', 1)")
    client = producer(node)
    outcomes = send(client, "products", [
        (None, '{"id": 1, "name": "tea", "price": "2.50"}'),
        ("2", '{"price": 9, "id": 2, "name": "pot"}'),
        ('{ "id" : 3 }', '{"id": 3, "name": "mug"}'),
        ("7", None),
        ('{"id": 2}', '{"id": 2, "name": "pan", "price": 8}')])
    assert outcomes == [None] * 5
    # A write is answered when it is visible.
    assert products(node) == [[1, "tea", "2.50"], [2, "pan", "8.00"], [3, "mug", None]]
    assert node.sql("SELECT n, price::VARCHAR FROM totals") == [[2 + 1, "10.50"]]
    assert send(client, "prices", [(None, '{"shop": "a", "id": 1, "price": 5}'), ('{"id": 1, "shop": "b"}', '{"shop": "b", "id": 1, "price": 6}'),
                                   ('{"id": 1, "shop": "a"}', None)]) == [None] * 3
    assert node.sql("SELECT shop, id, price::VARCHAR FROM prices") == [["b", 1, "6.00"]]
    # One key is one key, however it was written: what SQL writes afterwards stands for the same row.
    node.sql("UPDATE products SET name = 'kettle' WHERE id = 2")
    node.sql("DELETE FROM products WHERE id = 3")
    node.kill()
    node.start()
    assert products(node) == [[1, "tea", "2.50"], [2, "kettle", "8.00"]]
    assert node.difference("totals") == 0
    assert node.get("/v1/ledger")["balanced"] is True


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
def test_packed_batches_are_rows_too(node, codec):
    client = producer(node, **{"compression.type": codec, "linger.ms": 50})
    rows = [(str(i), json.dumps({"id": i, "name": f"product {i % 7}", "price": i % 10})) for i in range(3000)]
    assert send(client, "products", rows) == [None] * 3000
    assert node.sql("SELECT n, price::INTEGER FROM totals") == [[3000, sum(i % 10 for i in range(3000))]]
    reader = consumer(node, "all")
    reader.subscribe(["products"])
    assert sorted(json.loads(message.key())["id"] for message in consume(reader, 3000)) == list(range(3000))
    reader.close()


@pytest.mark.parametrize("key, value, why", [
    (None, "no row", "record 1"), (None, '{"id": "x", "name": "a"}', "id"), (None, '{"id": 1}', "name"), (None, '{"id": 1, "name": "a", "price": -1}', "CHECK"),
    (None, '{"name": "a"}', "id"), ("2", '{"id": 1, "name": "a"}', "is not that of its row"), ("x", None, "its key"), ("{}", None, "is NULL"), (None, None, "neither key nor value")])
def test_what_is_no_row_is_refused(node, key, value, why):
    client = producer(node)
    outcomes = send(client, "products", [(key, value)])
    assert outcomes[0] is not None and "INVALID_RECORD" in outcomes[0] or "Broker failed to validate record" in outcomes[0]
    assert products(node) == []
    # The client goes on.
    assert send(client, "products", [(None, '{"id": 1, "name": "tea"}')]) == [None]
    assert products(node) == [[1, "tea", None]]


def test_tables_without_key_and_transactions_are_refused(node):
    assert "validate record" in send(producer(node), "notes", [("1", '{"text": "a"}')])[0]
    client = producer(node, **{"transactional.id": "till"})
    client.init_transactions(30)
    client.begin_transaction()
    assert "validate record" in send(client, "products", [(None, '{"id": 1, "name": "tea"}')])[0]
    client.abort_transaction(30)
    assert products(node) == []


def test_administration(node):
    admin = AdminClient({"bootstrap.servers": node.kafka})
    topics = admin.list_topics(timeout=30).topics
    assert len(topics["products"].partitions) == 1 and "totals" not in topics
    resource = ConfigResource(ConfigResource.Type.TOPIC, "products")
    assert admin.describe_configs([resource])[resource].result(30)["cleanup.policy"].value == "compact"
    with pytest.raises(KafkaException, match="one partition"):
        admin.create_partitions([NewPartitions("products", 3)])["products"].result(30)
    with pytest.raises(KafkaException, match="Invalid request"):
        admin.delete_topics(["products"])["products"].result(30)
    assert products(node) == []


def test_clients_and_statements_at_once_lose_no_change(node):
    """Statements read a row and write it back: no record of a client may come between."""
    client_rows, rounds = 200, 60
    node.sql(f"INSERT INTO products SELECT i, 'p', 0 FROM range({client_rows}) r(i)")
    stop = threading.Event()
    failures = []

    def raise_prices():
        while not stop.is_set():
            try:
                node.sql("UPDATE products SET price = price + 1 WHERE id < 10")
                raised.append(1)
            except Refused as error:
                failures.append(str(error))

    raised = []
    thread = threading.Thread(target=raise_prices)
    thread.start()
    client = producer(node)
    for round in range(rounds):
        send(client, "products", [(None, json.dumps({"id": i, "name": f"r{round}", "price": 0})) for i in range(10, client_rows)])
    stop.set()
    thread.join()
    assert failures == [] and raised
    assert node.sql("SELECT min(price)::INTEGER, max(price)::INTEGER FROM products WHERE id < 10") == [[len(raised), len(raised)]]
    assert node.sql("SELECT DISTINCT name FROM products WHERE id >= 10") == [[f"r{rounds - 1}"]]
