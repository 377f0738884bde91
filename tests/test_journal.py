"""The key of a job is on disk before the job is asked for, whatever happens then."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from vertex_tuning import ConfigurationError
from vertex_tuning.journal import KEPT_FOR, Journal

SPEC, OTHER = "a" * 64, "a" * 16 + "b" * 48
PLACE = "http://127.0.0.1:1 p us-central1"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "home" / "journal"


@pytest.fixture
def journal(folder: Path) -> Journal:
    return Journal(folder)


def test_a_key_is_found_as_soon_as_it_is_given_and_its_job_once_it_has_a_name(journal, folder):
    assert journal.find(SPEC, PLACE) == []
    entry = journal.open(SPEC, PLACE)
    assert len(entry.key) == 32
    assert (entry.digest, entry.place, entry.job) == (SPEC, PLACE, "")
    assert Journal(folder).find(SPEC, PLACE) == [entry]
    journal.close(entry, "projects/1/locations/l/tuningJobs/2")
    [closed] = Journal(folder).find(SPEC, PLACE)
    assert (closed.key, closed.job) == (entry.key, "projects/1/locations/l/tuningJobs/2")


def test_every_tune_has_a_key_of_its_own_and_the_newest_comes_first(journal):
    entries = [journal.open(SPEC, PLACE) for _ in range(5)]
    assert len({entry.key for entry in entries}) == 5
    assert journal.find(SPEC, PLACE) == entries[::-1]


def test_another_spec_or_another_place_is_another_job(journal):
    entry = journal.open(SPEC, PLACE)
    journal.open(OTHER, PLACE)  # its digest begins the same way
    journal.open(SPEC, "vertex p us-central1")
    assert journal.find(SPEC, PLACE) == [entry]


def test_what_was_refused_is_forgotten(journal):
    entry = journal.open(SPEC, PLACE)
    journal.forget(entry)
    journal.forget(entry)
    assert journal.find(SPEC, PLACE) == []


def test_nobody_else_may_read_it(journal, folder):
    old = os.umask(0)
    try:
        journal.open(SPEC, PLACE)
    finally:
        os.umask(old)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert [path.stat().st_mode & 0o777 for path in folder.iterdir()] == [0o600]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b'{"key": "0',
        b"[]",
        b"null",
        b"{}",
        b"\xff\xfe",
        b'{"key": "0", "digest": "d", "place": "p", "job": "", "more": 1}',
        b'{"key": 5, "digest": 6, "place": 7}',
        b"\x00" * 100,
    ],
    ids=["empty", "torn", "list", "null", "fields missing", "not utf-8", "unknown field", "numbers", "zeros"],
)
def test_a_damaged_entry_is_passed_over(journal, folder, content):
    first, damaged, last = (journal.open(SPEC, PLACE) for _ in range(3))
    [path] = folder.glob(f"*{damaged.key}*")
    path.write_bytes(content)
    assert journal.find(SPEC, PLACE) == [last, first]
    journal.close(first, "job")
    assert journal.open(SPEC, PLACE) in journal.find(SPEC, PLACE)


def test_an_entry_under_anothers_name_is_not_taken_for_it(journal, folder):
    entry = journal.open(SPEC, PLACE)
    [path] = folder.iterdir()
    path.with_name(path.name.replace(entry.key, "0" * 32)).write_bytes(path.read_bytes())
    assert journal.find(SPEC, PLACE) == [entry]


def test_other_files_in_its_folder_do_not_matter(journal, folder):
    entry = journal.open(SPEC, PLACE)
    (folder / f"{SPEC[:16]}-folder.json").mkdir()
    (folder / f"{SPEC[:16]}-loop.json").symlink_to("nowhere")
    (folder / "notes.txt").write_text("mine", encoding="utf-8")
    assert journal.find(SPEC, PLACE) == [entry]


KILLED = """
import os, signal, sys
from pathlib import Path
from vertex_tuning.journal import Journal
entry = Journal(Path(sys.argv[1])).open(sys.argv[2], sys.argv[3])
print(entry.key, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_the_key_of_a_caller_that_was_killed_is_there(journal, folder):
    done = subprocess.run([sys.executable, "-c", KILLED, folder, SPEC, PLACE], capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL
    [entry] = journal.find(SPEC, PLACE)
    assert (entry.key, entry.job) == (done.stdout.strip(), "")


BUSY = """
import sys
from pathlib import Path
from vertex_tuning.journal import Journal
journal = Journal(Path(sys.argv[1]))
for number in range(20):
    entry = journal.open(sys.argv[2], sys.argv[3])
    assert entry in journal.find(sys.argv[2], sys.argv[3])
    if number % 4 == 3:
        journal.forget(entry)
    else:
        journal.close(entry, f"job {sys.argv[4]}.{number}")
"""


def test_several_processes_use_it_at_once_and_none_sees_half_an_entry(journal, folder):
    workers = [subprocess.Popen([sys.executable, "-c", BUSY, folder, SPEC, PLACE, str(n)]) for n in range(3)]
    while any(worker.poll() is None for worker in workers):
        assert all(len(entry.key) == 32 for entry in journal.find(SPEC, PLACE))
    assert [worker.returncode for worker in workers] == [0, 0, 0]
    found = journal.find(SPEC, PLACE)
    assert len({entry.job for entry in found}) == len(found) == 3 * 15
    assert all(entry.job for entry in found)
    assert len(list(folder.iterdir())) == len(found)  # and no scraps


def test_a_journal_that_cannot_be_written_means_that_nothing_is_asked_for(tmp_path):
    (tmp_path / "journal").write_text("a file", encoding="utf-8")
    with pytest.raises(ConfigurationError) as caught:
        Journal(tmp_path / "journal").open(SPEC, PLACE)
    assert (caught.value.rule, caught.value.fault.where) == ("VT111", str(tmp_path / "journal"))
    assert Journal(tmp_path / "journal").find(SPEC, PLACE) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_job_that_was_made_is_not_lost_because_its_name_cannot_be_written(journal, folder, monkeypatch):
    entry = journal.open(SPEC, PLACE)
    full = os.open("/dev/full", os.O_WRONLY)
    monkeypatch.setattr("tempfile.mkstemp", lambda **_: (full, str(folder / ".writing-x")))
    journal.close(entry, "job")
    assert journal.find(SPEC, PLACE) == [entry]  # by its key it is found again


def test_what_nobody_will_ask_for_goes_and_what_is_not_ours_stays(journal, folder):
    old, young = journal.open(SPEC, PLACE), journal.open(SPEC, PLACE)
    scrap, theirs = folder / ".writing-abc", folder / "notes.txt"
    for path in (scrap, theirs):
        path.write_text("x", encoding="utf-8")
    long_ago = time.time() - KEPT_FOR - 60
    [path] = folder.glob(f"*{old.key}*")
    for item in (path, scrap, theirs):
        os.utime(item, (long_ago, long_ago))
    newest = journal.open(SPEC, PLACE)
    assert journal.find(SPEC, PLACE) == [newest, young]
    assert not scrap.exists()
    assert theirs.exists()


def test_entries_of_other_jobs_are_not_even_opened(journal, folder):
    """Ten thousand, all of them a pipe that nobody writes to: whoever opens one waits for ever."""
    folder.mkdir(parents=True)
    pipe = folder / "pipe"
    os.mkfifo(pipe)
    for number in range(10_000):
        os.link(pipe, f"{folder}/{number:016x}-{number:032x}.json")
    entry = journal.open(SPEC, PLACE)
    assert journal.find(SPEC, PLACE) == [entry]
