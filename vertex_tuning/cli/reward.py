"""`vertex-tuning reward`: what answers are worth, before a job is paid for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vertex_tuning.cli import _common
from vertex_tuning.cli._lazy import Group

if TYPE_CHECKING:
    from vertex_tuning.cli._serve import Scorer
    from vertex_tuning.rewards import AnyReward
    from vertex_tuning.rewards.config import Strict


@click.group(cls=Group)
def reward() -> None:
    """Try rewards for reinforcement tuning before they are paid for.

    \b
    Example:
      vertex-tuning reward test reward.json prompts.jsonl
    """


@reward.command()
@click.argument("reward_file", metavar="REWARD", type=click.Path(path_type=Path))
@click.argument("dataset", metavar="DATA", type=click.Path(path_type=Path))
@click.option(
    "--model",
    default="gemini-2.5-flash",
    show_default=True,
    help="Whose answers: a model of the catalog, or a tuned one.",
)
@click.option("--rows", type=click.IntRange(1), default=50, show_default=True, help="How many prompts.")
@click.option("--answers", type=click.IntRange(1), default=4, show_default=True, help="To each prompt.")
@click.option(
    "--temperature", type=_common.Number(min=0), default=1.0, show_default=True, help="How varied they are."
)
@click.option("--max-output-tokens", type=click.IntRange(1), default=64, show_default=True, help="Of each.")
@_common.map_option
@click.option(
    "--retry", is_flag=True, help="Call the reward again as a job does, where it fails for a passing reason."
)
@_common.target_options
def test(
    reward_file: Path,
    dataset: Path,
    model: str,
    rows: int,
    answers: int,
    temperature: float,
    max_output_tokens: int,
    retry: bool,
    map: tuple[str, ...],
    where: dict[str, str],
    as_json: bool,
) -> None:
    """Score a model's answers, and answers that try to cheat.

    REWARD is a JSON file with a singleRewardConfig or a compositeRewardConfig, as a tuning job has it; DATA a JSONL file of rows
    with contents and references. Said is how far the rewards spread, for how many prompts all answers earn the same, what
    failed, how often each reward was asked, and what an empty answer, an echo, a list of keywords, a very long answer and the
    right answer in two forms earn.
    Exit status 1 where something speaks against the reward.

    \b
    Example:
      vertex-tuning reward test reward.json prompts.jsonl \\
          --model gemini-2.5-flash --rows 20
    """
    from vertex_tuning.rewards import maps, service

    service.map_hosts(maps.read(map))
    asked = read_reward(reward_file)
    with _common.open_client(where) as client:
        trial = client.try_reward(
            asked,
            dataset,
            model=model,
            rows=rows,
            answers=answers,
            temperature=temperature,
            max_output_tokens=max_output_tokens,
            progress=None if as_json else _common.answers_there,
            retry=retry,
        )
    if as_json:
        _common.print_json(trial.to_json())
    else:
        click.echo(str(trial))
    raise SystemExit(0 if trial.ok else 1)


@reward.command()
@click.argument("reward_file", metavar="[REWARD]", type=click.Path(path_type=Path), required=False)
@click.option(
    "--reward-model",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Serve a reward model in the place of REWARD: a checkpoint of --method reward.",
)
@click.option(
    "--host", default="127.0.0.1", show_default=True, help="Where it listens; 0.0.0.0 in Cloud Run."
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8080,
    show_default=True,
    envvar="PORT",
    help="0: any free one.",
)
@_common.json_option
def serve(reward_file: Path | None, reward_model: Path | None, host: str, port: int, as_json: bool) -> None:
    """Serve a reward, or a reward model, as Cloud Run would.

    REWARD is a JSON file, as for `reward test`. A tuning job posts an example and a response, and gets a reward; here it is tried
    first, by the same command that runs in the cloud. A reward model scores what is asked at the same time together, each answer
    between -1 and 1: how likely it is to be preferred to an average one.

    \b
    Example:
      vertex-tuning reward serve reward.json --port 8081
      vertex-tuning reward serve --reward-model out/checkpoints/1 --port 8081
    """
    from vertex_tuning.cli._serve import Server
    from vertex_tuning.errors import RewardError

    if (reward_file is None) == (reward_model is None):
        raise click.UsageError("one of the two: REWARD, or --reward-model FOLDER")
    asked: Scorer
    if reward_model is not None:
        from vertex_tuning.cli._judge import ServedModel

        asked = ServedModel(reward_model)
    else:
        assert reward_file is not None
        asked = read_reward(reward_file, strict="here")
    try:
        server = Server(host, port, asked)
    except OSError as error:
        raise RewardError(
            "VT914", f"{host}:{port}: {error.strerror}", fix="--port 0 takes any free one"
        ) from error
    with server:
        address = f"http://{host}:{server.server_port}"
        if as_json:
            _common.print_json_line({"address": address})
        else:
            click.echo(address)
        server.serve_forever()


@reward.command()
@click.argument("grader", metavar="GRADER", type=click.Path(path_type=Path))
@click.option(
    "--output", type=click.Path(path_type=Path), help="Where the reward goes. [default: GRADER-reward.json]"
)
@click.option(
    "--judge-model",
    default="",
    help="Who judges in the place of OpenAI's model: a Gemini model's name, or a full resource name.",
)
@click.option(
    "--runs",
    type=click.Path(path_type=Path),
    help="JSONL of what the grader paid at OpenAI: item, model_sample and reward. They are held against the reward.",
)
@_common.target_options
def convert(
    grader: Path,
    output: Path | None,
    judge_model: str,
    runs: Path | None,
    where: dict[str, str],
    as_json: bool,
) -> None:
    """Make a reward of a grader of OpenAI's.

    GRADER is a JSON file (-: standard input): a grader (string_check, text_similarity, score_model, label_model, python, multi),
    or a job or an eval that holds one. What has no counterpart is said, all at once; what is not quite as it was is noted. Rows
    become ready for it by `data convert --method reinforcement`. Exit status 1 where --runs were paid otherwise.

    \b
    Example:
      vertex-tuning reward convert grader.json
      vertex-tuning reward test grader-reward.json prompts.jsonl
    """
    from vertex_tuning.rewards.graders import from_openai, prove

    if grader == Path("-"):
        if output is None:
            raise click.UsageError("What is read from standard input has no name: give --output FILE.")
        grader = Path("/dev/stdin")
    target = output or grader.with_name(f"{grader.stem}-reward.json")
    _check_free(target)
    found = from_openai(_read(grader, _GRADER), judge_model=_full_name(judge_model, where))
    proof = prove(found.reward, _runs(runs), source=str(runs)) if runs else None
    _write(target, json.dumps(found.reward.request(), indent=2, ensure_ascii=False) + "\n")
    if as_json:
        told = {"output": str(target), **found.to_json(), "proof": proof and proof.to_json()}
        _common.print_json(told)
    else:
        click.echo("\n".join([str(found), *([str(proof)] if proof else []), str(target)]))
        if found.modules:
            serve = f"vertex-tuning reward serve {target} --port 8081"
            _common.say(f"pip install {' '.join(found.modules)}\n{serve}")
        else:
            _common.say(f"Try it: vertex-tuning reward test {target} prompts.jsonl")
    raise SystemExit(0 if proof is None or proof.ok else 1)


def _check_free(target: Path) -> None:
    from vertex_tuning.errors import RewardError

    if target.exists() or target.is_symlink():
        fix = "remove it, or name another: --output FILE"
        what = "it is there already, and is not overwritten"
        raise RewardError("VT956", what, where=str(target), fix=fix)


def _write(target: Path, text: str) -> None:
    """A new file."""
    from vertex_tuning.errors import RewardError

    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        _check_free(target)  # somebody else may have made it since
        what, fix = f"it cannot be written: {error.strerror}", "write where you may: --output FILE"
        raise RewardError("VT956", what, where=str(target), fix=fix) from error


def _full_name(model: str, where: dict[str, str]) -> str:
    """A judge's name as a reward has it: in the project and location that are configured."""
    from vertex_tuning import catalog
    from vertex_tuning.config import load
    from vertex_tuning.connection import DEFAULT_LOCATION
    from vertex_tuning.errors import RewardError

    if not model or model.startswith("projects/"):
        return model
    name, settings = catalog.base_model(model).id, load(**where)
    if not settings.project:
        fix = "--project my-project, or the full name: projects/P/locations/L/publishers/google/models/M"
        raise RewardError("VT954", "a judge is named with its project", where="--judge-model", fix=fix)
    place = f"projects/{settings.project}/locations/{settings.location or DEFAULT_LOCATION}"
    return f"{place}/publishers/google/models/{name}"


