"""Schemas of Terraform's providers, read from the TypeScript that CDK for Terraform generates from them.

The npm packages `@cdktf/provider-*` carry, in the source maps of their files, one class a resource and a block, with a comment for
each attribute that says whether it is computed, optional or required. From that comes what a provider would answer when asked for
its schema; only the resources that are used are read.
"""
import base64
import json
import re

ATTRIBUTE = re.compile(
    r"// (?P<name>\w+) - computed: (?P<computed>\w+), optional: (?P<optional>\w+), required: (?P<required>\w+)\s*\n"
    r"(?:\s*private _\w+ = new (?P<cls>[\w.]+)\(this, \"\w+\"(?:, (?P<flag>\w+))?\);)?"
    r"(?:\s*private _\w+\??: [^\n]*\n)?"
    r"(?:\s*public get \w+\(\)(?:: [^{]+)? \{\s*return (?P<value>[^;]+);)?"
)
CLASS = re.compile(r"^export class (\w+) extends cdktf\.(\w+)", re.MULTILINE)
SIMPLE = [
    ("Fn.tolist(this.getNumberListAttribute", ["set", "number"]),
    ("Fn.tolist(this.getListAttribute", ["set", "string"]),
    ("getStringMapAttribute", ["map", "string"]),
    ("getNumberMapAttribute", ["map", "number"]),
    ("getBooleanMapAttribute", ["map", "bool"]),
    ("getAnyMapAttribute", ["map", "dynamic"]),
    ("getNumberListAttribute", ["list", "number"]),
    ("getListAttribute", ["list", "string"]),
    ("getStringAttribute", "string"),
    ("getNumberAttribute", "number"),
    ("getBooleanAttribute", "bool"),
]
MAPS = {"cdktf.StringMap": ["map", "string"], "cdktf.NumberMap": ["map", "number"], "cdktf.BooleanMap": ["map", "bool"]}


def sources(texts):
    """The TypeScript in the source maps of JavaScript files."""
    found = []
    for text in texts:
        mapped = re.search(r"sourceMappingURL=data:application/json;base64,(\S+)", text)
        if mapped:
            found += json.loads(base64.b64decode(mapped[1]))["sourcesContent"]
    return "\n".join(found)


class Reader:
    """The classes of one resource's source."""

    def __init__(self, text):
        starts = [(match.start(), match[1], match[2]) for match in CLASS.finditer(text)]
        ends = [start for start, *_ in starts[1:]] + [len(text)]
        self.classes = {name: (kind, text[start:end]) for (start, name, kind), end in zip(starts, ends)}
        self.blocks = set(re.findall(r"^\s*\* (\w+) block$", text, re.MULTILINE))

    def root(self):
        kinds = ("TerraformResource", "TerraformDataSource", "TerraformProvider")
        name = next(name for name, (kind, _) in self.classes.items() if kind in kinds)
        return self.block(name)

    def block(self, name):
        """Attributes and blocks of the class `name`."""
        attributes, blocks = {}, {}
        for found in ATTRIBUTE.finditer(self.classes[name][1]):
            flags = {flag: found[flag] == "true" for flag in ("computed", "optional", "required")}
            cls, value = found["cls"], found["value"] or ""
            if cls and not cls.startswith("cdktf."):
                self.nested(found["name"], cls, found["flag"] == "true", flags, attributes, blocks)
            else:
                attributes[found["name"]] = {**flags, "type": MAPS.get(cls) or self.simple(value, name, found["name"])}
        return {"attributes": attributes, "blocks": blocks}

    def simple(self, value, owner, name):
        for words, kind in SIMPLE:
            if words in value:
                return kind
        # A provider's own settings are read back as they were written.
        body = self.classes[owner][1]
        written = re.search(rf"// {name} - .*\n\s*private _\w+\??: ([^;]+);", body)
        kind = written[1] if written else ""
        if "{ [key: string]" in kind:
            return ["map", "string"]
        if "[]" in kind:
            return ["list", "string"]
        return "bool" if "boolean" in kind else "number" if "number" in kind else "string" if "string" in kind else "dynamic"

    def nested(self, name, cls, is_set, flags, attributes, blocks):
        single = cls.endswith("OutputReference")
        inner = self.block(cls if single else cls.removesuffix("List").removesuffix("Map") + "OutputReference")
        if flags["computed"] and not flags["optional"]:
            attributes[name] = {**flags, "type": self.object(inner, "single" if single else "set" if is_set else "list")}
        elif name in self.blocks:
            # Written once it is still a list of one, but for time-outs.
            nesting = "single" if name == "timeouts" else "set" if is_set else "list"
            blocks[name] = {"nesting": nesting, "required": flags["required"], "most": 1 if single and nesting == "list" else 0, "block": inner}
        else:
            nesting = "single" if single else "map" if cls.endswith("Map") else "set" if is_set else "list"
            attributes[name] = {**flags, "nesting": nesting, "object": inner}

    def object(self, inner, nesting):
        fields = {name: attribute.get("type", "dynamic") for name, attribute in inner["attributes"].items()}
        kind = ["object", fields]
        return kind if nesting == "single" else [nesting, kind]
