"""Graders of OpenAI's as rewards: what judged a model there judges one here, by the same numbers.

    from vertex_tuning import rewards

    found = rewards.from_openai(json.loads(Path("grader.json").read_text()))
    found.reward.score({"references": {"answer": "4"}}, "4").reward

importing.py  a grader, read: each kind as the scorer that comes nearest; every fault of one at once
coding.py     graders as code that is sent
judging.py    graders that ask a model, as autoraters
templates.py  `{{ item.answer }}` and `{{ sample.output_text }}` in their texts
formulas.py   `calculate_output`: several grades as one
runtime.py    what is sent along with the code
proving.py    what OpenAI paid, held against what is paid here

Rows are those that `vertex-tuning data convert --method reinforcement` makes: members of an item are references.

Source: OpenAI, "Graders" (developers.openai.com/api/docs/guides/graders, 2026-11-26); what it leaves open is said in
docs/moving.md.
"""

from vertex_tuning.rewards.graders.importing import Imported, from_openai
from vertex_tuning.rewards.graders.proving import Proof, prove

__all__ = ["Imported", "Proof", "from_openai", "prove"]
