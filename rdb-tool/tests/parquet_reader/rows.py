"""Prints each row of a Parquet file as a line of JSON, as DuckDB reads it; bytes become base64, times milliseconds."""

import base64
import datetime
import json
import sys

import duckdb


def plain(value):
    if isinstance(value, (bytes, bytearray, memoryview)):
        return base64.b64encode(bytes(value)).decode()
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, datetime.datetime):
        return (value - EPOCH) // datetime.timedelta(milliseconds=1)
    if isinstance(value, dict):
        return {name: plain(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(part) for part in value]
    return value


EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)

connection = duckdb.connect()
connection.execute("SET TimeZone = 'UTC'")
query = connection.execute("SELECT * FROM read_parquet(?)", [sys.argv[1]])
names = [column[0] for column in query.description]
for row in query.fetchall():
    values = dict(zip(names, row))
    print(json.dumps({name: plain(value) for name, value in values.items()}))
