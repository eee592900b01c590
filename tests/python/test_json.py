"""clean_json(): the JSON guard. What it takes out is said by tests/vectors."""

import json
import pathlib

import fanwire
import pytest

FILE = pathlib.Path(__file__).parent.parent / "vectors" / "json_guard.json"
CASES = json.loads(FILE.read_text(encoding="utf-8"))["cases"]


def bytes_of(case, name):
    return bytes.fromhex(case[f"{name}_hex"]) if f"{name}_hex" in case else case[name].encode()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_vectors(case):
    before, after = bytes_of(case, "text"), bytes_of(case, "clean")
    cleaned = fanwire.clean_json(before)
    assert cleaned == after
    assert (cleaned is before) == (before == after)  # itself when there is nothing to do
    if "text" in case:
        assert fanwire.clean_json(case["text"]) == case["clean"]
        assert (fanwire.clean_json(case["text"]) is case["text"]) == (case["text"] == case["clean"])


def test_surrogates_stay():
    text = '{"a":"\ud800\u010d\U0001f375","__proto__":1}'
    assert fanwire.clean_json(text) == '{"a":"\ud800\u010d\U0001f375"}'
    clean = '{"a":"\ud800"}'
    assert fanwire.clean_json(clean) is clean


@pytest.mark.parametrize("value", [None, 1, {}, [], bytearray(b"{}")])
def test_other_values_are_refused(value):
    with pytest.raises(fanwire.InvalidArgumentError, match="must be str or bytes"):
        fanwire.clean_json(value)
