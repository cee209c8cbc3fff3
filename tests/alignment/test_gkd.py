"""GKD: the divergence of a step, teachers together, exact resume, and a student that comes to say what teachers do."""

import math
import shutil

import pytest
import torch
from alignment_cases import NOW, assert_goes_on_after_a_kill
from torch.nn.functional import log_softmax

from assay.alignment import GkdSettings, RunContext, TrainingRewards, Watched, run_gkd
from assay.alignment import gkd as gkd_module
from assay.alignment.gkd import GkdTask
from assay.alignment.losses import generalised_jsd
from assay.alignment.sampling import PolicySampler
from assay.alignment.teachers import Teachers, together
from assay.alignment.trainer import train
from assay.lm import LoraSettings, Sampling, add_lora, load, save_adapter
from assay.lm.adapters import policy_parameters
from assay.lm.chat import EncodedPair
from assay.lm.logprobs import token_logits
from assay.records.conversation import user_prompt
from assay.records.errors import TrainingError
from assay.records.identity import ScorerIdentity
from assay.records.policy import PolicyVersion
from assay.records.provenance import Provenance

PROMPTS = [user_prompt(text) for text in ("Why is the sky blue?", "Capital of France?")]
LORA = LoraSettings(r=4, top_layers=2)


@pytest.fixture(scope="module")
def teacher_dirs(tiny_model_dir, tmp_path_factory):
    """Two adapters that say other things than the base, and than each other."""
    found = []
    for seed in (1, 2):
        lm = load(str(tiny_model_dir), dtype=torch.float32)
        add_lora(lm, LORA, seed=seed)
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for parameter in policy_parameters(lm).values():
                parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
        directory = tmp_path_factory.mktemp("teacher")
        save_adapter(lm, directory)
        found.append(directory)
    return found


def settings(**changes):
    plain = {
        "rounds": 2,
        "num_generations": 2,
        "per_device_train_batch_size": 2,
        "max_completion_length": 6,
        "learning_rate": 1e-2,
        "save_steps": 1,
        "lora": LORA,
    }
    return GkdSettings(**plain | changes)


class Setting:
    """A GKD task on the tiny model."""

    def __init__(self, model_dir, adapters, chosen):
        self.lm, self.settings = load(str(model_dir), dtype=torch.float32), chosen
        add_lora(self.lm, chosen.lora, seed=0)
        sampling = Sampling(max_tokens=chosen.max_completion_length, seed=3)
        self.sampler = PolicySampler(self.lm, PROMPTS, sampling, n=chosen.num_generations, ref_adapter=None)
        self.teachers = Teachers(self.lm, adapters, mean=chosen.teacher_mean)
        self.task = GkdTask(self.lm, self.sampler, self.teachers, chosen, seed=5)

    def train(self, directory, **kwargs):
        return train(self.lm, self.task, self.settings, directory=directory, fingerprint="f", **kwargs)


@pytest.fixture
def made(tiny_model_dir, teacher_dirs):
    def make(teachers=1, **changes):
        return Setting(tiny_model_dir, teacher_dirs[:teachers], settings(**changes))

    return make


def test_means_of_distributions_are_those_by_hand():
    one, two = torch.tensor([[0.9, 0.1]]).log(), torch.tensor([[0.1, 0.9]]).log()
    assert together([one, two], "arithmetic").exp().tolist() == [pytest.approx([0.5, 0.5])]
    rare = torch.tensor([[0.5, 0.4999, 0.0001]]).log(), torch.tensor([[0.5, 0.0001, 0.4999]]).log()
    kept = together(rare, "geometric").exp()[0]
    # sqrt(0.25) against twice sqrt(0.4999 x 0.0001): what one teacher thinks unlikely nearly goes.
    product = math.sqrt(0.4999 * 0.0001)
    assert kept.tolist() == pytest.approx([0.5 / (0.5 + 2 * product), *[product / (0.5 + 2 * product)] * 2], rel=1e-4)
    assert together(rare, "arithmetic").exp()[0].tolist() == pytest.approx([0.5, 0.25, 0.25], rel=1e-4)


def test_teachers_say_what_their_adapters_say_and_leave_the_student_active(made, tiny_model_dir, teacher_dirs):
    run = made(teachers=2)
    run.task.loss(0)
    pairs = _pairs(run)
    each = []
    for directory in teacher_dirs:
        alone = load(str(tiny_model_dir), adapter=directory, dtype=torch.float32)
        each.append(log_softmax(token_logits(alone, pairs).detach(), dim=-1))
    torch.testing.assert_close(run.teachers.logprobs(pairs), together(each, "geometric"), atol=1e-4, rtol=1e-4)
    assert run.lm.model.active_adapter == "default"
    assert all(parameter.requires_grad for parameter in policy_parameters(run.lm).values())
    assert not any(p.requires_grad for name, p in run.lm.model.named_parameters() if ".teacher-" in name)


