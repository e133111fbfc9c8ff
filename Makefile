# Makefile of the extension matrix_events.
#
#   make, make install         build and install (PG_CONFIG=... for another PostgreSQL)
#   make unitcheck             the core's tests, under ASan and UBSan, without a server
#   make localcheck            all tests on a private copy of the installed PostgreSQL
#   make demo, make bench      see README.md and docs/benchmarks.md
#   make fuzz                  libFuzzer on the core for FUZZ_SECONDS

EXTNAME = matrix_events

# The folder of this file, so that a build in another folder works as well, and
# the files there that match a pattern, named from it.
SRC    := $(dir $(lastword $(MAKEFILE_LIST)))
files   = $(patsubst $(SRC)%,%,$(sort $(wildcard $(addprefix $(SRC),$(1)))))

EXTVERSION := $(shell sed -n "s/^default_version *= *'\([^']*\)'.*/\1/p" $(SRC)extension.control)

PROGRAM_NAME  = matrix-events
CORE_OBJS     = $(patsubst %.c,%.o,$(call files,src/core/*.c))
CLIENT_OBJS   = $(patsubst %.c,%.o,$(call files,src/client/*.c))
OBJS          = $(CORE_OBJS) $(patsubst %.c,%.o,$(call files,src/pg/*.c))
MODULE_big    = $(EXTNAME)
MODULEDIR     = extension
DATA          = $(call files,sql/upgrade/*.sql)
DATA_built    = $(EXTNAME).control $(EXTNAME)--$(EXTVERSION).sql
INCLUDES      = -Isrc -I$(SRC)src
PG_CPPFLAGS   = $(INCLUDES) -DMATRIX_EVENTS_VERSION='"$(EXTVERSION)"'
PG_CFLAGS     = -std=gnu11 -Werror -Wno-declaration-after-statement
SHLIB_LINK    = -ljansson -lm -Wl,--version-script=exports.map -Wl,--no-undefined-version

REGRESS        = $(patsubst test/sql/%.sql,%,$(call files,test/sql/*.sql))
REGRESS_OPTS   = --inputdir=test --encoding=UTF8 --no-locale --load-extension=$(EXTNAME)
ISOLATION      = $(patsubst test/specs/%.spec,%,$(call files,test/specs/*.spec))
ISOLATION_OPTS = --inputdir=test --outputdir=. --encoding=UTF8 --no-locale --load-extension=$(EXTNAME)
REGRESS_PREP   = test-prep
TAP_TESTS      = 1
PROVE_TESTS    = test/t/*.pl
EXTRA_CLEAN    = $(PROGRAM_NAME) $(CLIENT_OBJS) exports.map src/core/event_types.inc META.json tmp_install tmp_check unit fuzz-core \
                 $(EXTNAME).control $(EXTNAME)--*.sql results log output_iso

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

all: check-symbols META.json $(PROGRAM_NAME)

$(EXTNAME).control: extension.control
	cp $< $@

$(EXTNAME)--$(EXTVERSION).sql: $(call files,sql/*.sql)
	cat $^ > $@

META.json: extension.control
	sh $(SRC)sql/make_meta.sh $< > $@

# The module exports what PostgreSQL looks up, and nothing else: a backend has
# one space of symbols for all libraries.
exports.map: $(call files,src/pg/*.c)
	sed -n 's/^PG_FUNCTION_INFO_V1(\(.*\));/\1; pg_finfo_\1;/p' $^ | \
		sed '1i { global: Pg_magic_func; _PG_init;' | sed '$$a local: *; };' > $@
$(shlib): exports.map

# jansson and PostgreSQL both export some names; a call would reach PostgreSQL's.
.PHONY: check-symbols
check-symbols: $(shlib)
	@nm -D --undefined-only $(shlib) | sed -n 's/.* \(json[a-z_]*\)$$/\1/p' | sort > used.symbols
	@nm -D --defined-only $(bindir)/postgres | sed -n 's/.* \(json[a-z_]*\)$$/\1/p' | sort > theirs.symbols
	@grep -v -E '^(json_errdetail)$$' used.symbols | comm -12 - theirs.symbols > both.symbols; \
		if test -s both.symbols; then echo "calls of jansson that would reach PostgreSQL:" `cat both.symbols`; exit 1; fi; \
		rm -f used.symbols theirs.symbols both.symbols

# The core is compiled without PostgreSQL's headers in reach.  One file reads
# jansson.h.
CORE_CFLAGS = -std=c11 -O2 -g -fPIC -fvisibility=hidden -Wall -Wextra -Werror -Wstrict-prototypes
$(CORE_OBJS): %.o: %.c
	@! grep -l 'include <jansson.h>' $(filter-out $(SRC)src/core/json.c,$(wildcard $(SRC)src/*/*.[ch]))
	$(CC) $(CORE_CFLAGS) $(INCLUDES) -c -o $@ $<

