"""The schema registry under the clients that people have: confluent-kafka's registry client and serialisers."""
import base64
import datetime
import decimal
import json
import struct
import time

import pytest
from confluent_kafka import KafkaError, Producer
from confluent_kafka.schema_registry import Schema, SchemaReference, SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.schema_registry.error import SchemaRegistryError
from confluent_kafka.schema_registry.json_schema import JSONDeserializer, JSONSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

ORDER = """{"type": "record", "name": "Order", "fields": [{"name": "id", "type": "long"},
  {"name": "note", "type": ["null", "string"], "default": null}]}"""
ORDER_2 = ORDER.replace('"fields": [', '"fields": [{"name": "price", "type": "double", "default": 0},')
ORDER_WRONG = ORDER.replace('"fields": [', '"fields": [{"name": "price", "type": "double"},')


@pytest.fixture
def node(make_node):
    node = make_node("CREATE STREAM clicks (id BIGINT);")
    node.start()
    yield node
    node.stop()


def value_of(topic):
    return SerializationContext(topic, MessageField.VALUE)


def test_serialisers_register_and_deserialisers_find_over_restarts(node):
    client = SchemaRegistryClient({"url": node.url})
    avro = AvroSerializer(client, ORDER)({"id": 5, "note": "x"}, value_of("orders"))
    assert avro[:5] == b"\0\0\0\0\1"
    json_value = JSONSerializer('{"title": "T", "type": "object", "properties": {"a": {"type": "integer"}}}', client)({"a": 1}, value_of("js"))
    node.kill()
    node.start()
    client = SchemaRegistryClient({"url": node.url})
    assert client.get_subjects() == ["clicks-value", "js-value", "orders-value"], "the stream's own too"
    assert AvroDeserializer(client)(avro, value_of("orders")) == {"id": 5, "note": "x"}
    assert JSONDeserializer(None, schema_registry_client=client)(json_value, value_of("js")) == {"a": 1}
    assert client.get_latest_version("orders-value").schema_id == 1


def test_versions_levels_and_deletions(node):
    client = SchemaRegistryClient({"url": node.url})
    assert client.register_schema("orders-value", Schema(ORDER, "AVRO")) == 1
    assert client.register_schema("orders-value", Schema(ORDER_2, "AVRO")) == 2
    client.set_compatibility("orders-value", "BACKWARD_TRANSITIVE")  # version 1 has no price
    with pytest.raises(SchemaRegistryError) as refused:
        client.register_schema("orders-value", Schema(ORDER_WRONG, "AVRO"))
    assert refused.value.http_status_code == 409 and "price" in str(refused.value)
    assert not client.test_compatibility("orders-value", Schema('"int"', "AVRO"))
    client.set_compatibility("orders-value", "NONE")
    assert client.register_schema("orders-value", Schema(ORDER_WRONG, "AVRO")) == 3
    assert client.get_versions("orders-value") == [1, 2, 3]
    assert client.delete_version("orders-value", 2) == 2
    assert client.delete_subject("orders-value") == [1, 3]
    assert client.get_subjects() == ["clicks-value"] and client.get_subjects(deleted=True) == ["clicks-value", "orders-value"]
    assert client.get_schema(2).schema_str == ORDER_2, "values in streams name it"


def test_references_and_protobuf_texts(node):
    client = SchemaRegistryClient({"url": node.url})
    client.register_schema("point", Schema('syntax = "proto3"; message Point { int32 x = 1; }', "PROTOBUF"))
    line = Schema('syntax = "proto3"; import "point.proto"; message Line { repeated Point points = 1; }', "PROTOBUF",
                  references=[SchemaReference("point.proto", "point", 1)])
    assert client.register_schema("line", line) == 2
    with pytest.raises(SchemaRegistryError) as refused:
        client.delete_subject("point")
    assert refused.value.error_code == 42206
    with pytest.raises(SchemaRegistryError) as refused:
        client.register_schema("wrong", Schema('syntax = "proto3"; message A { in x = 1; }', "PROTOBUF"))
    assert refused.value.error_code == 42201 and '"in" is not defined' in str(refused.value)


