"""The PostgreSQL protocol: what every client relies on, by hand and through psql."""
import os
import random
import socket
import struct
import subprocess
import threading
import time

import pytest

from node import ROOT
from pg_node import SQL, SYNC, Wire, bind, describe, execute, field, host_port, kinds, parse, psql, started


@pytest.fixture(scope="module")
def node(folder):
    node = started(folder)
    psql(node, "INSERT INTO products VALUES (1, 'tea', 1.25, ['hot', 'a b']), (2, 'mug', 9, NULL)",
         "INSERT INTO clicks VALUES (1, 'tea', 1.25, '2026-01-01 10:00:00'), (2, 'tea', 2, '2026-01-01 11:00:00')",
         "INSERT INTO bag VALUES ('a', 1), ('a', 1), ('b', NULL)")
    yield node
    node.stop()


def test_simple_queries_of_several_statements_answer_each(node):
    wire = Wire(node)
    wire.send((b"Q", b"SELECT 1; SELECT 2 AS b;; -- end\0"))
    assert kinds(wire.until(b"Z")) == "TDCTDCZ"
    for empty in (b"", b"-- ping", b" ;; "):
        wire.send((b"Q", empty + b"\0"))
        assert kinds(wire.until(b"Z")) == "IZ"
    wire.send((b"Q", b"SELECT 1; SELEC 2; SELECT 3\0"))
    messages = wire.until(b"Z")
    assert kinds(messages) == "TDCEZ"
    assert field(messages[3][1], b"C") == "42601"
    assert field(messages[3][1], b"P") == "11"
    wire.close()


def test_errors_have_sqlstate_position_and_hint(node):
    wire = Wire(node)
    for text, sqlstate, position, hint in [("SELECT nam FROM products", "42703", "8", "name"),
                                           ("SELECT 1 FROM product", "42P01", "15", "products"),
                                           ("SELECT 1/", "42601", None, None),
                                           ("SELECT 'x'::INTEGER", "22P02", None, None),
                                           ("INSERT INTO products (id, name) VALUES (1, 'again')", "23505", None, None),
                                           ("INSERT INTO products (id, name) VALUES (NULL, 'x')", "23502", None, None),
                                           ("INSERT INTO clicks VALUES (3, 'x', -1, now())", "23514", None, None),
                                           ("SET TimeZone = 'Nowhere/X'", "22023", None, "pg_timezone_names"),
                                           ("SHOW no_such", "42704", None, None),
                                           ("SAVEPOINT a", "25P01", None, None),
                                           ("LISTEN x", "0A000", None, "SUBSCRIBE")]:
        wire.send((b"Q", text.encode() + b"\0"))
        error = next(body for kind, body in wire.until(b"Z") if kind == b"E")
        assert field(error, b"C") == sqlstate, (text, error)
        if position is not None:
            assert field(error, b"P") == position, (text, error)
        if hint is not None:
            assert hint in (field(error, b"H") or ""), (text, error)
    wire.close()


def test_the_extended_protocol_skips_to_sync_after_an_error(node):
    wire = Wire(node)
    wire.send(parse("", "SELECT $1::BIGINT + 1"), bind("", "", b"41"), describe(b"P", ""), execute(""), SYNC)
    messages = wire.until(b"Z")
    assert kinds(messages) == "12TDCZ"
    assert messages[3][1][6:] == b"42"
    wire.send(parse("", "SELECT nothing FROM products"), bind("", ""), describe(b"P", ""), execute(""), parse("x", "SELECT 1"), SYNC)
    assert kinds(wire.until(b"Z")) == "12EZ"  # a statement is bound when it is described
    wire.send(bind("", "x"), SYNC)
    assert field(wire.until(b"Z")[0][1], b"C") == "26000"
    wire.close()


