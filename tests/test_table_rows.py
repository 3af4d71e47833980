"""Rows of a keyed table by their address: GET, PUT and DELETE /v1/tables/{table}/{key}."""
import json
import threading
import time
import urllib.parse

import pytest

from node import Refused
from test_kafka import consume, consumer

PROJECT = """
CREATE TABLE products (id INTEGER PRIMARY KEY, name VARCHAR NOT NULL, price DECIMAL(10,2), CHECK (price >= 0));
CREATE TABLE prices (shop VARCHAR, id INTEGER, price DECIMAL(10,2), PRIMARY KEY (shop, id));
CREATE TABLE shelves (id INTEGER DEFAULT 1 PRIMARY KEY, name VARCHAR);
CREATE TABLE notes (text VARCHAR);
CREATE STREAM clicks (id INTEGER);
CREATE MATERIALIZED VIEW totals AS SELECT count(*) AS n, sum(price) AS price FROM products;
"""


def path(table, key):
    return f"/v1/tables/{table}/{urllib.parse.quote(key, safe='')}"


def put(node, table, key, row, **headers):
    status, answered, body = node.request("PUT", path(table, key), row if isinstance(row, bytes) else json.dumps(row).encode(),
                                          {name.replace("_", "-"): value for name, value in headers.items()})
    return status, answered, json.loads(body) if body else None


def refusal(call, *arguments, **headers):
    with pytest.raises(Refused) as refused:
        call(*arguments, **headers)
    return refused.value.status, json.loads(refused.value.body)["error"]["message"]


def test_a_row_is_put_read_and_deleted(node):
    status, headers, row = put(node, "products", "1", {"name": "tea", "price": "2.50"})
    assert (status, row) == (201, {"id": 1, "name": "tea", "price": 2.5})
    tag = headers["ETag"]
    assert node.sql("FROM totals") == [[1, 2.5]], "a PUT returns when it is visible"
    status, headers, body = node.request("GET", path("products", "1"))
    assert (status, json.loads(body), headers["ETag"]) == (200, row, tag)
    assert node.request("GET", path("products", "1"), headers={"If-None-Match": f'W/"x", {tag}'})[0] == 304
    # The key may stand in the row; columns that are left out are NULL.
    status, headers, row = put(node, "products", "1", {"id": 1, "name": "pot"})
    assert (status, row) == (200, {"id": 1, "name": "pot", "price": None})
    assert headers["ETag"] != tag
    status, headers, _ = node.request("DELETE", path("products", "1"))
    assert status == 204
    assert refusal(node.request, "GET", path("products", "1"))[0] == 404
    assert refusal(node.request, "DELETE", path("products", "1"))[0] == 404
    assert node.sql("SELECT count(*) FROM products") == [[0]]


def test_the_address_counts_and_not_the_default_of_its_column(node):
    assert put(node, "shelves", "7", {"name": "low"})[2] == {"id": 7, "name": "low"}
    assert put(node, "shelves", "1", {"name": "high"})[2] == {"id": 1, "name": "high"}
    assert refusal(node.request, "GET", path("shelves", "{}"))[0] == 400


def test_its_record_has_the_time_of_the_change(node):
    begin = int(time.time() * 1000)
    put(node, "products", "1", {"name": "tea"})
    node.request("DELETE", path("products", "1"))
    reader = consumer(node, "times")
    reader.subscribe(["products"])
    times = [message.timestamp()[1] for message in consume(reader, 2)]
    reader.close()
    assert begin <= times[0] <= times[1] <= time.time() * 1000


def test_keys_of_several_columns_are_arrays(node):
    key = json.dumps(["a,\"b\"/ä", 7])
    assert put(node, "prices", key, {"price": 1})[2] == {"shop": 'a,"b"/ä', "id": 7, "price": 1}
    assert json.loads(node.request("GET", path("prices", '{"id": 7, "shop": "a,\\"b\\"/ä"}'))[2])["price"] == 1
    assert refusal(node.request, "GET", path("prices", "a")) == (400, "a key of one value, the primary key has 2")
    assert refusal(node.request, "GET", path("prices", '["a"]')) == (400, "a key of 1 values, the primary key has 2")
    assert refusal(node.request, "GET", path("prices", '["a", 1, 2]'))[0] == 400
    assert refusal(node.request, "GET", path("prices", '["a", null]'))[0] == 400
    assert refusal(node.request, "GET", path("prices", '["a", 1'))[0] == 400


