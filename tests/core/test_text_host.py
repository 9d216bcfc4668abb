"""Proves that prompts of any length give the tensors that ComfyUI's own CLIP gives. Needs COMFYUI_PATH (and
COMFYUI_PYTHON, the host's interpreter); this file is then also the program that runs inside it."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
CONFIG = {
    "vocab_size": 49408, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 4,
    "num_attention_heads": 4, "max_position_embeddings": 77, "hidden_act": "quick_gelu",
    "bos_token_id": 49406, "eos_token_id": 49407, "pad_token_id": 1,
}  # fmt: skip
WORDS = "the fox walks in snow, and the owl's supercalifragilistic e.g. 42 🦊 Füchslein — meadow antidisestablishment"


def prompts() -> list[str]:
    choose = random.Random(1)
    lengths = [0, 1, 5, 30, 60, 70, 73, 74, 75, 76, 80, 150, 300]
    return [" ".join(choose.choice(WORDS.split()) for _ in range(n)) for n in lengths for _ in range(3)]


def compare(host: str, layer: int, pad: int | None) -> dict[str, Any]:
    """Inside the host: prompts whose windows differ, and the largest relative difference of the tensors."""
    sys.path[:0] = [host, str(ROOT)]
    sys.argv = ["main.py", "--cpu"]
    import comfy.options

    comfy.options.enable_args_parsing()
    import comfy.sd1_clip
    import torch
    import transformers

    from diffilm_core.text import TextEncoder

    torch.manual_seed(0)
    ours = transformers.CLIPTextModel(transformers.CLIPTextConfig(**CONFIG))
    for parameter in ours.parameters():
        torch.nn.init.normal_(parameter, std=0.15)
    state = {"text_model." + key.removeprefix("text_model."): value for key, value in ours.state_dict().items()}
    encoder = TextEncoder.from_parts(
        state, CONFIG, Path(host) / "comfy/sd1_tokenizer", layer=layer, pad=pad, split="tokens"
    )
    tokenizer = comfy.sd1_clip.SDTokenizer(pad_with_end=pad is None, embedding_size=64)
    theirs = comfy.sd1_clip.SDClipModel(
        dtype=torch.float32,
        textmodel_json_config=dict(CONFIG),
        layer="last" if layer == -1 else "hidden",
        layer_idx=None if layer == -1 else layer,
        special_tokens={"start": 49406, "end": 49407, "pad": 49407 if pad is None else pad},
    )
    theirs.load_sd(state)
    other, worst = [], 0.0
    for prompt in prompts():
        pairs = tokenizer.tokenize_with_weights(prompt)
        if [[token for token, _ in window] for window in pairs] != encoder.prompts.windows(prompt):
            other.append(prompt)
            continue
        with torch.no_grad():
            want = theirs.encode_token_weights(pairs)[0]
        worst = max(worst, float((encoder.encode([prompt]) - want).abs().max() / want.abs().max()))
    return {"other": other, "worst": worst}


if __name__ == "__main__":
    answer = compare(sys.argv[1], int(sys.argv[2]), None if sys.argv[3] == "end" else int(sys.argv[3]))
    sys.stdout.write("\n" + json.dumps(answer) + "\n")
else:
    import pytest

    @pytest.mark.skipif(not os.environ.get("COMFYUI_PATH"), reason="set COMFYUI_PATH to ComfyUI's folder")
    @pytest.mark.parametrize(("layer", "pad"), [(-1, "end"), (-2, "0")])
    def test_same_tensors_as_comfyui(layer: int, pad: str) -> None:
        command = [os.environ.get("COMFYUI_PYTHON", sys.executable), __file__]
        command += [os.environ["COMFYUI_PATH"], str(layer), pad]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        answer = json.loads(done.stdout.splitlines()[-1])
        assert answer["other"] == []
        assert answer["worst"] < 2e-6
