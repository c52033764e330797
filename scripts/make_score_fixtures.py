#!/usr/bin/env python3
"""Makes tests/data/jieba_more.jsonl and tests/data/score_more.jsonl, the recorded outputs that the C++ tests must equal.

Needs CPython 3.11, jieba==0.42.1, rouge==1.0.1, fuzzywuzzy==0.18.0 (without python-Levenshtein) and numpy==2.4.6. The
functions restate LongBench's definitions (metrics.py and eval.py at 2e00731). Scores are made as deep in the
stack as eval.py makes them: the package rouge meets CPython's recursion limit on long sentences.
"""
import collections
import json
import pathlib
import random
import re
import string
import warnings

import jieba
import numpy
from rouge import Rouge

warnings.filterwarnings("ignore", module="fuzzywuzzy")
from fuzzywuzzy import fuzz  # noqa: E402

OUT = pathlib.Path(__file__).resolve().parent.parent / "tests" / "data"
CHINESE_PUNCTUATION = {chr(c) for first, last in (
    (0xFF01, 0xFF01), (0xFF1F, 0xFF1F), (0xFF61, 0xFF61), (0x3002, 0x3002), (0xFF02, 0xFF0D), (0xFF0F, 0xFF0F),
    (0xFF1A, 0xFF1E), (0xFF20, 0xFF20), (0xFF3B, 0xFF40), (0xFF5B, 0xFF60), (0xFF62, 0xFF64), (0x3001, 0x3001),
    (0x3003, 0x3003), (0x300B, 0x3011), (0x3014, 0x301F), (0x3030, 0x3030), (0x303E, 0x303F), (0x2013, 0x2014),
    (0x2018, 0x2019), (0x201B, 0x201F), (0x2026, 0x2027), (0xFE4F, 0xFE4F)) for c in range(first, last + 1)}


def english_words(text):
    kept = "".join(c for c in text.lower() if c not in string.punctuation)
    return re.sub(r"\b(a|an|the)\b", " ", kept).split()


def chinese_words(text):
    drop = set(string.punctuation) | CHINESE_PUNCTUATION
    words = ["".join("".join(c for c in w.lower() if c not in drop).split()) for w in jieba.cut(text, cut_all=False)]
    return [w for w in words if w]


def f1(prediction, answer):
    same = sum((collections.Counter(prediction) & collections.Counter(answer)).values())
    if same == 0:
        return 0
    precision, recall = same / len(prediction), same / len(answer)
    return 2 * precision * recall / (precision + recall)


def english_f1(prediction, answer, classes):
    return f1(english_words(prediction), english_words(answer))


def chinese_f1(prediction, answer, classes):
    return f1(chinese_words(prediction), chinese_words(answer))


def rouge_l(prediction, answer, classes):
    try:
        return Rouge().get_scores([prediction], [answer], avg=True)["rouge-l"]["f"]
    except Exception:
        return 0.0


def chinese_rouge_l(prediction, answer, classes):
    words = [" ".join(list(jieba.cut(text, cut_all=False))) for text in (prediction, answer)]
    return rouge_l(words[0], words[1], classes)


def classification(prediction, answer, classes):
    found = [name for name in classes if name in prediction]
    for name in found:
        if name in answer and name != answer:
            found.remove(name)
    return 1.0 / len(found) if answer in found else 0.0


def count(prediction, answer, classes):
    runs = re.findall(r"\d+", prediction)
    return sum(run == answer for run in runs) / len(runs) if runs else 0.0


def retrieval(prediction, answer, classes):
    return count(prediction, re.findall(r"Paragraph (\d+)", answer)[0], classes)


def chinese_retrieval(prediction, answer, classes):
    return count(prediction, re.findall(r"段落(\d+)", answer)[0], classes)


def code(prediction, answer, classes):
    lines = prediction.lstrip("\n").split("\n")
    first = next((line for line in lines if not ("`" in line or "#" in line or "//" in line)), "")
    return fuzz.ratio(first, answer) / 100


METRICS = {name: metric for metric, names in (
    (english_f1, "narrativeqa qasper multifieldqa_en hotpotqa 2wikimqa musique triviaqa"), (chinese_f1, "multifieldqa_zh"),
    (rouge_l, "gov_report qmsum multi_news samsum"), (chinese_rouge_l, "dureader vcsum"), (classification, "trec lsht"),
    (count, "passage_count"), (retrieval, "passage_retrieval_en"), (chinese_retrieval, "passage_retrieval_zh"),
    (code, "lcc repobench-p")) for name in names.split()}
