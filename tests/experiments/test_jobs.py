"""The jobs: their loop, and their scripts against programs that record what they are told; the inner command (slow)."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
import yaml

from experiments.jobs import phases

JOBS = Path(phases.__file__).parent
TPU = ["--name=r1", "--zone=us-west4-a", "--type=v5litepod-16", "--image=REG/p/r/mcvae:1", "--workdir=gs://b/runs/r1"]
GKE = ["--name=r1", "--image=REG/mcvae:1", "--workdir=gs://b/runs/r1"]
SLICE = ["--accelerator=tpu-v5-lite-podslice", "--topology=4x4", "--hosts=4"]


class Programs:
    """Programs on PATH that note their arguments, and answer what a body of Python says."""

    def __init__(self, folder):
        self.folder, self.log = folder, folder / "calls.jsonl"
        self.env = os.environ | {"PATH": f"{folder}:{os.environ['PATH']}", "MCVAE_PAUSE": "0", "MCVAE_POLL": "0"}
        folder.mkdir()

    def add(self, name, body="pass"):
        head = f"""#!{sys.executable} -SE
import json, os, sys, time, signal, subprocess
from pathlib import Path
args, here = sys.argv[1:], Path({str(self.folder)!r})
with open(here / "calls.jsonl", "a") as log: log.write(json.dumps([{name!r}, *args]) + "\\n")
def count(name):
    path = here / name
    number = int(path.read_text()) + 1 if path.exists() else 1
    path.write_text(str(number))
    return number
"""
        path = self.folder / name
        path.write_text(head + textwrap.dedent(body))
        path.chmod(0o755)

    def calls(self):
        return [json.loads(line) for line in self.log.read_text().splitlines()] if self.log.exists() else []

    def run(self, script, *arguments, **variables):
        command = ["bash", str(JOBS / script), *arguments]
        done = subprocess.run(command, env=self.env | variables, capture_output=True, text=True, timeout=60)
        return done.returncode, done.stdout, done.stderr


@pytest.fixture
def programs(tmp_path):
    return Programs(tmp_path / "programs")


# ---- the loop


@pytest.mark.parametrize(
    "statuses, end, tries",
    [
        ([0], 0, 1),
        ([75, 75, 0], 0, 3),
        ([143, 137, 130, 253, 0], 0, 5),  # a stop and a kill of another one, and memory as srun tells it
        ([2, 0], 2, 1),
        ([75, 2, 0], 2, 2),
        ([1, 0], 1, 1),
        ([126, 0], 126, 1),
        ([75] * 9, 75, 3),
    ],
)
def test_the_loop_tries_again_where_nothing_is_wrong_with_the_command(programs, statuses, end, tries):
    programs.add("work", f"sys.exit({statuses}[count('tries') - 1])")
    tries_at_most = "9" if end == 0 else "3"
    assert programs.run("retry.sh", "work", "an argument", MCVAE_TRIES=tries_at_most)[0] == end
    assert programs.calls() == [["work", "an argument"]] * tries


def test_only_what_no_try_before_has_saved_is_progress(programs, tmp_path):
    marks = ["a", "b", "a", "b", "c", "a", "c", "b"]  # going back is none, and neither is the same again
    programs.add("work", f"Path(os.environ['MCVAE_PROGRESS']).write_text({marks}[count('tries') - 1]); sys.exit(75)")
    tried = {"MCVAE_TRIES": "3", "MCVAE_TRIED": str(tmp_path / "tried")}
    status, _, said = programs.run("retry.sh", "work", **tried)
    assert status == 75 and len(programs.calls()) == 8
    assert re.findall(r"progress: (\d)", said) == list("0012012") and "3 tries without progress" in said
    (programs.folder / "tries").write_text("0")  # another start of the loop, as after a requeue, goes on counting
    assert programs.run("retry.sh", "work", **tried)[0] == 75 and len(programs.calls()) == 9


SAVES = """
    def save(*_):
        time.sleep(0.5)
        (here / "saved").touch()
        sys.exit(143)
    signal.signal(signal.SIGTERM, save)
    print("works", flush=True)
    time.sleep(30)
