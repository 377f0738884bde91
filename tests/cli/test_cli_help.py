"""`--help` says what a command does and shows it done; a command line that cannot be read is told so."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import click
import pytest

from tests.cli.terminals import COMMAND
from vertex_tuning import cli as command_line


def commands(
    command: click.Command = command_line.root, path: tuple[str, ...] = ()
) -> Iterator[tuple[str, ...]]:
    yield path
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None
            yield from commands(found, (*path, name))


def leaves() -> list[tuple[str, ...]]:
    every = list(commands())
    return [path for path in every if not any(other[:-1] == path for other in every if other)]


@pytest.mark.parametrize("path", list(commands()), ids=" ".join)
@pytest.mark.parametrize("columns", ["80", "40"])
def test_help_shows_an_example_and_cuts_nothing_off(cli, path, columns):
    done = cli(*path, "--help", COLUMNS=columns)
    assert (done.status, done.err) == (0, "")
    assert "Example:\n" in done.out
    example = done.out.partition("Example:\n")[2].splitlines()[0]
    assert " ".join(["vertex-tuning", *path]) in example
    assert "\\b" not in done.out
    if columns == "80":
        assert not [line for line in done.out.splitlines() if line.rstrip().endswith(" ...")]
        listed = done.out.partition("Commands:\n")[2]
        assert "..." not in listed
        assert not [line for line in done.out.splitlines() if len(line) > 80]


@pytest.mark.parametrize("path", leaves(), ids=" ".join)
def test_every_command_has_json(cli, path):
    assert "--json" in cli(*path, "--help").out


@pytest.mark.parametrize(
    "path",
    [path for path in leaves() if path[0] in ("tune", "jobs", "models", "prompts")],
    ids=" ".join,
)
def test_every_command_that_asks_a_service_can_be_told_which(cli, path):
    said = cli(*path, "--help").out
    assert {"--target", "--project", "--location", "--bucket"} <= set(said.replace("[", " ").split())


def test_commands_are_listed_in_the_order_in_which_one_needs_them(cli):
    listed = cli("emulator", "--help").out.partition("Commands:\n")[2]
    assert [line.split()[0] for line in listed.splitlines()] == [
        *("start", "stop", "status", "env", "exec", "reset", "models")
    ]


def test_root_help_tells_how_to_switch_completion_on_and_that_line_works(cli, command):
    (line,) = [line for line in cli("--help").out.splitlines() if "_COMPLETE=" in line]
    done = command("-c", f"{line.strip()}; complete -p vertex-tuning", argv=["bash"])
    assert "_vertex_tuning_completion" in done.out
    words = command(_VERTEX_TUNING_COMPLETE="bash_complete", COMP_WORDS="vertex-tuning jobs ", COMP_CWORD="2")
    assert {"plain,list", "plain,show", "plain,watch", "plain,cancel"} <= set(words.out.split())


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["jobs", "nonsense"],
        ["jobs", "show"],
        ["jobs", "list", "--nonsense"],
        ["jobs", "list", "--limit", "0"],
        ["jobs", "list", "--target", "elsewhere"],
        ["jobs", "watch", "1", "--timeout", "nan"],
        ["tune", "supervised", "x.jsonl"],
        ["tune", "supervised", "x.jsonl", "--base-model", "m", "--adapter-size", "3"],
        ["tune", "supervised", "x.jsonl", "--base-model", "m", "--label", "x"],
        ["tune", "supervised", "x.jsonl", "--base-model", "m", "--learning-rate-multiplier", "0"],
        ["models", "generate", "m", "hi", "--temperature", "inf"],
        ["emulator", "start", "--port", "65536"],
        ["emulator", "env", "--format", "xml"],
        ["emulator", "exec"],
        ["emulator", "exec", "--nonsense", "--", "true"],
    ],
    ids=" ".join,
)
def test_a_command_line_that_cannot_be_read_is_2_and_names_the_help(cli, arguments):
    done = cli(*arguments)
    assert (done.status, done.out) == (2, "")
    assert "--help" in done.err
    at = arguments.index("--") if "--" in arguments else len(arguments)
    done = cli(*arguments[:at], "--json", *arguments[at:])
    assert (done.status, done.err) == (2, "")
    assert done.rule == "VT198"
    assert done.json["faults"][0]["fix"].endswith("--help")


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [(["job"], "jobs"), (["jobs", "wach"], "watch"), (["models", "list", "--bse"], "--base")],
)
def test_a_slip_of_the_keys_is_told_what_was_meant(cli, arguments, meant):
    assert meant in cli(*arguments).err.partition("Did you mean")[2]


def test_the_version_is_one_word(cli):
    done = cli("--version")
    assert (done.status, len(done.out.split())) == (0, 1)


def test_an_error_that_nobody_expected_is_a_sentence_and_a_traceback_only_on_demand(
    command, train, monkeypatch
):
    arguments = ["data", "check", str(train), "--json"]
    program = (
        "import vertex_tuning.data\n"
        "def check(*_, **__): raise RuntimeError('the sky fell')\n"
        "vertex_tuning.data.check_job = check\n"
        "import vertex_tuning.cli; vertex_tuning.cli.main()"
    )
    argv = [str(COMMAND).replace("vertex-tuning", "python"), "-c", program]
    done = command(*arguments, argv=argv)
    assert (done.status, done.rule) == (1, "VT199")
    assert "the sky fell" in done.out
    raw = subprocess.run(
        [*argv, *arguments], env={"VERTEX_TUNING_TRACEBACK": "1"}, capture_output=True, text=True, check=False
    )
    assert raw.returncode == 1
    assert "Traceback" in raw.stderr
