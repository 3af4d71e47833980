"""Settings of topics, set by Kafka clients and in SQL: whose timestamps, largest message, compaction, segments, flush."""
import json
import os
import pathlib
import time

import pytest

from test_kafka import wait_for

SQL = "CREATE STREAM clicks (user_id BIGINT NOT NULL, product VARCHAR) WITH (timestamps = 'broker', max_message_bytes = '4 kB');\n"
LONG_AGO = 1_000_000_000_000


@pytest.fixture
def node(make_node):
    node = make_node(SQL)
    node.start()
    yield node
    node.stop()


def admin_of(node):
    from confluent_kafka.admin import AdminClient
    return AdminClient({"bootstrap.servers": node.kafka})


def make(node, name, partitions=1, **config):
    from confluent_kafka.admin import NewTopic
    config = {key.replace("_", "."): value for key, value in config.items()}
    admin = admin_of(node)  # its futures end with it
    admin.create_topics([NewTopic(name, partitions, 1, config=config)])[name].result(30)


def alter(node, name, operation="SET", **config):
    from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource
    resource = ConfigResource(ConfigResource.Type.TOPIC, name)
    for key, value in config.items():
        resource.add_incremental_config(ConfigEntry(key.replace("_", "."), value, incremental_operation=AlterConfigOpType[operation]))
    admin = admin_of(node)
    admin.incremental_alter_configs([resource])[resource].result(30)


def settings(node, name):
    from confluent_kafka.admin import ConfigResource
    resource = ConfigResource(ConfigResource.Type.TOPIC, name)
    admin = admin_of(node)
    described = admin.describe_configs([resource])[resource].result(30)
    return {key: (entry.value, entry.is_default) for key, entry in described.items()}


def produce(node, topic, records, **config):
    """Records (key, value, timestamp); gives the messages as they were delivered."""
    from confluent_kafka import Producer
    producer = Producer({"bootstrap.servers": node.kafka, **config})
    delivered = []
    for key, value, timestamp in records:
        producer.produce(topic, value, key=key, timestamp=timestamp, on_delivery=lambda error, message: delivered.append((error, message)))
        producer.poll(0)
    assert producer.flush(30) == 0
    return delivered


def consume(node, topic):
    """What the topic's one partition holds."""
    from confluent_kafka import Consumer, KafkaError
    consumer = Consumer({"bootstrap.servers": node.kafka, "group.id": f"g{time.monotonic_ns()}", "auto.offset.reset": "earliest", "enable.partition.eof": True})
    consumer.subscribe([topic])
    got = []
    wait_for(lambda: got.extend(consumer.consume(500, 0.2)) or (got and got[-1].error()))
    consumer.close()
    assert got.pop().error().code() == KafkaError._PARTITION_EOF
    return got


@pytest.mark.parametrize("codec", ["none", "zstd"])
def test_the_broker_s_time_takes_the_place_of_the_producer_s(node, codec):
    from confluent_kafka import TIMESTAMP_CREATE_TIME, TIMESTAMP_LOG_APPEND_TIME
    make(node, "events", message_timestamp_type="LogAppendTime")
    before = int(time.time() * 1000)
    delivered = produce(node, "events", [(b"k", f"v{i}".encode() * 50, LONG_AGO + i) for i in range(50)], **{"compression.type": codec, "linger.ms": 50})
    assert {error for error, _ in delivered} == {None}
    told = {message.timestamp() for _, message in delivered}
    got = consume(node, "events")
    for message in got:
        kind, at = message.timestamp()
        assert kind == TIMESTAMP_LOG_APPEND_TIME and before - 1 <= at <= int(time.time() * 1000)
    assert {at for _, at in told} == {message.timestamp()[1] for message in got}, "the producer is told what consumers see"
    wait_for(lambda: node.sql('SELECT count(*) FROM "events"') == [[50]])
    assert node.sql(f'SELECT min(epoch_ms("timestamp")) >= {before - 1} FROM "events"') == [[True]]
    alter(node, "events", message_timestamp_type="CreateTime")
    produce(node, "events", [(b"k", b"own", LONG_AGO)])
    assert consume(node, "events")[-1].timestamp() == (TIMESTAMP_CREATE_TIME, LONG_AGO)
    # Rows of a stream have it too, over every protocol.
    produce(node, "clicks", [(None, json.dumps({"user_id": 1}), LONG_AGO)])
    node.sql("INSERT INTO clicks VALUES (2, 'x')")
    wait_for(lambda: node.sql("SELECT count(*) FROM clicks") == [[2]])
    assert node.sql(f"SELECT bool_and(epoch_ms(_timestamp) >= {before - 1}) FROM clicks") == [[True]]


