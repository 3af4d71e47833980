"""Records whose headers name their schema, as confluent-kafka's serialisers write them: the value (and the key) is bare."""
import json

import pytest
from confluent_kafka import KafkaError, Producer
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient, header_schema_id_serializer
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.schema_registry.json_schema import JSONSerializer
from confluent_kafka.schema_registry.serde import SchemaId
from confluent_kafka.serialization import MessageField, SerializationContext

from test_kafka import wait_for

PROJECT = """
CREATE STREAM orders (id BIGINT NOT NULL, note VARCHAR) WITH (format = 'avro');
CREATE STREAM strict (id BIGINT NOT NULL) WITH (on_invalid = 'reject');
CREATE STREAM people INTO 2 PARTITIONS WITH (format = 'raw');
CREATE TABLE users (id BIGINT PRIMARY KEY, name VARCHAR NOT NULL) WITH (topic = 'people', format = 'json');
CREATE STREAM changes INTO 1 PARTITIONS WITH (format = 'raw');
CREATE TABLE accounts (id BIGINT PRIMARY KEY, name VARCHAR) WITH (topic = 'changes', format = 'debezium');
CREATE MATERIALIZED VIEW notes AS SELECT note, count(*) AS n FROM orders GROUP BY note;
"""
IN_HEADER = {"schema.id.serializer": header_schema_id_serializer}


def record(name, *fields):
    return {"type": "record", "name": name, "fields": [{"name": field, "type": type} for field, type in fields]}


ORDER = json.dumps(record("Order", ("id", "long"), ("note", "string")))


class Sender:
    """Sends records whose keys and values are serialised with their schemas' ids in the headers."""

    def __init__(self, node, topic):
        self.topic = topic
        self.registry = SchemaRegistryClient({"url": node.url})
        self.producer = Producer({"bootstrap.servers": node.kafka})
        self.failed = []

    def avro(self, schema):
        return AvroSerializer(self.registry, schema, conf=IN_HEADER)

    def send(self, value, by, key=None, key_by=None, more=()):
        headers = []
        if key_by is not None:
            key = key_by(key, SerializationContext(self.topic, MessageField.KEY, headers))
        if by is not None:
            value = by(value, SerializationContext(self.topic, MessageField.VALUE, headers))
        self.producer.produce(self.topic, key=key, value=value, headers=[*headers, *more],
                              on_delivery=lambda error, _: self.failed.append(error) if error else None)
        assert self.producer.flush(30) == 0
        return headers


def test_records_of_every_type_of_schema_are_rows(node):
    orders = Sender(node, "orders")
    headers = orders.send({"id": 1, "note": "avro"}, orders.avro(ORDER))
    assert [name for name, _ in headers] == ["__value_schema_id"] and headers[0][1][0] == 1, "the client writes a GUID"
    orders.send({"id": 2, "note": "json"}, JSONSerializer('{"title": "T", "type": "object"}', orders.registry, conf={
        **IN_HEADER, "subject.name.strategy": lambda context, name: "json"}))
    # The second message of its file: the header says so, behind the GUID.
    proto = Schema('syntax = "proto3"; message Other { string x = 1; } message Order { int64 id = 1; string note = 2; }', "PROTOBUF")
    guid = orders.registry.register_schema_full_response("protobuf", proto).guid
    header = SchemaId("PROTOBUF", guid=guid, message_indexes=[1]).guid_to_bytes()
    orders.send(b"\x08\x03\x12\x08protobuf", None, more=[("__value_schema_id", header)])
    number = orders.registry.get_latest_version("orders-value").schema_id
    by_number = [("__value_schema_id", b"\0" + number.to_bytes(4, "big"))]
    orders.send(b"\x08\x0cnumber", None, more=by_number)
    orders.send('{"id": 5, "note": "plain"}', None, more=[("other", b"x")])
    assert orders.failed == []
    rows = [[1, "avro"], [2, "json"], [3, "protobuf"], [4, "number"], [5, "plain"]]
    wait_for(lambda: node.sql("SELECT id, note FROM orders ORDER BY id") == rows)
    # Over a kill, and from history.
    node.kill()
    node.start()
    assert node.sql("SELECT id, note FROM orders ORDER BY id") == rows
    node.sql("CREATE MATERIALIZED VIEW late AS SELECT sum(id)::BIGINT AS ids FROM orders")
    wait_for(lambda: node.sql("SELECT ids FROM late") == [[15]])
    assert node.get("/v1/ledger")["balanced"]


