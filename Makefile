# The Ampersand gateway: an nginx module and ampctl.  "make help" tells more.

SHELL := /bin/bash
MAKEFLAGS += --no-print-directory

ifeq ($(origin CC),default)
CC := gcc
endif

# make asan builds a second tree, with SANITIZE, under build/asan
BUILD    := build
SANITIZE :=

PREFIX        := /usr
NGINX_SRC     := /usr/share/nginx/src
NGINX_MODULES := /usr/lib/nginx/modules
FUZZ_SECONDS  := 20

# Two files at a time: most of a test of outages is waiting.  Faults in real time
# need a machine that keeps up, so what fails gets one more run, alone.
PROVE_FLAGS := -j2

PACKAGE := libnginx-mod-http-ampersand
VERSION  = $(shell sed -n 's/.*AMPCTL_VERSION *"\(.*\)".*/\1/p' src/ctl/version.h)

CORE   := $(wildcard src/core/*.c)
CTL    := $(wildcard src/ctl/*.c)
MODULE := $(wildcard src/module/*.c src/module/*/*.c)
UNIT   := $(wildcard t/unit/test_*.c)
FUZZ   := $(wildcard t/fuzz/fuzz_*.c)

WARN := -Wall -Wextra -Werror -Wno-unused-parameter

# gcc's flow analysis takes what the sanitizers add for the program's own
SAN_WARN := $(WARN) -Wno-format-overflow -Wno-format-truncation \
            -Wno-maybe-uninitialized

ifeq ($(SANITIZE),)
CFLAGS := -O2 -g -fstack-protector-strong -D_FORTIFY_SOURCE=2
else
CFLAGS := -O1 -g -fno-omit-frame-pointer $(SANITIZE)
WARN   := $(SAN_WARN)
endif

LDFLAGS := $(SANITIZE) -Wl,-z,relro -Wl,-z,now

# A request passes through many small functions of many files, and of nginx:
# called without detours and optimised as one, the module needs a sixth fewer
# instructions.  (clang's LTO needs a linker of its own.)
LTO := $(if $(SANITIZE),,-fno-plt $(if $(findstring gcc,$(CC)),-flto=auto))
C99     := -std=gnu99 -Isrc/core -I$(BUILD)
LIBS    := -ljansson -lcrypto

so     := $(BUILD)/ngx_http_ampersand_module.so
ampctl := $(BUILD)/ampctl

.PHONY: all deps run test unit simulate lint lint-layers bench asan fuzz install deb \
        image-check clean help FORCE
.DELETE_ON_ERROR:

all: $(so) $(ampctl)

help:
	@echo 'make              $(so) and $(ampctl); CC=clang too'
	@echo 'make deps         install the Debian packages that are missing'
	@echo 'make run          deps, all, then Redis, the emulator and the gateway until Ctrl-C'
	@echo 'make test         deps, all, then every test'
	@echo 'make unit         the tests of src/core alone'
	@echo 'make simulate     limits of 1 to 1,000 gateways, on paper'
	@echo 'make lint         compilers, cppcheck, perl, sh (tools/deps lint installs the tools)'
	@echo 'make asan         the tests again with AddressSanitizer and UBSan in nginx and ampctl'
	@echo 'make fuzz         FUZZ_SECONDS=$(FUZZ_SECONDS) for each of t/fuzz'
	@echo 'make bench        against plain nginx'
	@echo 'make install      DESTDIR= PREFIX=$(PREFIX) NGINX_MODULES=$(NGINX_MODULES)'
	@echo 'make deb          a Debian package under build/deb'
	@echo 'make image-check  the Dockerfile, step by step, without an engine (root, network)'
	@echo 'make clean        remove build'

deps:
	@tools/deps

# One file holds all that decides how and from what is compiled.  It changes
# only when that changes, and everything is built anew then.

settings = $(CURDIR) $(CC) $(CFLAGS) $(LTO) $(LDFLAGS) $(CORE) $(CTL) $(MODULE) \
           $(shell dpkg-query -W nginx-dev 2> /dev/null)

$(BUILD)/settings: FORCE
	@mkdir -p $(@D)
	@echo '$(settings)' | cmp -s - $@ || echo '$(settings)' > $@


# The Lua scripts and their SHA-1.  The module's build makes a copy of its own.

