"""Values of the variables that configs read."""

from wrong_input import Case

CLIP_IT = "eva fit clip_it/bach"
PAIRING = "eva predict pairing/bach"
PREDICT = "eva predict predict/bach --model.init_args.checkpoint={shared}/clip_it/session"
UNIMODAL = "eva fit unimodal/bach"
TEXT_ONLY = "eva fit text_only/bach"


def _values(command: str, name: str, *values: str) -> list[Case]:
    """Cases of values of one variable."""
    return [Case(f"`{name}={value}`", command, {name: value}) for value in values]


OF_TRAINING = [
    *_values(CLIP_IT, "N_RUNS", "0", "-1", "two", "1.5", ""),
    *_values(CLIP_IT, "MAX_STEPS", "0", "-2", "many", "nan", ""),
    *_values(CLIP_IT, "BATCH_SIZE", "0", "-1", "1.5", "big", ""),
    *_values(CLIP_IT, "LR_VALUE", "-0.1", "nan", "inf", "1e-3x"),
    *_values(CLIP_IT, "WEIGHT_DECAY", "-1", "nan"),
    *_values(CLIP_IT, "PATIENCE", "-1", "soon", ""),
    *_values(CLIP_IT, "CHECK_VAL_EVERY_N_EPOCH", "0", "x"),
    *_values(CLIP_IT, "VAL_CHECK_INTERVAL", "-1", "0", "1.5", "x"),
    *_values(CLIP_IT, "MONITOR_METRIC", "val/Accuracy"),
    *_values(CLIP_IT, "MONITOR_METRIC_MODE", "most"),
    *_values(CLIP_IT, "PRECISION", "7-bit"),
    *_values(CLIP_IT, "ACCELERATOR", "abacus"),
    *_values(CLIP_IT, "NUM_DEVICES", "0", "-3", "x"),
    *_values(CLIP_IT, "N_DATA_WORKERS", "-1", "x"),
    *_values(CLIP_IT, "PREFETCH_FACTOR", "2", "x"),
    *_values(CLIP_IT, "PERSISTENT_WORKERS", "true", "x"),
    *_values(CLIP_IT, "CHECKPOINT_TYPE", "worst"),
    *_values(CLIP_IT, "SAVE_LAST", "x", ""),
    *_values(CLIP_IT, "TQDM_REFRESH_RATE", "x", ""),
    Case("a file in the place of the output", CLIP_IT, {"OUTPUT_ROOT": "logs"}, {"logs": b""}),
    Case("a file in a prediction's place", PREDICT, {"OUTPUT_ROOT": "logs"}, {"logs": b""}),
]

OF_THE_METHOD = [
    *_values(CLIP_IT, "IN_FEATURES", "7", "-1", "x"),
    *_values(CLIP_IT, "TEXT_FEATURES", "7", "0", "x"),
    *_values(UNIMODAL, "IN_FEATURES", "7", "-1"),
    *_values(TEXT_ONLY, "TEXT_FEATURES", "7"),
    *_values(CLIP_IT, "LORA_RANK", "0", "-1", "1.5", "x", "100000000000"),
    *_values(CLIP_IT, "LORA_ALPHA", "0", "-8", "nan", "inf", "x"),
    *_values(CLIP_IT, "LORA_DROPOUT", "1", "-0.1", "nan", "x"),
    *_values(CLIP_IT, "LORA_TARGETS", "[nothing]", "[]", "Linear", "[7]"),
    *_values(CLIP_IT, "VISION_HEAD_LORA", "maybe"),
    *_values(CLIP_IT, "LORA_VISION", "maybe"),
    *_values(CLIP_IT, "LORA_TEXT", "maybe"),
    *_values(CLIP_IT, "TEXT_GRADIENT", "maybe"),
    *_values(CLIP_IT, "GRADIENT_CHECKPOINTING", "maybe"),
    *_values(CLIP_IT, "REPORT_COLUMN", ""),
    *_values(CLIP_IT, "DISTILL_WEIGHT", "-1", "nan", "inf", "x"),
    *_values(CLIP_IT, "DISTILLATION", "cosin"),
    *_values(CLIP_IT, "LABELS_PER_CLASS", "0", "-1", "1000", "few"),
    *_values(CLIP_IT, "LABELS_SEED", "-1", "x"),
    *_values(CLIP_IT, "UNLABELLED", "keep"),
    Case(
        "reports of samples without a label, and none to read",
        CLIP_IT,
        {"UNLABELLED": "distill", "LABELS_PER_CLASS": "2", "DISTILL_WEIGHT": "0"},
    ),
    *_values(CLIP_IT, "WORD_DROPOUT", "1", "-0.1", "nan", "x"),
    *_values(CLIP_IT, "TOP_K", "0", "-1", "2", "x"),
    *_values(CLIP_IT, "CRITERION", "hinge", "binary_cross_entropy"),
    *_values(TEXT_ONLY, "LR_SCHEDULER", "none.such"),
]

