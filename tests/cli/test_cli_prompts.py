"""`prompts`: saved from a file, listed, shown, brought back, deleted."""

from __future__ import annotations

from tests.cli.conftest import BASE


def test_a_prompt_goes_through_its_life(cli, tmp_path):
    name = tmp_path.name
    (tmp_path / "one.txt").write_text("Translate {text} into French.", encoding="utf-8")
    (tmp_path / "two.txt").write_text("Translate {text} into {language}.", encoding="utf-8")
    options = ["--system", "Be brief.", "--temperature", "0.5", "--max-output-tokens", "8"]
    saved = cli("prompts", "save", "one.txt", "--model", BASE, "--name", name, "--json", *options).json
    identifier = saved["id"]
    assert (saved["version"], saved["places"]) == ("1", ["text"])
    done = cli("prompts", "save", "two.txt", "--model", BASE, "--prompt", identifier, "--version-name", "any")
    assert done.out == f"{identifier} version 2\n"
    listed = cli("prompts", "list", "--filter", f'display_name="{name}"')
    assert identifier in listed.out
    assert "text, language" in listed.out
    only = cli("prompts", "list", "--filter", f'display_name="{name}"', "--json").json
    assert [item["id"] for item in only] == [identifier]
    versions = cli("prompts", "versions", identifier, "--json").json
    assert [(item["version"], item["version_name"]) for item in versions] == [("2", "any"), ("1", "")]
    assert "any" in cli("prompts", "versions", identifier).out
    shown = cli("prompts", "show", identifier, "--version", "1").out
    assert "Translate {text} into French." in shown
    assert "temperature=0.5" in shown
    assert "Be brief." in shown
    assert cli("prompts", "restore", identifier, "1").out == f"{identifier} version 3\n"
    assert cli("prompts", "show", identifier, "--json").json["text"] == "Translate {text} into French."
    gone = cli("prompts", "delete", identifier, "--version", "2", "--json").json
    assert gone == {"deleted": identifier, "version": "2", "was_there": True}
    assert cli("prompts", "delete", identifier).out == f"{identifier} is deleted\n"
    done = cli("prompts", "delete", identifier)
    assert (done.status, done.out) == (0, f"there is no prompt {identifier}; nothing was deleted\n")
    assert cli("prompts", "delete", identifier, "--version", "1", "--json").json["was_there"] is False
    done = cli("prompts", "show", identifier, "--json")
    assert (done.status, done.json["error"]["rule"]) == (1, "VT501")


def test_a_prompt_is_saved_for_a_model_that_there_is(cli, tmp_path):
    (tmp_path / "p.txt").write_text("Hello {name}.", encoding="utf-8")
    done = cli("prompts", "save", "p.txt", "--model", "gemini-2.5-flsh", "--name", tmp_path.name)
    assert (done.status, done.rule) == (1, "VT301")
    assert "gemini-2.5-flash" in done.err
    assert "models/ID@VERSION" in cli("prompts", "save", "p.txt", "--model", "123").err
    assert cli("prompts", "list", "--filter", f'display_name="{tmp_path.name}"', "--json").json == []
    tuned = "projects/p/locations/us-central1/models/7@1"
    saved = cli("prompts", "save", "p.txt", "--model", tuned, "--json")
    assert (saved.status, saved.json["model"]) == (0, tuned)


def test_a_prompt_comes_from_standard_input(command):
    done = command("prompts", "save", "-", "--model", BASE, "--json", input="Piped {here}.")
    assert done.json["text"] == "Piped {here}."
    assert done.json["name"] == "Piped {here}."


def test_a_file_that_cannot_be_read_is_told(cli, tmp_path):
    done = cli("prompts", "save", "nothing.txt", "--model", BASE)
    assert (done.status, "nothing.txt cannot be read" in done.err) == (2, True)
    (tmp_path / "image.png").write_bytes(b"\x89PNG\xff")
    assert "it is not UTF-8" in cli("prompts", "save", "image.png", "--model", BASE).err
    (tmp_path / "empty.txt").write_text("", encoding="utf-8")
    done = cli("prompts", "save", "empty.txt", "--model", BASE, "--json")
    assert (done.status, done.json["error"]["rule"]) == (1, "VT362")
    assert done.json["error"]["what"] == "a prompt needs a text"


def test_a_mark_that_an_editor_left_before_the_text_is_not_a_part_of_it(cli, tmp_path):
    (tmp_path / "marked.txt").write_bytes(b"\xef\xbb\xbfSay {colour}.")
    assert cli("prompts", "save", "marked.txt", "--model", BASE, "--json").json["text"] == "Say {colour}."