LUA     := $(wildcard src/core/*.lua)
scripts := $(BUILD)/amp_script_text.h

$(scripts): tools/lua-header $(LUA) $(BUILD)/settings
	@tools/lua-header $@ $(LUA)

$(BUILD)/src/core/amp_script.o $(BUILD)/san/src/core/amp_script.o: $(scripts)


# The module, by nginx's own build: configure knows the options of the
# distribution's nginx, and works in any --builddir.

$(BUILD)/nginx/Makefile: config config.make src/module/exports.map $(BUILD)/settings
	@test -e $(NGINX_SRC)/configure || { \
	    echo 'nginx-dev is not there: make deps installs it'; exit 1; }
	@rm -rf $(@D)
	@mkdir -p $(@D)
	@echo 'configure $(NGINX_SRC)'
	@cd $(NGINX_SRC) && . ./conf_flags && ./configure "$${NGX_CONF_FLAGS[@]}" \
	    --with-cc='$(CC)' --with-cc-opt='$(CFLAGS) $(LTO) -fPIC $(WARN)' \
	    --with-ld-opt='$(LDFLAGS) $(LTO) -O2 -fPIC' --add-dynamic-module='$(CURDIR)' \
	    --builddir='$(abspath $(@D))' > '$(abspath $(@D))/configure.log' \
	    || { tail -n 5 '$(abspath $(@D))/configure.log'; exit 1; }

$(so): $(BUILD)/nginx/Makefile $(CORE) $(MODULE) tools/lua-header $(LUA) \
       $(wildcard src/core/*.h src/module/*.h src/module/*/*.h)
	@echo '$(CC) -o $@'
	@$(MAKE) -s -C $(NGINX_SRC) -f '$(abspath $<)' modules
	@cp $(BUILD)/nginx/$(@F) $@.new
	@mv $@.new $@


# ampctl

CTL_OBJ := $(CTL:%.c=$(BUILD)/%.o) $(CORE:%.c=$(BUILD)/%.o)

$(CTL_OBJ): $(BUILD)/%.o: %.c $(BUILD)/settings
	@mkdir -p $(@D)
	@echo '$(CC) $<'
	@$(CC) $(C99) $(CFLAGS) -fPIE $(WARN) -MMD -MP -c -o $@ $<

$(ampctl): $(CTL_OBJ)
	@echo '$(CC) -o $@'
	@$(CC) $(CFLAGS) -pie $(LDFLAGS) -o $@ $^ -lhiredis -lcurl -lssl $(LIBS)


# Unit tests, always under the sanitizers

SAN := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined \
       -fno-sanitize-recover=undefined

SAN_OBJ  := $(CORE:%.c=$(BUILD)/san/%.o)
UNIT_BIN := $(UNIT:t/unit/%.c=$(BUILD)/unit/%)

$(SAN_OBJ): $(BUILD)/san/%.o: %.c $(BUILD)/settings
	@mkdir -p $(@D)
	@echo '$(CC) -fsanitize $<'
	@$(CC) $(C99) $(SAN) $(SAN_WARN) -MMD -MP -c -o $@ $<

$(UNIT_BIN): $(BUILD)/unit/%: t/unit/%.c $(SAN_OBJ)
	@mkdir -p $(@D)
	@echo '$(CC) -fsanitize $<'
	@$(CC) $(C99) $(SAN) $(SAN_WARN) -MMD -MP -o $@ $< $(SAN_OBJ) -lcmocka $(LIBS) -lm

unit: $(UNIT_BIN)
	@for t in $^; do \
	    $$t > $$t.log 2>&1 || { cat $$t.log; echo "$$t failed"; exit 1; }; \
	    echo "$$t: $$(grep -c '\[       OK' $$t.log) passed," \
	         "$$(grep -c '\[  SKIPPED' $$t.log) skipped"; \
	done

-include $(wildcard $(addsuffix .d,$(basename $(CTL_OBJ) $(SAN_OBJ))) \
                    $(addsuffix .d,$(UNIT_BIN) $(BUILD)/limits))


# Limits, simulated: for t/lease_script.t, and to be looked at

LEASE_OBJ := $(patsubst src/%.c,$(BUILD)/src/%.o,\
               $(wildcard src/core/amp_lease*.c) src/core/amp_rate.c src/core/amp_escape.c \
               src/core/amp_script.c)

$(BUILD)/limits: t/bench/limits.c $(LEASE_OBJ)
	@echo '$(CC) $<'
	@$(CC) $(C99) $(CFLAGS) $(WARN) -MMD -MP -o $@ $< $(LEASE_OBJ) -lm

simulate: $(BUILD)/limits
	@$(BUILD)/limits


# make -j builds; the steps themselves come one after another

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
	@prove $(PROVE_FLAGS) --statefile $(BUILD)/prove --state save t \
	    || { echo 'once more, alone, what failed:'; \
	         prove --statefile $(BUILD)/prove --state failed,save; }

bench:
	@tools/deps build run test bench
	@$(MAKE) all
	@t/bench/run


# core sees neither nginx nor its users; ngx_ampersand_* sees no request; the
# module and ampctl do not see each other

define forbid
	@! grep -nE '^ *# *include.*$(1)' $(2) \
	    || { echo 'lint-layers: these may not be included there'; exit 1; }
endef

