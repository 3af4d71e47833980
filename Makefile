# make demo   installs what is missing, builds, runs examples/shop on real data and prints its answers
# make test   installs what the tests need and runs them
# make bench  builds the benchmarks to build/release/bin/bench_*
# make profile BENCH="bench_nexmark --query q4"   runs one and prints where its CPU time goes
.PHONY: demo test test-all bench profile build format check-format tidy clean

demo:
	@tools/setup.sh
	@tools/build.sh release millrace
	@tools/demo.sh

test:
	@tools/setup.sh --test
	@tools/test.sh

test-all:
	@tools/setup.sh --test-all
	@tools/test.sh --all

bench:
	@tools/setup.sh --test
	@tools/build.sh bench all

profile:
	@tools/setup.sh --test
	@tools/profile.sh $(BENCH)

build:
	@tools/build.sh release millrace

sources = $$(git ls-files 'src/*.h' 'src/*.cc' 'tests/*.h' 'tests/*.cc' 'bench/*.h' 'bench/*.cc')

format:
	@clang-format-14 -i $(sources)

check-format:
	@clang-format-14 --dry-run -Werror $(sources)

tidy:
	@tools/tidy.py

clean:
	rm -rf build