def test_statements_are_described_before_they_are_bound(node):
    wire = Wire(node)
    for text, oids, columns in [("SELECT id, name, price, tags FROM products WHERE id = $1 AND name LIKE $2", [20, 25], [20, 25, 1700, 1009]),
                                ("INSERT INTO products (id, name, price) VALUES ($1, $2, $3)", [20, 25, 1700], []),
                                ("INSERT INTO products (id, name) VALUES ($1, $2) RETURNING id, price * 2", [20, 25], [20, 1700]),
                                ("UPDATE products SET name = $1 WHERE id = $2", [25, 20], []),
                                ("DELETE FROM products WHERE price > $1", [1700], []),
                                ("INSERT INTO clicks (id, product, happened) VALUES ($1, $2, $3)", [20, 25, 1114], []),
                                ("SELECT $1", [25], [25]),
                                ("SELECT $2::INT, $1::DATE", [1082, 23], [23, 1082]),
                                ("SELECT * FROM products ORDER BY id LIMIT $1", [20], [20, 25, 1700, 1009]),
                                ("SHOW server_version", [], [25]),
                                ("BEGIN", [], []),
                                ("SELECT count(*), sum(n), avg(n) FROM bag", [], [20, 1700, 701])]:
        wire.send(parse("s", text), describe(b"S", "s"), (b"C", b"Ss\0"), SYNC)
        messages = wire.until(b"Z")
        assert kinds(messages) in ("1tT3Z", "1tn3Z"), (text, messages)
        body = messages[1][1]
        assert list(struct.unpack(f"!{(len(body) - 2) // 4}I", body[2:])) == oids, text
        if messages[2][0] == b"n":
            assert columns == []
            continue
        body, found = messages[2][1], []
        at = 2
        for _ in range(struct.unpack("!H", body[:2])[0]):
            at = body.index(b"\0", at) + 1
            found.append(struct.unpack("!I", body[at + 6:at + 10])[0])
            at += 18
        assert found == columns, text
    wire.close()


def test_portals_give_rows_in_parts(node):
    wire = Wire(node)
    wire.send(parse("", "SELECT i FROM range(10) t(i)"), bind("p", ""), execute("p", 4), execute("p", 4), execute("p", 4), SYNC)
    messages = wire.until(b"Z")
    assert kinds(messages) == "12" + "DDDDs" * 2 + "DDC" + "Z"
    assert messages[-2][1] == b"SELECT 2\0"
    wire.send(execute("p", 1), SYNC)  # it ended with the Sync
    assert field(wire.until(b"Z")[0][1], b"C") == "34000"
    wire.close()


def test_flush_answers_without_sync_and_formats_mix(node):
    wire = Wire(node)
    wire.send(parse("s", "SELECT id, name, id FROM products WHERE id = $1"), describe(b"S", "s"), (b"H", b""))
    assert kinds(wire.until(b"T")) == "1tT"
    wire.send(bind("", "s", struct.pack("!q", 1), formats=(1,), results=(1, 0, 0)), execute(""), SYNC)
    messages = wire.until(b"Z")
    row = messages[1][1]
    assert row == struct.pack("!HI", 3, 8) + struct.pack("!q", 1) + struct.pack("!I", 3) + b"tea" + struct.pack("!I", 1) + b"1"
    wire.close()


