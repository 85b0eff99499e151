"""Cleaning removes what scanning added and nothing that a pathologist wrote."""

import logging
import re
from collections.abc import Callable

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipit_eva.errors import InputError
from clipit_eva.reports.cleaning import clean_corpus, clean_report, learn_words
from clipit_eva.reports.corpus import ReportCorpus
from clipit_eva.reports.medical_tokens import keeps_medical_tokens, medical_tokens

WORDS = learn_words(
    ["transverse colon infiltration adenocarcinoma tumor-free low-grade with asymptomatic the"] * 50
    + ["incomplete complete nodal no dal symptomatic non invasive noninvasive tumor grade"] * 2
)

MEDICAL_WORDS = [
    *(
        "excision",
        "invasive",
        "no",
        "tumor",
        "biopsy",
        "metastatic",
        "benign",
        "negative",
        "positive",
    ),
    *("two", "one", "portion", "lymph", "node", "angio", "lymphatic", "in", "situ"),
    *("complete", "non", "small", "cell", "peri", "rectal", "intra", "mural", "sub"),
    *("mucosal", "left", "upper", "lobe", "fibro", "adenoma", "hyper", "plasia", "dys"),
    *("plastic", "carcinoma", "adeno", "squamous", "lymphoma", "grade", "low", "high", "well"),
    *("poorly", "differentiated", "free", "of", "margin", "un", "remarkable", "a", "typical"),
    *("meta", "static", "tubulo", "villous", "para", "tracheal", "broad", "spectrum", "cysto"),
    *("ring", "fungating", "to", "the", "her", "nodal", "dal", "ill", "defined"),
]

PIECES = [
    *("4.5", "3/12", "10", "0", "1,5", "2116", "90%", "5mm", "4 cm", "x", "1", "I", "l"),
    *("pT3", "ypT3bN2aM0", "pTis", "N1(mi)", "L1", "V0", "R0", "MX", "G2", "G 3", "III", "IVA"),
    *("grade", "Grade", "stage", "well", "high-grade", "low", "Gleason 3+4=7", "differentiated"),
    *("no", "NOT", "non", "without", "negative", "tumor-free", "free", "isn't", "w/o", "absent"),
    *("+", "+++", "ER+", "HER2-", "(-)", "PR-", "<1", "> 5"),
    *("a", "in", "tumor", "transvers", "e", "adeno", "carcinoma", "infiltra", "tion", "the"),
    *("XXX", "[REDACTED]", "Redacted", "[**Name**]", "****", "█"),
    *("-", "---", "....", ". . .", ":::", "___", ",", ".", ";", "===", "|||", "~~~"),
    *("\n", "-\n", "\u00ad", "\u200b", "\x00", "\x07", "\t", "  ", "\u00a0", "\r\n", "\ufb01"),
]
PAGES = ["\f", "Page 2 of 3 ", "HOSPITAL 7\n", "\npage 1\f", "\nPage 1\n"]
SCANS = [
    *("IIIIIII", "llllll", "1111I11I", "TCGA-NC-A5HI-e1A-PRRedacted", "TCGA-66-2754"),
    "UUID:45450CB6-9903-40AD-97D4 -18BEF2ED87CB",
]


