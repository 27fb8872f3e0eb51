"""Dockerfiles by hadolint, shell scripts by shellcheck, YAML by yamllint, Python by its own compiler."""
import sys

from checks import ROOT, Faults, run


def main():
    faults = Faults()
    _, listed = run(["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT)
    files = [ROOT / name for name in listed.splitlines()]
    dockerfiles = [file for file in files if file.name == "Dockerfile"]
    shell = [ROOT / "kiln", ROOT / ".ci/run"] + [file for file in files if file.suffix == ".sh"]
    yaml = [file for file in files if file.suffix in (".yaml", ".yml") and "templates" not in file.parts]
    python = [file for file in files if file.suffix == ".py" and {"xtask", "helm", "grafana", ".github"} & set(file.parts)]
    tools = [
        ["hadolint", *dockerfiles],
        ["shellcheck", *shell],
        ["yamllint", "--strict", "--config-data", "{extends: relaxed, rules: {line-length: disable}}", *yaml],
    ]
    for program, *arguments in tools:
        fine, output = run([f"{sys.prefix}/bin/{program}", *arguments], cwd=ROOT)
        faults.expect(fine, program, output)
    for file in python:
        try:
            compile(file.read_text(), str(file), "exec")
        except SyntaxError as error:
            faults.add(file, error)
    faults.finish(f"{len(dockerfiles)} Dockerfiles, {len(shell)} shell scripts, {len(yaml)} YAML files, {len(python)} Python files")


if __name__ == "__main__":
    sys.exit(main())
