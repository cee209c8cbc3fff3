"""What stands beside a bar while a policy trains, on a clock that the test turns."""

from assay.cli.training_line import WINDOW, TrainingLine


class Clock:
    def __init__(self):
        self.seconds = 0.0

    def __call__(self):
        return self.seconds


def test_loss_kl_reward_length_and_tokens_a_second_stand_beside_the_bar():
    clock = Clock()
    line = TrainingLine(clock)
    checkpoint = {"alignment/kl": 1.234, "alignment/proxy_reward": 0.5, "completions/mean_length": 17.6, "other": 1.0}
    assert line.on_checkpoint(checkpoint) == "KL 1.23  reward +0.50  words 18"
    clock.seconds = 2.0
    assert line.on_step({"loss": 0.69315, "num_tokens": 300.0}) == (
        "loss 0.693  KL 1.23  reward +0.50  words 18  150 tokens/s"
    )


def test_the_rate_is_that_of_the_last_steps():
    clock = Clock()
    line = TrainingLine(clock)
    line.on_step({"loss": 1.0, "num_tokens": 1e6})
    for second in range(1, WINDOW + 1):
        clock.seconds = float(second)
        said = line.on_step({"loss": 1.0, "num_tokens": 100.0})
    assert said == "loss 1.000  100 tokens/s"


def test_a_run_that_counts_no_tokens_shows_no_rate():
    clock = Clock()
    line = TrainingLine(clock)
    clock.seconds = 1.0
    assert line.on_step({"loss": 2.0}) == "loss 2.000"
