# payments: build, install and test.
#
#	make demo		build, start a throw-away cluster and the Toss simulator, buy
#	make check		every test
#	make help		the rest
#
# Two kinds of goals.  Those of PostgreSQL's extension makefiles (all, install,
# installcheck, clean, ...) need pg_config.  Ours need nothing but make and
# bash: their scripts install what is missing first, and come back here.

OURS = help packages check demo demo-stop dev dev-stop bench bench-ledger bench-worker fuzz \
	slow soak crash crash-double crash-wal mutations model valgrind coverage lint indent clean-build

PG_CONFIG ?= pg_config
export PG_CONFIG

goals = $(or $(MAKECMDGOALS),all)
ours = $(filter $(OURS),$(goals))
theirs = $(filter-out $(OURS),$(goals))

ifneq ($(and $(ours),$(theirs)),)

# Both kinds at once: one after the other.
.PHONY: $(goals)
.NOTPARALLEL:
$(goals):
	@$(MAKE) --no-print-directory $@

else ifneq ($(ours),)

.PHONY: $(OURS)

help:
	@sed -n 's/^#: //p' Makefile

#: make               compile build the install script
#: make install       into the server that PG_CONFIG names
#: make installcheck  SQL and isolation tests in a running server
#: make faults        the library with points at which tests can strike
#: make clean         what make made; make clean-build also the build folder

#: make packages      install (or name) the Debian packages that are missing
packages:
	@test/setup/packages build test lint

#: make check         every test, in a throw-away cluster (PARTS="regress tap": some)
check:
	@test/setup/check $(PARTS)

#: make demo          a shop's day, end to end; make demo-stop ends it
demo:
	@test/setup/packages build test
	@test/setup/shop up demo
	@test/setup/shop run demo test/demo/run
demo-stop:
	@test/setup/shop down demo

#: make dev           a private cluster, the simulator, and psql; make dev-stop ends it
dev:
	@test/setup/packages build test
	@test/setup/shop up dev
	@test/setup/shop run dev psql
dev-stop:
	@test/setup/shop down dev

#: make bench         what it can carry
bench:
	@test/setup/packages build test
	@test/setup/shop up bench
	@test/setup/shop run bench test/bench/run; \
		status=$$?; test/setup/shop down bench; exit $$status

#: make bench-ledger  what the ledger can carry (PGLEDGER_SQL=FILE: beside pgledger)
bench-ledger:
	@test/setup/packages build test
	@test/setup/shop up bench-ledger
	@test/setup/shop run bench-ledger test/bench/ledger/run; \
		status=$$?; test/setup/shop down bench-ledger; exit $$status

#: make bench-worker  what the worker can carry, beside what is asked of it (PG_NET=DIR: and beside pg_net)
bench-worker:
	@test/setup/packages build test
	@test/setup/shop up bench-worker
	@test/setup/shop run bench-worker test/bench/worker/run; \
		status=$$?; test/setup/shop down bench-worker; exit $$status

#: make slow          tests of a lossy network, old snapshots, storms and want of memory, for longer
slow:
	@LONG=slow test/setup/check tap

#: make soak          payments, faults and kills (CALLS=1000000 SECONDS=14400: how much)
soak:
	@LONG=$@ SOAK_CALLS=$(CALLS) CRASH_SECONDS=$(SECONDS) test/setup/check crash

#: make crash         every fault point with every end, and every fault of the PSP, over an hour
crash:
	@LONG=$@ test/setup/check $(if $(PAIR),,tap) crash

#: make crash-double  two faults at once and a rain of others, drawn from seeds (SECONDS=600)
crash-double:
	@LONG=$@ CRASH_SECONDS=$(SECONDS) test/setup/check crash

#: make mutations     break the code in every way of test/mutations, and demand that a test sees it
mutations:
	@test/setup/packages build test
	@test/mutations/run

#: make model         the ledger beside a model of it (SEEDS=100 SECONDS=600: how much)
model:
	@LONG=model MODEL_SEEDS=$(or $(SEEDS),1000000) \
		MODEL_SECONDS=$(or $(SECONDS),600) test/setup/check model

