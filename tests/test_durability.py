"""Streams whose producers are answered before the fdatasync: they are, and nobody sees what could still be lost."""
import json
import time

from test_kafka import consume, consumer, producer, wait_for

SQL = """
CREATE STREAM strict (id BIGINT NOT NULL);
CREATE STREAM loose (id BIGINT NOT NULL) WITH (durability = 'interval 10s');
CREATE MATERIALIZED VIEW total AS SELECT count(*) AS n FROM loose;
"""
LONG = 5  # seconds; the interval is twice as long


def row(i):
    return json.dumps({"id": i})


def unsynced(node):
    return node.metric("millrace_log_unsynced_bytes")


def test_producers_are_answered_early_and_who_waits_makes_it_durable(make_node):
    node = make_node(SQL)
    node.start()
    begin = time.monotonic()
    assert node.send("loose", [row(1)])["accepted"] == 1
    client = producer(node)
    client.produce("loose", row(2))
    assert client.flush(30) == 0
    client_of_one = producer(node, acks="1")
    client_of_one.produce("loose", row(3))
    assert client_of_one.flush(30) == 0
    assert unsynced(node) > 0 and node.sql("SELECT n FROM total") == [[0]], "not durable, so not visible"
    assert time.monotonic() - begin < LONG

    assert node.send("loose", [row(4)], query="?wait=visible")["visible"]
    assert node.sql("SELECT n FROM total") == [[4]] and unsynced(node) == 0
    token = node.send("loose", [row(5)])["token"]
    assert json.loads(node.request("POST", f"/v1/sql?after={token}", b"SELECT n FROM total", {"Content-Type": "application/sql"})[2])["rows"] == [[5]]
    node.sql("INSERT INTO loose VALUES (6)")
    assert node.sql("SELECT n FROM total") == [[6]]

    # A request of another stream takes along what is written; one with a key is durable when it is answered.
    node.send("loose", [row(7)])
    node.send("strict", [row(1)])
    assert unsynced(node) == 0
    node.send("loose", [row(8)], key="k")
    assert unsynced(node) == 0
    wait_for(lambda: node.sql("SELECT n FROM total") == [[8]])
    assert time.monotonic() - begin < LONG
    reader = consumer(node, "all")
    reader.subscribe(["loose"])
    assert [json.loads(m.value())["id"] for m in consume(reader, 8)] == [*range(1, 9)]
    reader.close()
    node.stop()


def test_a_kill_loses_nothing_and_a_stop_neither(make_node):
    node = make_node(SQL)
    node.start()
    node.send("loose", [row(1)])
    assert unsynced(node) > 0
    node.kill()
    node.start()
    wait_for(lambda: node.sql("SELECT n FROM total") == [[1]])
    node.send("loose", [row(2)])
    begin = time.monotonic()
    node.stop()
    assert time.monotonic() - begin < LONG
    node.start()
    wait_for(lambda: node.sql("SELECT n FROM total") == [[2]])
    assert node.sql("SELECT name, durability FROM millrace.streams ORDER BY name") == [["loose", "interval 10000ms"], ["strict", "fsync"]]
    node.stop()


def test_an_alter_counts_at_once_and_kafka_clients_see_it(make_node):
    from confluent_kafka.admin import AdminClient, ConfigResource
    node = make_node(SQL)
    node.start()
    admin = AdminClient({"bootstrap.servers": node.kafka})

    def flush(topic):
        resource = ConfigResource(ConfigResource.Type.TOPIC, topic)
        settings = admin.describe_configs([resource])[resource].result(30)
        return settings["flush.messages"].value, settings["flush.ms"].value

    never = str(2**63 - 1)
    assert flush("strict") == ("1", never) and flush("loose") == (never, "10000")
    node.sql("ALTER STREAM loose SET (durability = 'os')")
    assert flush("loose") == (never, "1000")
    node.send("loose", [row(1)])
    wait_for(lambda: node.sql("SELECT n FROM total") == [[1]], LONG)
    node.sql("ALTER STREAM loose RESET (durability)")
    node.send("loose", [row(2)])
    assert unsynced(node) == 0 and flush("loose") == ("1", never)

    # Rows that were acknowledged before a change of the columns are read by those before it.
    node.sql("ALTER STREAM loose SET (durability = 'interval 10s')")
    node.send("loose", [row(3)])
    begin = time.monotonic()
    node.sql("ALTER STREAM loose ADD COLUMN c VARCHAR DEFAULT 'x'")
    assert time.monotonic() - begin < LONG
    assert node.sql("SELECT count(*) FROM loose") == [[3]]
    node.stop()