"""


def test_sigterm_is_passed_on_and_the_loop_waits_until_the_command_has_saved(programs):
    programs.add("work", SAVES)
    loop = subprocess.Popen([str(JOBS / "retry.sh"), "work"], env=programs.env, stdout=subprocess.PIPE, text=True)
    assert loop.stdout.readline() == "works\n"
    loop.terminate()
    assert loop.wait(10) == 143 and (programs.folder / "saved").exists() and len(programs.calls()) == 1


def test_sigterm_between_two_tries_ends_the_loop(programs):
    programs.add("work", "sys.exit(75)")
    loop = subprocess.Popen(
        [str(JOBS / "retry.sh"), "work"], env=programs.env | {"MCVAE_PAUSE": "30"}, stderr=subprocess.PIPE, text=True
    )
    assert "again in 30 s" in loop.stderr.readline()
    loop.terminate()
    assert loop.wait(10) == 143 and len(programs.calls()) == 1


# ---- TPU VMs


FLAGS = {  # of the commands; docs/jobs.md says which stand on a reference
    "gcloud compute tpus queued-resources create": "node-id zone project accelerator-type runtime-version spot "
    "service-account scopes metadata-from-file",
    "gcloud compute tpus queued-resources delete": "zone project force quiet",
    "gcloud compute tpus queued-resources list": "zone project filter format",
    "gcloud compute tpus tpu-vm list": "zone project filter format",
    "gcloud storage cat": "",
    "gcloud storage rm": "",
    "gcloud storage ls": "",
    "gcloud storage cp": "",
    "gcloud auth configure-docker": "quiet",
    "docker pull": "",
    "docker rm": "force",
    "docker run": "name privileged net stop-timeout env",
    "xpk workload create": "workload cluster zone project tpu-type num-slices docker-image max-restarts "
    "termination-grace-period-seconds command",
    "xpk workload delete": "workload cluster zone project",
    "kubectl apply": "filename",
    "kubectl delete": "",
    "sbatch": "job-name nodes ntasks-per-node gpus-per-node time requeue signal open-mode output export",
    "scancel": "name user",
    "srun": "kill-on-bad-exit",
    "scontrol requeue": "",
    "rm": "",
}


def check_flags(call):
    """Each option of a call is one that the program's reference has."""
    line = " ".join(call)
    names = [name for name in FLAGS if f"{line} ".startswith(f"{name} ")]
    assert names, line
    known = set(FLAGS[max(names, key=len)].split())
    own = call[: call.index("retry.sh")] if "retry.sh" in call else call
    own = own[: next((i for i, word in enumerate(own) if word == "mcvae" or word.endswith("_batch.sh")), len(own))]
    assert {word[2:].split("=")[0] for word in own if word.startswith("--")} <= known, line


GCLOUD = """
    line = " ".join(args)
    machine, status = here / "machine", here / "status"
    if "queued-resources create" in line:
        (startup,) = [arg.split("=", 2)[2] for arg in args if arg.startswith("--metadata-from-file=")]
        (here / "startup.sh").write_text(Path(startup).read_text())
        machine.write_text(str(count("machines")))
    elif "queued-resources delete" in line:
        machine.unlink()
    elif "queued-resources list" in line and machine.exists():
        print("ACTIVE")
    elif "tpu-vm list" in line and machine.exists():
        number, asked = int(machine.read_text()), count(f"asked {machine.read_text()}")
        print("READY" if number > 2 or asked == 1 else "PREEMPTED")
        if number > 2 and asked == 2:
            status.write_text(os.environ.get("ENDS_WITH", "0"))
    elif "storage cat" in line:
        if not status.exists():
            sys.exit("not found")
        print(status.read_text())
    elif "storage rm" in line:
        status.unlink(missing_ok=True)
    elif "storage ls" in line and "SAVES" in os.environ:
        print("gs://b/runs/r1/vae/checkpoints/", count("listed"))
"""


def stages_of(calls):
    words = ("create", "delete")
    return [
        word
        for call in calls
        for word in words
        if call[1:4] == ["compute", "tpus", "queued-resources"] and word in call
    ]


