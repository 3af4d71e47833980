"""CloudEvents over HTTP, as the CloudEvents project's own Python package makes them."""
import datetime
import json

from cloudevents.core.bindings.http import to_binary_event, to_structured_event
from cloudevents.core.v1.event import CloudEvent

from node import Refused

PROJECT = """
CREATE STREAM events (id VARCHAR NOT NULL, source VARCHAR NOT NULL, type VARCHAR, subject VARCHAR, time TIMESTAMP, data JSON, data_base64 BLOB,
  datacontenttype VARCHAR, till BIGINT, DEDUPLICATE ON (source, id));
CREATE MATERIALIZED VIEW sold AS SELECT source, sum((data->>'amount')::BIGINT) AS amount FROM events WHERE type = 'sale' GROUP BY ALL;
"""


def post(node, headers, body):
    """(status, answer)"""
    try:
        status, _, answer = node.request("POST", "/v1/streams/events?wait=visible", body, headers)
        return status, json.loads(answer)
    except Refused as refused:
        return refused.status, json.loads(refused.body)


def event(number, data=None, **attributes):
    return CloudEvent({"id": str(number), "source": "/till/4", "type": "sale", "subject": "café \"1\"", "till": "4",
                       "time": datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc), **attributes}, data)


def test_both_modes_give_the_same_rows_once(node):
    for number, message_of in enumerate([to_binary_event, to_structured_event]):
        message = message_of(event(number, {"amount": 5}, datacontenttype="application/json"))
        for duplicates in 0, 1:  # a sender that had no answer sends it again
            status, answer = post(node, dict(message.headers), message.body)
            assert (status, answer["accepted"], answer["duplicates"]) == (200, 1, duplicates), answer
    rows = node.sql("SELECT subject, time::VARCHAR, (data->>'amount')::BIGINT, datacontenttype, till FROM events")
    assert rows == [["café \"1\"", "2026-01-02 03:04:05", 5, "application/json", 4]] * 2
    assert node.sql("FROM sold") == [["/till/4", 10]]


def test_data_of_any_kind(node):
    for number, (data, kind) in enumerate([("plain", "text/plain"), (b"\x00\xff", "image/png"), (None, None)]):
        message = to_binary_event(event(number, data, **({"datacontenttype": kind} if kind else {})))
        assert post(node, dict(message.headers), message.body)[0] == 200
    message = to_structured_event(event(3, b"\x00\xff", datacontenttype="image/png"))
    assert post(node, dict(message.headers), message.body)[0] == 200
    assert node.sql("SELECT id, data->>'$', hex(data_base64) FROM events ORDER BY id") == [
        ["0", "plain", None], ["1", None, "00FF"], ["2", None, None], ["3", None, "00FF"]]


def test_a_batch_and_what_is_wrong_in_it(node):
    good = [json.loads(to_structured_event(event(i, {"amount": 1})).body) for i in range(1000)]
    wrong = {**good[0], "id": ""}
    batch = json.dumps([*good, wrong, {"a": 1}]).encode()
    status, answer = post(node, {"Content-Type": "application/cloudevents-batch+json"}, batch)
    assert (status, answer["accepted"], answer["rejected_count"]) == (200, 1000, 2)
    assert [row["row"] for row in answer["rejected"]] == [1000, 1001]
    assert answer["rejected"][0]["error"] == "a CloudEvent must have id, a text that is not empty"
    assert answer["rejected"][1]["error"] == "a CloudEvent must have specversion, a text that is not empty"
    assert node.sql("FROM sold") == [["/till/4", 1000]]


def test_one_that_is_wrong_is_refused(node):
    message = to_binary_event(event(1, {"amount": 1}))
    headers = dict(message.headers)
    for changed, status, what in [({"ce-specversion": "0.3"}, 422, "specversion 0.3"), ({"ce-type": ""}, 422, "must have type"),
                                  ({"ce-subject": "%zz"}, 400, "ce-subject")]:
        got, answer = post(node, {**headers, **changed}, message.body)
        assert got == status and what in json.dumps(answer), answer
    large = to_binary_event(event(2, {"text": "x" * 20_000_000}))
    assert post(node, dict(large.headers), large.body)[0] == 422
    key = {**headers, "Idempotency-Key": "k"}
    assert post(node, key, message.body)[1]["accepted"] == 1
    assert post(node, key, message.body)[1]["repeated"]
    assert node.sql("SELECT count(*) FROM events") == [[1]]


def test_integers_longer_than_64_bits_are_json(node):
    long = 747669595737540263936
    for number, message_of in enumerate([to_binary_event, to_structured_event]):
        message = message_of(event(number, {"n": long}, datacontenttype="application/json"))
        assert post(node, dict(message.headers), message.body)[0] == 200
    assert node.sql("SELECT data->>'n' FROM events") == [[str(long)]] * 2
    for number in long, "1e400":  # which is JSON, and beyond what a double holds
        nameless = '{"specversion": "1.0", "source": "/till/4", "type": "sale", "data": {"n": %s}}' % number
        status, answer = post(node, {"Content-Type": "application/cloudevents+json"}, nameless.encode())
        assert (status, answer["rejected"][0]["error"]) == (422, "a CloudEvent must have id, a text that is not empty")
