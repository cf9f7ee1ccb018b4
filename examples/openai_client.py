"""The official client against a running server on the bundled model.

    pip install openai
    python examples/openai_client.py
"""

import os
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

from openai import BadRequestError, OpenAI

client = OpenAI(
    base_url=os.environ.get("PREAMBLE_URL", "http://127.0.0.1:8000") + "/v1",
    api_key=os.environ.get("PREAMBLE_KEY", "none"),  # with PREAMBLE_API_KEYS set: one of the keys
)
PROMPT = "The"


def complete(model: str) -> str:
    answer = client.completions.create(model=model, prompt=PROMPT, max_tokens=24, temperature=0)
    return f"{model}: {PROMPT}{answer.choices[0].text}"


# Each prefix is a model, whose parent is the one frozen model that they share.
for model in client.models.list():
    print(f"prefix {model.id} of {model.parent}" if model.parent else f"model {model.id}")

# One prompt as each user would have it continued. Requests that are under way together share their forward passes.
with ThreadPoolExecutor() as pool:
    for line in pool.map(complete, ["preamble-demo", "headlines", "french-flavour"]):
        print(line)

# A prefix of a user's own, made of text, no training needed. The client has no method for it, but it can call any route.
alice = client.post("/prefixes", body={"name": "users/alice", "text": "Dear customer, thank you."}, cast_to=object)
print(f"made {alice['name']} of {alice['num_virtual_tokens']} virtual tokens")

# As a stream. Fields that OpenAI does not have go into `extra_body`.
stream = client.completions.create(
    model="users/alice", prompt=PROMPT, max_tokens=24, temperature=0, stream=True, extra_body={"min_tokens": 8}
)
for chunk in stream:
    print(chunk.choices[0].text, end="", flush=True)
print()

# What the server refuses is raised, with the field that is at fault.
try:
    client.completions.create(model="headlines", prompt=PROMPT, temperature=3)
except BadRequestError as error:
    print(f"refused: {error.param} ({error.code})")

client.delete("/prefixes/" + quote("users/alice", safe=""), cast_to=object)
