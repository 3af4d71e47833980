"""The messages of the Kafka protocol as src/kafka describes them, held against the schema that Apache Kafka's own client carries."""
import json
import re
import zipfile

import pytest

from deps import DEPS
from node import ROOT

KAFKA = ROOT / "src" / "kafka"
EVER = 32767
TYPES = {"int8_t": "int8", "int16_t": "int16", "uint16_t": "uint16", "int32_t": "int32", "int64_t": "int64", "bool": "bool",
         "std::string": "string", "Bytes": "bytes", "Records": "records", "Uuid": "uuid", "double": "float64", "ErrorCode": "int16"}
# Fields and versions that came after the client that the others are held against.
NEWER = {("DescribeClusterRequest", "IncludeFencedBrokers"), ("DescribeClusterResponse", "IsFenced")}


def versions_of(text):
    if text is None or text == "none":
        return None
    first, _, last = text.partition("-")
    if text.endswith("+"):
        return int(text[:-1]), EVER
    return int(first), int(last or first)


def served():
    """API → (lowest, highest) version, from apis.cc."""
    text = (KAFKA / "apis.cc").read_text()
    return {name: (int(low), int(high)) for name, low, high in re.findall(r"MILLRACE_KAFKA_API\((\w+), (\d+), (\d+)\),", text)}


def parse_struct(lines, at):
    """The struct whose opening line is lines[at]: (its structs by name, its fields in order, its kInfo, the line behind it)."""
    structs, members, fields, info = {}, {}, [], None
    at += 1
    while True:
        line = lines[at].strip()
        if re.match(r"struct \w+ \{", line):
            name = line.split()[1]
            structs[name], at = parse_struct(lines, at)
            continue
        if line == "};":
            return (structs, [(name, members[member], *rest) for name, member, *rest in fields], info), at + 1
        statement = line
        while not statement.endswith((";", "{", "}", ">")):
            at += 1
            statement += " " + lines[at].strip()
        if found := re.match(r'v\("(\w+)", (\w+),\s*(.*)\);', statement):
            fields.append((found[1], found[2], found[3]))
        elif found := re.match(r'static constexpr MessageInfo kInfo\{"(\w+)", ApiKey::k(\w+),\s*(\w+)\};', statement):
            info = found[1], found[2], found[3]
        elif "operator==" not in statement and (found := re.match(r"([\w:<>]+) (\w+)( = .*)?;$", statement)):
            members[found[2]] = found[1]
        at += 1


def described():
    """Message → its parsed struct, from the headers."""
    messages = {}
    for header in KAFKA.glob("*_messages.h"):
        lines = header.read_text().splitlines()
        at = 0
        while at < len(lines):
            if re.match(r"struct \w+(Request|Response) \{", lines[at]):
                name = lines[at].split()[1]
                messages[name], at = parse_struct(lines, at)
            else:
                at += 1
    return messages


def compare(path, ours, theirs, common, low, high, structs):
    """Every field that a served version has is described, in order, with type, versions, null and tag."""
    _, fields, _ = ours
    structs = {**structs, **ours[0]}
    theirs = [f for f in theirs if (v := versions_of(f["versions"])) and v[0] <= high and v[1] >= low]
    ours_named = [f[0] for f in fields if (path.split(".")[0], f[0]) not in NEWER]
    assert ours_named == [f["name"] for f in theirs], path
    checked = len(theirs)
    by_name = {f[0]: f for f in fields}
    for field in theirs:
        _, kind, spec = by_name[field["name"]]
        where = f"{path}.{field['name']}"
        call = dict(re.findall(r"(\w+)\((\d+)\)", spec))
        first, last = versions_of(field["versions"])
        # Below the lowest version that is served, when a field began does not matter.
        assert max(int(call["Since"]), low) == max(first, low), where
        assert min(int(call.get("Until", EVER)), high) == min(last, high), where
        assert call.get("Tag") == (str(field["tag"]) if "tag" in field else None), where
        optional = kind.startswith("std::optional<")
        inner = kind[len("std::optional<"):-1] if optional else kind
        array = inner.startswith("std::vector<")
        element = inner[len("std::vector<"):-1] if array else inner
        null = versions_of(field.get("nullableVersions"))
        if null and null[0] <= high:
            assert optional or kind == "Records", where
            assert max(int(call["NullSince"]), low) == max(null[0], low), where
        else:
            assert not optional and "NullSince" not in call, where
        wanted = field["type"].removeprefix("[]")
        assert array == field["type"].startswith("[]"), where
        if element in TYPES:
            assert TYPES[element] == wanted, where
            assert (element == "ErrorCode") == (wanted == "int16" and field["name"].endswith("ErrorCode")), where
        else:
            assert element == wanted, where
            checked += compare(where, structs[element], field.get("fields") or common[wanted], common, low, high, structs)
    return checked


def test_every_message_is_described_as_apache_kafka_describes_it():
    jar = zipfile.ZipFile(next((DEPS / "kafka-clients-3.9.1").glob("kafka-clients-*.jar")))
    messages = described()
    checked = 0
    for api, (low, high) in served().items():
        for message in (api + "Request", api + "Response"):
            text = jar.read(f"common/message/{message}.json").decode()
            schema = json.loads(re.sub(r"^\s*//.*$", "", text, flags=re.M))
            flexible = versions_of(schema["flexibleVersions"])
            name, key, flexible_from = messages[message][2]
            assert (name, key) == (message, api)
            assert flexible_from == (str(flexible[0]) if flexible else "kNeverFlexible"), message
            common = {s["name"]: s["fields"] for s in schema.get("commonStructs", [])}
            checked += compare(message, messages[message], schema["fields"], common, low, high, {})
    assert checked > 300, checked
