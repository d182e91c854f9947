.PHONY: help app test quick lint train bench space constraints chromium
.DEFAULT_GOAL := help

PYTHON ?= python3
BIN := .venv/bin
# some twenty processes of the tests load the same modules: compiled ones are kept, also where the environment says not to
PYTEST := PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

help: ## list the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /make \1	/' | expand -t 16

app: .venv/app ## install what is needed and serve the microscope; prints its address
	$(BIN)/python app.py

test: lint chromium ## install what is needed and run all tests
	$(PYTEST)

quick: lint ## what to run after every change: style, types, and the tests of the network, questions and figures
	$(PYTEST) tests/mixer tests/viz --ignore tests/viz/lenses --ignore tests/viz/page -m "not process and not long"

lint: .venv/dev ## check format, style, spelling and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/codespell
	$(BIN)/pyrefly check

train: .venv/app ## start or continue the default training at low priority
	nice -n 19 $(BIN)/python main.py

bench: .venv/dev ## measure speed and memory against the others (on a quiet machine)
	$(BIN)/python -m bench

space: .venv/dev ## put a Hugging Face Space together in build/space and try it (PYTHON=... with another Python)
	$(BIN)/python -m tools.space --python $(PYTHON)

constraints: .venv/dev ## write down the installed versions of what the app needs, once all tests have passed with them
	$(BIN)/python -m tools.constraints

# the browser of the tests: one that is there, else Debian's, else Playwright's own; and Debian's nginx, for one test
chromium: .venv/dev
	@command -v chromium-headless-shell >/dev/null || command -v chromium >/dev/null || command -v google-chrome >/dev/null || \
	{ command -v apt-get >/dev/null && apt-get update -qq && apt-get install -qq -y chromium-headless-shell; } || \
	$(BIN)/playwright install --with-deps chromium
	@test -x /usr/sbin/nginx || ! command -v apt-get >/dev/null || \
	{ apt-get update -qq && apt-get install -qq -y nginx-light; } || echo "no nginx: its test is skipped"

.venv/app: requirements.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet -r requirements.txt
	touch $@

.venv/dev: requirements.txt requirements-dev.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet -r requirements-dev.txt
	touch $@
