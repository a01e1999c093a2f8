# Two commands need nothing but git, Rust and make: `make demo` and `make test`.
# Both install what is missing (Debian, Ubuntu) and ask nothing; elsewhere they say what to install.

.DEFAULT_GOAL := help
.PHONY: help demo test bench fixtures pictures setup

help: ## Say what there is to make
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: ## Play the demo track: a window if there is a display, else demo.mp4
	@scripts/demo.sh

test: ## Format, lints, all tests, docs: what CI runs
	@scripts/test.sh

bench: ## Time each stage with the demo's model; numbers go to build/bench.json
	@scripts/bench.sh

fixtures: ## Make the files in tests/fixtures anew
	@scripts/fixtures.sh

pictures: ## Make the pictures in docs/ that show the bundled model
	@scripts/pictures.sh

setup: ## Only install what demo and test need
	@scripts/setup.sh test
