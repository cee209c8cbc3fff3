"""Scaling benchmark: texts of the asked length, rows and bars by hand, jobs that vary one thing, real runs."""

import json

import pytest
from typer.testing import CliRunner

from assay.bench.scaling import Measured, ScalingPlan, bars_of, ours, quick, rows_of, running
from assay.bench.scaling.job import Job, Told
from assay.bench.scaling.memory import forget_peak, held_mib, peak_mib
from assay.bench.scaling.running import ONE_PART, describe, jobs_of, read_told, run_job
from assay.bench.scaling.texts import pairs_of, prompts_of
from assay.cli import bench_scaling as command
from assay.cli.app import app
from assay.lm import encode_pair
from assay.records.errors import ConfigError, ModelError


def told(cpu_s=2.0, *, tokens=100, draws=(), losses=(0.7, 0.7, 0.7), loaded=1000.0, peak=1500.0):
    return Told(
        tokens=tokens,
        step_s=(9.0, 3.0, 3.0),
        step_cpu_s=(9.0, cpu_s, cpu_s),
        draw_cpu_s=draws,
        losses=losses,
        loaded_mib=loaded,
        peak_mib=peak,
    )


def measured(varied, *each, **job):
    return Measured(varied, Job(**job), each, 0.5)


def test_a_row_adds_processes_up_and_leaves_the_first_step_aside():
    two = (told(2.0, peak=1300.0), told(3.0, loaded=900.0, peak=1500.0))
    (row,) = rows_of([measured("processes", *two, processes=2, mode="ddp")])
    assert (row.cpu_s, row.clock_s, row.tokens_a_cpu_s, row.above_mib, row.loaded_mib) == (
        5.0,
        3.0,
        20.0,
        600.0,
        1000.0,
    )
    assert row.drawn_a_cpu_s is None
    (group,) = rows_of([measured("completions", told(4.0, draws=(9.0, 5.0, 5.0)), kind="group")])
    assert (group.tokens_a_cpu_s, group.drawn_a_cpu_s) == (25.0, 20.0)


def claims(*, speed=1.0, above=500.0, drawn=2.0, work=1.0, held=700.0, loss=0.7):
    """The rows of a plan in which one claim may be missed."""
    return rows_of(
        [
            measured("pairs a step", told(1.0), pairs=1),
            measured("pairs a step", told(2.0, tokens=200), pairs=2),
            measured("pairs a step", told(8.0 / speed, tokens=800, peak=1000.0 + above), pairs=8),
            measured("prompt", told(1.0), pairs=2, prompt_words=16),
            measured("prompt", told(1.0 / speed), pairs=2, prompt_words=304),
            measured("completions", told(draws=(1.0, 4.0, 4.0)), kind="group", completions=2),
            measured("completions", told(draws=(1.0, 4.0 / drawn, 4.0 / drawn)), kind="group", completions=16),
            measured("processes", *[told(4.0 * work / speed)] * 2, pairs=8, mode="ddp", processes=2),
            measured(
                "processes", *[told(loaded=held, losses=(0.7, 0.7, loss))] * 2, pairs=8, mode="fsdp2", processes=2
            ),
        ]
    )


def test_every_bar_holds_where_nothing_but_work_grows():
    assert all(bar.holds for bar in bars_of(claims()))


@pytest.mark.parametrize(
    ("miss", "named"),
    [
        ({"speed": 0.7}, {"most pairs a step over one", "longest prompt"}),
        ({"above": 700.0}, {"memory above"}),
        ({"drawn": 1.4}, {"most completions"}),
        ({"work": 1.3}, {"(ddp)"}),
        ({"held": 900.0}, {"(fsdp2)"}),
        ({"loss": 0.7001}, {"loss of several"}),
    ],
)
def test_a_missed_claim_is_the_bar_that_falls(miss, named):
    fallen = [bar.name for bar in bars_of(claims(**miss)) if not bar.holds]
    assert len(fallen) == len(named)
    assert all(any(part in name for name in fallen) for part in named)


def test_what_was_left_out_is_not_measured():
    assert [bar.measured for bar in bars_of([])] == [None] * 7


def test_jobs_vary_one_thing_and_one_is_the_largest_step_in_one_part():
    jobs = jobs_of(ScalingPlan())
    assert [job.pairs for varied, job in jobs if varied == "pairs a step"] == [1, 2, 4, 8, 16]
    assert [job.prompt_words for varied, job in jobs if varied == "prompt"] == [16, 112, 304]
    assert [(job.mode, job.processes, job.pairs) for varied, job in jobs if varied == "processes"] == [
        ("ddp", 2, 16),
        ("fsdp2", 2, 16),
    ]
    assert [job.part_tokens for _, job in jobs if job.part_tokens is not None] == [ONE_PART]
    assert len({describe(job) for _, job in jobs}) == len(jobs) - 1  # two pairs stand under two names


