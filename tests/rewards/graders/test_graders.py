"""Graders of OpenAI's as rewards: the same numbers, by what comes nearest; and what cannot be taken over is said."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu
from nltk.translate.gleu_score import sentence_gleu
from rouge_score.rouge_scorer import RougeScorer

from tests.rewards.graders.cases import CASES, check, multi, python, similar
from vertex_tuning import rewards
from vertex_tuning.data.converting.references import references_of
from vertex_tuning.errors import RewardError
from vertex_tuning.rewards.graders import coding, formulas, prove, runtime, templates
from vertex_tuning.rewards.scorers import CompositeReward

JUDGE = "projects/p/locations/us-central1/publishers/google/models/gemini-2.5-flash"
SCORE = {
    "type": "score_model",
    "name": "meaning",
    "model": "o4-mini-2025-04-16",
    "input": [
        {"role": "system", "content": "Do both mean the same?"},
        {"role": "user", "content": "Reference: {{ item.answer }}. Answer: {{ sample.output_text }}"},
    ],
}
LABEL = {
    "type": "label_model",
    "name": "tone",
    "model": "gpt-4.1-2025-04-14",
    "input": [
        {
            "role": "user",
            "content": {"type": "input_text", "text": "How friendly is {{sample.output_text}}?"},
        }
    ],
    "labels": ["warm", "cool", "rude"],
    "passing_labels": ["warm", "cool"],
}


def row(item):
    return {"contents": [], "references": references_of(item)}


def refused(grader, **rest):
    with pytest.raises(RewardError) as caught:
        rewards.from_openai(grader, **rest)
    return caught.value


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case.grader.get("calculate_output", case.by)))
def test_an_answer_is_worth_what_it_was(case):
    found = rewards.from_openai(case.grader)
    kind = found.reward if isinstance(found.reward, CompositeReward) else found.reward.scorer
    assert type(kind).__name__ == case.by
    assert found.modules == ()
    score = found.reward.score(row(case.item), case.answer)
    assert score.failure is None
    assert score.reward == pytest.approx(case.paid)
    # As a request has it, it is read back the same, and its code would be taken.
    again = rewards.from_json(found.reward.request())
    assert again == found.reward
    parts = again.parts if isinstance(again, CompositeReward) else ((again, 1.0),)
    for one, _ in parts:
        if hasattr(one.scorer, "snippet"):
            rewards.code(one.scorer.snippet)


# Similarity


def test_fuzzy_match_is_rapidfuzzs_ratio():
    recorded = json.loads((Path(__file__).parent / "ratios.json").read_text(encoding="utf-8"))
    for one, other, ratio in recorded["pairs"]:
        assert runtime.fuzzy_match(one, other) == pytest.approx(ratio)


WORDS = st.lists(
    st.sampled_from(["the", "a", "cat", "sat", "on", "mat,", "Dog!", "ran", "über", "42", "x-y"]), max_size=12
).map(" ".join)


@settings(max_examples=300, deadline=None)
@given(WORDS, WORDS)
def test_similarities_are_those_of_the_libraries(text, reference):
    for kind, size in (("rouge1", 1), ("rouge2", 2), ("rouge5", 5), ("rougeL", 0)):
        wanted = RougeScorer([kind]).score(reference, text)[kind].fmeasure
        assert runtime.rouge(text, reference, size) == pytest.approx(wanted)
    words, wanted_words = text.split(), reference.split()
    assert runtime.gleu(text, reference) == pytest.approx(sentence_gleu([wanted_words], words))
    smooth = SmoothingFunction().method1
    wanted = sentence_bleu([wanted_words], words, smoothing_function=smooth)
    assert runtime.bleu(text, reference) == pytest.approx(float(wanted))


# A match, or code: the same

TEXTS = st.text(st.sampled_from('ab {}"é\n.'), max_size=6)


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(["eq", "like"]),
    st.sampled_from(["", "x.", "(a"]),
    st.one_of(TEXTS, st.integers(0, 3)),
    TEXTS,
)
def test_a_string_match_pays_what_the_code_would(operation, before, value, answer):
    grader = check(operation, reference=before + "{{item.answer}}")
    reward = rewards.from_openai(grader).reward
    item = {"answer": value}
    text, reference = templates.read(grader["input"]), templates.read(grader["reference"])
    space: dict = {}
    exec(coding.alone(coding.checked(operation, text, reference, "grade")), space)
    response = {"role": "model", "parts": [{"text": answer}]}
    assert reward.score(row(item), response).reward == space["evaluate"](row(item), response)


# Formulas

NUMBERS = st.floats(0.1, 4).map(lambda value: round(value, 2))
FORMULAS = st.recursive(
    st.one_of(NUMBERS.map(str), st.sampled_from(["a", "b"])),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from("+-*/"), inner).map(lambda three: f"({' '.join(three)})"),
        st.tuples(st.sampled_from(["abs", "floor", "ceil"]), inner).map(lambda two: f"{two[0]}({two[1]})"),
        st.tuples(st.sampled_from(["min", "max"]), inner, inner).map(
            lambda three: "{}({}, {})".format(*three)
        ),
        inner.map(lambda one: f"-{one}"),
    ),
    max_leaves=6,
)


@settings(max_examples=300, deadline=None)
@given(FORMULAS, NUMBERS, NUMBERS)
def test_a_sum_by_weights_is_the_formula(text, a, b):
    formula = formulas.Formula(text, {"a": 1, "b": 1})
    space = {"math": math, "A": a, "B": b}
    try:
        value = eval(formula.code({"a": "A", "b": "B"}), space)
    except ZeroDivisionError:
        return
    assert value == pytest.approx(
        eval(text, {**vars(math), "a": a, "b": b, "abs": abs, "min": min, "max": max})
    )
    weights = formula.weights()
    if weights is not None:
        assert sum(weight * space[name.upper()] for name, weight in weights.items()) == pytest.approx(value)


@pytest.mark.parametrize(
    ("formula", "words"),
    [
        ("", "no formula"),
        (f"a {'-' * 4000}", "-...' is no formula"),
        ("a +", "no formula"),
        ("a + c", "there is no grader c"),
        ("a if a else b", "is none of"),
        ("__import__('os')", "is none of"),
        ("a.b", "is none of"),
        ("sqrt(a, b)", "sqrt takes one number"),
        ("min()", "min takes one number"),
        ("'text'", "is none of"),
        ("True", "is none of"),
    ],
)
def test_a_formula_that_is_none_is_refused(formula, words):
    error = refused(multi(formula, a=check("eq"), b=check("eq")))
    assert error.rule == "VT953"
    assert words in str(error)


# Code that is sent


DATACLASS = """
from __future__ import annotations
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, NamedTuple


