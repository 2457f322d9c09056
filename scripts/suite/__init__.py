"""The parts of scripts/conformance: the suite of redis 7.0.15 run against cairn-server."""
