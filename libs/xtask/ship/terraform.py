"""Terraform: format, validity and tests with mocked providers, in a temporary copy, without a network.

Providers cannot be downloaded everywhere, so each is stood in for by one that has its real schema (read from the npm package of CDK
for Terraform, see providers/) and nothing behind it. README.md has the inputs and outputs of each module, compared here.
"""
import concurrent.futures
import json
import os
import pathlib
import re
import shutil
import stat
import sys
import tarfile

from checks import ROOT, Faults, run, skip, skipped

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "providers"))
from schemas import Reader, sources  # noqa: E402 pylint: disable=wrong-import-position

TERRAFORM = ROOT / "terraform"
# The npm package of each provider, and the version of the provider that it was made from.
PROVIDERS = {
    "aws": ("@cdktf/provider-aws", "21.22.1", "6.25.0"),
    "google": ("@cdktf/provider-google", "16.12.1", "6.50.0"),
    "google-beta": ("@cdktf/provider-google-beta", "16.12.1", "6.50.0"),
    "helm": ("@cdktf/provider-helm", "12.1.2", "3.1.1"),
    "kubernetes": ("@cdktf/provider-kubernetes", "12.1.1", "2.38.0"),
    "random": ("@cdktf/provider-random", "12.0.1", "3.7.2"),
}
AT_ONCE = 2


def archive(provider):
    """The npm package, packed, from the cache or the registry; None when it cannot be had."""
    package, version, _ = PROVIDERS[provider]
    home = pathlib.Path(os.environ["SHIP_CACHE"]) / "cdktf"
    home.mkdir(parents=True, exist_ok=True)
    file = home / f"{package.strip('@').replace('/', '-')}-{version}.tgz"
    if not file.exists():
        if not shutil.which("npm"):
            return None
        fine, _ = run(["npm", "pack", "--silent", f"{package}@{version}"], cwd=home, timeout=240)
        if not fine:
            return None
    return file


def used(files):
    """Kinds of resources and data sources that stand in the files, by provider: that of their name, unless they say another."""
    kinds = {provider: set() for provider in PROVIDERS}
    for file in files:
        for kind, name, body in re.findall(r'^(resource|data) "(\w+)"[^{]*\{(?:\}|\n(.*?)^\})', file.read_text(), re.MULTILINE | re.DOTALL):
            chosen = re.search(r"^  provider\s*= (\S+)$", body, re.MULTILINE)
            provider = chosen[1] if chosen else name.split("_")[0]
            if provider in kinds:
                kinds[provider].add(("resources" if kind == "resource" else "data", name))
    return kinds


def schema(provider, file, kinds):
    """What the provider would answer, for these kinds."""
    wanted = {"provider": ("provider", provider)}
    for group, name in kinds:
        # The package of a provider whose resources have another's prefix keeps that in the names of its directories.
        directory = name.removeprefix(provider + "_").replace("_", "-")
        wanted[f"data-{provider}-{directory}" if group == "data" else directory] = (group, name)
    texts = {directory: [] for directory in wanted}
    with tarfile.open(file) as packed:
        for member in packed:
            parts = member.name.split("/")
            if len(parts) > 3 and parts[1] == "lib" and parts[2] in texts and member.name.endswith(".js"):
                texts[parts[2]].append(packed.extractfile(member).read().decode())
    found = {"resources": {}, "data": {}}
    for directory, (group, name) in wanted.items():
        if not texts[directory]:
            raise LookupError(f"{PROVIDERS[provider][0]} has no {name}")
        block = Reader(sources(texts[directory])).root()
        if group == "provider":
            block["attributes"].pop("alias", None)
            found["provider"] = block
        else:
            found[group][name] = block
    return found


def mirror(faults, scratch, kinds):
    """A mirror of providers for Terraform; gives the settings file that names it, and the providers that are there."""
    place, there = scratch / "mirror", []
    for provider, (package, _, version) in PROVIDERS.items():
        file = archive(provider)
        if file is None:
            skipped(f"everything that needs the provider {provider}: {package} cannot be had from npm")
            continue
        told = scratch / f"{provider}.json"
        try:
            told.write_text(json.dumps(schema(provider, file, kinds[provider])))
        except LookupError as missing:
            faults.add("terraform", missing)
            continue
        home = place / f"registry.terraform.io/hashicorp/{provider}/{version}/linux_amd64"
        home.mkdir(parents=True)
        program = home / f"terraform-provider-{provider}_v{version}"
        stand_in = pathlib.Path(__file__).resolve().parent / "providers/provider.py"
        program.write_text(f'#!/bin/sh\nKILN_PROVIDER_SCHEMA="{told}" exec "{sys.executable}" -B "{stand_in}" "$@"\n')
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        there.append(provider)
    settings = scratch / "terraform.rc"
    settings.write_text(f'provider_installation {{\n  filesystem_mirror {{\n    path = "{place}"\n  }}\n}}\n')
    return settings, there


