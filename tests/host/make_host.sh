#!/bin/bash
# A ComfyUI for these tests: its tree of one commit, a venv with what it and the pack need, torchvision and torchaudio
# made to work beside a CPU build of torch.
#   PIP_CONSTRAINT=constraints.txt tests/host/make_host.sh /path/to/ComfyUI/.git COMMIT FOLDER
set -euo pipefail
repository=$1 commit=$2 folder=$3
pack=$(cd "$(dirname "$0")/../.." && pwd)
mkdir -p "$folder"
export GIT_INDEX_FILE=$(mktemp -u)
git --git-dir="$repository" read-tree "$commit"
git --git-dir="$repository" --work-tree="$folder" checkout-index -a -f || true # a copy may lack a tokenizer file or two
rm -f "$GIT_INDEX_FILE"
python3 -m venv "$folder/venv"
pip="$folder/venv/bin/python -m pip install --quiet"
grep -vE '^(torch|torchvision|torchaudio|comfyui-(workflow-templates|embedded-docs).*|#.*)$' "$folder/requirements.txt" \
    > "$folder/venv/plain.txt"
$pip torch numpy -r "$folder/venv/plain.txt" -r "$pack/requirements.txt"
$pip --no-deps torchvision torchaudio $(grep -E '^comfyui-(workflow-templates|embedded-docs)' "$folder/requirements.txt")
packages=$("$folder/venv/bin/python" -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])')
rm -rf "$packages/torchaudio/lib"
cat > "$packages/sitecustomize.py" << 'END'
import importlib.abc
import sys


class Declarer(importlib.abc.MetaPathFinder):
    """Declares the operators of torchvision's missing extension before its first import."""

    def find_spec(self, name, path=None, target=None):
        if name == "torchvision":
            sys.meta_path.remove(self)
            import torch

            sys._torchvision_library = library = torch.library.Library("torchvision", "DEF")
            library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
            library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")


sys.meta_path.insert(0, Declarer())
END
echo "COMFYUI_PATH=$folder"
