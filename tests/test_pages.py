"""Pages of endpoints: whatever comes and goes between two of them, what stays is on exactly one."""
import collections
import json
import random
import re

import pytest

from node import Refused

SQL = """
CREATE TABLE items (id INTEGER PRIMARY KEY, name VARCHAR, price DOUBLE, at_time TIMESTAMP, tags VARCHAR[]);
CREATE STREAM moves (id BIGINT NOT NULL, account INTEGER NOT NULL, amount BIGINT NOT NULL);
CREATE MATERIALIZED VIEW balances AS SELECT account, sum(amount)::BIGINT AS balance FROM moves GROUP BY account;
CREATE ENDPOINT by_id ON GET '/items' AS SELECT * FROM items ORDER BY id;
CREATE ENDPOINT by_price ON GET '/by-price' AS SELECT name, price, id FROM items ORDER BY price DESC NULLS FIRST, name, 3 DESC;
CREATE ENDPOINT by_name ON GET '/by-name' AS SELECT name, price FROM items ORDER BY name NULLS FIRST;
CREATE ENDPOINT names ON GET '/names' AS SELECT name FROM items ORDER BY 1 DESC; -- many are equal
CREATE ENDPOINT by_tags ON GET '/by-tags' AS SELECT i.tags, i.id AS "the id" FROM items i ORDER BY i.tags, upper(i.name), "the id" LIMIT 50;
CREATE ENDPOINT by_tags_2 ON GET '/by-tags-2' AS SELECT i.tags, upper(i.name), i.id AS "the id; -- é" FROM items i ORDER BY i.tags DESC, upper(i.name) LIMIT 50;
CREATE ENDPOINT one ON GET '/items/{id}' (id INTEGER) AS SELECT * FROM items WHERE id = $id ORDER BY name;
CREATE ENDPOINT above ON GET '/above' (page0 DOUBLE, n INTEGER DEFAULT 1000) AS SELECT id, price FROM items WHERE price >= $page0 ORDER BY price, id LIMIT $n;
CREATE ENDPOINT own ON GET '/own' (page_size INTEGER) AS SELECT $page_size AS n ORDER BY n;
CREATE ENDPOINT top ON GET '/top' AS SELECT account, balance FROM balances ORDER BY balance DESC, account;
CREATE ENDPOINT loose ON GET '/loose' AS SELECT id FROM items;
"""


@pytest.fixture
def node(make_node):
    node = make_node(SQL)
    node.start()
    return node


def pages(node, path, size, between=lambda: None):
    """The pages one after the other, as `next` leads to them."""
    separator = "&" if "?" in path else "?"
    cursor = None
    while True:
        at = f"{path}{separator}page_size={size}" + (f"&cursor={cursor}" if cursor else "")
        _, headers, body = node.request("GET", at)
        page = json.loads(body)
        assert set(page) == {"rows", "next"} and len(page["rows"]) <= size
        if page["next"] is None:
            assert "Link" not in headers
            yield page["rows"]
            return
        assert len(page["rows"]) == size and headers["Link"] == f'<{path}{separator}page_size={size}&cursor={page["next"]}>; rel="next"'
        yield page["rows"]
        cursor = page["next"]
        between()


def bag(rows):
    return collections.Counter(json.dumps(row, sort_keys=True) for row in rows)


def rows(node, sql):
    lines = node.request("POST", "/v1/sql", sql.encode(), {"Content-Type": "application/sql", "Accept": "application/x-ndjson"})[2]
    return [json.loads(line) for line in lines.splitlines()]


def fill(node, choose, ids):
    values = []
    for number in ids:
        name = choose.choice(["NULL", "''", "'tea'", "'Tea'", "'ü'", "'a''b'"])
        price = choose.choice(["NULL", "'nan'::DOUBLE", "'inf'::DOUBLE", "-0.5", "0", "1e300", str(choose.randrange(4))])
        tags = choose.choice(["NULL", "[]", "['a']", "['a', NULL]", "['b']"])
        values.append(f"({number}, {name}, {price}, TIMESTAMP '2026-01-01' + INTERVAL {choose.randrange(5)} DAY, {tags})")
    node.sql("INSERT OR REPLACE INTO items VALUES " + ", ".join(values))


def test_pages_together_are_the_whole_in_its_order(node, seed):
    choose = random.Random(seed)
    fill(node, choose, range(120))
    for path in ["/items", "/by-price", "/by-name", "/names", "/by-tags-2", "/items/7", "/above?page0=0", "/above?page0=-1&n=20", "/top"]:
        whole = node.get(path)
        for size in (1, 7, 50, 120, 10_000):
            if size == 1 and len(whole) > 50:
                continue
            found = [row for page in pages(node, path, size) for row in page]
            assert bag(found) == bag(whole), (path, size)
            if path in ("/items", "/by-price", "/above?page0=0", "/names"):
                assert found == whole, (path, size)  # there the order says all
    assert [row["name"] for page in pages(node, "/by-name", 10) for row in page] == [row["name"] for row in node.get("/by-name")]
    node.stop()