#: make crash-wal     recovery from every record of the log of a run, in an hour at most
crash-wal:
	@LONG=crash_wal test/setup/check tap

#: make fuzz          the parsers under libFuzzer
fuzz:
	@test/setup/packages build test fuzz
	@test/fuzz/run

#: make valgrind      the SQL tests with the server under valgrind
valgrind:
	@test/setup/packages valgrind
	@VALGRIND=yes test/setup/check regress

#: make coverage      lines of src/ that the SQL and TAP tests reach
coverage:
	@test/setup/coverage

#: make lint          what a reader would complain about
lint:
	@test/setup/packages build lint
	@$(MAKE) -s all
	@test/lint/run

#: make indent        format the C files
indent:
	@test/setup/packages build lint
	@$(MAKE) -s all
	@test/lint/indent

clean-build:
	@test/setup/shop clear
	rm -rf build

else

EXTENSION = payments
EXTVERSION = $(shell sed -n "s/^default_version *= *'\(.*\)'/\1/p" payments.control)

# The library: every C file of src/ but fault.c, which is for tests
MODULE_big = payments
OBJS = $(patsubst %.c,%.o,$(filter-out src/fault.c,$(sort $(wildcard src/*.c))))
SHLIB_LINK = -lcurl -lssl -lcrypto
PG_CPPFLAGS = -DPAYMENTS_VERSION='"$(EXTVERSION)"'
PG_CFLAGS = -Wextra -Wno-unused-parameter -Wno-sign-compare \
	-Wno-missing-field-initializers -Wdeclaration-after-statement

# No bitcode for the JIT compiler: nothing here is called once per row.
override with_llvm = no

# The install script: the numbered parts of sql/, and the released deltas
SCRIPT = sql/payments--$(EXTVERSION).sql
SQL_PARTS = $(sort $(wildcard sql/[0-9][0-9]_*.sql))
DATA = $(wildcard sql/payments--*--*.sql)
DATA_built = $(SCRIPT)

# Tests.  install goes first: it creates the extension for the others.
names = $(notdir $(basename $(wildcard $(1))))
tests = $(sort $(call names,test/sql/*.sql))
REGRESS = $(filter install,$(tests)) $(filter-out install,$(tests))
REGRESS_OPTS = --inputdir=test
ISOLATION = $(sort $(call names,test/specs/*.spec))
ISOLATION_OPTS = --inputdir=test --outputdir=. --load-extension=payments

EXTRA_CLEAN = src/*.gcda src/*.gcno

PGXS := $(shell $(PG_CONFIG) --pgxs)
ifeq ($(wildcard $(PGXS)),)
$(error $(PG_CONFIG) finds no server headers; "make packages" installs them)
endif
include $(PGXS)

# Objects are compiled anew after a change of any header, and when PG_CONFIG
# names another server than the last time.
BUILT_FOR = build/for-$(VERSION)
ifeq ($(wildcard $(BUILT_FOR)),)
$(shell mkdir -p build; rm -f build/for-*; touch $(BUILT_FOR))
endif
$(OBJS): $(wildcard src/*.h) $(BUILT_FOR)

# The same library with points at which tests can strike (src/fault.h).  It is
# never installed: a server finds it by dynamic_library_path.
FAULTS = build/faults
FAULTS_OBJS = $(patsubst src/%.c,$(FAULTS)/%.o,$(wildcard src/*.c))
.PHONY: faults
faults: $(FAULTS)/payments.so
$(FAULTS)/payments.so: $(FAULTS_OBJS)
	$(CC) $(CFLAGS) $^ $(LDFLAGS) $(LDFLAGS_SL) -shared -o $@ $(SHLIB_LINK)
$(FAULTS_OBJS): $(FAULTS)/%.o: src/%.c $(wildcard src/*.h) $(BUILT_FOR) | $(FAULTS)
	$(CC) $(CFLAGS) $(CPPFLAGS) -DPAYMENTS_FAULTS -c $< -o $@
$(FAULTS):
	mkdir -p $@

$(SCRIPT): $(SQL_PARTS) payments.control sql
	cat $(SQL_PARTS) /dev/null > $@

endif
