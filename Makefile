# The commands of this project; `make` lists them. Everything they need beyond cargo, g++ and python3 they bring
# themselves, without root: libtorch into .libtorch/, crates into cargo's own folder.
#
#   PROFILE=dev               builds the demo without the release profile
#   DEMO_FLAGS='…'            trains something else than the demo's recipe
#   BENCH_FLAGS='…'           e.g. --rounds 1 or --epoch, see worker/benches/compare.py --help;
#                             for bench-coordinator e.g. --workers 1000 or --tls, for bench-recovery e.g. --kills 5
#   RESULTS_FLAGS='…'         e.g. --epochs 2 --seeds 1, see worker/benches/results.py --help
#   FUZZ_SECONDS=3600         how long `make fuzz` stays with each reader
#   SOAK_FLAGS='…'            e.g. --faults 20 --seed 3, see worker/benches/soak.py --help
#   FLIPS_FLAGS='…'           e.g. --flips 50 --seed 3, see worker/benches/flips.py --help
#   CONCENTRIC_MNIST_DIR=DIR  a folder that holds MNIST already: nothing is downloaded then

PROFILE ?= release
TARGET := $(or $(CARGO_TARGET_DIR),target)
PROGRAMS := $(TARGET)/$(if $(filter dev,$(PROFILE)),debug,$(PROFILE))

# Ten clusters in two and a half minutes on two cores. The programs' own defaults are slower and better.
DEMO_FLAGS ?= --recipe fast

# Made last, so that an environment whose making was interrupted is made again.
BENCH_READY := .venv-bench/ready

# Compose, or its predecessor.
COMPOSE ?= $(shell docker compose version >/dev/null 2>&1 && echo docker compose || echo docker-compose)

.DEFAULT_GOAL := help
.PHONY: help demo fingerprint test chaos fuzz cluster cluster-test lint bench bench-coordinator bench-gpu bench-recovery \
	bench-outages results soak build libtorch libtorch-cuda cuda clean

help: ## list these targets
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 28

demo: build ## set everything up, train on this machine with two workers, say where the pictures are
	$(PROGRAMS)/coordinator --workers 2 --spawn --listen 127.0.0.1:0 $(DEMO_FLAGS)

fingerprint: build ## 30 steps with two workers; ends with the fingerprint that README.md names, on every machine
	@folder=$$(mktemp -d) && $(PROGRAMS)/coordinator --workers 2 --spawn --listen 127.0.0.1:0 --run-dir $$folder/run \
		--dataset synthetic --train-samples 600 --test-samples 40 --batch-size 20 --max-steps 30 --logical-shards 4 \
		&& rm -r $$folder

test: libtorch ## set everything up, run every test
	cargo test --workspace

chaos: libtorch ## the whole kill matrix: each rank at each step in each phase, killed or hung (15 minutes)
	CONCENTRIC_CHAOS=all cargo test --workspace --test it -- chaos --nocapture

fuzz: ## every reader of files and messages, FUZZ_SECONDS each (60), two at a time
	coordinator/fuzz/run.sh $(or $(FUZZ_SECONDS),60)

cluster: ## train in containers: a coordinator and four workers; the pictures arrive in runs/run/pictures
	@mkdir -p runs
	CONCENTRIC_USER=$${CONCENTRIC_USER:-$$(id -u):$$(id -g)} $(COMPOSE) -f deploy/compose.yaml up --build

cluster-test: ## build the images, prove that four containers end with the bytes of one worker, faults and all (15 minutes)
	python3 deploy/tests/cluster.py

lint: libtorch ## formatting, clippy and documentation, warnings denied
	cargo fmt --check
	cargo clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps

bench: build $(BENCH_READY) ## measure side by side with PyTorch; the table of docs/performance.md (10 minutes)
	.venv-bench/bin/python worker/benches/compare.py --programs $(PROGRAMS) $(BENCH_FLAGS)

bench-coordinator: build ## measure one coordinator with up to 10,000 workers that only talk (1 minute)
	cargo bench --workspace --bench control_plane -- --programs $(PROGRAMS) $(BENCH_FLAGS)

bench-gpu: build ## measure side by side with PyTorch on one GPU; BENCH_FLAGS='--python python3' if that has torch
	python3 worker/benches/gpu.py --programs $(PROGRAMS) $(BENCH_FLAGS)

results: build $(BENCH_READY) ## the full run and five claims about its recipe, three seeds each; docs/results.md (hours)
	.venv-bench/bin/python worker/benches/results.py --programs $(PROGRAMS) $(RESULTS_FLAGS)

bench-recovery: build ## measure how fast a run goes on after a loss, over 140 losses (10 minutes)
	python3 worker/benches/recovery.py --programs $(PROGRAMS) $(BENCH_FLAGS)

bench-outages: build ## measure what a network costs a run though nobody dies (10 minutes; root, ip, iptables)
	python3 worker/benches/outages.py --programs $(PROGRAMS) $(BENCH_FLAGS)

soak: build ## 200 random faults over one run, 1,000 flipped bits over another: equal files, clean audit, no leak (40 minutes)
	python3 worker/benches/soak.py --programs $(PROGRAMS) $(SOAK_FLAGS)
	python3 worker/benches/flips.py --programs $(PROGRAMS) $(FLIPS_FLAGS)

build: libtorch ## both programs, into target/release
	cargo build --workspace --bins --profile $(PROFILE)

libtorch: ## libtorch alone, into .libtorch
	deploy/libtorch.sh

libtorch-cuda: ## libtorch with its CUDA libraries, whether or not there is a GPU here
	deploy/libtorch.sh cuda

cuda: libtorch-cuda ## what lets a GPU replay its steps as CUDA graphs, into .libtorch
	deploy/cuda-graphs.sh

clean: ## remove everything that was built or fetched; runs and data sets stay
	cargo clean
	rm -rf .libtorch .venv-bench

$(BENCH_READY): worker/benches/pytorch/requirements.txt
	rm -rf .venv-bench
	python3 -m venv .venv-bench
	.venv-bench/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	touch $@
