"""Kubeflow pipelines: one file each, thin components, compiled per target into `compiled/`.

components.py    the steps, each a body that imports one function of `vertex_tuning.pipelines.steps` and calls it
profiles.py      what differs between targets: the image, the resources
supervised.py    by example
preference.py    by preference, optionally after examples
rlhf.py          by a reward model of preferences; its steps are in rlhf_components.py
compile.py       `python -m pipelines.compile [--check]`

These are sources. The wheel has what they compile to, as data inside `vertex_tuning`, and no package of this name.
"""
