# The Ampersand gateway: an nginx module and ampctl.  "make help" lists the targets.

SHELL := /bin/bash
MAKEFLAGS += --no-print-directory

ifeq ($(origin CC),default)
CC := gcc
endif

# make asan builds a second time, with SANITIZE set, under build/asan; make steps
# with STEPS set, under build/steps
BUILD    := build
SANITIZE :=
STEPS    :=

PREFIX        := /usr
NGINX_SRC     := /usr/share/nginx/src
NGINX_MODULES := /usr/lib/nginx/modules
FUZZ_SECONDS  := 20

# Two files at a time: a test of an outage mostly waits.  A test file that fails
# is run once more, alone, because faults in real time need an idle machine;
# what passes then is named as FLAKY.
PROVE_FLAGS := -j2

PACKAGE := libnginx-mod-http-ampersand
VERSION  = $(shell sed -n 's/.*AMP_VERSION *"\(.*\)".*/\1/p' src/core/amp_version.h)

CORE   := $(wildcard src/core/*.c)
CTL    := $(wildcard src/ctl/*.c)
MODULE := $(wildcard src/module/*.c src/module/*/*.c)
UNIT   := $(wildcard t/unit/test_*.c)
FUZZ   := $(wildcard t/fuzz/fuzz_*.c)

WARN := -Wall -Wextra -Werror -Wno-unused-parameter

# code that the sanitizers insert gives false positives of these warnings
SAN_WARN := $(WARN) -Wno-format-overflow -Wno-format-truncation \
            -Wno-maybe-uninitialized

ifeq ($(SANITIZE),)
CFLAGS := -O2 -g -fstack-protector-strong -D_FORTIFY_SOURCE=2
else
CFLAGS := -O1 -g -fno-omit-frame-pointer $(SANITIZE)
WARN   := $(SAN_WARN)
endif

CFLAGS  += $(if $(STEPS),-DNGX_AMPERSAND_TEST=1)
LDFLAGS := $(SANITIZE) -Wl,-z,relro -Wl,-z,now

# A request passes through many small functions of many files, and of nginx:
# with direct calls (-fno-plt) and link-time optimisation the module needs a
# sixth fewer instructions.  (clang's LTO needs a linker of its own.)
LTO := $(if $(SANITIZE),,-fno-plt $(if $(findstring gcc,$(CC)),-flto=auto))
C99     := -std=gnu99 -Isrc/core -I$(BUILD)

# Dependency files beside the objects; paths in debug information relative to
# the tree, which may be moved
DEPEND := -MMD -MP -ffile-prefix-map=$(CURDIR)=.

LIBS    := -ljansson -lcrypto

# for the simulations, which run lease.lua
LUA_INC := -I/usr/include/lua5.1
LUA_LIB := -llua5.1

so     := $(BUILD)/ngx_http_ampersand_module.so
ampctl := $(BUILD)/ampctl

.PHONY: all deps run test check unit steps simulate bench asan fuzz install deb \
        image-check clean help FORCE
.DELETE_ON_ERROR:

all: $(so) $(ampctl)

help:
	@echo 'make              build $(so) and $(ampctl); CC=clang works too'
	@echo 'make deps         install the Debian packages that are missing'
	@echo 'make run          deps, build, start Redis, the emulator and the gateway until Ctrl-C'
	@echo 'make check        deps, build, unit tests and the main behaviour: under two minutes'
	@echo 'make test         deps, build, every test'
	@echo 'make unit         the tests of src/core alone'
	@echo 'make lint         include rules, style, compilers, cppcheck, clang-tidy, perl, shellcheck;'
	@echo '                  one alone: $(LINT)'
	@echo 'make lint-deps    install what make lint needs'
	@echo 'make asan         the tests with AddressSanitizer and UBSan in the module and ampctl'
	@echo 'make fuzz         run each fuzzer of t/fuzz for FUZZ_SECONDS=$(FUZZ_SECONDS)'
	@echo 'make bench        measure the gateway against plain nginx'
	@echo 'make simulate     simulate the limits of 1 to 1,000 gateways; SEEDS=$(SEEDS) random runs'
	@echo 'make install      DESTDIR= PREFIX=$(PREFIX) NGINX_MODULES=$(NGINX_MODULES)'
	@echo 'make deb          build the Debian packages under build/deb'
	@echo 'make image-check  build and try the Dockerfile without an engine (root, network)'
	@echo 'make clean        remove build'

