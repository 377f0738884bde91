"""Supervised tuning: learn answers from examples, with an adapter or with every weight.

A short loop of our own on `accelerate`, because it is faster than a general one on a CPU and says exactly what it does: fp32
master weights (bf16 autocast where the processor multiplies it natively), the head computed on answer tokens alone, batches of
like length, no attention mask (padding stands to the right, where causal attention never looks), attention and adapters as a
CPU computes them best (`attention.py`, `fused.py`).

The same spec, data, seed, kind of processor and number of threads give the same weights, after an interruption too.
"""

from __future__ import annotations

import json
import math
import random
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from transformers import AutoModelForCausalLM
from transformers.utils import logging as transformers_logging

from vertex_tuning import catalog, data
from vertex_tuning.training import adapters, attention, fused, resume, rows
from vertex_tuning.training.chat import ChatTokenizer, Encoded
from vertex_tuning.training.stats import Tally

Event = dict[str, Any]
Report = Callable[[Event], None]

INVALID_ARGUMENT = 3
_WARM_UP = 0.1
_MAX_NORM = 1.0
_LENGTH_POOL = 8
_SAVE_EVERY = 20.0
_TOO_LONG = "VT216"
_FAULTS_SHOWN = 20


@dataclass(frozen=True, slots=True)
class SupervisedConfig:
    """What a run is told."""

    model: str
    """Folder of the base weights."""
    training: str
    """JSONL file."""
    output: str
    """Folder for checkpoints, metrics and the state of an interrupted run."""
    learning_rate: float
    """Peak rate of AdamW."""
    training_name: str | None = None
    """How the user calls it, for what is said about it; None: by its file name."""
    validation: str | None = None
    """JSONL file."""
    validation_name: str | None = None
    base_model: str | None = None
    """Id in the catalog, which decides what forms rows may have; None: any."""
    mode: str = "adapter"
    """`adapter` or `full`."""
    adapter_size: int = 8
    """Rank of the adapter."""
    epochs: int | None = None
    """Passes over the training set; None: by the set's size."""
    batch_size: int | None = None
    """Examples per step and device; None: by the set's size."""
    seed: int = 42
    max_tokens: int = 2048
    """Longer examples are dropped, and reported."""
    last_checkpoint_only: bool = False
    initial: str | None = None
    """Folder of an adapter to go on from."""
    threads: int = 1

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> SupervisedConfig:
        """From a JSON object.

        Raises:
            TypeError: It has a field that there is none of: a wish that is passed over in silence is a lie.
        """
        return cls(**data)

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        return asdict(self)


class DataFaultError(ValueError):
    """The data cannot be trained on; the message says why."""


def run(config: SupervisedConfig, report: Report) -> None:
    """Train, from the beginning or from where an earlier run of the same output folder was interrupted.

    Args:
        config: What to do.
        report: Gets an event for the data set, every step, evaluation and checkpoint, and the end: `dataset`, `step`, `eval`,
            `checkpoint`, and last `done` or `failed` (with a `google.rpc.Code` and a message).
    """
    try:
        _run(config, report)
    except DataFaultError as error:
        report({"event": "failed", "code": INVALID_ARGUMENT, "message": str(error)})
    except (torch.OutOfMemoryError, MemoryError) as error:
        report(
            {"event": "failed", "code": 8, "message": f"Out of memory: {error}. A smaller batch needs less."}
        )
    except OSError as error:
        report({"event": "failed", "code": 8, "message": f"The trainer could not write or read: {error}"})