def without_bars(texts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    bars = re.compile(r"[Il1|!i]{6}|(?:[Il1|!i]+[ ^]+){5}")
    return texts.filter(lambda text: not bars.search(text))


def joined(pieces: list[str]) -> st.SearchStrategy[str]:
    return st.lists(st.sampled_from(pieces) | st.just(" "), max_size=25).map("".join)


report_texts = without_bars(joined(PIECES))
paged_texts = without_bars(joined([*PIECES, *PAGES]))
scanned_texts = joined([*PIECES, *PAGES, *SCANS])
any_text = st.text(max_size=60)


@given(text=report_texts | any_text.filter(lambda text: "\f" not in text))
@pytest.mark.parametrize("words", [None, WORDS], ids=["alone", "with_words"])
def test_every_medical_token_stays_in_order(text: str, words: object) -> None:
    cleaned = clean_report(text, words)  # pyright: ignore[reportArgumentType]
    assert keeps_medical_tokens(text, cleaned)


@given(text=report_texts | scanned_texts | any_text)
@pytest.mark.parametrize("words", [None, WORDS], ids=["alone", "with_words"])
def test_cleaning_twice_is_cleaning_once(text: str, words: object) -> None:
    once = clean_report(text, words)  # pyright: ignore[reportArgumentType]
    assert clean_report(once, words) == once  # pyright: ignore[reportArgumentType]


@given(text=report_texts | any_text.filter(lambda text: "\f" not in text))
def test_no_digit_is_lost_or_moved(text: str) -> None:
    """Stricter than tokens, and independent of how those are defined."""
    digits = [character for character in text if character.isdigit()]
    assert [character for character in clean_report(text, WORDS) if character.isdigit()] == digits


@given(text=scanned_texts)
def test_no_letter_changes_its_case(text: str) -> None:
    letters = iter(text.replace("\ufb01", "fi"))
    assert all(letter in letters for letter in clean_report(text, WORDS) if letter.isalpha())


@given(
    pair=st.tuples(st.sampled_from(MEDICAL_WORDS), st.sampled_from(MEDICAL_WORDS)),
    border=st.sampled_from(
        ["-\n", " -\n", "\u00ad\n", "\u00ad", " ", "  ", "- ", "\n", "\u200b", "-"]
    ),
    written=st.sampled_from([str.lower, str.upper, str.title]),
)
def test_two_words_are_never_joined(
    pair: tuple[str, str], border: str, written: Callable[[str], str]
) -> None:
    """Even where the corpus has them as one word, as OCR has that lost a blank."""
    left, right = map(written, pair)
    joined = left + right
    words = learn_words([*MEDICAL_WORDS, f"{joined} " * 100])
    cleaned = clean_report(f"{left}{border}{right} seen", words)
    assert re.fullmatch(rf"{left}[-\s]+{right} seen", cleaned)
    assert ("-" in cleaned) == ("-" in border or "\u00ad" in border)


@given(text=any_text)
def test_only_ordinary_white_space_is_left(text: str) -> None:
    cleaned = clean_report(text)
    assert not any(c.isspace() and c not in " \n" for c in cleaned)
    assert "  " not in cleaned
    assert "\n\n\n" not in cleaned
    assert cleaned == cleaned.strip()


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("a\tb \u00a0 c\r\n\r\n\r\n\r\nd ", "a b c\n\nd"),
        ("col\x00on\x07 wall", "col on wall"),
        ("in\ufb01ltrating", "infiltrating"),
        ("carci\u200cnoma, 1\u200b2", "carcinoma, 1 2"),
        ("clear\u200bmargin", "clear margin"),
        ("adeno-\ncarcinoma", "adeno-\ncarcinoma"),
        ("BIOPSY\u00ad\nMETASTATIC, HER2 (\u00ad)", "BIOPSY-\nMETASTATIC, HER2 (-)"),
        ("EXCISION -\n NO TUMOR", "EXCISION -\nNO TUMOR"),
        ("Name: XXX [REDACTED] (redacted) **** █████ seen", "Name: seen"),
        ("[**First Name**] seen", "seen"),
        ("[**2151-7-16**]", "[**2151-7-16**]"),
        ("karyotype 47,XXX and pTX", "karyotype 47,XXX and pTX"),
        ("Colon ----- wall ..... 3 cm ::: x", "Colon wall . 3 cm : x"),
        ("0...5", "0. 5"),
        ("HER2 +++, ER+, PR- (-)", "HER2 +++, ER+, PR- (-)"),
        ("IIIIIIIIIII IIIIII Grade III", "Grade III"),
        ("11111111 IIIIII1", ""),
        ("III IIIIIIIIIIII I II1 ^III\nGrade III, frag I11III", "Grade III, frag I11III"),
        ("No tumor 0/1IIIIIIIIIIIIIIII II I", "No tumor 0/1I"),
        ("Grade III/III, levels 1111 and 111111", "Grade III/III, levels 1111 and 111111"),
        ("II I II II 1 III 1 II 1 I II I^I IIII II\n1 11 1 1 11 1", "1 11 1 1 11 1"),
        ("I 16 17 18 19 110 Ill 112 113 114 115 116", "I 16 17 18 19 110 Ill 112 113 114 115 116"),
        (
            "seen.UUID:45450CB6-9903-40AD-97D4 -18BEF2ED87CBTCGA-NC-A5HI-e1A-PRRedacted\nx",
            "seen.\nx",
        ),
        ("UU1D:670DA42C-A894-45FC-9785-178852AE83F7", ""),
        ("Nodes 0/3. TCGA-66-2754 ", "Nodes 0/3."),
        ("TCGA Case, TCGA form", "TCGA Case, TCGA form"),
        ("--- Page 2 of 4\nx Page: 3 of .6 Page 1 of 5Printed\npage 1 / 1", "x Printed"),
        ("Page 4\nsee Page 4", "see Page 4"),
        ("page 1 I 1\npage 1 Ill-defined", "page 1 Ill-defined"),
        ("transvers e colon", "transvers e colon"),
    ],
)
def test_examples(raw: str, clean: str) -> None:
    assert clean_report(raw) == clean


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("INFIL-\nTRATION of the trans\u00adverse colon", "INFILTRATION of the transverse colon"),
        ("EXCISION-\nINVASIVE, no-\nTumor", "EXCISION-\nINVASIVE, no-\nTumor"),
        ("transvers e colon, wi th INFIL TRATION", "transverse colon, with INFILTRATION"),
        ("Tumor -free, low- grade", "Tumor-free, low-grade"),
        ("a symptomatic, in complete", "a symptomatic, in complete"),
        ("no dal disease", "no dal disease"),
        ("tumor-\nfree", "tumor-free"),
    ],
)
def test_broken_words_are_mended_by_the_corpus(raw: str, clean: str) -> None:
    assert clean_report(raw, WORDS) == clean


