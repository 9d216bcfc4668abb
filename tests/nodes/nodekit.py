"""A node's schema in plain values: what the snapshot `schemas.json` holds, whichever host it was asked of."""

from __future__ import annotations

from typing import Any

DYNAMIC = {
    "DiffilmApplyMotion.motion_model",
    "DiffilmMotionLoRA.lora_name",
    "DiffilmLoadModel.model_name",
    "DiffilmLoadImageToVideo.model_name",
    "DiffilmLoadVideoUNet.unet_name",
    "DiffilmLoadVAE.vae_name",
    "DiffilmFilmStoryboard.sampler_name",
    "DiffilmFilmStoryboard.scheduler",
    "DiffilmLoadVDM.model_name",
    "DiffilmEncodeCaption.bert",
}
"""Lists that depend on the machine or on the host's version."""
KEPT = ("default", "min", "max", "step", "multiline")


def plain_schema(node: str, info: dict[str, Any]) -> dict[str, Any]:
    """`info` is what /object_info says of a node (or `GET_NODE_INFO_V1` in Python)."""
    inputs = []
    for group in ("required", "optional"):
        for name, spec in info["input"].get(group, {}).items():
            options = spec[1] if len(spec) > 1 else {}
            listed = isinstance(spec[0], (list, tuple))
            entry: dict[str, Any] = {"name": name, "type": "COMBO" if listed else spec[0]}
            if group == "optional":
                entry["optional"] = True
            entry.update({key: options[key] for key in KEPT if options.get(key) is not None})
            if entry["type"] == "COMBO" and f"{node}.{name}" not in DYNAMIC:
                entry["options"] = list(spec[0]) if listed else list(options.get("options", []))
            if options.get("control_after_generate"):
                entry["control_after_generate"] = True
            inputs.append(entry)
    outputs = [
        {"name": name, "type": kind, "list": bool(is_list)}
        for name, kind, is_list in zip(info["output_name"], info["output"], info["output_is_list"], strict=True)
    ]
    return {"inputs": inputs, "outputs": outputs, "output_node": bool(info["output_node"])}
