"""Synthetic pathology reports: what a tissue shows in words, among what says nothing about it."""

import re
from collections.abc import Iterator

import numpy as np

from clipit_eva.demo.tissue import ATTRIBUTES, Tissue

_ARCHITECTURE = {
    "Normal": (
        "Terminal duct lobular units with evenly spaced acini and open lumens are preserved.",
        "Sections show unremarkable lobules lined by a single layer of cuboidal cells.",
        "The lobular architecture is intact, with small round acini in a loose stroma.",
        "Acini are lined by one row of epithelium resting on an even myoepithelial layer.",
        "Scattered small acini around patent lumina, no proliferation is seen.",
    ),
    "Benign": (
        "There are crowded ducts of varying calibre, some with usual hyperplasia.",
        "Sections show adenosis with distorted ducts embedded in fibrous tissue.",
        "Proliferating ducts with streaming, overlapping cells and slit-like secondary lumens.",
        "A fibroepithelial lesion with compressed ducts, both cell layers are retained.",
        "Dilated ducts and apocrine change, a few ducts are filled by usual hyperplasia.",
    ),
    "InSitu": (
        "Expanded ducts are filled by a solid proliferation confined by the basement membrane.",
        "A neoplastic proliferation distends the ducts, whose borders are smooth and intact.",
        "Cribriform and solid growth within rounded duct profiles, without stromal extension.",
        "Duct spaces are packed with atypical cells, the myoepithelial layer is preserved.",
        "Atypical epithelium occupies enlarged ducts, the outlines remain sharply circumscribed.",
    ),
    "Invasive": (
        "Irregular nests and cords of tumor cells infiltrate the stroma.",
        "Single cells and small clusters dissect between collagen bundles.",
        "Tumor grows in ragged strands with a desmoplastic reaction.",
        "Haphazard infiltrating glands without a myoepithelial layer permeate the tissue.",
        "Malignant cells are dispersed through the stroma, no duct outline is retained.",
    ),
}

_DIAGNOSIS = {
    "Normal": (
        "Breast tissue with no significant pathologic abnormality.",
        "Unremarkable mammary parenchyma.",
        "No atypia and no malignancy identified.",
    ),
    "Benign": (
        "Fibrocystic change with usual ductal hyperplasia.",
        "Sclerosing adenosis, negative for malignancy.",
        "Fibroadenomatous change, no atypia.",
    ),
    "InSitu": (
        "Ductal carcinoma confined to the ducts (DCIS).",
        "Intraductal carcinoma, solid and cribriform patterns.",
        "DCIS, no stromal extension identified.",
    ),
    "Invasive": (
        "Infiltrating ductal carcinoma.",
        "Infiltrating mammary carcinoma of no special type.",
        "Adenocarcinoma extending into the stroma.",
    ),
}

# Low, middle and high values of each attribute.
_LEVELS = {
    "nuclear_size": (
        ("Nuclei are small.", "The nuclei are not enlarged.", "Small nuclei, no visible nucleoli."),
        ("Intermediate nuclear size.", "Mildly enlarged nuclei.", "Nuclear size is moderate."),
        ("Nuclei are large.", "Markedly enlarged nuclei.", "Large vesicular nuclei, big nucleoli."),
    ),
    "pleomorphism": (
        ("Nuclei are round and uniform.", "Bland regular nuclear outlines.", "Even chromatin."),
        ("Moderate anisocytosis.", "Some anisonucleosis is noted.", "Mild contour irregularity."),
        ("Pleomorphism is marked.", "Bizarre irregular nuclei.", "Highly variable, jagged nuclei."),
    ),
    "cellularity": (
        ("Cells are sparse.", "Low cellularity.", "The epithelium is paucicellular."),
        ("Cellularity is moderate.", "Moderately cellular.", "Cells are fairly numerous."),
        ("Cells are densely crowded.", "High cellularity.", "Tightly packed overlapping cells."),
    ),
    "lumen": (
        ("Lumens are obliterated.", "No gland lumen is apparent.", "Solid, no lumen formation."),
        ("Lumens are narrowed.", "Small lumens remain.", "Lumen formation is partial."),
        ("Lumens are widely open.", "Patent wide lumina.", "Ample luminal spaces."),
    ),
    "fibrosis": (
        ("The stroma is loose and fatty.", "Delicate adipose stroma.", "Little collagen."),
        ("Stromal collagen is moderate.", "Mildly fibrous stroma.", "Some stromal sclerosis."),
        ("The stroma is densely fibrotic.", "Dense collagenous bands.", "Hyalinized stroma."),
    ),
    "inflammation": (
        ("No inflammatory infiltrate.", "Lymphocytes are rare.", "Inflammation is absent."),
        ("Scattered lymphocytes.", "Mild chronic inflammation.", "Patchy lymphoid cells."),
        ("Brisk lymphocytic infiltrate.", "Heavy chronic inflammation.", "Many lymphocytes."),
    ),
}  # fmt: skip

