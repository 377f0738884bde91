"""The Google Cloud project that an emulator is: services, accounts, keys, quotas, and who may do what.

reading ── given, seeds, terraform_state    what it is told to be, as plain data
   │
provision                                   that, written down, at the first start and after a reset
   │
project, policies                           what there is, asked and changed by the routes
"""

from vertex_tuning.emulator.project.project import Project

__all__ = ["Project"]