def check_one(directory, settings, top):
    """What is wrong with one module or example."""
    wrong, place = [], directory.relative_to(top)
    environment = {**os.environ, "TF_CLI_CONFIG_FILE": str(settings), "TF_IN_AUTOMATION": "1", "CHECKPOINT_DISABLE": "1"}
    environment["HOME"] = str(settings.parent)
    steps = [["init", "-backend=false"], ["validate"]] + ([["test"]] if (directory / "tests").exists() else [])
    for step in steps:
        fine, output = run(["terraform", *step, "-no-color"], cwd=directory, env=environment, timeout=150)
        if not fine or (step != steps[0] and "Warning:" in output):
            wrong.append((f"{place} {step[0]}", output))
            break
    return wrong


def needs(directory):
    """Providers of a module or example and of what it calls."""
    text = "\n".join(file.read_text() for file in directory.glob("*.tf"))
    found = set(re.findall(r'source\s*=\s*"hashicorp/([\w-]+)"', text))
    for called in re.findall(r'source\s*=\s*"(\.\.?/[^"]+)"', text):
        found |= needs((directory / called).resolve())
    return found


def documented():
    """Inputs and outputs of every module, as they stand in README.md."""
    text = ""
    for module in sorted((TERRAFORM / "modules").iterdir()):
        text += f"### {module.name}\n"
        main = (module / "main.tf").read_text().split("\n\n")[0].splitlines()
        text += " ".join(line.lstrip("# ") for line in main if line.startswith("#")) + "\n\n| input | | default |\n|---|---|---|\n"
        for name, body in re.findall(r'^variable "(\w+)" \{\n(.*?)^\}', (module / "variables.tf").read_text(), re.MULTILINE | re.DOTALL):
            default = re.search(r"^  default\s*= (.+)$", body, re.MULTILINE)
            description = re.search(r'description\s*= "(.*)"', body)[1].replace('\\"', '"')
            text += f"| `{name}` | {description} | {'`' + default[1] + '`' if default else 'required'} |\n"
        text += "\n| output | |\n|---|---|\n"
        for name, body in re.findall(r'^output "(\w+)" \{\n(.*?)^\}', (module / "outputs.tf").read_text(), re.MULTILINE | re.DOTALL):
            text += f"| `{name}` | {re.search(r'description *= .(.*).', body)[1]} |\n"
        text += "\n"
    return text


def main():
    faults = Faults()
    if "--write" in sys.argv:
        readme = TERRAFORM / "README.md"
        readme.write_text(readme.read_text().split("## Modules\n")[0] + "## Modules\n" + documented().rstrip() + "\n")
        return
    faults.expect(documented().strip() in (TERRAFORM / "README.md").read_text(), "terraform/README.md", "inputs and outputs are not those of the modules: python3 libs/xtask/ship/terraform.py --write")
    if not shutil.which("terraform"):
        faults.finish("")
        skip("terraform fmt, validate and test: there is no terraform on PATH")
    fine, output = run(["terraform", "fmt", "-check", "-recursive", "-no-color"], cwd=TERRAFORM, env={**os.environ, "TF_CLI_CONFIG_FILE": "/dev/null"})
    faults.expect(fine, "terraform fmt", output)
    scratch = pathlib.Path(os.environ["SHIP_SCRATCH"]).resolve()
    shutil.copytree(TERRAFORM, scratch / "terraform", ignore=shutil.ignore_patterns(".terraform*"))
    shutil.copytree(ROOT / "helm", scratch / "helm", symlinks=True)
    top = scratch / "terraform"
    settings, there = mirror(faults, scratch, used(top.rglob("*.tf")))
    directories = sorted({file.parent for file in top.rglob("versions.tf")})
    able = [directory for directory in directories if needs(directory) <= set(there)]
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        for wrong in pool.map(lambda directory: check_one(directory, settings, top), able):
            for place, output in wrong:
                faults.add(place, output)
    faults.finish(f"{len(able)} of {len(directories)} modules and examples")


if __name__ == "__main__":
    sys.exit(main())
