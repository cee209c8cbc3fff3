"""Loading: the bundled model, local directories, and what is said when there is no model."""

import json

import pytest
import torch

from assay.lm import Sampling, generate, load
from assay.lm.bundled import bundled_directory, bundled_gguf
from assay.lm.loading import native_dtype
from assay.records.conversation import user_prompt
from assay.records.errors import ConfigError, ModelError


def test_a_directory_that_does_not_exist_is_named(tmp_path):
    with pytest.raises(ModelError, match="nothing-here.*no directory"):
        load(str(tmp_path / "nothing-here"))


def test_a_hub_id_while_offline_ends_in_one_sentence():
    with pytest.raises(ModelError, match="expected a loadable model 'someone/something' while offline") as raised:
        load("someone/something")
    assert "download the model" in str(raised.value)


def test_a_directory_without_a_model_is_refused(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ModelError, match="expected a loadable model"):
        load(str(tmp_path))


def test_a_model_has_one_identity_wherever_it_lies(tiny_model_dir, tmp_path):
    import shutil

    copy = shutil.copytree(tiny_model_dir, tmp_path / "copy")
    one, two = load(str(tiny_model_dir)), load(str(copy))
    assert one.id == two.id
    with torch.no_grad():
        two.body.layers[0].mlp.up_proj.weight.add_(1e-3)
    from assay.lm.loading import weights_id

    assert weights_id(two.model) != one.id


def test_the_dtype_follows_the_processor(monkeypatch, tmp_path):
    from pathlib import Path

    def with_flags(flags):
        monkeypatch.setattr(Path, "read_text", lambda *_args, **_kwargs: flags)
        return native_dtype()

    monkeypatch.delenv("ASSAY_DTYPE", raising=False)
    assert with_flags("flags: avx2 fma") == torch.float32
    assert with_flags("flags: avx2 avx512_bf16") == torch.bfloat16
    assert with_flags("flags: amx_bf16") == torch.bfloat16


def test_the_dtype_can_be_told_so_that_numbers_are_the_same_on_another_processor(monkeypatch):
    monkeypatch.setenv("ASSAY_DTYPE", "bfloat16")
    assert native_dtype() == torch.bfloat16
    monkeypatch.setenv("ASSAY_DTYPE", "float16")
    with pytest.raises(ConfigError, match="float32 or bfloat16 in ASSAY_DTYPE; got 'float16'"):
        native_dtype()


@pytest.mark.slow
def test_the_bundled_model_gives_the_logits_of_the_gguf_loaded_model():
    from transformers import AutoModelForCausalLM

    gguf = bundled_gguf()
    lm = load("default", dtype=torch.float32)
    original = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
    ids = torch.tensor([lm.tokenizer("Gravity pulls the apple down, and the moon too.")["input_ids"]])
    with torch.no_grad():
        torch.testing.assert_close(lm.model(ids).logits, original(ids).logits, rtol=0, atol=1e-5)


@pytest.mark.slow
def test_the_default_model_answers_a_simple_question():
    lm = load("default")
    answer = generate(lm, [user_prompt("What is the capital of France?")], Sampling(max_tokens=24, temperature=0))
    assert "Paris" in answer[0].text


@pytest.mark.slow
def test_a_half_written_cache_is_made_again(tmp_path):
    first = bundled_directory(tmp_path)
    (first / "complete.json").unlink()
    (first / "config.json").write_text("broken")
    second = bundled_directory(tmp_path)
    assert json.loads((second / "config.json").read_text())["model_type"] == "llama"
    assert not list(tmp_path.glob(".new-*"))
