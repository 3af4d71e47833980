"""The PostgreSQL listener under load: readers see one step, slow and idle clients cost little, lookups go straight to the content."""
import subprocess
import threading
import time

from pg_node import SQL, SYNC, Wire, bind, dsn, execute, kinds, only_column, parse, psql

TWO = """
CREATE STREAM moves (account INTEGER NOT NULL, amount BIGINT NOT NULL);
CREATE MATERIALIZED VIEW balances AS SELECT account, sum(amount) AS balance FROM moves GROUP BY account;
CREATE MATERIALIZED VIEW total AS SELECT sum(amount) AS total, count(*) AS moves FROM moves;
"""


def test_readers_never_see_half_of_a_change(make_node):
    node = make_node(TWO)
    node.start()
    stop = threading.Event()
    failures, reads = [], [0]

    def write(worker):
        wire = Wire(node)
        number = 0
        while not stop.is_set():
            number += 1
            # One block: what it takes from one account it gives to another.
            wire.send((b"Q", f"BEGIN; INSERT INTO moves VALUES ({worker}, {-number}); INSERT INTO moves VALUES ({worker + 10}, {number}); COMMIT".encode() + b"\0"))
            messages = wire.until(b"Z")
            if "E" in kinds(messages):
                failures.append(messages)
        wire.close()

    def read():
        wire = Wire(node)
        while not stop.is_set():
            wire.send((b"Q", b"SELECT (SELECT coalesce(sum(balance), 0) FROM balances) AS a, (SELECT coalesce(total, 0) FROM total) AS b, (SELECT moves % 2 FROM total)\0"))
            body = next(body for kind, body in wire.until(b"Z") if kind == b"D")
            if body.count(b"\x00\x00\x00\x010") != 3:
                failures.append(body)
            reads[0] += 1
        wire.close()

    threads = [threading.Thread(target=write, args=(worker,)) for worker in range(2)] + [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    time.sleep(5)
    stop.set()
    for thread in threads:
        thread.join(30)
    assert not failures and reads[0] > 100
    node.stop()


def test_a_session_reads_its_own_and_anothers_writes(make_node):
    node = make_node(TWO)
    node.start()
    one, two = Wire(node), Wire(node)
    for number in range(300):
        one.send((b"Q", f"INSERT INTO moves VALUES (1, {number}); SHOW millrace.token".encode() + b"\0"))
        token = only_column(one.until(b"Z"))[-1]
        two.send((b"Q", f"SET millrace.after = '{token}'; SELECT moves FROM total".encode() + b"\0"))
        assert only_column(two.until(b"Z")) == [str(number + 1)]
    node.stop()


def test_idle_and_deaf_clients_cost_little(make_node):
    node = make_node(SQL)
    node.start()
    keep = Wire(node)
    before = node.memory_kib()
    idle = [Wire(node) for _ in range(1000)]
    per_client = (node.memory_kib() - before) / 1000
    assert per_client < 100, f"{per_client} KiB"
    deaf = Wire(node)
    deaf.send((b"Q", b"SELECT repeat('x', 1000) FROM range(100000)\0"))  # 100 MB, which it never reads
    time.sleep(2)
    begin = time.monotonic()
    for _ in range(50):
        keep.send((b"Q", b"SELECT 1\0"))
        assert kinds(keep.until(b"Z")) == "TDCZ"
    assert time.monotonic() - begin < 5
    for each in idle:
        each.close()
    deaf.close()
    keep.close()
    node.stop()


def test_prepared_lookups_of_many_clients(make_node, tmp_path):
    node = make_node(SQL)
    node.start()
    psql(node, "INSERT INTO products (id, name) SELECT i, 'name' || i FROM range(1, 10001) t(i)")
    script = tmp_path / "lookup.sql"
    script.write_text("\\set id random(1, 10000)\nSELECT name FROM products WHERE id = :id;\n")
    done = subprocess.run(["pgbench", dsn(node), "-n", "-f", script, "-M", "prepared", "-c", "16", "-T", "3"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and "number of failed transactions: 0" in done.stdout, done.stdout + done.stderr
    assert node.metric("pg_lookups_total") > 1000
    wire = Wire(node)
    wire.send(parse("p", "SELECT name FROM products WHERE id = $1"), SYNC)
    wire.until(b"Z")
    for number in (1, 777, 10000):
        wire.send(bind("", "p", str(number).encode()), execute(""), SYNC)
        assert only_column(wire.until(b"Z")) == [f"name{number}"]
    node.stop()


def test_blocks_are_whole_after_a_kill(make_node):
    node = make_node("CREATE TABLE a (id BIGINT PRIMARY KEY); CREATE TABLE b (id BIGINT); CREATE STREAM c (id BIGINT);"
                     "CREATE MATERIALIZED VIEW d AS SELECT id FROM c;")
    node.start()
    acknowledged, stop = [], threading.Event()

    def write(worker):
        number = worker * 1_000_000
        wire = Wire(node)
        try:
            while not stop.is_set():
                number += 1
                wire.send((b"Q", f"BEGIN; INSERT INTO a VALUES ({number}); INSERT INTO b VALUES ({number}); INSERT INTO c VALUES ({number}); COMMIT".encode() + b"\0"))
                if wire.until(b"Z")[-1] != (b"Z", b"I"):
                    break
                acknowledged.append(number)
        except OSError:
            pass

    threads = [threading.Thread(target=write, args=(worker,)) for worker in range(3)]
    for thread in threads:
        thread.start()
    time.sleep(2)
    node.kill()
    stop.set()
    for thread in threads:
        thread.join(30)
    node.start()
    kept = [sorted(row[0] for row in node.sql(f"SELECT id FROM {name}")) for name in "abd"]
    assert kept[0] == kept[1] == kept[2] and set(acknowledged) <= set(kept[0]) and len(acknowledged) > 50
    node.stop()
