# `make test` is what CI runs. Everything is installed by the recipes themselves, but for Rust, Node 20 and make.

CARGO ?= cargo
NODE_MIN := 20
# A browser must not hold up a run for ever; not every system has the command.
HANG := $(shell command -v timeout >/dev/null && echo timeout 900)

# Where cargo puts what it builds, wherever that is set.
TARGET = $(shell $(CARGO) metadata --no-deps --format-version 1 | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')

.PHONY: run test rust js js-packages browser test-mongo bench prove suites deny node

# The main job: a server with demo accounts on http://127.0.0.1:3000.
run:
	$(CARGO) run --release -- --demo

# Formatting, lints, docs, Rust tests, the tests with the official JavaScript client, and those in Chromium if it is there.
test: node rust js browser

rust:
	$(CARGO) fmt --check
	$(CARGO) clippy --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --no-deps
	$(CARGO) test --all-targets --no-fail-fast
	$(CARGO) test --doc

js: js-packages
	$(CARGO) build
	cd tests/js && DESKLINE_BIN="$(TARGET)/debug/deskline" npm test

# The console, and close codes as a page reads them; without Chromium (apt-get install chromium) they are left out. They
# start their servers and customers as the JavaScript tests do.
browser: js-packages
	$(CARGO) build
	cd tests/browser && npm ci --no-audit --no-fund && DESKLINE_BIN="$(TARGET)/debug/deskline" $(HANG) npm test

# The store's suite on a real MongoDB: make test-mongo MONGODB_URI=mongodb://127.0.0.1:27017/?replicaSet=rs0
test-mongo:
	@test -n "$(MONGODB_URI)" || { echo "make test-mongo needs MONGODB_URI=mongodb://..." >&2; exit 1; }
	DESKLINE_TEST_MONGO_URI="$(MONGODB_URI)" $(CARGO) test --lib store:: --test mongo

# The figures of docs/BENCHMARKS.md.
bench:
	$(CARGO) build --release
	"$(TARGET)/release/deskline" bench

# The figures of docs/RELIABILITY.md: a hundred kills, a restart under 5,000 connections, everybody at once, and all cut off at once.
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
