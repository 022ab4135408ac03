# Commands for people; each is one or two lines that can be typed by hand.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
SOURCES = pyproject.toml $(wildcard bpfctl/_sys/*.c bpfctl/_sys/*.h btf/*.c)

.PHONY: demo test test-here test-guests test-vm check bench bench-functions fuzz sweep wheel wheels zipapp docs screens gen packages test-packages clean

demo: $(VENV)/installed ## install bpfctl into .venv and show what the kernel runs
	$(BIN)/python docs/examples/demo.py

test: $(VENV)/developed test-packages ## run all tests that need no guest, and beside them the kernel tests in two guests
	$(MAKE) --no-print-directory test-guests >$(VENV)/guests.log 2>&1 & guests=$$!; trap "kill $$guests" INT TERM; \
		$(MAKE) --no-print-directory test-here; here=$$?; wait $$guests; there=$$?; cat $(VENV)/guests.log; exit $$((here || there))

test-here: $(VENV)/developed test-packages ## run all tests that need no guest
	BPFCTL_BPFTOOL=$$($(BIN)/python -m tests.vm bpftool) $(BIN)/python -m pytest

test-guests: $(VENV)/developed test-packages ## run the kernel tests in guests with the oldest and the newest kernel
	$(BIN)/python -m tests.vm test --kernel 5.10 --kernel newest

test-vm: $(VENV)/developed test-packages ## run the kernel tests in guests of every kernel, on arm64 those of memory order and processes
	tests/packages.sh arm64
	$(BIN)/python -m pytest -m vm tests/vm
	$(BIN)/python -m tests.vm test --all
	$(BIN)/python -m tests.vm test --kernel arm64 --cpus 2 tests/kernel/test_calls.py tests/kernel/test_events.py \
		tests/kernel/test_uprobe.py tests/kernel/test_usdt.py

test-wheel: $(VENV)/developed test-packages ## build the wheel and run the kernel tests against it, installed in a fresh environment
	$(BIN)/python -m release.test_wheel

check: $(VENV)/developed ## style, types, layers, fresh generated files
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m bpfctl._tools.gen_ffi --check
	$(BIN)/python -m bpfctl._tools.gen_uapi --check
	$(BIN)/python -m bpfctl._tools.gen_man --check
	$(BIN)/python -m bpfctl._tools.gen_docs --check
	$(BIN)/python -m bpfctl._tools.gen_rights --check

bench: $(VENV)/installed test-packages ## times and memory beside bpftool in the same run, what reads maps and BTF from Python
	peer=bpftool:$$($(BIN)/python -m tests.vm bpftool); for each in startup map_dump map_restore map_items ring btf_dump btf_show btf_merge prog_dump feature probe complete stacks symbols; do \
		BPFCTL_BPFTOOL=$$peer $(BIN)/python benchmarks/$$each.py || exit; done

bench-functions: $(VENV)/installed test-packages ## many functions of the kernel beside bpftrace, in a guest
	$(BIN)/python -m tests.vm run --kernel newest --timeout 1800 "$(abspath $(BIN))/python benchmarks/probe.py --kernel-functions"

fuzz: $(VENV)/developed test-packages ## a million instruction words, 500,000 values, 50,000 objects, a million mutated BTFs, a thousand signals, each time others
	$(BIN)/python -m tests.fuzz.insns 1000000 --seed $$(date +%s)
	$(BIN)/python -m tests.fuzz.objects 50000 --seed $$(date +%s)
	$(BIN)/python -m tests.fuzz.ends 1000 --seed $$(date +%s)
	$(BIN)/python -m tests.fuzz.values 500000 --seed $$(date +%s) --maps
	$(BIN)/python -m pip install --quiet --editable '.[fuzz]'
	$(BIN)/python -m tests.fuzz.btf 1000000 --seed $$(date +%s)

sweep: $(VENV)/developed test-packages ## compare every BTF of all kernels with bpftool, in every form; takes hours
	$(BIN)/python -m tests.vm fetch
	$(BIN)/python -m tests.bpftool.btf_sweep

wheel: $(VENV)/released ## one cp311-abi3 wheel for this machine and the source distribution, in dist/
	$(BIN)/python -m build

wheels: $(VENV)/released ## the source distribution, and wheels for x86-64 and arm64 and glibc 2.17, in dist/
	$(BIN)/python -m release.wheels

zipapp: wheels ## one file for machines with bare Python, dist/bpfctl.pyz
	$(BIN)/python -m release.zipapp dist/bpfctl-*-manylinux*.whl

gen: $(VENV)/developed ## write the generated files again
	$(BIN)/python -m bpfctl._tools.gen_ffi
	$(BIN)/python -m bpfctl._tools.gen_uapi
	$(BIN)/python -m bpfctl._tools.gen_man
	$(BIN)/python -m bpfctl._tools.gen_docs
	$(BIN)/python -m bpfctl._tools.gen_rights

docs: $(VENV)/docs/built ## the site of the documents, in build/site
	NO_MKDOCS_2_WARNING=1 $(VENV)/docs/bin/mkdocs build --quiet --strict

screens: $(VENV)/developed ## take the pictures in docs/screens again
	$(BIN)/python docs/screens.py

packages: # what building needs, on Debian and Ubuntu
	@$(PYTHON) -c 'import ensurepip, sysconfig, os; exit(not os.path.exists(sysconfig.get_path("include") + "/Python.h"))' \
		|| { echo "installing python3-venv, python3-dev and gcc"; apt-get update -q && apt-get install -y -q python3-venv python3-dev gcc; }

test-packages: # what the tests and benchmarks need besides: the peer, guests, and tools that look from outside
	tests/packages.sh

$(VENV)/bin/python: | packages
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: $(SOURCES) $(shell find bpfctl btf plugins -name '*.py') | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet .
	touch $@

$(VENV)/developed: $(SOURCES) | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --editable '.[test,check]'
	touch $@

$(VENV)/released: $(SOURCES) | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --editable '.[release]'
	touch $@

# A venv of its own: pip looks for what is named in pyproject.toml, and builds nothing.
$(VENV)/docs/built: pyproject.toml | packages
	$(PYTHON) -m venv $(VENV)/docs
	$(VENV)/docs/bin/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["docs"])' \
		| xargs $(VENV)/docs/bin/pip install --quiet
	touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info
