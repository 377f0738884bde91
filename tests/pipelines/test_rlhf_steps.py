"""The steps of `rlhf` that decide and tell, and what stands for people's preferences; the whole of it on the smallest model."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from vertex_tuning import DatasetError, PipelineError
from vertex_tuning.config import home
from vertex_tuning.pipelines import simulated
from vertex_tuning.pipelines.steps import rlhf, rlhf_report

TEXT = "it is a film of great and lasting beauty"
WORDS = (
    "film story actor scene ending music humour heart plot cast village winter river letter journey silence"
)


@pytest.fixture
def reviews(tmp_path, monkeypatch) -> Path:
    """A data folder with reviews in it, in the form of the data set."""
    monkeypatch.setenv("VERTEX_TUNING_HOME", str(tmp_path))
    assert home() == tmp_path
    path = tmp_path / "datasets/film-reviews.csv"
    path.parent.mkdir()
    pick = random.Random(0)
    lines = ["text,label,source"]
    for _ in range(400):
        lines.append(f"The {' and the '.join(pick.sample(WORDS.split(), 4))} .,1,rotten_tomatoes")
    lines += ["Too short .,1,rotten_tomatoes", f"{TEXT},0,imdb"]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


# Simulated preferences


def test_the_rule_pays_for_content_and_charges_for_the_rest():
    assert simulated.content(TEXT) == ["film", "great", "lasting", "beauty"]
    assert simulated.rule(TEXT, "film great lasting beauty") == 1
    assert simulated.rule(TEXT, "film great") < 1
    assert simulated.rule(TEXT, TEXT) < 1
    assert simulated.rule(TEXT, "film film film film") == pytest.approx(0.25)
    assert simulated.rule(TEXT, "") == 0


def test_of_two_answers_the_one_that_is_worth_more_is_preferred_whatever_their_order():
    better, worse = "film great lasting beauty", "it is a film"
    for answers in ((better, worse), (worse, better)):
        row = simulated.preference(TEXT, answers)
        assert row is not None
        scores = {one["completion"]["parts"][0]["text"]: one["score"] for one in row["completions"]}
        assert scores == {better: 1, worse: 0}
    shorter = simulated.preference(TEXT, ("it is", "it is and"))
    assert shorter is not None
    assert [one["score"] for one in shorter["completions"]] == [1, 0]
    assert simulated.preference(TEXT, ("film", "great")) is None
    assert simulated.preference(TEXT, ("film", "")) is None


def test_the_reward_model_never_sees_the_rule():
    """A pair holds the text, the answers and who won."""
    row = simulated.preference(TEXT, ("film", "it is a film"))
    assert row is not None
    assert set(row) == {"systemInstruction", "contents", "completions"}
    assert "references" not in simulated.question(TEXT)
    assert simulated.prompt(TEXT)["references"] == {"content": "film great lasting beauty"}


def test_no_set_has_a_text_of_another(reviews, tmp_path):
    counts = rlhf.prepare(
        str(tmp_path / "sets"), demonstrations=40, questions=30, prompts=20, held_out=20, test=20, seed=1
    )
    assert tuple(counts) == (40, 30, 20, 20, 20)
    seen: list[str] = []
    for name in (rlhf.DEMONSTRATIONS, rlhf.QUESTIONS, rlhf.PROMPTS, rlhf.HELD_OUT, rlhf.TEST):
        for line in (tmp_path / "sets" / name).read_text(encoding="utf-8").splitlines():
            seen.append(json.loads(line)["contents"][0]["parts"][0]["text"])
    assert len(seen) == len(set(seen)) == 130
    assert all(6 <= len(text.split()) <= 14 for text in seen)


def test_more_texts_than_there_are_is_said(reviews, tmp_path):
    with pytest.raises(PipelineError, match="VT769"):
        rlhf.prepare(
            str(tmp_path), demonstrations=400, questions=30, prompts=20, held_out=20, test=20, seed=1
        )


def test_weights_that_are_not_here_are_named_with_their_cure(reviews):
    with pytest.raises(PipelineError, match="emulator models pull no-such-model") as caught:
        rlhf._weights("no-such-model")
    assert caught.value.faults[0].rule == "VT767"
    assert rlhf._weights("gs://bucket/weights") == "gs://bucket/weights"
    assert rlhf._weights("tiny-0.1m").endswith("tiny-0.1m")


# The judgement


def answers(path: Path, measure: float, reward: float, length: int = 5) -> str:
    pick = random.Random(len(path.name))

    def one() -> dict[str, Any]:
        return {
            "text": "film",
            "measure": measure + pick.uniform(-0.1, 0.1),
            "reward": reward + pick.uniform(-0.1, 0.1),
            "length": length,
            "repetition": 0.0,
        }

    rows = [{"sampled": [one(), one()], "likeliest": one()} for _ in range(40)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


# People's preferences


def people(folder: Path, *, prompts: int = 100, pairs: int = 2) -> Path:
    """Pairs, several to a prompt, the preferred one first or second by turns."""
    rows = []
    for number in range(prompts):
        for turn in range(pairs):
            both = [(f"good {number}", 1), (f"bad {number}.{turn}", 0)]
            rows.append(
                {
                    "systemInstruction": {"parts": [{"text": "Say it."}]},
                    "contents": [{"role": "user", "parts": [{"text": f"question {number}"}]}],
                    "completions": [
                        {"score": score, "completion": {"role": "model", "parts": [{"text": text}]}}
                        for text, score in (both if turn else reversed(both))
                    ],
                }
            )
    path = folder / "people.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def of_people(source: Path, sets: Path, **counts: int) -> rlhf.Prepared:
    given = {"prompts": 30, "held_out": 20, "test": 20, **counts}
    return rlhf.prepare(
        str(sets), demonstrations=0, questions=0, seed=1, preference_data=str(source), **given
    )


def test_people_s_pairs_are_taken_apart_by_their_prompts(tmp_path):
    sets, given = tmp_path / "sets", tmp_path / "given"
    assert tuple(of_people(people(tmp_path), sets)) == (50, 0, 30, 20, 20)
    assert rlhf.people_ranked(str(sets), str(given)) == (100, 20)
    read = {path.name: rlhf.rows_of(path) for path in (*sets.glob("*.jsonl"), *given.glob("*.jsonl"))}
    asked = {name: {row["contents"][0]["parts"][0]["text"] for row in rows} for name, rows in read.items()}
    apart = (rlhf.PAIRS, rlhf.HELD_OUT_PAIRS, rlhf.HELD_OUT, rlhf.TEST)
    assert (
        sum(len(asked[name]) for name in apart) == len(set().union(*(asked[name] for name in apart))) == 100
    )
    assert asked[rlhf.DEMONSTRATIONS] == asked[rlhf.PAIRS] >= asked[rlhf.PROMPTS]


def test_what_people_preferred_is_learnt_and_measured_against(tmp_path):
    sets = tmp_path / "sets"
    of_people(people(tmp_path), sets)
    for row in rlhf.rows_of(sets / rlhf.DEMONSTRATIONS):
        asked, answered = row["contents"]
        assert answered["role"] == "model"
        assert answered["parts"][0]["text"].removeprefix("good") == asked["parts"][0]["text"].removeprefix(
            "question"
        )
        assert row["systemInstruction"]["parts"][0]["text"] == "Say it."
    for row in rlhf.rows_of(sets / rlhf.TEST):
        assert row["references"] == {
            "content": row["contents"][0]["parts"][0]["text"].replace("question", "good")
        }
    whose = json.loads((sets / rlhf.ABOUT).read_text(encoding="utf-8"))
    assert "people.jsonl" in whose["preferences"]
    assert "simulated" not in json.dumps(whose)


def test_too_few_pairs_of_people_are_refused(tmp_path):
    with pytest.raises(PipelineError, match=r"VT769.*of 40 prompts, 40 are kept back: 0 pairs"):
        of_people(people(tmp_path, prompts=40), tmp_path / "sets")


def test_pairs_that_are_none_are_told_with_every_fault(tmp_path):
    source = tmp_path / "people.jsonl"
    source.write_text('{"contents": []}\n{"nonsense": 1}\n', encoding="utf-8")
    with pytest.raises(DatasetError) as caught:
        of_people(source, tmp_path / "sets")
    assert len(caught.value.faults) > 1


def test_where_nobody_has_ranked_any_there_are_none(tmp_path):
    assert rlhf.people_ranked(str(tmp_path), str(tmp_path / "given")) is None


# The judgement


CARD = {
    "accuracy": 0.8,
    "accuracy_interval": [0.7, 0.9],
    "pairs": 60,
    "calibration_error": 0.05,
    "brier": 0.15,
    "calibration": [{"low": 0.5, "high": 0.6, "count": 60, "said": 0.55, "true": 0.6}],
}
LOOK = {"step": 0, "reward": 0.1, "measure": 0.6, "length": 8.0, "repetition": 0.0}
HISTORY = {
    "looks": [LOOK, {**LOOK, "step": 10, "reward": 0.4, "measure": 0.8}],
    "kl": [0.0, 0.2],
    "kept_step": 10,
    "kept_kl": 0.2,
    "steps": 10,
    "planned": 20,
    "hacked": False,
    "reasons": [],
}


def judged(folder: Path, *, measure: float = 0.8, card: Any = CARD, history: Any = HISTORY) -> Any:
    test = [json.dumps(simulated.prompt(f"{TEXT} {number}")) for number in range(40)]
    (folder / "test.jsonl").write_text("\n".join(test) + "\n", encoding="utf-8")
    whose = {"preferences": simulated.NOTE, "measure": simulated.RULE}
    (folder / "about.json").write_text(json.dumps(whose), encoding="utf-8")
    (folder / "card").write_text(json.dumps(card), encoding="utf-8")
    (folder / "history").write_text(json.dumps(history), encoding="utf-8")
    return rlhf_report.judge(
        str(folder),
        before=answers(folder / "before", 0.6, 0.1),
        after=answers(folder / "after", measure, 0.5),
        card=str(folder / "card"),
        history=str(folder / "history"),
        comparison=str(folder / "comparison"),
        figures={},
        page=str(folder / "page.html"),
        summary=str(folder / "summary.md"),
        least_accuracy=0.7,
        most_kl=1.0,
    )


def test_a_model_that_wins_by_the_independent_measure_goes_on(tmp_path):
    found = judged(tmp_path)
    assert found.open
    assert found.wins > 0.9
    assert found.gain == pytest.approx(0.2, abs=0.05)
    summary = (tmp_path / "summary.md").read_text(encoding="utf-8")
    for words in (simulated.NOTE, "token F1", "80.0% of 60 held-out pairs", "The gate is open"):
        assert words in summary
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert page.count("<svg") >= 6
    assert "http" not in page.replace("http://www.w3.org", "")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"measure": 0.6}, "it gains"),
        ({"card": {**CARD, "accuracy": 0.6}}, "60.0% of 60"),
        ({"history": {**HISTORY, "kept_kl": 3.0}}, "3.000 nats"),
    ],
)
def test_it_does_not_where_one_condition_is_not_met(tmp_path, changes, words):
    """However much the reward has grown."""
    assert not judged(tmp_path, **changes).open
    missed = [line for line in (tmp_path / "summary.md").read_text().splitlines() if "not met" in line]
    assert any(words in line for line in missed)


def test_hacking_that_was_seen_is_told(tmp_path):
    reasons = ["the reward is up by 0.500 since step 0", "the measure is down by 0.200"]
    judged(tmp_path, history={**HISTORY, "hacked": True, "reasons": reasons})
    summary = (tmp_path / "summary.md").read_text(encoding="utf-8")
    assert "seen: stopped there" in summary
    assert all(reason in summary for reason in reasons)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_whole_of_it_runs_in_custom_jobs(emulator, reviews, tmp_path, monkeypatch):
    """On a tiny model, which learns the task no further than to say some of the words: every step, and what it leaves."""
    monkeypatch.setenv("VERTEX_TUNING_EMULATOR", emulator.address)
    monkeypatch.setenv("VERTEX_TUNING_TARGET", "local")
    sets, preferences = str(tmp_path / "sets"), str(tmp_path / "preferences")
    shared: dict[str, Any] = {"weights": "tiny-0.5m", "host": "l4"}
    rlhf.prepare(sets, demonstrations=150, questions=100, prompts=20, held_out=20, test=32, seed=0)

    def place(name: str) -> str:
        return f"{tmp_path}/{name}"

    about: dict[str, Any] = {}
    shown = rlhf.tune_by_example(
        sets,
        **shared,
        place=place("tuned"),
        epochs=8,
        learning_rate=5e-3,
        seed=0,
        model=place("tuned.json"),
        about=about,
    )
    assert about["uri"] == shown
    counts = rlhf.prefer(sets, model=shown, **shared, place=place("pairs"), preferences=preferences, seed=0)
    assert counts.training > counts.held_out > 5
    judge = rlhf.reward_model(
        preferences,
        model=shown,
        **shared,
        place=place("judge"),
        card=place("card.json"),
        figures={},
        epochs=2,
        learning_rate=3e-3,
        seed=0,
    )
    assert json.loads(Path(place("card.json")).read_text())["accuracy"] == judge.accuracy
    settings = {"batch_size": 4, "samples_per_prompt": 4, "max_output_tokens": 16, "learning_rate": 1e-3}
    figures: dict[str, Any] = {}

    def reinforced() -> rlhf.Reinforced:
        return rlhf.reinforce(
            sets,
            model=shown,
            judge=judge.uri,
            **shared,
            place=place("reinforced"),
            history=place("history.json"),
            figures=figures,
            steps=4,
            beta=0.05,
            look_every=2,
            seed=0,
            **settings,
        )

    first = reinforced()
    history = json.loads(Path(place("history.json")).read_text())
    assert [look["step"] for look in history["looks"]][:2] == [0, 2]
    assert len(history["kl"]) == history["steps"] == figures["steps"]
    # A step that is tried again takes up the job that it began.
    assert reinforced() == first
    for name, model in (("before", shown), ("after", first.model)):
        more = {"answers": place(name), "samples_per_prompt": 2, "max_output_tokens": 16}
        rlhf.answer(sets, model=model, judge=judge.uri, **shared, place=place(f"{name}.jsonl"), **more)
    found = rlhf_report.judge(
        sets,
        before=place("before"),
        after=place("after"),
        card=place("card.json"),
        history=place("history.json"),
        comparison=place("comparison.json"),
        figures={},
        page=place("page.html"),
        summary=place("summary.md"),
        least_accuracy=0.0,
        most_kl=1.0,
    )
    assert 0 <= found.wins <= 1
    assert simulated.NOTE in Path(place("page.html")).read_text()
