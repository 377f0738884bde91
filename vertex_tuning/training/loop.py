"""The loop that every way of tuning by gradient descent shares: batches, steps, checkpoints, resuming, measuring.

A short loop of our own on `accelerate`, because it is faster than a general one on a CPU and says exactly what it does: fp32
master weights of what learns (bf16 autocast where the processor multiplies it natively), batches of like length, no attention
mask (padding stands to the right, where causal attention never looks), attention and adapters as they are computed best
(`attention.py`, `fused.py`).

The same spec, data, seed, kind of processor and number of threads give the same weights, after an interruption too.
"""

from __future__ import annotations

import json
import math
import random
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import torch
from accelerate import Accelerator
from accelerate.utils import is_torch_xla_available
from torch.utils.checkpoint import checkpoint
from transformers import AutoModelForCausalLM
from transformers.utils import logging as transformers_logging

from vertex_tuning import catalog
from vertex_tuning.training import adapters, attention, fused, resume
from vertex_tuning.training.config import LOGITS_AT_ONCE, TrainingConfig
from vertex_tuning.training.divergence import DivergedError, Guard
from vertex_tuning.training.examples import DataFaultError

Event = dict[str, Any]
Report = Callable[[Event], None]

INVALID_ARGUMENT = 3
DIVERGED = "diverged"
"""The `why` of a failure for which the learning rate is to blame; `checkpoints` says what is left."""
_WARM_UP = 0.1
_MAX_NORM = 1.0
_LENGTH_POOL = 8
_SAVE_EVERY = 20.0