def test_a_read_block_sees_one_step_and_a_write_block_is_one_change(node):
    one, two = Wire(node), Wire(node)

    def run(wire, text):
        wire.send((b"Q", text.encode() + b"\0"))
        messages = wire.until(b"Z")
        errors = [field(body, b"C") for kind, body in messages if kind == b"E"]
        rows = [body[6:].decode() for kind, body in messages if kind == b"D"]
        return errors[0] if errors else rows, messages[-1][1].decode()

    assert run(one, "BEGIN") == ([], "T")
    assert run(one, "SELECT count(*) FROM bag WHERE word = 'block'") == (["0"], "T")
    run(two, "INSERT INTO bag VALUES ('block', 1)")
    assert run(one, "SELECT count(*) FROM bag WHERE word = 'block'") == (["0"], "T")
    assert run(one, "INSERT INTO bag VALUES ('block', 2)") == ("25001", "E")
    assert run(one, "SELECT 1") == ("25P02", "E")
    assert run(one, "COMMIT") == ([], "I")
    assert run(one, "SELECT count(*) FROM bag WHERE word = 'block'") == (["1"], "I")

    run(one, "BEGIN")
    assert run(one, "INSERT INTO products (id, name) VALUES (10, 'ten'), (11, 'eleven')") == ([], "T")
    assert run(one, "UPDATE products SET name = 'TEN' WHERE id = 10 RETURNING name") == (["TEN"], "T")
    assert run(one, "DELETE FROM products WHERE id = 11 RETURNING id") == (["11"], "T")
    assert run(one, "INSERT INTO clicks VALUES (10, 'block', 1, '2026-01-01 00:00:00')") == ([], "T")
    assert run(two, "SELECT count(*) FROM products WHERE id >= 10") == (["0"], "I")
    assert run(one, "COMMIT") == ([], "I")
    assert run(two, "SELECT name FROM products WHERE id >= 10") == (["TEN"], "I")
    assert run(two, "SELECT clicks FROM by_product WHERE product = 'block'") == (["1"], "I")

    run(one, "BEGIN")
    run(one, "SAVEPOINT a")
    assert run(one, "INSERT INTO products (id, name) VALUES (10, 'taken')") == ("23505", "E")
    assert run(one, "ROLLBACK TO a") == ([], "T")
    run(one, "INSERT INTO products (id, name) VALUES (12, 'twelve')")
    run(one, "SAVEPOINT b")
    run(one, "DELETE FROM products WHERE id = 12")
    assert run(one, "ROLLBACK TO SAVEPOINT b") == ([], "T")
    assert run(one, "RELEASE a") == ([], "T")
    assert run(one, "ROLLBACK TO b") == ("3B001", "E")
    run(one, "ROLLBACK")
    run(one, "BEGIN")
    run(one, "DELETE FROM products WHERE id = 10")
    assert run(one, "INSERT INTO products (id, name) VALUES (10, 'again')") == ([], "T")
    assert run(one, "SELECT * FROM cheap") == ("25001", "E")
    assert run(one, "ROLLBACK") == ([], "I")
    assert run(one, "SELECT name FROM products WHERE id = 10") == (["TEN"], "I")

    # Another writer of the same rows: the client was told something that is not so any more.
    run(one, "BEGIN")
    assert run(one, "UPDATE products SET name = name || '!' WHERE id = 10 RETURNING name") == (["TEN!"], "T")
    run(two, "UPDATE products SET name = 'two' WHERE id = 10")
    assert run(one, "COMMIT") == ("40001", "I")
    assert run(one, "SELECT name FROM products WHERE id = 10") == (["two"], "I")
    # Of other rows: both stand.
    run(one, "BEGIN")
    run(one, "INSERT INTO products (id, name) VALUES (20, 'a')")
    run(two, "INSERT INTO products (id, name) VALUES (21, 'b')")
    assert run(one, "COMMIT") == ([], "I")
    assert run(one, "SELECT count(*) FROM products WHERE id IN (20, 21)") == (["2"], "I")
    run(one, "BEGIN READ ONLY")
    assert run(one, "DELETE FROM products") == ("25006", "E")
    run(one, "ROLLBACK")
    run(one, "DELETE FROM products WHERE id >= 10")
    one.close()
    two.close()


def test_writes_without_a_sync_between_them_are_one(node):
    wire = Wire(node)
    wire.send(parse("i", "INSERT INTO products (id, name) VALUES ($1, 'x')"), bind("", "i", b"30"), execute(""), bind("", "i", b"31"), execute(""),
              bind("", "i", b"30"), execute(""), SYNC)
    messages = wire.until(b"Z")
    assert kinds(messages) == "12C2C2EZ"
    assert field(messages[-2][1], b"C") == "23505"
    wire.send((b"Q", b"SELECT count(*) FROM products WHERE id IN (30, 31)\0"))
    assert wire.until(b"Z")[1][1][6:] == b"0"
    wire.send((b"Q", b"INSERT INTO products (id, name) VALUES (30, 'a'); INSERT INTO products (id, name) VALUES (30, 'b')\0"))
    assert "E" in kinds(wire.until(b"Z"))
    wire.send((b"Q", b"SELECT count(*) FROM products WHERE id = 30\0"))
    assert wire.until(b"Z")[1][1][6:] == b"0"
    wire.close()