lint-layers:
	$(call forbid,(ngx_|nginx|module/|ctl/),src/core/*.[ch])
	$(call forbid,ngx_http,src/module/ngx_ampersand_*.h src/module/*/ngx_ampersand_*.[ch])
	$(call forbid,ctl/,src/module/*.[ch] src/module/*/*.[ch])
	$(call forbid,(ngx_|nginx|module/),src/ctl/*.[ch])

NGINX_INCS := src/core src/event src/event/modules src/os/unix src/http \
              src/http/modules src/http/v2
SCRIPTS    := tools/deps docker/entrypoint tools/run-local tools/lua-header
PERL       := $(wildcard t/*.t t/lib/*/*.pm t/lib/*/*/*.pm tools/check-image docker/emulator/emulator \
                docker/emulator/lib/*/*.pm docker/emulator/lib/*/*/*.pm)

lint: lint-layers $(BUILD)/nginx/Makefile $(scripts)
	@for cc in gcc clang; do \
	    command -v $$cc > /dev/null \
	        || { echo "$$cc is not there: tools/deps lint"; exit 1; }; \
	    echo "$$cc -fsyntax-only"; \
	    for f in $(CTL) $(UNIT) $(FUZZ) t/bench/limits.c; do \
	        $$cc $(C99) -O2 $(WARN) -fsyntax-only $$f || exit 1; \
	    done; \
	    [ $$cc = gcc ] || cc="$$cc -Wconditional-uninitialized"; \
	    for f in $(CORE) $(MODULE); do \
	        $$cc -O2 $(WARN) -fsyntax-only \
	            $(addprefix -I$(NGINX_SRC)/,$(NGINX_INCS)) -I$(BUILD)/nginx \
	            -I$(BUILD) -Isrc/core -Isrc/module $$f || exit 1; \
	    done; \
	done
	@if command -v cppcheck > /dev/null; then \
	    echo cppcheck; \
	    cppcheck --quiet --error-exitcode=1 --std=c99 --inline-suppr \
	        --enable=warning,portability --suppress=missingIncludeSystem \
	        --suppress=varFuncNullUB \
	        -I$(BUILD) -Isrc/core $(CORE) $(CTL) $(MODULE); \
	fi
	@echo 'perl -c'
	@for f in $(PERL); do \
	    perl -It/lib -Idocker/emulator/lib -c $$f 2> $(BUILD)/perl.log \
	        || { cat $(BUILD)/perl.log; exit 1; }; \
	done
	@echo 'sh -n'
	@for f in $(SCRIPTS); do sh -n $$f || exit 1; done; bash -n .ci/run


# The distribution's nginx, with our module and ampctl under the sanitizers.
#   LD_PRELOAD: AddressSanitizer has to be the first library of the process.
#   detect_leaks=0: what nginx itself leaves at exit would be reported.
#   nonnull-attribute: nginx's inline functions call memcpy(p, NULL, 0).
#   alignment: x86 nginx reads words at any address (NGX_HAVE_NONALIGNED).
# UBSan, as a guest of AddressSanitizer, has no options: it writes "runtime
# error" to the error log and ends the worker with code 1.
# nginx's pools hide overruns within one block; make unit and make fuzz, where
# core has plain memory, do not.

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

$(FUZZ_BIN): $(BUILD)/fuzz/%: t/fuzz/%.c $(CORE) $(wildcard src/core/*.h) $(scripts)
	@mkdir -p $@.corpus
	@echo 'clang -fsanitize=fuzzer $<'
	@clang $(C99) -O1 -g $(WARN) -fsanitize=fuzzer,address,undefined \
	    -fno-sanitize-recover=undefined -o $@ $< $(CORE) $(LIBS) -lm

fuzz: $(FUZZ_BIN)
	@for f in $^; do \
	    dict=t/fuzz/$${f##*/}.dict; \
	    echo "$$f: $(FUZZ_SECONDS) seconds"; \
	    $$f -max_total_time=$(FUZZ_SECONDS) -verbosity=0 -print_final_stats=1 \
	        -artifact_prefix=$$f. $$([ ! -e $$dict ] || echo -dict=$$dict) \
	        $$f.corpus > $$f.log 2>&1 || { tail -n 50 $$f.log; exit 1; }; \
	    grep -h number_of_executed_units $$f.log; \
	done


# Everything but ampctl stands where Debian's nginx looks.  The entrypoint is
# the container's.

SHARE := $(DESTDIR)$(PREFIX)/share
DOC   := $(SHARE)/doc/$(PACKAGE)

install: all
	install -d $(DESTDIR)$(NGINX_MODULES) $(DESTDIR)$(PREFIX)/bin $(DOC) \
	    $(DESTDIR)/etc/nginx/ampersand $(SHARE)/nginx/modules-available \
	    $(SHARE)/ampersand-gateway
	install -m 644 $(so) $(DESTDIR)$(NGINX_MODULES)
	install -m 755 $(ampctl) $(DESTDIR)$(PREFIX)/bin
	install -m 644 conf/ampersand/*.conf $(DESTDIR)/etc/nginx/ampersand
	echo 'load_module $(NGINX_MODULES)/$(notdir $(so));' \
	    > $(SHARE)/nginx/modules-available/mod-http-ampersand.conf
	install -m 755 docker/entrypoint $(SHARE)/ampersand-gateway
	install -m 644 conf/nginx.conf.in $(SHARE)/ampersand-gateway
	install -m 644 $(wildcard README.md) LICENSE $(DOC)

deb: all
	@tools/deb '$(PACKAGE)' '$(VERSION)'

image-check:
	@tools/check-image

clean:
	rm -rf build
