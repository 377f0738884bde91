"""Files as people have them: compressed, with a byte order mark, from Windows, closed, cut off, huge."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from tests.data.examples import row, rows, turn
from vertex_tuning import DatasetError
from vertex_tuning.data import check


def lines(count: int = 3) -> list[bytes]:
    return [json.dumps(item).encode() for item in rows(count)]


@pytest.fixture
def write(tmp_path):
    def write_(content: bytes, name: str = "train.jsonl") -> Path:
        path = tmp_path / name
        path.write_bytes(content)
        return path

    return write_


def refusal(path: object) -> tuple[str, str, str]:
    with pytest.raises(DatasetError) as caught:
        check(path)
    fault = caught.value.fault
    assert fault.where
    return fault.rule, fault.what, fault.fix


@pytest.mark.parametrize(
    "content",
    [
        b"\n".join(lines()),
        b"\n".join(lines()) + b"\n",
        b"\r\n".join(lines()) + b"\r\n",
        b"\n\n  \n".join(lines()) + b"\n\n",
        b"\n \t\r\n" + b"\n".join(line + b"  " for line in lines()),
    ],
    ids=["no last end", "unix", "windows", "empty lines", "white space"],
)
def test_ends_of_lines_and_empty_lines_do_not_matter(write, content):
    report = check(write(content))
    assert (report.faults, report.rows, report.duplicates, report.bytes) == ([], 3, 0, len(content))


def test_a_line_has_the_number_that_an_editor_shows(write):
    broken = b'{"contents": '
    report = check(write(b"\r\n".join([lines()[0], b"", broken, b"", b"", lines()[1], broken])))
    [fault] = report.faults
    assert (fault.rule, fault.where) == ("VT204", "train.jsonl line 3")
    assert "line 7" in fault.why


def test_a_byte_order_mark_is_a_fault_of_the_first_line_and_hides_no_other(write):
    report = check(write(b"\xef\xbb\xbf" + b"\n".join([b"x", *lines()])))
    assert [(fault.rule, fault.where) for fault in report.faults] == [
        ("VT222", "train.jsonl line 1"),
        ("VT204", "train.jsonl line 1"),
    ]
    assert [fault.rule for fault in check(write(b"\xef\xbb\xbf")).faults] == ["VT222", "VT217"]


@pytest.mark.parametrize("content", [b"", b"\n", b"\n\r\n  \n"])
def test_a_file_with_nothing_in_it_is_a_fault(write, content):
    [fault] = check(write(content)).faults
    assert (fault.rule, fault.where) == ("VT217", "train.jsonl")


@pytest.mark.parametrize(
    ("content", "rule", "what", "fix"),
    [
        (gzip.compress(b"\n".join(lines())), "VT202", "the file is compressed", "gunzip train.jsonl"),
        (b"BZh91AY&SY", "VT202", "the file is compressed", "bunzip2 train.jsonl"),
        (b"\xfd7zXZ\x00\x00", "VT202", "the file is compressed", "unxz train.jsonl"),
        (b"\x28\xb5\x2f\xfd\x04", "VT202", "the file is compressed", "unzstd train.jsonl"),
        (b"PK\x03\x04\x14\x00", "VT202", "this is an archive, or a spreadsheet", "take the .jsonl file out of it"),
        (b"PAR1\x15\x04", "VT202", "this is a Parquet file", "write its rows as JSON, one object per line"),
        ("{}\n".encode("utf-16"), "VT213", "the file is UTF-16", "save it as UTF-8: iconv -f UTF-16 -t UTF-8 train.jsonl"),
    ],
    ids=["gzip", "bzip2", "xz", "zstd", "zip", "parquet", "utf-16"],
)  # fmt: skip
def test_a_file_of_another_kind_is_named(write, content, rule, what, fix):
    assert refusal(write(content)) == (rule, what, fix)


def test_a_file_that_is_one_json_list_is_told_to_be_split(write):
    for content in (json.dumps(rows(3)).encode(), json.dumps(rows(3), indent=2).encode()):
        report = check(write(content), method="preference")
        [fault] = report.faults
        assert fault.rule in ("VT204", "VT224")
        assert "not one list of them all" in fault.fix
        assert "vertex-tuning data convert FILE --method preference" in fault.fix
        assert fault.where == "train.jsonl line 1"


def test_what_begins_like_a_list_and_is_none_is_read_to_its_end(write):
    broken = b'[{"contents": '
    report = check(write(b"\n".join([broken, *lines(), b"{}"])))
    assert [fault.where for fault in report.faults][:1] == ["train.jsonl line 1"]
    assert "VT204" in {fault.rule for fault in report.faults}
    assert report.rows == 5
    row_by_row = check(write(b"[1]\n" + b"\n".join(lines()) + b"\n[2]"))
    assert [(fault.rule, row_by_row.rows) for fault in row_by_row.faults] == [("VT224", 5)]


def test_one_row_is_one_row_and_what_is_left_out_of_a_list_ends_it(write):
    assert "1 row: at least" in str(check(write(lines()[0])))
    text = str(check(write(b"\n".join([b"x"] * 9))))
    assert "lines 2, 3, 4, 5, ...\n" in text
    assert "9 rows" in text


def test_a_file_that_is_not_there(tmp_path):
    assert refusal(tmp_path / "nothing.jsonl")[:2] == ("VT201", "there is no such file")
    assert refusal(str(tmp_path / "nothing.jsonl"))[0] == "VT201"
    with pytest.raises(DatasetError, match="data check alone reads rows from standard input"):
        check("-")
    (tmp_path / "train.jsonl").touch()
    with pytest.raises(DatasetError) as caught:
        check(tmp_path / "trian.jsonl")
    assert caught.value.fault.fix == f"do you mean {tmp_path / 'train.jsonl'}?"
    assert refusal("a\0b.jsonl")[:2] == ("VT201", "no file can have this name")


def test_what_lies_in_cloud_storage_is_not_taken_for_a_path():
    assert refusal("gs://bucket/train.jsonl") == (
        "VT201",
        "what lies in Cloud Storage is not read",
        "copy the file here first: gcloud storage cp",
    )


def test_a_folder_is_no_file(tmp_path):
    assert refusal(tmp_path) == ("VT202", "this is a folder", "name a .jsonl file")


def test_a_file_that_cannot_be_read(tmp_path, write):
    write(b"{}")
    assert refusal(tmp_path / "train.jsonl" / "deeper.jsonl")[:2] == (
        "VT202",
        "the file cannot be read: Not a directory",
    )
    loop = tmp_path / "loop.jsonl"
    loop.symlink_to(loop)
    assert refusal(loop)[0] == "VT202"
    assert refusal(tmp_path / ("n" * 300))[:2] == ("VT202", "the file cannot be read: File name too long")


def test_a_file_that_may_not_be_read():
    """Root may read everything: what it starts becomes nobody first."""
    code = (
        "import os\nfrom vertex_tuning.data import check\nos.getuid() or os.setuid(65534)\n"
        "try: check('train.jsonl')\nexcept Exception as error: print(error.rule, error.fault.what)"
    )
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        path = Path(name, "train.jsonl")
        path.touch(0)
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=name, capture_output=True, text=True, check=True
        )
    assert done.stdout == "VT202 the file cannot be read: Permission denied\n"


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="needs a file that opens and cannot be read")
def test_a_file_that_breaks_while_it_is_read():
    assert refusal("/proc/self/mem")[0] == "VT202"


def test_a_pipe_is_read_to_its_end(tmp_path):
    """`zcat train.jsonl.gz | vertex-tuning data check /dev/stdin`."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    content = b"\n".join(lines(1_000))
    writer = threading.Thread(target=pipe.write_bytes, args=(content,))
    writer.start()
    report = check(pipe)
    writer.join()
    assert (report.rows, report.bytes, report.ok) == (1_000, len(content), True)