def _run(config: SupervisedConfig, report: Report) -> None:
    transformers_logging.disable_progress_bar()
    torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)
    output = Path(config.output)
    output.mkdir(parents=True, exist_ok=True)
    tokenizer = ChatTokenizer(Path(config.model))
    tally = Tally()
    _check(config)
    examples = _load(config, config.training, config.training_name, tokenizer, tally)
    held_out: list[Encoded] = []
    if config.validation:
        held_out = _load(config, config.validation, config.validation_name, tokenizer, Tally())
    epochs = config.epochs or _auto_epochs(len(examples))
    batch_size = min(config.batch_size or (8 if len(examples) >= 32 else 4), len(examples))

    accelerator = Accelerator(cpu=not torch.cuda.is_available(), mixed_precision=_precision())
    if not accelerator.is_main_process:
        report = _keep_quiet
    lengths = [len(example.ids) for example in examples]
    batches = _plan(lengths, batch_size, config.seed, 0)
    per_epoch = math.ceil(len(batches) / accelerator.num_processes)
    steps = per_epoch * epochs
    report({"event": "dataset", "stats": tally.to_json(steps=steps, epochs=epochs)})

    model = _model(config, output)
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trainable, lr=config.learning_rate, weight_decay=0.0, fused=True)
    progress = resume.load(output, optimizer) or {"step": 0, "batch": 0, "epoch": 0, "checkpoints": []}
    model, optimizer = accelerator.prepare(model, optimizer)
    at_epochs = checkpoint_epochs(epochs, last_only=config.last_checkpoint_only)
    meter = _Meter(output, report, progress["step"], accelerator.is_main_process)

    step: int = progress["step"]
    saved_at = time.monotonic()
    for epoch in range(progress["epoch"], epochs):
        batches = _plan(lengths, batch_size, config.seed, epoch)
        mine = batches[accelerator.process_index :: accelerator.num_processes]
        mine += batches[: per_epoch - len(mine)]  # every device takes as many steps
        first = progress["batch"] if epoch == progress["epoch"] else 0
        for index in range(first, per_epoch):
            for group in optimizer.param_groups:
                group["lr"] = config.learning_rate * _schedule(step, steps)
            batch = [examples[row] for row in mine[index]]
            loss, accuracy = _step(accelerator, model, optimizer, trainable, batch)
            step += 1
            meter.step(step, steps, epoch + (index + 1) / per_epoch, loss, accuracy, batch, optimizer)
            if not math.isfinite(loss):
                raise DataFaultError(
                    f"The loss became {loss} at step {step} of {steps}: training diverged. A smaller learning rate "
                    f"(it was {config.learning_rate:g}) usually holds."
                )
            progress.update(step=step, epoch=epoch, batch=index + 1)
            if time.monotonic() - saved_at > _SAVE_EVERY and accelerator.is_main_process:
                resume.save(output, optimizer, progress)
                saved_at = time.monotonic()
        progress.update(epoch=epoch + 1, batch=0)
        if held_out:
            meter.evaluation(step, epoch + 1, *_evaluate(accelerator, model, held_out, batch_size))
        if epoch + 1 in at_epochs and accelerator.is_main_process:
            done: list[dict[str, Any]] = progress["checkpoints"]
            checkpoint = {"checkpoint_id": str(len(done) + 1), "epoch": epoch + 1, "step": step}
            _write_checkpoint(accelerator.unwrap_model(model), config, checkpoint)
            done.append(checkpoint)
            resume.save(output, optimizer, progress)
            saved_at = time.monotonic()
            report({"event": "checkpoint", **checkpoint})
    report({"event": "done", "steps": step, "epochs": epochs, "checkpoints": progress["checkpoints"]})


def _keep_quiet(_: Event) -> None:
    """What the others of several processes report: one speaks for all."""


# Data