def test_copy_goes_out_and_in_in_all_formats(node):
    out = psql(node, "COPY (SELECT 1 AS a, E'x\\ty' AS b, NULL AS c) TO STDOUT")
    assert out == "1\tx\\ty\t\\N\n"
    out = psql(node, "COPY (SELECT 1 AS a, 'say \"hi\", you' AS b, NULL AS c) TO STDOUT (FORMAT csv, HEADER)")
    assert out == 'a,b,c\n1,"say ""hi"", you",\n'
    psql(node, "CREATE TABLE copied (id BIGINT PRIMARY KEY, word VARCHAR, price DECIMAL(10,2), tags INTEGER[], happened TIMESTAMPTZ)")
    psql(node, "COPY copied FROM STDIN", stdin="1\ta\\nb\t1.50\t{1,NULL}\t2026-01-01 00:00:00+00\n2\t\\N\t\\N\t\\N\t\\N\n")
    psql(node, "COPY copied (id, word) FROM STDIN (FORMAT csv)", stdin='3,"x, ""y"""\n4,\n')
    rows = psql(node, "COPY (SELECT * FROM copied ORDER BY id) TO STDOUT")
    assert rows == "1\ta\\nb\t1.50\t{1,NULL}\t2026-01-01 00:00:00+00\n2\t\\N\t\\N\t\\N\t\\N\n3\tx, \"y\"\t\\N\t\\N\t\\N\n4\t\\N\t\\N\t\\N\t\\N\n"
    error = psql(node, "COPY copied FROM STDIN", stdin="5\tx\t1\t{}\t\\N\n6\ty\tmuch\t{}\t\\N\n", check=False)
    assert "line 2, column price" in error
    assert psql(node, "COPY (SELECT count(*) FROM copied WHERE id >= 5) TO STDOUT") == "0\n"
    psql(node, "COPY clicks (id, product, happened) FROM STDIN (FORMAT csv)", stdin="100,copied,2026-01-01 00:00:00\n101,copied,2026-01-01 00:00:01\n")
    assert psql(node, "COPY (SELECT clicks FROM by_product WHERE product = 'copied') TO STDOUT") == "2\n"
    psql(node, "DROP TABLE copied")


def test_a_copy_of_any_size_is_written_in_pieces(node):
    psql(node, "CREATE TABLE large (id BIGINT PRIMARY KEY, text VARCHAR)", "CREATE STREAM many (id BIGINT NOT NULL, text VARCHAR)",
         "CREATE MATERIALIZED VIEW counted AS SELECT count(*) AS n, sum(id)::BIGINT AS total FROM many")
    rows = 80_000
    lines = "".join(f"{number},{'x' * 900}\n" for number in range(rows))  # 70 MiB: two pieces of input, and more of rows
    total = f"{rows},{rows * (rows - 1) // 2}\n"
    psql(node, "COPY many FROM STDIN (FORMAT csv)", stdin=lines)
    assert psql(node, "COPY counted TO STDOUT (FORMAT csv)") == total
    psql(node, "COPY large FROM STDIN", stdin=lines.replace(",", "\t"))
    assert psql(node, "COPY (SELECT count(*), sum(id)::BIGINT FROM large) TO STDOUT (FORMAT csv)") == total
    # A row that is wrong behind the first piece: what came before it stays, and the error says how much that is.
    psql(node, "DELETE FROM large")
    error = psql(node, "COPY large FROM STDIN (FORMAT csv)", stdin=lines + "much,y\n", check=False)
    written = int(psql(node, "COPY (SELECT count(*) FROM large) TO STDOUT"))
    assert f"line {rows + 1}, column id" in error and 30_000 < written < rows and f"the first {written} rows are written" in error
    # Within a block it is one change, or none.
    psql(node, "DELETE FROM large")
    script = "BEGIN;\nCOPY large FROM STDIN (FORMAT csv);\n" + lines + "\\.\nCOMMIT;\n"
    error = psql(node, stdin="\\set VERBOSITY verbose\n" + script, check=False)
    assert "54000" in error and "more than 32 MiB within a transaction" in error
    assert psql(node, "COPY (SELECT count(*) FROM large) TO STDOUT") == "0\n"
    # One row that is larger than what is gathered.
    error = psql(node, "COPY many (id, text) FROM STDIN (FORMAT csv)", stdin='1,"' + "x\n" * (18 << 20) + '"\n', check=False)
    assert "line 1: the row has more than 32 MiB" in error
    psql(node, "DROP MATERIALIZED VIEW counted", "DROP STREAM many", "DROP TABLE large")


