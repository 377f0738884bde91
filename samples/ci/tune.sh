#!/usr/bin/env bash
# Tunes, follows the job, and holds the result against the model that it was tuned from. Exit status 3: it is not better enough.
#
# What a pull request (GitLab: a merge request) rehearses in the emulator is what runs on Vertex AI after the merge: this file, word for word.
set -euo pipefail

commit=${GITHUB_SHA:-${CI_COMMIT_SHA:-$(git rev-parse HEAD)}}

# A run that is started again follows the job of the first one; only what has failed is asked for anew.
job=$(vertex-tuning jobs list --filter "labels.commit=\"$commit\"" --json | python -c '
import json, sys
over = {"JOB_STATE_FAILED", "JOB_STATE_CANCELLED", "JOB_STATE_EXPIRED"}
print(next((job["name"] for job in json.load(sys.stdin) if job["state"] not in over), ""))')
if [ -z "$job" ]; then
  job=$(vertex-tuning tune supervised "$TRAINING" --validation "$VALIDATION" --base-model "$BASE_MODEL" \
    --epochs "$EPOCHS" --label "commit=$commit" --at-most "$AT_MOST_USD" --no-wait)
fi
echo "Job: $job"

model=$(vertex-tuning jobs watch "$job")
echo "Model: $model"

vertex-tuning evaluate "$model" "$HELD_OUT" --measure "$MEASURE" --gate "$MEASURE" --margin "$MARGIN" \
  --max-output-tokens "$MAX_OUTPUT_TOKENS" --report report.md
