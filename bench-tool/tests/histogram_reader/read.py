"""Prints what the package hdrhistogram reads in a log: one JSON object for each interval."""
import json
import math
import sys

from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogReader



def value_at(histogram, share):
    """The value that so large a share of all is not above. This package rounds to the nearest rank and not up, which is another one of 499."""
    count = histogram.get_total_count()
    return histogram.get_value_at_percentile(100 * math.ceil(share * count) / count)


reader = HistogramLogReader(sys.argv[1], HdrHistogram(1, 3_600_000_000_000, 3))
while True:
    histogram = reader.get_next_interval_histogram()
    if histogram is None:
        break
    print(json.dumps({
        "tag": histogram.get_tag() if hasattr(histogram, "get_tag") else histogram.tag,
        "start_ms": histogram.get_start_time_stamp(),
        "count": histogram.get_total_count(),
        "p50": value_at(histogram, 0.5),
        "p99": value_at(histogram, 0.99),
        "max": histogram.get_max_value(),
    }))