deps:
	@tools/deps

# What a rebuild depends on besides the sources, each in a file of its own:
# settings (how things are compiled), sources (the list of files) and place
# (the directory of the tree).  A file changes only when its content changes.

settings = $(CC) $(CFLAGS) $(LTO) $(WARN) $(LDFLAGS) \
           $(shell dpkg-query -W nginx-dev 2> /dev/null)

define remember
	@mkdir -p $(@D)
	@echo '$(1)' | cmp -s - $@ || echo '$(1)' > $@
endef

$(BUILD)/settings: FORCE
	$(call remember,$(settings))

$(BUILD)/sources: FORCE
	$(call remember,$(CORE) $(CTL) $(MODULE) $(LUA) $(PAGE))

# nginx's Makefile and the dependency files contain absolute paths.  When the
# tree was moved, the paths are rewritten and the times of the files are kept,
# so that nothing is compiled anew.

$(BUILD)/place: FORCE
	@mkdir -p $(@D)
	@old=$$(cat $@ 2> /dev/null); [ "$$old" = '$(CURDIR)' ] || { \
	    [ -z "$$old" ] || [ ! -d $(BUILD)/nginx ] \
	    || find $(BUILD)/nginx \( -name Makefile -o -name '*.[chd]' \) \
	           -exec sh -c 'for f; do \
	               touch -r "$$f" $@.time; \
	               sed -i "s|$$0|$(CURDIR)|g" "$$f"; \
	               touch -r $@.time "$$f"; \
	           done' "$$old" {} +; \
	    rm -f $@.time; \
	    echo '$(CURDIR)' > $@; }


# The Lua scripts and their SHA-1.  The module's build makes a copy of its own.

