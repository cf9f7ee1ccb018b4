#!/usr/bin/env bash
# @huggingface/jinja, which renders chat templates in JavaScript, prints truth values, none and mappings otherwise than Jinja does.
#
# Version:    @huggingface/jinja 0.5.11, Jinja 3.1.6 (which Transformers renders chat templates with).
# Documented: "a minimalistic JavaScript implementation", without a list of differences.
# Cause:      values are printed as JavaScript and JSON write them, not as Python does; `~` takes no none.
# Effect:     a chat template that prints such a value, as those do that write a setting or a tool's schema without `tojson`, makes a prompt that the model was
#             not trained on. No error comes, but for `~`.
# Way out:    a template that prints texts only, or mappings by `tojson`.
#
# Run with Node.js, npm and python3 with venv, not as part of the tests. Fails if either prints something else. Output of 2026-11-30:
#
# > {{ true }}                 jinja: True          @huggingface/jinja: true
# > {{ none }}                 jinja: None          @huggingface/jinja: 
# > {{ [1, true] }}            jinja: [1, True]     @huggingface/jinja: [1, true]
# > {{ {"a": "b"} }}           jinja: {'a': 'b'}    @huggingface/jinja: {"a": "b"}
# > {{ {"a": "b"} | tojson }}  jinja: {"a": "b"}    @huggingface/jinja: {"a": "b"}
# > {{ "a" ~ none }}           jinja: aNone         @huggingface/jinja: Cannot perform operation on null values
set -euo pipefail

script=$(realpath "$0")
place=$(mktemp -d)
cd "$place"
trap 'rm -rf "$place"' EXIT
echo '{"type":"module"}' >package.json
npm install --silent --no-audit --no-fund @huggingface/jinja@0.5.11
python3 -m venv venv
venv/bin/pip install --quiet --no-input jinja2==3.1.6

cat >templates.json <<'END'
["{{ true }}", "{{ none }}", "{{ [1, true] }}", "{{ {\"a\": \"b\"} }}", "{{ {\"a\": \"b\"} | tojson }}", "{{ \"a\" ~ none }}"]
END
cat >render.py <<'END'
import json
import jinja2
print(json.dumps([jinja2.Template(text).render() for text in json.load(open("templates.json"))]))
END
cat >render.js <<'END'
import { readFileSync } from 'node:fs';
import { Template } from '@huggingface/jinja';

const [templates, expected] = ['templates.json', 'jinja.json'].map((file) => JSON.parse(readFileSync(file, 'utf8')));
const render = (text) => {
  try {
    return new Template(text).render({});
  } catch (error) {
    return error.message;
  }
};
templates.forEach((text, i) => {
  console.log(`${text.padEnd(26)} jinja: ${expected[i].padEnd(13)} @huggingface/jinja: ${render(text)}`);
});
END
venv/bin/python render.py >jinja.json
node render.js | tee output
sed -n 's/^# > //p' "$script" | diff - output