def test_a_batch_may_be_as_large_as_its_topic_allows(node):
    make(node, "small", max_message_bytes="2000")
    assert [error for error, _ in produce(node, "small", [(b"k", b"x" * 1500, 0)])] == [None]
    assert [error.name() for error, _ in produce(node, "small", [(b"k", b"x" * 2500, 0)])] == ["MSG_SIZE_TOO_LARGE"]
    alter(node, "small", max_message_bytes="5000")
    assert [error for error, _ in produce(node, "small", [(b"k", b"x" * 2500, 0)])] == [None]
    # Rows that come together over HTTP are cut into such batches, and none is lost.
    rows = [json.dumps({"user_id": i, "product": "p" * 100}) for i in range(500)]
    assert node.send("clicks", rows, query="?wait=visible")["accepted"] == 500
    assert node.sql("SELECT count(*), sum(user_id)::BIGINT FROM clicks") == [[500, 124750]]
    with pytest.raises(Exception, match="max_message_bytes"):
        node.send("clicks", [json.dumps({"user_id": 1, "product": "p" * 5000})])
    assert node.get("/v1/ledger")["balanced"]


@pytest.mark.parametrize("codec", ["none", "gzip", "lz4"])
def test_a_compacted_topic_keeps_the_newest_record_of_each_key(node, codec):
    make(node, "latest", cleanup_policy="compact", segment_bytes="16384", delete_retention_ms="1000")
    node.sql("CREATE MATERIALIZED VIEW seen AS SELECT decode(key) AS k, count(*) AS n FROM latest GROUP BY 1")
    node.sql("CREATE TABLE newest (k VARCHAR PRIMARY KEY, v BIGINT, pad VARCHAR) WITH (topic = 'latest', format = 'json')")
    rounds, keys = 40, 20
    for i in range(rounds):
        produce(node, "latest", [(f"k{k}".encode(), json.dumps({"k": f"k{k}", "v": i, "pad": os.urandom(45).hex()}).encode(), 0) for k in range(keys)],
                **{"compression.type": codec, "linger.ms": 50})
    produce(node, "latest", [(b"k3", None, 0)])
    refused = produce(node, "latest", [(None, b"no key", 0)], **{"compression.type": codec})
    assert refused[0][0].name() == "INVALID_RECORD", refused[0][0]
    wait_for(lambda: node.sql("SELECT sum(n)::BIGINT FROM seen") == [[rounds * keys + 1]])
    # Compaction takes what is flushed and in full segments; readers have the newest of it in memory as it was until then.
    wait_for(lambda: len(list(pathlib.Path(node.data).rglob("latest/*/*.1.log"))) >= 2, seconds=120)
    node.kill()
    node.start()
    left = node.sql("SELECT count(*) FROM latest")[0][0]
    assert keys <= left < rounds * keys, left
    got = consume(node, "latest")
    newest = {}
    for message in got:
        newest[message.key()] = message.value() and json.loads(message.value())["v"]
    assert newest == {f"k{k}".encode(): (None if k == 3 else rounds - 1) for k in range(keys)} and len(got) <= left
    offsets = [message.offset() for message in got]
    assert offsets == sorted(set(offsets))
    # What was counted stays counted; what is built now sees what is left, at its offsets; the table is right either way.
    expected_table = [[keys - 1, (keys - 1) * (rounds - 1)]]
    for _ in range(2):
        assert node.sql("SELECT sum(n)::BIGINT FROM seen") == [[rounds * keys + 1]]
        assert node.sql("SELECT count(*), sum(v)::BIGINT FROM newest") == expected_table
        assert node.get("/v1/ledger")["balanced"]
        node.kill()
        node.start()
    node.sql("DROP TABLE newest")
    node.sql("CREATE TABLE newest (k VARCHAR PRIMARY KEY, v BIGINT, pad VARCHAR) WITH (topic = 'latest', format = 'json')")
    assert node.sql("SELECT count(*), sum(v)::BIGINT FROM newest") == expected_table


