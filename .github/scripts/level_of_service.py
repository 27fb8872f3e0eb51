"""Asks Prometheus ($PROMETHEUS) each half minute whether Kiln keeps its level of service; ends with 1 as soon as it does not."""
import argparse
import json
import os
import sys
import time
import urllib.parse
import urllib.request

# Recorded by grafana/alerts/kiln.yaml; the bounds are those that call somebody.
BOUNDS = {
    "kiln:http_errors:ratio_rate5m": 14.4 * 0.001,
    "kiln:slow_starts:ratio_rate5m": 14.4 * 0.05,
    "kiln:lost_runs:ratio_rate5m": 14.4 * 0.001,
}
EVERY_S = 30


def value(query):
    address = os.environ["PROMETHEUS"].rstrip("/") + "/api/v1/query?" + urllib.parse.urlencode({"query": query})
    with urllib.request.urlopen(address, timeout=20) as answer:
        result = json.load(answer)["data"]["result"]
    return float(result[0]["value"][1]) if result else None


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, required=True)
    deadline = time.monotonic() + 60 * parser.parse_args().minutes
    while True:
        for query, bound in BOUNDS.items():
            found = value(query)
            if found is None:
                sys.exit(f"{query} gives nothing: is Kiln scraped, and are its rules loaded?")
            print(f"{query} {found:.4f} (at most {bound:.4f})", flush=True)
            if found > bound:
                sys.exit(f"{query} is over its bound")
        if time.monotonic() + EVERY_S > deadline:
            return
        time.sleep(EVERY_S)


if __name__ == "__main__":
    main()
