"""The private functions of kfp that are wrapped are still what they were: a new kfp is looked at before it is allowed."""

from __future__ import annotations

import inspect
import sys
import warnings

import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    if getattr(sys.modules.get("docker"), "__file__", None) is None:
        sys.modules["docker"] = None  # type: ignore[assignment]  # our own folder of this name is not Docker's package
    import kfp
    from kfp.local import (
        cache,
        executor_input_utils,
        importer_handler,
        pipeline_orchestrator,
        placeholder_utils,
        subprocess_task_handler,
        task_dispatcher,
    )
    from kfp.local.orchestrator import dag_orchestrator, enhanced_dag_orchestrator, task_executor
    from kfp.local.orchestrator.orchestrator_utils import OrchestratorUtils

_TASK = (
    "task_name task_spec pipeline_resource_name components executors io_store pipeline_root runner "
    "unique_pipeline_id fail_stack"
)
_DAG = (
    "pipeline_resource_name dag_component_spec executors components dag_arguments pipeline_root runner "
    "unique_pipeline_id fail_stack parent_io_store"
)


@pytest.mark.parametrize(
    ("function", "names"),
    [
        (enhanced_dag_orchestrator.execute_task, _TASK),
        (enhanced_dag_orchestrator._run_parallel_for_task, f"{_TASK} parallel_executor"),
        (enhanced_dag_orchestrator.run_enhanced_dag, _DAG),
        (enhanced_dag_orchestrator._has_task_final_status_input, "task_spec"),
        (dag_orchestrator.run_dag, _DAG),
        (task_executor.execute_single_task, _TASK),
        (OrchestratorUtils.make_task_arguments, "task_inputs_spec io_store"),
        (
            cache.LocalCache.compute_key,
            "self component_name image full_command arguments env_vars custom_cache_key",
        ),
        (cache.LocalCache.get, "self key"),
        (
            placeholder_utils.replace_placeholders,
            "full_command executor_input_dict pipeline_resource_name task_resource_name pipeline_root "
            "unique_pipeline_id",
        ),
        (subprocess_task_handler.run_local_subprocess, "full_command env_vars"),
        (executor_input_utils.get_local_pipeline_resource_name, "pipeline_name"),
        (
            importer_handler.run_importer,
            "pipeline_resource_name component_name component_spec executor_spec arguments pipeline_root "
            "unique_pipeline_id",
        ),
        (pipeline_orchestrator.run_local_pipeline, "pipeline_spec arguments"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_function_that_is_wrapped_takes_what_it_took(function, names):
    assert list(inspect.signature(function).parameters) == names.split()


@pytest.mark.parametrize(
    ("caller", "call"),
    [
        (enhanced_dag_orchestrator.execute_task, "task_executor.execute_single_task("),
        (enhanced_dag_orchestrator.execute_task, "run_enhanced_dag("),
        (enhanced_dag_orchestrator.run_enhanced_dag, "_run_parallel_for_task("),
        (enhanced_dag_orchestrator.ParallelExecutor.execute_parallel_tasks, "execute_task,"),
        (task_executor.execute_single_task, "local_cache.compute_key("),
        (task_executor.execute_single_task, "importer_handler.run_importer("),
        (task_dispatcher.run_single_task_implementation, "placeholder_utils.replace_placeholders("),
        (subprocess_task_handler.SubprocessTaskHandler.run, "run_local_subprocess("),
        (
            pipeline_orchestrator._run_local_pipeline_implementation,
            "executor_input_utils.get_local_pipeline_resource_name(",
        ),
        (pipeline_orchestrator._run_local_pipeline_implementation, "dag_orchestrator.run_dag("),
        (
            pipeline_orchestrator._run_local_pipeline_implementation,
            "enhanced_dag_orchestrator.run_enhanced_dag(",
        ),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_it_is_called_by_a_name_that_can_be_wrapped(caller, call):
    assert call in inspect.getsource(caller)


def test_kfp_is_of_the_version_that_was_looked_at():
    assert kfp.__version__.startswith("2.17.")