def _runs(path: Path) -> Iterator[dict[str, Any]]:
    from vertex_tuning.errors import RewardError

    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    run = json.loads(line)
                    if not isinstance(run, dict):
                        raise ValueError(f"line {number} is no JSON object")
                    yield run
    except OSError as error:
        what, fix = f"they cannot be read: {error.strerror}", "see that the path is right"
        raise RewardError("VT955", what, where=str(path), fix=fix) from error
    except (ValueError, RecursionError) as error:
        fix = 'one object a line: {"item": {...}, "model_sample": "...", "reward": 0.5}'
        raise RewardError("VT955", f"they are no JSONL: {error}", where=str(path), fix=fix) from error


def read_reward(path: Path, *, strict: Strict = True) -> AnyReward:
    """A reward from a JSON file; see `rewards.from_json`."""
    from vertex_tuning import rewards

    return rewards.from_json(_read(path), strict=strict)


_REWARD = '{"singleRewardConfig": {...}}, as reward.request() gives it; the data come after it'
_GRADER = '{"type": "string_check", ...}, or the job or the eval that holds the grader, as OpenAI had it'


def _read(path: Path, form: str = _REWARD) -> dict[str, Any]:
    """A JSON object from a file, which is to look so."""
    from vertex_tuning.errors import RewardError

    try:
        config: Any = json.loads(path.read_text(encoding="utf-8"))
        json.dumps(config, ensure_ascii=False).encode()
    except OSError as error:
        what, fix = f"it cannot be read: {error.strerror}", "see that the path is right"
        raise RewardError("VT901", what, where=str(path), fix=fix) from error
    except UnicodeEncodeError as error:
        what, fix = "half of a character stands alone in it (a surrogate)", "write the whole character"
        raise RewardError("VT901", what, where=str(path), fix=fix) from error
    except (ValueError, RecursionError) as error:
        raise RewardError("VT901", f"it is not JSON: {error}", where=str(path), fix=form) from error
    if not isinstance(config, dict):
        raise RewardError("VT901", "it is not a JSON object", where=str(path), fix=form)
    return config