FIRST_LINE = {"trec", "triviaqa", "samsum", "lsht"}


def scorer(dataset, prediction, answers, classes):
    score = 0.0
    if dataset in FIRST_LINE:
        prediction = prediction.lstrip("\n").split("\n")[0]
    for answer in answers:
        score = max(score, METRICS[dataset](prediction, answer, classes))
    return score


PIECES = ["张三丰", "李雷和韩梅梅", "北京大学", "研究生命科学", "南京市长江大桥", "小明硕士毕业于中国科学院", "永和服装饰品有限公司",
          "B超", "T恤", "AT&T", "C++", "c#", "IP地址", "3.14%", "v2.0.1-beta", "100万元", "2024年4月", "，", "。", "《红楼梦》",
          "“九章三号”", "……", "——", " ", "\t", "\r\n", "\n", "　", "𠮷野家", "😀", "é", "ﬁ", "ＡＢＣ", "１２３", "A股", "-", "_", "...",
          "http://a.b/c?d=1", "孙悟空", "司马懿", "欧阳修", "魑魅魍魉", "龘", "他说的确实在理", "结婚的和尚未结婚的", "下雨天留客天",
          "工信处女干事每月经过下属科室", "乒乓球拍卖完了", "the", "a", "An", "İstanbul", "ΟΔΟΣ", "½", "①", "Ⅳ", "a\u0301", "l’a’b"]
WORDS = ["the", "a", "an", "The", "harbour", "Vellmark", "1921", "3.5", "U.S.", "a-b", "“A", "Christmas”", "l’a’b", "“the”",
         "İstanbul", "ΟΔΟΣ", "ẞ", "K", "Ａ", "naïve", "½", "a½", "_a_", "一a二", "\u200b", "\u00a0", "\u2003", "don't", "$5", "x=y",
         "…", "the…end", "—", "No.", "№", "a\u0301", "①", "A", "AN,", "of", "in", "bridge", "river", "Bridge.", ""]


CODE = ["    return name;", "def f(x):", "# comment", "// note", "```python", "print('x')", "url = 'http://a.b'", "", "   ", "if (a) {",
        "    for (int i = 0; i < n; ++i) {", "}", "\t", "é = 1", "名 = 2", "#include <x>", "x" * 30, "foo(bar, baz)", "self.value = value"]
LABELS = ["Red", "Dark Red", "Dark Red Blue", "Red Blue", "Blue", "Dark", "Green", "Number of something", "Other number", "number",
          "文学、艺术", "文学", "艺术", "a", "ab", "abc", "b", "bc", "Red"]
NUMBERS = ["1", "12", "05", "5", "１２", "12²", "②", "٣٤", "8.0", "-3", "Paragraph 9", "段落9", "9", "no digits", " ", "\n", "9,10"]


def english_case(dataset):
    pool = WORDS + (["a.", "Mr. X", "...", "\n", " . ", "cat", "sat", "mat."] if METRICS[dataset] is rouge_l else [])
    n_most = 60 if METRICS[dataset] is rouge_l else 9
    return lambda: " ".join(random.choice(pool) for _ in range(random.randrange(0, random.choice([4, n_most])))), None


def chinese_case(dataset):
    n_most = 40 if METRICS[dataset] is chinese_rouge_l else 9
    return lambda: "".join(random.choice(PIECES) for _ in range(random.randrange(0, random.choice([4, n_most])))), None


def label_case(dataset):
    classes = random.sample(LABELS, random.randrange(1, len(LABELS)))
    joint = random.choice([" ", "\n", ", ", ""])
    return lambda: joint.join(random.choice(LABELS + ["", "x"]) for _ in range(random.randrange(0, 4))), classes


def number_case(dataset):
    return lambda: random.choice([" ", "", "\n"]).join(random.choice(NUMBERS) for _ in range(random.randrange(0, 5))), None


def code_case(dataset):
    def mixed():
        text = "\n".join(random.choice(CODE) for _ in range(random.randrange(0, 4)))
        return text if random.random() < 0.6 else "".join(random.choice("abcdef(){} =;.") for _ in range(random.randrange(0, 500)))
    return mixed, None