def test_conditions_are_judged_while_nobody_else_changes_the_table(node):
    assert put(node, "products", "1", {"name": "tea"}, If_None_Match="*")[0] == 201
    assert refusal(put, node, "products", "1", {"name": "pot"}, If_None_Match="*")[0] == 412
    assert refusal(put, node, "products", "2", {"name": "pot"}, If_Match="*")[0] == 412
    tag = node.request("GET", path("products", "1"))[1]["ETag"]
    assert refusal(put, node, "products", "1", {"name": "pot"}, If_Match='"0000000000000000"')[0] == 412
    assert refusal(put, node, "products", "1", {"name": "pot"}, If_Match=f"W/{tag}")[0] == 412, "a weak tag never matches"
    new = put(node, "products", "1", {"name": "pot"}, If_Match=f'"x", {tag}')[1]["ETag"]
    assert refusal(node.request, "DELETE", path("products", "1"), None, {"If-Match": tag})[0] == 412
    assert node.request("DELETE", path("products", "1"), None, {"If-Match": new})[0] == 204
    # Every increment counts, however many there are at once, SQL's among them.
    put(node, "prices", '["x", 1]', {"price": 0})

    def add():
        done = 0
        while done < 15:
            _, headers, body = node.request("GET", path("prices", '["x", 1]'))
            try:
                put(node, "prices", '["x", 1]', {"price": json.loads(body)["price"] + 1}, If_Match=headers["ETag"])
                done += 1
            except Refused as refused:
                assert refused.status == 412

    adders = [threading.Thread(target=add) for _ in range(3)]
    for adder in adders:
        adder.start()
    for _ in range(15):
        node.sql("UPDATE prices SET price = price + 1")
    for adder in adders:
        adder.join()
    assert node.sql("SELECT price FROM prices") == [[60]]


@pytest.mark.parametrize("row, message", [
    (b"", "row 1"), (b"[]", ""), (b"{", ""), (b'{"name": null}', "name"), (b'{"name": "x", "price": "many"}', "price"),
    (b'{"name": "x", "price": -1}', "CHECK"), (b'{"id": 2, "name": "x"}', "its key"), (b'{"id": "many", "name": "x"}', "id"),
    (b'{"name": "x"} {"name": "y"}', ""), (b"\xff", ""),
])
def test_what_is_no_row_is_refused_with_the_reason(node, row, message):
    status, said = refusal(put, node, "products", "1", row)
    assert status == 400
    assert message in said or message == "row 1"
    assert not said.startswith("record"), said
    assert node.sql("SELECT count(*) FROM products") == [[0]]


def test_what_has_no_rows_of_this_kind_says_so(node):
    assert refusal(node.request, "GET", path("nowhere", "1")) == (404, 'table "nowhere" does not exist')
    assert refusal(node.request, "GET", path("clicks", "1"))[0] == 404
    assert refusal(node.request, "GET", path("totals", "1"))[0] == 404
    status, message = refusal(node.request, "GET", path("notes", "1"))
    assert status == 422 and "no primary key" in message
    assert refusal(put, node, "notes", "1", {"text": "x"})[0] == 422
    assert refusal(node.request, "GET", path("products", "many"))[0] == 400
    assert refusal(node.request, "POST", path("products", "1"), b"{}")[0] == 405
    assert refusal(node.request, "GET", path("products", "1") + "?n=1")[0] == 400
    # It answers before it has read such a body, which a client may not see.
    with pytest.raises((Refused, OSError)):
        put(node, "products", "1", b" " * (17 << 20))
    assert node.sql("SELECT count(*) FROM products") == [[0]]


def test_what_was_answered_survives_a_kill(node):
    for i in range(50):
        put(node, "products", str(i), {"name": f"n{i}"})
    node.request("DELETE", path("products", "7"))
    node.kill()
    node.start()
    assert node.sql("SELECT count(*) FROM products") == [[49]]
    assert json.loads(node.request("GET", path("products", "8"))[2])["name"] == "n8"
    assert refusal(node.request, "GET", path("products", "7"))[0] == 404
