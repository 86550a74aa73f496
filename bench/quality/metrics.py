# SPDX-License-Identifier: Apache-2.0
"""Figures and their 95% intervals. Pure functions over plain lists; knows nothing of Cloister.

A share gets a Wilson interval, anything else a percentile bootstrap over questions (2,000 resamples, fixed seed,
so that the same run gives the same interval).
"""
import math
import random

Z95 = 1.959963984540054
RESAMPLES = 2000
SEED = 20261122


def wilson(successes, total):
    """95% interval of a share; (0, 1) for no trials."""
    if total == 0:
        return 0.0, 1.0
    share = successes / total
    spread = Z95 * Z95 / total
    centre = (share + spread / 2) / (1 + spread)
    half = Z95 * math.sqrt(share * (1 - share) / total + spread / (4 * total)) / (1 + spread)
    return max(0.0, centre - half), min(1.0, centre + half)


def bootstrap(values, statistic):
    """95% percentile interval of statistic(list) over resamples of `values`; None for fewer than two values."""
    if len(values) < 2:
        return None
    source = random.Random(SEED)
    results = []
    for _ in range(RESAMPLES):
        result = statistic([values[source.randrange(len(values))] for _ in values])
        if result is not None:
            results.append(result)
    if not results:
        return None
    results.sort()
    return results[int(0.025 * (len(results) - 1))], results[int(math.ceil(0.975 * (len(results) - 1)))]


def mean(values):
    return sum(values) / len(values) if values else None


def median(values):
    if not values:
        return None
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def auc(pairs):
    """Probability that a positive outranks a negative, ties half. `pairs` holds (is_positive, score)."""
    positives = sum(1 for positive, _ in pairs if positive)
    negatives = len(pairs) - positives
    if positives == 0 or negatives == 0:
        return None
    ordered = sorted(pairs, key=lambda pair: pair[1])
    rank_sum, index = 0.0, 0
    while index < len(ordered):
        end = index
        while end < len(ordered) and ordered[end][1] == ordered[index][1]:
            end += 1
        average_rank = (index + 1 + end) / 2
        rank_sum += average_rank * sum(1 for positive, _ in ordered[index:end] if positive)
        index = end
    return (rank_sum - positives * (positives + 1) / 2) / (positives * negatives)


def ndcg_at(ranked, grades, depth=10):
    """nDCG with linear gain, as trec_eval and BEIR compute it. `grades` maps a document to its grade."""
    gains = [grades.get(document, 0) for document in ranked[:depth]]
    best = sorted((grade for grade in grades.values() if grade > 0), reverse=True)[:depth]
    ideal = sum(grade / math.log2(place + 2) for place, grade in enumerate(best))
    if ideal == 0:
        return 0.0
    return sum(grade / math.log2(place + 2) for place, grade in enumerate(gains)) / ideal


def recall_at(ranked, grades, depth=100):
    relevant = {document for document, grade in grades.items() if grade > 0}
    return len(relevant.intersection(ranked[:depth])) / len(relevant) if relevant else 0.0


def share_figure(successes, total):
    low, high = wilson(successes, total)
    return {"value": successes / total if total else None, "count": successes, "of": total,
            "low95": round(low, 4), "high95": round(high, 4)}


def value_figure(values, statistic):
    interval = bootstrap(values, statistic)
    figure = {"value": statistic(values), "of": len(values)}
    if interval:
        figure["low95"], figure["high95"] = round(interval[0], 4), round(interval[1], 4)
    return figure
