#!/usr/bin/perl

# The same with a Redis cluster, which has no transaction over a tenant and its
# tokens: ampctl is killed at each step of import, rewrap and token rotation.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;

use Gateway::Killed;
use Gateway::Redis;
use Gateway::Redis::Cluster;

Gateway::Killed::walk(Gateway::Redis::Cluster->start(replicas => 0));

done_testing;
