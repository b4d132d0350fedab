# `make test` is what CI runs. The recipes install what they need, except Rust, Node 20, Python 3 and make.

CARGO ?= cargo
NODE_MIN := 20
# A browser test that hangs is killed after 15 minutes, on systems with `timeout`.
HANG := $(shell command -v timeout >/dev/null && echo timeout 900)

# Cargo's target folder, wherever it is configured.
TARGET = $(shell $(CARGO) metadata --no-deps --format-version 1 | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')

.PHONY: run test rust program js js-packages browser test-mongo bench prove scale suites deny node

# A server with demo accounts on http://127.0.0.1:3000.
run:
	$(CARGO) run --release -- --demo

# Formatting, lints, docs, Rust tests, the tests with the official JavaScript client, and those in Chromium if it is installed.
test: node rust js browser

# `check` compiles what is shipped, without the features that dev-dependencies add.
rust:
	$(CARGO) fmt --check
	$(CARGO) clippy --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --no-deps
	$(CARGO) check
	$(CARGO) test --all-targets --no-fail-fast
	$(CARGO) test --doc

# The program with the features that dev-dependencies add, as in the Rust tests, so that nothing is compiled twice.
program:
	$(CARGO) build --bins --examples

js: js-packages program
	cd tests/js && DESKLINE_BIN="$(TARGET)/debug/deskline" npm test

# Pages in Chromium; skipped if it is not installed (apt-get install chromium).
browser: js-packages program
	cd tests/browser && npm ci --no-audit --no-fund && DESKLINE_BIN="$(TARGET)/debug/deskline" $(HANG) npm test

# The store's suite on a real MongoDB: make test-mongo MONGODB_URI=mongodb://127.0.0.1:27017/?replicaSet=rs0
test-mongo:
	@test -n "$(MONGODB_URI)" || { echo "make test-mongo needs MONGODB_URI=mongodb://..." >&2; exit 1; }
	DESKLINE_TEST_MONGO_URI="$(MONGODB_URI)" $(CARGO) test --lib store:: --test mongo

# The figures of docs/BENCHMARKS.md.
bench:
	$(CARGO) build --release
	"$(TARGET)/release/deskline" bench

# The figures of docs/RELIABILITY.md: a hundred kills, restarts under 5,000 connections, a connect storm, and mass reconnects.
prove:
	$(CARGO) build --release
	"$(TARGET)/release/deskline" prove --kill 100
	"$(TARGET)/release/deskline" bench --mode restart --mode crash --back-within 5s
	"$(TARGET)/release/deskline" bench --mode storm
	"$(TARGET)/release/deskline" bench --mode reconnect --connections 1000 --rate 200
	"$(TARGET)/release/deskline" bench --mode reconnect --connections 1000 --rate 200 --protocol storefront
	"$(TARGET)/release/deskline" bench --mode reconnect --connections 1000 --rate 200 --protocol drivecash
	"$(TARGET)/release/deskline" bench --mode rate --beside 5 --json "$(TARGET)"/reading.json
	"$(TARGET)/release/deskline" bench --mode rate --beside 5 --stalled --json "$(TARGET)"/stalled.json
	"$(TARGET)/release/deskline" bench --compare "$(TARGET)"/reading.json "$(TARGET)"/stalled.json --within 2

# The figures of docs/RELIABILITY.md on clients that are slow, refused or cut off, with a thousand of each; and each way
# in which a page can lose its connection, twenty times.
scale: js-packages
	$(CARGO) build --release
	cd tests/js && DESKLINE_AT_SCALE=1000 DESKLINE_BIN="$(TARGET)/release/deskline" node --test at-scale.mjs
	DESKLINE_SLOW_READERS=1000 $(CARGO) test --release --test it -- --nocapture slow_readers
	cd tests/browser && npm ci --no-audit --no-fund && DESKLINE_COMING_BACK_TIMES=20 DESKLINE_BIN="$(TARGET)/release/deskline" \
		node --test coming-back.test.mjs coming-back-tabs.test.mjs coming-back-channels.test.mjs

# The official test suites of the Engine.IO and Socket.IO protocols, on port 3000; needs git and npm.
suites: node
	$(CARGO) build --example protocol_echo
	node scripts/protocol-suites.mjs "$(TARGET)/debug/examples/protocol_echo"

# Known vulnerabilities and licences of dependencies; needs cargo-deny.
deny:
	$(CARGO) deny check

js-packages: node
	cd tests/js && npm ci --no-audit --no-fund

node:
	@command -v node >/dev/null || { echo "Node $(NODE_MIN) or newer is needed for the JavaScript tests: https://nodejs.org" >&2; exit 1; }
	@node -e 'process.exit(parseInt(process.versions.node) >= $(NODE_MIN) ? 0 : 1)' \
		|| { echo "Node $(NODE_MIN) or newer is needed for the JavaScript tests, this is $$(node --version)" >&2; exit 1; }