def test_page_furniture_goes_and_findings_stay() -> None:
    pages = [
        "ST. ELSEWHERE HOSPITAL\nCase 12-345\nPage 1 of 3\n\nTumor 3 cm.\nGrade: 2\nSigned by XXX",
        "ST. ELSEWHERE  HOSPITAL\nCase 12-345\nPage 2 of 3\n\nGrade: 2\nNodes 0/12.\nSigned by XXX",
        "Page 3 of 3 Margins free.\nSigned by XXX",
    ]
    assert clean_report("\f".join(pages)) == (
        "ST. ELSEWHERE HOSPITAL\nCase 12-345\n\nTumor 3 cm.\nGrade: 2\nSigned by\n\n"
        "Grade: 2\nNodes 0/12.\n\nMargins free."
    )


@given(text=paged_texts)
def test_across_pages_every_distinct_finding_stays(text: str) -> None:
    """A repeated header goes with its numbers, but the first copy of it stays."""
    body = [token for token in medical_tokens(text) if token not in {"1", "2", "3"}]
    assert set(body) <= set(medical_tokens(clean_report(text, WORDS)))


def test_corpus_is_cleaned_by_its_own_words_and_reported(
    caplog: pytest.LogCaptureFixture,
) -> None:
    texts = ["transverse colon"] * 12 + ["transvers e colon", "-----", "secret  word"]
    table = pd.DataFrame({"report_id": [f"r{n}" for n in range(15)], "text": texts, "site": "x"})
    corpus = ReportCorpus.from_table(table, "reports.csv")
    with caplog.at_level(logging.INFO):
        cleaned = clean_corpus(corpus)
    assert cleaned.texts == ["transverse colon"] * 13 + ["secret word"]
    assert cleaned.table.columns.tolist() == ["report_id", "text", "site"]
    assert cleaned.sha256 != corpus.sha256
    assert corpus.texts == texts
    assert cleaned.ids == [name for name in corpus.ids if name != "r13"]
    before = sum(map(len, texts))
    assert (
        f"cleaned 3 of 15 reports of reports.csv, {before} to {before - 1 - 5 - 1}" in caplog.text
    )
    assert "1 had nothing but marks" in caplog.text
    assert "secret" not in caplog.text


def test_corpus_of_nothing_but_marks() -> None:
    corpus = ReportCorpus.from_table(pd.DataFrame({"report_id": ["a"], "text": ["---"]}), "r.txt")
    with pytest.raises(InputError, match=r"r\.txt hold nothing but marks"):
        clean_corpus(corpus)


def test_medical_tokens_of_a_typical_sentence() -> None:
    text = "Poorly differentiated, G3, 4.5 x 2 cm; ypT3bN0 (0/18), L0 V1; no tumor at margin, ER+."
    expected = "Poorly|differentiated|G3|4.5|2|cm|ypT3bN0|0/18|L0|V1|no|+"
    assert medical_tokens(text) == expected.split("|")


def test_real_reports_are_mended(colon_reports: ReportCorpus) -> None:
    before = " ".join(colon_reports.texts)
    after = " ".join(clean_corpus(colon_reports).texts)
    for fault in ("tumor -free", "transvers e ", "Redacted", " XXX ", "-----", "  "):
        assert fault in before
        assert fault not in after
