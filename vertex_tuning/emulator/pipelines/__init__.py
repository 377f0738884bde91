"""Pipeline jobs, and schedules that start them.

`request.py` says what a create request may ask for, `service.py` runs and remembers it, `details.py` turns what is told of its
steps into `jobDetail`, `outputs.py` puts what they leave into Cloud Storage. A run is a process of its own
(`vertex_tuning.pipelines.child`) below a supervisor, and is led back to this emulator. `schedules.py` starts runs by the clock,
`cron.py` knows when. `templates.py` keeps compiled pipelines, which jobs may name by their address; `uploads.py` reads those that
are sent.
"""

from vertex_tuning.emulator.pipelines.schedules import Schedules
from vertex_tuning.emulator.pipelines.service import PipelineJobs
from vertex_tuning.emulator.pipelines.templates import Templates

__all__ = ["PipelineJobs", "Schedules", "Templates"]