class Kind(Enum):
    GOOD = "good"


class Pair(NamedTuple):
    first: str
    rest: Pair | None = None


@dataclass
class Grade:
    value: float = 0.5
    of: list[str] = field(default_factory=list)


def grade(sample: dict[str, Any], item: dict[str, Any]) -> float:
    return Grade(of=[sample["output_text"]]).value if Kind("good") and Pair("x").rest is None else 0.0


if __name__ == "__main__":
    raise SystemExit(f"{grade({'output_text': ''}, {})}")
"""


@pytest.mark.parametrize("around", [{}, {"filled": "def filled(): ...\n"}], ids=["as it is", "enclosed"])
def test_a_python_grader_may_have_dataclasses_and_all_that_a_module_has(around):
    source = DATACLASS + "".join(around.values())
    if around:
        source = source.replace("from __future__ import annotations\n", "").replace("Pair | None", "Any")
    found = rewards.from_openai({"type": "python", "name": "p", "source": source})
    score = found.reward.score(row({}), "x")
    assert (score.reward, score.failure) == (0.5, None)


def test_a_source_may_be_indented_as_a_whole():
    source = "\n    import math\n\n    def grade(sample, item):\n        return math.sqrt(0.25)\n    "
    assert rewards.from_openai({"type": "python", "source": source}).reward.score(row({}), "").reward == 0.5


def test_what_looks_for_its_names_in_its_module_is_left_in_one():
    source = "HALF = 0.5\ndef grade(sample, item):\n    return globals()['HALF']"
    assert rewards.from_openai({"type": "python", "source": source}).reward.score(row({}), "").reward == 0.5
    assert refused(multi("p ^ 2", p={"type": "python", "source": source})).rule == "VT953"


def test_a_python_grader_is_sent_as_it_was_written():
    source = (
        '"""Mine."""\nimport re\n\nDIGITS = re.compile(r"\\d+")  # all\n\n\n'
        'def grade(sample, item):\n    return float(bool(DIGITS.search(sample["output_text"])))\n'
    )
    reward = rewards.from_openai({"type": "python", "name": "p", "source": source}).reward
    assert reward.scorer.snippet.startswith(source.rstrip())
    assert reward.score(row({}), "a 4").reward == 1.0


def test_one_whose_names_are_ours_keeps_them_to_itself():
    source = (
        "def evaluate(text):\n    '''Two\n  lines.'''\n    return float('x' in text)\n\n"
        "def filled(text):\n    return f'''{text}\n  end'''\n\n"
        "def grade(sample, item):\n    return evaluate(filled(sample['output_text']))\n"
    )
    reward = rewards.from_openai({"type": "python", "name": "p", "source": source}).reward
    assert [reward.score(row({}), text).reward for text in ("x", "y")] == [1.0, 0.0]
    both = multi("max(p, q) - 0.5", p={"type": "python", "source": source}, q=python("0.75"))
    reward = rewards.from_openai(both).reward
    assert [reward.score(row({}), text).reward for text in ("x", "y")] == [0.5, 0.25]


def test_tool_calls_and_thoughts_are_seen_as_openai_told_them():
    name = check("eq", "get", "{{sample.output_tools[0].function.name}}")
    arguments = check("eq", '{"smiles": "{{item.smiles}}"}', "{{sample.output_tools[0].function.arguments}}")
    reward = rewards.from_openai(multi("0.5 * n + 0.5 * a", n=name, a=arguments)).reward
    call = {"functionCall": {"name": "get", "args": {"smiles": "CO"}}}
    turn = {"role": "model", "parts": [{"text": "hm", "thought": True}, call]}
    assert reward.score(row({"smiles": "CO"}), turn).reward == 1.0
    assert reward.score(row({"smiles": "CC"}), turn).reward == 0.5


def test_what_a_row_does_not_have_is_told_and_not_worth_nothing():
    score = rewards.from_openai(check("ne")).reward.score(row({"other": "1"}), "4")
    assert score.failure is not None
    assert "the row has no answer" in score.failure.message


def test_messages_of_an_item_are_those_of_the_row():
    example = {
        "systemInstruction": {"parts": [{"text": "Be brief."}]},
        "contents": [{"role": "user", "parts": [{"text": "4?"}]}],
        "references": {},
    }
    reward = rewards.from_openai(python("float(item['messages'][-1]['content'] == '4?')")).reward
    assert reward.score(example, "x").reward == 1.0
    reward = rewards.from_openai(
        python("float([m['role'] for m in item['messages']] == ['system', 'user'])")
    ).reward
    assert reward.score(example, "x").reward == 1.0


def test_modules_that_vertex_ai_does_not_have_are_named():
    source = "from rapidfuzz import fuzz\nimport numpy\n\ndef grade(sample, item):\n    return 1.0\n"
    found = rewards.from_openai({"type": "python", "name": "p", "source": source})
    assert found.modules == ("rapidfuzz",)
    assert "reward serve" in str(found)


# Judges


def asked_by(said):
    prompts = []

    def rate(model, prompt, samples, generation):
        assert (model, samples) == (JUDGE, 1)
        prompts.append((prompt, generation))
        return [said]

    return prompts, rate


@pytest.mark.parametrize(("said", "paid"), [("<result>0.25</result>", 0.25), ("<result> 1 </result>", 1.0)])
def test_a_score_model_becomes_a_judge(said, paid):
    prompts, rate = asked_by(f"Hm, <result>0</result>? No: {said}")
    grader = {**SCORE, "sampling_params": {"temperature": 0.5, "seed": 1}, "pass_threshold": 0.5}
    found = rewards.from_openai(grader, judge_model=JUDGE)
    assert found.reward.score(row({"answer": "4"}), "four", rate=rate).reward == paid
    [(prompt, generation)] = prompts
    assert prompt.startswith("Do both mean the same?\n\nReference: 4. Answer: four\n\n")
    assert "from 0 to 1" in prompt
    assert generation == {"temperature": 0.5}
    assert any("seed" in note for note in found.notes)
    assert any("o4-mini" in note for note in found.notes)
    assert any("pass_threshold" in note for note in found.notes)


@pytest.mark.parametrize(("said", "paid"), [("<passes>yes</passes>", 1.0), ("<passes>no</passes>", 0.0)])
def test_a_label_model_becomes_a_judge(said, paid):
    prompts, rate = asked_by(said)
    found = rewards.from_openai(LABEL, judge_model=JUDGE)
    assert found.reward.score(row({}), "Hello!", rate=rate).reward == paid
    assert "warm, cool, rude" in prompts[0][0]
    assert "warm or cool" in prompts[0][0]


def test_a_judge_reads_the_prompt_and_what_was_said_before():
    messages = [
        {
            "role": "user",
            "content": "Q: {{item.messages[0].content}}",
        },
        {"role": "assistant", "content": "Yes?"},
        {"role": "user", "content": "A: {{sample.output_text}}"},
    ]
    found = rewards.from_openai({**SCORE, "input": messages}, judge_model=JUDGE)
    assert "# User\nQ: {{prompt}}\n\n# Assistant\nYes?" in found.reward.scorer.prompt
    assert any("whole prompt" in note for note in found.notes)


def test_the_grader_of_openais_own_guide_is_taken_over_whole():
    """Source: OpenAI, "Reinforcement fine-tuning" (2026-11-26): a member by its letters, another one judged."""
    asked = {"role": "user", "type": "message", "content": "{{item.why}} / {{sample.output_json.why}}"}
    grader = multi(
        "0.5 * compliant + 0.5 * explanation",
        compliant=check("eq", "{{sample.output_json.compliant}}", "{{item.compliant}}"),
        explanation={"type": "score_model", "name": "Text", "model": "gpt-4o-2024-08-06", "input": [asked]},
    )
    method = {
        "grader": grader,
        "response_format": {"type": "json_schema"},
        "hyperparameters": {"n_epochs": 1},
    }
    job = {"model": "o4-mini", "method": {"type": "reinforcement", "reinforcement": method}}
    found = rewards.from_openai(job, judge_model=JUDGE)
    assert [note.partition(":")[0] for note in found.notes[:3]] == [
        "response_format",
        "hyperparameters",
        "sample.output_json.why",
    ]
    reward = rewards.from_json(found.reward.request())
    prompts, rate = asked_by("<result>0.5</result>")
    example = row({"compliant": "yes", "why": "It is."})
    answer = json.dumps({"why": 'So "it" is,\nGrüße.', "compliant": "yes"}, ensure_ascii=False)
    assert reward.score(example, answer, rate=rate).reward == 0.75
    assert prompts[0][0].startswith('It is. / So \\"it\\" is,\\nGrüße.\n\nFirst')
    assert reward.score(example, "no JSON", rate=rate).reward == 0.25
    assert prompts[1][0].startswith("It is. / \n")


def test_with_a_judge_in_it_a_sum_is_a_composite_and_says_what_it_pays():
    found = rewards.from_openai(multi("a + m", a=check("eq"), m=SCORE), judge_model=JUDGE)
    assert [weight for _, weight in found.reward.parts] == [1.0, 1.0]
    assert any("1/2" in note for note in found.notes)
    error = refused(multi("min(a, m)", a=check("eq"), m=SCORE), judge_model=JUDGE)
    assert error.rule == "VT953"
    assert "m cannot be computed" in str(error)


# What is wrong


def test_everything_that_is_wrong_is_said_at_once():
    grader = multi(
        "a + nobody",
        a=check("about"),
        b=similar("meteor"),
        c=check("eq", reference="{{ row.answer }}"),
        d={"type": "python", "source": "def grad(sample, item):\n    return 1"},
        e={"type": "magic"},
        f=SCORE,
        g=multi("x", x=check("eq")),
        h=check("eq", text="{{ sample.output_audio.transcript }}"),
    )
    found = [(fault.rule, fault.where) for fault in refused(grader).faults]
    assert found == [
        ("VT953", "grader.calculate_output"),
        ("VT950", "grader.graders.a.operation"),
        ("VT951", "grader.graders.b.evaluation_metric"),
        ("VT952", "grader.graders.c.reference"),
        ("VT950", "grader.graders.d.source"),
        ("VT950", "grader.graders.e.type"),
        ("VT954", "grader.graders.f.model"),
        ("VT950", "grader.graders.g"),
        ("VT952", "grader.graders.h.input"),
    ]


@pytest.mark.parametrize(
    ("change", "rule", "words"),
    [
        ({"range": [0, 10]}, "VT951", "clipped"),
        ({"range": "x"}, "VT951", "no range"),
        ({"sampling_params": [1]}, "VT951", "no object"),
        ({"sampling_params": {"temperature": "hot"}}, "VT951", "'hot' is none"),
        ({"input": []}, "VT951", "no messages"),
        ({"input": [{"role": "tool", "content": "x"}]}, "VT951", "no message"),
        (
            {"input": [{"role": "user", "content": {"type": "input_image", "image_url": "x"}}]},
            "VT951",
            "text alone",
        ),
        (
            {"input": [{"role": "user", "content": "{{sample.output_json.a.b}}"}]},
            "VT951",
            "text of an answer",
        ),
        (
            {"input": [{"role": "user", "content": "{{sample.output_json.a}} {{sample.output_json.b}}"}]},
            "VT951",
            "one thing of an answer",
        ),
        (
            {"input": [{"role": "user", "content": "{{item['}']}} {{sample.output_text}}"}]},
            "VT951",
            "no braces",
        ),
        ({"input": [{"role": "user", "content": "{{ }}"}]}, "VT951", "no variable"),
        ({"input": [{"role": "user", "content": "Good?"}]}, "VT915", "would not see the answer"),
        ({"type": "label_model", "labels": ["a"], "passing_labels": ["b"]}, "VT951", "none of the labels"),
        ({"type": "label_model", "labels": "a"}, "VT951", "no list of labels"),
    ],
)
def test_a_judge_that_cannot_be_asked_so_is_refused(change, rule, words):
    error = refused({**SCORE, **change}, judge_model=JUDGE)
    assert (error.rule, words in str(error)) == (rule, True), str(error)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("def grade(sample, item:", "not Python"),
        ("async def grade(sample, item):\n    return 1", "coroutine"),
        ("x = 1", "no function grade"),
        (
            "from __future__ import annotations\ndef evaluate(): ...\ndef grade(sample, item): ...",
            "names of ours",
        ),
        (None, "no source"),
        ("def grade():\n    return 1", "cannot be called with a sample and an item"),
        ("def grade(sample, item, more):\n    return 1", "cannot be called with a sample and an item"),
        ("def grade(sample, item):\n    return np.mean([1])", "np is not defined"),
    ],
)
def test_a_python_grader_that_is_none_is_refused(source, words):
    error = refused({"type": "python", "name": "p", "source": source})
    assert words in str(error)


@pytest.mark.parametrize("line", ["open('/tmp/notes', 'w')", "subprocess.run(['true'])", "import rapidfuzz_"])
def test_what_a_python_grader_may_not_do_here_is_told_and_not_the_answers_fault(line):
    source = f"import subprocess\ndef grade(sample, item):\n    {line}\n    return 1.0\n"
    score = rewards.from_openai({"type": "python", "source": source}).reward.score(row({}), "x")
    assert score.failure is not None


def test_a_grader_pays_the_same_for_the_part_that_is_extracted():
    reward = rewards.from_openai(multi("max(a, b)", a=check("ilike"), b=similar("rouge_l"))).reward
    found = dataclasses.replace(reward, extract="<answer>(.*?)</answer>")
    example = row({"answer": "four"})
    assert (
        found.score(example, "four? <answer>It is FOUR</answer>").reward
        == reward.score(example, "It is FOUR").reward
    )
    assert found.score(example, "four").reward == reward.score(example, "").reward == 0.0


def test_one_that_cannot_be_enclosed_is_no_part_of_a_formula():
    source = "from __future__ import annotations\ndef grade(sample, item):\n    return 1.0"
    assert rewards.from_openai({"type": "python", "source": source}).reward.score(row({}), "").reward == 1.0
    error = refused(multi("a ^ 2", a={"type": "python", "source": source}))
    assert error.rule == "VT953"


def test_a_grader_is_found_in_a_job_and_in_an_eval():
    job = {"model": "o4-mini", "method": {"type": "reinforcement", "reinforcement": {"grader": check("eq")}}}
    assert rewards.from_openai(job) == rewards.from_openai(check("eq"))
    assert rewards.from_openai({"testing_criteria": [check("eq")]}) == rewards.from_openai(check("eq"))
    single = {"type": "multi", "graders": check("eq"), "calculate_output": "check"}
    assert rewards.from_openai(single).reward.score(row({"answer": "4"}), "4").reward == 1.0
    agent = {"grader": check("eq"), "tools": [{"name": "get", "server_url": "https://x.io"}]}
    assert rewards.from_openai({"method": {"reinforcement": agent}}).notes[0].startswith("tools:")
    for nothing in (
        {},
        {"method": {"type": "supervised"}},
        {"method": {"type": "dpo", "dpo": {}}},
        {"testing_criteria": [check("eq"), check("ne")]},
    ):
        assert refused(nothing).rule == "VT950"
    assert "2 criteria" in str(refused({"testing_criteria": [check("eq"), check("ne")]}))


@settings(max_examples=300, deadline=None)
@given(
    st.recursive(
        st.one_of(
            st.none(),
            st.booleans(),
            st.integers(),
            st.text(max_size=8),
            st.sampled_from(["{{", "{{item.a}}"]),
        ),
        lambda inner: st.one_of(
            st.lists(inner, max_size=3),
            st.dictionaries(
                st.sampled_from(
                    [
                        *("type", "input", "reference", "operation", "graders", "name", "source", "range"),
                        *("labels", "passing_labels", "sampling_params", "temperature", "content", "role"),
                        *("evaluation_metric", "calculate_output", "method", "testing_criteria", "grader"),
                    ]
                ),
                st.one_of(inner, st.sampled_from(["multi", "python", "score_model", "string_check", "eq"])),
                max_size=6,
            ),
        ),
        max_leaves=12,
    )
)
def test_nonsense_is_refused_and_nothing_else(grader):
    faults = ()
    try:
        rewards.from_openai(grader, judge_model=JUDGE)
    except RewardError as error:
        faults = error.faults
    assert all(fault.rule.startswith("VT9") for fault in faults)


# Proof


def test_runs_are_held_against_what_is_paid_here():
    reward = rewards.from_openai(check("eq")).reward
    runs = [
        {"item": {"answer": "4"}, "model_sample": "4", "reward": 1.0},
        {"item": {"answer": "4"}, "model_sample": "5", "reward": 0},
    ]
    proof = prove(reward, runs)
    assert (proof.ok, proof.same, str(proof)) == (True, 2, "2 of 2 runs are paid the same")
    proof = prove(reward, [*runs, {"item": {"answer": "4"}, "model_sample": "5", "reward": 0.5}])
    assert (proof.ok, proof.largest, proof.apart) == (False, 0.5, ("run 3: 0.5 there, 0 here",))
    proof = prove(reward, [{"item": {}, "model_sample": "5", "reward": 0.5}])
    assert not proof.ok
    assert proof.to_json()["largest_difference"] is None
    for broken in ([], [{}], [{"item": {}, "model_sample": 4, "reward": 1}]):
        with pytest.raises(RewardError) as caught:
            prove(reward, broken)
        assert caught.value.rule == "VT955"
