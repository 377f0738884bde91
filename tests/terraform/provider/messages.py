"""The messages of Terraform's plugin protocol, version 6, as far as the provider uses them.

Built when they are needed, from a table of field numbers: no generated code that would tie this to a release of protobuf.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.descriptor_pb2 import FieldDescriptorProto as Field

_PACKAGE = "tfplugin6_in_use"
_SCALARS = {
    "string": Field.TYPE_STRING,
    "bytes": Field.TYPE_BYTES,
    "int": Field.TYPE_INT64,
    "bool": Field.TYPE_BOOL,
}

# `*` before a name: repeated; `|`: one of the fields that have it. Enums are numbers; a map is a list of its entries.
_FIELDS = {
    "DynamicValue": "msgpack:bytes=1 json:bytes=2",
    "Step": "|attribute_name:string=1 |element_key_string:string=2 |element_key_int:int=3",
    "AttributePath": "*steps:Step=1",
    "Diagnostic": "severity:int=1 summary:string=2 detail:string=3 attribute:AttributePath=4",
    # Schemas
    "Attribute": "name:string=1 type:bytes=2 required:bool=4 optional:bool=5 computed:bool=6",
    "NestedBlock": "type_name:string=1 block:Block=2 nesting:int=3 min_items:int=4 max_items:int=5",
    "Block": "*attributes:Attribute=2 *block_types:NestedBlock=3",
    "Schema": "version:int=1 block:Block=2",
    "SchemaEntry": "key:string=1 value:Schema=2",
    "Capabilities": "plan_destroy:bool=1",
    "SchemaResponse": (
        "provider:Schema=1 *resource_schemas:SchemaEntry=2 *data_source_schemas:SchemaEntry=3 server_capabilities:Capabilities=6"
    ),
    # Requests
    "ValidateProviderRequest": "config:DynamicValue=1",
    "ConfigureRequest": "terraform_version:string=1 config:DynamicValue=2",
    "ConfigRequest": "type_name:string=1 config:DynamicValue=2",
    "RawState": "json:bytes=1",
    "UpgradeRequest": "type_name:string=1 version:int=2 raw_state:RawState=3",
    "ReadRequest": "type_name:string=1 state:DynamicValue=2",
    "PlanRequest": "type_name:string=1 prior:DynamicValue=2 proposed:DynamicValue=3 config:DynamicValue=4",
    "ApplyRequest": "type_name:string=1 prior:DynamicValue=2 planned:DynamicValue=3 config:DynamicValue=4",
    # Responses
    "ValidateProviderResponse": "*diagnostics:Diagnostic=2",
    "Diagnostics": "*diagnostics:Diagnostic=1",
    "StateResponse": "state:DynamicValue=1 *diagnostics:Diagnostic=2",
    "PlanResponse": "planned:DynamicValue=1 *requires_replace:AttributePath=2 *diagnostics:Diagnostic=4",
    "ApplyResponse": "state:DynamicValue=1 *diagnostics:Diagnostic=3",
}


def _classes() -> dict[str, Any]:
    file = descriptor_pb2.FileDescriptorProto(name=f"{_PACKAGE}.proto", package=_PACKAGE, syntax="proto3")
    for message, fields in _FIELDS.items():
        declared = file.message_type.add(name=message)
        for text in fields.split():
            name, _, rest = text.lstrip("*|").partition(":")
            kind, _, number = rest.partition("=")
            repeated = Field.LABEL_REPEATED if text[0] == "*" else Field.LABEL_OPTIONAL
            made = declared.field.add(name=name, number=int(number), label=repeated)
            if text[0] == "|":
                if not declared.oneof_decl:
                    declared.oneof_decl.add(name="either")
                made.oneof_index = 0
            if kind in _SCALARS:
                made.type = _SCALARS[kind]
            else:
                made.type, made.type_name = Field.TYPE_MESSAGE, f".{_PACKAGE}.{kind}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}"))
        for name in _FIELDS
    }


MESSAGES = _classes()
"""Each class by its name here."""