def test_settings_are_described_altered_and_kept(node):
    from test_kafka_clients import tool
    make(node, "all", cleanup_policy="compact,delete", retention_ms="86400000", segment_bytes="1048576", segment_ms="3600000", delete_retention_ms="60000",
         max_message_bytes="100000", message_timestamp_type="LogAppendTime", flush_ms="250")
    expected = {"cleanup.policy": ("compact,delete", False), "retention.ms": ("86400000", False), "segment.bytes": ("1048576", False), "segment.ms": ("3600000", False),
                "delete.retention.ms": ("60000", False), "max.message.bytes": ("100000", False), "message.timestamp.type": ("LogAppendTime", False),
                "flush.ms": ("250", False), "flush.messages": (str(2**63 - 1), False)}
    for _ in range(2):
        described = settings(node, "all")
        assert {key: described[key] for key in expected} == expected
        node.kill()
        node.start()
    out = tool(node, "org.apache.kafka.tools.TopicCommand", "--describe", "--topic", "all")
    assert "cleanup.policy=compact,delete" in out and "message.timestamp.type=LogAppendTime" in out, out
    for key in expected:
        alter(node, "all", "DELETE", **{key.replace(".", "_"): None})
    described = settings(node, "all")
    assert all(described[key][1] for key in expected), described
    assert (described["cleanup.policy"][0], described["flush.messages"][0], described["segment.ms"][0]) == ("delete", "1", str(7 * 24 * 3600 * 1000))
    for key, value, problem in [("cleanup.policy", "shrink", "delete, compact"), ("segment.bytes", "10", "16384"), ("max.message.bytes", "1", "1024"), ("flush.ms", "20000", "10000"),
                                ("flush.messages", "7", "flush.messages"), ("message.timestamp.type", "Never", "LogAppendTime"), ("segment.ms", "0", "above 0"),
                                ("min.insync.replicas", "2", "min.insync.replicas")]:
        with pytest.raises(Exception, match=problem):
            alter(node, "all", **{key.replace(".", "_"): value})
    assert settings(node, "all") == described
    with pytest.raises(Exception, match="raw streams"):
        alter(node, "clicks", cleanup_policy="compact")
    assert settings(node, "clicks")["message.timestamp.type"] == ("LogAppendTime", False)
    assert settings(node, "clicks")["max.message.bytes"] == ("4000", False)


def test_settings_in_sql(node):
    node.sql("CREATE STREAM t WITH (format = 'raw', cleanup_policy = 'compact', delete_retention = '2 hours', segment_bytes = '1 MB', segment_age = '1 day')")
    described = settings(node, "t")
    assert [described[key][0] for key in ("cleanup.policy", "delete.retention.ms", "segment.bytes", "segment.ms")] == ["compact", "7200000", "1000000", "86400000"]
    node.sql("ALTER STREAM t SET (timestamps = 'broker', segment_bytes = '64 kB')")
    node.sql("ALTER STREAM t RESET (cleanup_policy)")
    described = settings(node, "t")
    assert [described[key][0] for key in ("cleanup.policy", "message.timestamp.type", "segment.bytes")] == ["delete", "LogAppendTime", "64000"]
    for statement, problem in [("CREATE STREAM u (a INTEGER) WITH (cleanup_policy = 'compact')", "raw streams"),
                               ("ALTER STREAM clicks SET (cleanup_policy = 'compact')", "raw streams"),
                               ("ALTER STREAM clicks SET (segment_bytes = '1 kB')", "16384"),
                               ("ALTER STREAM clicks SET (timestamps = 'mine')", "'producer', 'broker'")]:
        with pytest.raises(Exception, match=problem):
            node.sql(statement)
