# SPDX-License-Identifier: Apache-2.0
"""Asks every question through the gateway and judges the answers. Judging looks only at what a person is shown."""
import re

import corpus
import metrics

WORDS_MAX = 80
DOCUMENTS_DEPTH = 5
SEARCH_LIMIT = 60  # Hits, so that five different documents are among them.


def matches(row, quotes):
    """The row's pattern stands in the first 80 words shown, inside quotes of the right document."""
    words_left, right = WORDS_MAX, []
    for quote in quotes:
        words = quote["text"].split()[:words_left]
        words_left -= len(words)
        if words and corpus.names_document(row["doc"], quote["source"]):
            right.append(" ".join(words))
    pattern = re.compile(row["answer_regex"], re.IGNORECASE)
    return any(pattern.search(text) for text in right + [" ".join(right)])


def distinct(sources):
    return list(dict.fromkeys(sources))


def document_place(row, sources):
    """Place of the right document from 1, or None."""
    for place, source in enumerate(sources, 1):
        if corpus.names_document(row["doc"], source):
            return place
    return None


def ask_all(machine, rows, progress):
    outcomes = []
    for number, row in enumerate(rows, 1):
        reply = machine.ask(row["question"])
        outcome = {"id": row.get("id", str(number)), "row": row, "reply": reply, "place": None,
                   "answerable": bool(row.get("answer_regex") and row.get("doc"))}
        if outcome["answerable"]:
            outcome["place"] = document_place(row, distinct(machine.search(row["question"], "hybrid", SEARCH_LIMIT)))
            outcome["correct"] = reply["band"] != "refusal" and matches(row, reply["quotes"])
        else:
            outcome["correct"] = False
        outcomes.append(outcome)
        progress(number, len(rows))
    return outcomes


def invented_quotes(outcomes, checker):
    """(quotes not verbatim in the named file, quotes checked, quotes in formats the checker cannot read)."""
    invented, checked, unreadable = [], 0, 0
    for outcome in outcomes:
        for quote in outcome["reply"]["quotes"]:
            stands = checker.stands(quote["text"], quote["source"])
            if stands is None:
                unreadable += 1
                continue
            checked += 1
            if not stands:
                invented.append({"id": outcome["id"], "source": quote["source"], "text": quote["text"]})
    return invented, checked, unreadable


def figures(outcomes, checker):
    answerable = [outcome for outcome in outcomes if outcome["answerable"]]
    shown = [outcome for outcome in outcomes if outcome["reply"]["band"] == "answer"]
    with_quotes = [outcome for outcome in outcomes if outcome["reply"]["quotes"]]
    places = [outcome["place"] for outcome in answerable]
    invented, checked, unreadable = invented_quotes(outcomes, checker)
    words = [sum(len(quote["text"].split()) for quote in outcome["reply"]["quotes"]) for outcome in with_quotes]
    detail = {
        "answer_accuracy": metrics.share_figure(sum(o["correct"] for o in answerable), len(answerable)),
        "answer_accuracy_in_answer_band": metrics.share_figure(
            sum(o["correct"] and o["reply"]["band"] == "answer" for o in answerable), len(answerable)),
        "document_at_1": metrics.share_figure(sum(place == 1 for place in places), len(places)),
        "document_at_5": metrics.share_figure(
            sum(place is not None and place <= DOCUMENTS_DEPTH for place in places), len(places)),
        "answerability_auc": metrics.value_figure(
            [(o["answerable"], o["reply"]["confidence"]) for o in outcomes], metrics.auc),
        "shown_as_answer": metrics.share_figure(len(shown), len(outcomes)),
        "wrong_shown": metrics.share_figure(sum(not o["correct"] for o in shown), len(shown)),
        "unanswerable_shown": metrics.share_figure(
            sum(not o["answerable"] for o in shown), len(outcomes) - len(answerable)),
        "false_refusals": metrics.share_figure(
            sum(o["reply"]["band"] == "refusal" for o in answerable), len(answerable)),
        "invented": {"value": len(invented), "count": len(invented), "of": checked, "not_checked": unreadable},
        "words_mean": metrics.value_figure(words, metrics.mean),
        "ask_seconds_median": metrics.value_figure([o["reply"]["seconds"] for o in outcomes], metrics.median),
    }
    result = {"questions": len(outcomes), "answerable": len(answerable)}
    result.update({name: figure["value"] for name, figure in detail.items()})
    result["detail"] = detail
    result["invented_quotes"] = invented
    result["calibration"] = calibration(outcomes)
    result["items"] = [{
        "id": o["id"], "band": o["reply"]["band"], "confidence": o["reply"]["confidence"], "answerable": o["answerable"],
        "correct": o["correct"], "document_place": o["place"], "seconds": round(o["reply"]["seconds"], 3),
        "words": sum(len(q["text"].split()) for q in o["reply"]["quotes"]),
        "sources": [q["source"] for q in o["reply"]["quotes"]]} for o in outcomes]
    return result


def calibration(outcomes):
    """How often an answer was right, by the confidence it was given in; unanswerable questions count as wrong."""
    bins = []
    for low in range(0, 10, 2):
        inside = [o for o in outcomes if low / 10 <= o["reply"]["confidence"] < (low + 2) / 10
                  or (low == 8 and o["reply"]["confidence"] >= 1.0)]
        if inside:
            right = sum(o["correct"] for o in inside)
            bins.append({"confidence_from": low / 10, "mean_confidence": round(
                metrics.mean([o["reply"]["confidence"] for o in inside]), 3), **metrics.share_figure(right, len(inside))})
    return bins
