"""The command that breaks runs, a few of each fault, and its table."""

import csv
import json

import pytest

from experiments import faults
from experiments.breaking import runs
from experiments.breaking.kinds import Outcome
from experiments.faults import read_outcomes
from mcvae_jax.errors import UserError

GOOD = Outcome("kill", "vae", "", False, True, False, 0, 0, "", "")


@pytest.mark.slow
def test_a_few_of_each_fault_are_survived_and_the_same_command_goes_on(tmp_path, capsys):
    argv = [f"--out={tmp_path}", "--kills=2", "--stops=1", "--fills=1", "--damages=2", "--flips=5"]
    assert faults.main([*argv[:-1], "--flips=0"]) == 0, capsys.readouterr().out
    assert faults.main(argv) == 0
    assert "6 faults are done already" in capsys.readouterr().out
    rows = list(csv.DictReader((tmp_path / "table.csv").open()))
    assert rows[-1]["stage"] == "all" and int(rows[-1]["count"]) == 11 and int(rows[-1]["stack traces"]) == 0
    assert not (tmp_path / "case").exists()


def test_what_is_wrong_is_in_the_table(tmp_path, capsys):
    bad = GOOD._replace(kind="flip", stage="songs", equal=False, traces=2, wrong="stack trace")
    faults.write_table([GOOD, GOOD._replace(kind="kill in a save"), bad], tmp_path)
    rows = {(row["stage"], row["fault"]): row for row in csv.DictReader((tmp_path / "table.csv").open())}
    assert [*rows] == [("vae", "kill"), ("vae", "kill in a save"), ("songs", "flip"), ("all", "")]
    assert rows["all", ""]["wrong"] == "1" and rows["songs", "flip"]["stack traces"] == "2"
    assert capsys.readouterr().out.count("\n") == 5


def test_endings_count_traces_and_words_of_damage():
    ending = runs.Ending(2, ["step 4"], ["Traceback (most recent call last):", "Error: config.json is damaged"])
    assert ending.traces == 1 and ending.named
    assert not runs.Ending(0, ["step 4/20", "Done: step 20"], []).named


@pytest.mark.parametrize(("argv", "message"), [(["--kills=-1"], "--kills is -1"), (["--out="], "holds 'mine'")])
def test_mistakes_are_one_line(tmp_path, argv, message):
    (tmp_path / "mine").touch()
    with pytest.raises(UserError, match=message) as caught:
        faults.main([f"--out={tmp_path}", *[each for each in argv if each != "--out="]])
    assert "\n" not in str(caught.value)


def test_outcomes_that_cannot_be_read_are_left_out(tmp_path):
    whole = json.dumps(GOOD._asdict())
    lines = [whole, whole.replace('"lines": 0', '"lines": "0"'), "[]", '{"kind": "kill"}', ""]
    (tmp_path / "o").write_text("\n".join(lines))
    assert read_outcomes(tmp_path / "o") == [GOOD]
