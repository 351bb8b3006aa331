"""What fit shows while it trains."""

import io
import re
import sys

import pytest

import xpnet
from tests.train.test_trainer import blobs, make

LINE = r"epoch 1/2  train_loss \S+  train_accuracy \S+  val_loss \S+  val_accuracy \S+  lr 0\.01  \d+\.\ds  best\n"


def shown(capsys, verbose=None, **options):
    trainer = make(scheduler=None, **options)
    arguments = {} if verbose is None else {"verbose": verbose}
    trainer.fit(blobs(), blobs(seed=1), epochs=2, **arguments)
    return capsys.readouterr().out


@pytest.mark.parametrize("verbose", [None, True, 1, 2])
def test_a_line_after_each_epoch(capsys, verbose):
    found = shown(capsys, verbose)
    assert re.match(LINE, found)
    assert len(found.splitlines()) == 2


@pytest.mark.parametrize("verbose", [False, 0])
def test_nothing_where_nothing_is_wanted(capsys, verbose):
    assert shown(capsys, verbose) == ""


class Reporter:
    shows_progress = True

    def on_epoch_start(self, trainer, epoch, batches):
        pass

    def on_batch_end(self, trainer, meter):
        pass

    def on_epoch_end(self, trainer, row):
        print(f"mine {row['epoch']}")


def test_a_callback_that_shows_the_progress_is_not_doubled(capsys):
    assert shown(capsys, callbacks=[Reporter()]) == "mine 1\nmine 2\n"
    assert len(shown(capsys, verbose=1, callbacks=[Reporter()]).splitlines()) == 4


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(("verbose", "bar"), [(True, True), (1, True), (2, False), (0, False)])
def test_a_bar_on_a_terminal(monkeypatch, verbose, bar):
    monkeypatch.setattr("xpnet.train.progress.REFRESH", 0.0)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stdout", terminal := Terminal())
    make(scheduler=None).fit(blobs(), blobs(seed=1), epochs=2, verbose=verbose)
    text = terminal.getvalue()
    assert ("samples/s" in text) is bar
    assert ("\x1b[?25l" in text) is bar  # the cursor is hidden while the bar stands
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h")
    assert ("train_accuracy" in text) is bool(verbose)


def test_the_bar_is_taken_away_when_training_fails(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stdout", terminal := Terminal())
    trainer = make(scheduler=None)
    loss, calls = trainer.loss, []

    def fails(output, target):
        calls.append(1)
        if len(calls) > 2:
            raise RuntimeError("stop here")
        return loss(output, target)

    trainer.loss = fails
    with pytest.raises(RuntimeError, match="stop here"):
        trainer.fit(blobs(), epochs=1, batch_size=16)
    assert terminal.getvalue().count("\x1b[?25l") == terminal.getvalue().count("\x1b[?25h") == 1


def test_estimators_show_their_own_lines_only(capsys):
    from xpnet.sklearn import XPClassifier

    for verbose in (False, True):
        XPClassifier((4,), epochs=2, verbose=verbose, random_state=0).fit(*blobs())
        assert len(capsys.readouterr().out.splitlines()) == (2 if verbose else 0)


def test_history_and_weights_do_not_depend_on_it():
    runs = []
    for verbose in (0, 2):
        xpnet.manual_seed(0)
        runs.append(make().fit(blobs(), blobs(seed=1), epochs=2, verbose=verbose))
    assert runs[0] == runs[1]