def _load(
    config: SupervisedConfig, path: str, name: str | None, tokenizer: ChatTokenizer, tally: Tally
) -> list[Encoded]:
    name = name or Path(path).name
    examples = []
    number = 0
    try:
        for number, (_, row) in enumerate(rows.read(Path(path)), 1):
            chat = rows.messages(row)
            encoded = tokenizer.chat(chat)
            if not any(encoded.learn):
                raise ValueError("there is no model turn to learn")
            if len(encoded.ids) > config.max_tokens:
                reason = f"{len(encoded.ids)} tokens: more than the {config.max_tokens} that the model reads"
                tally.dropped.append((number, reason))
                continue
            tally.add(
                input_tokens=len(encoded.ids) - encoded.output_tokens,
                output_tokens=encoded.output_tokens,
                turns=len(chat),
                characters=sum(len(message["content"]) for message in chat),
                contents=row.get("contents"),
            )
            examples.append(encoded)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        words = str(error) if isinstance(error, ValueError) else f"not in a known format ({error!r})"
        raise DataFaultError(f"The data set {name} cannot be trained on: row {number}: {words}") from error
    share = catalog.limits("supervised")["max_dropped_share"]
    if len(tally.dropped) >= share * number:
        first = "; ".join(f"row {row}: {reason}" for row, reason in tally.dropped[:3])
        raise DataFaultError(
            f"{len(tally.dropped)} of {number} rows of {name} would be dropped, which is {share:.0%} or more: {first}"
        )
    return examples


def _check(config: SupervisedConfig) -> None:
    """Every fault of both sets at once, as the check before the upload has them. What is too long is dropped, and no fault."""
    names = (config.training_name, config.validation_name)
    reports = data.check_job(config.training, config.validation, base_model=config.base_model, names=names)
    faults = [fault for report in reports for fault in report.faults if fault.rule != _TOO_LONG]
    if faults:
        sets = " and ".join(report.source for report in reports if report.faults)
        shown = "\n".join(str(fault) for fault in faults[:_FAULTS_SHOWN])
        more = f"\n... and {len(faults) - _FAULTS_SHOWN} more" if len(faults) > _FAULTS_SHOWN else ""
        raise DataFaultError(f"{sets} cannot be trained on:\n{shown}{more}")


def _auto_epochs(examples: int) -> int:
    return 4 if examples <= 300 else 2 if examples <= 2000 else 1


def _plan(lengths: Sequence[int], batch_size: int, seed: int, epoch: int) -> list[list[int]]:
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


def _tensors(
    batch: Sequence[Encoded], device: torch.device
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Token ids (batch, length), where an answer token comes next (batch, length), and these tokens (answers,)."""
    length = max(len(example.ids) for example in batch)
    ids = torch.zeros((len(batch), length), dtype=torch.long)
    before = torch.zeros((len(batch), length), dtype=torch.bool)
    for row, example in enumerate(batch):
        ids[row, : len(example.ids)] = torch.tensor(example.ids)
        before[row, : len(example.ids) - 1] = torch.tensor(example.learn[1:])
    answers = ids.roll(-1, dims=1)[before]
    return ids.to(device), before.to(device), answers.to(device)


# Model


def _model(config: SupervisedConfig, output: Path) -> Any:
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
    if not torch.cuda.is_available():
        fused.apply(model)
    return model


def _precision() -> str:
    """`bf16` where the processor multiplies it natively; elsewhere it would be slower than fp32."""
    if torch.cuda.is_available():
        return "bf16" if torch.cuda.is_bf16_supported() else "no"
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
    except OSError:
        return "no"
    return "bf16" if "avx512_bf16" in flags or "amx_bf16" in flags else "no"


def _parts(model: Any) -> tuple[Any, Any]:
    """The trunk, which gives hidden states, and the head."""
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    return inner.get_decoder(), inner.get_output_embeddings()


def _forward(
    accelerator: Accelerator, model: Any, batch: Sequence[Encoded]
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Loss (mean over answer tokens), how many were predicted exactly, and how many there are."""
    ids, before, answers = _tensors(batch, accelerator.device)
    trunk, head = _parts(accelerator.unwrap_model(model))
    with accelerator.autocast():
        hidden = trunk(input_ids=ids, use_cache=False).last_hidden_state
        logits = head(hidden[before]).float()
    loss = torch.nn.functional.cross_entropy(logits, answers)
    hits = (logits.detach().argmax(dim=-1) == answers).sum()
    return loss, hits, torch.tensor(len(answers))


def _step(
    accelerator: Accelerator, model: Any, optimizer: Any, trainable: list[Any], batch: Sequence[Encoded]
) -> tuple[float, float]:
    loss, hits, count = _forward(accelerator, model, batch)
    accelerator.backward(loss)
    if accelerator.num_processes > 1:
        # Gradients are averaged by hand: the forward pass goes through the trunk, past the wrapper that would do it.
        for parameter in trainable:
            if parameter.grad is not None:
                parameter.grad = accelerator.reduce(parameter.grad, reduction="mean")
    torch.nn.utils.clip_grad_norm_(trainable, _MAX_NORM, foreach=True)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return float(loss.detach()), float(hits) / float(count)


def _schedule(step: int, steps: int) -> float:
    """Share of the peak rate: linear warm-up over a tenth of the steps, then half a cosine down to zero."""
    warm = max(1, round(_WARM_UP * steps))
    if step < warm:
        return (step + 1) / warm
    return 0.5 * (1.0 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))


