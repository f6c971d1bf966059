#!/usr/bin/perl

# tools/style and tools/layers: a tree that follows the rules passes, and each
# rule finds what breaks it.

use strict;
use warnings;

use File::Basename qw(dirname);
use File::Path qw(make_path);
use File::Temp ();
use FindBin;
use Test::More;

my $root = dirname($FindBin::Bin);

# What a tool prints about a tree of these files, and its exit status.

sub check {
    my ($tool, %files) = @_;
    my $dir = File::Temp->newdir('style.XXXXXX', TMPDIR => 1);
    for my $name (keys %files) {
        make_path(dirname("$dir/$name"));
        open my $f, '>', "$dir/$name" or die "$name: $!";
        print $f $files{$name};
        close $f;
    }
    my $out = qx($root/tools/$tool $dir 2>&1);
    return ($? >> 8, $out);
}

my $good = <<'END';
#include "amp_good.h"


#define AMP_GOOD_MAX  10


typedef struct {
    int    n;
    char  *text;
} amp_good_t;


static const amp_good_t  amp_goods[] = {
    { 1, "a // in a string is no comment, and a row of a table may be as long as this one" },
    { 2, "\"while(1)\"" },
};


static int amp_good_one(amp_good_t *good);


/* The sum of all. */

int
amp_good(amp_good_t *good, size_t n)
{
    int          rc;
    size_t       i;
    const char  *text, *end;

    rc = 0;

    for (i = 0; i < n; i++) { /* void */ }

    do {
        rc += amp_good_one(&good[i]);
    } while (--i > 0);

    if (rc > AMP_GOOD_MAX
        || rc < 0)
    {
        return sizeof(*good);

    } else if (rc == 0) {
        return 1;
    }

    return rc;
}


static int
amp_good_one(amp_good_t *good)
{
    return good->n;
}
END

my ($status, $out) = check('style', 'src/core/amp_good.c' => $good, 'README' => "text\n");
is $out, '', 'a tree that follows the rules: no fault';
is $status, 0, '... exit status 0';

my $body = sub { "int\nf(int n)\n{\n$_[0]}\n" };

my @bad = (
    # rule, file, content
    ['final-newline',  'docs/a.md',  'no newline at the end'],
    ['final-newline',  'docs/a.md',  "an empty line at the end\n\n"],
    ['trailing-blank', 'docs/a.md',  "a blank \nat the end\n"],
    ['trailing-blank', 'docs/a.md',  "a carriage return\r\n"],
    ['file-name',      'src/core/amp_util.c',   "int  a;\n"],
    ['file-name',      'src/ctl/helpers.h',     "int  a;\n"],
    ['file-name',      't/lib/common.pm',        "1;\n"],
    ['file-name',      'tools/misc',            "x\n"],
    ['tab',            'src/core/a.c', $body->("\treturn n;\n")],
    ['tab',            't/a.t',        "\tok 1;\n"],
    ['columns',        'src/core/a.c', '/* ' . 'x' x 75 . " */\n"],
    ['lines',          'src/core/a.c', "int  a;\n" x 801],
    ['comment',        'src/core/a.c', "int  a;  // one\n"],
    ['blank-lines',    'src/core/a.c', "int  a;\n\n\n\nint  b;\n"],
    ['keyword-space',  'src/core/a.c', $body->("    if(n) {\n        return 1;\n    }\n")],
    ['keyword-space',  'src/core/a.c', $body->("    while(n) {\n        n--;\n    }\n")],
    ['keyword-space',  'src/core/a.c', $body->("    return sizeof (n);\n")],
    ['brace',          'src/core/a.c', $body->("    if (n)\n        return 1;\n")],
    ['brace',          'src/core/a.c', $body->("    if (n) return 1;\n")],
    ['brace',          'src/core/a.c', $body->("    for (n = 0; n < 3; n++);\n")],
    ['brace',          'src/core/a.c', $body->("    while (f(n) > 0)\n        n--;\n")],
    ['brace',          'src/core/a.c', $body->("    if (n)\n    {\n        n--;\n    }\n")],
    ['brace',          'src/core/a.c', $body->("    if (n) {\n        n--;\n    } else n++;\n")],
    ['brace',          'src/core/a.c', $body->("    do n--; while (n);\n")],
    ['else',           'src/core/a.c', $body->("    if (n) {\n        n--;\n    }\n    else {\n        n++;\n    }\n")],
    ['pointer',        'src/core/a.c', "int f(char* p);\n"],
    ['pointer',        'src/core/a.c', "int f(amp_span_t*p);\n"],
    ['function-head',  'src/core/a.c', "int f(int n)\n{\n    return n;\n}\n"],
    ['function-head',  'src/core/a.c', "static int *f(int n,\n    int m)\n{\n    return n;\n}\n"],
    ['deprecated',     't/unit/a.c',   $body->("    assert_in_range(n, 1, 2);\n")],
    ['function-gap',   'src/core/a.c', "int\nf(int n)\n{\n}\n\nint\ng(int n)\n{\n}\n"],
    ['function-gap',   'src/core/a.c', "static int  a;\n\nint\ng(int n)\n{\n}\n"],
    ['declarations',   'src/core/a.c', $body->("    int  a;\n    size_t  b;\n\n    return a;\n")],
    ['declarations',   'src/core/a.c', $body->("    size_t  b;\n    int     a;\n\n    return a;\n")],
);

