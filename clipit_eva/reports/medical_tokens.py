"""What cleaning must never lose: numbers, TNM, grades, units, negations, signs."""

import re

NUMBER = r"\d+(?:[.,/:]\d+)*"
"""A count, measure, fraction or code: `4.5`, `3/12`."""

TNM = r"""(?<![^\W_])
    (?:[yrapcm]{0,2}(?:T(?:[0-4][a-d]?|is|[Xx])|N(?:[0-3][a-c]?|[Xx])|M(?:[01][a-c]?|[Xx]))
       (?:\((?:m|mi|sn|is|i[+-]|mol[+-]|\d)\))?)+(?![^\W\d_A-Z])"""
"""Tumour, node and metastasis categories (UICC), also run together: `ypT3b`, `pT2pN0M0`."""

RESIDUAL_AND_INVASION = r"(?<![^\W_])(?:[LVR][0-2Xx]|Pn[01Xx])(?![^\W\d_])"
"""Lymphatic, venous and perineural invasion and residual tumour (UICC): `L1`, `V0`, `R0`, `Pn1`."""

GRADE = r"(?<![^\W_])(?:G[1-4Xx]|I{1,3}[A-C]?|I?V[A-C]?)(?![^\W\d_])"
"""Histological grade and Roman stages and grades: `G2`, `III`, `IVA`."""

GRADE_WORD = r"""(?i:(?<![^\W_])
    (?:grades?|stages?|gleason|fuhrman|nottingham|low|intermediate|high|well|moderate(?:ly)?|poorly|
    undifferentiated|differentiated)(?![^\W_]))"""
"""Words that grade: `poorly`, `high`, `grade`."""

UNIT = r"""(?i:(?<![^\W\d_])
    (?:[cmµμun]m|cc|ml|dl|l|[mkµμ]?g|gm|grams?|hpfs?|mitos[ei]s|mitotic|percent)(?![^\W\d_]))|%"""
"""Units of length, volume, mass and counting: `cm`, `g`, `HPF`, `%`."""

NEGATION = r"""(?i:(?<![^\W_])
    (?:no|not|non|nor|none|never|neither|without|negative|free|absent|absence|lacks?|lacking|den(?:y|ies)|
    cannot|[a-z]+n['\u2019]t|unlikely|unremarkable)(?![^\W_])|w/o)"""
"""Words that negate: `no`, `without`, `negative`, `-free`."""

SIGN = r"""\++|±|
    (?<=[(\[])[-\u2212\u2013](?=[)\]])|
    (?<![^\W_])(?:[A-Z]{2,4}\d*|CD\d+\w?|p\d+)[-\u2212](?![^\W_]|[-\u2212])|
    [<>≤≥=~]+(?=\s?\d)"""
"""Results of stains and bounds: `3+`, `ER+`, `HER2-`, `(-)`, `< 1`."""

_MEDICAL_TOKEN = re.compile(
    "|".join((SIGN, TNM, RESIDUAL_AND_INVASION, GRADE, GRADE_WORD, NEGATION, NUMBER, UNIT)),
    re.VERBOSE,
)


def medical_tokens(text: str) -> list[str]:
    """Returns the tokens that carry the findings of a report or its part, in order, as written."""
    return _MEDICAL_TOKEN.findall(text)


def keeps_medical_tokens(before: str, after: str) -> bool:
    """Says whether the medical tokens of `before` are a subsequence of those of `after`."""
    found = iter(medical_tokens(after))
    return all(token in found for token in medical_tokens(before))
