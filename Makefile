# make bench       install into .venv and run the length sweep on the embedded pair
# make bench-gpu   time 7B and 8B shapes on a GPU, under 8 minutes
# make test        install into .venv and run every check
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed

.PHONY: bench bench-gpu test lint clean

bench: $(STAMP)
	$(BIN)/python -m eagle_bench.run -m gen_len=50,100,200,500,1000 stop=length

bench-gpu: $(STAMP)
	$(BIN)/python -m experiments.gpu.measure

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
