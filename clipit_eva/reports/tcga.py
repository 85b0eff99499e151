"""TCGA barcodes: the patient and the project (cancer type) they name.

A barcode `TCGA-AA-3675-...` has the tissue source site (`AA`) and the participant (`3675`). Each
source site contributed to one study, which the code tables of the Genomic Data Commons list
(https://gdc.cancer.gov/resources-tcga-users/tcga-code-tables).
"""

import re

SITES_BY_PROJECT = {
    "ACC": "OR OU P6 PA PK",
    "BLCA": (
        "2F 4Z 5N BL BT C4 CF CU DK E5 E7 FD FJ FT G2 GC GD GU GV H4 HQ K4 KQ LC LT MV PQ "
        "R3 S5 SY UY X5 XF YC YF ZF"
    ),
    "BRCA": (
        "3C 3J 4H 5L 5T A1 A2 A7 A8 AC AN AO AQ AR B6 BH C8 D8 E2 E9 EW GI GM HN JL LD LL "
        "LQ MS OK OL PE PL S3 TV UL UU V7 W8 WT XX Z7"
    ),
    "CESC": (
        "2W 4J BI C5 DG DR DS EA EK EX FU GH HG HM IR JW JX LP LS MA MU MY PN Q1 QV R2 RA "
        "UC VS WL XS ZJ ZX"
    ),
    "CHOL": "3X 4G 5A W5 W6 W7 WD YR ZD ZH ZK ZU",
    "COAD": (
        "3L 4N 4T 5M A6 AA AD AM AU AY AZ CA CK CM D5 DM F4 G4 NH QG QL R1 RU SK SS T9 VK WS WU"
    ),
    "DLBC": "FA FF FM G8 GR GS GZ H3 PB RQ VB",
    "ESCA": "2H 2M IC IG JY JZ KA KH L5 L7 LN M9 Q9 R6 RE S8 V5 VR X8 XB XP Z6 ZR",
    "GBM": "02 06 08 12 14 15 16 19 26 27 28 32 41 4W 65 74 76 81 87 OX RR",
    "HNSC": (
        "4P BA BB C9 CN CQ CR CV CX D6 DQ F7 H7 HD HL IQ JA KU MT MZ NM P3 QK R7 RH RS ST "
        "T2 T3 TG TN UF UP WA"
    ),
    "KICH": "KL KM KN KO NP UW",
    "KIRC": "3Z 6D A3 AK AS B0 B2 B4 B8 BP CB CJ CW CZ DV EU G6 GK MM MW T7 V8 WM",
    "KIRP": (
        "2K 2Z 4A 5P A4 AL AT B1 B3 B9 BQ DW DZ EV F9 G7 GL HE IA IZ J7 KV L8 MH O9 P4 PJ "
        "Q2 SX UN UZ V9 WN Y8"
    ),
    "LAML": "5J AB GP IJ PH Q4 Y3",
    "LGG": "CS DB DH DU E1 EZ F6 FG FN HK HT HW IK KT P5 QH R8 RY S9 TM TQ VM VV VW W9 WH WY",
    "LIHC": (
        "2V 2Y 3K 4R 5C 5R BC BD BW CC DD ED EP ES FV G3 GJ HP K7 KR LG MI MR NI O8 PD QA "
        "RC RG T1 UB UV WJ WQ WX XR YA ZP ZS"
    ),
    "LUAD": (
        "05 17 35 38 44 49 4B 50 53 55 62 64 67 69 71 73 75 78 80 83 86 91 93 95 97 99 J2 "
        "L4 L9 ME MN MP NB NJ O1 S2 T6"
    ),
    "LUSC": (
        "11 18 21 22 33 34 37 39 43 46 51 52 56 58 60 63 66 68 6A 70 77 79 82 85 90 92 94 "
        "96 98 J1 L3 LA MF ML NC NK O2 OC UJ WG XC ZE"
    ),
    "MESO": "3H 3U LK MQ NQ SC SH TS UD UT XT YS ZN",
    "OV": "01 04 09 10 13 20 23 24 25 29 30 31 36 3P 42 4D 57 59 5X 61 72 OY QJ R9 VG WR",
    "PAAD": (
        "2J 2L 2P 3A 3E 5Q F2 FB FQ FZ H6 H8 HV HZ IB KG L1 LB M8 OE P9 PZ Q3 RB RL RV S4 "
        "SD US WF XD XN YB YH YY Z5 Z8 ZW"
    ),
    "PCPG": "P7 P8 PR QR QT RM RT RW RX S7 SA SE SP SQ SR TT VZ W2 WB XG",
    "PRAD": (
        "2A 4L 4S CH EJ FC G9 H9 HC HI J4 J9 KC KK M7 MG QU SU TK TP UR V1 V2 VN VP WW X4 "
        "XA XJ XK XQ Y6 YJ YL ZG"
    ),
    "READ": "6G AF AG AH BM CI CL DC DT DY EF EI F5 G5 VL",
    "SARC": (
        "3B 3R 3W 4Q 4Y 5D DX FX HB HS IE IF IS IW JV K1 KD KF LI MB MJ MO N1 PC PT QC QQ "
        "RN SG SI UE VT WK WP X2 X6 X9 Y5 YW Z3 Z4"
    ),
    "SKCM": (
        "3N BF D3 D9 DA EB EE ER FR FS FW GF GN HR IH K8 LH NS OD QB RP TE TR W3 WE XV YD YG YN Z2"
    ),
    "STAD": (
        "2N 3M B7 BR CD CG D7 EQ F1 FP H1 HA HF HH HJ HU IN IP KB KZ MX QW R5 RD SW TL V6 "
        "VA VQ VX YX ZA ZQ"
    ),
    "TGCT": "2G 2X 4K S6 SB SN SO VF W4 WZ X3 XE XY YU ZM",
    "THCA": "4C 5F BJ CE DE DJ DO E3 E8 EL EM ET FE FH FK FY GE H2 IM J8 KS L6 MK OJ QD",
    "THYM": "1Z 3G 3Q 3S 3T 4V 4X 5G 5K 5U 5V X7 XH XM XU YT ZB ZC ZL ZT",
    "UCEC": (
        "2E 4E 5B 5S 5W A5 AJ AP AW AX B5 BG BK BS D1 DF DI E6 EC EO EY FI FL GG H5 JU K6 "
        "KE KJ KP PG QF QS SJ SL"
    ),
    "UCS": "N5 N6 N7 N8 N9 NA ND NF NG QM QN",
    "UVM": "5H RZ V3 V4 VD WC YV YZ",
}
"""Project, without the prefix `TCGA-` -> codes of its tissue source sites, parted by blanks."""

