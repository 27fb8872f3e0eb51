"""Recording rules and alerts: promtool takes them, each alert fires and stays silent where its tests say, each has a runbook
entry, and Alertmanager's routes lead where they must."""
import re
import sys

import yaml

from checks import ROOT, Faults, debian, run, skip, skipped

ALERTS = ROOT / "grafana/alerts"
README = ROOT / "grafana/README.md"


def check_words(faults, alerts):
    """Every alert says what it means and what to do, and is tested both ways."""
    runbook = README.read_text()
    headings = {line.lstrip("# ").strip().lower() for line in runbook.splitlines() if line.startswith("### ")}
    tests = [test["name"] for file in ALERTS.glob("*.test.yaml") for test in yaml.safe_load(file.read_text())["tests"]]
    for alert in alerts:
        name, notes = alert["alert"], alert["annotations"]
        faults.expect(alert["labels"]["severity"] in ("page", "ticket"), name, "severity is neither page nor ticket")
        faults.expect(set(notes) == {"summary", "description", "runbook"}, name, "wants summary, description and runbook")
        faults.expect(notes.get("runbook") == f"grafana/README.md#{name.lower()}", name, "its runbook is elsewhere")
        faults.expect(name.lower() in headings, name, "has no entry in grafana/README.md")
        for end in ("fires", "is silent"):
            faults.expect(f"{name} {end}" in tests, name, f"no test that it {end}")
    for heading in headings:
        known = heading in {alert["alert"].lower() for alert in alerts} or not heading.startswith("kiln")
        faults.expect(known, "grafana/README.md", f"entry of no alert: {heading}")


def check_routes(faults, amtool, alerts):
    file = ALERTS / "alertmanager.yaml"
    fine, output = run([amtool, "check-config", file])
    faults.expect(fine, file.name, output)
    for severity, receiver in (("page", "pages"), ("ticket", "tickets")):
        name = next(alert["alert"] for alert in alerts if alert["labels"]["severity"] == severity)
        fine, output = run([amtool, "config", "routes", "test", f"--config.file={file}", f"severity={severity}", f"alertname={name}"])
        faults.expect(fine and output.split()[-1:] == [receiver], f"route of {severity}", output)


def main():
    faults = Faults()
    groups = yaml.safe_load((ALERTS / "kiln.yaml").read_text())["groups"]
    alerts = [rule for group in groups for rule in group["rules"] if "alert" in rule]
    check_words(faults, alerts)
    promtool = debian("promtool", "prometheus")
    if promtool is None:
        faults.finish("")
        skip("promtool: neither on PATH nor to be had from Debian (apt-get install prometheus)")
    fine, output = run([promtool, "check", "rules", ALERTS / "kiln.yaml"])
    faults.expect(fine and "SUCCESS" in output, "kiln.yaml", output)
    tests = sorted(ALERTS.glob("*.test.yaml"))
    fine, output = run([promtool, "test", "rules", *tests], timeout=200)
    faults.expect(fine, "promtool test", re.sub(r"\n\s*\n", "\n", output))
    amtool = debian("amtool", "prometheus-alertmanager")
    if amtool is None:
        skipped("amtool: neither on PATH nor to be had from Debian (apt-get install prometheus-alertmanager)")
    else:
        check_routes(faults, amtool, alerts)
    faults.finish(f"{len(alerts)} alerts, each tested both ways")


if __name__ == "__main__":
    sys.exit(main())