def test_what_its_header_does_not_explain_is_set_aside_with_the_reason(node):
    orders = Sender(node, "orders")
    orders.send({"id": 1, "note": "x"}, orders.avro(ORDER))
    for header in (b"\0\0\0\x03\xe7", b"\x01" + bytes(16), b"", None, b"\x02abcd"):
        orders.send('{"id": 2}', None, more=[("__value_schema_id", header)])
    orders.send(b"\x02", None, more=[("__value_schema_id", b"\0\0\0\0\1")])
    assert orders.failed == []
    wait_for(lambda: node.sql('SELECT count(*) FROM "orders.quarantine"') == [[6]])
    errors = [row[0] for row in node.sql('SELECT _error FROM "orders.quarantine" ORDER BY _offset')]
    assert errors[:2] == ["schema 999 is not registered", "schema 00000000-0000-0000-0000-000000000000 is not registered"]
    assert all(error.startswith("the header __value_schema_id is no schema's id") for error in errors[2:5]), errors
    assert errors[5].startswith("schema 1: "), errors
    assert node.sql("SELECT count(*) FROM orders") == [[1]]
    strict = Sender(node, "strict")
    strict.send('{"id": 2}', None, more=[("__value_schema_id", b"\0\0\0\x03\xe7")])
    assert [error.code() for error in strict.failed] == [KafkaError.INVALID_RECORD]


@pytest.mark.parametrize("key_schema, key_of", [('"long"', lambda i: i), (json.dumps(record("Key", ("id", "long"))), lambda i: {"id": i})])
@pytest.mark.parametrize("in_header", [True, False])
def test_keys_and_values_of_a_topic_that_a_table_stands_on(node, in_header, key_schema, key_of):
    users = Sender(node, "people")
    config = IN_HEADER if in_header else {}
    name = AvroSerializer(users.registry, json.dumps(record("User", ("n", "long"), ("name", "string"))), conf=config)
    key = AvroSerializer(users.registry, key_schema, conf=config)
    for i in range(3):
        users.send({"n": i, "name": f"n{i}"}, name, key_of(i), key)  # its id stands in the key alone
    users.send(None, None, key_of(1), key)
    users.send({"n": -62, "name": "z"}, name, key_of(7), key)  # bytes that begin as JSON does, with {
    wait_for(lambda: node.sql("SELECT id, name FROM users ORDER BY id") == [[0, "n0"], [2, "n2"], [7, "z"]])
    users.send(b"\x04hi", None, b"9", more=[("__key_schema_id", b"\0\0\0\x03\xe7")])
    wait_for(lambda: node.sql('SELECT count(*) FROM "users.quarantine"') == [[1]])
    assert node.get("/v1/ledger")["balanced"]


def test_change_events_that_name_their_schema_in_a_header(node):
    row = record("Row", ("id", "long"), ("name", ["null", "string"]))
    envelope = json.dumps(record("Envelope", ("op", "string"), ("before", ["null", row]), ("after", ["null", "Row"])))
    accounts = Sender(node, "changes")
    by = accounts.avro(envelope)
    key = accounts.avro(json.dumps(record("Key", ("id", "long"))))
    for i in (1, 2):
        accounts.send({"op": "c", "before": None, "after": {"id": i, "name": f"n{i}"}}, by, {"id": i}, key)
    accounts.send({"op": "u", "before": None, "after": {"id": 1, "name": None}}, by, {"id": 1}, key)
    accounts.send({"op": "d", "before": None, "after": None}, by, {"id": 2}, key)
    accounts.send(None, None, {"id": 2}, key)
    wait_for(lambda: node.sql("SELECT id, name FROM accounts") == [[1, None]])
    assert node.sql('SELECT count(*) FROM "accounts.quarantine"') == [[0]]