# The program: the core and libpq, without the server.
CLIENT_CFLAGS = $(patsubst -std=c11,-std=gnu11 -D_GNU_SOURCE,$(CORE_CFLAGS)) -I$(includedir) -DMATRIX_EVENTS_VERSION='"$(EXTVERSION)"'
$(CLIENT_OBJS): %.o: %.c
	$(CC) $(CLIENT_CFLAGS) $(INCLUDES) -c -o $@ $<

$(PROGRAM_NAME): $(CLIENT_OBJS) $(CORE_OBJS)
	$(CC) $(CORE_CFLAGS) -o $@ $^ -L$(libdir) -lpq -ljansson -lm

COMPLETIONS = $(dir $(localedir))bash-completion/completions
install: install-program
.PHONY: install-program
install-program: $(PROGRAM_NAME)
	$(MKDIR_P) '$(DESTDIR)$(bindir)' '$(DESTDIR)$(mandir)/man1' '$(DESTDIR)$(COMPLETIONS)'
	$(INSTALL_PROGRAM) $(PROGRAM_NAME) '$(DESTDIR)$(bindir)'
	$(INSTALL_DATA) $(SRC)docs/$(PROGRAM_NAME).1 '$(DESTDIR)$(mandir)/man1'
	$(INSTALL_DATA) $(SRC)src/client/$(PROGRAM_NAME).bash '$(DESTDIR)$(COMPLETIONS)/$(PROGRAM_NAME)'
uninstall: uninstall-program
.PHONY: uninstall-program
uninstall-program:
	rm -f '$(DESTDIR)$(bindir)/$(PROGRAM_NAME)' '$(DESTDIR)$(mandir)/man1/$(PROGRAM_NAME).1' '$(DESTDIR)$(COMPLETIONS)/$(PROGRAM_NAME)'

src/core/event_types.inc: src/core/event_types.json src/core/event_types.awk
	@mkdir -p src/core
	LC_ALL=C awk -f $(SRC)src/core/event_types.awk $< > $@.tmp && mv $@.tmp $@

# PGXS tracks no headers, and makes no folders in a build outside the sources.
$(OBJS) $(CLIENT_OBJS) $(OBJS:.o=.bc): $(call files,src/*/*.h) extension.control src/core/event_types.inc
$(shell mkdir -p $(sort $(dir $(OBJS) $(CLIENT_OBJS))))

# pg_regress passes a test that it cannot read where an older result lies about,
# and looks for test/ and expected/ in the current folder.
.PHONY: test-prep
test-prep:
	rm -rf results output_iso
	test -d test || ln -s $(abspath $(SRC))/test test
	test -d expected || ln -s $(abspath $(SRC))/expected expected

UNIT_CFLAGS = -std=gnu11 -Wall -Wextra -Werror -g -O1 -fno-omit-frame-pointer
.PHONY: unitcheck
unitcheck: src/core/event_types.inc
	$(CC) $(UNIT_CFLAGS) -fsanitize=address,undefined -fno-sanitize-recover=all $(INCLUDES) -o unit \
		$(addprefix $(SRC),$(call files,test/unit/*.c src/core/*.c)) -ljansson -lm
	./unit $(SRC)test/data

FUZZ_SECONDS = 60
.PHONY: fuzz
fuzz: src/core/event_types.inc
	clang $(UNIT_CFLAGS) -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all $(INCLUDES) -o fuzz-core \
		$(addprefix $(SRC),$(call files,test/fuzz/*.c src/core/*.c)) -ljansson -lm
	sh $(SRC)test/fuzz/run.sh $(SRC) $(FUZZ_SECONDS)

# A private copy of the installed PostgreSQL with the extension in it: nothing is
# written outside this folder.
.PHONY: tmp_install
tmp_install: all
	rm -rf tmp_install
	mkdir tmp_install
	tar -C / -chf - $(patsubst /%,%,$(bindir) $(pkglibdir) $(datadir)) | tar -C tmp_install -xf -
	$(MAKE) -f $(firstword $(MAKEFILE_LIST)) install DESTDIR='$(CURDIR)/tmp_install'

.PHONY: localcheck
localcheck: tmp_install
	$(MAKE) -f $(firstword $(MAKEFILE_LIST)) installcheck bindir='$(CURDIR)/tmp_install$(bindir)' \
		EXTRA_REGRESS_OPTS="--temp-instance='$(CURDIR)/tmp_check'"

.PHONY: demo bench docs
demo:
	sh $(SRC)test/demo/run.sh
bench:
	sh $(SRC)test/bench/run.sh
docs: docs/events.md
docs/events.md: src/core/event_types.json docs/make_events_md.pl
	perl $(SRC)docs/make_events_md.pl $< > $@
