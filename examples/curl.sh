#!/bin/sh
# Against a running server on the bundled model: sh examples/curl.sh
set -eu
url=${PREAMBLE_URL:-http://127.0.0.1:8000}

call() {
  curl -sS --fail-with-body -H "authorization: Bearer ${PREAMBLE_KEY:-none}" "$@"
  echo
}
json='content-type: application/json'

echo '# the base model'
call "$url/v1/completions" -H "$json" -d '{"model":"preamble-demo","prompt":"The","max_tokens":24,"temperature":0}'

echo '# the same with a prefix, as a stream'
call -N "$url/v1/completions" -H "$json" \
  -d '{"model":"headlines","prompt":"The","max_tokens":24,"temperature":0,"stream":true}'

echo '# both in one call, in the same forward passes'
call "$url/v1/batch/completions" -H "$json" -d '{"requests":[
  {"custom_id":"base","body":{"model":"preamble-demo","prompt":"The","max_tokens":24,"temperature":0}},
  {"custom_id":"headline","body":{"model":"headlines","prompt":"The","max_tokens":24,"temperature":0}}]}'

echo '# a prefix made of text: upload, use, delete'
call "$url/v1/prefixes" -H "$json" -d '{"name":"examples/greeting","text":"Dear customer, thank you for your letter."}'
call "$url/v1/completions" -H "$json" -d '{"model":"examples/greeting","prompt":" We","max_tokens":24,"temperature":0}'
call -X DELETE "$url/v1/prefixes/examples%2Fgreeting"
