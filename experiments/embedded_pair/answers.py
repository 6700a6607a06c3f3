"""How many held-out prompts the embedded target answers exactly, by category.

    python experiments/embedded_pair/answers.py RUN_FOLDER

The folder is of a run on the embedded prompts that was long enough to end by EOS:
`python -m eagle_bench.run num_samples=80 gen_len=1000`.
"""

import sys

import pandas as pd
from transformers import AutoTokenizer

import eagle_bench
from eagle_bench import assets


def main(folder: str) -> None:
    rows = eagle_bench.load_results(folder).generations
    rows = rows[(rows.arm == "baseline") & (rows.repeat == 0) & (rows.turn == 0)]
    tokenizer = AutoTokenizer.from_pretrained(assets.TARGET)
    prompts = pd.read_json(assets.PROMPTS, lines=True).set_index("question_id")
    prompts.index = prompts.index.astype(str)
    rows["answer"] = [tokenizer.decode(ids, skip_special_tokens=True) for ids in rows.token_ids]
    rows["reference"] = [prompts.reference[key][0] for key in rows.prompt_id]
    rows["exact"] = rows.answer.str.strip() == rows.reference.str.strip()
    rows["ended"] = rows.stop_reason == "eos"
    table = rows.groupby("category").agg(
        prompts=("exact", "size"), exact=("exact", "sum"), ended_by_eos=("ended", "sum")
    )
    table.loc["all"] = table.sum()
    print(table.to_string())


if __name__ == "__main__":
    main(sys.argv[1])
