"""What each figure of the report means, for a reader who has nothing else."""

DEFINITIONS = (
    (
        "Speedup",
        "Throughput of the speculative arm over the baseline's, on the same prompts, from the "
        "call until the last token is on the host. Pooled: all tokens over all seconds. Ratio of "
        "means: of the prompts' mean tokens per second. Geometric mean: of the prompts' ratios. "
        "The interval is a bootstrap that resamples prompts.",
    ),
    (
        "Calls/Token",
        "Forward passes of the target, prefill included, over emitted tokens. The baseline (B) "
        "needs exactly 1.00; D is the speculative arm.",
    ),
    (
        "Accept rate",
        "Accepted draft tokens over drafted ones. It falls by itself when drafts get longer and "
        "is small for trees, so read it beside tau.",
    ),
    (
        "tau",
        "Tokens per verification round: the accepted draft tokens and the target's own next "
        "token, over all rounds. Emitted only: without what EOS or the length cut off. SGLang's: "
        "all tokens over rounds. Mean of prompts: per prompt, with the prefill as a round of one "
        "token.",
    ),
    (
        "Acceptance by position",
        "Marginal: of the rounds that offered position k, the share that accepted it. "
        "Conditional: that share over the one a position earlier.",
    ),
    ("Throughput", "Emitted tokens per second of wall time, prefill included."),
    (
        "Baseline s, Drafter s",
        "Seconds of all generations of the arm, over all prompts and repeats.",
    ),
    (
        "Lossless",
        "Share of prompts whose output equals the baseline's token for token, at temperature 0.",
    ),
    (
        "Engine gap",
        "tau of a serving engine over our own loop's on the same prompts, once the engine's rule "
        "for the last round is applied to ours; and the generations in which every count is equal. "
        "In float32 an engine that runs the head as it was trained has 1.00 and all equal.",
    ),
    (
        "Time by phase",
        "Seconds between synchronised marks in a separate, instrumented run. Timed runs carry "
        "no such marks.",
    ),
    (
        "Remarks",
        "Reasons to doubt a figure, found by the run itself: few prompts, outputs in a loop, "
        "early stops, a busy machine, an interval that contains 1.0.",
    ),
)