def protobuf_class(name, file, text, dependencies=()):
    """A message's class as protoc would have generated it."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
    pool = descriptor_pool.DescriptorPool()
    for each in (*dependencies, descriptor_pb2.FileDescriptorProto(name=file, syntax="proto3", **text)):
        pool.Add(each)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(name))


def test_protobuf_serialisers_of_python_give_descriptors(node):
    from confluent_kafka.schema_registry.protobuf import ProtobufDeserializer, ProtobufSerializer
    from google.protobuf import descriptor_pb2
    field = descriptor_pb2.FieldDescriptorProto
    integer = dict(type=field.TYPE_INT32, label=field.LABEL_OPTIONAL)
    point = descriptor_pb2.FileDescriptorProto(
        name="point.proto", syntax="proto3",
        message_type=[descriptor_pb2.DescriptorProto(name="Point", field=[field(name="x", number=1, **integer)])])
    line = protobuf_class("Line", "line.proto", dict(dependency=["point.proto"], message_type=[descriptor_pb2.DescriptorProto(name="Line", field=[
        field(name="points", number=1, type=field.TYPE_MESSAGE, type_name=".Point", label=field.LABEL_REPEATED)])]), [point])
    client = SchemaRegistryClient({"url": node.url})
    message = line()
    message.points.add(x=5)
    serializer = ProtobufSerializer(line, client, {"use.deprecated.format": False})
    value = serializer(message, value_of("lines"))
    kept = client.get_latest_version("lines-value").schema.schema_str
    assert 'import "point.proto";' in kept and "repeated .Point points = 1;" in kept, "the text is kept"
    node.kill()
    node.start()
    client = SchemaRegistryClient({"url": node.url})
    assert ProtobufSerializer(line, client, {"use.deprecated.format": False})(message, value_of("lines")) == value, "it is the same schema"
    assert client.get_versions("lines-value") == [1]
    deserializer = ProtobufDeserializer(line, {"use.deprecated.format": False}, client)
    assert deserializer(value, value_of("lines")) == message
    serialized = SchemaRegistryClient({"url": node.url}).get_schema(client.get_latest_version("lines-value").schema_id, fmt="serialized").schema_str
    assert descriptor_pb2.FileDescriptorProto.FromString(base64.b64decode(serialized)).dependency == ["point.proto"]
    with pytest.raises(SchemaRegistryError, match="422"):
        client.register_schema("wrong", Schema(base64.b64encode(b"\x0a\x05wrong").decode(), "PROTOBUF"))


STREAM = """
CREATE STREAM orders (id BIGINT NOT NULL, note VARCHAR DEFAULT 'none', price DECIMAL(10, 2) CHECK (price >= 0), placed TIMESTAMP) INTO 2 PARTITIONS
  WITH (format = 'avro');