OF_IMAGES = [
    *_values(CLIP_IT, "AUGMENTATION", "flips"),
    Case(
        "images that change, and embeddings kept of them",
        "eva fit unimodal_cached/bach",
        {"AUGMENTATION": "flips_and_jitter"},
    ),
    *_values(CLIP_IT, "RESIZE_DIM", "0", "-1", "65", "x"),
    *_values(CLIP_IT, "NORMALIZE_MEAN", "0.5", "[0.5, 0.5]", "[a, b, c]"),
    *_values(CLIP_IT, "NORMALIZE_STD", "[0, 0, 0]", "[0.5]", "x"),
    *_values(CLIP_IT, "MODEL_NAME", "pathology/mahmod_uni", "demo_vit", "no_such.Backbone", ""),
    *_values(CLIP_IT, "MODEL_EXTRA_KWARGS", "[1]", "7"),
    *_values(CLIP_IT, "DOWNLOAD_DATA", "perhaps"),
]

OF_PAIRING = [
    *_values(PAIRING, "TOP_K", "0", "-1", "x", "1.5", "401"),
    *_values(PAIRING, "PAIRING_POLICY", "closest"),
    *_values(PAIRING, "PAIRING_SEED", "-1", "x"),
    *_values(PAIRING, "BATCH_SIZE", "0", "-1", "x"),
    Case("the table is to be a folder", PAIRING, {"PAIRING_TABLE": "{shared}/bach"}, names="bach"),
    Case(
        "a file is in the way of the table's folder",
        PAIRING,
        {"PAIRING_TABLE": "file/pairs.parquet"},
        {"file": b""},
    ),
]

OF_CONFIGS = [
    Case("a config that is not there", "eva fit none.yaml", names="none.yaml", by_eva=True),
    Case(
        "an option that no class takes", f"{CLIP_IT} --model.init_args.lora.rnak 4", names="rnak"
    ),
    *(
        Case(f"`--{option}`", f"{CLIP_IT} --{option}", names=option.split("=")[0].split(".")[-1])
        for option in (
            "model.init_args.distil_weight=1",
            "data.init_args.datasets.train.init_args.topk=1",
            "trainer.init_args.callbacks.5.init_args.branches=vision",
        )
    ),
    Case(
        "a config with an unknown key",
        "eva fit mine.yaml",
        files={"mine.yaml": b"trianer: {class_path: eva.Trainer}\n"},
        names="trianer",
        by_eva=True,
    ),
    *(
        Case(f"other reports in `{part}` alone", f"{CLIP_IT} --{part}.init_args.{field} b.csv",
             files={"b.csv": b"report_id,text\nr1,zanzibar\n"}, names=names)
        for part, field, names in (
            ("model", "reports.init_args.path", "model.init_args.reports"),
            ("data.init_args.datasets.train", "reports.init_args.path", "other reports"),
        )
    ),
]  # fmt: skip

CASES = [*OF_TRAINING, *OF_THE_METHOD, *OF_IMAGES, *OF_PAIRING, *OF_CONFIGS]
