"""A stream's columns and its subject in the schema registry are in step, whoever changes which, and through kills."""
import json
import pathlib
import random
import threading
import time

import pytest
from confluent_kafka import Producer
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.schema_registry.error import SchemaRegistryError
from confluent_kafka.schema_registry.json_schema import JSONSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

from node import Refused
from test_kafka import wait_for

OWN = 1_000_000_000  # where ids of streams' columns begin


def columns(format):
    return f"CREATE STREAM s (id BIGINT NOT NULL, note VARCHAR, placed TIMESTAMP) WITH (format = '{format}')"


@pytest.fixture
def node(make_node):
    node = make_node("CREATE VIEW nothing AS SELECT 1 AS one;")
    node.start()
    yield node
    if node.process.poll() is None:
        node.stop()


def client(node):
    return SchemaRegistryClient({"url": node.url})


def avro(*fields):
    return Schema(json.dumps({"type": "record", "name": "S", "fields": [{"name": name, "type": type} for name, type in fields]}), "AVRO")


def versions(node, subject="s-value"):
    """[version, id, origin] of each that stands."""
    return node.sql(f"SELECT version, id, origin FROM millrace.schemas WHERE subject = '{subject}' ORDER BY version")


def names(node, subject="s-value"):
    """The fields of the newest version of a stream whose columns are shown as JSON Schema."""
    return list(json.loads(client(node).get_latest_version(subject).schema.schema_str)["properties"])


def refused(node, statement, *parts):
    with pytest.raises(Refused) as error:
        node.sql(statement)
    told = json.loads(error.value.body)["error"]
    for part in parts:
        assert part in f"{told['message']} {told.get('hint')}", (part, told)


def test_each_change_of_columns_is_a_version(node):
    node.sql(columns("json"))
    assert versions(node) == [[1, OWN, "stream"]]
    for change, expected in [("ADD COLUMN n INTEGER NOT NULL DEFAULT 3", ["id", "note", "placed", "n"]), ("ALTER COLUMN n TYPE BIGINT", ["id", "note", "placed", "n"]),
                             ("RENAME COLUMN n TO m", ["id", "note", "placed", "m"]), ("DROP COLUMN m", ["id", "note", "placed"])]:
        node.sql(f"ALTER STREAM s {change}")
        assert names(node) == expected
    node.sql("ALTER STREAM s ADD CHECK (id > 0)")
    expected = [[n, OWN + n - 1, "stream"] for n in (1, 2, 3, 4)] + [[5, OWN, "stream"]]
    assert versions(node) == expected, "the last are the first ones again, and a CHECK is nothing that a schema says"
    assert client(node).get_versions("s-value") == [1, 2, 3, 4, 5]
    number = json.loads(client(node).get_schema(OWN + 2).schema_str)["properties"]["n"]
    assert number == {"type": "integer", "description": "BIGINT", "default": 3}
    node.kill()
    node.start()
    assert versions(node) == expected


@pytest.mark.parametrize("format, kind", [("json", "JSON"), ("avro", "AVRO"), ("protobuf", "PROTOBUF")])
def test_clients_write_rows_by_the_schema_that_they_find(node, format, kind):
    node.sql(columns(format))
    assert node.sql("SELECT format FROM millrace.streams WHERE name = 's'") == [[format]]
    registry = client(node)
    latest = registry.get_latest_version("s-value")
    assert latest.schema.schema_type == kind
    config = {"auto.register.schemas": False, "use.latest.version": True}
    context = SerializationContext("s", MessageField.VALUE)
    if format == "json":
        value = JSONSerializer(None, registry, conf=config, to_dict=lambda row, _: row)({"id": 7, "note": None, "placed": "2024-05-01 12:00:00"}, context)
    elif format == "avro":
        value = AvroSerializer(registry, None, conf=config)({"id": 7, "note": None, "placed": 1714564800000000}, context)
    else:  # id = 7, at = Timestamp{seconds = 1714564800}
        value = b"\0" + latest.schema_id.to_bytes(4, "big") + b"\0\x08\x07\x1a\x06\x08\xc0\xdd\xc8\xb1\x06"
    assert value[1:5] == latest.schema_id.to_bytes(4, "big")
    producer = Producer({"bootstrap.servers": node.kafka})
    producer.produce("s", value=value)
    assert producer.flush(30) == 0
    wait_for(lambda: node.sql("SELECT id, note, placed::VARCHAR FROM s") == [[7, None, "2024-05-01 12:00:00"]])
    node.kill()
    node.start()
    assert node.sql("SELECT format FROM millrace.streams WHERE name = 's'") == [[format]]
    assert versions(node) == [[1, OWN, "stream"]] and node.sql("SELECT id FROM s") == [[7]]


