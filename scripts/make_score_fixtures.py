#!/usr/bin/env python3
"""Makes tests/data/jieba_more.jsonl and tests/data/score_more.jsonl, the recorded outputs that the C++ tests must equal.

Needs CPython 3.11 and jieba==0.42.1. The F1 functions restate LongBench's definitions (metrics.py at 2e00731):
lower, delete punctuation, articles, white space; jieba first and per-word clean-up for Chinese.
"""
import collections
import json
import pathlib
import random
import re
import string

import jieba

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


PIECES = ["张三丰", "李雷和韩梅梅", "北京大学", "研究生命科学", "南京市长江大桥", "小明硕士毕业于中国科学院", "永和服装饰品有限公司",
          "B超", "T恤", "AT&T", "C++", "c#", "IP地址", "3.14%", "v2.0.1-beta", "100万元", "2024年4月", "，", "。", "《红楼梦》",
          "“九章三号”", "……", "——", " ", "\t", "\r\n", "\n", "　", "𠮷野家", "😀", "é", "ﬁ", "ＡＢＣ", "１２３", "A股", "-", "_", "...",
          "http://a.b/c?d=1", "孙悟空", "司马懿", "欧阳修", "魑魅魍魉", "龘", "他说的确实在理", "结婚的和尚未结婚的", "下雨天留客天",
          "工信处女干事每月经过下属科室", "乒乓球拍卖完了", "the", "a", "An", "İstanbul", "ΟΔΟΣ", "½", "①", "Ⅳ", "a\u0301", "l’a’b"]
WORDS = ["the", "a", "an", "The", "harbour", "Vellmark", "1921", "3.5", "U.S.", "a-b", "“A", "Christmas”", "l’a’b", "“the”",
         "İstanbul", "ΟΔΟΣ", "ẞ", "K", "Ａ", "naïve", "½", "a½", "_a_", "一a二", "\u200b", "\u00a0", "\u2003", "don't", "$5", "x=y",
         "…", "the…end", "—", "No.", "№", "a\u0301", "①", "A", "AN,", "of", "in", "bridge", "river", "Bridge.", ""]


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
    with open(OUT / "score_more.jsonl", "w", encoding="utf-8") as out:
        for i in range(800):
            dataset = random.choice(["narrativeqa", "qasper", "multifieldqa_en", "multifieldqa_zh", "hotpotqa", "2wikimqa", "musique"])
            chinese = dataset == "multifieldqa_zh"
            pool, joint = (PIECES, "") if chinese else (WORDS, " ")
            words = chinese_words if chinese else english_words
            make = lambda: joint.join(random.choice(pool) for _ in range(random.randrange(0, 9)))
            prediction, answers = make(), [make() for _ in range(random.randrange(1, 4))]
            if random.random() < 0.4:
                answers[0] = prediction[: random.randrange(0, len(prediction) + 1)] + random.choice(pool)
            score = max([0.0] + [f1(words(prediction), words(a)) for a in answers])
            out.write(json.dumps({"dataset": dataset, "prediction": prediction, "answers": answers, "all_classes": None,
                                  "score": score}, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
