"""Proves that text encoders load from every published layout and equal open_clip's and transformers' own encoding."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from types import ModuleType

import pytest
import torch

from diffilm_core.checkpoints import inspect, load_text_encoder
from diffilm_core.text.clip import clip_tokenizer

PROMPTS = ["a fox in the snow, it's 5 o'clock", ""]
L = dict(hidden_size=768, num_attention_heads=12, intermediate_size=3072, num_hidden_layers=12, hidden_act="quick_gelu")
H = dict(hidden_size=1024, num_attention_heads=16, intermediate_size=4096, num_hidden_layers=23, hidden_act="gelu")
TINY_L = L | {"num_hidden_layers": 2, "intermediate_size": 64}  # the width tells it from OpenCLIP
TINY_H = dict(hidden_size=128, num_attention_heads=2, intermediate_size=256, num_hidden_layers=2, hidden_act="gelu")


@pytest.fixture(scope="module")
def open_clip():
    """open_clip's modules of the text tower and the tokenizer, without what the package imports for pictures."""
    spec = importlib.util.find_spec("open_clip")
    if spec is None:
        pytest.skip("open_clip is not installed")
    stand_ins = {"open_clip": ModuleType("open_clip"), "ftfy": ModuleType("ftfy")}
    stand_ins["open_clip"].__path__ = list(spec.submodule_search_locations)
    stand_ins["ftfy"].fix_text = lambda text: text
    for name in ("torchvision", "torchvision.ops", "torchvision.ops.misc"):
        stand_ins[name] = ModuleType(name)
    stand_ins["torchvision.ops.misc"].FrozenBatchNorm2d = torch.nn.Identity
    before = {name: sys.modules.get(name) for name in stand_ins}
    sys.modules.update(stand_ins)
    try:
        return importlib.import_module("open_clip.transformer"), importlib.import_module("open_clip.tokenizer")
    finally:
        for name in [name for name in sys.modules if name.startswith("open_clip.")]:
            del sys.modules[name]
        for name, module in before.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module


def tower(open_clip, config, layers):
    torch.manual_seed(0)
    act = torch.nn.GELU if config["hidden_act"] == "gelu" else open_clip[0].QuickGELU
    ratio = config["intermediate_size"] / config["hidden_size"]
    width, heads = config["hidden_size"], config["num_attention_heads"]
    built = open_clip[0].TextTransformer(
        width=width, heads=heads, layers=layers, mlp_ratio=ratio, output_dim=width, act_layer=act
    )
    return built.eval()


def transformers_model(config):
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    return transformers.CLIPTextModel(transformers.CLIPTextConfig(vocab_size=49408, **config)).eval()


def named(tensors, prefix):
    return {prefix + name: tensor for name, tensor in tensors.items()}


def with_text_model(model, prefix=""):
    """As published before transformers 5, which dropped `text_model.`; with what such files hold besides."""
    inner = {name.removeprefix("text_model."): tensor for name, tensor in model.state_dict().items()}
    inner["embeddings.position_ids"] = torch.arange(77)[None]
    return named(inner, f"{prefix}text_model.") | {f"{prefix}text_projection.weight": torch.zeros(4, 4)}


def near(a, b):
    return float((a - b).abs().max() / b.abs().max())


@torch.no_grad()
def reference(tower, ids, last):
    """What the published models read of open_clip's tower: after its last or its last but one layer, and the norm."""
    x = tower.token_embedding(ids) + tower.positional_embedding
    for block in tower.transformer.resblocks[: len(tower.transformer.resblocks) - last]:
        x = block(x, attn_mask=tower.attn_mask)
    return tower.ln_final(x)


@pytest.mark.parametrize("prefix", ["", "cond_stage_model.model.", "module.", "text."])
def test_openclip_reads_the_layer_before_the_last(open_clip, prefix):
    peer = tower(open_clip, TINY_H, 3)
    extra = {"visual.conv1.weight": torch.zeros(1, 3, 2, 2), "logit_scale": torch.zeros(())} if not prefix else {}
    encoder = load_text_encoder(named(peer.state_dict(), prefix) | extra)
    ids = open_clip[1].SimpleTokenizer()(PROMPTS)
    assert encoder.system == "sd2" and near(encoder.encode(PROMPTS), reference(peer, ids, 1)) < 1e-5


def test_openai_weights_in_open_clip_names_read_the_last_layer(open_clip):
    peer = tower(open_clip, TINY_L, 2)
    encoder = load_text_encoder(peer.state_dict())
    ids = open_clip[1].SimpleTokenizer()(PROMPTS)
    ends = ids.argmax(1)  # padded with 0 by open_clip, with the end token in Stable Diffusion
    theirs = reference(peer, ids, 0)
    ours = encoder.encode(PROMPTS)
    assert encoder.system == "sd1"
    for row, end in enumerate(ends):
        assert near(ours[row, : end + 1], theirs[row, : end + 1]) < 1e-5


@pytest.mark.parametrize("prefix", ["", "cond_stage_model.transformer.", "text_encoder."])
@torch.no_grad()
def test_clip_l_in_transformers_names(prefix):
    peer = transformers_model(TINY_L)
    encoder = load_text_encoder(with_text_model(peer, prefix))
    ids = clip_tokenizer()(PROMPTS, padding="max_length", max_length=77, return_tensors="pt").input_ids
    assert encoder.system == "sd1" and near(encoder.encode(PROMPTS), peer(ids).last_hidden_state) < 1e-5


@torch.no_grad()
def test_openclip_in_a_transformers_folder_reads_its_last_layer(tmp_path):
    peer = transformers_model(TINY_H)
    peer.save_pretrained(tmp_path / "text_encoder")
    ids = clip_tokenizer()(PROMPTS, return_tensors="pt", padding="max_length", max_length=77)
    ids = torch.where(ids.attention_mask.bool(), ids.input_ids, 0)
    for source in (tmp_path, tmp_path / "text_encoder"):
        encoder = load_text_encoder(source)
        assert encoder.system == "sd2" and near(encoder.encode(PROMPTS), peer(ids).last_hidden_state) < 1e-5


def test_the_vocabulary_is_clips(open_clip):
    theirs = open_clip[1].SimpleTokenizer()
    ours = clip_tokenizer()
    assert len(ours) == 49408
    for text in (*PROMPTS, "Ein Fuchs läuft über 東京 in 2024!!", "they'll won't I'd", "emoji 🦊 & <tag> #1", "x" * 60):
        assert ours(text)["input_ids"][1:-1] == theirs.encode(text.lower()), text


@pytest.mark.parametrize(
    "config, layers, layout, system, parameters, layer",
    [
        (H, 24, "open_clip", "sd2", 352_984_064, -2),
        (H | {"num_hidden_layers": 24}, 24, "transformers", "sd2", 352_984_064, -2),
        (H, 23, "transformers", "sd2", 340_387_840, -1),
        (L, 12, "transformers", "sd1", 123_060_480, -1),
        (L, 12, "open_clip", "sd1", 123_060_480, -1),
    ],
)
def test_every_tensor_is_consumed_at_full_size(open_clip, config, layers, layout, system, parameters, layer):
    with torch.device("meta"):
        if layout == "open_clip":
            tensors = tower(open_clip, config, layers).state_dict()
        else:
            tensors = with_text_model(transformers_model(config))
    info = inspect(tensors)
    assert info.missing == info.unexpected == []
    assert [(p.role, p.layout, p.system, p.parameters) for p in info.parts] == [("text", layout, system, parameters)]
    text = info.config["text"]
    assert (text["hidden_act"], text["layer"]) == (config["hidden_act"], layer)