@torch.no_grad()
def _evaluate(
    accelerator: Accelerator, model: Any, examples: Sequence[Encoded], batch_size: int
) -> tuple[float, float]:
    """Loss and accuracy per answer token on held-out examples."""
    model.eval()
    order = sorted(range(len(examples)), key=lambda row: len(examples[row].ids))
    total = hits = tokens = 0.0
    for start in range(0, len(order), 2 * batch_size):
        batch = [examples[row] for row in order[start : start + 2 * batch_size]]
        loss, right, count = _forward(accelerator, model, batch)
        total += float(loss) * float(count)
        hits += float(right)
        tokens += float(count)
    model.train()
    return total / tokens, hits / tokens


# Results


def checkpoint_epochs(epochs: int, *, last_only: bool) -> list[int]:
    """After which epochs a checkpoint is kept: each, or ten evenly spread where there are more, the last among them."""
    most = catalog.limits("supervised")["max_checkpoints"]
    if last_only:
        return [epochs]
    if epochs <= most:
        return list(range(1, epochs + 1))
    return [math.ceil((index + 1) * epochs / most) for index in range(most)]


def _write_checkpoint(model: Any, config: SupervisedConfig, checkpoint: dict[str, Any]) -> None:
    """PEFT's format for an adapter, transformers' for all weights; loads in both. Whole or not at all."""
    folder = Path(config.output) / "checkpoints" / checkpoint["checkpoint_id"]
    scratch = folder.with_name(f".{folder.name}")
    shutil.rmtree(scratch, ignore_errors=True)
    model.save_pretrained(scratch, safe_serialization=True)
    (scratch / "README.md").unlink(missing_ok=True)
    if config.mode == "full":
        for name in (
            "tokenizer.json",
            "tokenizer_config.json",
            "chat_template.jinja",
            "generation_config.json",
        ):
            if (Path(config.model) / name).exists():
                shutil.copy(Path(config.model) / name, scratch / name)
    shutil.rmtree(folder, ignore_errors=True)
    scratch.rename(folder)


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
        self,
        step: int,
        steps: int,
        epoch: float,
        loss: float,
        accuracy: float,
        batch: Sequence[Encoded],
        optimizer: Any,
    ) -> None:
        now = time.perf_counter()
        tokens = sum(len(example.ids) for example in batch)
        self._say(
            {
                "event": "step",
                "step": step,
                "steps": steps,
                "epoch": round(epoch, 4),
                "loss": loss,
                "accuracy": accuracy,
                "tokens_per_second": round(tokens / (now - self._since), 1),
                "learning_rate": optimizer.param_groups[0]["lr"],
            }
        )
        self._since = now

    def evaluation(self, step: int, epoch: int, loss: float, accuracy: float) -> None:
        self._say(
            {"event": "eval", "step": step, "epoch": epoch, "eval_loss": loss, "eval_accuracy": accuracy}
        )
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
