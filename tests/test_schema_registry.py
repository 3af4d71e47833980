"""The schema registry under the clients that people have: confluent-kafka's registry client and serialisers."""
import pytest
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
    assert client.get_subjects() == ["js-value", "orders-value"]
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
    assert client.get_subjects() == [] and client.get_subjects(deleted=True) == ["orders-value"]
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