CREATE STREAM strict (id BIGINT NOT NULL) WITH (format = 'avro', on_invalid = 'reject');
CREATE MATERIALIZED VIEW totals AS SELECT note, count(*) AS orders, sum(price) AS total FROM orders GROUP BY note;
"""
AVRO = json.dumps({"type": "record", "name": "Order", "namespace": "shop", "fields": [
    {"name": "id", "type": "long"},
    {"name": "note", "type": ["null", "string"], "default": None},
    {"name": "price", "type": {"type": "bytes", "logicalType": "decimal", "precision": 10, "scale": 2}},
    {"name": "placed", "type": {"type": "long", "logicalType": "timestamp-micros"}}]})
AT = datetime.datetime(2024, 5, 1, 12, tzinfo=datetime.timezone.utc)


@pytest.fixture
def orders(make_node):
    node = make_node(STREAM)
    node.start()
    yield node
    node.stop()


def produce(node, topic, values, **config):
    failed = []
    producer = Producer({"bootstrap.servers": node.kafka, "enable.idempotence": True, **config})
    for value in values:
        producer.produce(topic, value, on_delivery=lambda error, _: failed.append(error) if error else None)
    assert producer.flush(30) == 0
    return failed


def wait_until(node, query, wanted, seconds=30):
    deadline = time.monotonic() + seconds
    while (rows := node.sql(query)) != wanted:
        assert time.monotonic() < deadline, rows
        time.sleep(0.02)


def test_avro_records_are_rows_of_their_stream(orders):
    client = SchemaRegistryClient({"url": orders.url})
    serialise = AvroSerializer(client, AVRO)
    values = [serialise({"id": i, "note": None if i % 3 == 0 else f"n{i % 3}", "price": decimal.Decimal(i) / 4, "placed": AT}, value_of("orders"))
              for i in range(100)]
    assert produce(orders, "orders", values) == []
    # A NULL that stands there is NULL; JSON rows of the same stream go on as before.
    orders.sql("INSERT INTO orders (id, price) VALUES (1000, 1)")
    query = "SELECT note, orders, total::VARCHAR FROM totals ORDER BY note NULLS LAST"
    expected = [["n1", 33, "404.25"], ["n2", 33, "412.50"], ["none", 1, "1.00"], [None, 34, "420.75"]]
    wait_until(orders, query, expected)
    assert orders.sql("SELECT count(*), min(placed)::VARCHAR FROM orders WHERE id < 1000") == [[100, "2024-05-01 12:00:00"]]
    # Over a kill, and from history.
    orders.kill()
    orders.start()
    assert orders.sql(query) == expected
    orders.sql("CREATE MATERIALIZED VIEW late AS SELECT sum(id)::BIGINT AS ids FROM orders WHERE id < 1000")
    wait_until(orders, "SELECT ids FROM late", [[4950]])


def test_what_is_no_row_by_its_schema_is_quarantined_with_the_reason(orders):
    client = SchemaRegistryClient({"url": orders.url})
    good = AvroSerializer(client, AVRO)({"id": 1, "note": "x", "price": decimal.Decimal(1), "placed": AT}, value_of("orders"))
    text = AvroSerializer(client, '{"type": "record", "name": "T", "fields": [{"name": "id", "type": "string"}]}')({"id": "many"}, value_of("other"))
    negative = AvroSerializer(client, AVRO)({"id": 2, "note": "x", "price": decimal.Decimal(-1), "placed": AT}, value_of("orders"))
    unknown = b"\0\0\0\x03\xe7" + good[5:]
    assert produce(orders, "orders", [good, text, negative, unknown, good[:-3], b"\0\0"]) == []
    wait_until(orders, "SELECT count(*) FROM orders", [[1]])
    wait_until(orders, 'SELECT count(*) FROM "orders.quarantine"', [[5]])
    errors = " | ".join(row[0] for row in orders.sql('SELECT _error FROM "orders.quarantine" ORDER BY _offset, _partition'))
    for reason in ('column "id": "many" is not a BIGINT', "CHECK (price >= 0)", "schema 999 is not registered", "schema 1: ", "too short"):
        assert reason in errors, errors
    assert orders.get("/v1/ledger")["balanced"]
    # A stream that rejects says so to the producer.
    failed = produce(orders, "strict", [unknown])
    assert len(failed) == 1 and failed[0].code() == KafkaError.INVALID_RECORD
    assert orders.sql("SELECT count(*) FROM strict") == [[0]]


def test_protobuf_and_json_schema_records_are_rows_too(orders):
    client = SchemaRegistryClient({"url": orders.url})
    proto = 'syntax = "proto3"; message Other { string x = 1; } message Order { int64 id = 1; optional string note = 2; string price = 3; }'
    number = client.register_schema("orders-value", Schema(proto, "PROTOBUF"))
    framed = b"\0" + struct.pack(">i", number) + b"\x02\x02"  # the second message of the file
    json_value = JSONSerializer('{"title": "J", "type": "object"}', client)({"id": 7, "note": "json", "price": 2}, value_of("js"))
    assert produce(orders, "orders", [framed + b"\x08\x05\x12\x05proto\x1a\x041.50", json_value]) == []
    wait_until(orders, "SELECT id, note, price::VARCHAR FROM orders ORDER BY id", [[5, "proto", "1.50"], [7, "json", "2.00"]])
