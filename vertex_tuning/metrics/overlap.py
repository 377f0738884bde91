"""How much an answer and its reference have in common, by sacrebleu and rouge-score, which are imported when they are asked."""

from __future__ import annotations

import re

ROUGE_TYPES = re.compile(r"rouge[1-9]|rougeL|rougeLsum")
"""What `rouge` measures: words, pairs of them..., or the longest common sequence."""


def bleu(answer: str, reference: str, *, effective_order: bool = False) -> float:
    """BLEU of one answer, in [0, 1] (Papineni et al. 2002; sacrebleu's tokens and smoothing).

    Args:
        answer: What was said.
        reference: What was to be said.
        effective_order: Leave out n-grams that are longer than the answer; otherwise short answers score little.
    """
    from sacrebleu import sentence_bleu

    found = sentence_bleu(answer, [reference], use_effective_order=effective_order)
    return float(found.score) / 100


def rouge(
    answer: str, reference: str, kind: str = "rougeL", *, stem: bool = False, split: bool = False
) -> float:
    """ROUGE of one answer, in [0, 1]: the F1 of precision and recall (Lin 2004).

    Args:
        answer: What was said.
        reference: What was to be said.
        kind: `rouge1` to `rouge9`, `rougeL` or `rougeLsum`.
        stem: Take words by their stems (English).
        split: For `rougeLsum`: split the texts into sentences; otherwise a line is one.
    """
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer([kind], use_stemmer=stem, split_summaries=split)
    return float(scorer.score(reference, answer)[kind].fmeasure)
