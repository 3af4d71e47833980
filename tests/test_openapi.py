"""/openapi.json: a valid document that says what the node answers, in step with the catalog."""
import json
import urllib.parse

import jsonschema
import openapi_spec_validator
import pytest

from node import Refused

PROJECT = """
CREATE TYPE mood AS ENUM ('glad', 'sad');
CREATE STREAM clicks (id BIGINT NOT NULL, page VARCHAR DEFAULT 'home', price DECIMAL(10,2), at_time TIMESTAMP, tags VARCHAR[]) PARTITION BY (id);
CREATE TABLE people (id INTEGER PRIMARY KEY, name VARCHAR NOT NULL, feels mood, born DATE);
CREATE TABLE prices (shop VARCHAR, id INTEGER, price DECIMAL(10,2), PRIMARY KEY (shop, id));
CREATE TABLE "odd name/ä" ("a b" INTEGER PRIMARY KEY);
CREATE TABLE notes (text VARCHAR);
CREATE MATERIALIZED VIEW by_page AS SELECT page, count(*) AS clicks, sum(price) AS revenue, max(at_time) AS last, list(id ORDER BY id) AS ids, avg(price) AS mean,
  MAP {'n': count(*)} AS counts, {'a': min(id), 'b': 'x'} AS pair, max(at_time)::DATE AS day, 'glad'::mood AS feels, sum(id) AS total FROM clicks GROUP BY page;
CREATE ENDPOINT page ON GET '/pages/{page}' (page VARCHAR, least INTEGER DEFAULT 0 CHECK (least >= 0)) AS SELECT * FROM by_page WHERE page = $page AND clicks >= $least;
CREATE ENDPOINT everybody ON GET '/people' AS SELECT * FROM people ORDER BY id;
COMMENT ON ENDPOINT page IS 'what happened on a page';
COMMENT ON COLUMN clicks.price IS 'in euros';
"""


@pytest.fixture
def document(node):
    return node.get("/openapi.json")


def schema_of(document, part):
    """A schema with the document's components at hand."""
    return {**part, "components": document["components"]}


def test_it_is_valid_and_names_everything(document):
    openapi_spec_validator.validate(document)
    assert document["openapi"] == "3.1.0"
    assert {"/pages/{page}", "/people", "/v1/streams/clicks", "/v1/tables/people/{key}", "/v1/tables/prices/{key}",
            "/v1/tables/odd%20name%2F%C3%A4/{key}", "/v1/sql", "/metrics"} <= set(document["paths"])
    assert "/v1/tables/notes/{key}" not in document["paths"], "its rows have no address"
    page = document["paths"]["/pages/{page}"]["get"]
    assert page["summary"] == "what happened on a page"
    parameters = {part["name"]: part for part in page["parameters"] if "name" in part}
    assert parameters["page"]["in"] == "path" and parameters["page"]["required"]
    assert parameters["least"]["in"] == "query" and not parameters["least"].get("required") and parameters["least"]["schema"]["default"] == 0
    clicks = document["components"]["schemas"]["stream.clicks"]
    assert clicks["required"] == ["id"] and clicks["properties"]["page"]["default"] == "home" and clicks["properties"]["price"]["description"] == "in euros"
    names = [operation["operationId"] for item in document["paths"].values() for method, operation in item.items() if method != "parameters"]
    assert len(names) == len(set(names))


def test_answers_are_as_it_says(node, document):
    node.send("clicks", [json.dumps({"id": i, "page": f"p{i % 3}", "price": i / 4 if i % 5 else None, "at_time": f"2026-01-0{1 + i % 9} 10:00:00"}) for i in range(30)]
              + ['{"id": 99, "page": "empty"}'], query="?wait=visible")
    node.request("PUT", "/v1/tables/people/1", b'{"name": "Ann", "feels": "glad", "born": "2001-02-03"}')
    node.request("PUT", "/v1/tables/people/2", b'{"name": "Bob"}')
    for path, at in [("/pages/{page}", "/pages/p1"), ("/pages/{page}", "/pages/empty?least=1"), ("/pages/{page}", "/pages/none"), ("/people", "/people")]:
        answers = document["paths"][path]["get"]["responses"]["200"]["content"]
        rows = node.get(at)
        jsonschema.validate(rows, schema_of(document, answers["application/json"]["schema"]), jsonschema.Draft202012Validator)
        for line in node.request("GET", at, headers={"Accept": "application/x-ndjson"})[2].splitlines():
            jsonschema.validate(json.loads(line), schema_of(document, answers["application/x-ndjson"]["schema"]), jsonschema.Draft202012Validator)
    assert len(node.get("/pages/p1")) == 1 and len(node.get("/people")) == 2
    row = document["paths"]["/v1/tables/people/{key}"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    for key in (1, 2):
        jsonschema.validate(node.get(f"/v1/tables/people/{key}"), schema_of(document, row), jsonschema.Draft202012Validator)
    # What it forbids the node refuses, with an error as it says.
    error = schema_of(document, document["components"]["schemas"]["Error"])
    for at in ["/pages/p1?least=-1", "/pages/p1?least=many", "/pages/p1?other=1", "/v1/tables/people/many", "/v1/tables/people/77", "/nowhere"]:
        with pytest.raises(Refused) as refused:
            node.get(at)
        jsonschema.validate(json.loads(refused.value.body), error, jsonschema.Draft202012Validator)
    body = document["components"]["schemas"]["table.people"]
    for wrong in [{"name": None}, {"name": "x", "feels": "cross"}]:
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(wrong, body, jsonschema.Draft202012Validator)
        with pytest.raises(Refused):
            node.request("PUT", "/v1/tables/people/3", json.dumps(wrong).encode())


def test_every_get_without_parameters_answers(node, document):
    for path, item in document["paths"].items():
        if "get" in item and "{" not in path:
            assert node.request("GET", path)[0] == 200, path
    odd = next(path for path in document["paths"] if "odd" in path).replace("{key}", "7")
    assert node.request("PUT", odd, b"{}")[0] == 201 and node.get(odd) == {"a b": 7}
    assert urllib.parse.unquote(odd) == "/v1/tables/odd name/ä/7"


def test_it_follows_the_catalog(node):
    node.sql("CREATE ENDPOINT extra ON GET '/extra' AS SELECT 1 AS one")
    rows = node.get("/openapi.json")["paths"]["/extra"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    assert list(rows["items"]["properties"]) == ["one"]
    node.sql("DROP ENDPOINT extra")
    assert "/extra" not in node.get("/openapi.json")["paths"]


def test_the_page_shows_it_with_nothing_from_elsewhere(node):
    status, headers, page = node.request("GET", "/docs")
    assert status == 200 and headers["Content-Type"].startswith("text/html") and "default-src 'none'" in headers["Content-Security-Policy"]
    assert b"/openapi.json" in page and b"http://" not in page and b"https://" not in page
