#!/usr/bin/perl

# Completion of ampctl, in the shells themselves.

use strict;
use warnings;

use Cwd ();
use FindBin;
use lib "$FindBin::Bin/lib";
use File::Temp ();
use Test::More;

use Gateway::Ctl;

my $ctl = Gateway::Ctl->new;
my $bin = Cwd::abs_path($ctl->binary);
my $dir = File::Temp->newdir;
symlink $bin, "$dir/ampctl" or die "symlink: $!";
open my $f, '>', "$dir/a-file.json" or die $!;
close $f;

sub there { my ($shell) = @_; return system("command -v $shell > /dev/null 2>&1") == 0 }
sub script_of { my ($shell) = @_; return $ctl->run('completion', $shell)->{out} }

# What completes the last of the words.

sub offers { my (@words) = @_; return map { /^([^\t]+)/ } split /\n/, $ctl->run('__complete', @words)->{out} }

subtest 'commands and options of --help are offered, and no others' => sub {
    my %nouns = map { ($_ => 1) } $ctl->run('--help')->{out} =~ /^  ([a-z]+) /mg;
    is_deeply [ sort(offers('')) ], [ sort keys %nouns ], 'commands';
    for my $noun (sort keys %nouns) {
        my @verbs = $ctl->run('help', $noun)->{out} =~ /^  $noun ([a-z]+)\b/mg;
        for my $command (@verbs ? map { [ $noun, $_ ] } @verbs : [$noun]) {
            my @options = $ctl->run(@$command, '--help')->{out} =~ /^  (--[a-z-]+)/mg;
            is_deeply [ sort(offers(@$command, '--')) ], [ sort @options ], "@$command";
        }
        is_deeply [ sort(offers($noun, '')) ], [ sort @verbs ], "verbs of $noun" if @verbs;
    }
};

subtest 'values' => sub {
    is_deeply [ offers(qw(operations --api), '') ], [qw(platform read write search proxy)], 'APIs';
    is_deeply [ offers(qw(operations --api=re)) ], ['--api=read'], 'in one word';
    is_deeply [ offers(qw(operations --api =), 're') ], ['read'], 'in three words, as bash has it';
    is_deeply [ offers(qw(grant add acme --allow deleteConn)) ], ['deleteConnection'], 'operations';
    is_deeply [ offers(qw(--redis redis://x limit set acme --class wr)) ], ['write'], 'an option before the command';
    is_deeply [ offers(qw(cache purge acme --family con)) ], ['connections'], 'families';
    is_deeply [ offers(qw(config import), '') ], [':file'], 'an argument that is a file';
    is_deeply [ offers(qw(key set acme --key-file), '') ], [':file'], 'a value that is a file';
    is_deeply [ offers(qw(explain DEL)) ], ['DELETE'], 'methods';
    is_deeply [ offers(qw(completion), '') ], [qw(bash fish zsh)], 'shells';
    is_deeply [ offers(qw(tenant show), '') ], [], 'a tenant: nothing is asked of Redis';
    is_deeply [ offers(qw(nope x), '') ], [ offers('') ], 'an unknown command';
    is_deeply [ offers() ], [ offers('') ], 'no word';
};

# Types keys into an interactive shell on a terminal; what was printed.

sub typed {
    my ($shell, $start, $keys) = @_;
    open my $in, '>', "$dir/keys" or die $!;
    print $in "$keys\nexit\n";
    close $in;
    local $ENV{PATH} = "$dir:$ENV{PATH}";
    local $ENV{TERM} = 'dumb';
    local $ENV{HOME} = "$dir";
    local $ENV{AMPERSAND_REDIS} = 'redis://127.0.0.1:1';
    return scalar qx(cd $dir && timeout 60 script -qec '$start' /dev/null < $dir/keys 2>&1);
}

for my $shell (qw(bash zsh fish)) {
    subtest $shell => sub {
        plan skip_all => "$shell is not installed" if !there($shell);
        open my $out, '>', "$dir/completion.$shell" or die $!;
        print $out script_of($shell);
        close $out;
        is system("$shell -n $dir/completion.$shell"), 0, 'the script is one of this shell';

        if ($shell eq 'fish') {
            my $ask = sub {
                my ($line) = @_;
                local $ENV{PATH} = "$dir:$ENV{PATH}";
                local $ENV{HOME} = "$dir";
                return [ map { /^([^\t]+)/ } split /\n/, qx(cd $dir && fish --no-config -c 'source completion.fish; complete -C "$line"') ];
            };
            is_deeply $ask->('ampctl tenant dis'), ['disable'], 'a subcommand';
            is_deeply $ask->('ampctl grant add acme --allow deleteConn'), ['deleteConnection'], 'a value';
            is_deeply $ask->('ampctl config import a-'), ['a-file.json'], 'a file';
            is_deeply $ask->('ampctl operations --api=sea'), ['--api=search'], 'in one word';
            return;
        }

        my $start = $shell eq 'bash' ? 'bash --norc --noprofile -i' : 'zsh -f -i';
        my $load = $shell eq 'bash' ? 'source completion.bash' : "autoload -U compinit; compinit -u -D; source completion.zsh";
        my $text = typed($shell, $start, "$load; echo R''EADY\nampctl oper\t--api sea\t--js\t\n");
        like $text, qr/"api":"search"/, 'command, option, value and global option are completed' or diag $text;
        unlike $text, qr/"api":"read"/, 'the value, too';
        $text = typed($shell, $start, "$load\nampctl config import a-f\t\n");
        like $text, qr/a-file\.json/, 'a file';
    };
}

subtest 'a shell that is none' => sub {
    my $r = $ctl->run(qw(completion zhs));
    is $r->{code}, 2, 'exit 2';
    like $r->{err}, qr/no completion for "zhs", did you mean "zsh"\?\n.*bash, fish, zsh/, 'message';
};

done_testing;
