"""Distillation step by step: a teacher says labels and why, and a small student learns both, as two tasks.

    prompting.py   what a teacher is asked: instruction, examples that think aloud, the labels
    parsing.py     its answer, read strictly
    checking.py    which answers are worth learning, and why the others are not
    labelling.py   all of it by one batch prediction job, resumable
    mixing.py      both tasks as rows for supervised tuning, weighed by repetition

The two-part loss itself is trained by `python -m vertex_tuning.training --method step_by_step`.

Source: Hsieh et al., Distilling Step-by-Step! (Findings of ACL 2023, arXiv 2305.02301).
"""

from vertex_tuning.distill.checking import REASONS, Checks
from vertex_tuning.distill.labelling import Labelled, label
from vertex_tuning.distill.mixing import Mixed, mix
from vertex_tuning.distill.parsing import Parsed, parse
from vertex_tuning.distill.prompting import TeacherExample, TeacherPrompt, read_prompt

__all__ = [
    "REASONS",
    "Checks",
    "Labelled",
    "Mixed",
    "Parsed",
    "TeacherExample",
    "TeacherPrompt",
    "label",
    "mix",
    "parse",
    "read_prompt",
]
