"""Pipelines: compiled ones are loaded and checked, run here, submitted to a service, and followed.

compiled.py     those that come with this package, and anybody's; what they take
checking.py     the data sets that one is given, held against the checks of its own steps
lint.py         whether one runs everywhere
subset.py       the fields that it may have then
child.py        executes a pipeline job in its own process, and tells what happens
local.py        kfp.local, made to tell what it does; told.py and stepping.py: what is told, and the process of a step
running.py      starts that process, follows and stops it
stored.py       what such runs leave, and how it is removed
submitting.py   the same job for Vertex AI Pipelines; scheduling.py: by the clock; kubeflow.py: for a Kubeflow endpoint
templates.py    compiled ones in a registry: pushed, and found by their address
simulated.py    what stands for people in the sample run of rlhf
steps/          what the steps of our own do
"""