def test_subscribe_sends_changes_until_it_is_cancelled(node):
    wire = Wire(node)
    wire.send((b"Q", b"SUBSCRIBE TO by_product WITH SNAPSHOT\0"))
    content = {}
    assert wire.message()[0] == b"T"

    def take(wanted):
        deadline = time.monotonic() + 20
        while content.get("live", 0) != wanted:
            kind, body = wire.message()
            assert kind == b"D" and time.monotonic() < deadline
            at, values = 2, []
            while at < len(body):
                size = struct.unpack("!i", body[at:at + 4])[0]
                at += 4
                values.append(body[at:at + max(size, 0)].decode())
                at += max(size, 0)
            if values[1] == "1":
                assert values[2] not in content  # what went comes first
                content[values[2]] = int(values[3])
            else:
                assert content.pop(values[2]) == int(values[3])

    for count in range(1, 4):
        psql(node, f"INSERT INTO clicks VALUES ({count}, 'live', 1, '2026-01-01 00:00:00')")
        take(count)
    assert content["tea"] == 2
    wire.socket.shutdown(socket.SHUT_RDWR)
    wire.close()
    deadline = time.monotonic() + 10
    while node.metric("pg_subscriptions") != 0:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_subscribe_works_as_copy_and_from_a_step(node):
    follower = Wire(node)
    follower.send((b"Q", b"COPY (SUBSCRIBE TO products) TO STDOUT\0"))
    assert follower.message()[0] == b"H"
    psql(node, "INSERT INTO products (id, name) VALUES (70, 'seventy')", "DELETE FROM products WHERE id = 70")
    first, second = (follower.message()[1].decode().split("\t") for _ in range(2))
    assert first[1:4] == ["1", "70", "seventy"] and second[1:4] == ["-1", "70", "seventy"] and int(first[0]) < int(second[0])
    follower.cancel(node)
    messages = follower.until(b"Z")
    assert kinds(messages) == "EZ" and field(messages[0][1], b"C") == "57014"
    follower.close()
    wire = Wire(node)
    wire.send((b"Q", f"SUBSCRIBE TO products FROM STEP {int(first[0])}".encode() + b"\0"))
    assert wire.message()[0] == b"T"
    kind, body = wire.message()
    assert kind == b"D" and b"seventy" in body and b"-1" in body
    wire.close()
    wire = Wire(node)
    for text, sqlstate in [("SUBSCRIBE TO clicks", None), ("SUBSCRIBE TO nothing", "42P01"), ("SUBSCRIBE TO cheap", None), ("SUBSCRIBE TO products FROM STEP 999999999", None)]:
        wire.send((b"Q", text.encode() + b"\0"))
        errors = [field(body, b"C") for kind, body in wire.until(b"Z") if kind == b"E"]
        assert errors and sqlstate in (None, errors[0]), text
    wire.close()


def test_the_sessions_own_words_stand_beside_relations(node):
    wire = Wire(node)
    wire.send((b"Q", b"SELECT current_user, current_database(), current_schema, current_setting('server_version_num'), count(*) FROM bag WHERE word = 'none'\0"))
    body = next(body for kind, body in wire.until(b"Z") if kind == b"D")
    assert [value in body for value in (b"ann", b"millrace", b"public", b"150000", b"0")] == [True] * 5
    wire.close()


def test_a_transaction_that_waits_too_long_ends(node):
    wire = Wire(node)
    wire.send((b"Q", b"SET idle_in_transaction_session_timeout = '700ms'; BEGIN; INSERT INTO bag VALUES ('idle', 1)\0"))
    wire.until(b"Z")
    kind, body = wire.message()
    assert kind == b"E" and field(body, b"C") == "25P03" and wire.message() == (b"", b"")
    assert node.sql("SELECT count(*) FROM bag WHERE word = 'idle'") == [[0]]


def test_a_stopping_node_says_so(make_node):
    node = make_node(SQL)
    node.start()
    wire = Wire(node)
    node.stop()
    kind, body = wire.message()
    assert kind == b"E" and field(body, b"C") == "57P01" and wire.message() == (b"", b"")


def test_options_of_the_start_up_packet(node):
    wire = Wire(node, startup=False)
    wire.startup("ann", options="-c statement_timeout=7s --my.own=a\\ b", application_name="tests")
    wire.until(b"Z")
    for name, value in [("statement_timeout", b"7s"), ("my.own", b"a b"), ("application_name", b"tests")]:
        wire.send((b"Q", f"SHOW {name}".encode() + b"\0"))
        assert wire.until(b"Z")[1][1][6:] == value
    wire.close()
    for parameters, sqlstate in [({"options": "-c nothing=1"}, "42704"), ({"replication": "database"}, "0A000"), ({"client_encoding": "LATIN1"}, "0A000")]:
        wire = Wire(node, startup=False)
        wire.startup("ann", **parameters)
        assert field(wire.message()[1], b"C") == sqlstate
        wire.close()