_HISTORY = (
    "Palpable mass at {n} o'clock.",
    "Screening mammogram with calcifications.",
    "Under surveillance for {n} years, family history reviewed.",
    "Follow up after {n} months.",
    "Core biopsy, side as labeled.",
    "Nipple discharge for {n} weeks, no trauma.",
)
_GROSS = (
    "Received in formalin, labeled with the patient's name and hospital number.",
    "The specimen consists of {n} tan yellow cores, the longest {n} mm.",
    "Submitted entirely in cassettes A1 to A{n}.",
    "A fragment of fibrofatty tissue measuring {n} x {n} x {n} mm, inked blue.",
    "Cut surfaces are tan white, cold ischemic time {n} minutes.",
    "Tissue is wrapped, serially sectioned and submitted in {n} blocks.",
)
_COMMENT = (
    "Immunostains were performed with appropriate controls.",
    "The case was reviewed at the departmental conference.",
    "Clinical and radiologic correlation is suggested.",
    "Results were communicated by telephone to the ordering physician.",
    "Deeper levels were examined on {n} slides.",
    "This report was transcribed and electronically signed.",
    "Fixation time was {n} hours, assays are validated in this laboratory.",
    "Receptor studies are reported separately in an addendum.",
)

_CONFUSIONS = (
    ("rn", "m"), ("m", "rn"), ("cl", "d"), ("l", "1"), ("i", "l"), ("o", "0"), ("e", "c"),
    ("h", "b"), ("s", "5"), ("u", "ii"), ("n", "ri"), ("t", "f"), ("a", "o"), ("S", "8"),
    ("I", "l"),
)  # fmt: skip
_MARKS = ("|", "~", "_", "*", ".", "''", "^", "/", "=")


def write_report(tissue: Tissue, rng: np.random.Generator) -> str:
    """Writes an OCR-noisy report of a tissue.

    Args:
        tissue: What the report describes.
        rng: The source of randomness (which attributes are mentioned, wording, filler, noise).

    Returns:
        One line of 40 to 250 words. It holds no name of a class, file or patient.
    """
    sections = [
        ("MICROSCOPIC DESCRIPTION", list(_microscopic(tissue, rng))),
        ("CLINICAL HISTORY", _filler(_HISTORY, rng, 1, 3)),
        ("GROSS DESCRIPTION", _filler(_GROSS, rng, 1, 5)),
        ("COMMENT", _filler(_COMMENT, rng, 0, 6)),
    ]
    if rng.random() < 0.6:
        sections.insert(1, ("FINAL DIAGNOSIS", [_choice(_DIAGNOSIS[tissue.kind], rng)]))
    if rng.random() < 0.4:  # laboratories differ in what comes first
        sections.insert(0, sections.pop(-2))
    body = " ".join(f"{name}: {' '.join(lines)}" for name, lines in sections if lines)
    header = f"SURGICAL PATHOLOGY REPORT Page {rng.integers(1, 4)} of {rng.integers(4, 6)}"
    return _fit(_ocr(f"{header} {body}" if rng.random() < 0.6 else body, rng), rng)


def _microscopic(tissue: Tissue, rng: np.random.Generator) -> Iterator[str]:
    """Yields the sentences that describe the tissue; each is left out now and then."""
    if rng.random() < 0.85:
        yield _choice(_ARCHITECTURE[tissue.kind], rng)
    for name in rng.permutation(ATTRIBUTES):
        if rng.random() < 0.75:
            seen = getattr(tissue, name) + rng.normal(0, 0.06)  # observers differ
            yield _choice(_LEVELS[name][0 if seen < 0.35 else 1 if seen < 0.6 else 2], rng)


def _filler(
    sentences: tuple[str, ...], rng: np.random.Generator, least: int, most: int
) -> list[str]:
    """Returns sentences that say nothing about the tissue, numbers filled in."""
    order = rng.permutation(len(sentences))[: rng.integers(least, most, endpoint=True)]
    return [re.sub(r"\{n\}", lambda _: str(rng.integers(2, 13)), sentences[i]) for i in order]


def _ocr(text: str, rng: np.random.Generator) -> str:
    """Returns the text as a scanner might read it: confused letters, broken words, stray marks."""
    rate = rng.beta(1.5, 12)  # of words; some scans are clean, some are bad
    words = []
    for word in text.split(" "):
        if rng.random() < rate:
            word = _misread(word, rng)
        words.append(word)
        if rng.random() < 0.2 * rate:
            words.append(_choice(_MARKS, rng))
    return " ".join(words)


def _misread(word: str, rng: np.random.Generator) -> str:
    """Returns a word with one OCR error."""
    kind = rng.random()
    if kind < 0.6:
        known = [pair for pair in _CONFUSIONS if pair[0] in word]
        if known:
            old, new = known[rng.integers(len(known))]
            return word.replace(old, new, 1)
    cut = int(rng.integers(1, max(len(word), 2)))
    if kind < 0.8:
        return f"{word[:cut]} {word[cut:]}".strip()
    if kind < 0.9:
        return f"{word[:cut]}- {word[cut:]}"
    return word[: cut - 1] + word[cut:]


def _fit(text: str, rng: np.random.Generator) -> str:
    """Returns the text with 40 to 250 words: short ones get a signature block, long ones a cut."""
    words = text.split()
    while len(words) < 40:
        words += _filler(_COMMENT, rng, 1, 1)[0].split()
    return " ".join(words[:250])


def _choice(options: tuple[str, ...], rng: np.random.Generator) -> str:
    """Returns one of the options."""
    return options[rng.integers(len(options))]
