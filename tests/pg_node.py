"""A node for tests of the PostgreSQL protocol, and how its clients are given its address."""
import socket
import struct
import subprocess

SQL = """
CREATE STREAM clicks (id BIGINT NOT NULL, product VARCHAR NOT NULL, price DECIMAL(10,2) DEFAULT 0 CHECK (price >= 0), happened TIMESTAMP NOT NULL);
CREATE TABLE products (id BIGINT PRIMARY KEY, name VARCHAR NOT NULL, price DECIMAL(10,2) DEFAULT 1.5, tags VARCHAR[]);
CREATE TABLE bag (word VARCHAR, n INTEGER);
CREATE MATERIALIZED VIEW by_product AS SELECT product, count(*) AS clicks, sum(price) AS revenue FROM clicks GROUP BY product;
CREATE VIEW cheap AS SELECT id, name FROM products WHERE price < 2;
CREATE INDEX by_name ON by_product (product);
COMMENT ON TABLE products IS 'What is sold';
"""


def started(folder, project=SQL):
    """A node in the folder, for the tests of a file."""
    from node import Node
    (folder / "project").mkdir()
    (folder / "project" / "project.sql").write_text(project)
    node = Node(folder / "project", folder / "data")
    node.start()
    return node


def only_column(messages):
    """The texts of the one column of what came."""
    return [body[6:].decode() for kind, body in messages if kind == b"D"]


def host_port(node):
    host, _, port = node.pg.rpartition(":")
    return host, int(port)


def dsn(node, user="ann", **more):
    host, port = host_port(node)
    return " ".join(f"{name}={value}" for name, value in
                    {"host": host, "port": port, "dbname": "millrace", "user": user, "connect_timeout": 20, **more}.items())


def psql(node, *commands, stdin=None, user="ann", check=True, flags=("-X", "-q"), env=None):
    arguments = ["psql", *flags, dsn(node, user)]
    for command in commands:
        arguments += ["-c", command]
    done = subprocess.run(arguments, input=stdin, capture_output=True, text=True, timeout=120, env=env)
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


class Wire:
    """The protocol by hand, for what no client sends."""

    def __init__(self, node, startup=True, user="ann"):
        self.socket = socket.create_connection(host_port(node), timeout=30)
        self.buffer = b""
        if startup:
            self.startup(user)
            self.key = next(body for kind, body in self.until(b"Z") if kind == b"K")

    def startup(self, user, version=196608, **parameters):
        body = struct.pack("!I", version)
        for name, value in {"user": user, "database": "millrace", **parameters}.items():
            body += name.encode() + b"\0" + value.encode() + b"\0"
        body += b"\0"
        self.socket.sendall(struct.pack("!I", len(body) + 4) + body)

    def send(self, *messages):
        self.socket.sendall(b"".join(kind + struct.pack("!I", len(body) + 4) + body for kind, body in messages))

    def message(self):
        while len(self.buffer) < 5 or len(self.buffer) < 1 + struct.unpack("!I", self.buffer[1:5])[0]:
            more = self.socket.recv(65536)
            if not more:
                return b"", b""
            self.buffer += more
        length = 1 + struct.unpack("!I", self.buffer[1:5])[0]
        kind, body, self.buffer = self.buffer[:1], self.buffer[5:length], self.buffer[length:]
        return kind, body

    def until(self, wanted):
        messages = []
        while True:
            kind, body = self.message()
            messages.append((kind, body))
            if kind in (wanted, b""):
                return messages

    def cancel(self, node):
        with socket.create_connection(host_port(node), timeout=30) as other:
            other.sendall(struct.pack("!II", 16, 80877102) + self.key)
            assert other.recv(1) == b""

    def close(self):
        self.socket.close()


def parse(name, text, *oids):
    return b"P", name.encode() + b"\0" + text.encode() + b"\0" + struct.pack(f"!H{len(oids)}I", len(oids), *oids)


def bind(portal, statement, *values, formats=(), results=()):
    body = portal.encode() + b"\0" + statement.encode() + b"\0"
    body += struct.pack(f"!H{len(formats)}H", len(formats), *formats) + struct.pack("!H", len(values))
    for value in values:
        body += struct.pack("!i", -1) if value is None else struct.pack("!i", len(value)) + value
    return b"B", body + struct.pack(f"!H{len(results)}H", len(results), *results)


def describe(kind, name):
    return b"D", kind + name.encode() + b"\0"


def execute(portal, rows=0):
    return b"E", portal.encode() + b"\0" + struct.pack("!I", rows)


SYNC = (b"S", b"")


def field(body, code):
    """A field of an ErrorResponse."""
    for part in body.split(b"\0"):
        if part[:1] == code:
            return part[1:].decode()
    return None


def kinds(messages):
    return b"".join(kind for kind, _ in messages).decode()
