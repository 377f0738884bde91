"""Custom jobs: the command of a container, run as a process of this machine.

`request.py` says what a create request may ask for, `service.py` runs and remembers it. The process stands below a
supervisor (`vertex_tuning/supervisor.py`), which ends it with all that it started, whatever happens to the server.
"""

from vertex_tuning.emulator.custom_jobs.service import CustomJobs

__all__ = ["CustomJobs"]
