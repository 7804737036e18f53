"""Jobs on other machines: shell scripts for TPU VMs, GKE and Slurm, a Dockerfile, and what kills do to a run.

retry.sh    the loop that all share       tpu.sh      TPU VMs by queued resources, with vm.sh on each of them
common.sh   options, dry runs, costs      gke.sh      GKE, by XPK or by jobset.yaml
phases.py   a table of kills              slurm.sh    Slurm, with slurm_batch.sh inside the job

docs/jobs.md tells it in six steps.
"""
