# Needs Node.js >= 20.19 and make, nothing else. `make help` lists what there is.
.DEFAULT_GOAL := help
SHELL := /bin/sh
JEST_ARGS ?=
DEMO_ARGS ?=
BENCH_ARGS ?=
IMAGE_ARGS ?=

.PHONY: help check-node install build generate reference demo test docs-test pictures conformance k8s-check chaos image image-test lint
.PHONY: format bench package package-test release clean

help: ## lists the targets
	@sed -n 's/^\([a-z0-9-]*\):.*## /\1\t/p' Makefile | awk -F '\t' '{ printf "  make %-12s %s\n", $$1, $$2 }'

check-node:
	@command -v node >/dev/null || { echo 'Troupe needs Node.js 20.19 or newer, and there is no node on the PATH' >&2; exit 1; }
	@node bin/check-node.cjs

install: check-node ## installs the npm packages of package-lock.json, unless they are there
	@node scripts/install.mjs

build: install ## compiles src/ and examples/ into dist/
	@node scripts/build.mjs

generate: install ## generates src/gen from proto/
	@node scripts/generate.mjs

reference: build ## writes docs/reference from the settings and the command
	@node scripts/reference.mjs

demo: build ## shows a cluster at work on this machine
	@node dist/src/app/main.js demo $(DEMO_ARGS)

test: build ## runs every test; JEST_ARGS='test/unit' picks some
	@node scripts/test.mjs $(JEST_ARGS)

conformance: build ## tests the contracts with clients in Python and Go, and with grpcurl; gets them where they are not there
	@node scripts/test.mjs test/conformance $(JEST_ARGS)

k8s-check: build ## checks k8s/ and has Prometheus scrape a cluster; gets helm, kustomize and Prometheus where there are none
	@node scripts/test.mjs test/k8s $(JEST_ARGS)

chaos: build ## breaks clusters under load, and shows how they took it; TROUPE_TEST_SEED repeats a run
	@node scripts/chaos.mjs $(JEST_ARGS)

image: check-node ## builds the image troupe/troupe with docker, podman or buildah
	@node scripts/image.mjs $(IMAGE_ARGS)

image-test: build ## builds the image with buildah, and runs its containers; needs root
	@node scripts/image-test.mjs $(JEST_ARGS)

docs-test: build ## does what the documents say, from top to bottom, and follows their links
	@node scripts/test.mjs test/docs --maxWorkers=1 $(JEST_ARGS)

pictures: build ## draws docs/images anew, from runs of the command
	@node scripts/pictures.mjs

lint: install ## checks style, layers, contracts, generated code and leftovers
	@npm run --silent lint

format: install ## formats the sources and fixes what can be fixed
	@node node_modules/.bin/biome check --write .

bench: build ## measures Troupe beside its peers
	@node bench/run.mjs $(BENCH_ARGS)

package: install ## packs what npm publishes: troupe-<version>.tgz
	@npm pack --loglevel error

package-test: package ## installs the package on Node.js 20, 22 and 24 and uses it there (needs the npm registry)
	@node scripts/test.mjs test/package $(JEST_ARGS)

release: install ## VERSION=1.2.3: sets the version, writes the descriptor of the contracts, commits, tags
	@node scripts/release.mjs $(VERSION)

clean: ## removes what was built and installed
	@rm -rf dist .tools coverage node_modules test/conformance/go/gen troupe-*.tgz