@pytest.mark.more
def test_a_tpu_that_is_taken_away_twice_is_asked_for_again_and_deleted_at_the_end(programs):
    programs.add("gcloud", GCLOUD)
    status, said, err = programs.run("tpu.sh", *TPU, "--price=1.5", "--", "--config=mcvae:smoke")
    assert status == 0, err
    assert stages_of(programs.calls()) == ["create", "delete"] * 3
    assert said.count("the TPU is gone (ACTIVE, PREEMPTED)") == 2 and "24.00 an hour and 576.00 a day" in said
    for call in programs.calls():
        check_flags(call)
    (create, *_) = [call for call in programs.calls() if "create" in call]
    assert {"r1", "--node-id=r1", "--accelerator-type=v5litepod-16", "--runtime-version=v2-alpha-tpuv5-lite"} < {
        *create
    }
    assert "--spot" in create and not (programs.folder / "machine").exists()


def test_a_mistake_of_the_user_deletes_the_tpu_and_is_not_tried_again(programs):
    programs.add("gcloud", GCLOUD)
    (programs.folder / "machines").write_text("2")
    status, _, err = programs.run("tpu.sh", *TPU, ENDS_WITH="2")
    assert status == 2 and stages_of(programs.calls()) == ["create", "delete"], err


@pytest.mark.parametrize("saves", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_tpus_that_are_taken_away_before_anything_is_saved_are_given_up(programs, saves):
    programs.add("gcloud", GCLOUD.replace("number > 2", "number > 4"))
    variables = {"MCVAE_TRIES": "2"} | ({"SAVES": "yes"} if saves else {})
    status, _, err = programs.run("tpu.sh", *TPU, **variables)
    assert status == (0 if saves else 75) and len(stages_of(programs.calls())) == 2 * (5 if saves else 3)
    assert not (programs.folder / "machine").exists(), err


def test_a_network_that_is_gone_gives_no_machine_up(programs):
    programs.add("gcloud", "    if 'list' in args and count('lists') in (4, 5): sys.exit('no network')\n" + GCLOUD)
    (programs.folder / "machines").write_text("2")
    assert programs.run("tpu.sh", *TPU)[0] == 0 and stages_of(programs.calls()) == ["create", "delete"]


def test_ctrl_c_ends_the_watching_and_says_that_the_tpu_costs(programs):
    programs.add("gcloud", GCLOUD.replace("number > 2 and asked == 2", "False").replace("number > 2", "True"))
    command = ["bash", str(JOBS / "tpu.sh"), *TPU]
    process = subprocess.Popen(
        command, env=programs.env | {"MCVAE_POLL": "60"}, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    for _ in range(100):
        time.sleep(0.1)
        if any("tpu-vm" in call for call in programs.calls()):
            break
    time.sleep(0.5)
    os.killpg(process.pid, signal.SIGINT)
    err = process.communicate(timeout=10)[1]
    assert process.returncode == 130 and "goes on and costs" in err and stages_of(programs.calls()) == ["create"]


@pytest.mark.more
@pytest.mark.parametrize("ended, told", [(0, True), (2, True), (75, True), (143, False), (137, False)])
def test_a_vm_runs_the_job_in_a_container_and_tells_how_it_ended(programs, ended, told):
    programs.add("gcloud", GCLOUD)
    (programs.folder / "machines").write_text("2")
    fields = ["--config=mcvae:smoke", "--config.vae.corpus_folder=gs://b/my songs"]
    assert programs.run("tpu.sh", *TPU, "--", *fields)[0] == 0
    programs.log.unlink()
    programs.add("gcloud", "if 'cp' in args: (here / 'told').write_text(sys.stdin.read())")
    programs.add("docker", f"sys.exit({ended} if args[0] == 'run' else 0)")
    subprocess.run(["bash", str(programs.folder / "startup.sh")], env=programs.env, check=False)
    for call in programs.calls():
        check_flags(call)
    (run,) = [call for call in programs.calls() if call[:2] == ["docker", "run"]]
    train = ["mcvae", "train", "--distributed=auto", "--workdir=gs://b/runs/r1"]
    assert run[run.index("REG/p/r/mcvae:1") + 1 :] == ["retry.sh", *train, *fields]
    assert (programs.folder / "told").exists() == told
    if told:
        assert programs.calls()[-1] == ["gcloud", "storage", "cp", "-", "gs://b/runs/r1.status"]
        assert (programs.folder / "told").read_text() == f"{ended}\n"


# ---- GKE, Slurm, dry runs


def test_a_jobset_has_a_pod_for_each_host_and_ends_at_a_mistake(programs):
    programs.add("kubectl", "(here / 'applied').write_text(Path(args[1].split('=')[1]).read_text())")
    field = '--config.vae.corpus_folder=gs://b/"a" \\ $b & c'
    status, _, err = programs.run("gke.sh", "--by=jobset", *GKE, *SLICE, "--", field)
    assert status == 0, err
    spec = yaml.safe_load((programs.folder / "applied").read_text())["spec"]
    job = spec["replicatedJobs"][0]["template"]["spec"]
    pod = job["template"]["spec"]
    (container,) = pod["containers"]
    assert job["parallelism"] == job["completions"] == 4 and container["resources"]["limits"] == {"google.com/tpu": 4}
    assert container["command"][:3] == ["retry.sh", "mcvae", "train"] and container["command"][-1] == field
    (rule,) = job["podFailurePolicy"]["rules"]
    assert rule["onExitCodes"]["values"] == [1, 2, 75] and rule["onExitCodes"]["containerName"] == container["name"]
    assert spec["failurePolicy"]["rules"][0] == {"action": "FailJobSet", "onJobFailureReasons": ["PodFailurePolicy"]}
    assert pod["restartPolicy"] == "Never" and job["backoffLimit"] == 0
    for call in programs.calls():
        check_flags(call)


def test_xpk_is_told_the_same_command(programs):
    programs.add("xpk")
    where = ["--cluster=c", "--zone=us-west4-a"]
    status, said, _ = programs.run("gke.sh", "--by=xpk", *GKE, *where, "--type=v4-16", "--", "--config=a b")
    assert status == 0 and "COST: 8 chips" in said
    (call,) = programs.calls()
    check_flags(call)
    (command,) = [word.split("=", 1)[1] for word in call if word.startswith("--command=")]
    train = ["retry.sh", "mcvae", "train", "--distributed=auto", "--workdir=gs://b/runs/r1", "--config=a b"]
    assert shlex.split(command) == train
    assert programs.run("gke.sh", "--by=xpk", "--name=r1", *where, "--end")[0] == 0
    assert programs.calls()[-1][1:4] == ["workload", "delete", "--workload=r1"]


@pytest.mark.more
def test_slurm_s_job_is_queued_again_where_time_is_over_and_something_was_saved(programs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    programs.add("sbatch")
    extra = "--sbatch=--partition=gpu --account=mine"
    assert programs.run("slurm.sh", "--name=r1", "--workdir=/shared/r1", "--nodes=2", "--gpus=8", extra)[0] == 0
    (call,) = programs.calls()
    assert {"--ntasks-per-node=8", "--gpus-per-node=8", "--nodes=2", "--requeue", "--partition=gpu"} < {*call}
    check_flags([word for word in call if word not in ("--partition=gpu", "--account=mine")])
    script = call.index(str(JOBS / "slurm_batch.sh"))
    (export,) = [word.split("=", 1)[1] for word in call if word.startswith("--export=")]
    env = programs.env | dict(pair.split("=", 1) for pair in export.split(",")[1:]) | {"SLURM_JOB_ID": "17"}
    programs.add(
        "srun", SAVES.replace("    print", "    Path(os.environ['MCVAE_PROGRESS']).write_text('x')\n    print")
    )
    programs.add("scontrol")
    for requeued in (True, True, False):  # the first saved something, the next two nothing new
        programs.log.unlink(missing_ok=True)
        job = subprocess.Popen(
            ["bash", *call[script:]], env=env | {"MCVAE_TRIES": "2"}, stdout=subprocess.PIPE, text=True
        )
        assert job.stdout.readline() == "works\n"
        job.terminate()  # as --signal=B:TERM@120 does
        status = job.wait(10)
        srun, *rest = programs.calls()
        check_flags(srun)
        assert srun[1:5] == ["--kill-on-bad-exit=0", "mcvae", "train", "--distributed=auto"]
        assert (status, rest) == ((0, [["scontrol", "requeue", "17"]]) if requeued else (143, []))


DRY = {
    "tpu.sh": TPU,
    "gke.sh": ["--by=jobset", *GKE, *SLICE],
    "slurm.sh": ["--name=r1", "--workdir=/shared/r1"],
    "slurm_batch.sh": [],
    "retry.sh": [],
}


@pytest.mark.parametrize("script", DRY)
def test_a_dry_run_prints_what_would_run_and_runs_nothing(programs, script):
    for name in ("gcloud", "kubectl", "xpk", "sbatch", "scancel", "srun", "scontrol", "docker", "mcvae"):
        programs.add(name)
    rest = ["mcvae", "train"] if script == "retry.sh" else [] if script == "slurm_batch.sh" else DRY[script]
    status, said, err = programs.run(script, "--dry-run", *rest, MCVAE_JOBS=str(JOBS))
    assert status == 0 and programs.calls() == [], err
    assert ("slurm_batch.sh --workdir=/shared/r1" if script == "slurm.sh" else "mcvae train") in said.replace(
        '", "', " "
    )
    if script in ("tpu.sh", "gke.sh", "slurm.sh"):
        assert "COST: " in said and "END:  " in said and "--end --name=r1" in said
        for line in said.splitlines():
            if line.startswith("+ "):
                check_flags(shlex.split(line[2:]))


@pytest.mark.parametrize(
    "script, arguments, said",
    [
        ("tpu.sh", [*TPU, "--nam=r2"], "there is no option --nam;"),
        ("tpu.sh", [*TPU, "--spot"], "there is no flag --spot "),
        ("tpu.sh", [*TPU, "train"], "train is no option "),
        ("tpu.sh", TPU[:-1], "give --workdir;"),
        ("tpu.sh", [*TPU[:-1], "--workdir=runs/r1"], "--workdir=runs/r1: give gs://BUCKET/FOLDER;"),
        ("tpu.sh", [*TPU, "--type=v9-8"], "--type=v9-8: there are v2, "),
        ("gke.sh", GKE, "give --by;"),
        ("gke.sh", ["--by=jobset", *GKE, *SLICE, "--hosts=3"], "--hosts=3 cannot share 16 chips;"),
        ("gke.sh", ["--by=jobset", *GKE, *SLICE, "--topology=16"], "--topology=16: give it as 4x4;"),
        ("slurm.sh", ["--name=r1"], "give --workdir;"),
    ],
)
def test_a_mistake_is_one_line(programs, script, arguments, said):
    for name in ("gcloud", "kubectl", "xpk", "sbatch"):
        programs.add(name)
    status, _, err = programs.run(script, *arguments)
    assert status == 2 and err.startswith(f"Error: {said}") and err.count("\n") == 1 and programs.calls() == []


@pytest.mark.parametrize("script", ["tpu.sh", "gke.sh", "slurm.sh", "retry.sh"])
def test_help_is_the_head_of_the_script(programs, script):
    status, said, _ = programs.run(script, "--help")
    assert status == 0 and "--dry-run" in said and "cost" in said.lower() and "set -euo" not in said


# ---- what runs inside of them


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The bits of a run that nobody disturbs."""
    return phases.bits(phases.undisturbed(tmp_path_factory.mktemp("jobs")))


@pytest.mark.slow
@pytest.mark.parametrize("number, to", [(signal.SIGTERM, 1), (signal.SIGKILL, 0)])
def test_a_job_disturbed_in_each_phase_goes_on_by_itself_to_the_same_bits(whole, tmp_path, number, to):
    rows = phases.disturbed(tmp_path / "run", number, to)
    expected = {signal.SIGTERM: "143, 143", signal.SIGKILL: "137, 75"}[number]
    assert [(row.phase, row.statuses) for row in rows] == [(phase, expected) for phase in phases.PHASES]
    assert phases.bits(tmp_path / "run") == whole


@pytest.mark.slow
def test_a_host_that_is_taken_away_comes_back_and_its_job_goes_on(whole, tmp_path):
    """Its loop is asked to stop, as by systemd or a kubelet; the other host waits for the new one."""
    hosts = phases.start(tmp_path / "run")
    hosts[0].wait_for(phases.PHASES["training"])
    hosts[1].loop.terminate()
    assert hosts[1].end() == 143
    assert hosts[0].wait_for(r"^retry: exit status (\d+); again")[1] == "143"
    hosts[0].wait_for("waiting for 1 of 2 processes")
    again = phases.Host(hosts[1].loop.args[1:], phases.environment())
    assert [hosts[0].end(), again.end()] == [0, 0]
    assert phases.bits(tmp_path / "run") == whole


@pytest.mark.slow
def test_a_corpus_that_is_lost_is_built_again_by_one_process(whole, tmp_path):
    folder = phases.undisturbed(tmp_path)
    for gone in (folder.parent / "corpora", folder / "mdrnn", folder / "songs"):
        shutil.rmtree(gone)
    hosts = phases.start(folder)
    assert [host.end() for host in hosts] == [0, 0] and phases.bits(folder) == whole
    said = ["\n".join(host.lines) for host in hosts]
    assert said[0].count("is taken, and built if need be") == 1 and "read 23 files" in said[0] and "read" not in said[1]


@pytest.mark.slow
def test_a_host_that_never_comes_is_named_once_by_each_try_and_then_given_up(tmp_path):
    command = phases.commands(tmp_path / "run", seconds=4)[0]
    host = phases.Host(command, phases.environment() | {"MCVAE_TRIES": "1"})
    assert host.end() == 75
    (line,) = [line for line in host.lines if line.startswith("Error: ")]
    assert "1 of 2 processes at localhost:" in line and "did not come within 4 s" in line
    assert host.lines[-1].endswith("1 tries without progress, so this is the end")


SRUN = """
    # as srun does: tasks with their numbers, signals handed on, the highest exit status
    environment = os.environ | {"SLURM_NTASKS": "2", "SLURM_STEP_NODELIST": "localhost", "SLURM_STEP_NUM_NODES": "1"}
    tasks = [
        subprocess.Popen(args[1:], env=environment | {"SLURM_PROCID": str(i), "SLURM_LOCALID": str(i)}) for i in (0, 1)
    ]
    signal.signal(signal.SIGTERM, lambda number, frame: [task.send_signal(number) for task in tasks])
    statuses = [task.wait() for task in tasks]
    sys.exit(max(status if status >= 0 else 128 - status for status in statuses))
"""


@pytest.mark.slow
def test_slurm_s_job_is_stopped_at_its_limit_and_ends_after_the_requeue(programs, tmp_path):
    """All that is made up is Slurm itself; JAX finds its variables, and gives each task one device."""
    programs.add("srun", SRUN)
    programs.add("scontrol")
    programs.add("mcvae", f"os.execv({sys.executable!r}, [{sys.executable!r}, '-m', 'mcvae_jax', *args])")
    env = programs.env | {
        "MCVAE_JOBS": str(JOBS),
        "MCVAE_TRIED": str(tmp_path / "tried"),
        "MCVAE_PROGRESS": str(tmp_path / "progress"),
        "SLURM_JOB_ID": str(phases.free_port()),  # JAX makes a port of it
        "PYTHONUNBUFFERED": "1",
    }
    command = ["bash", str(JOBS / "slurm_batch.sh"), *phases.arguments(tmp_path / "run"), "--distributed_timeout=60"]
    job = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert any("step 10/60" in line for line in job.stdout)
    job.terminate()
    said = job.communicate(timeout=120)[0]
    assert job.returncode == 0 and "saved. The same command again" in said, said
    assert programs.calls()[-1] == ["scontrol", "requeue", env["SLURM_JOB_ID"]]
    said = subprocess.run(command, env=env, capture_output=True, text=True, timeout=600)
    assert said.returncode == 0 and "Going on from step" in said.stdout, said
    assert len((tmp_path / "tried").read_text().splitlines()) == 3  # a line at the start, and one for each try
    assert phases.bits(tmp_path / "run")