def test_a_name_may_be_given(write):
    report = check(write(b"x"), name="gs://bucket/train.jsonl")
    assert report.source == "gs://bucket/train.jsonl"
    assert report.faults[0].where == "gs://bucket/train.jsonl line 1"


def test_a_line_that_is_too_long_is_one_fault_and_the_lines_after_it_keep_their_numbers(write):
    huge = json.dumps(row(answer="x" * (70 * 1024**2))).encode()
    report = check(write(b"\n".join([*lines(1), huge, lines(2)[1], b"broken"])))
    assert [(fault.rule, fault.where) for fault in report.faults] == [
        ("VT216", "train.jsonl line 2"),
        ("VT204", "train.jsonl line 4"),
    ]
    assert report.faults[0].what == "a line of more than 64 MiB"
    assert report.rows == 4


def test_a_file_that_is_too_large_is_a_fault(write):
    path = write(b"\n".join(lines()) + b"\n")
    with path.open("r+b") as file:
        file.truncate(1_000_000_001)  # the rest is a hole: zeros that take no space
    report = check(path)
    assert [fault.rule for fault in report.faults] == ["VT216", "VT215"]
    assert report.faults[1].what == "1,000,000,001 bytes: more than the 1,000,000,000 that the service takes"
    assert report.faults[1].where == "train.jsonl"


PEAK = """
import re, sys
from vertex_tuning.data import check
report = check(sys.argv[1])
peak = re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]
print(report.rows, report.duplicates, len(report.faults), peak)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs a kernel that tells the peak")
def test_memory_stays_small_however_many_rows_there_are(tmp_path):
    """A row in ten has a fault of its own, one in a thousand is long, and the last is a copy of the first."""

    def peak(count: int) -> int:
        path = tmp_path / f"{count}.jsonl"
        with path.open("w", encoding="utf-8") as file:
            for number in range(count):
                answer = "x" * (20_000 if number % 1_000 == 0 else 30)
                extra = f', "f{number}": 1' if number % 10 == 9 else ""
                file.write(
                    f'{{"contents":[{{"role":"user","parts":[{{"text":"Number {number}?"}}]}},'
                    f'{{"role":"model","parts":[{{"text":"{answer}"}}]}}]{extra}}}\n'
                )
            file.write(json.dumps({"contents": [turn("user", "Number 0?"), turn("model", "x" * 20_000)]}))
        done = subprocess.run(
            [sys.executable, "-c", PEAK, str(path)], capture_output=True, text=True, check=True
        )
        found, duplicates, faults, kilobytes = map(int, done.stdout.split())
        assert (found, duplicates) == (count + 1, 1)
        assert faults <= 101
        return kilobytes

    small, large = peak(3_000), peak(300_000)
    # 14 bytes a row are 4 MB; a set of hashes would take 25, the lines themselves 60.
    assert large - small < 12_000