def test_variables_cursors_and_tokens(node):
    out = psql(node, "SET extra_float_digits = 3", "SHOW TRANSACTION ISOLATION LEVEL", "SHOW server_version_num", "SET SESSION CHARACTERISTICS AS "
               "TRANSACTION ISOLATION LEVEL READ COMMITTED", "RESET ALL", "DISCARD ALL", "DEALLOCATE ALL", "CLOSE ALL", "UNLISTEN *",
               flags=("-X", "-q", "-t", "-A"))
    assert out == "repeatable read\n150000\n"
    out = psql(node, stdin="BEGIN; DECLARE c NO SCROLL CURSOR FOR SELECT i FROM range(5) t(i); FETCH 2 FROM c; MOVE c; FETCH ALL c; CLOSE c; COMMIT;",
               flags=("-X", "-q", "-t", "-A"))
    assert out == "0\n1\n3\n4\n"
    token = psql(node, stdin="INSERT INTO bag VALUES ('token', 1); SHOW millrace.token;", flags=("-X", "-q", "-t", "-A")).strip()
    assert token
    out = psql(node, f"SET millrace.after = '{token}'", "SELECT n FROM bag WHERE word = 'token'", flags=("-X", "-q", "-t", "-A"))
    assert out == "1\n"


def test_a_newer_protocol_is_negotiated_and_an_older_refused(node):
    wire = Wire(node, startup=False)
    wire.startup("ann", version=3 << 16 | 2, **{"_pq_.new": "1"})
    messages = wire.until(b"Z")
    assert messages[0] == (b"v", struct.pack("!II", 196608, 1) + b"_pq_.new\0")
    wire.close()
    wire = Wire(node, startup=False)
    wire.startup("ann", version=2 << 16)
    assert wire.message()[0] == b"E"
    wire.close()
    wire = Wire(node, startup=False)
    for code in (80877103, 80877104):
        wire.socket.sendall(struct.pack("!II", 8, code))
        assert wire.socket.recv(1) == b"N"
    wire.startup("ann")
    assert kinds(wire.until(b"Z")).startswith("R")
    wire.close()
    out = psql(node, "SELECT 1", check=False, user="ann dbname=other")
    assert 'database "other" does not exist' in out


def test_hostile_clients_cost_only_themselves(node, seed):
    chance = random.Random(seed)
    keep = Wire(node)
    for _ in range(150):
        attacker = socket.create_connection(host_port(node), timeout=5)
        if chance.random() < 0.5:
            body = struct.pack("!I", 196608) + b"user\0ann\0database\0millrace\0\0"
            attacker.sendall(struct.pack("!I", len(body) + 4) + body)
        try:
            for _ in range(chance.randrange(1, 4)):
                junk = bytes(chance.randrange(256) for _ in range(chance.randrange(1, 200)))
                if chance.random() < 0.6:
                    junk = chance.choice([b"Q", b"P", b"B", b"E", b"D", b"d", b"p"]) + struct.pack("!I", chance.choice([0, 4, 9, 40, 2**31 - 1, 2**32 - 1])) + junk
                attacker.sendall(junk)
        except OSError:
            pass
        attacker.close()
    idle = [socket.create_connection(host_port(node), timeout=5) for _ in range(300)]
    keep.send((b"Q", b"SELECT 1\0"))
    assert kinds(keep.until(b"Z")) == "TDCZ"
    for each in idle:
        each.close()
    keep.close()


def test_clients_come_back_after_a_kill(make_node):
    node = make_node(SQL)
    node.start()
    acknowledged = []
    stop = threading.Event()

    def insert(worker):
        number = worker * 1_000_000
        while not stop.is_set():
            try:
                wire = Wire(node)
                while not stop.is_set():
                    number += 1
                    wire.send((b"Q", f"INSERT INTO bag VALUES ('kill', {number})\0".encode()))
                    messages = wire.until(b"Z")
                    if messages[-1][0] != b"Z":
                        break
                    acknowledged.append(number)
                wire.close()
            except OSError:
                time.sleep(0.05)

    threads = [threading.Thread(target=insert, args=(worker,)) for worker in range(3)]
    for thread in threads:
        thread.start()
    time.sleep(1.5)
    node.kill()
    stop.set()
    for thread in threads:
        thread.join(30)
    node.start()
    kept = {row[0] for row in node.sql("SELECT n FROM bag WHERE word = 'kill'")}
    assert acknowledged and set(acknowledged) <= kept
    node.stop()


def test_psql_shows_the_catalog(node):
    golden = ROOT / "tests" / "pg_golden" / "psql.txt"
    script = (ROOT / "tests" / "pg_golden" / "psql.sql").read_text()
    out = psql(node, stdin=script, flags=("-X", "-a", "-q"))
    if os.environ.get("MILLRACE_REWRITE_GOLDENS"):
        golden.write_text(out)
    assert out == golden.read_text()
