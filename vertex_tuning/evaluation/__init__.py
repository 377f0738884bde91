"""Two systems on the same rows: which is better, how sure that is, and whether it may go on.

    from vertex_tuning import evaluation

    found = evaluation.compare([0, 1, 0], [1, 1, 1], measure="exact_match")
    evaluation.Gate("exact_match", min_rows=3).decide(found).open

rows.py       what a row asks, and what it says the right answer is
measures.py   what an answer is worth: exact match, labels, words in common, JSON, a reward
asking.py     the answers of a system, asked once and kept
comparing.py  two systems, with paired bootstrap intervals over rows and seeds
pairwise.py   which of two answers is better, asked in both orders
gates.py      conditions, and for each why it was met or not
evaluating.py all of it in one call
results.py    what came of it; page.py shows it
reports/      one page with plots, and the same as Markdown
"""

from vertex_tuning.evaluation.asking import Price, Said, System, answers
from vertex_tuning.evaluation.comparing import Comparison, compare
from vertex_tuning.evaluation.evaluating import evaluate
from vertex_tuning.evaluation.gates import Decision, Figures, Gate
from vertex_tuning.evaluation.measures import MEASURES, Measure, measure, of_reward
from vertex_tuning.evaluation.pairwise import Wins, by_score, judge, pairwise
from vertex_tuning.evaluation.reports import Report
from vertex_tuning.evaluation.results import Answered, Evaluation

__all__ = [
    "MEASURES",
    "Answered",
    "Comparison",
    "Decision",
    "Evaluation",
    "Figures",
    "Gate",
    "Measure",
    "Price",
    "Report",
    "Said",
    "System",
    "Wins",
    "answers",
    "by_score",
    "compare",
    "evaluate",
    "judge",
    "measure",
    "of_reward",
    "pairwise",
]