@pytest.mark.parametrize("path", ["/items", "/by-price", "/by-name", "/names"])
def test_what_stays_is_on_exactly_one_page_whatever_comes_and_goes(node, seed, path):
    choose = random.Random(seed)
    columns = {"/items": "*", "/by-price": "name, price, id", "/by-name": "name, price", "/names": "name"}[path]
    for round_ in range(4):
        node.sql("DELETE FROM items")
        fill(node, choose, range(0, 200, 2))
        stays = [number for number in range(0, 200, 2) if choose.random() < 0.5]
        goes = [number for number in range(0, 200, 2) if number not in stays]
        comes = list(range(1, 200, 2))

        def between():
            gone = [goes.pop(choose.randrange(len(goes))) for _ in range(min(5, len(goes)))]
            if gone:
                node.sql(f"DELETE FROM items WHERE id IN ({', '.join(map(str, gone))})")
            if comes:
                fill(node, choose, [comes.pop(choose.randrange(len(comes))) for _ in range(min(5, len(comes)))])

        ever = bag([])
        found = []

        def watched():
            nonlocal ever
            between()
            ever |= bag(rows(node, f"SELECT {columns} FROM items"))

        watched()
        for page in pages(node, path, choose.choice([3, 8, 20]), watched):
            found += page
        wanted = bag(rows(node, f"SELECT {columns} FROM items WHERE id IN ({', '.join(map(str, stays))})"))
        assert not wanted - bag(found), "a row that stayed is on no page"
        if path in ("/items", "/by-price"):
            assert max(bag(found).values()) == 1, "a row is on two pages"
        ids = [row["id"] for row in found if "id" in row]
        if path == "/items":
            assert ids == sorted(ids)
        assert not set(bag(found)) - set(ever)
    node.stop()


def test_pages_of_a_view_while_a_stream_flows(node):
    node.send("moves", [json.dumps({"id": i, "account": i, "amount": 1000 - i}) for i in range(300)], query="?wait=visible")
    number = 300

    def between():
        nonlocal number
        node.send("moves", [json.dumps({"id": number + i, "account": 1000 + number + i, "amount": 1500 - number}) for i in range(10)], query="?wait=visible")
        number += 10

    found = [row for page in pages(node, "/top", 25, between) for row in page]
    accounts = [row["account"] for row in found]
    assert len(set(accounts)) == len(accounts) and set(range(300)) <= set(accounts)
    assert [row["balance"] for row in found] == sorted((row["balance"] for row in found), reverse=True)
    node.stop()


def test_what_is_no_cursor_is_refused(node, seed):
    choose = random.Random(seed)
    fill(node, choose, range(30))
    cursor = node.get("/items?page_size=10")["next"]
    assert len(node.get(f"/items?page_size=3&cursor={cursor}")["rows"]) == 3  # of another size is the same cursor
    assert len(node.get(f"/items?cursor={cursor}")["rows"]) == 20

    def refusal(path):
        with pytest.raises(Refused) as refused:
            node.get(path)
        assert refused.value.status == 400, path
        return json.loads(refused.value.body)["error"]

    for at in range(len(cursor)):
        other = choose.choice([letter for letter in "abcXYZ019-_" if letter != cursor[at]])
        error = refusal(f"/items?page_size=10&cursor={cursor[:at]}{other}{cursor[at + 1:]}")
        assert "cursor" in error["message"]
    for wrong in ["x", cursor[:-4], cursor + "AAAA", "%00", "a+b=", "A" * 4000]:
        refusal(f"/items?cursor={wrong}")
    refusal(f"/by-price?cursor={cursor}")
    above = node.get("/above?page0=-1&page_size=2")["next"]
    assert node.get(f"/above?page0=-1&cursor={above}")["rows"]
    assert "with these parameters" in refusal(f"/above?page0=0&cursor={above}")["message"]
    node.sql("CREATE OR REPLACE ENDPOINT by_id ON GET '/items' AS SELECT * FROM items ORDER BY id DESC")
    assert "begin again" in refusal(f"/items?cursor={cursor}")["hint"]
    assert "no order" in refusal("/loose?page_size=2")["message"]
    assert "upper" in refusal("/by-tags?page_size=2")["message"]
    assert "live" in json.dumps(refusal_of_live(node))
    assert node.get("/own?page_size=7") == [{"n": 7}]  # an endpoint's own parameter is its own
    node.stop()


def refusal_of_live(node):
    with pytest.raises(Refused) as refused:
        node.request("GET", "/items?page_size=2", headers={"Accept": "text/event-stream"})
    return json.loads(refused.value.body)


def test_other_formats_have_the_link_and_a_tag(node):
    fill(node, random.Random(1), range(10))
    status, headers, body = node.request("GET", "/items?page_size=4", headers={"Accept": "application/x-ndjson"})
    assert status == 200 and [json.loads(line)["id"] for line in body.splitlines()] == [0, 1, 2, 3]
    target = re.fullmatch(r'<(/items\?page_size=4&cursor=[A-Za-z0-9_-]+)>; rel="next"', headers["Link"])[1]
    _, headers, body = node.request("GET", target, headers={"Accept": "text/csv"})
    assert [line.split(",")[0] for line in body.decode().splitlines()] == ["id", "4", "5", "6", "7"]
    assert node.request("GET", target, headers={"If-None-Match": headers["ETag"]})[0] == 304
    node.sql("DELETE FROM items WHERE id = 9")
    assert node.request("GET", target, headers={"If-None-Match": headers["ETag"]})[0] == 200
    node.stop()
