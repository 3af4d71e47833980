"""millrace load: every format, packed and plain, from a file and from standard input, twice, in parts, and broken."""
import gzip
import json
import os
import pty
import re
import signal
import subprocess
import time

import pytest

import duckdb_library
from node import BINARY, millrace
from test_kafka import wait_for

SQL = """
CREATE STREAM s (id BIGINT NOT NULL, name VARCHAR, price DECIMAL(10,2));
CREATE STREAM strict (id BIGINT NOT NULL) WITH (on_invalid = 'reject');
CREATE STREAM "odd name/1" (id BIGINT);
CREATE STREAM types (tiny TINYINT, big BIGINT, huge HUGEINT, u UBIGINT, d DECIMAL(38,10), f DOUBLE, b BOOLEAN, t VARCHAR, bytes BLOB,
    day DATE, ts TIMESTAMP, zoned TIMESTAMPTZ, clock TIME, tags VARCHAR[], pair STRUCT(x BIGINT, y VARCHAR), counts MAP(VARCHAR, BIGINT),
    one UUID);
"""
ROWS = [{"id": i, "name": f'name "{i}", with\ttabs', "price": f"{i}.25"} for i in range(1000)]


@pytest.fixture
def node(make_node):
    node = make_node(SQL)
    node.start()
    yield node
    node.stop()


def as_csv(rows):
    quoted = [[str(row["id"]), '"' + row["name"].replace('"', '""') + '"', row["price"]] for row in rows]
    return "id,name,price\n" + "".join(",".join(line) + "\n" for line in quoted)


