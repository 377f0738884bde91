"""What a training run is told: plain data, so that a server without torch can write it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, Self

LOGITS_AT_ONCE = 1 << 27
"""Numbers of logits that are held at a time: half a gigabyte in fp32, and a few times that on the way back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingConfig:
    """What a run is told, whatever the way."""

    method: ClassVar[str]
    """By which `python -m vertex_tuning.training` knows it."""
    known_as: ClassVar[str]
    """As the catalog calls the way whose rows and limits it has: `supervised`, `preference`, `reinforcement`, `distillation`."""

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
    steps: int | None = None
    """So many steps, whatever the epochs; None: by them."""
    max_steps: int | None = None
    """Never more than these."""
    checkpoint_interval: int | None = None
    """A checkpoint after so many steps; None: after epochs."""
    evaluate_interval: int | None = None
    """A look at the validation set after so many steps; None: after epochs."""
    initial: str | None = None
    """Folder of an adapter to go on from."""
    dropped: Sequence[tuple[int, str]] = ()
    """Rows that were left out of the training set before: (row from 1, reason). They are reported."""
    dropped_validation: Sequence[tuple[int, str]] = ()
    """The same of the validation set."""
    gradient_checkpointing: bool = False
    """Keep the inputs of each layer alone, and compute the rest again on the way back: the same numbers with much less memory,
    in about 40 % more time (8 billion parameters on an H100)."""
    threads: int = 1

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """From a JSON object.

        Raises:
            TypeError: It has a field that there is none of: a wish that is passed over in silence is a lie.
        """
        return cls(**data)

    def usual_epochs(self, rows: int, batch_size: int) -> int:  # noqa: ARG002
        """Passes over so many rows where nobody says how many."""
        return 4 if rows <= 300 else 2 if rows <= 2000 else 1

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class SupervisedConfig(TrainingConfig):
    """Learn answers from examples."""

    method = known_as = "supervised"


@dataclass(frozen=True, slots=True, kw_only=True)
class DistillationConfig(TrainingConfig):
    """Learn a teacher's answers; the rows hold them already."""

    method = known_as = "distillation"


@dataclass(frozen=True, slots=True, kw_only=True)
class StepByStepConfig(TrainingConfig):
    """Learn a teacher's labels and rationales, as two tasks; the rows hold both already.

    How the two are weighed is said in one of two ways; said in neither, `rationale_weight` is 1.
    """

    method = known_as = "step_by_step"
    rationale_weight: float | None = None
    """The paper's lambda: the loss is label + lambda * rationale. 0: the labels alone are learnt, at the price of those alone."""
    alpha: float | None = None
    """The released code's: the loss is alpha * label + (1 - alpha) * rationale."""

    @property
    def weights(self) -> tuple[float, float]:
        """Of the label's loss and of the rationale's."""
        if self.alpha is not None:
            return self.alpha, 1.0 - self.alpha
        return 1.0, 1.0 if self.rationale_weight is None else self.rationale_weight


@dataclass(frozen=True, slots=True, kw_only=True)
class PreferenceConfig(TrainingConfig):
    """Learn which of two answers is preferred."""

    method = known_as = "preference"
    beta: float = 0.1
    """How much it costs to move away from the model that the run began with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RewardConfig(TrainingConfig):
    """Learn to say which of two answers is preferred, by a number for each. `initial` is put into the model first."""

    method, known_as = "reward", "preference"
    mode: str = "full"
    center: float = 0.01
    """How much it costs where the rewards of a pair do not add up to zero."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReinforcementConfig(TrainingConfig):
    """Try answers, and learn from what they earn."""

    method = known_as = "reinforcement"
    reward: dict[str, Any] | None = None
    """`singleRewardConfig` or `compositeRewardConfig`, as Google's JSON has it."""
    reward_model: str | None = None
    """Folder of a reward model, a checkpoint of `--method reward`, in the place of `reward`."""
    beta: float = 0.0
    """How much it costs, for each nat and token, to move away from the model that the run began with; 0: nothing, and the
    distance is not measured."""
    measure: str | None = None
    """What answers to the validation set are measured by beside the reward: `token_f1` or `exact_match`. None: by nothing."""
    measured_against: str = "answer"
    """Name of the text among a row's `references` that the measure holds an answer against."""
    stop_when_hacked: bool = True
    """Where the reward climbs and the measure says that it is hacked, stop there."""
    samples_per_prompt: int = 8
    """Answers to each prompt in a step."""
    max_output_tokens: int = 64
    """Of an answer."""
    split_validation: bool = False
    """Without a validation set, split one off the training set, as the service does."""
    judge: str | None = None
    """Address of the emulator, whose models judge where the reward asks for it."""
    judge_token: str | None = None
    """What it wants to see on every call, where it listens beyond loopback."""
    local_code: bool = True
    """Whether code rewards are run at all."""
    job: int = 0
    """Id of the tuning job, which services are told."""
    maps: dict[str, str] = field(default_factory=dict)
    """Hosts of rewards in the cloud, and the addresses on this machine that stand in for them."""

    def usual_epochs(self, rows: int, batch_size: int) -> int:
        """As the service decides: up to ten passes, some 110 steps. Source: "Hyperparameters" (2026-09-25)."""
        return max(1, min(110 * batch_size // rows, 10))


@dataclass(frozen=True, slots=True, kw_only=True)
class AnsweringConfig(TrainingConfig):
    """Learn nothing: answer the prompts of `training`, with the adapter in `initial` where one is named."""

    method, known_as = "answering", "reinforcement"
    learning_rate: float = 0.0
    samples_per_prompt: int = 1
    """Answers to each prompt; a single one is made of the likeliest tokens, several are sampled."""
    max_output_tokens: int = 64
    """Of an answer."""
    reward_model: str | None = None
    """Folder of a reward model that scores the answers."""
    measure: str | None = None
    """What the answers are measured by: `token_f1` or `exact_match`."""
    measured_against: str = "answer"
    """Name of the text among a row's `references` that the measure holds an answer against."""
