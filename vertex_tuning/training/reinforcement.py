"""Reinforcement tuning: try answers, and learn from what they earn.

In every step the model answers each prompt of a batch several times. The reward engine scores the answers, and each is weighed by
how much more it earned than the others to the same prompt:

    advantage = (reward - mean) / (standard deviation + 1e-4)       over the answers to one prompt
    loss      = sum(beta * kl(token) - advantage * log p(token)) / tokens        over all tokens of all answers

Answers are sampled by the very weights that learn from them, and used once: the ratio of the two policies is one, and nothing is
to be clipped. An answer without a reward (its reward failed, and failed again: `rewards/calling.py`) is left out. `kl` is the
leash, where there is one (`leash.py`). The rewards come from the reward engine, or from a reward model (`judging.py`); where a
measure is named that nobody is paid by, the held-out answers are looked at with it too (`looking.py`).

Source: Shao et al., DeepSeekMath (arXiv 2402.03300), section 4.1 and equation 4; averaged over the tokens of the batch as in Yu
et al., DAPO (arXiv 2503.14476), equation 8.
"""

from __future__ import annotations

import json
import statistics
import time
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import torch

from vertex_tuning import catalog, rewards
from vertex_tuning.data import splitting
from vertex_tuning.rewards import Score, sandbox, service
from vertex_tuning.rewards.calling import Calls, Standing
from vertex_tuning.rewards.matching import text_of
from vertex_tuning.rewards.rating import Rate
from vertex_tuning.training import examples, groups, leash, loop, rows
from vertex_tuning.training.chat import ChatTokenizer, Message
from vertex_tuning.training.config import ReinforcementConfig
from vertex_tuning.training.judging import Answered, RewardModel
from vertex_tuning.training.looking import Looks
from vertex_tuning.training.loop import Learner, Objective, Report
from vertex_tuning.training.stats import PromptTally

_SAMPLED_AT_ONCE = 64
_TOKENS_AT_ONCE = 4096
"""Logits of so many places are held at a time."""
_FIRST_CALLS = 16
_TOLD_EVERY = 10.0


def run(config: ReinforcementConfig, report: Report) -> None:
    """Train; see `loop.run`."""
    loop.run(config, lambda: _Reinforcement(config, report), report)


@dataclass(frozen=True, slots=True)
class _Prompt:
    """What is asked, and the row that a reward looks at."""

    ids: list[int]
    row: dict[str, Any]
    chat: list[Message]


@dataclass(slots=True)
class _Try:
    """An answer, and what it earned."""

    prompt: _Prompt
    answer: list[int]
    text: str
    score: Score
    seconds: float


