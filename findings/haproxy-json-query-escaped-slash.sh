#!/usr/bin/env bash
# HAProxy's converter json_query has no value for a JSON string that holds an escaped slash.
#
# Version:    2.6.12-1+deb12u4, as in Debian 12.
# Documented: the manual says that json_query supports strings, and nothing about escapes. RFC 8259 (section 7) lists `\/` among them; PHP's
#             json_encode writes it by default, and so does HAProxy's own converter json.
# Cause:      mjson, the parser inside, unescapes b f n r t \ " and \u00XX, and gives up at all else. A fix has waited since 2024:
#             https://github.com/cesanta/mjson/pull/73
# Effect:     a rule that needs the value, such as `balance hash`, silently does without it.
#
# Run on Debian 12 with apt's lists and curl, not as part of the tests. Fails if HAProxy answers otherwise. Output of 2026-11-29:
#
# > sent {"name":"users/alice"}       found users/alice
# > sent {"name":"users\u002falice"}  found users/alice
# > sent {"name":"users\/alice"}      found nothing
# > sent {"name":"\u0142ukasz"}       found nothing
# > json writes users/alice as        users\/alice
set -euo pipefail

script=$(realpath "$0")
place=$(mktemp -d)
cd "$place"
trap 'kill "${haproxy:-}" 2>/dev/null || true; rm -rf "$place"' EXIT
apt-get -qq -o APT::Sandbox::User="$(id -un)" download haproxy=2.6.12-1+deb12u4 liblua5.3-0 libopentracing-c-wrapper0 libopentracing1 libpcre2-8-0
for package in *.deb; do dpkg-deb -x "$package" .; done
LD_LIBRARY_PATH=$(find "$place" -name '*.so.*' -printf '%h\n' | sort -u | paste -sd :)
export LD_LIBRARY_PATH

cat >haproxy.cfg <<END
defaults
  mode http
  timeout client 5s
  timeout http-request 5s
frontend echo
  bind unix@$place/socket
  option http-buffer-request
  http-request set-var(txn.name) req.body,json_query('\$.name')
  http-request set-var(txn.name) str(nothing) unless { var(txn.name) -m found }
  http-request return status 200 content-type text/plain lf-string %[str(users/alice),json] if { path /json }
  http-request return status 200 content-type text/plain lf-string %[var(txn.name)]
END
usr/sbin/haproxy -db -f haproxy.cfg &
haproxy=$!
until [ -S socket ]; do
  kill -0 "$haproxy"
  sleep 0.1
done
ask() { curl -sS --unix-socket "$place/socket" "$@"; }

query() {
  printf 'sent %-28s found %s\n' "$1" "$(ask http://localhost/ -d "$1")"
}
{
  query '{"name":"users/alice"}'
  query '{"name":"users\u002falice"}'
  query '{"name":"users\/alice"}'
  query '{"name":"\u0142ukasz"}'
  printf 'json writes users/alice as        %s\n' "$(ask http://localhost/json)"
} | tee output
sed -n 's/^# > //p' "$script" | diff - output
