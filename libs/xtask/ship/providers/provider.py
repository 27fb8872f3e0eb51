"""A provider for Terraform that has a schema and nothing behind it: what is validated and planned with mocked providers needs no
more. Executed by Terraform; KILN_PROVIDER_SCHEMA names the file."""
import json
import os
import sys

import tf.provider
from tf.gen import tfplugin_pb2 as pb
from tf.runner import run_provider

NESTING = {"single": 1, "list": 2, "set": 3, "map": 4}


def attribute(name, given):
    fields = {flag: given[flag] for flag in ("computed", "optional", "required")}
    if "object" in given:
        inner = [attribute(*pair) for pair in given["object"]["attributes"].items()]
        return pb.Schema.Attribute(name=name, nested_type=pb.Schema.Object(attributes=inner, nesting=NESTING[given["nesting"]]), **fields)
    return pb.Schema.Attribute(name=name, type=json.dumps(given["type"]).encode(), **fields)


def nested(name, given):
    least = 1 if given["required"] and given["nesting"] != "single" else 0
    return pb.Schema.NestedBlock(
        type_name=name, block=block(given["block"]), nesting=NESTING[given["nesting"]], min_items=least, max_items=given["most"]
    )


def block(given):
    return pb.Schema.Block(
        attributes=[attribute(*pair) for pair in given["attributes"].items()],
        block_types=[nested(*pair) for pair in given["blocks"].items()],
    )


def schema(given):
    return pb.Schema(version=0, block=block(given))


class Servicer(tf.provider.ProviderServicer):
    """Answers with the schema, and finds nothing wrong."""

    def __init__(self, _):  # pylint: disable=super-init-not-called: there is no provider behind it
        with open(os.environ["KILN_PROVIDER_SCHEMA"], encoding="utf-8") as file:
            self.given = json.load(file)

    def GetMetadata(self, request, context):
        return pb.GetMetadata.Response(
            server_capabilities=pb.ServerCapabilities(get_provider_schema_optional=False),
            resources=[pb.GetMetadata.ResourceMetadata(type_name=name) for name in self.given["resources"]],
            data_sources=[pb.GetMetadata.DataSourceMetadata(type_name=name) for name in self.given["data"]],
        )

    def GetProviderSchema(self, request, context):
        return pb.GetProviderSchema.Response(
            provider=schema(self.given["provider"]),
            resource_schemas={name: schema(given) for name, given in self.given["resources"].items()},
            data_source_schemas={name: schema(given) for name, given in self.given["data"].items()},
        )

    def ValidateProviderConfig(self, request, context):
        return pb.ValidateProviderConfig.Response()

    def ValidateResourceConfig(self, request, context):
        return pb.ValidateResourceConfig.Response()

    def ValidateDataResourceConfig(self, request, context):
        return pb.ValidateDataResourceConfig.Response()

    def ConfigureProvider(self, request, context):
        return pb.ConfigureProvider.Response()

    def GetFunctions(self, request, context):
        return pb.GetFunctions.Response()


if __name__ == "__main__":
    tf.provider.ProviderServicer = Servicer
    run_provider(None, sys.argv)
