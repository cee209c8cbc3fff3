"""Fixtures that many rooms need: a tiny random-weight language model with its own tokenizer, a workspace, a clock."""

import gc
import os
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import settings

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("OMP_NUM_THREADS", "1")

pytest_plugins = ["postgresql_server"]

# Files of tests go to memory where there is room: half of the suite's time on a disk is waiting for fsync.
MEMORY = Path("/dev/shm")  # noqa: S108 (pytest makes a directory of the user's own in it)
ROOM = 2 * 1024**3
if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ROOM:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))

# The suite is deterministic: hypothesis draws the same examples in every run.
settings.register_profile("assay", derandomize=True, deadline=None)
settings.load_profile("assay")


LONGEST = [
    "test_annotation_page.py",
    "test_faults.py",
    "test_bench_walk.py",
    "test_no_network.py",
    "test_bench_overoptimisation.py",
    "test_monitor_detection.py",
]
"""Files that take ten seconds and more; they go first, lest one worker wait for the other at the end."""


def pytest_configure(config):
    config.option.loadscopereorder = False  # pytest-xdist would put files of few tests last, whatever they take


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: LONGEST.index(item.path.name) if item.path.name in LONGEST else len(LONGEST))


def pytest_collection_finish():
    """Imports leave a million objects for good; the garbage collector need not go through them in every test."""
    gc.collect()
    gc.freeze()


NOW = datetime(2026, 1, 1, tzinfo=UTC)

CORPUS = [
    "The sky is blue because the air scatters short waves of light more than long ones.",
    "Drink water, sleep well, walk every day and call your friends.",
    "I cannot help with that, but I can suggest a safe and legal way instead.",
    "Paris is the capital of France and the largest city of the country.",
    "Why is the sky blue? How do I sleep better? What is the capital of France?",
]

CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def build_tiny_model(directory: Path, *, layers: int = 4, width: int = 32) -> Path:
    """Write a random-weight Llama of a few thousand parameters with a byte-level BPE tokenizer trained here."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=special, initial_alphabet=alphabet)
    tokenizer.train_from_iterator(CORPUS, trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|im_end|>", pad_token="<|im_end|>")
    fast.chat_template = CHAT_TEMPLATE
    config = LlamaConfig(
        vocab_size=len(fast),
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=2,
        tie_word_embeddings=True,
        initializer_range=0.25,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        model = LlamaForCausalLM(config)
    model.save_pretrained(directory)
    fast.save_pretrained(directory)
    return directory


@pytest.fixture(scope="session")
def tiny_model_dir(tmp_path_factory):
    """The tiny model; from here on models load in float32, also where the processor would rather have bfloat16."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ASSAY_DTYPE", "float32")
        yield build_tiny_model(tmp_path_factory.mktemp("tiny-model"))


@pytest.fixture
def tiny_lm(tiny_model_dir):
    from assay.lm import load

    return load(str(tiny_model_dir))


@pytest.fixture
def now():
    return NOW


@pytest.fixture
def database(request):
    """URL of an empty database, or None for SQLite in the workspace; `make postgres` sets ASSAY_TEST_ON."""
    return request.getfixturevalue("postgresql") if os.environ.get("ASSAY_TEST_ON") == "postgresql" else None


@pytest.fixture(scope="session")
def empty_workspace(tmp_path_factory):
    """The directory of a workspace in SQLite without a record; copying it is quicker than making its tables anew."""
    from assay.storage import Workspace
    from assay.storage.leases import Leases

    workspace = Workspace(tmp_path_factory.mktemp("empty") / "workspace")
    Leases(workspace.records)
    workspace.close()
    return workspace.directory


@pytest.fixture
def workspace(tmp_path, database, empty_workspace):
    from assay.storage import Workspace

    if database is None:
        shutil.copytree(empty_workspace, tmp_path / "workspace")
    workspace = Workspace(tmp_path / "workspace", database=database)
    yield workspace
    workspace.close()
