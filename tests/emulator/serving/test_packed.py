"""The packed model computes what transformers and PEFT compute."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM, Gemma3ForCausalLM, Gemma3TextConfig

from vertex_tuning import training
from vertex_tuning.emulator.serving.packed import PackedModel, Segment

TINY = Path(training.__file__).parent / "tiny" / "tiny-0.1m"
ROWS = [list(range(10, 40)), [7], list(range(100, 175)), [3, 2, 1, 5, 8, 13, 21]]


@pytest.fixture(scope="module")
def gemma(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random Gemma 3: sliding windows, two kinds of position embedding, normalised queries."""
    torch.manual_seed(0)
    config = Gemma3TextConfig(
        vocab_size=200,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
        sliding_window=6,
        layer_types=["sliding_attention", "full_attention", "sliding_attention"],
        max_position_embeddings=128,
    )
    folder = tmp_path_factory.mktemp("gemma")
    Gemma3ForCausalLM(config).save_pretrained(folder)
    return folder


@pytest.fixture(params=["tiny", "gemma"])
def folder(request: pytest.FixtureRequest, gemma: Path) -> Path:
    return TINY if request.param == "tiny" else gemma


def reference(model: torch.nn.Module, row: list[int]) -> torch.Tensor:
    with torch.inference_mode():
        return model(input_ids=torch.tensor([row])).logits[0].float()


def plain(folder: Path) -> torch.nn.Module:
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


def read_all(
    model: PackedModel, rows: list[list[int]], adapters: list[object] | None = None
) -> list[torch.Tensor]:
    """Logits after every token of every row, all rows in one pass."""
    segments = [
        Segment(slot, 0, row, (adapters or [None] * len(rows))[slot], list(range(len(row))))
        for slot, row in enumerate(rows)
    ]
    with torch.inference_mode():
        taken, logits = model.forward(segments)
    found: dict[int, torch.Tensor] = {}
    at = 0
    for segment in taken:
        found[segment.slot] = logits[at : at + len(segment.wanted)]
        at += len(segment.wanted)
    return [found[slot] for slot in range(len(rows))]


def test_rows_of_any_length_share_a_pass(folder: Path) -> None:
    rows = [[token % 199 for token in row] for row in ROWS]
    model = plain(folder)
    for row, logits in zip(rows, read_all(PackedModel(folder), rows), strict=True):
        torch.testing.assert_close(logits, reference(model, row), atol=2e-4, rtol=1e-4)


def test_token_by_token_is_the_same_as_at_once(folder: Path) -> None:
    rows = [[token % 199 for token in row] for row in ROWS]
    model, packed = plain(folder), PackedModel(folder)
    with torch.inference_mode():
        for at in range(max(len(row) for row in rows)):
            # Slots are far apart and out of order, and rows end at different times.
            segments = [
                Segment(3 * slot, at, [row[at]], None, [0]) for slot, row in enumerate(rows) if at < len(row)
            ]
            taken, logits = packed.forward(segments[::-1])
            for segment, found in zip(taken, logits, strict=True):
                row = rows[segment.slot // 3]
                torch.testing.assert_close(found, reference(model, row[: at + 1])[-1], atol=2e-4, rtol=1e-4)


def test_reading_and_answering_happen_in_one_pass(folder: Path) -> None:
    model, packed = plain(folder), PackedModel(folder)
    long, short = [token % 199 for token in ROWS[2]], [token % 199 for token in ROWS[0]]
    with torch.inference_mode():
        packed.forward([Segment(1, 0, short[:-1], None, [])])
        packed.forward([Segment(0, 0, long[:40], None, [])])
        taken, logits = packed.forward(
            [
                Segment(0, 40, long[40:], None, [len(long) - 41]),
                Segment(1, len(short) - 1, short[-1:], None, [0]),
            ]
        )
    for segment, found in zip(taken, logits, strict=True):
        row = short if segment.slot else long
        torch.testing.assert_close(found, reference(model, row)[-1], atol=2e-4, rtol=1e-4)


def test_branches_after_a_prompt_do_not_see_each_other(folder: Path) -> None:
    model, packed = plain(folder), PackedModel(folder)
    prompt, branches = [5, 6, 7, 8, 9, 10, 11, 12], [[20, 21], [30, 31, 32], [20, 22]]
    visible = torch.block_diag(*(torch.ones(len(b), len(b)).tril() for b in branches)).bool()
    tokens = [token for branch in branches for token in branch]
    positions = [len(prompt) + at for branch in branches for at in range(len(branch))]
    with torch.inference_mode():
        packed.forward([Segment(0, 0, prompt, None, [])])
        _, logits = packed.forward(
            [Segment(0, len(prompt), tokens, None, list(range(len(tokens))), positions, visible)]
        )
    expected = torch.cat([reference(model, prompt + branch)[len(prompt) :] for branch in branches])
    torch.testing.assert_close(logits, expected, atol=2e-4, rtol=1e-4)


@pytest.fixture
def adapters(folder: Path, tmp_path: Path) -> list[Path]:
    """Adapters of two ranks, with weights that change a lot."""
    made = []
    for rank in (2, 8):
        torch.manual_seed(rank)
        config = LoraConfig(r=rank, lora_alpha=2 * rank, target_modules="all-linear", task_type="CAUSAL_LM")
        model = get_peft_model(plain(folder), config)
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(parameter, std=0.3)
        model.save_pretrained(tmp_path / str(rank))
        made.append(tmp_path / str(rank))
    return made


def test_each_row_of_a_batch_has_its_own_adapter(folder: Path, adapters: list[Path]) -> None:
    packed = PackedModel(folder)
    loaded = [None, *(packed.adapters.load(path) for path in adapters)]
    rows = [[token % 199 for token in row] for row in [*ROWS, ROWS[0], ROWS[1]]]
    which = [1, 0, 2, 1, 2, 1]
    found = read_all(packed, rows, [loaded[index] for index in which])
    for row, index, logits in zip(rows, which, found, strict=True):
        model = plain(folder)
        if index:
            model = PeftModel.from_pretrained(model, adapters[index - 1])
        torch.testing.assert_close(logits, reference(model, row), atol=5e-4, rtol=1e-3)
    base = reference(plain(folder), rows[0])
    assert (found[0] - base).abs().max() > 0.01


def test_an_adapter_of_another_model_is_refused(adapters: list[Path], folder: Path, gemma: Path) -> None:
    other = gemma if folder == TINY else TINY
    with pytest.raises((ValueError, AttributeError)):
        PackedModel(other).adapters.load(adapters[0])


@pytest.mark.parametrize("change", [{"use_dora": True}, {"bias": "all"}, {"peft_type": "IA3"}])
def test_an_adapter_that_is_not_plain_lora_is_refused(
    adapters: list[Path], folder: Path, change: dict[str, object]
) -> None:
    path = adapters[0] / "adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(ValueError, match="not a plain LoRA adapter"):
        PackedModel(folder).adapters.load(adapters[0])


def test_weights_that_could_run_code_are_not_loaded(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text((TINY / "config.json").read_text())
    torch.save({}, tmp_path / "pytorch_model.bin")
    with pytest.raises(OSError):
        PackedModel(tmp_path)