def _pairs(run):
    drawn = run.sampler.at(0)
    return [EncodedPair(run.task._prompt_ids[drawn.prompt_index[i]], drawn.token_ids[i]) for i in range(2)]


@pytest.mark.parametrize("jsd_beta", [0.0, 0.5, 1.0])
def test_a_step_is_the_mean_divergence_a_token_and_parts_add_up_to_it(made, monkeypatch, jsd_beta):
    run = made(jsd_beta=jsd_beta, loss_temperature=0.7, per_device_train_batch_size=4)
    found = run.task.loss(0)
    drawn = run.sampler.at(0)
    pairs = [
        EncodedPair(run.task._prompt_ids[k], ids) for k, ids in zip(drawn.prompt_index, drawn.token_ids, strict=True)
    ]
    student, teacher = token_logits(run.lm, pairs), run.teachers.logprobs(pairs)
    expected = generalised_jsd(student, teacher, beta=jsd_beta, temperature=0.7).mean()
    assert found.value.item() == pytest.approx(expected.item(), rel=1e-4)
    assert found.metrics["divergence"] == pytest.approx(expected.item(), rel=1e-4)
    monkeypatch.setattr(gkd_module, "PART_TOKENS", 1)
    parts = list(run.task.parts(0))
    assert len(parts) == 4
    assert sum(part.value.item() for part in parts) == pytest.approx(expected.item(), rel=1e-4)
    assert sum("kl" in part.metrics for part in parts) == 1


@pytest.mark.parametrize("killed_at", [1, 2, 3])
def test_a_run_killed_at_any_step_and_resumed_equals_one_that_was_not(made, tmp_path, killed_at):
    assert_goes_on_after_a_kill(lambda: made(teachers=2), tmp_path, killed_at=killed_at, by="parts")


def test_the_student_comes_to_say_what_the_teacher_says(made, tmp_path):
    run = made(rounds=30, num_generations=8, per_device_train_batch_size=16, learning_rate=2e-2, save_steps=99)
    log = run.train(tmp_path).log
    assert log[-1]["divergence"] < 0.5 * log[0]["divergence"]
    assert log[0]["kl"] == pytest.approx(0.0, abs=1e-3)


def signal(name):
    return ScorerIdentity(name=name, scorer_kind="reward_model", content_hash=name * 8, rows=(), ancestors=())


def teacher(workspace, directory, base, signals):
    adapter = workspace.artifacts.add(lambda place: shutil.copytree(directory, place, dirs_exist_ok=True))
    about = Provenance(seed=0, data_hash="d", code_version="v", config_hash="c")
    return PolicyVersion(
        created_at=NOW,
        name="guarded",
        base_model=base,
        adapter=adapter,
        ref_policy=None,
        method="online_dpo",
        training_signals=signals,
        provenance=about,
    )


def test_a_run_inherits_what_its_teachers_were_trained_on(tiny_model_dir, teacher_dirs, proxy, workspace, tmp_path):
    base = str(tiny_model_dir)
    taught = [teacher(workspace, place, base, (signal(n),)) for place, n in zip(teacher_dirs, "ab", strict=True)]
    watched = Watched(PROMPTS, TrainingRewards(proxy, None), (signal("a"),), None)
    context = RunContext("gkd", workspace.artifacts, tmp_path / "run", seed=5, now=lambda: NOW)
    policy = run_gkd(load(str(tiny_model_dir)), taught, settings(), context, watched, start=None)
    assert policy.method == "gkd"
    assert [one.name for one in policy.training_signals] == ["a", "b"]
    assert all(one.id in policy.settings["teachers"] for one in taught)
    assert [checkpoint.step for checkpoint in policy.checkpoints] == [0, 2, 4]
    assert set(policy_parameters(load(str(tiny_model_dir), adapter=workspace.artifacts.path(policy.adapter))))


def test_a_teacher_on_another_base_or_none_at_all_is_refused(tiny_model_dir, teacher_dirs, proxy, workspace, tmp_path):
    watched = Watched(PROMPTS, TrainingRewards(proxy, None), (), None)
    context = RunContext("gkd", workspace.artifacts, tmp_path / "run", seed=5, now=lambda: NOW)
    other = teacher(workspace, teacher_dirs[0], "another", ())
    for teachers, said in (([other], other.short_id), ([], "none")):
        with pytest.raises(TrainingError, match=said):
            run_gkd(load(str(tiny_model_dir)), teachers, settings(), context, watched, start=None)


@pytest.mark.parametrize("teachers", [(), ("a", "a")])
def test_teachers_are_named_once_each(teachers):
    with pytest.raises(ValueError, match="at least one teacher, each named once"):
        settings(teachers=teachers)
