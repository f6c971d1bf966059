package Gateway::Bench::Rivals;

# What the gateway is measured against, each as an object with a port and the
# process that is measured:
#
#   floor    nginx that does nothing: "return 200" for a hit, proxy_pass without a cache else
#   stock    nginx with proxy_pass and proxy_cache, one static key, the settings of proxy.conf but for
#            open_file_cache and sendfile, which are as Debian's nginx.conf has them
#   Lua      stock, with a tenant's key from a shared dictionary, else from Redis, by hand-written Lua
#   auth_request   stock, with a tenant's key from an authentication service, whose answers are cached
#   HAProxy  its map, stick table and cache
#
#   my $rivals = Gateway::Bench::Rivals->new($bench, $redis, @tokens_files);
#   for ($rivals->all) { my $server = $_->{servers}->($case); ... }     # $_->{name}
#   my ($port, $pid) = $rivals->alone($name, @wrap);    # stock in one process
#
# A case has path (hit, miss, pass), limits and rare (0, 1).  Rare: nothing about the tenant
# is in the memory of whoever answers.  A server is { port, pid }, and nginx's has its
# master; undef where a rival cannot do it.

use strict;
use warnings;

use Gateway ();
use Gateway::Bench qw(worker_of wait_port);

# As Debian's nginx.conf.

our $HTTP = 'sendfile on; tcp_nopush on;';

my $LUA = '/usr/lib/nginx/modules/ngx_http_lua_module.so';

sub new {
    my ($class, $bench, $redis, @files) = @_;
    my $self = bless { bench => $bench, redis => $redis, tokens => [ map { split /\n/, Gateway::_slurp($_) } @files ] }, $class;
    my @rivals = ([ floor => \&_floor ], [ stock => \&_stock ]);
    push @rivals, [ Lua => \&_lua ] if -e $LUA;
    push @rivals, [ auth_request => \&_auth_request ];
    push @rivals, [ HAProxy => \&_haproxy ] if system('haproxy -v >/dev/null 2>&1') == 0;
    $self->{all} = [ map { { name => $_->[0], servers => $_->[1]->($self) } } @rivals ];
    return $self;
}

sub all { return @{ $_[0]{all} } }

# The lines of conf/ampersand/proxy.conf that nginx without the module has, too; without
# the module nginx has to read Cache-Control itself.