def make_case(dataset):
    makers = {chinese_f1: chinese_case, chinese_rouge_l: chinese_case, classification: label_case, count: number_case,
              retrieval: number_case, chinese_retrieval: number_case, code: code_case}
    make, classes = makers.get(METRICS[dataset], english_case)(dataset)
    prediction, answers = make(), [make() for _ in range(random.randrange(1, 4))]
    if random.random() < 0.4:
        answers[0] = prediction[: random.randrange(0, len(prediction) + 1)] + make()
    if METRICS[dataset] is code and random.random() < 0.5:
        prediction = "".join(c if random.random() < 0.8 else random.choice("abc (") for c in answers[0])
    if METRICS[dataset] is classification:
        answers = [random.choice(classes) for _ in answers]
        prediction += random.choice(["", answers[0], "\n" + answers[0]])
    if METRICS[dataset] is count:
        answers = [random.choice(["1", "12", "5", "9", "34"]) for _ in answers]
    if METRICS[dataset] is retrieval:
        answers = [random.choice(["Paragraph 9", "Paragraph 12", "see Paragraph 5 or Paragraph 1", "Paragraph １２"])]
    if METRICS[dataset] is chinese_retrieval:
        answers = [random.choice(["段落9", "段落12", "段落 5 段落1", "段落１２"])]
    return dataset, random.choice(["", "", "", "\n", "\n\n", " \n", "\r\n"]) + prediction, answers, classes


def long_sentence_cases():
    """Around the lengths at which the recursion of the package rouge ends, for English and Chinese."""
    for dataset, extra in (("gov_report", 0), ("samsum", 0), ("vcsum", 1), ("dureader", 1)):
        for n in (400, 985, 988, 989, 990, 991, 992, 1000):
            joint = " "
            words = [f"w{i}" for i in range(n)]
            yield dataset, joint.join(words), ["x"], None
            yield dataset, joint.join(words), [joint.join(words)], None
            yield dataset, joint.join(words[: n // 2]), [joint.join(words[n // 2 :] + ["w1"])], None


def main():
    random.seed(20240401)
    with open(OUT / "jieba_more.jsonl", "w", encoding="utf-8") as out:
        common = [chr(random.randrange(0x4E00, 0x9FD6)) for _ in range(3000)]
        frequent = list("的一是在不了有和人这中大为上个国我以要他时来用们生到作地于出就分对成会可主发年动同工也能下过子说产种面而方后多定行学法所民得经")
        for i in range(600):
            kind = i % 4
            if kind == 0:
                text = "".join(random.choice(PIECES) for _ in range(random.randrange(1, 9)))
            elif kind == 1:
                text = "".join(random.choice(frequent) for _ in range(random.randrange(1, 40)))
            elif kind == 2:
                text = "".join(random.choice(common + frequent * 20) for _ in range(random.randrange(1, 30)))
            else:
                text = "".join(random.choice(PIECES + frequent + list("aZ09+#&._%- ")) for _ in range(random.randrange(1, 25)))
            out.write(json.dumps({"text": text, "tokens": list(jieba.cut(text))}, ensure_ascii=False) + "\n")
    cases = [make_case(random.choice(list(METRICS))) for _ in range(2400)] + list(long_sentence_cases())
    lengths = [{"lengths": numpy.random.default_rng(n).integers(0, 12000, n).tolist(),
                "scores": (numpy.random.default_rng(n + 1).integers(0, 1000, n) / 999).tolist()} for n in (0, 1, 5, 9, 100, 400, 900)]
    return cases, lengths


def bucket_scores(case):
    buckets = {"0-4k": [], "4-8k": [], "8k+": []}
    for length, score in zip(case["lengths"], case["scores"]):
        buckets["0-4k" if length < 4000 else "4-8k" if length < 8000 else "8k+"].append(score)
    return {key: round(100 * numpy.mean(values), 2) if values else None for key, values in buckets.items()}


if __name__ == "__main__":
    all_cases, all_lengths = main()
    with open(OUT / "score_more.jsonl", "w", encoding="utf-8") as out:
        for item in all_cases:
            out.write(json.dumps({"dataset": item[0], "prediction": item[1], "answers": item[2], "all_classes": item[3],
                                  "score": scorer(*item)}, ensure_ascii=False) + "\n")
    with open(OUT / "length_scores.jsonl", "w", encoding="utf-8") as out:
        for item in all_lengths:
            out.write(json.dumps({**item, "buckets": bucket_scores(item)}) + "\n")