class Objective(Protocol):
    """What a way of tuning brings: its examples, and what is to become small."""

    @property
    def lengths(self) -> Sequence[int]:
        """Tokens of each training example."""

    def stats(self, *, steps: int, epochs: int) -> dict[str, Any]:
        """The job's `tuningDataStats`: `{"supervisedTuningDataStats": {...}}`."""

    def begin(self, learner: Learner) -> None:
        """Called once, with the weights as the run found them when it was new, before the first step."""

    def loss(
        self, learner: Learner, numbers: Sequence[int], step: int
    ) -> tuple[torch.Tensor, dict[str, float]]:
        """Of the training examples with these numbers: the loss, and what else is measured.

        Where the loss went back in pieces, it is the last of them, and `loss` is among what is measured.
        """

    def evaluate(self, learner: Learner, batch_size: int) -> dict[str, float]:
        """Of the held-out examples; empty where there are none. Called in evaluation mode, without gradients."""

    def best_yet(self) -> bool:
        """Asked after each look at the held-out examples: whether the weights are worth a checkpoint for what was seen."""
        return False

    def enough(self) -> bool:
        """Asked after each look at the held-out examples: whether the run is to end here."""
        return False

    def result(self, checkpoints: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """What else is said of a run that is done."""
        del checkpoints
        return {}

    def load(self, config: TrainingConfig, output: Path) -> Any:
        """The model, as the run finds it when it is new. A model of language, where nothing else is said."""
        return load(config, output)

    def write(self, model: Any, config: TrainingConfig, folder: Path) -> None:
        """Write a checkpoint. PEFT's format for an adapter, transformers' for all weights, where nothing else is said."""
        _write(model, config, folder)


class Learner:
    """The model that learns, in parts: the trunk gives hidden states, the head logits, or a score."""

    def __init__(self, accelerator: Accelerator, model: Any) -> None:
        self.accelerator = accelerator
        self.model = model
        inner = accelerator.unwrap_model(model)
        inner = inner.get_base_model() if hasattr(inner, "get_base_model") else inner
        self._trunk = inner.get_decoder()
        scores = hasattr(inner, "score")
        self._head = inner.score if scores else inner.get_output_embeddings()
        self._softcap = None if scores else getattr(inner.config, "final_logit_softcapping", None)

    def logits(self, ids: torch.Tensor, where: torch.Tensor) -> torch.Tensor:
        """Logits at the places that are asked for alone.

        Args:
            ids: (batch, length) int64; padding to the right.
            where: (batch, length) bool.

        Returns:
            (places, vocabulary) float32, row by row; (places, 1) of a model that scores.
        """
        with self.accelerator.autocast():
            hidden = self._trunk(input_ids=ids, use_cache=False).last_hidden_state
            return self._by_the_head(hidden[where])

    def likelihoods(
        self, ids: torch.Tensor, where: torch.Tensor, answers: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """What the model gives each token of the answers.

        Args:
            ids: (batch, length) int64; padding to the right.
            where: (batch, length) bool: what an answer token follows.
            answers: (answers,) int64: these tokens, row by row.

        Returns:
            Logarithms, (answers,) float32, and whether each token is the likeliest, (answers,) bool.
        """
        with self.accelerator.autocast():
            hidden = self._trunk(input_ids=ids, use_cache=False).last_hidden_state
            return self._told(hidden[where], answers)

    def likelihoods_at(
        self,
        ids: torch.Tensor,
        places: torch.Tensor,
        answers: torch.Tensor,
        *,
        positions: torch.Tensor,
        sees: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The same of sequences in which not everything sees all that stands before it.

        Args:
            ids: (batch, length) int64.
            places: (answers,) int64, counted over the whole batch: what each answer token follows. A place may be asked for
                several times.
            answers: (answers,) int64.
            positions: (batch, length) int64.
            sees: (batch, 1, length, length) bool: what each token attends to.
        """
        with self.accelerator.autocast():
            hidden = self._trunk(
                input_ids=ids, position_ids=positions, attention_mask=sees, use_cache=False
            ).last_hidden_state
            return self._told(hidden.flatten(0, 1)[places], answers)

    def _told(self, hidden: torch.Tensor, answers: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """By the head, a piece at a time where the vocabulary is large: logits are computed again on the way back, not kept."""
        most = max(1, LOGITS_AT_ONCE // self._head.weight.shape[0])
        if len(answers) <= most:
            return self._scored(hidden, answers)
        pieces = [
            checkpoint(
                self._scored, hidden[start : start + most], answers[start : start + most], use_reentrant=False
            )
            for start in range(0, len(answers), most)
        ]
        each, likeliest = zip(*pieces, strict=True)
        return torch.cat(each), torch.cat(likeliest)

    def _by_the_head(self, hidden: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self._head(hidden).float()
        if self._softcap is not None:
            logits = torch.tanh(logits / self._softcap) * self._softcap
        return logits

    def _scored(self, hidden: torch.Tensor, answers: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        logits = self._by_the_head(hidden)
        each = -torch.nn.functional.cross_entropy(logits, answers, reduction="none")
        return each, logits.detach().argmax(dim=-1) == answers


def run(config: TrainingConfig, make: Callable[[], Objective], report: Report) -> None:
    """Train, from the beginning or from where an earlier run of the same output folder was interrupted.

    Args:
        config: What to do.
        make: Reads the data.
        report: Gets an event for the data set, every step, evaluation and checkpoint, and the end: `dataset`, `step`, `eval`,
            `checkpoint`, and last `done` or `failed` (with a `google.rpc.Code` and a message). A run that diverges
            leaves the weights that it had before as its last checkpoint.
    """
    with failures_told(report):
        _run(config, make, report)


@contextmanager
def failures_told(report: Report) -> Iterator[None]:
    """What a run fails for, as its last event."""
    try:
        yield
    except DataFaultError as error:
        report({"event": "failed", "code": INVALID_ARGUMENT, "message": str(error)})
    except (torch.OutOfMemoryError, MemoryError) as error:
        report(
            {"event": "failed", "code": 8, "message": f"Out of memory: {error}. A smaller batch needs less."}
        )
    except OSError as error:
        report({"event": "failed", "code": 8, "message": f"The trainer could not write or read: {error}"})


def _run(config: TrainingConfig, make: Callable[[], Objective], report: Report) -> None:
    prepare(config)
    output = Path(config.output)
    objective = make()
    lengths = objective.lengths
    batch_size = min(config.batch_size or (8 if len(lengths) >= 32 else 4), len(lengths))
    epochs = config.epochs or config.usual_epochs(len(lengths), batch_size)

    accelerator = accelerated()
    if not accelerator.is_main_process:
        report = _keep_quiet
    per_epoch = math.ceil(len(plan(lengths, batch_size, config.seed, 0)) / accelerator.num_processes)
    if config.steps:
        epochs = math.ceil(config.steps / per_epoch)
    steps = min(per_epoch * epochs, config.steps or config.max_steps or per_epoch * epochs)
    report({"event": "dataset", "stats": objective.stats(steps=steps, epochs=epochs)})

    model = objective.load(config, output)
    if config.gradient_checkpointing:
        model.activation_checkpointing_enable()
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trainable, lr=config.learning_rate, weight_decay=0.0, fused=not on_tpu())
    model, optimizer = accelerator.prepare(model, optimizer)
    learner = Learner(accelerator, model)
    objective.begin(learner)
    progress = resume.load(output, optimizer) or {"step": 0, "batch": 0, "epoch": 0, "checkpoints": []}
    kept = _checkpoint_steps(config, steps, per_epoch)
    steps = progress.get("steps", steps)  # a run that had enough goes no further
    looked_at = set(
        range(config.evaluate_interval or per_epoch, steps, config.evaluate_interval or per_epoch)
    ) | {steps}
    meter = _Meter(output, report, progress["step"], accelerator.is_main_process)

    step: int = progress["step"]
    rate = 0.0
    guard = Guard(learner, trainable, step)
    saved_at = time.monotonic()
    try:
        for epoch in range(progress["epoch"], epochs):
            batches = plan(lengths, batch_size, config.seed, epoch)
            mine = batches[accelerator.process_index :: accelerator.num_processes]
            mine += batches[: per_epoch - len(mine)]  # every device takes as many steps
            first = progress["batch"] if epoch == progress["epoch"] else 0
            for index in range(first, min(per_epoch, steps - epoch * per_epoch)):
                rate = config.learning_rate * schedule(step, steps)
                for group in optimizer.param_groups:
                    group["lr"] = rate
                with guard.computing():
                    loss, measured = objective.loss(learner, mine[index], step)
                measured = {"loss": float(loss.detach()), **measured}
                norm = _differentiate(accelerator, loss, trainable)
                guard.check({**measured, "gradient": norm})
                if norm == 0:  # nothing to learn from these rows; or nothing gets through the model any more
                    guard.hold()
                guard.keep(step)
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
                step += 1
                tokens = sum(lengths[row] for row in mine[index])
                meter.step(step, steps, epoch + (index + 1) / per_epoch, measured, tokens, rate)
                ended, halted, keep = index + 1 == per_epoch, False, step in kept
                progress.update(step=step, epoch=epoch + ended, batch=0 if ended else index + 1)
                if step in looked_at:
                    model.eval()
                    with torch.no_grad(), guard.computing():
                        found = objective.evaluate(learner, batch_size)
                    model.train()
                    guard.check(found)
                    if found:
                        meter.evaluation(step, math.ceil(step / per_epoch), found)
                    halted = objective.enough()
                    keep = keep or halted or objective.best_yet()
                late = time.monotonic() - saved_at > _SAVE_EVERY
                # What is written down works: nobody goes on from weights that are no numbers.
                if keep:
                    guard.hold()
                    guard.keep(step)
                if halted:
                    progress["steps"] = steps = step
                if keep and accelerator.is_main_process:
                    inner = accelerator.unwrap_model(model)
                    checkpoint = _keep(objective, inner, config, progress, step, per_epoch)
                if (keep or (late and guard.works())) and accelerator.is_main_process:
                    resume.save(output, optimizer, progress)
                    saved_at = time.monotonic()
                if keep and accelerator.is_main_process:
                    report({"event": "checkpoint", **checkpoint})
                if halted:
                    break
    except DivergedError as error:
        guard.put_back()
        done: list[dict[str, Any]] = progress["checkpoints"]
        if (not done or done[-1]["step"] < guard.step) and accelerator.is_main_process and guard.works():
            inner = accelerator.unwrap_model(model)
            checkpoint = _keep(objective, inner, config, progress, guard.step, per_epoch)
            report({"event": "checkpoint", **checkpoint})
        report(
            {
                "event": "failed",
                "code": INVALID_ARGUMENT,
                "why": DIVERGED,
                "message": _diverged(error, step, steps, rate, config.learning_rate),
                "checkpoints": done,
            }
        )
        return
    result = {"steps": step, "epochs": epochs, "checkpoints": progress["checkpoints"]}
    report({"event": "done", **result, **objective.result(result["checkpoints"])})


def accelerated() -> Accelerator:
    """What the arithmetic is done by: the devices that there are, in the precision that is quick on them."""
    return Accelerator(cpu=not (torch.cuda.is_available() or on_tpu()), mixed_precision=_precision())


def _keep_quiet(_: Event) -> None:
    """What the others of several processes report: one speaks for all."""


def prepare(config: TrainingConfig) -> None:
    """Threads, seed and output folder, as a run is told."""
    transformers_logging.disable_progress_bar()
    torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)
    Path(config.output).mkdir(parents=True, exist_ok=True)


def plan(lengths: Sequence[int], batch_size: int, seed: int, epoch: int) -> list[list[int]]:
    """The batches of an epoch: shuffled rows, sorted by length within pools, so that a batch holds little padding."""
    shuffle = random.Random(seed * 1_000_003 + epoch)
    order = list(range(len(lengths)))
    shuffle.shuffle(order)
    pool = batch_size * _LENGTH_POOL
    batches = []
    for start in range(0, len(order), pool):
        chunk = sorted(order[start : start + pool], key=lengths.__getitem__)
        batches += [chunk[index : index + batch_size] for index in range(0, len(chunk), batch_size)]
    shuffle.shuffle(batches)
    return batches


def schedule(step: int, steps: int) -> float:
    """Share of the peak rate: linear warm-up over a tenth of the steps, then half a cosine down to zero."""
    warm = max(1, round(_WARM_UP * steps))
    if step < warm:
        return (step + 1) / warm
    return 0.5 * (1.0 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))


def _differentiate(accelerator: Accelerator, loss: torch.Tensor, trainable: list[Any]) -> float:
    """Gradients, clipped; their norm before that."""
    accelerator.backward(loss)
    if accelerator.num_processes > 1:
        # Gradients are averaged by hand: the forward pass goes through the trunk, past the wrapper that would do it.
        for parameter in trainable:
            if parameter.grad is not None:
                parameter.grad = accelerator.reduce(parameter.grad, reduction="mean")
    return float(torch.nn.utils.clip_grad_norm_(trainable, _MAX_NORM, foreach=True))


def _diverged(error: DivergedError, step: int, steps: int, rate: float, peak: float) -> str:
    words = f"Training diverged after {step} of {steps} steps: {error}. "
    if step:
        return (
            words
            + f"The learning rate was {rate:.3g} there, {peak:.3g} at its peak; a smaller one usually holds."
        )
    return (
        words
        + "No step had been taken: the weights that it started from are no numbers, or not fit for the data."
    )


# Model


def load(config: TrainingConfig, output: Path) -> Any:
    """A model of language that is to learn: every weight, or an adapter, fresh or gone on from."""
    model = AutoModelForCausalLM.from_pretrained(
        config.model, dtype=torch.float32, attn_implementation=attention.register(), local_files_only=True
    )
    model.config.use_cache = False
    model.train()
    if config.mode == "full":
        if config.initial:
            from peft import PeftModel

            model = PeftModel.from_pretrained(model, config.initial).merge_and_unload()
        return model.requires_grad_(True)
    if config.initial:
        model = adapters.load(model, Path(config.initial), config.adapter_size, output / "resized")
    else:
        model = adapters.add(model, config.adapter_size)
    fused.apply(model)
    return lean(model)


def lean(model: Any) -> Any:
    """A model of which little learns, or nothing, as a GPU has room for it; elsewhere as it is.

    Weights that are only multiplied with need no more precision than the products have.
    """
    if torch.cuda.is_available() and _precision() == "bf16":
        fused.lower(model, torch.bfloat16)
    return model


def on_tpu() -> bool:
    """Whether a TPU computes, by `torch_xla`. Nobody has run the loop on one yet."""
    return bool(is_torch_xla_available(check_is_tpu=True))


def _precision() -> str:
    """`bf16` where the processor multiplies it natively; elsewhere it would be slower than fp32."""
    if torch.cuda.is_available():
        return "bf16" if torch.cuda.is_bf16_supported() else "no"
    if on_tpu():
        return "bf16"
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
    except OSError:
        return "no"
    return "bf16" if "avx512_bf16" in flags or "amx_bf16" in flags else "no"


# Results


def _checkpoint_steps(config: TrainingConfig, steps: int, per_epoch: int) -> set[int]:
    """After which steps a checkpoint is kept, the last among them."""
    most = catalog.limits(config.known_as)["max_checkpoints"]
    if config.last_checkpoint_only:
        return {steps}
    if config.checkpoint_interval:
        every = config.checkpoint_interval
        found = [*range(every, steps, every), steps]
        return {found[index - 1] for index in checkpoint_epochs(len(found), most=most)}
    epochs = math.ceil(steps / per_epoch)
    return {min(epoch * per_epoch, steps) for epoch in checkpoint_epochs(epochs, most=most)}


def checkpoint_epochs(epochs: int, *, most: int) -> list[int]:
    """After which epochs a checkpoint is kept: each, or `most` evenly spread where there are more, the last among them."""
    if epochs <= most:
        return list(range(1, epochs + 1))
    return [math.ceil((index + 1) * epochs / most) for index in range(most)]


def _keep(
    objective: Objective,
    model: Any,
    config: TrainingConfig,
    progress: dict[str, Any],
    step: int,
    per_epoch: int,
) -> dict[str, Any]:
    """Write a checkpoint, and enter it."""
    done: list[dict[str, Any]] = progress["checkpoints"]
    done.append({"checkpoint_id": str(len(done) + 1), "epoch": math.ceil(step / per_epoch), "step": step})
    _write_checkpoint(objective, model, config, done[-1])
    return done[-1]


def _write_checkpoint(
    objective: Objective, model: Any, config: TrainingConfig, checkpoint: dict[str, Any]
) -> None:
    """Whole or not at all."""
    folder = Path(config.output) / "checkpoints" / checkpoint["checkpoint_id"]
    scratch = folder.with_name(f".{folder.name}")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    objective.write(model, config, scratch)
    (scratch / "README.md").unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
    scratch.rename(folder)


def _write(model: Any, config: TrainingConfig, folder: Path) -> None:
    model.save_pretrained(folder, safe_serialization=True)
    if config.mode == "full":
        for name in (
            "tokenizer.json",
            "tokenizer_config.json",
            "chat_template.jinja",
            "generation_config.json",
        ):
            if (Path(config.model) / name).exists():
                shutil.copy(Path(config.model) / name, folder / name)


class _Meter:
    """Tells how the run goes: to the caller, and to `metrics.jsonl`."""

    def __init__(self, output: Path, report: Report, step: int, speaks: bool) -> None:
        self._path = output / "metrics.jsonl"
        self._report = report
        self._speaks = speaks
        self._since = time.perf_counter()
        # What was measured after the state that we go on from is measured again.
        kept = [line for line in _lines(self._path) if json.loads(line)["step"] <= step]
        self._path.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")

    def step(
        self, step: int, steps: int, epoch: float, measured: dict[str, float], tokens: int, rate: float
    ) -> None:
        now = time.perf_counter()
        speed = round(tokens / (now - self._since), 1)
        self._say(
            {
                "event": "step",
                "step": step,
                "steps": steps,
                "epoch": round(epoch, 4),
                **measured,
                "tokens_per_second": speed,
                "learning_rate": rate,
            }
        )
        self._since = now

    def evaluation(self, step: int, epoch: int, measured: dict[str, float]) -> None:
        self._say({"event": "eval", "step": step, "epoch": epoch, **measured})
        self._since = time.perf_counter()

    def _say(self, event: Event) -> None:
        if not self._speaks:
            return
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({key: value for key, value in event.items() if key != "event"}) + "\n")
        self._report(event)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
