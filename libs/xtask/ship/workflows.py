"""GitHub's workflows: the schema, zizmor, every action pinned by the commit of its version, and that continuous integration is
`./kiln test` and nothing else."""
import re
import sys

import yaml

from checks import ROOT, Faults, run

GITHUB = ROOT / ".github"
# The commit of each version that may be used; a new one is put here by whoever has looked at it.
PINS = {
    "actions/checkout": ("3d3c42e5aac5ba805825da76410c181273ba90b1", "v7.0.1"),
    "docker/build-push-action": ("53b7df96c91f9c12dcc8a07bcb9ccacbed38856a", "v7.3.0"),
    "docker/setup-buildx-action": ("37fe631027851001ddb9b187196cc803df7f5f0e", "v4.3.0"),
    "actions/attest": ("1e69f48acb82d1966a394da916b4c1698aa569d6", "v4.2.2"),
    "sigstore/cosign-installer": ("6f9f17788090df1f26f669e9d70d6ae9567deba6", "v4.1.2"),
    "azure/setup-helm": ("9bc31f4ebc9c6b171d7bfbaa5d006ae7abdb4310", "v5.0.1"),
    "helm/kind-action": ("ef37e7f390d99f746eb8b610417061a60e82a6cc", "v1.14.0"),
    "aws-actions/configure-aws-credentials": ("e6de054238d6b7531b4efff3b6587d9aade6a06c", "v6.2.3"),
    "hashicorp/setup-terraform": ("dfe3c3f87815947d99a8997f908cb6525fc44e9e", "v4.0.1"),
    "Swatinem/rust-cache": ("6323deb102c322ba6fcbdcafc7e3dddab59af2b6", "v2.9.2"),
}


def check_pins(faults, file):
    for number, line in enumerate(file.read_text().splitlines(), 1):
        used = re.match(r"\s*(?:- )?uses:\s*(\S+)\s*(?:#\s*(\S+))?", line)
        if not used or used[1].startswith("$/"):
            continue
        action, _, commit = used[1].partition("@")
        faults.expect((commit, used[2]) == PINS.get(action), f"{file.name}:{number}", f"{used[1]} # {used[2]} is no known pin")


def check_rules(faults, file):
    workflow = yaml.safe_load(file.read_text())
    faults.expect(workflow.get("permissions") in ({}, {"contents": "read"}), file.name, "permissions by default are not the least")
    for name, job in workflow["jobs"].items():
        if "uses" not in job:
            faults.expect("timeout-minutes" in job, f"{file.name} {name}", "no time-out")
    if "workflow_call" not in workflow[True]:
        faults.expect("concurrency" in workflow, file.name, "no concurrency")


def main():
    faults = Faults()
    files = sorted((GITHUB / "workflows").glob("*.yml"))
    for file in files:
        check_pins(faults, file)
        check_rules(faults, file)
    ci = yaml.safe_load((GITHUB / "workflows/ci.yml").read_text())
    steps = [step["run"] for job in ci["jobs"].values() for step in job["steps"] if "run" in step]
    faults.expect(steps == [".ci/run"], "ci.yml", "runs something else than the check that developers run")
    tools = [
        ["check-jsonschema", "--builtin-schema", "vendor.github-workflows", *files],
        ["check-jsonschema", "--builtin-schema", "vendor.dependabot", GITHUB / "dependabot.yml"],
        ["check-jsonschema", "--builtin-schema", "vendor.github-issue-forms", *sorted((GITHUB / "ISSUE_TEMPLATE").glob("[!c]*.yml"))],
        ["zizmor", "--offline", "--no-progress", "--quiet", GITHUB],
        ["yamllint", "--strict", "--config-data", "{extends: relaxed, rules: {line-length: {max: 180}}}", GITHUB],
    ]
    for program, *arguments in tools:
        fine, output = run([f"{sys.prefix}/bin/{program}", *arguments], cwd=ROOT)
        faults.expect(fine, program, output)
    owners = (GITHUB / "CODEOWNERS").read_text().splitlines()
    for line in (line for line in owners if line and not line.startswith("#")):
        pattern = line.split()[0].strip("/")
        faults.expect(pattern == "*" or (ROOT / pattern).exists(), "CODEOWNERS", f"{pattern} is not there")
    faults.finish(f"{len(files)} workflows")


if __name__ == "__main__":
    sys.exit(main())