def test_a_schema_by_which_nothing_could_be_a_row_is_refused(node):
    node.sql(columns("avro"))
    registry = client(node)
    for wrong, column in [(avro(("note", "string")), '"id" is NOT NULL'), (avro(("id", "boolean")), '"id" is BIGINT NOT NULL'),
                          (avro(("id", "long"), ("placed", "int")), '"placed" is TIMESTAMP'), (Schema('"int"', "AVRO"), "a row is an object")]:
        assert not registry.test_compatibility("s-value", wrong)
        with pytest.raises(SchemaRegistryError) as error:
            registry.register_schema("s-value", wrong)
        assert error.value.http_status_code == error.value.error_code == 409 and column in str(error.value), error.value
    assert versions(node) == [[1, OWN, "stream"]]
    # What is no column is passed over, and another type of schema is as good. The client's own take the place of the stream's.
    proto = Schema('syntax = "proto3"; message S { int64 id = 1; string other = 2; }', "PROTOBUF")
    assert registry.test_compatibility("s-value", proto)
    assert registry.register_schema("s-value", proto) == 1
    assert versions(node) == [[2, 1, "client"]]
    # Elsewhere nothing is checked but the level.
    node.sql("CREATE STREAM raw INTO 1 PARTITIONS WITH (format = 'raw')")
    assert registry.register_schema("raw-value", Schema('"int"', "AVRO")) == 2
    assert registry.delete_subject("s-value") == [2]
    assert versions(node) == [[3, OWN, "stream"]], "without a client's the stream's stand again"
    with pytest.raises(SchemaRegistryError) as error:
        registry.delete_subject("s-value")
    assert error.value.error_code == 42205 and "columns of stream" in str(error.value)


def test_an_alter_is_held_to_the_level_that_a_team_has_set(node):
    node.sql("CREATE STREAM s (id BIGINT NOT NULL, n INTEGER NOT NULL, note VARCHAR)")
    registry = client(node)
    node.sql("ALTER STREAM s ALTER COLUMN note SET NOT NULL")  # nobody has set one
    node.sql("ALTER STREAM s ALTER COLUMN note DROP NOT NULL")
    for level, forbidden, allowed in [
            ("BACKWARD", {"ALTER COLUMN note SET NOT NULL": '"note" is NOT NULL'}, ["ADD COLUMN a INTEGER", "RENAME COLUMN a TO b", "DROP COLUMN b"]),
            ("FORWARD", {"DROP COLUMN n": '"n" is NOT NULL', "ALTER COLUMN n TYPE BIGINT": '"n" is INTEGER', "RENAME COLUMN n TO m": '"n" is NOT NULL',
                         "ALTER COLUMN n DROP NOT NULL": '"n" is NOT NULL'}, ["ADD COLUMN a INTEGER NOT NULL DEFAULT 1", "DROP COLUMN a"]),
            ("FULL", {"DROP COLUMN n": '"n"', "ALTER COLUMN note SET NOT NULL": '"note"'}, ["ADD COLUMN a INTEGER", "DROP COLUMN a"]),
            ("NONE", {}, ["ALTER COLUMN note SET NOT NULL", "ALTER COLUMN n TYPE BIGINT", "ALTER COLUMN note DROP NOT NULL"])]:
        registry.set_compatibility("s-value", level)
        stand = versions(node)
        for change, part in forbidden.items():
            refused(node, f"ALTER STREAM s {change}", f"is {level}, which forbids that: ", part, "PUT /config/s-value")
        assert versions(node) == stand
        for change in allowed:
            node.sql(f"ALTER STREAM s {change}")
    # Against every version there was: in the first, n was an INTEGER.
    registry.set_compatibility("s-value", "FORWARD_TRANSITIVE")
    refused(node, "ALTER STREAM s ADD COLUMN c INTEGER", "FORWARD_TRANSITIVE", '"n" is INTEGER')
    registry.set_compatibility("s-value", "FORWARD")
    node.sql("ALTER STREAM s ADD COLUMN c INTEGER")


def test_an_alter_keeps_to_what_clients_have_registered(node):
    node.sql("CREATE STREAM s (id BIGINT NOT NULL, note VARCHAR)")
    registry = client(node)
    registry.register_schema("s-value", avro(("id", "long")))
    # By the level of all subjects, BACKWARD, which holds once somebody has registered.
    refused(node, "ALTER STREAM s ALTER COLUMN note SET NOT NULL", "no record by version 2 of subject", '"note" is NOT NULL without a DEFAULT',
            "DELETE /subjects/s-value/versions/2")
    registry.set_compatibility("s-value", "NONE")
    refused(node, "ALTER STREAM s ALTER COLUMN note SET NOT NULL", "no record by version 2 of subject")
    node.sql("ALTER STREAM s ADD COLUMN n INTEGER NOT NULL DEFAULT 0")
    refused(node, "ALTER STREAM s ALTER COLUMN n DROP DEFAULT", "no record by version 2", '"n"')
    registry.register_schema("s-value", avro(("id", "long"), ("note", "string"), ("n", "int")))
    node.sql("ALTER STREAM s ALTER COLUMN note SET NOT NULL")
    node.sql("ALTER STREAM s ALTER COLUMN n DROP DEFAULT")
    assert versions(node) == [[2, 1, "client"], [3, 2, "client"]], "where clients register, the stream does not"
    node.sql("ALTER STREAM s ALTER COLUMN n SET DEFAULT 1")
    # A project's files are statements like any other.
    registry.register_schema("t-value", avro(("id", "boolean")))
    refused(node, "CREATE STREAM t (id BIGINT)", "no record by version 1 of subject", '"id" is BIGINT')
    node.sql("CREATE STREAM t (id BOOLEAN)")