TISSUES = {
    "adrenal gland": ("ACC", "PCPG"),
    "bile duct": ("CHOL",),
    "bladder": ("BLCA",),
    "brain": ("GBM", "LGG"),
    "breast": ("BRCA",),
    "cervix": ("CESC",),
    "colon": ("COAD",),
    "colorectum": ("COAD", "READ"),
    "esophagus": ("ESCA",),
    "eye": ("UVM",),
    "head and neck": ("HNSC",),
    "kidney": ("KICH", "KIRC", "KIRP"),
    "liver": ("LIHC",),
    "lung": ("LUAD", "LUSC"),
    "ovary": ("OV",),
    "pancreas": ("PAAD",),
    "pleura": ("MESO",),
    "prostate": ("PRAD",),
    "rectum": ("READ",),
    "skin": ("SKCM",),
    "soft tissue": ("SARC",),
    "stomach": ("STAD",),
    "testis": ("TGCT",),
    "thymus": ("THYM",),
    "thyroid": ("THCA",),
    "uterus": ("UCEC", "UCS"),
}
"""Tissue -> the TCGA projects of its tumours."""

_BARCODE = re.compile(r"(TCGA-([0-9A-Z]{2})-[0-9A-Z]{4})(?![0-9A-Z])", re.IGNORECASE)
_PROJECT_OF_SITE = {
    site: project for project, sites in SITES_BY_PROJECT.items() for site in sites.split()
}


def patient_of(barcode: str) -> str | None:
    """Returns the patient's barcode.

    Args:
        barcode: Any barcode, or a text that starts with one: `TCGA-AA-3675.uuid`.

    Returns:
        The first three parts (`TCGA-AA-3675`), or `None` if there are none.
    """
    match = _BARCODE.match(barcode)
    return match[1].upper() if match else None


def project_of(barcode: str) -> str | None:
    """Returns the project that a barcode's tissue source site contributed to.

    Args:
        barcode: Any barcode, or a text that starts with one.

    Returns:
        The project without the prefix `TCGA-` ("COAD"), or `None` if the site is unknown.
    """
    match = _BARCODE.match(barcode)
    return _PROJECT_OF_SITE.get(match[2].upper()) if match else None
