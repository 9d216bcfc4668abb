"""Proves that every node has a help page that names its inputs, and texts in every language of locales/."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

ROOT = Path(__file__).absolute().parents[2]
SCHEMAS = json.loads((Path(__file__).parent / "schemas.json").read_text("utf-8"))
LANGUAGES = sorted(path.name for path in (ROOT / "locales").iterdir())


def test_languages() -> None:
    assert LANGUAGES == ["de", "en"]


@pytest.mark.parametrize("node", sorted(SCHEMAS))
def test_help_page_names_every_input_and_output(node: str) -> None:
    page = (ROOT / "web/docs" / f"{node}.md").read_text("utf-8")
    for entry in [*SCHEMAS[node]["inputs"], *SCHEMAS[node]["outputs"]]:
        assert f"| {entry['name']} |" in page


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_is_there(language: str) -> None:
    texts = json.loads((ROOT / "locales" / language / "nodeDefs.json").read_text("utf-8"))
    assert set(texts) == set(SCHEMAS)
    for node, schema in SCHEMAS.items():
        assert texts[node]["display_name"] and texts[node]["description"]
        assert set(texts[node]["inputs"]) == {entry["name"] for entry in schema["inputs"]}
        assert set(texts[node]["outputs"]) == {str(number) for number in range(len(schema["outputs"]))}
        for entry in [*texts[node]["inputs"].values(), *texts[node]["outputs"].values()]:
            assert entry["name"] and entry["tooltip"]