def test_texts_have_the_tokens_that_were_asked_for(tiny_lm, now):
    short, long = (pairs_of(tiny_lm, 3, prompt_words=words, answer_words=6, seed=1, now=now) for words in (5, 25))
    assert {len(encode_pair(tiny_lm, pair.prompt, text).completion) for pair in long for text in (pair.chosen,)} == {7}
    assert len({pair.prompt_id for pair in (*short, *long)}) == 6
    lengths = [len(encode_pair(tiny_lm, pair.prompt, pair.chosen).prompt) for pair in (*short, *long)]
    assert lengths[3:] == [length + 20 for length in lengths[:3]]
    assert prompts_of(tiny_lm, 3, words=5, seed=1) == [pair.prompt for pair in short]


def test_a_vocabulary_without_words_is_refused(tiny_lm):
    class NoWords:
        def __len__(self):
            return 3

        def convert_ids_to_tokens(self, i):
            return "abc"[i]

    tiny_lm.tokenizer = NoWords()
    with pytest.raises(ModelError, match="words of one token in the vocabulary; got 0"):
        prompts_of(tiny_lm, 1, words=4, seed=0)


def test_memory_held_for_a_moment_shows_in_the_peak_until_it_is_forgotten():
    forget_peak()
    held = bytearray(64 << 20)
    held[:: 1 << 12] = b"x" * len(held[:: 1 << 12])
    del held
    assert peak_mib() >= held_mib()
    assert peak_mib() > 64


def in_this_process(monkeypatch):
    monkeypatch.setattr(running, "run_script", lambda command, **_: ours.main(*command[3:]))


@pytest.mark.parametrize("kind", ["pairs", "group"])
def test_a_job_tells_seconds_tokens_and_losses_of_each_step(tiny_model_dir, tmp_path, monkeypatch, kind):
    in_this_process(monkeypatch)
    job = Job(
        kind=kind, model=str(tiny_model_dir), pairs=2, prompt_words=4, answer_words=5, steps=2, scratch=str(tmp_path)
    )
    (found,) = run_job(job)
    assert len(found.step_cpu_s) == len(found.losses) == 2
    assert len(found.draw_cpu_s) == (2 if kind == "group" else 0)
    assert min(found.step_cpu_s) > 0
    assert 0 < found.tokens <= (40 if kind == "group" else 200)
    assert found.peak_mib >= found.loaded_mib > 0


def test_one_part_is_the_step_in_parts(tiny_model_dir, tmp_path, monkeypatch):
    in_this_process(monkeypatch)
    monkeypatch.setattr("assay.alignment.dpo.PART_TOKENS", 60)
    job = Job(model=str(tiny_model_dir), pairs=4, prompt_words=4, answer_words=8, steps=2, scratch=str(tmp_path))
    (parts,) = run_job(job)
    (whole,) = run_job(job.model_copy(update={"part_tokens": ONE_PART}))
    assert whole.losses == pytest.approx(parts.losses, rel=1e-5)


def test_a_run_that_told_something_else_is_refused(tmp_path):
    path = tmp_path / "told.json"
    with pytest.raises(ConfigError, match="2 timed steps"):
        read_told(path, steps=2)
    path.write_text(told().model_dump_json())
    with pytest.raises(ConfigError, match="expected 2 timed steps; got 3"):
        read_told(path, steps=2)


def test_the_command_prints_a_table_and_writes_every_row(tiny_model_dir, tmp_path, monkeypatch):
    asked = []

    def instead(job):
        asked.append(job)
        return (told(draws=(1.0, 1.0, 1.0) if job.kind == "group" else ()),) * job.processes

    monkeypatch.setattr(running, "run_job", instead)
    file = tmp_path / "scaling.json"
    arguments = ["bench", "scaling", "--quick", "--model", str(tiny_model_dir), "--pairs", "3", "--json", str(file)]
    ended = CliRunner().invoke(app, arguments)
    assert "load of the machine meanwhile" in ended.output, ended.output
    plain = json.loads(file.read_text())
    assert plain["is_quick"] is True
    assert [row["pairs"] for row in plain["rows"] if row["varied"] == "pairs a step"] == [3]
    assert len({job.model_copy(update={"scratch": ""}) for job in asked}) == len(asked)
    assert command.scaling.__doc__


def test_quick_keeps_a_row_of_each_kind():
    assert {varied for varied, _ in jobs_of(quick(ScalingPlan()))} == {
        "pairs a step",
        "prompt",
        "completions",
        "processes",
    }
