"""How much an answer and its reference have in common.

BLEU and ROUGE are sacrebleu's and rouge-score's, which are imported when they are asked.
"""

from __future__ import annotations

import re
import string
from collections import Counter

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)

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


def token_f1(answer: str, reference: str) -> float:
    """F1 of the words that an answer and its reference share, in [0, 1].

    Case, punctuation and the articles a, an, the do not count. Two texts without words are alike.

    Source: Rajpurkar et al., SQuAD (2016), section 6.1, and its evaluation script.
    """
    said, meant = _words(answer), _words(reference)
    if not said or not meant:
        return float(said == meant)
    shared = sum((Counter(said) & Counter(meant)).values())
    return 2 * shared / (len(said) + len(meant))


def _words(text: str) -> list[str]:
    return _ARTICLES.sub(" ", text.lower().translate(_NO_PUNCTUATION)).split()
