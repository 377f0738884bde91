"""What a model was made from: a manifest for every job, notes on every model, and the chain of its parents.

A manifest is written to the bucket before the job is asked for, under the key that the job bears as its label:

    gs://BUCKET/vertex-tuning/lineage/jobs/KEY.json

So whoever finds the model finds the job, its label, and the manifest: on Vertex AI and here alike, from any machine, and after a
crash of whoever asked. What becomes known later (an evaluation, a gate, the run of a pipeline) is noted beside it, by model:

    gs://BUCKET/vertex-tuning/lineage/models/LOCATION/ID@VERSION/TIME-KIND.json

and for weights in a folder, in that folder: `.../lineage/TIME-KIND.json`. Nothing is ever overwritten. Of weights that a custom
job made, the order of that job tells where they come from.

store.py    written and read
folders.py  where weights in a folder come from
bucket.py   JSON in a bucket
chain.py    a model, its parents, and theirs, for people and for machines
"""

from vertex_tuning.lineage.chain import Link, Parent
from vertex_tuning.lineage.store import Lineage

__all__ = ["Lineage", "Link", "Parent"]
