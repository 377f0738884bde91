"""The fields that a portable pipeline may have: what kfp 2.17 writes and Vertex AI, Kubeflow and `kfp.local` read.

`None` stands for a value that is not looked into, `"*"` for any name.
"""

from __future__ import annotations

from typing import Any

SCHEMA = "2.1.0"
ARTIFACTS = (
    "system.Artifact",
    "system.Dataset",
    "system.Model",
    "system.Metrics",
    "system.ClassificationMetrics",
    "system.SlicedClassificationMetrics",
    "system.HTML",
    "system.Markdown",
)

Shape = dict[str, Any]

_PARAMETERS: Shape = {
    "*": {"parameterType": None, "defaultValue": None, "isOptional": None, "description": None}
}
_ARTIFACTS: Shape = {
    "*": {
        "artifactType": {"schemaTitle": None, "schemaVersion": None},
        "isArtifactList": None,
        "isOptional": None,
        "description": None,
    }
}
_DEFINITIONS: Shape = {"parameters": _PARAMETERS, "artifacts": _ARTIFACTS}
_TASK: Shape = {
    "taskInfo": {"name": None},
    "componentRef": {"name": None},
    "dependentTasks": None,
    "cachingOptions": {"enableCache": None},
    "triggerPolicy": {"condition": None, "strategy": None},
    "retryPolicy": {
        "maxRetryCount": None,
        "backoffDuration": None,
        "backoffFactor": None,
        "backoffMaxDuration": None,
    },
    "parameterIterator": {"items": {"raw": None, "inputParameter": None}, "itemInput": None},
    "iteratorPolicy": {"parallelismLimit": None},
    "inputs": {
        "parameters": {
            "*": {
                "componentInputParameter": None,
                "parameterExpressionSelector": None,
                "runtimeValue": {"constant": None},
                "taskOutputParameter": {"producerTask": None, "outputParameterKey": None},
                "taskFinalStatus": {"producerTask": None},
            }
        },
        "artifacts": {
            "*": {
                "componentInputArtifact": None,
                "taskOutputArtifact": {"producerTask": None, "outputArtifactKey": None},
            }
        },
    },
}
_OF_A_STEP: Shape = {"producerSubtask": None, "outputParameterKey": None}
_COMPONENT: Shape = {
    "executorLabel": None,
    "inputDefinitions": _DEFINITIONS,
    "outputDefinitions": _DEFINITIONS,
    "dag": {
        "tasks": {"*": _TASK},
        "outputs": {
            "parameters": {
                "*": {
                    "valueFromParameter": _OF_A_STEP,
                    "valueFromOneof": {"parameterSelectors": [_OF_A_STEP]},
                }
            },
            "artifacts": {"*": {"artifactSelectors": [{"producerSubtask": None, "outputArtifactKey": None}]}},
        },
    },
}
_EXECUTOR: Shape = {
    "container": {
        "image": None,
        "command": None,
        "args": None,
        "env": [{"name": None, "value": None}],
        "resources": {
            **dict.fromkeys(("cpuLimit", "memoryLimit", "cpuRequest", "memoryRequest")),
            **dict.fromkeys(("resourceCpuLimit", "resourceMemoryLimit")),
            **dict.fromkeys(("resourceCpuRequest", "resourceMemoryRequest")),
            "accelerator": dict.fromkeys(("type", "count", "resourceType", "resourceCount")),
        },
    },
    "importer": {
        "artifactUri": {"constant": None, "runtimeParameter": None},
        "typeSchema": {"schemaTitle": None, "schemaVersion": None},
        "reimport": None,
        "metadata": None,
    },
}
SHAPE: Shape = {
    "pipelineInfo": {"name": None, "description": None},
    "schemaVersion": None,
    "sdkVersion": None,
    "defaultPipelineRoot": None,
    "root": _COMPONENT,
    "components": {"*": _COMPONENT},
    "deploymentSpec": {"executors": {"*": _EXECUTOR}},
}
