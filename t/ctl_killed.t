#!/usr/bin/perl

# ampctl is killed at each step of import, rewrap and token rotation, see
# Gateway::Killed.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;

use Gateway::Killed;
use Gateway::Redis;

Gateway::Killed::walk(Gateway::Redis->start);

done_testing;
