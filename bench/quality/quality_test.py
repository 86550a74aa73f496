# SPDX-License-Identifier: Apache-2.0
"""The bench's own arithmetic and its verbatim check, on cases worked out by hand."""
import pathlib
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import answers  # noqa: E402
import corpus  # noqa: E402
import metrics  # noqa: E402
import verbatim  # noqa: E402


class MetricsTest(unittest.TestCase):
    def test_wilson_agrees_with_a_published_example(self):
        low, high = metrics.wilson(81, 263)  # Newcombe 1998, table I: 0.2553 to 0.3662.
        self.assertAlmostEqual(low, 0.2553, places=4)
        self.assertAlmostEqual(high, 0.3662, places=4)
        self.assertEqual(metrics.wilson(0, 0), (0.0, 1.0))
        self.assertEqual(metrics.wilson(0, 10)[0], 0.0)

    def test_auc_counts_ties_half(self):
        self.assertEqual(metrics.auc([(True, 0.9), (False, 0.1)]), 1.0)
        self.assertEqual(metrics.auc([(True, 0.5), (False, 0.5)]), 0.5)
        self.assertEqual(metrics.auc([(True, 3), (True, 1), (False, 2), (False, 0)]), 0.75)
        self.assertIsNone(metrics.auc([(True, 1.0)]))

    def test_ndcg_and_recall(self):
        self.assertAlmostEqual(metrics.ndcg_at(["x", "a"], {"a": 1}), 0.6309, places=4)
        self.assertEqual(metrics.ndcg_at(["a", "b"], {"a": 1, "b": 1}), 1.0)
        self.assertEqual(metrics.ndcg_at(["x"] * 10 + ["a"], {"a": 1}), 0.0)
        self.assertEqual(metrics.recall_at(["a", "x"], {"a": 1, "b": 1, "c": 0}), 0.5)

    def test_bootstrap_holds_the_mean_and_repeats(self):
        values = [0.0, 1.0] * 50
        interval = metrics.bootstrap(values, metrics.mean)
        self.assertLess(interval[0], 0.5)
        self.assertGreater(interval[1], 0.5)
        self.assertEqual(interval, metrics.bootstrap(values, metrics.mean))


class CorpusTest(unittest.TestCase):
    def test_a_document_has_four_names(self):
        for doc in ("gdpr-article-017", "article-017", "article-017.md", "gdpr/article-017.md"):
            self.assertTrue(corpus.names_document(doc, "gdpr/article-017.md"), doc)
        self.assertFalse(corpus.names_document("gdpr-article-017", "gdpr/article-018.md"))
        self.assertFalse(corpus.names_document("gdpr-article-017", "hipaa/article-017.md"))

    def test_equal_names_in_two_folders_stay_two_documents(self):
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            for parent in ("one", "two"):
                (folder / parent / "texts").mkdir(parents=True)
                (folder / parent / "texts" / "a.md").write_text(parent)
            staged = corpus.stage_folders([folder / "one" / "texts", folder / "two" / "texts"], folder / "staged")
            found = sorted(path.relative_to(staged).as_posix() for path in staged.rglob("*.md"))
            self.assertEqual(found, ["texts-2/a.md", "texts/a.md"])


class VerbatimTest(unittest.TestCase):
    def setUp(self):
        self._folder = tempfile.TemporaryDirectory()
        root = pathlib.Path(self._folder.name) / "corpus"
        root.mkdir()
        (root / "a.md").write_text("# Title\n\nThe limit\nis **60** days under [§ 164.501](/x/).\n\n> (1) A &#40;b) item\\.\n")
        (root / "b.html").write_text("<p>One &amp; <b>two</b></p><script>three</script>")
        (root.parent / "outside.txt").write_text("secret")
        self._checker = verbatim.VerbatimChecker([root])

    def tearDown(self):
        self._folder.cleanup()

    def test_what_stands_there_is_found(self):
        for quote in ("The limit is 60 days under § 164.501.", "(1) A (b) item."):
            self.assertTrue(self._checker.stands(quote, "a.md"), quote)
        self.assertTrue(self._checker.stands("One & two", "b.html"))

    def test_what_does_not_is_not(self):
        for quote in ("The limit is 61 days under § 164.501.", "the limit", "", "The limit is not 60 days"):
            self.assertFalse(self._checker.stands(quote, "a.md"), quote)
        self.assertFalse(self._checker.stands("three", "b.html"))
        self.assertFalse(self._checker.stands("The limit", "absent.md"))
        self.assertFalse(self._checker.stands("secret", "../outside.txt"))


class JudgeTest(unittest.TestCase):
    ROW = {"doc": "gdpr-article-017", "answer_regex": r"60\s+days"}

    def judge(self, *quotes):
        return answers.matches(self.ROW, [{"text": text, "source": source} for text, source in quotes])

    def test_pattern_and_document_must_both_be_right(self):
        self.assertTrue(self.judge(("Within 60 days.", "gdpr/article-017.md")))
        self.assertFalse(self.judge(("Within 60 days.", "gdpr/article-018.md")))
        self.assertFalse(self.judge(("Within 61 days.", "gdpr/article-017.md")))
        self.assertTrue(self.judge(("No.", "gdpr/article-018.md"), ("Within 60 days.", "gdpr/article-017.md")))

    def test_only_the_first_80_words_count(self):
        self.assertTrue(self.judge(("word " * 78 + "60 days", "gdpr/article-017.md")))
        self.assertFalse(self.judge(("word " * 79 + "60 days", "gdpr/article-017.md")))
        self.assertFalse(self.judge(("word " * 80, "gdpr/article-018.md"), ("60 days", "gdpr/article-017.md")))


if __name__ == "__main__":
    unittest.main()
