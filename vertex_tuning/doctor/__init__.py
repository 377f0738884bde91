"""Is this project ready to tune? Everything that its settings name is looked at, and each fault comes with its cure.

    with connect("vertex") as client:
        found = client.doctor()
        print(found)
        assert found.ok

Nothing is changed. What may not be looked at is "not seen", which is no fault of the project.
"""

from vertex_tuning.doctor.checks import CHECKS, Check
from vertex_tuning.doctor.examining import diagnose
from vertex_tuning.doctor.findings import Cure, Diagnosis, Finding, Status
from vertex_tuning.doctor.late import missing_agents

__all__ = ["CHECKS", "Check", "Cure", "Diagnosis", "Finding", "Status", "diagnose", "missing_agents"]
