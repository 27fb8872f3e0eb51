"""The objects of the chart that operators serve (ServiceMonitor, PrometheusRule, ScaledObject, HTTPRoute), by the operators' own
schemas from npm."""
import json
import logging
import os
import pathlib
import shutil
import sys

import yaml
from helm_python.chart import Chart

from checks import Faults, run, skip
from helm import CHART, CUSTOM, documents

SOURCES = pathlib.Path(__file__).resolve().parent / "schemas"


def validator():
    """The schemas, installed once for each lock file."""
    if not (shutil.which("node") and shutil.which("npm")):
        skip("Node.js and npm are not installed (apt-get install nodejs npm)")
    home = pathlib.Path(os.environ["SHIP_CACHE"]) / "schemas"
    home.mkdir(parents=True, exist_ok=True)
    same = all((home / file.name).exists() and (home / file.name).read_bytes() == file.read_bytes() for file in SOURCES.glob("*.json"))
    if not (same and (home / "node_modules").exists()):
        for file in SOURCES.glob("*.json"):
            shutil.copy(file, home)
        fine, output = run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"], cwd=home, timeout=200)
        if not fine:
            shutil.rmtree(home)
            skip(f"npm cannot install the schemas: {output.strip().splitlines()[-1:]}")
    shutil.copy(SOURCES / "validate.js", home)
    return home / "validate.js"


def main():
    logging.disable(logging.INFO)
    faults, chart, script, seen = Faults(), Chart.load(CHART), validator(), set()
    for file in sorted((CHART / "ci").glob("*-values.yaml")):
        found = [document for _, document in documents(chart, yaml.safe_load(file.read_text())) if document["kind"] in CUSTOM]
        seen |= {document["kind"] for document in found}
        fine, output = run(["node", script], input=json.dumps(found), timeout=60)
        faults.expect(fine and not output.strip(), file.name, output)
    faults.expect(seen == CUSTOM, "ci/", f"no file of values renders {CUSTOM - seen}")
    faults.finish(", ".join(sorted(seen)))


if __name__ == "__main__":
    sys.exit(main())
