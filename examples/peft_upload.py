"""Makes a PEFT prefix for the bundled model, uploads it and uses it, against a running server.

    pip install peft transformers torch requests
    python examples/peft_upload.py [MODEL_DIRECTORY]

The prefix is not trained here, only initialised: in its place stands whatever your training leaves in the directory.
"""

import os
import pathlib
import sys
import tempfile

import requests
from peft import PrefixTuningConfig, get_peft_model
from transformers import AutoModelForCausalLM

URL = os.environ.get("PREAMBLE_URL", "http://127.0.0.1:8000")
HEADERS = {"authorization": f"Bearer {os.environ.get('PREAMBLE_KEY', 'none')}"}
NAME = "examples/peft"
MODEL = sys.argv[1] if len(sys.argv) > 1 else str(pathlib.Path(__file__).parent.parent / "models" / "preamble-demo")


def make_prefix(directory: str) -> None:
    model = AutoModelForCausalLM.from_pretrained(MODEL)
    config = PrefixTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=8)
    get_peft_model(model, config).save_pretrained(directory)


def upload(directory: str) -> dict:
    files = {
        "adapter_config": open(f"{directory}/adapter_config.json", "rb"),
        "adapter_model": open(f"{directory}/adapter_model.safetensors", "rb"),
    }
    response = requests.post(f"{URL}/v1/prefixes", data={"name": NAME}, files=files, headers=HEADERS)
    if not response.ok:
        raise SystemExit(response.json()["error"]["message"])
    return response.json()


def complete(model: str) -> str:
    body = {"model": model, "prompt": "The", "max_tokens": 24, "temperature": 0}
    response = requests.post(f"{URL}/v1/completions", json=body, headers=HEADERS)
    response.raise_for_status()
    return response.json()["choices"][0]["text"]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as directory:
        make_prefix(directory)
        prefix = upload(directory)
    print(f"{prefix['name']}@{prefix['version'][:12]}: {prefix['num_virtual_tokens']} virtual tokens", *prefix["warnings"])
    print(complete(NAME))
    requests.delete(f"{URL}/v1/prefixes/{requests.utils.quote(NAME, safe='')}", headers=HEADERS).raise_for_status()