def as_ndjson(rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


def as_json(rows):
    return json.dumps(rows, indent=2)


def as_json_line(rows):
    return json.dumps(rows)


FORMATS = {"csv": (as_csv, "csv"), "ndjson": (as_ndjson, "ndjson"), "json": (as_json, "json"), "json-line": (as_json_line, "json")}
PACKINGS = {"plain": (lambda data: data, ""), "gzip": (gzip.compress, ".gz"),
            "zstd": (lambda data: subprocess.run(["zstd", "-cq"], input=data, capture_output=True, check=True).stdout, ".zst")}


def load(node, *arguments, status=0, **kwargs):
    done = node.cli("load", *arguments, **kwargs)
    assert done.returncode == status, (done.stdout, done.stderr)
    return done


def counts(done):
    out = done.stdout if isinstance(done.stdout, str) else done.stdout.decode()
    found = re.match(r"(\d+) rows in [\d.]+ s: (\d+) new, (\d+) known already", out)
    assert found, out
    return tuple(map(int, found.groups()))


def check_rows(node, rows=ROWS):
    node.wait_for_records("s", len(rows))
    assert node.sql("SELECT id, name, price::VARCHAR FROM s ORDER BY id") == [[row["id"], row["name"], row["price"]] for row in rows]


@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize("format", FORMATS)
def test_a_file_is_loaded_once(node, tmp_path, format, packing):
    write, suffix = FORMATS[format]
    pack, packed_suffix = PACKINGS[packing]
    path = tmp_path / f"rows.{suffix}{packed_suffix}"
    path.write_bytes(pack(write(ROWS).encode()))
    assert counts(load(node, "s", path)) == (1000, 1000, 0)
    assert counts(load(node, "s", path)) == (1000, 0, 1000)
    check_rows(node)
    assert counts(load(node, "s", path, "--again")) == (1000, 1000, 0)
    node.wait_for_records("s", 2000)
    # The same bytes under another name are the same file.
    other = tmp_path / "other"
    other.write_bytes(path.read_bytes())
    assert counts(load(node, "s", other, "--format", suffix)) == (1000, 0, 1000)


@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize("format", FORMATS)
def test_standard_input_is_known_by_its_id(node, format, packing):
    write, suffix = FORMATS[format]
    data = PACKINGS[packing][0](write(ROWS).encode())
    done = load(node, "s", "-", "--format", suffix, "--id", "first", stdin=data)
    assert counts(done) == (1000, 1000, 0) and b"note" not in done.stderr
    assert counts(load(node, "s", "-", "--format", suffix, "--id", "first", stdin=data)) == (1000, 0, 1000)
    check_rows(node)
    done = load(node, "s", "-", "--format", suffix, stdin=data)
    assert counts(done) == (1000, 1000, 0) and b"--id" in done.stderr


def write_parquet(path, select, *settings):
    duckdb_library.run("SET TimeZone = 'UTC'", f"COPY ({select}) TO '{path}' (FORMAT parquet{''.join(settings)})")


def test_parquet_is_loaded_once(node, tmp_path):
    path = tmp_path / "rows.parquet"
    write_parquet(path, "SELECT i AS id, 'name ' || i AS name, (i + 0.25)::DECIMAL(10,2) AS price FROM range(100000) r(i)",
                  ", ROW_GROUP_SIZE 10000")
    assert counts(load(node, "s", path)) == (100_000, 100_000, 0)
    assert counts(load(node, "s", path, path)) == (200_000, 0, 200_000)
    node.wait_for_records("s", 100_000)
    assert node.sql("SELECT count(*), count(DISTINCT id), sum(price)::VARCHAR FROM s") == [[100_000, 100_000, "4999975000.00"]]
    other = tmp_path / "other"
    other.write_bytes(path.read_bytes())
    assert counts(load(node, "s", other, "--format", "parquet")) == (100_000, 0, 100_000)
    # The rows go in the file's order.
    assert node.sql("SELECT count(*) FROM (SELECT id, lag(id) OVER (ORDER BY _offset) AS before FROM s) WHERE id <> before + 1") == [[0]]


def test_parquet_keeps_types_exactly(node, tmp_path):
    path = tmp_path / "types.parquet"
    values = """SELECT * FROM (VALUES
        ((-128)::TINYINT, 9223372036854775807::BIGINT, 170141183460469231731687303715884105727::HUGEINT, 18446744073709551615::UBIGINT,
         1234567890123456789012345678.0123456789::DECIMAL(38,10), 0.1::DOUBLE, true, 'ü "x"' || chr(10) || 'y', '\\x00\\xFF'::BLOB,
         DATE '0044-03-15', TIMESTAMP '2024-05-01 12:00:00.123456', TIMESTAMPTZ '2024-05-01 12:00:00+02', TIME '23:59:59.5',
         ['a', NULL, ''], {'x': 1, 'y': NULL}, MAP {'k': 1, 'l': 2}, '00112233-4455-6677-8899-aabbccddeeff'::UUID),
        (NULL, NULL, NULL, NULL, NULL, 'NaN'::DOUBLE, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
        (1, (-9223372036854775808)::BIGINT, -5, 0, -0.0000000001, '-Infinity'::DOUBLE, false, '', ''::BLOB, DATE '9999-12-31',
         TIMESTAMP '1969-12-31 23:59:59.999999', TIMESTAMPTZ '1969-12-31 23:59:59+00', TIME '00:00:00', [], {'x': NULL, 'y': 'z'}, MAP {},
         'ffffffff-ffff-ffff-ffff-ffffffffffff'::UUID)
        ) t(tiny, big, huge, u, d, f, b, t, bytes, day, ts, zoned, clock, tags, pair, counts, one)"""
    # Parquet has no 128-bit integer: DuckDB would write a DOUBLE, so the text it is.
    write_parquet(path, f"SELECT * REPLACE (huge::VARCHAR AS huge) FROM ({values})")
    assert counts(load(node, "types", path)) == (3, 3, 0)
    node.wait_for_records("types", 3)
    assert node.books("types")["invalid"] == 0
    different = node.sql(f"SELECT count(*) FROM (({values}) EXCEPT ALL (FROM types))")
    assert different == [[0]], (node.sql("FROM types"), node.sql(values))
    assert node.sql("SELECT count(*) FROM types") == [[3]]


def test_parquet_that_cannot_be_read(node, tmp_path):
    done = load(node, "s", "-", "--format", "parquet", "--id", "x", stdin=b"PAR1", status=1)
    assert b"Parquet is not read from standard input" in done.stderr and b"write it to a file first" in done.stderr
    path = tmp_path / "x.parquet"
    for content in b"", b"id,name\n1,x\n", os.urandom(10_000), b"PAR1" + os.urandom(100) + b"PAR1":
        path.write_bytes(content)
        done = load(node, "s", path, status=1)
        assert f"read {path} as Parquet" in done.stderr, done.stderr
    write_parquet(path, "SELECT i AS id, repeat('x', 1000) AS name FROM range(100000) r(i)", ", COMPRESSION uncompressed")
    whole = path.read_bytes()
    path.write_bytes(whole[:len(whole) // 2])
    assert "as Parquet" in load(node, "s", path, status=1).stderr
    assert "no such file" in load(node, "s", tmp_path / "none.parquet", status=1).stderr.lower()
    assert node.sql("SELECT count(*) FROM s") == [[0]]


def test_parquet_needs_little_memory(node, tmp_path):
    path = tmp_path / "large.parquet"
    write_parquet(path, "SELECT i AS id, md5(i::VARCHAR) || repeat('x', 300) AS name FROM range(1000000) r(i)", ", COMPRESSION zstd")
    process = subprocess.Popen([str(BINARY), "load", "s", str(path), "--url", node.url], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    peak = 0
    while process.poll() is None:
        try:
            status = open(f"/proc/{process.pid}/status").read()
            peak = max(peak, int(re.search(r"VmHWM:\s+(\d+) kB", status).group(1)))
        except (OSError, AttributeError):
            pass
        time.sleep(0.05)
    assert process.returncode == 0, process.stderr.read()
    print(f"peak memory {peak / 1000:.0f} MB for 350 MB of rows")
    assert peak < 250_000


@pytest.mark.parametrize("format", ["csv", "ndjson", "parquet"])
def test_what_was_interrupted_goes_on(node, tmp_path, format):
    path = tmp_path / f"rows.{format}"
    rows = 300_000
    if format == "parquet":
        write_parquet(path, f"SELECT i AS id, repeat('x', 100) AS name FROM range({rows}) r(i)")
    elif format == "csv":
        path.write_text("id,name\n" + "".join(f"{i},{'x' * 100}\n" for i in range(rows)))
    else:
        path.write_text("".join(f'{{"id": {i}, "name": "{"x" * 100}"}}\n' for i in range(rows)))
    command = [str(BINARY), "load", "s", str(path), "--url", node.url]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while node.metric("millrace_log_records_total") < rows / 10 and process.poll() is None:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    total, new, known = counts(load(node, "s", path))
    assert total == rows and new + known == rows and known >= rows / 10
    assert new > 0, "it was through before it was killed"
    node.wait_for_records("s", rows)
    assert node.sql("SELECT count(*), count(DISTINCT id) FROM s") == [[rows, rows]]


def test_files_without_rows(node, tmp_path):
    for name, text in ("e.csv", ""), ("h.csv", "id,name,price\n"), ("e.ndjson", ""), ("b.ndjson", "\n\n"), ("e.json", "[]"), ("n.json", ""):
        (tmp_path / name).write_text(text)
        assert counts(load(node, "s", tmp_path / name)) == (0, 0, 0), name
    (tmp_path / "e.csv.gz").write_bytes(gzip.compress(b""))
    assert counts(load(node, "s", tmp_path / "e.csv.gz")) == (0, 0, 0)
    write_parquet(tmp_path / "e.parquet", "SELECT 1 AS id WHERE false")
    assert counts(load(node, "s", tmp_path / "e.parquet")) == (0, 0, 0)


def test_broken_files(node, tmp_path):
    packed = gzip.compress(as_csv(ROWS).encode())
    (tmp_path / "cut.csv.gz").write_bytes(packed[:len(packed) // 2])
    done = load(node, "s", tmp_path / "cut.csv.gz", status=1)
    assert "cut.csv.gz" in done.stderr and "gzip" in done.stderr, done.stderr
    (tmp_path / "cut.json").write_text(as_json(ROWS)[:-3])
    assert "cut.json" in load(node, "s", tmp_path / "cut.json", status=1).stderr
    (tmp_path / "garbage.json").write_bytes(b"\x01\x02" + os.urandom(1000))
    assert "garbage.json" in load(node, "s", tmp_path / "garbage.json", status=1).stderr
    assert node.sql("SELECT count(*) FROM s") == [[0]]
    # Of lines each stands for itself.
    (tmp_path / "garbage.ndjson").write_bytes(b'{"id": 1}\n\xff\xfe\n{"id": 2}\n')
    done = load(node, "s", tmp_path / "garbage.ndjson")
    assert "1 of the new ones in quarantine" in done.stdout
    (tmp_path / "strict.ndjson").write_bytes(b'{"id": 1}\nno\n{"id": "x"}\n{"id": 2}\n')
    done = load(node, "strict", tmp_path / "strict.ndjson")
    assert "2 new" in done.stdout and "2 rejected" in done.stdout
    assert "rejected: row 2: " in done.stderr and "rejected: row 3: " in done.stderr, done.stderr


def test_a_line_of_five_megabytes(node, tmp_path):
    """Rows have a limit: what is beyond stops the load and is named, and nothing comes in half."""
    long = "x" * 5_000_000
    (tmp_path / "long.csv").write_text(f"id,name\n1,a\n2,{long}\n3,c\n")
    (tmp_path / "long.ndjson").write_text(f'{{"id": 1}}\n{{"id": 2, "name": "{long}"}}\n')
    for name, place in ("long.csv", "line 3"), ("long.ndjson", "row 2"):
        done = load(node, "s", tmp_path / name, status=1)
        assert name in done.stderr and place in done.stderr and "1048576 bytes" in done.stderr, done.stderr
    write_parquet(tmp_path / "long.parquet", "SELECT i AS id, repeat('x', 1 + i * 2500000) AS name FROM range(3) r(i)")
    done = load(node, "s", tmp_path / "long.parquet")
    assert "1 new" in done.stdout and "2 rejected" in done.stdout and "rejected: row 2: the row is larger than" in done.stderr, done


def test_unknown_columns_are_named(node, tmp_path):
    (tmp_path / "a.csv").write_text("id,nmae\n1,x\n")
    done = load(node, "s", tmp_path / "a.csv")
    assert 'stream "s" has no column "nmae"' in done.stderr and 'did you mean "name"?' in done.stderr
    write_parquet(tmp_path / "a.parquet", "SELECT 1 AS id, 2 AS prise")
    assert 'did you mean "price"?' in load(node, "s", tmp_path / "a.parquet").stderr


@pytest.mark.parametrize("format", ["csv", "ndjson", "parquet"])
def test_a_terminal_sees_the_progress_to_its_end(node, tmp_path, format):
    path = tmp_path / f"rows.{format}"
    if format == "parquet":
        write_parquet(path, "SELECT i AS id, repeat('x', 100) AS name FROM range(100000) r(i)")
    else:
        path.write_text({"csv": "id,name\n" + f"1,{'x' * 100}\n" * 100_000, "ndjson": f'{{"id": 1, "name": "{"x" * 100}"}}\n' * 100_000}[format])
    ours, theirs = pty.openpty()
    process = subprocess.Popen([str(BINARY), "load", "s", str(path), "--url", node.url], stdout=subprocess.PIPE, stderr=theirs, text=True)
    os.close(theirs)
    shown = b""
    while True:
        try:
            piece = os.read(ours, 65536)
        except OSError:  # the other end is closed
            break
        if not piece:
            break
        shown += piece
    assert "100000 rows" in process.communicate()[0] and process.returncode == 0
    lines = [line for line in shown.decode().split("\r\x1b[K") if line]
    assert len(lines) >= 2, lines
    assert all(re.fullmatch(r"\d+ rows  \d+ rows/s  \[#*\.*\] +\d+ %  \d+ s left", line) for line in lines), lines
    assert lines[-1].startswith("100000 rows") and "100 %" in lines[-1], lines
    assert "100 %" not in lines[0]


def test_what_is_not_there(node, tmp_path):
    (tmp_path / "a.csv").write_text("id\n1\n")
    assert "none.csv" in load(node, "s", tmp_path / "none.csv", status=1).stderr
    assert "is a folder" in load(node, "s", tmp_path, "--format", "csv", status=1).stderr
    (tmp_path / "rows").write_text("id\n1\n")
    assert "--format" in load(node, "s", tmp_path / "rows", status=1).stderr
    done = load(node, "strct", tmp_path / "a.csv", status=1)
    assert '"strct" does not exist' in done.stderr and 'did you mean "strict"?' in done.stderr
    begin = time.monotonic()
    done = millrace("load", "s", tmp_path / "a.csv", "--url", "http://127.0.0.1:1")
    assert done.returncode == 1 and "127.0.0.1:1" in done.stderr
    assert time.monotonic() - begin < 10
    assert counts(load(node, "odd name/1", tmp_path / "a.csv")) == (1, 1, 0)
    wait_for(lambda: node.sql('SELECT count(*) FROM "odd name/1"') == [[1]])


def test_several_files_one_of_which_is_missing(node, tmp_path):
    (tmp_path / "a.csv").write_text("id\n1\n2\n")
    done = load(node, "s", tmp_path / "a.csv", tmp_path / "none.csv", status=1)
    assert "none.csv" in done.stderr and "stopped after 2 rows" in done.stderr and "2 new" in done.stderr
    assert counts(load(node, "s", tmp_path / "a.csv")) == (2, 0, 2)