def test_a_project_is_held_to_the_same(make_node):
    node = make_node("CREATE STREAM s (id BIGINT NOT NULL, note VARCHAR);")
    node.start()
    client(node).set_compatibility("s-value", "BACKWARD")
    node.stop()
    project = pathlib.Path(node.project) / "project.sql"
    project.write_text("CREATE STREAM s (id BIGINT NOT NULL, note VARCHAR NOT NULL);")
    with pytest.raises(AssertionError, match="is BACKWARD, which forbids that"):
        node.start()
    project.write_text("CREATE STREAM s (id BIGINT NOT NULL, note VARCHAR, n INTEGER) WITH (format = 'avro');")
    node.start()
    assert versions(node) == [[1, OWN, "stream"], [2, OWN + 1, "stream"]]
    assert client(node).get_latest_version("s-value").schema.schema_type == "AVRO"
    node.stop()


def test_names_that_go_and_come(node):
    node.sql(columns("json"))
    registry = client(node)
    node.sql("ALTER STREAM s RENAME TO t")
    assert versions(node) == [] and versions(node, "t-value") == [[1, OWN + 1, "stream"]], "its title is the stream's name"
    registry.register_schema("t-value", avro(("id", "long")))
    node.sql("ALTER STREAM t RENAME TO s")
    assert versions(node) == [[2, OWN, "stream"]] and versions(node, "t-value") == [[2, 1, "client"]], "what clients registered stays where it is"
    refused(node, "CREATE STREAM t (id BIGINT, more VARCHAR NOT NULL)", '"more" is NOT NULL')
    node.sql("DROP STREAM s")
    assert versions(node) == [] and registry.get_subjects() == ["t-value"]
    assert registry.get_schema(OWN).schema_type == "JSON", "records may name it"
    node.sql("CREATE STREAM s (other VARCHAR)")
    assert versions(node) == [[3, OWN + 2, "stream"]]
    # A topic that gets columns.
    node.sql("CREATE STREAM r INTO 1 PARTITIONS WITH (format = 'raw')")
    registry.register_schema("r-value", avro(("id", "long")))
    refused(node, "CREATE STREAM r (id BIGINT[])", "no record by version 1", '"id" is BIGINT[]')
    node.sql("CREATE STREAM r (id BIGINT)")
    assert versions(node, "r-value") == [[1, 1, "client"]]


def test_of_an_alter_and_a_registration_at_once_one_is_refused(node):
    outcomes = set()
    for i in range(15):
        node.sql(f"CREATE STREAM s{i} (id BIGINT NOT NULL, note VARCHAR)")
        registry = client(node)
        won = []

        def alter():
            try:
                node.sql(f"ALTER STREAM s{i} ALTER COLUMN note SET NOT NULL")
                won.append("alter")
            except Refused as error:
                assert "no record by version" in str(error), error

        thread = threading.Thread(target=alter)
        thread.start()
        time.sleep(i / 1000)
        try:
            registry.register_schema(f"s{i}-value", avro(("id", "long")))
            won.append("registration")
        except SchemaRegistryError as error:
            assert error.http_status_code == 409, error
        thread.join()
        assert len(won) == 1, won
        outcomes.update(won)
    print(outcomes)


ALTERS = ["ADD COLUMN x{n} INTEGER", "ALTER COLUMN x{n} TYPE BIGINT", "RENAME COLUMN x{n} TO y{n}", "ADD COLUMN z{n} VARCHAR NOT NULL DEFAULT 'z'", "DROP COLUMN y{n}"]


def test_they_are_in_step_through_kills(node, seed):
    choose = random.Random(seed)
    node.sql(columns("json"))
    told = {1: OWN}  # by version, as clients were told
    kills = 0
    for n in range(6):
        for change in ALTERS:
            killer = threading.Timer(choose.uniform(0, 0.03), node.kill) if choose.random() < 0.6 else None
            if killer:
                killer.start()
            try:
                node.sql("ALTER STREAM s " + change.format(n=n))
            except (OSError, Refused) as error:
                assert killer or "does not exist" in str(error), error  # the one before was cut off
            if killer:
                killer.join()
                node.process.wait()
                kills += 1
                node.start()
            declared = [row[0] for row in node.sql("SELECT name FROM millrace.columns WHERE relation = 's' ORDER BY position")]
            assert names(node) == declared
            stand = {version: number for version, number, _ in versions(node)}
            assert told.items() <= stand.items() and list(stand) == list(range(1, len(stand) + 1)), "a version that was told stays"
            told = stand
    assert kills > 5