class _Reinforcement(Objective):
    """Prompts, answers to them, and the loss on those."""

    def __init__(self, config: ReinforcementConfig, report: Report) -> None:
        examples.check(config)
        if (config.reward is None) == (config.reward_model is None):
            raise examples.DataFaultError(
                "Answers are paid by a reward or by a reward model: name one of them"
            )
        self._config = config
        self._report = report
        # What the server may not do in a user's name, we may not either.
        if config.judge is not None:
            service.close_port(urlsplit(config.judge).port or 80)
        if not config.local_code:
            sandbox.switch_off()
        service.map_hosts(config.maps)
        rate = None if config.judge is None else _judge(config.judge, config.judge_token)
        self._calls = (
            Calls(rewards.from_json(config.reward, strict=False), rate=rate) if config.reward else None
        )
        self._reward_model: RewardModel | None = None
        self._beginning: leash.Beginning | None = None
        self._tokenizer = ChatTokenizer(Path(config.model))
        self._ends = torch.tensor(sorted(self._tokenizer.end_ids))
        self._scored = self._failed = 0
        self._why = ""
        self._tally = PromptTally()
        name, before = config.training_name, config.dropped
        self._prompts = self._load(config.training, name, self._tally.dropped, before)
        self._held_out: list[_Prompt] = []
        if config.validation:
            before = config.dropped_validation
            self._held_out = self._load(config.validation, config.validation_name, [], before)
        self._split = config.split_validation and not config.validation
        if self._split:
            self._prompts, self._held_out = _split(self._prompts, config.seed)
        self._step = 0
        self._looks: Looks | None = None
        if config.measure is not None:
            against, stop = config.measured_against, config.stop_when_hacked
            self._looks = Looks(Path(config.output), config.measure, against, stop=stop)
            self._looks.check([prompt.row for prompt in self._held_out])
        for prompt in self._prompts:
            self._tally.add(prompt.row, input_tokens=len(prompt.ids), turns=len(prompt.chat))

    def _load(
        self,
        path: str,
        name: str | None,
        dropped: list[tuple[int, str]],
        before: Sequence[tuple[int, str]],
    ) -> list[_Prompt]:
        found: list[_Prompt] = []

        def encode(row: dict[str, Any]) -> None:
            chat = rows.messages(row)
            ids = self._tokenizer.prompt(chat)
            if len(ids) + self._config.max_output_tokens > self._config.max_tokens:
                raise examples.TooLongError(len(ids) + self._config.max_output_tokens)
            found.append(_Prompt(ids, row, chat))

        examples.read(path, name, encode, config=self._config, dropped=dropped, before=before)
        return found

    @property
    def lengths(self) -> Sequence[int]:
        return [len(prompt.ids) for prompt in self._prompts]

    def stats(self, *, steps: int, epochs: int) -> dict[str, Any]:
        del epochs
        return {"reinforcementTuningDataStats": self._tally.to_json(steps=steps)}

    def begin(self, learner: Learner) -> None:
        """What became of the data is told; the weights are kept, and looked at, where that is asked for."""
        if self._split and learner.accelerator.is_main_process:
            sides = {"training": len(self._prompts), "validation": len(self._held_out)}
            self._report({"event": "split", **sides})
        if self._config.reward_model is not None:
            self._reward_model = RewardModel(Path(self._config.reward_model), learner.accelerator)
        if self._config.beta:
            trainable = [one for one in learner.model.parameters() if one.requires_grad]
            self._beginning = leash.Beginning(trainable)
        if self._looks is not None and not self._looks.seen:
            self._look(learner, self._try(learner, self._held_out, 1, self._config.seed))

    # Trying

    def _try(self, learner: Learner, asked: Sequence[_Prompt], several: int, seed: int) -> list[_Try]:
        """Answers to each prompt, and what they earn. The same seed and weights try the same."""
        torch.manual_seed(seed)
        answers: list[list[int]] = []
        most = self._config.max_output_tokens
        longest = max((len(prompt.ids) for prompt in asked), default=0) + most
        at_once = groups.prompts_at_once(learner, several=several, tokens=longest, answers=_SAMPLED_AT_ONCE)
        for start in range(0, len(asked), at_once):
            ids = [prompt.ids for prompt in asked[start : start + at_once]]
            answers += groups.sample(learner, ids, several, ends=self._ends, most=most)
        prompts = [prompt for prompt in asked for _ in range(several)]
        texts = [self._tokenizer.decode(answer) for answer in answers]
        scored = self._score(learner, prompts, texts)
        self._scored += len(scored)
        self._failed += sum(score.failed for score, _ in scored)
        return [
            _Try(prompt, answer, text, score, seconds)
            for prompt, answer, text, (score, seconds) in zip(prompts, answers, texts, scored, strict=True)
        ]

    def _score(
        self, learner: Learner, prompts: Sequence[_Prompt], texts: Sequence[str]
    ) -> list[tuple[Score, float]]:
        """What the answers are worth, and how many seconds that took for each."""
        both = list(zip(prompts, texts, strict=True))
        if self._calls is not None:
            pairs = [(prompt.row, text) for prompt, text in both]
            return self._calls.score(pairs, self._watch(learner))
        assert self._reward_model is not None
        begun = time.perf_counter()
        worth = self._reward_model.rewards([Answered(prompt.chat, text) for prompt, text in both])
        seconds = (time.perf_counter() - begun) / len(both)
        return [(Score(value), seconds) for value in worth]

    def _watch(self, learner: Learner) -> Callable[[Standing], None]:
        """Stops where nearly every reward fails, and tells how long ones go on: whoever hears nothing takes us for dead."""
        most = catalog.limits("reinforcement")["max_failed_share"]
        told, waited = time.monotonic(), False

        def watch(stands: Standing) -> None:
            nonlocal told, waited
            if stands.failure is not None:
                self._why = f"{stands.failure.rule} {stands.failure.message}"
            # As if all that are not settled yet would be paid for.
            failed, scored = self._failed + stands.failed, self._scored + stands.answers
            if scored >= _FIRST_CALLS and failed > most * scored:
                raise examples.DataFaultError(
                    f"The rewards of {failed} of {scored} answers failed, more than {most:.0%}: {self._why}"
                )
            late = time.monotonic() - told > _TOLD_EVERY
            if (late or (stands.waiting and not waited)) and learner.accelerator.is_main_process:
                told, waited = time.monotonic(), waited or stands.waiting > 0
                settled = {"answers": stands.answers, "settled": stands.settled, "failed": stands.failed}
                self._report({"event": "rewards", **settled, "waiting": stands.waiting, "failure": self._why})

        return watch

    # Learning

    def loss(
        self, learner: Learner, numbers: Sequence[int], step: int
    ) -> tuple[torch.Tensor, dict[str, float]]:
        several = self._config.samples_per_prompt
        self._step = step + 1
        service.say(job=self._config.job, step=step + 1)
        prompts = [self._prompts[number] for number in numbers]
        tries = self._try(learner, prompts, several, self._config.seed * 1_000_003 + step)
        earned = [one.score.reward for one in tries]
        weights = [
            weight
            for start in range(0, len(tries), several)
            for weight in advantages(earned[start : start + several])
        ]
        loss, found = self._loss(learner, tries, weights)
        return loss, {**found, **self._measured(tries, "train")}

    def _loss(
        self, learner: Learner, tries: Sequence[_Try], weights: Sequence[float]
    ) -> tuple[torch.Tensor, dict[str, float]]:
        """In pieces that fit into memory: all but the last go back at once.

        Returns:
            The last piece; the whole `loss`, and `kl`, the mean of all tokens, where there is a leash.
        """
        several = self._config.samples_per_prompt
        packed = [
            group
            for start in range(0, len(tries), several)
            for group in groups.grouped(
                tries[start].prompt.ids, [one.answer for one in tries[start : start + several]], start
            )
        ]
        packed.sort(key=lambda group: group.length)
        tokens = max(1, sum(len(one.answer) for one in tries))
        weight = torch.tensor(weights, device=learner.accelerator.device)
        at_once = max(1, _TOKENS_AT_ONCE // packed[-1].length)
        total = distance = 0.0
        piece = torch.zeros(())
        for start in range(0, len(packed), at_once):
            if start:
                learner.accelerator.backward(piece)
            part = packed[start : start + at_once]
            before = None
            if self._beginning is not None:
                with self._beginning.back():
                    before, _ = groups.log_likelihoods(learner, part)
            each, owners = groups.log_likelihoods(learner, part)
            piece = -(weight[owners] * each).sum() / tokens
            if before is not None:
                apart = leash.divergence(each, before).sum() / tokens
                piece = piece + self._config.beta * apart
                distance += float(apart.detach())
            total += float(piece.detach())
        return piece, {"loss": total, **({} if self._beginning is None else {"kl": distance})}

    def _measured(self, tries: Sequence[_Try], which: str) -> dict[str, float]:
        """As the service names its metrics. What is not known is left out."""
        found = {f"/{which}_generation_length": statistics.fmean(len(one.answer) for one in tries)}
        paid = [one for one in tries if not one.score.failed]
        if paid:
            found[f"/{which}_mean_reward"] = statistics.fmean(one.score.reward for one in paid)
        times = sorted(one.seconds for one in tries)
        found[f"/{which}_mean_reward_latency"] = statistics.fmean(times)
        if which == "train":
            found["/train_p95_reward_latency"] = times[min(len(times) - 1, int(0.95 * len(times)))]
        found["failed_rewards"] = float(len(tries) - len(paid))
        found["reward_calls"] = float(sum(one.score.calls for one in tries))
        for name in tries[0].score.parts:
            parts = [one.score.parts[name] for one in tries]
            known = [part.reward for part in parts if not part.failed]
            if known:
                found[f"{name}/{which}_mean_reward"] = statistics.fmean(known)
            found[f"{name}/failed_rewards"] = float(len(parts) - len(known))
            found[f"{name}/reward_calls"] = float(sum(part.calls for part in parts))
        return found

    def evaluate(self, learner: Learner, batch_size: int) -> dict[str, float]:
        """One answer to each held-out prompt."""
        del batch_size
        if not self._held_out:
            return {}
        state = torch.get_rng_state()
        tries = self._try(learner, self._held_out, 1, self._config.seed)
        torch.set_rng_state(state)
        return {**self._measured(tries, "eval"), **self._look(learner, tries)}

    def _look(self, learner: Learner, tries: Sequence[_Try]) -> dict[str, float]:
        """Answers to the held-out prompts, by the measure; told, and what of it is a number returned."""
        if self._looks is None:
            return {}
        rewarded = [one.score.reward for one in tries]
        found = self._looks.look(
            self._step, [one.prompt.row for one in tries], [one.text for one in tries], rewarded
        )
        if learner.accelerator.is_main_process:
            self._report({"event": "look", "step": self._step, **found})
        return {f"eval_{name}": float(found[name]) for name in ("measure", "repetition")}

    def best_yet(self) -> bool:
        """Whether the measure was never higher."""
        return self._looks is not None and self._looks.best_yet

    def enough(self) -> bool:
        """Whether the reward was seen to be hacked."""
        return self._looks is not None and self._looks.enough

    def result(self, checkpoints: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """Which checkpoint is the best, where there is a measure."""
        return {} if self._looks is None else self._looks.result(checkpoints)


def _split(prompts: list[_Prompt], seed: int) -> tuple[list[_Prompt], list[_Prompt]]:
    """Training and validation prompts, as the service splits a set off; copies of one prompt stay on one side."""
    limits = catalog.limits("reinforcement")
    wanted = max(int(limits["split_share"] * len(prompts)), limits["split_examples"])
    most = int(limits["max_split_share"] * len(prompts))
    ranks = [splitting.rank_of(prompt.row, seed) for prompt in prompts]
    chosen = splitting.held_out(ranks, min(wanted, most))
    sides: tuple[list[_Prompt], list[_Prompt]] = ([], [])
    for prompt, rank in zip(prompts, ranks, strict=True):
        sides[rank in chosen].append(prompt)
    return sides


def advantages(earned: Sequence[float]) -> list[float]:
    """How much better than the others each answer to one prompt is; 0 where it has no reward, or all have the same."""
    known = [reward for reward in earned if reward == reward]  # NaN is not itself
    if len(known) < 2:
        return [0.0] * len(earned)
    mean, spread = statistics.fmean(known), statistics.stdev(known)
    return [(reward - mean) / (spread + 1e-4) if reward == reward else 0.0 for reward in earned]


def _judge(address: str, token: str | None) -> Rate:
    """Asks models of the emulator that started us."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    patience = float(catalog.limits("reward_autorater")["max_seconds"])

    def rate(name: str, prompt: str, times: int, config: dict[str, Any]) -> list[str]:
        contents = [{"role": "user", "parts": [{"text": prompt}]}]
        body = json.dumps({"contents": contents, "generationConfig": config}).encode()
        headers = {"Content-Type": "application/json"}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        said = []
        for _ in range(times):
            request = urllib.request.Request(f"{address}/v1/{name}:generateContent", body, headers)
            with opener.open(request, timeout=patience) as answer:
                said.append(text_of(json.load(answer)["candidates"][0].get("content", {})))
        return said

    return rate