sub common {
    my $text = Gateway::_slurp("$Gateway::ROOT/conf/ampersand/proxy.conf");
    $text =~ s/\s+Cache-Control Expires;/;/ or die "proxy_ignore_headers has changed\n";
    return $text =~ s/^\s*(?:#.*|open_file_cache.*|sendfile.*|proxy_pass\s.*|proxy_cache_key\s.*|proxy_cache\s.*|proxy_set_header\s.*|proxy_ssl_\w+\s.*)$//mgr;
}

sub _nginx {
    my ($self, $name, %o) = @_;
    my ($port, $pid) = $self->_start($name, %o);
    return { port => $port, master => $pid, pid => worker_of($pid) };
}

sub _start {
    my ($self, $name, %o) = @_;
    my $port = Gateway::Redis::free_port();
    my $up = $self->{bench}->upstream;
    my $pid = $self->{bench}->nginx($name, <<"CONF", @{ $o{wrap} || [] });
@{[ $o{modules} || '' ]}
daemon off; worker_processes 1; worker_cpu_affinity 01; pid DIR/pid; error_log DIR/logs/error.log;
@{[ $o{main} || '' ]}
events { worker_connections 4096; }
http {
    $Gateway::Bench::KEEP $HTTP
    proxy_temp_path DIR/tmp/p; client_body_temp_path DIR/tmp/b; fastcgi_temp_path DIR/tmp/f;
    uwsgi_temp_path DIR/tmp/u; scgi_temp_path DIR/tmp/s;
    proxy_cache_path DIR/cache levels=1:2 keys_zone=ampersand:$Gateway::Bench::CACHE_ZONE inactive=10m use_temp_path=off;
    upstream ampersand { server 127.0.0.1:$up; keepalive 64; keepalive_requests 1000000; }
    @{[ $o{http} || '' ]}
    server {
        listen 127.0.0.1:$port backlog=4096;
        $o{server}
    }
}
CONF
    wait_port($port);
    return ($port, $pid);
}

# A location that caches; $key: what tells tenants apart.

sub _cached {
    my ($key, $secret) = @_;
    return <<"CONF" . common();
            proxy_pass http://ampersand;
            proxy_set_header Host api.withampersand.com;
            proxy_set_header Connection "";
            proxy_set_header X-Api-Key $secret;
            proxy_cache ampersand;
            proxy_cache_key $key\$request_method\$request_uri;
            proxy_cache_valid 200 60m;
CONF
}

sub _floor {
    my ($self) = @_;
    my $hit = $self->_nginx('floor-hit', server => "default_type application/json; location / { return 200 '$Gateway::Bench::BODY'; }");
    my $miss = $self->_nginx('floor-miss', server => <<'CONF');
        location / {
            proxy_pass http://ampersand; proxy_http_version 1.1; proxy_set_header Connection "";
        }
CONF
    return sub { my ($case) = @_; return $case->{path} eq 'hit' ? $hit : $miss };
}

sub _stock {
    my ($self) = @_;
    my $server = $self->_nginx('stock', server => _static());
    return sub { return $server };
}

sub _static { return 'location /v1 { ' . _cached('', 'static-key-of-the-only-tenant') . '}' }

sub alone {
    my ($self, $name, @wrap) = @_;
    return $self->_start($name, main => 'master_process off;', server => _static(), wrap => \@wrap);
}

# The secret of each token, as Redis has it for the others.

sub _lua {
    my ($self) = @_;
    $self->_fill;
    my $socket = $self->{redis}->port;
    my %server;
    for my $kind (qw(plain limits rare)) {
        my $limit = $kind eq 'plain' ? '' : <<'LUA';
                local n = ngx.shared.limits:incr(token, 1, 0, 1)
                if not n or n > 1000000 then
                    return ngx.exit(429)
                end
LUA
        my $for = $kind eq 'rare' ? '0.001' : '3600';
        $server{$kind} = $self->_nginx("lua-$kind",
            modules => "load_module modules/ndk_http_module.so; load_module modules/ngx_http_lua_module.so;"
                =~ s{modules/}{/usr/lib/nginx/modules/}gr,
            http => 'lua_shared_dict tenants 32m; lua_shared_dict limits 32m;', server => <<"CONF");
        location /v1 {
            set \$secret ''; set \$tenant '';
            access_by_lua_block {
                local token = ngx.var.http_x_api_key
                if not token then
                    return ngx.exit(401)
                end
                local found = ngx.shared.tenants:get(token)
                if not found then
                    local redis = ngx.socket.tcp()
                    redis:settimeout(100)
                    if not redis:connect("127.0.0.1", $socket) then
                        return ngx.exit(503)
                    end
                    redis:send("GET bench:" .. token .. "\\r\\n")
                    local line = redis:receive()
                    local n = tonumber((line or ""):match("^%\$(%d+)"))
                    if not n then
                        return ngx.exit(401)
                    end
                    found = redis:receive(n)
                    redis:receive(2)
                    redis:setkeepalive(10000, 100)
                    ngx.shared.tenants:set(token, found, $for)
                end
$limit
                local tenant, secret = found:match("^(%S+) (%S+)")
                ngx.var.tenant = tenant
                ngx.var.secret = secret
            }
            @{[ _cached('$tenant', '$secret') ]}
        }
CONF
    }
    return sub { return $server{ _kind($_[0]) } };
}

sub _kind { my ($case) = @_; return $case->{rare} ? 'rare' : $case->{limits} ? 'limits' : 'plain' }

sub _fill {
    my ($self) = @_;
    my @tokens = @{ $self->{tokens} };
    my $n = 0;
    while (my @some = splice @tokens, 0, 500) {
        $self->{redis}->command('MSET', map { $n++; ("bench:$_", "tenant-$n amp-key-of-tenant-0123456789abcdef") } @some);
    }
}

sub _auth_request {
    my ($self) = @_;
    my $auth = Gateway::Redis::free_port();
    $self->{bench}->nginx('auth', <<"CONF", 'taskset', '-c', '1');
daemon off; worker_processes 1; pid DIR/pid; error_log DIR/logs/error.log;
events { worker_connections 4096; }
http {
    $Gateway::Bench::KEEP
    server {
        listen 127.0.0.1:$auth backlog=4096;
        add_header X-Key amp-key-of-tenant-0123456789abcdef;
        add_header X-Tenant \$http_x_api_key;
        location / { return 204; }
    }
}
CONF
    wait_port($auth);
    my %server;
    for my $kind (qw(plain limits rare)) {
        my $limit = $kind eq 'plain' ? '' : 'limit_req zone=tenants burst=100000 nodelay;';
        my $cache = $kind eq 'rare' ? ''
            : 'proxy_cache auth; proxy_cache_key $http_x_api_key; proxy_cache_valid 204 60m;';
        $server{$kind} = $self->_nginx("auth-$kind", http => <<"HTTP", server => <<"CONF");
    upstream auth { server 127.0.0.1:$auth; keepalive 64; keepalive_requests 1000000; }
    limit_req_zone \$http_x_api_key zone=tenants:32m rate=1000000r/s;
    proxy_cache_path DIR/tmp levels=1:2 keys_zone=auth:32m inactive=60m use_temp_path=off;
HTTP
        location = /auth {
            internal;
            proxy_pass http://auth; proxy_http_version 1.1; proxy_set_header Connection "";
            proxy_pass_request_body off; proxy_set_header Content-Length "";
            $cache
        }
        location /v1 {
            auth_request /auth;
            auth_request_set \$secret \$upstream_http_x_key;
            auth_request_set \$tenant \$upstream_http_x_tenant;
            $limit
            @{[ _cached('$tenant', '$secret') ]}
        }
CONF
    }
    return sub { return $server{ _kind($_[0]) } };
}

sub _haproxy {
    my ($self) = @_;
    my $dir = $self->{bench}->dir . '/haproxy';
    mkdir $dir;
    open my $map, '>', "$dir/tenants.map" or die $!;
    print $map "$_ amp-key-of-tenant-0123456789abcdef\n" for @{ $self->{tokens} };
    close $map;
    my $up = $self->{bench}->upstream;
    my %server;
    for my $kind (qw(plain limits)) {
        my $port = Gateway::Redis::free_port();
        my $limit = $kind eq 'plain' ? '' : <<'CONF';
    stick-table type string len 64 size 100k expire 60s store http_req_rate(1s)
    http-request track-sc0 req.hdr(x-api-key)
    http-request deny deny_status 429 if { sc0_http_req_rate gt 1000000 }
CONF
        open my $f, '>', "$dir/$kind.cfg" or die $!;
        print $f <<"CONF";
global
    nbthread 1
    maxconn 4096
defaults
    mode http
    http-reuse always
    timeout connect 5s
    timeout client 60s
    timeout server 60s
cache answers
    total-max-size 64
    max-object-size 16000
    max-age 3600
frontend gateway
    bind 127.0.0.1:$port
    acl known req.hdr(x-api-key),map_str($dir/tenants.map) -m found
    http-request deny deny_status 401 unless known
$limit    http-request set-header X-Api-Key %[req.hdr(x-api-key),map_str($dir/tenants.map)]
    http-request set-header Host api.withampersand.com
    http-request cache-use answers
    http-response cache-store answers
    default_backend ampersand
backend ampersand
    server ampersand 127.0.0.1:$up
CONF
        close $f;
        my $pid = $self->{bench}->spawn('haproxy', 'taskset', '-c', '0', 'haproxy', '-q', '-db', '-f', "$dir/$kind.cfg");
        wait_port($port);
        $server{$kind} = { port => $port, pid => $pid };
    }
    return sub { return $server{ _kind($_[0]) } };
}

1;