for (@bad) {
    my ($rule, $file, $text) = @$_;
    my ($status, $out) = check('style', $file => $text);
    my $what = $text =~ s/\n/\\n/gr;
    like $out, qr/^\Q$file\E:\d+: \Q$rule\E: /m, "$rule: " . substr($what, 0, 70);
    is $status, 1, '... exit status 1';
}

($status, $out) = check('style', 'src/core/a.c' => "int  a;\n", 'src/ctl/a.c' => "int  b;\n");
like $out, qr{^src/ctl/a\.c:1: base-name: }m, 'base-name: two files of one name';

# The head of the tool documents the rules; each was seen to fail.

open my $f, '<', "$root/tools/style" or die $!;
my @rules = map { /^#     ([a-z-]+)  / ? $1 : () } <$f>;
my %seen = map { $_->[0] => 1 } @bad, ['base-name'];
is_deeply [sort @rules], [sort keys %seen], 'every documented rule has a test, every tested rule is documented';


# tools/layers

my %tree = (
    'src/core/amp_a.h' => "int a;\n",
    'src/core/amp_a.c' => "#include \"amp_a.h\"\n",
    'src/module/ngx_ampersand_compat.h' => "#include <ngx_core.h>\n",
    'src/module/zone/ngx_ampersand_z.h' => "#include \"ngx_ampersand_compat.h\"\n#include \"amp_a.h\"\n",
    'src/module/zone/ngx_ampersand_z.c' => "#include \"ngx_ampersand_z.h\"\n",
    'src/module/redis/ngx_ampersand_r.h' => "#include <hiredis/hiredis.h>\n",
    'src/module/request/ngx_http_ampersand_q.c' => "#include \"zone/ngx_ampersand_z.h\"\n",
    'src/ctl/c.c' => "#include \"amp_a.h\"\n",
);

($status, $out) = check('layers', %tree);
is $status, 0, 'layers: a tree that follows the table' or diag $out;

for (
    ['core to nginx',    'src/core/amp_b.c', '#include <ngx_core.h>',   qr/no header of nginx/],
    ['core to sockets',  'src/core/amp_b.c', '#include <sys/socket.h>', qr/no socket/],
    ['core to module',   'src/core/amp_b.c', '#include "zone/ngx_ampersand_z.h"', qr/core may not include zone/],
    ['ctl to nginx',     'src/ctl/d.c', '#include <ngx_config.h>', qr/no header of nginx/],
    ['ctl to module',    'src/ctl/d.c', '#include "zone/ngx_ampersand_z.h"', qr/ctl may not include zone/],
    ['redis to zone',    'src/module/redis/ngx_ampersand_r.c', '#include "zone/ngx_ampersand_z.h"', qr/redis may not include zone/],
    ['request to status', 'src/module/request/ngx_http_ampersand_s.c', '#include "status/ngx_http_ampersand_u.h"',
        qr/request may not include status/, 'src/module/status/ngx_http_ampersand_u.h' => "\n"],
    ['tenant to limit',  'src/module/tenant/ngx_http_ampersand_t.c', '#include "limit/ngx_ampersand_l.h"',
        qr/tenant may not include limit/, 'src/module/limit/ngx_ampersand_l.h' => "\n"],
    ['ngx_ampersand_* to ngx_http', 'src/module/limit/ngx_ampersand_l.c', '#include <ngx_http.h>', qr/know no request/],
    ['no room in front', 'src/module/request/ngx_http_ampersand_s.c', '#include "ngx_ampersand_z.h"', qr/no such file/],
    ['a new folder',     'src/module/odd/ngx_ampersand_o.c', '', qr/no line in the table/],
    ['a circle',         'src/ctl/d.c', '#include "e.h"', qr{circle of includes: src/ctl/d src/ctl/e},
        'src/ctl/d.h' => "\n", 'src/ctl/e.h' => "\n", 'src/ctl/e.c' => "#include \"d.h\"\n"],
) {
    my ($name, $file, $line, $expected, %more) = @$_;
    ($status, $out) = check('layers', %tree, $file => "$line\n", %more);
    like $out, $expected, "layers: $name";
    is $status, 1, '... exit status 1';
}

done_testing;