LUA     := $(wildcard src/core/*.lua)
scripts := $(BUILD)/amp_script_text.h

$(scripts): tools/lua-header $(LUA) $(BUILD)/sources
	@tools/lua-header $@ $(LUA)

$(BUILD)/src/core/amp_script.o $(BUILD)/san/src/core/amp_script.o: $(scripts)


# The live page, from src/page; again the module's build makes its own.

PAGE := $(wildcard src/page/page.* src/page/uplot/*)
page := $(BUILD)/ngx_http_ampersand_page_text.h

$(page): tools/page-header $(PAGE)
	@mkdir -p $(@D)
	@tools/page-header $@ src/page


# The module, by nginx's own build: configure knows the options of the
# distribution's nginx, and works in any --builddir.  When only the list of
# sources has changed, what was compiled stays.

$(BUILD)/nginx/Makefile: config config.make $(BUILD)/settings $(BUILD)/sources \
                         | $(BUILD)/place
	@test -e $(NGINX_SRC)/configure || { \
	    echo 'nginx-dev is missing: run "make deps" to install it'; exit 1; }
	@$(if $(filter-out %/sources,$?),rm -rf $(@D))
	@mkdir -p $(@D)/before
	@find $(@D) -maxdepth 1 -name '*.[ch]' -exec cp -p {} $(@D)/before ';'
	@echo 'configure $(NGINX_SRC)'
	@cd $(NGINX_SRC) && . ./conf_flags && ./configure "$${NGX_CONF_FLAGS[@]}" \
	    --with-cc='$(CC)' \
	    --with-cc-opt='$(CFLAGS) $(LTO) -fPIC $(WARN) $(DEPEND)' \
	    --with-ld-opt='$(LDFLAGS) $(LTO) -O2 -fPIC' --add-dynamic-module='$(CURDIR)' \
	    --builddir='$(abspath $(@D))' > '$(abspath $(@D))/configure.log' \
	    || { tail -n 5 '$(abspath $(@D))/configure.log'; exit 1; }
	@cd $(@D) && for f in before/*; do \
	    ! cmp -s "$$f" "$${f#*/}" || mv "$$f" "$${f#*/}"; done; rm -rf before
	@echo '-include $(abspath $(@D))/addon/*/*.d' >> $@

# ADDON_DEPS, in nginx's Makefile, would compile each file anew when any header
# changes; the compiler's dependency files are exact, once there is one.

$(so): $(BUILD)/nginx/Makefile $(CORE) $(MODULE) src/module/exports.map \
       tools/lua-header $(LUA) tools/page-header $(PAGE) \
       $(wildcard src/core/*.h src/module/*.h src/module/*/*.h)
	@echo '$(CC) -o $@'
	@rm -f $(BUILD)/nginx/$(@F)
	@for goal in $(addprefix '$(abspath $(BUILD))'/nginx/,$(notdir $(scripts) $(page))) modules; do \
	    $(MAKE) -s -C $(NGINX_SRC) -f '$(abspath $<)' ADDON_DEPS= "$$goal" || exit 1; \
	done
	@cp $(BUILD)/nginx/$(@F) $@.new
	@mv $@.new $@


# ampctl

CTL_OBJ := $(CTL:%.c=$(BUILD)/%.o) $(CORE:%.c=$(BUILD)/%.o)

# The JSON Schema that ampctl config checks with, as a C string.

schema := $(BUILD)/ctl_schema_text.h

$(schema): docs/config.schema.json $(BUILD)/settings
	@{ echo '#define CTL_SCHEMA_TEXT \'; \
	   sed -e 's/[\"]/\\&/g' -e 's/.*/    "&\\n"/' -e '$$!s/$$/ \\/' $<; } > $@

$(BUILD)/src/ctl/schema.o: $(schema)

# What "ampctl version" says of the build: nginx, and the commit of a checkout.

build := $(BUILD)/ctl_build_text.h

build_commit = $(shell git rev-parse --short=12 HEAD 2> /dev/null)
build_nginx  = $(shell sed -n 's/.*NGINX_VERSION *"\(.*\)".*/\1/p' $(NGINX_SRC)/src/core/nginx.h 2> /dev/null)

$(build): FORCE
	@mkdir -p $(@D)
	@printf '#define CTL_BUILD_%s  "%s"\n' COMMIT '$(build_commit)' NGINX '$(build_nginx)' > $@.new
	@if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi

$(BUILD)/src/ctl/cmd_version.o: $(build)

$(CTL_OBJ): $(BUILD)/%.o: %.c $(BUILD)/settings
	@mkdir -p $(@D)
	@echo '$(CC) $<'
	@$(CC) $(C99) $(CFLAGS) -fPIE $(WARN) $(DEPEND) -c -o $@ $<

$(ampctl): $(CTL_OBJ) $(BUILD)/sources
	@echo '$(CC) -o $@'
	@$(CC) $(CFLAGS) -pie $(LDFLAGS) -o $@.new $(CTL_OBJ) -lhiredis -lcurl -lssl $(LIBS)
	@mv $@.new $@


# Unit tests, always under the sanitizers

SAN := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined \
       -fno-sanitize-recover=undefined

SAN_OBJ  := $(CORE:%.c=$(BUILD)/san/%.o)
UNIT_BIN := $(UNIT:t/unit/%.c=$(BUILD)/unit/%)

$(SAN_OBJ): $(BUILD)/san/%.o: %.c $(BUILD)/settings
	@mkdir -p $(@D)
	@echo '$(CC) -fsanitize $<'
	@$(CC) $(C99) $(SAN) $(SAN_WARN) $(DEPEND) -c -o $@ $<

$(UNIT_BIN): $(BUILD)/unit/%: t/unit/%.c $(SAN_OBJ)
	@mkdir -p $(@D)
	@echo '$(CC) -fsanitize $<'
	@$(CC) $(C99) $(SAN) $(SAN_WARN) $(DEPEND) $(LUA_INC) -o $@ $< $(SAN_OBJ) \
	    -lcmocka $(LUA_LIB) $(LIBS) -lm

unit: $(UNIT_BIN)
	@for t in $^; do \
	    $$t > $$t.log 2>&1 || { cat $$t.log; echo "$$t failed"; exit 1; }; \
	    echo "$$t: $$(grep -c '\[       OK' $$t.log) passed," \
	         "$$(grep -c '\[  SKIPPED' $$t.log) skipped"; \
	done

-include $(wildcard $(addsuffix .d,$(basename $(CTL_OBJ) $(SAN_OBJ))) \
                    $(addsuffix .d,$(UNIT_BIN) $(BUILD)/limits))


# The module with the steps at which t/zone_torn.t has a worker die

steps := $(BUILD)/steps/$(notdir $(so))

steps:
	@$(MAKE) $(steps) BUILD=$(BUILD)/steps STEPS=1


# Limits, simulated: used by t/lease_script.t and make simulate

LEASE_OBJ := $(patsubst src/%.c,$(BUILD)/src/%.o,\
               $(wildcard src/core/amp_lease*.c) src/core/amp_rate.c src/core/amp_escape.c \
               src/core/amp_script.c)

$(BUILD)/limits: t/bench/limits.c $(LEASE_OBJ)
	@echo '$(CC) $<'
	@$(CC) $(C99) $(CFLAGS) $(WARN) $(DEPEND) $(LUA_INC) -o $@ $< $(LEASE_OBJ) $(LUA_LIB) -lm

SEEDS := 1000

simulate: $(BUILD)/limits
	@$(BUILD)/limits
	@$(BUILD)/limits seeds 1 $(SEEDS)


# Sub-makes, so that with make -j the steps still run one after another

run:
	@$(MAKE) deps
	@$(MAKE) all
	@exec tools/run-local

test:
	@$(MAKE) deps
	@$(MAKE) all
	@$(MAKE) lint-layers
	@$(MAKE) unit
	@$(MAKE) $(BUILD)/limits
	@$(MAKE) steps
	@rm -f $(BUILD)/prove
	@prove $(PROVE_FLAGS) --statefile $(BUILD)/prove --state save t || { \
	    status=$$?; \
	    failed() { prove -D --statefile $(BUILD)/prove --state failed | sort; }; \
	    first=$$(failed); \
	    [ $$status = 1 ] && [ -n "$$first" ] || { \
	        echo "make test: stopped before the end (prove: $$status)"; exit 1; }; \
	    echo; echo 'Second try, one file after another:' $$first; \
	    prove --statefile $(BUILD)/prove --state failed,save; \
	    status=$$?; \
	    [ $$status -le 1 ] || exit 1; \
	    flaky=$$(comm -23 <(echo "$$first") <(failed)); \
	    [ -z "$$flaky" ] \
	        || echo 'FLAKY, failed once and passed on the second try:' $$flaky; \
	    [ -z "$$flaky" ] || [ "$${CI-}" != true ] || { \
	        echo 'make test: with CI=true a second try counts as a failure'; \
	        exit 1; }; \
	    exit $$status; }

# The main behaviour: requests, isolation, cache, limits, an outage, ampctl

CHECK := access headers bodies problems operations two_tenants isolation_matrix \
         cache cache_writes limits limits_cache redis_outage changes_propagate \
         ctl_tenant ctl_token ctl_policy

check:
	@$(MAKE) deps
	@$(MAKE) all
	@$(MAKE) unit
	@prove $(PROVE_FLAGS) $(CHECK:%=t/%.t)

bench:
	@tools/deps build run test bench
	@$(MAKE) all
	@t/bench/run
	@t/bench/latency
	@t/bench/outages


# make lint runs all of these, and each alone.  A tool that is missing is a
# failure.  LINT_JOBS processes at a time.

LINT       := lint-layers lint-style lint-perl lint-shell lint-compilers \
              lint-cppcheck lint-tidy
LINT_JOBS  := 2
NGINX_INCS := src/core src/event src/event/modules src/os/unix src/http \
              src/http/modules src/http/v2

C99_FILES    := $(CTL) $(UNIT) $(FUZZ) t/bench/limits.c
MODULE_FLAGS := -std=gnu99 $(addprefix -I$(NGINX_SRC)/,$(NGINX_INCS)) \
                -I$(BUILD)/nginx -I$(BUILD) -Isrc/core -Isrc/module

# scripts by their first line
scripts_of = $(shell awk 'FNR == 1 && /^\#!.*[\/ ]$(1)$$/ { print FILENAME }' \
               .ci/run docker/entrypoint docker/emulator/emulator \
               $(wildcard tools/* t/bench/*))

# $(1): files; $(2): the command that is run for each, with the file at the end
each = printf '%s\n' $(1) | xargs -P$(LINT_JOBS) -n1 $(2)

# $(1): the tools that a target needs
define need
	@for tool in $(1); do \
	    command -v $$tool > /dev/null || { \
	        echo "$$tool is missing: run \"tools/deps lint\" to install it"; exit 1; }; \
	done
	@echo $(1)
endef

.PHONY: lint $(LINT) lint-deps

lint: $(LINT)

lint-deps:
	@tools/deps build run test lint

# Who may include whom: the table is in tools/layers.

lint-layers:
	@tools/layers

lint-style:
	@echo tools/style
	@tools/style

lint-perl:
	$(call need,perl)
	@$(call each,$(call scripts_of,perl) $(shell find t docker -name '*.t' -o -name '*.pm'), \
	    sh -c 'out=$$(perl -It/lib -Idocker/emulator/lib -c "$$0" 2>&1) \
	        || { echo "$$out"; exit 1; }')

lint-shell:
	$(call need,shellcheck)
	@shellcheck $(call scripts_of,(ba)?sh)

lint-compilers: $(BUILD)/nginx/Makefile $(scripts) $(page) $(schema) $(build)
	$(call need,gcc clang)
	@for cc in gcc 'clang -Wconditional-uninitialized'; do \
	    $(call each,$(C99_FILES),$$cc $(C99) $(LUA_INC) -O2 $(WARN) -fsyntax-only) || exit 1; \
	    $(call each,$(CORE) $(MODULE),$$cc $(MODULE_FLAGS) -O2 $(WARN) -fsyntax-only) || exit 1; \
	done

# varFuncNullUB: NULL is a pointer in the C libraries of Linux

lint-cppcheck: $(scripts) $(page) $(schema) $(build)
	$(call need,cppcheck)
	@cppcheck -j$(LINT_JOBS) --quiet --error-exitcode=1 --std=c99 --inline-suppr \
	    --enable=warning,portability --suppress=missingIncludeSystem \
	    --suppress=varFuncNullUB \
	    -I$(BUILD) -Isrc/core -Isrc/module $(CORE) $(CTL) $(MODULE)

# The checks are in .clang-tidy.

lint-tidy: $(BUILD)/nginx/Makefile $(scripts) $(page) $(schema) $(build)
	$(call need,clang-tidy)
	@set -o pipefail; printf '%s\n' $(CORE) $(MODULE) $(CTL) \
	    | xargs -P$(LINT_JOBS) -I{} clang-tidy --quiet {} -- $(MODULE_FLAGS) -O2 $(WARN) \
	    2>&1 | { grep -vE '^[0-9]+ warnings? (and [0-9]+ errors? )?generated' || :; }


# The distribution's nginx, with our module and ampctl under the sanitizers.
#   LD_PRELOAD: AddressSanitizer has to be the first library of the process.
#   detect_leaks=0: nginx itself does not free everything at exit.
#   nonnull-attribute: nginx's inline functions call memcpy(p, NULL, 0).
#   alignment: x86 nginx reads words at any address (NGX_HAVE_NONALIGNED).
# Together with AddressSanitizer, UBSan has no options: it writes "runtime error"
# to the error log and ends the worker with code 1.
# AddressSanitizer does not see overruns within one block of an nginx pool; make
# unit and make fuzz use malloc() and do.

ASAN := -fsanitize=address,undefined -fno-sanitize-recover=undefined \
        -fno-sanitize=nonnull-attribute,alignment

asan:
	@$(MAKE) all CC=gcc BUILD=build/asan SANITIZE='$(ASAN)'
	@printf '%s\n' '#!/bin/sh' \
	    'PATH=$$PATH:/usr/sbin LD_PRELOAD=$(shell gcc -print-file-name=libasan.so) \' \
	    'ASAN_OPTIONS=detect_leaks=0:abort_on_error=1 exec nginx "$$@"' \
	    > build/asan/nginx.sh
	@chmod +x build/asan/nginx.sh
	@ASAN_OPTIONS=detect_leaks=0 AMPCTL=$(CURDIR)/build/asan/ampctl \
	    NGINX_BINARY=$(CURDIR)/build/asan/nginx.sh \
	    NGINX_MODULE=$(CURDIR)/build/asan/$(notdir $(so)) \
	    prove $(PROVE_FLAGS) t


FUZZ_BIN := $(FUZZ:t/fuzz/%.c=$(BUILD)/fuzz/%)

# what a fuzzer needs of ampctl
$(BUILD)/fuzz/fuzz_config: FUZZ_CTL := $(addprefix src/ctl/,config_file.c schema.c output.c record.c)
$(BUILD)/fuzz/fuzz_config: $(wildcard src/ctl/*.c src/ctl/*.h) $(schema)

$(FUZZ_BIN): $(BUILD)/fuzz/%: t/fuzz/%.c $(CORE) $(wildcard src/core/*.h) $(scripts)
	@mkdir -p $@.corpus
	@echo 'clang -fsanitize=fuzzer $<'
	@clang $(C99) -O1 -g $(WARN) -fsanitize=fuzzer,address,undefined \
	    -fno-sanitize-recover=undefined $(LUA_INC) -o $@ $< $(CORE) \
	    $(FUZZ_CTL) $(LUA_LIB) $(LIBS) -lm

fuzz: $(FUZZ_BIN)
	@for f in $^; do \
	    dict=t/fuzz/$${f##*/}.dict; \
	    echo "$$f: $(FUZZ_SECONDS) seconds"; \
	    $$f -max_total_time=$(FUZZ_SECONDS) -verbosity=0 -print_final_stats=1 \
	        -artifact_prefix=$$f. $$([ ! -e $$dict ] || echo -dict=$$dict) \
	        $$f.corpus > $$f.log 2>&1 || { tail -n 50 $$f.log; exit 1; }; \
	    grep -h number_of_executed_units $$f.log; \
	done


# The man page has the texts of ampctl --help.

$(BUILD)/ampctl.1: tools/man-page $(ampctl)
	@tools/man-page $(ampctl) > $@

$(BUILD)/ampersand-gateway.5: tools/man-page docs/configuration.md $(ampctl)
	@tools/man-page $(ampctl) docs/configuration.md > $@


# The module and the configuration go where Debian's nginx looks for them: the
# package has the same files, see debian/.  The entrypoint is for the container.

SHARE   := $(DESTDIR)$(PREFIX)/share
DOC     := $(SHARE)/doc/$(PACKAGE)
LOAD    := nginx/modules-available/mod-http-ampersand.conf
ENABLED := $(DESTDIR)/etc/nginx/modules-enabled

# only their owner looks into these; who has them keeps their mode
PRIVATE := $(DESTDIR)/etc/ampersand $(DESTDIR)/var/cache/ampersand

install: all $(BUILD)/ampctl.1 $(BUILD)/ampersand-gateway.5
	install -d $(DESTDIR)$(NGINX_MODULES) $(DESTDIR)$(PREFIX)/bin $(DOC)/docs \
	    $(DESTDIR)/etc/nginx/ampersand $(ENABLED) $(SHARE)/nginx/modules-available \
	    $(SHARE)/ampersand-gateway $(SHARE)/man/man1 $(SHARE)/man/man5 \
	    $(SHARE)/bash-completion/completions $(SHARE)/zsh/vendor-completions \
	    $(SHARE)/fish/vendor_completions.d
	for d in $(PRIVATE); do [ -d $$d ] || install -d -m 700 $$d; done
	install -m 644 $(so) $(DESTDIR)$(NGINX_MODULES)
	install -m 755 $(ampctl) $(DESTDIR)$(PREFIX)/bin
	install -m 644 conf/ampersand/*.conf $(DESTDIR)/etc/nginx/ampersand
	echo 'load_module modules/$(notdir $(so));' > $(SHARE)/$(LOAD)
	ln -sf $(PREFIX)/share/$(LOAD) $(ENABLED)/50-mod-http-ampersand.conf
	install -m 644 $(BUILD)/ampctl.1 $(SHARE)/man/man1
	install -m 644 $(BUILD)/ampersand-gateway.5 $(SHARE)/man/man5
	$(ampctl) completion bash > $(SHARE)/bash-completion/completions/ampctl
	$(ampctl) completion zsh > $(SHARE)/zsh/vendor-completions/_ampctl
	$(ampctl) completion fish > $(SHARE)/fish/vendor_completions.d/ampctl.fish
	install -m 755 docker/entrypoint $(SHARE)/ampersand-gateway
	install -m 644 conf/nginx.conf.in conf/logrotate $(SHARE)/ampersand-gateway
	install -m 644 $(wildcard README.md CHANGELOG.md) LICENSE $(DOC)
	$(if $(wildcard docs/*.md),install -m 644 $(wildcard docs/*.md docs/*.json docs/*.png) $(DOC)/docs)

deb:
	@tools/deb '$(VERSION)'

image-check:
	@tools/check-image

clean:
	rm -rf build
