"""The buckets that Google's samples read from, filled with rows of our own in the same format.

`gs://cloud-samples-data/ai-platform/generative_ai/**/sft_train_data.jsonl` and `sft_validation_data.jsonl`:
short local notices, each with the headline that sums it up. `batch/prompt_for_batch_gemini_predict.jsonl`: some
of the notices as requests of a batch. The rows are put together from parts, by a fixed
random sequence, so that every emulator has the same ones; none is in both sets.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

from vertex_tuning.emulator.state import Database
from vertex_tuning.emulator.storage.blobs import BlobStore
from vertex_tuning.emulator.storage.buckets import Buckets
from vertex_tuning.emulator.storage.objects import Objects

BUCKET = "cloud-samples-data"
FOLDERS = ("", "gemini/", "gemini/text/", "gemini-1_5/text/", "gemini-2_0/text/", "gemini-2_5/text/")
TRAINING_ROWS = 320
VALIDATION_ROWS = 48
BATCH = "batch/prompt_for_batch_gemini_predict.jsonl"
BATCH_ROWS = 12
_VERSION = "2"
"""Raise it when the rows change: emulators with older ones take the new."""

_INSTRUCTION = (
    "You write headlines for a local newspaper. Answer with one line, and only with what the notice says."
)

_PLACES = (
    "Ashford", "Brookfield", "Carrow", "Dunmore", "Elmstead", "Fairhaven", "Glenside", "Harwick",
    "Ivybridge", "Kestrel Bay", "Lindale", "Marlow", "Northgate", "Oakham", "Penrith",
)  # fmt: skip
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = ("March", "April", "May", "June", "September", "October", "November")
_NAMES = (
    "Ada Whitlock", "Ben Okafor", "Clara Jensen", "Dev Patel", "Elena Ruiz", "Farid Nouri",
    "Grace Lindqvist", "Hugo Martin", "Ines Costa", "Jonah Reed", "Kei Tanaka", "Lena Vogel",
)  # fmt: skip
_BUILDINGS = (
    "library",
    "swimming pool",
    "town hall",
    "museum",
    "sports hall",
    "railway station",
    "youth club",
)
_STREETS = ("Mill Lane", "Station Road", "Harbour Street", "Chapel Hill", "Orchard Way", "Bridge Street")
_CAUSES = (
    "a burst water pipe", "storm damage to the roof", "a fault in the heating",
    "flooding in the cellar", "an electrical fire", "loose tiles above the entrance",
)  # fmt: skip
_FAIRS = (
    "book fair",
    "seed exchange",
    "repair café",
    "food market",
    "craft fair",
    "bicycle day",
    "jazz evening",
)
_SCHOOLS = ("primary school", "grammar school", "music school", "evening college")
_PRIZES = (
    "a regional science prize", "the county choir contest", "a national chess title",
    "an award for its garden", "the inter-school debate cup",
)  # fmt: skip
_ANIMALS = ("pair of ospreys", "colony of bats", "family of otters", "young seal", "swarm of wild bees")
_SPOTS = ("the old mill pond", "the harbour wall", "the church tower", "the disused quarry", "the canal bank")
_TRADES = ("bakery", "bookshop", "hardware shop", "fish restaurant", "bicycle workshop", "tailor's")

# Notice and headline, with the same slots.
_FORMS = (
    (
        "The {building} in {place} will stay shut until {day} after {cause} was found early this"
        " morning. Nobody was hurt. The council expects the repair to cost about {money} pounds, and"
        " asks visitors to use the side entrance on {street} once the building opens again.",
        "{place} {building} closed until {day} after {cause}",
    ),
    (
        "{place} holds its {number}th {fair} on {day}, {date} {month}, in the {building} on {street}."
        " Doors open at ten. {name}, who runs the event with a dozen volunteers, says that last year's"
        " drew more than {crowd} visitors. Entry is free.",
        "{number}th {fair} comes to {place} on {date} {month}",
    ),
    (
        "Pupils of the {school} in {place} have won {prize}. Their teacher, {name}, had prepared them"
        " since {month}, mostly after lessons and at weekends. The mayor will receive the {small}"
        " winners at the {building} on {day}.",
        "{place} {school} wins {prize}",
    ),
    (
        "From {day} there will be no through traffic on {street} in {place}. Workers are to renew"
        " {crowd} metres of pipe before the winter. Buses take the ring road instead, and residents may"
        " pass on foot. The work should be over by the middle of {month}.",
        "{street} in {place} closes to traffic until {month}",
    ),
    (
        "Walkers have seen a {animal} at {spot} near {place}, the first in {number} years. {name} of"
        " the nature trust asks people to keep dogs on a lead and to watch from the footpath on"
        " {street}. A fence will go up on {day}.",
        "{animal} seen near {place} for first time in {number} years",
    ),
    (
        "After {number} years on {street}, the {trade} of {name} in {place} is to close at the end of"
        " {month}. Rents have doubled, and no one has come forward to take it over. Customers have"
        " collected {crowd} signatures to ask the council for help.",
        "{place} {trade} to close after {number} years",
    ),
    (
        "The council of {place} voted on {day} to spend {money} pounds on the {building}. The money"
        " goes into new windows and a ramp at the {street} entrance. {name}, who voted against, would"
        " rather have seen it spent on buses. Work begins in {month}.",
        "{place} council gives {money} pounds to {building}",
    ),
    (
        "{name} from {place} has walked the whole coast path in {small} weeks and raised {money} pounds"
        " for the {school}. On the last day, a {day}, neighbours lined {street} to cheer. The next tour"
        " is planned for {month}, this time by bicycle.",
        "{name} of {place} raises {money} pounds on coast walk",
    ),
)


def plant(db: Database, buckets: Buckets, objects: Objects, blobs: BlobStore) -> None:
    """Make the bucket of samples, unless it is there already."""
    found = buckets.find(BUCKET)
    labels = {"seed-version": _VERSION}
    if found and found.body.get("labels") == labels:
        return
    every = list(_rows(TRAINING_ROWS + VALIDATION_ROWS))
    files = {
        "sft_train_data.jsonl": blobs.put(_jsonl(every[:TRAINING_ROWS])),
        "sft_validation_data.jsonl": blobs.put(_jsonl(every[TRAINING_ROWS:])),
    }
    requests = blobs.put(_jsonl([_request(row) for row in every[TRAINING_ROWS:][:BATCH_ROWS]]))
    with db.transaction() as sql:
        sql.execute("DELETE FROM storage_buckets WHERE name = ?", (BUCKET,))
        buckets.insert("0", {"name": BUCKET, "location": "us", "labels": labels}, frozen=True)
        for name, (blob, digest) in files.items():
            for folder in FOLDERS:
                path = f"ai-platform/generative_ai/{folder}{name}"
                members = {"contentType": "application/jsonl"}
                objects.insert(BUCKET, path, blob, digest, members, frozen=True)
        objects.insert(BUCKET, BATCH, *requests, {"contentType": "application/jsonl"}, frozen=True)


def _jsonl(rows: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def _request(row: dict[str, Any]) -> dict[str, Any]:
    """A row without its answer, as a line of a batch."""
    return {"request": {**row, "contents": row["contents"][:1], "generationConfig": {"maxOutputTokens": 32}}}


def _rows(count: int) -> Iterator[dict[str, Any]]:
    """Different rows, always the same."""
    source = random.Random("headlines")
    seen: set[str] = set()
    while len(seen) < count:
        slots = {
            "place": source.choice(_PLACES),
            "day": source.choice(_DAYS),
            "month": source.choice(_MONTHS),
            "name": source.choice(_NAMES),
            "building": source.choice(_BUILDINGS),
            "street": source.choice(_STREETS),
            "cause": source.choice(_CAUSES),
            "fair": source.choice(_FAIRS),
            "school": source.choice(_SCHOOLS),
            "prize": source.choice(_PRIZES),
            "animal": source.choice(_ANIMALS),
            "spot": source.choice(_SPOTS),
            "trade": source.choice(_TRADES),
            # From 24 on, and never a tens digit of 1, the ending of every one is "th".
            "number": source.choice((24, 25, 26, 27, 28, 29, 30, 34, 35, 36, 40, 45, 50)),
            "small": source.choice(("three", "four", "five", "six", "seven")),
            "date": source.randint(1, 28),
            "crowd": source.randrange(150, 900, 50),
            "money": f"{source.randrange(4, 90)},{source.choice(('000', '500'))}",
        }
        notice, headline = (text.format_map(slots) for text in source.choice(_FORMS))
        headline = headline[0].upper() + headline[1:]
        if headline in seen:
            continue
        seen.add(headline)
        yield {
            "systemInstruction": {"role": "system", "parts": [{"text": _INSTRUCTION}]},
            "contents": [
                {"role": "user", "parts": [{"text": f"Write a headline for this notice.\n\n{notice}"}]},
                {"role": "model", "parts": [{"text": headline}]},
            ],
        }
