"""Prints what the package hdrhistogram reads in a log: one JSON object for each interval."""
import json
import sys

from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogReader

reader = HistogramLogReader(sys.argv[1], HdrHistogram(1, 3_600_000_000_000, 3))
while True:
    histogram = reader.get_next_interval_histogram()
    if histogram is None:
        break
    print(json.dumps({
        "tag": histogram.get_tag() if hasattr(histogram, "get_tag") else histogram.tag,
        "start_ms": histogram.get_start_time_stamp(),
        "count": histogram.get_total_count(),
        "p50": histogram.get_value_at_percentile(50),
        "p99": histogram.get_value_at_percentile(99),
        "max": histogram.get_max_value(),
    }))
